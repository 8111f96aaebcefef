//! The log of changes, the counters, and the keys of the site.

use super::rows::{ChangeRow, Changed};
use super::statements::{
    CHANGE_INSERT, CHANGE_OF_REQUEST, CHANGE_OLDEST, CHANGES_AFTER, CHANGES_INSERT, CHANGES_PURGE, SECRET,
    SECRET_INSERT,
};
use super::{Edit, MAX_PAGE, Rows, word};
use crate::sql::{SqlError, params};
use mail::time::Timestamp;

impl Rows<'_> {
    /// The number of the last change, 0 where there was none.
    ///
    /// # Errors
    /// Where the database fails.
    pub fn last_change(&self) -> Result<i64, SqlError> {
        self.session.number("change")
    }

    /// The oldest change that the log still has; `None` where it has none.
    ///
    /// # Errors
    /// Where the database fails.
    pub fn oldest_change(&self) -> Result<Option<i64>, SqlError> {
        Ok(self.one(CHANGE_OLDEST, params![], |row| row.get(0))?.flatten())
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
        let found = self.one(CHANGE_OF_REQUEST, params![request], |row| row.get::<i64>(0))?;
        Ok(!request.is_empty() && found.is_some())
    }

    /// A key that belongs to the site.
    ///
    /// # Errors
    /// Where the database fails.
    pub fn secret(&self, name: &str) -> Result<Option<Vec<u8>>, SqlError> {
        self.one(SECRET, params![name], |row| row.get(0))
    }
}

impl Edit<'_> {
    /// Keeps a key of the site, unless there is one of that name.
    ///
    /// # Errors
    /// Where the database fails.
    pub fn keep_secret(&self, name: &str, value: &[u8]) -> Result<(), SqlError> {
        self.put(SECRET_INSERT, params![name, value])
    }

    /// Forgets the changes before that moment; returns how many.
    ///
    /// # Errors
    /// Where the database fails.
    pub fn purge_changes(&self, before: Timestamp) -> Result<u64, SqlError> {
        self.change(CHANGES_PURGE, params![before.as_micros()])
    }

    /// Logs a change.
    pub(super) fn log(&self, what: &Changed) -> Result<(), SqlError> {
        let id = self.session.next_numbers("change", 1)?;
        let (word, entry) = what.columns();
        self.put(CHANGE_INSERT, params![id, self.at.as_micros(), word, entry, self.request])
    }

    /// Logs three changes with one statement, in their order.
    pub(super) fn log_three(&self, all: [&Changed; 3]) -> Result<(), SqlError> {
        let first = self.session.next_numbers("change", 3)?;
        let [(word, entry), (word2, entry2), (word3, entry3)] = all.map(Changed::columns);
        let (id2, id3) = (first + 1, first + 2);
        let (at, request) = (self.at.as_micros(), &self.request);
        let values = params![first, at, word, entry, request, id2, word2, entry2, id3, word3, entry3];
        self.put(CHANGES_INSERT, values)
    }
}
