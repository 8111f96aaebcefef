//! Rows of the index as callers see them: ordered byte strings, read one by one or in ranges.
//!
//! The same trait is given to tasks of the committer (with what the group has not written yet on top) and to
//! readers (as of one moment), so that a rule which reads rows is written once.

use super::error::ShardError;
use std::cell::Cell;
use std::fmt;
use std::ops::{ControlFlow, Deref};
use std::sync::atomic::{AtomicU64, Ordering};

/// Longest key.
pub const MAX_KEY: usize = 1024;
/// Longest value.
pub const MAX_VALUE: usize = 1 << 20;
/// Keys that begin with this byte are the shard's own.
pub(crate) const OWN: u8 = 0;

/// The value of a row; cloning is cheap.
#[derive(Clone, PartialEq, Eq)]
pub struct Value(pub(crate) fjall::Slice);

impl Deref for Value {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

/// A range of keys: from a key (inclusive) to another (exclusive) or to the end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyRange {
    pub(crate) from: Vec<u8>,
    pub(crate) to: Option<Vec<u8>>,
}

impl KeyRange {
    /// From `from` up to, but not including, `to`.
    pub fn new(from: impl Into<Vec<u8>>, to: impl Into<Vec<u8>>) -> Self {
        Self { from: from.into(), to: Some(to.into()) }
    }

    /// All keys that begin with `prefix`.
    pub fn prefix(prefix: impl Into<Vec<u8>>) -> Self {
        let from = prefix.into();
        let to = after_prefix(&from);
        Self { from, to }
    }

    /// All keys that begin with `prefix` and are not below `from`: how a page goes on.
    pub fn prefix_from(prefix: &[u8], from: impl Into<Vec<u8>>) -> Self {
        Self { from: from.into().max(prefix.to_vec()), to: after_prefix(prefix) }
    }

    /// Whether no key can be in it.
    pub(crate) fn is_empty(&self) -> bool {
        self.to.as_ref().is_some_and(|to| *to <= self.from)
    }

    /// The same without the shard's own keys.
    pub(crate) fn without_own(mut self) -> Self {
        let first = vec![OWN + 1];
        self.from = self.from.max(first);
        self
    }
}

/// The smallest key above every key with this prefix; none where the prefix is empty or all ones.
fn after_prefix(prefix: &[u8]) -> Option<Vec<u8>> {
    let keep = prefix.iter().rposition(|&b| b != u8::MAX)?;
    let mut to = prefix[..=keep].to_vec();
    to[keep] += 1;
    Some(to)
}

/// Called with the key and the value of each row; `Break` ends the scan.
pub type EachRow<'a> = &'a mut dyn FnMut(&[u8], &[u8]) -> ControlFlow<()>;

/// The key and the value of a row.
pub type Row = (Vec<u8>, Vec<u8>);

/// Counts what one reader or task looks at; told to all when it ends.
pub(crate) struct Seen<'a> {
    rows: Cell<u64>,
    of_all: &'a AtomicU64,
}

impl<'a> Seen<'a> {
    pub(crate) fn new(of_all: &'a AtomicU64) -> Self {
        Self { rows: Cell::new(0), of_all }
    }

    /// A row was looked up.
    pub(crate) fn one(&self) {
        self.rows.set(self.rows.get() + 1);
    }

    /// A row is handed to the caller's closure.
    pub(crate) fn hand(&self, each: EachRow<'_>, key: &[u8], value: &[u8]) -> ControlFlow<()> {
        self.one();
        each(key, value)
    }
}

impl Drop for Seen<'_> {
    fn drop(&mut self) {
        self.of_all.fetch_add(self.rows.get(), Ordering::Relaxed);
    }
}

/// Rows that can be read.
pub trait Rows {
    /// The value of a row.
    ///
    /// # Errors
    /// [`ShardError::Corrupt`] or [`ShardError::Io`] where the index cannot be read.
    fn get(&self, key: &[u8]) -> Result<Option<Value>, ShardError>;

    /// The rows of a range, keys ascending.
    ///
    /// # Errors
    /// As [`Rows::get`].
    fn scan(&self, range: KeyRange, each: EachRow<'_>) -> Result<(), ShardError>;

    /// The rows of a range, keys descending.
    ///
    /// # Errors
    /// As [`Rows::get`].
    fn scan_back(&self, range: KeyRange, each: EachRow<'_>) -> Result<(), ShardError>;

    /// The first row of a range.
    ///
    /// # Errors
    /// As [`Rows::get`].
    fn first(&self, range: KeyRange) -> Result<Option<Row>, ShardError> {
        let mut found = None;
        self.scan(range, &mut |key, value| {
            found = Some((key.to_vec(), value.to_vec()));
            ControlFlow::Break(())
        })?;
        Ok(found)
    }

    /// The last row of a range.
    ///
    /// # Errors
    /// As [`Rows::get`].
    fn last(&self, range: KeyRange) -> Result<Option<Row>, ShardError> {
        let mut found = None;
        self.scan_back(range, &mut |key, value| {
            found = Some((key.to_vec(), value.to_vec()));
            ControlFlow::Break(())
        })?;
        Ok(found)
    }
}

/// Rows with those that the shard keeps for itself.
pub(crate) trait OwnRows: Rows {
    /// As [`Rows::scan`], over own keys, too.
    fn scan_own(&self, range: KeyRange, each: EachRow<'_>) -> Result<(), ShardError>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_ends_before_the_next() {
        assert_eq!(KeyRange::prefix([1, 2]).to, Some(vec![1, 3]));
        assert_eq!(KeyRange::prefix([1, 255]).to, Some(vec![2]));
        assert_eq!(KeyRange::prefix([255, 255]).to, None);
        assert!(KeyRange::new([2], [2]).is_empty());
    }
}
