//! The log of changes, the counters, and the keys of the site.

use super::rows::{ChangeRow, Changed};
use super::statements::{
    CHANGE_INSERT, CHANGE_OF_REQUEST, CHANGE_OLDEST, CHANGES_AFTER, CHANGES_PURGE, COUNTER, COUNTER_NEXT,
    COUNTER_RAISE, SECRET, SECRET_INSERT,
};
use super::{Edit, MAX_PAGE, Rows, word};
use crate::sql::SqlError;
use mail::time::Timestamp;
use rusqlite::params;

impl Rows<'_> {
    /// The number of the last change, 0 where there was none.
    ///
    /// # Errors
    /// Where the database fails.
    pub fn last_change(&self) -> Result<i64, SqlError> {
        self.counter("change")
    }

    /// The oldest change that the log still has; `None` where it has none.
    ///
    /// # Errors
    /// Where the database fails.
    pub fn oldest_change(&self) -> Result<Option<i64>, SqlError> {
        Ok(self.one(CHANGE_OLDEST, [], |row| row.get(0))?.flatten())
    }

    /// The changes after that number, in order, at most `limit` and [`MAX_PAGE`].
    ///
    /// # Errors
    /// Where the database fails or a row is of no known kind.
    pub fn changes_after(&self, id: i64, limit: u32) -> Result<Vec<ChangeRow>, SqlError> {
        self.many(CHANGES_AFTER, params![id, limit.min(MAX_PAGE)], |row| {
            let what: String = row.get(2)?;
            let what = word(row, 3, |entry| Changed::from_columns(&what, entry))?;
            Ok(ChangeRow { id: row.get(0)?, at: Timestamp::from_micros(row.get(1)?), what })
        })
    }

    /// Whether a request of this name has changed something.
    ///
    /// # Errors
    /// Where the database fails.
    pub fn is_done(&self, request: &str) -> Result<bool, SqlError> {
        let found = self.one(CHANGE_OF_REQUEST, [request], |row| row.get::<_, i64>(0))?;
        Ok(!request.is_empty() && found.is_some())
    }

    /// A key that belongs to the site.
    ///
    /// # Errors
    /// Where the database fails.
    pub fn secret(&self, name: &str) -> Result<Option<Vec<u8>>, SqlError> {
        self.one(SECRET, [name], |row| row.get(0))
    }

    fn counter(&self, name: &str) -> Result<i64, SqlError> {
        let value = self.one(COUNTER, [name], |row| row.get(0))?;
        value.ok_or_else(|| SqlError::Broken(format!("the counter {name} is missing")))
    }
}

impl Edit<'_> {
    /// Keeps a key of the site, unless there is one of that name.
    ///
    /// # Errors
    /// Where the database fails.
    pub fn keep_secret(&self, name: &str, value: &[u8]) -> Result<(), SqlError> {
        self.change(SECRET_INSERT, params![name, value]).map(|_| ())
    }

    /// Forgets the changes before that moment; returns how many.
    ///
    /// # Errors
    /// Where the database fails.
    pub fn purge_changes(&self, before: Timestamp) -> Result<usize, SqlError> {
        self.change(CHANGES_PURGE, [before.as_micros()])
    }

    /// Logs a change.
    pub(super) fn log(&self, what: &Changed) -> Result<(), SqlError> {
        let id = self.next("change")?;
        let (word, entry) = what.columns();
        self.change(CHANGE_INSERT, params![id, self.at.as_micros(), word, entry, self.request]).map(|_| ())
    }

    /// The next number of a counter.
    pub(super) fn next(&self, counter: &str) -> Result<i64, SqlError> {
        let value = self.one(COUNTER_NEXT, [counter], |row| row.get(0))?;
        value.ok_or_else(|| SqlError::Broken(format!("the counter {counter} is missing")))
    }

    /// Lifts a counter to a number that was given out by hand.
    pub(super) fn raise(&self, counter: &str, to: i64) -> Result<(), SqlError> {
        self.change(COUNTER_RAISE, params![counter, to]).map(|_| ())
    }
}
