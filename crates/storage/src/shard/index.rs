//! The ordered rows of a shard, in fjall.
//!
//! The index is never the only copy of what was acknowledged since it last wrote a table: the log is. Each group is
//! applied as one batch, without a sync, together with the position of the log after it. Opening takes only what is in
//! tables, which are synced when they are written; the log gives back the rest (`recover`). fjall's own journal would
//! give it back more slowly, and may hold what a failed sync has taken from the disk. All rows are in one keyspace, so
//! that they cannot come apart.

use super::error::ShardError;
use super::options::ShardOptions;
use super::rows::{EachRow, KeyRange, OWN, OwnRows, Rows, Value};
use crate::codec::{Reader, put_number};
use fjall::config::{BlockSizePolicy, PartitioningPolicy, PinningPolicy};
use fjall::{Database, Keyspace, KeyspaceCreateOptions, PersistMode, Readable, Slice, Snapshot};
use std::collections::BTreeMap;
use std::io;
use std::ops::{Bound, ControlFlow};
use std::path::Path;
use std::time::Duration;

/// A point of the log: the end of a group. The default is before everything.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(crate) struct Position {
    /// The group that ends here; 0 where none has been written.
    pub(crate) group: u64,
    pub(crate) segment: u32,
    pub(crate) offset: u64,
}

/// The changed rows of a group: `None` deletes.
pub(crate) type Change = (Slice, Option<Slice>);

/// The index of one shard.
pub(crate) struct Index {
    db: Database,
    rows: Keyspace,
}

impl Index {
    /// Opens the index in a folder as its tables have it, or makes one.
    pub(crate) fn open(path: &Path, options: &ShardOptions) -> Result<Self, ShardError> {
        forget_journal(path).map_err(|e| failed(&fjall::Error::Io(e)))?;
        let db = Database::builder(path)
            .cache_size(options.index_cache)
            .max_journaling_size(64 << 20)
            .worker_threads(2)
            .open()
            .map_err(|e| failed(&e))?;
        let make = || {
            KeyspaceCreateOptions::default()
                .max_memtable_size(options.index_memtable)
                .data_block_size_policy(BlockSizePolicy::all(4096))
                // In pieces: the filter of a table of 64 MB is 1.6 MB, which no cache of a shard's size keeps.
                .filter_block_partitioning_policy(PartitioningPolicy::all(true))
                .index_block_partitioning_policy(PartitioningPolicy::all(true))
                .filter_block_pinning_policy(PinningPolicy::all(false))
                .index_block_pinning_policy(PinningPolicy::all(false))
        };
        let rows = db.keyspace("rows", make).map_err(|e| failed(&e))?;
        Ok(Self { db, rows })
    }

    /// The newest value of a row.
    pub(crate) fn get(&self, key: &[u8]) -> Result<Option<Value>, ShardError> {
        Ok(self.rows.get(key).map_err(|e| failed(&e))?.map(Value))
    }

    /// The newest rows of a range.
    pub(crate) fn range(&self, range: &KeyRange) -> fjall::Iter {
        self.rows.range::<&[u8], _>(bounds(range))
    }

    /// The rows as they are now, and stay for who holds it.
    pub(crate) fn snapshot(&self) -> IndexSnapshot<'_> {
        IndexSnapshot { index: self, at: self.db.snapshot() }
    }

    /// Applies the rows of a group. On failure nothing or all of them stand, and the index takes no more.
    pub(crate) fn apply(
        &self,
        changes: impl ExactSizeIterator<Item = Change>,
        position: Position,
    ) -> Result<(), ShardError> {
        let mut batch = fjall::OwnedWriteBatch::with_capacity(self.db.clone(), changes.len() + 1);
        for (key, value) in changes {
            match value {
                Some(value) => batch.insert(&self.rows, key, value),
                None => batch.remove(&self.rows, key),
            }
        }
        batch.insert(&self.rows, POSITION, encode_position(position));
        batch.commit().map_err(|e| failed(&e))
    }

    /// Waits, for at most `patience`, until the index has caught up with writing its tables. fjall itself waits
    /// without end where four tables are due (fjall issue 257), so nothing is handed to it before that.
    /// `false` where it has not.
    pub(crate) fn wait_for_room(&self, patience: Duration) -> bool {
        self.wait_for_tables(2, patience).is_ok()
    }

    /// Waits until at most this many tables are due.
    fn wait_for_tables(&self, at_most: usize, patience: Duration) -> Result<(), ShardError> {
        let step = Duration::from_millis(2);
        let mut waited = Duration::ZERO;
        while self.rows.sealed_memtable_count() > at_most {
            // Fails where a thread of the index has failed: then there is nothing to wait for.
            self.db.persist(PersistMode::Buffer).map_err(|e| failed(&e))?;
            if waited >= patience {
                return Err(ShardError::broken("the index does not write its tables"));
            }
            std::thread::sleep(step);
            waited += step;
        }
        Ok(())
    }

    /// Where the log was after the last group that was applied.
    pub(crate) fn position(&self) -> Result<Option<Position>, ShardError> {
        let Some(row) = self.get(POSITION)? else { return Ok(None) };
        let position = decode_position(&row).ok_or_else(|| ShardError::corrupt("the position row"))?;
        Ok(Some(position))
    }

    /// Makes all that was applied durable: writes the rows that are only in memory to a table, and waits for it, at most
    /// this long.
    pub(crate) fn write_out(&self, patience: Duration) -> Result<(), ShardError> {
        self.rows.rotate_memtable().map_err(|e| failed(&e))?;
        self.wait_for_tables(0, patience)
    }
}

impl Rows for Index {
    fn get(&self, key: &[u8]) -> Result<Option<Value>, ShardError> {
        Self::get(self, key)
    }

    fn scan(&self, range: KeyRange, each: EachRow<'_>) -> Result<(), ShardError> {
        self.scan_own(range.without_own(), each)
    }

    fn scan_back(&self, range: KeyRange, each: EachRow<'_>) -> Result<(), ShardError> {
        walk(self.range(&range.without_own()).rev(), each)
    }
}

impl OwnRows for Index {
    fn scan_own(&self, range: KeyRange, each: EachRow<'_>) -> Result<(), ShardError> {
        if range.is_empty() {
            return Ok(());
        }
        walk(self.range(&range), each)
    }
}

/// The index at one moment.
pub(crate) struct IndexSnapshot<'a> {
    pub(crate) index: &'a Index,
    at: Snapshot,
}

impl IndexSnapshot<'_> {
    pub(crate) fn get(&self, key: &[u8]) -> Result<Option<Value>, ShardError> {
        Ok(self.at.get(&self.index.rows, key).map_err(|e| failed(&e))?.map(Value))
    }

    pub(crate) fn range(&self, range: &KeyRange) -> fjall::Iter {
        self.at.range::<&[u8], _>(&self.index.rows, bounds(range))
    }
}

/// Empties fjall's journal: the newest file is cut, for fjall takes its place in the order from it; older ones go.
fn forget_journal(path: &Path) -> io::Result<()> {
    let entries = match std::fs::read_dir(path) {
        Ok(entries) => entries,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(e) => return Err(e),
    };
    let mut journals = BTreeMap::new();
    for entry in entries {
        let path = entry?.path();
        let number = path.file_stem().and_then(|n| n.to_str()).and_then(|n| n.parse::<u64>().ok());
        if let Some(number) = number.filter(|_| path.extension().is_some_and(|e| e == "jnl")) {
            journals.insert(number, path);
        }
    }
    if let Some((_, newest)) = journals.pop_last() {
        std::fs::OpenOptions::new().write(true).open(newest)?.set_len(0)?;
    }
    journals.values().try_for_each(std::fs::remove_file)
}

/// The key and value of an item of a range.
pub(crate) fn row(item: fjall::Guard) -> Result<(Slice, Slice), ShardError> {
    item.into_inner().map_err(|e| failed(&e))
}

/// Hands the rows of an iterator to the caller's closure.
pub(crate) fn walk(rows: impl Iterator<Item = fjall::Guard>, each: EachRow<'_>) -> Result<(), ShardError> {
    for item in rows {
        let (key, value) = row(item)?;
        if each(&key, &value) == ControlFlow::Break(()) {
            break;
        }
    }
    Ok(())
}

fn bounds(range: &KeyRange) -> (Bound<&[u8]>, Bound<&[u8]>) {
    let to = range.to.as_deref().map_or(Bound::Unbounded, Bound::Excluded);
    (Bound::Included(&range.from), to)
}

fn encode_position(position: Position) -> Vec<u8> {
    let mut out = Vec::with_capacity(16);
    put_number(&mut out, position.group);
    put_number(&mut out, u64::from(position.segment));
    put_number(&mut out, position.offset);
    out
}

pub(crate) fn decode_position(row: &[u8]) -> Option<Position> {
    let mut r = Reader::new(row);
    Some(Position { group: r.number()?, segment: r.number32()?, offset: r.number()? })
}

/// What failed in fjall, in our terms.
fn failed(error: &fjall::Error) -> ShardError {
    match error {
        fjall::Error::Locked => ShardError::Locked,
        fjall::Error::Io(e) if super::error::is_full(e) => ShardError::Full,
        fjall::Error::Io(_) | fjall::Error::Poisoned => {
            ShardError::broken(format!("the index failed: {error:?}"))
        }
        _ => ShardError::corrupt(format!("the index: {error:?}")),
    }
}

/// The key of the position.
pub(crate) const POSITION: &[u8] = &[OWN, b'p'];

#[cfg(test)]
mod tests {
    use super::*;

    fn at(group: u64) -> Position {
        Position { group, segment: 1, offset: group }
    }

    #[test]
    fn opening_takes_what_is_in_tables_and_leaves_the_rest_to_the_log() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("index");
        let put = |index: &Index, row: &'static [u8], position| {
            index.apply([(row.into(), Some(row.into()))].into_iter(), position).unwrap();
        };
        let index = Index::open(&path, &ShardOptions::default()).unwrap();
        put(&index, b"a", at(1));
        index.write_out(Duration::from_secs(10)).unwrap();
        put(&index, b"b", at(2));
        drop(index);
        let index = Index::open(&path, &ShardOptions::default()).unwrap();
        assert_eq!(index.position().unwrap(), Some(at(1)));
        assert!(index.get(b"a").unwrap().is_some() && index.get(b"b").unwrap().is_none());
        // What is given back counts as newer than all before.
        put(&index, b"b", at(2));
        index.write_out(Duration::from_secs(10)).unwrap();
        index.apply([("a".into(), None)].into_iter(), at(3)).unwrap();
        assert!(index.get(b"a").unwrap().is_none() && index.get(b"b").unwrap().is_some());
    }
}
