//! The first engine: SQLite, one file of this host.

use super::{Access, LOCK_WAIT, SqlError};
use rusqlite::{Connection, OpenFlags};
use std::path::Path;

/// Prepared statements kept by each connection.
const STATEMENTS: usize = 128;

impl From<rusqlite::Error> for SqlError {
    fn from(error: rusqlite::Error) -> Self {
        use rusqlite::ErrorCode;
        match error.sqlite_error_code() {
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => Self::Busy,
            Some(ErrorCode::DiskFull) => Self::Full,
            Some(ErrorCode::SystemIoFailure | ErrorCode::CannotOpen | ErrorCode::ReadOnly) => {
                Self::Unavailable(error.to_string())
            }
            _ => Self::Broken(error.to_string()),
        }
    }
}

pub(super) fn connect(path: &Path, access: Access) -> Result<Connection, SqlError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(LOCK_WAIT)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    connection.pragma_update(None, "journal_mode", "wal")?;
    connection.pragma_update(None, "synchronous", "full")?;
    connection.pragma_update(None, "foreign_keys", "on")?;
    connection.pragma_update(None, "trusted_schema", "off")?;
    if access == Access::Read {
        connection.pragma_update(None, "query_only", "on")?;
    }
    Ok(connection)
}

/// Password hashes are in the file: nobody but its owner reads it. The files beside it inherit the mode.
pub(super) fn make_private(path: &Path) -> Result<(), SqlError> {
    use std::os::unix::fs::OpenOptionsExt as _;
    let made = std::fs::OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(path);
    made.map(|_| ()).map_err(|e| SqlError::Unavailable(format!("{}: {e}", path.display())))
}

/// Writes the database as it is to a new file.
pub(super) fn copy(from: &Path, to: &Path) -> Result<(), SqlError> {
    let text = to.to_str().ok_or_else(|| SqlError::Unavailable("the path is not UTF-8".into()))?;
    connect(from, Access::Write)?.execute("VACUUM INTO ?1", [text])?;
    Ok(())
}

/// Reads a database file that nobody uses from end to end; what is wrong with it, where something is.
///
/// # Errors
/// Where it cannot be opened at all.
pub fn check_file(path: &Path) -> Result<Option<String>, SqlError> {
    let connection = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    let check = || {
        let said = |row: &rusqlite::Row<'_>| row.get::<_, String>(0);
        let said = connection.query_row("PRAGMA integrity_check(1)", [], said)?;
        Ok((said != "ok").then_some(said))
    };
    check().or_else(|e: rusqlite::Error| Ok(Some(e.to_string())))
}

pub(super) fn execute(connection: &Connection, statement: &str) -> Result<(), SqlError> {
    connection.prepare_cached(statement)?.execute([]).map(|_| ()).map_err(SqlError::from)
}
