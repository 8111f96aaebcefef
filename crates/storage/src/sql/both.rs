//! One list of tests over both engines.

use super::postgres::{Address, Server, Tls};
use super::{Location, Remote, Retry};
use std::time::Duration;
use testkit::postgres::Postgres;

/// Where a test has its database.
pub(crate) struct Place {
    pub(crate) location: Location,
    pub(crate) folder: Option<tempfile::TempDir>,
}

impl Place {
    /// A file that is not there yet.
    pub(crate) fn sqlite() -> Self {
        let folder = tempfile::tempdir().unwrap();
        Self { location: Location::File(folder.path().join("test.db")), folder: Some(folder) }
    }

    /// A database without tables on the server of this process.
    pub(crate) fn postgres() -> Self {
        Self { location: remote(&Postgres::shared().database()), folder: None }
    }
}

/// A database of a server of ours.
pub(crate) fn remote(address: &str) -> Location {
    let address = Address::parse(address).unwrap();
    let limit = Duration::from_secs(30);
    let server = Server {
        user: address.user.clone().unwrap(),
        address,
        password: None,
        tls: Tls::Off,
        connect_timeout: limit,
        statement_timeout: limit,
    };
    Location::Server(Box::new(Remote { server, longest_pause: Duration::from_secs(1), retry: Retry::Once }))
}

/// Makes a test of each function over each engine.
macro_rules! on_both {
    ($($name:ident),+ $(,)?) => {
        mod sqlite {
            $(#[tokio::test] async fn $name() { super::$name(crate::sql::both::Place::sqlite()).await })+
        }
        mod postgres {
            $(#[tokio::test] async fn $name() { super::$name(crate::sql::both::Place::postgres()).await })+
        }
    };
}
pub(crate) use on_both;
