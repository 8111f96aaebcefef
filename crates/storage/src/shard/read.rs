//! What a reader sees: the shard at one moment.

use super::blob::{Blob, BlobRef};
use super::error::ShardError;
use super::index::{IndexSnapshot, walk};
use super::rows::{EachRow, KeyRange, OwnRows, Rows, Seen, Value};
use super::segments::Segments;
use super::table::Table;

/// The rows at one moment, and the bodies. Of a shard that is open it only lives inside the closure of
/// [`Shard::read`](super::Shard::read), so that nothing old is kept for long.
pub struct View<'a> {
    pub(crate) rows: RowsAt<'a>,
    pub(crate) segments: &'a Segments,
    pub(crate) seen: Seen<'a>,
}

/// Rows that do not change any more.
pub(crate) enum RowsAt<'a> {
    /// Of an open shard.
    Index(IndexSnapshot<'a>),
    /// Of a backup.
    Table(&'a Table),
}

impl View<'_> {
    /// The rows as they are by now: what this view still has may be gone there.
    pub fn newest(&self) -> &dyn Rows {
        match &self.rows {
            RowsAt::Index(rows) => rows.index,
            RowsAt::Table(rows) => *rows,
        }
    }

    /// Opens a body.
    ///
    /// # Errors
    /// [`ShardError::Gone`] where its segment was removed since this moment, [`ShardError::Io`].
    pub fn blob(&self, blob: &BlobRef) -> Result<Blob, ShardError> {
        self.segments.blob(self.newest(), blob)
    }
}

impl OwnRows for View<'_> {
    fn scan_own(&self, range: KeyRange, each: EachRow<'_>) -> Result<(), ShardError> {
        if range.is_empty() {
            return Ok(());
        }
        match &self.rows {
            RowsAt::Index(rows) => walk(rows.range(&range), each),
            RowsAt::Table(rows) => rows.scan_own(range, each),
        }
    }
}

impl Rows for View<'_> {
    fn get(&self, key: &[u8]) -> Result<Option<Value>, ShardError> {
        self.seen.one();
        match &self.rows {
            RowsAt::Index(rows) => rows.get(key),
            RowsAt::Table(rows) => rows.get(key),
        }
    }

    fn scan(&self, range: KeyRange, each: EachRow<'_>) -> Result<(), ShardError> {
        self.scan_own(range.without_own(), &mut |key, value| self.seen.hand(each, key, value))
    }

    fn scan_back(&self, range: KeyRange, each: EachRow<'_>) -> Result<(), ShardError> {
        let range = range.without_own();
        if range.is_empty() {
            return Ok(());
        }
        let counted: EachRow<'_> = &mut |key, value| self.seen.hand(each, key, value);
        match &self.rows {
            RowsAt::Index(rows) => walk(rows.range(&range).rev(), counted),
            RowsAt::Table(rows) => rows.scan_back(range, counted),
        }
    }
}
