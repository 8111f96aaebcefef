//! The directory's tables: domains, accounts and their names, classes of service, the log of changes, who has which store.
//!
//! Promised: every change writes its rows of the log in its own transaction, so that whoever follows the log misses
//! nothing; counts of users per class are right in every committed state; every statement finds its rows by an index.
//!
//! Left to others: what is allowed. A [`Rows`] finds, an [`Edit`] also changes; the closures that use them are the
//! directory server's, and its decisions and its changes are one transaction. Text comes parsed: keys are in lower case.

mod accounts;
mod classes;
mod domains;
mod log;
mod records;
mod rows;
mod statements;
mod stores;

use crate::sql::migrate::{Step, Work};
use crate::sql::{Database, Location, Row, Session, SqlError, Value};
use env::Env;
use mail::time::Timestamp;
use std::path::Path;

pub use accounts::MAX_GIVEN_MAILBOX;
pub use classes::Values;
pub use records::AccountRecord;
pub use rows::{
    AccountRow, AddressRow, AttributeRow, ChangeRow, Changed, ClassRow, DomainRow, ForwardPlace, ForwardRow,
    Forwarding, InTheWay, NameKey, NewAccount, Rank, StoreRow,
};

/// The steps of the directory's schema.
const STEPS: &[Step] = &[
    Step {
        version: 1,
        name: "directory",
        statements: include_str!("../../migrations/directory/0001-directory.sql"),
        compatible: 1,
        work: Work::Expand,
    },
    Step {
        version: 2,
        name: "stores",
        statements: include_str!("../../migrations/directory/0002-stores.sql"),
        compatible: 1,
        work: Work::Expand,
    },
];

/// Most rows that one page of a list holds.
pub const MAX_PAGE: u32 = 1000;

/// The directory's database. Clones share it.
#[derive(Clone)]
pub struct DirectoryTables {
    database: Database,
}

impl DirectoryTables {
    /// Opens the database (a file is made, where it is not there) and brings its schema up to date.
    ///
    /// # Errors
    /// As [`Database::open`].
    pub fn open(location: &Location, env: &Env) -> Result<Self, SqlError> {
        Ok(Self { database: Database::open(location, STEPS, env)? })
    }

    /// As [`DirectoryTables::open`], for a process that can go on without the database until it is there.
    ///
    /// # Errors
    /// As [`Database::open_later`].
    pub fn open_later(location: &Location, env: &Env) -> Result<Self, SqlError> {
        Ok(Self { database: Database::open_later(location, STEPS, env)? })
    }

    /// Writes all tables as they are now to a new file. Blocks.
    ///
    /// # Errors
    /// As [`Database::copy_to`].
    pub fn copy_to(&self, path: &Path) -> Result<(), SqlError> {
        self.database.copy_to(path)
    }

    /// Runs the closure on one snapshot.
    ///
    /// # Errors
    /// What the closure returns, or as [`Database::read`].
    pub async fn read<T, E, F>(&self, job: F) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<SqlError> + Send + 'static,
        F: FnOnce(&Rows<'_>) -> Result<T, E> + Send + 'static,
    {
        self.database.read(move |session| job(&Rows { session })).await
    }

    /// Runs the closure in one transaction; what it changes stands and is on disk when this returns `Ok`.
    /// `request` names the request in the log of changes; empty: none.
    ///
    /// # Errors
    /// What the closure returns, or as [`Database::write`].
    pub async fn write<T, E, F>(&self, at: Timestamp, request: String, job: F) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<SqlError> + Send + 'static,
        F: FnOnce(&Edit<'_>) -> Result<T, E> + Send + 'static,
    {
        self.database.write(move |session| job(&Edit { rows: Rows { session }, at, request })).await
    }
}

/// The tables as one transaction sees them.
pub struct Rows<'a> {
    session: &'a Session,
}

/// The tables in a transaction that changes them.
pub struct Edit<'a> {
    rows: Rows<'a>,
    at: Timestamp,
    request: String,
}

impl<'a> std::ops::Deref for Edit<'a> {
    type Target = Rows<'a>;

    fn deref(&self) -> &Rows<'a> {
        &self.rows
    }
}

impl Rows<'_> {
    fn one<T>(
        &self,
        sql: &'static str,
        values: &[Value<'_>],
        make: impl FnMut(&Row<'_>) -> Result<T, SqlError>,
    ) -> Result<Option<T>, SqlError> {
        self.session.one(sql, values, make)
    }

    fn many<T>(
        &self,
        sql: &'static str,
        values: &[Value<'_>],
        make: impl FnMut(&Row<'_>) -> Result<T, SqlError>,
    ) -> Result<Vec<T>, SqlError> {
        self.session.many(sql, values, make)
    }
}

impl Edit<'_> {
    /// Runs a statement that changes rows; returns how many.
    fn change(&self, sql: &'static str, values: &[Value<'_>]) -> Result<u64, SqlError> {
        self.session.change(sql, values)
    }

    /// Runs a statement that changes rows, whose number nobody asks for: no round trip of its own.
    fn put(&self, sql: &'static str, values: &[Value<'_>]) -> Result<(), SqlError> {
        self.session.change_later(sql, values)
    }
}

/// A column whose words are known; any other is damage.
fn word<T>(row: &Row<'_>, column: usize, parse: impl FnOnce(&str) -> Option<T>) -> Result<T, SqlError> {
    let text: String = row.get(column)?;
    let unknown = || SqlError::Broken(format!("column {column} holds a word that is not known"));
    parse(&text).ok_or_else(unknown)
}

#[cfg(test)]
mod tests;
