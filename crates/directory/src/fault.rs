//! Failures on their way to the caller: what the tables say in the words of the role.

use roles::directory::DirectoryError;
use storage::sql::SqlError;

/// An error of the role, made also from one of the tables: a closure that runs on the tables returns this.
#[derive(Debug)]
pub(crate) struct Fault(pub(crate) DirectoryError);

impl From<DirectoryError> for Fault {
    fn from(error: DirectoryError) -> Self {
        Self(error)
    }
}

impl From<SqlError> for Fault {
    fn from(error: SqlError) -> Self {
        Self(match error {
            SqlError::Broken(reason) => DirectoryError::Broken(reason),
            SqlError::Busy
            | SqlError::Full
            | SqlError::Unavailable(_)
            | SqlError::Version { .. }
            | SqlError::Pending(_) => DirectoryError::Unavailable,
        })
    }
}
