//! The directory's tables: domains, accounts and their names, classes of service, the log of changes.
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

use crate::sql::migrate::Step;
use crate::sql::{Database, SqlError};
use mail::time::Timestamp;
use rusqlite::{CachedStatement, Connection, OptionalExtension as _, Params, Row};
use std::path::Path;

pub use accounts::MAX_GIVEN_MAILBOX;
pub use classes::Values;
pub use records::AccountRecord;
pub use rows::{
    AccountRow, AddressRow, AttributeRow, ChangeRow, Changed, ClassRow, DomainRow, ForwardPlace, ForwardRow,
    Forwarding, NameKey, NewAccount, Rank,
};

/// The steps of the directory's schema.
const STEPS: &[Step] = &[Step {
    version: 1,
    name: "directory",
    statements: include_str!("../../migrations/directory/0001-directory.sql"),
    compatible: 1,
}];

/// Most rows that one page of a list holds.
pub const MAX_PAGE: u32 = 1000;

/// The directory's database. Clones share it.
#[derive(Clone)]
pub struct DirectoryTables {
    database: Database,
}

impl DirectoryTables {
    /// Opens the file, or makes it, and brings its schema up to date.
    ///
    /// # Errors
    /// As [`Database::open`].
    pub fn open(path: &Path, now: Timestamp) -> Result<Self, SqlError> {
        Ok(Self { database: Database::open(path, STEPS, now)? })
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
        self.database.read(move |connection| job(&Rows { connection })).await
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
        self.database.write(move |connection| job(&Edit { rows: Rows { connection }, at, request })).await
    }
}

/// The tables as one transaction sees them.
pub struct Rows<'a> {
    connection: &'a Connection,
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
    fn statement(&self, sql: &'static str) -> Result<CachedStatement<'_>, SqlError> {
        Ok(self.connection.prepare_cached(sql)?)
    }

    fn one<T>(
        &self,
        sql: &'static str,
        params: impl Params,
        make: impl FnOnce(&Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Option<T>, SqlError> {
        Ok(self.statement(sql)?.query_row(params, make).optional()?)
    }

    fn many<T>(
        &self,
        sql: &'static str,
        params: impl Params,
        make: impl FnMut(&Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Vec<T>, SqlError> {
        let mut statement = self.statement(sql)?;
        let rows = statement.query_map(params, make)?;
        Ok(rows.collect::<Result<_, _>>()?)
    }
}

impl Edit<'_> {
    /// Runs a statement that changes rows; returns how many.
    fn change(&self, sql: &'static str, params: impl Params) -> Result<usize, SqlError> {
        Ok(self.statement(sql)?.execute(params)?)
    }
}

/// A column whose words are known; any other is damage.
fn word<T>(row: &Row<'_>, column: usize, parse: impl FnOnce(&str) -> Option<T>) -> rusqlite::Result<T> {
    let text: String = row.get(column)?;
    let unknown = || rusqlite::Error::InvalidColumnType(column, text.clone(), rusqlite::types::Type::Text);
    parse(&text).ok_or_else(unknown)
}

#[cfg(test)]
mod tests;
