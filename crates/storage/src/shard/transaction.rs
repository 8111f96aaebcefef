//! What a task of the committer sees and does.
//!
//! Tasks of a group run one after the other; each reads the index with the changes of all tasks before it on top.
//! What a task changes stays only if it returns `Ok`. Reference counts of blobs and the live bytes of segments are
//! rows like all others and change in the same commit.

use super::blob::{Blob, BlobRef, BlobSource};
use super::error::ShardError;
use super::index::{self, Index};
use super::log::{AppendError, Log};
use super::places::Location;
use super::record::NAME_LEN;
use super::rows::{EachRow, KeyRange, MAX_KEY, MAX_VALUE, OWN, OwnRows, Rows, Seen, Value};
use crate::codec::{Reader, put_number};
use bytes::Bytes;
use fjall::Slice;
use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::io;
use std::ops::{Bound, ControlFlow};

/// Most bytes of rows that one task may change.
pub const MAX_TASK_BYTES: usize = 8 << 20;

/// Runs after the commit, on the committer's thread: must be short and must not wait.
pub type AfterCommit = Box<dyn FnOnce() + Send>;

/// How the live and total bytes of blobs in a segment change.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Delta {
    pub(crate) live: i64,
    pub(crate) total: u64,
}

/// What the tasks of one group have changed.
#[derive(Default)]
pub(crate) struct Group {
    pub(crate) rows: BTreeMap<Slice, Option<Slice>>,
    pub(crate) row_bytes: usize,
    pub(crate) segments: BTreeMap<u32, Delta>,
    pub(crate) hooks: Vec<AfterCommit>,
    /// A body was refused because the disk has room for rows only.
    pub(crate) full: bool,
    /// A write failed: the whole group fails.
    pub(crate) failed: Option<io::Error>,
}

/// A task's access to the shard.
pub struct Transaction<'a> {
    index: &'a Index,
    log: &'a mut Log,
    group: &'a mut Group,
    /// What the group had for each row before this task changed it.
    undo: Vec<(Slice, Option<Option<Slice>>)>,
    row_bytes: usize,
    deltas: Vec<(u32, Delta)>,
    hooks: Vec<AfterCommit>,
    log_end: u64,
    free: u64,
    seen: Seen<'a>,
}

impl<'a> Transaction<'a> {
    pub(crate) fn new(
        index: &'a Index,
        log: &'a mut Log,
        group: &'a mut Group,
        (free, seen): (u64, Seen<'a>),
    ) -> Self {
        let log_end = log.end();
        Self {
            index,
            log,
            group,
            undo: Vec::new(),
            row_bytes: 0,
            deltas: Vec::new(),
            hooks: Vec::new(),
            log_end,
            free,
            seen,
        }
    }

    /// Sets a row.
    ///
    /// # Errors
    /// [`ShardError::TooLarge`] beyond [`MAX_KEY`], [`MAX_VALUE`] or [`MAX_TASK_BYTES`], and for a key that is empty
    /// or begins with a zero byte: those are the shard's own.
    pub fn put(&mut self, key: &[u8], value: &[u8]) -> Result<(), ShardError> {
        check_key(key)?;
        if value.len() > MAX_VALUE {
            return Err(ShardError::TooLarge("a value"));
        }
        self.change(key, Some(value))
    }

    /// Removes a row, where there is one.
    ///
    /// # Errors
    /// As [`Transaction::put`].
    pub fn delete(&mut self, key: &[u8]) -> Result<(), ShardError> {
        check_key(key)?;
        self.change(key, None)
    }

    /// Stores a body with its meta. The blob has one reference then, which the task keeps in a row of its own.
    ///
    /// # Errors
    /// [`ShardError::Source`] where the body cannot be read, [`ShardError::Full`], [`ShardError::TooLarge`].
    /// The task should fail then; what it stored before goes with it.
    pub fn store(&mut self, meta: &[u8], body: &dyn BlobSource) -> Result<BlobRef, ShardError> {
        self.append(None, meta, body)
    }

    /// Copies a blob to the end of the log, where it lives from then on. `false` where it is dead, or has been copied
    /// already.
    ///
    /// # Errors
    /// As [`Transaction::store`].
    pub(crate) fn relocate(&mut self, from: &Relocation) -> Result<bool, ShardError> {
        if self.get(&from.location.dead_key())?.is_some() {
            return Ok(false);
        }
        let copy = self.append(Some(from.name), &from.meta, &from.body)?;
        self.change(&from.name.moved_key(), Some(&Location::of(&copy).encode()))?;
        self.bury(from.location, from.stored_len)
    }

    /// Writes down once more how much lives in the segment that is written: a commit with nothing else in it.
    pub(crate) fn count_segment(&mut self) {
        self.deltas.push((self.log.durable().segment, Delta::default()));
    }

    /// Sets one of the shard's own rows.
    pub(crate) fn put_own(&mut self, key: &[u8], value: &[u8]) -> Result<(), ShardError> {
        self.change(key, Some(value))
    }

    /// Removes one of the shard's own rows.
    pub(crate) fn delete_own(&mut self, key: &[u8]) -> Result<(), ShardError> {
        self.change(key, None)
    }

    /// Appends a blob, or the copy of the one of this name.
    fn append(
        &mut self,
        copy_of: Option<Location>,
        meta: &[u8],
        body: &dyn BlobSource,
    ) -> Result<BlobRef, ShardError> {
        if self.group.failed.is_some() {
            return Err(ShardError::Full);
        }
        if self.log.group_bytes().saturating_add(body.len()) > self.free {
            self.group.full = true;
            return Err(ShardError::Full);
        }
        let before = self.log.end();
        match self.log.append(copy_of, meta, body) {
            Ok(blob) => {
                let len = blob.stored_len() + copy_of.map_or(0, |_| NAME_LEN);
                self.deltas.push((blob.segment, Delta { live: len.cast_signed(), total: len }));
                Ok(blob)
            }
            Err(error) => {
                self.log.rewind(before);
                Err(match error {
                    AppendError::Source(e) => ShardError::Source(e.into()),
                    AppendError::TooLarge => ShardError::TooLarge("a body"),
                    AppendError::Write(e) => {
                        self.group.failed = Some(e);
                        ShardError::Full
                    }
                })
            }
        }
    }

    /// Adds references to a blob: one for each further row that will hold it.
    ///
    /// # Errors
    /// Where the index cannot be read.
    pub fn retain(&mut self, blob: &BlobRef, more: u32) -> Result<(), ShardError> {
        if more == 0 {
            return Ok(());
        }
        let key = Location::of(blob).count_key();
        let count = self.references(&key)?.saturating_add(u64::from(more));
        self.set_references(&key, count)
    }

    /// Takes one reference back; with the last one the blob is dead, and its space is reclaimed some time later.
    ///
    /// # Errors
    /// Where the index cannot be read.
    pub fn release(&mut self, blob: &BlobRef) -> Result<(), ShardError> {
        let name = Location::of(blob);
        let count = self.references(&name.count_key())?;
        if count > 1 {
            return self.set_references(&name.count_key(), count - 1);
        }
        let (at, len) = match self.get(&name.moved_key())? {
            None => (name, blob.stored_len()),
            Some(row) => {
                self.change(&name.moved_key(), None)?;
                (Location::decode(&row)?, blob.stored_len() + NAME_LEN)
            }
        };
        self.bury(at, len).map(drop)
    }

    /// Counts what lies at a place as dead; `false` where it is so already, which a row without a body brings about.
    pub(crate) fn bury(&mut self, at: Location, len: u64) -> Result<bool, ShardError> {
        if self.get(&at.dead_key())?.is_some() {
            return Ok(false);
        }
        let mut value = Vec::with_capacity(4);
        put_number(&mut value, len);
        self.deltas.push((at.segment, Delta { live: -len.cast_signed(), total: 0 }));
        self.change(&at.dead_key(), Some(&value))?;
        Ok(true)
    }

    /// Runs the closure once the commit is durable and readers see it; never if it fails.
    pub fn after_commit(&mut self, hook: impl FnOnce() + Send + 'static) {
        self.hooks.push(Box::new(hook));
    }

    /// Keeps what the task did.
    pub(crate) fn keep(self) {
        self.group.row_bytes += self.row_bytes;
        self.group.hooks.extend(self.hooks);
        for (segment, delta) in self.deltas {
            let sum = self.group.segments.entry(segment).or_default();
            sum.live += delta.live;
            sum.total += delta.total;
        }
    }

    /// Undoes what the task did.
    pub(crate) fn discard(self) {
        self.log.rewind(self.log_end);
        for (key, before) in self.undo.into_iter().rev() {
            match before {
                Some(row) => self.group.rows.insert(key, row),
                None => self.group.rows.remove(&key),
            };
        }
    }

    fn change(&mut self, key: &[u8], value: Option<&[u8]>) -> Result<(), ShardError> {
        self.row_bytes += key.len() + value.map_or(0, <[u8]>::len) + 8;
        if self.row_bytes > MAX_TASK_BYTES {
            return Err(ShardError::TooLarge("the change"));
        }
        let key = Slice::from(key);
        let before = self.group.rows.insert(key.clone(), value.map(Slice::from));
        self.undo.push((key, before));
        Ok(())
    }

    /// The references of a blob. One is not written down: most blobs never have another count.
    pub(crate) fn references(&self, key: &[u8]) -> Result<u64, ShardError> {
        let Some(row) = self.get(key)? else { return Ok(1) };
        Reader::new(&row).number().ok_or_else(|| ShardError::corrupt("a reference count"))
    }

    pub(crate) fn set_references(&mut self, key: &[u8], count: u64) -> Result<(), ShardError> {
        if count <= 1 {
            return self.change(key, None);
        }
        let mut value = Vec::with_capacity(2);
        put_number(&mut value, count);
        self.change(key, Some(&value))
    }
}

/// A blob that is to be copied, as it was read and verified.
pub(crate) struct Relocation {
    pub(crate) name: Location,
    /// Where its head is.
    pub(crate) location: Location,
    /// Bytes that it takes there with what belongs to it.
    pub(crate) stored_len: u64,
    pub(crate) meta: Bytes,
    pub(crate) body: Blob,
}

impl OwnRows for Transaction<'_> {
    fn scan_own(&self, range: KeyRange, each: EachRow<'_>) -> Result<(), ShardError> {
        if range.is_empty() {
            return Ok(());
        }
        let changed = self.group.rows.range::<[u8], _>(bounds(&range));
        merge(self.index.range(&range), changed, <[u8]>::cmp, each)
    }
}

impl Rows for Transaction<'_> {
    fn get(&self, key: &[u8]) -> Result<Option<Value>, ShardError> {
        self.seen.one();
        match self.group.rows.get(key) {
            Some(changed) => Ok(changed.clone().map(Value)),
            None => self.index.get(key),
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
        let changed = self.group.rows.range::<[u8], _>(bounds(&range)).rev();
        merge(self.index.range(&range).rev(), changed, |a, b| b.cmp(a), &mut |key, value| {
            self.seen.hand(each, key, value)
        })
    }
}

/// Walks the rows of the index and the changes on top of them, both in the same order.
fn merge<'g>(
    stored: impl Iterator<Item = fjall::Guard>,
    changed: impl Iterator<Item = (&'g Slice, &'g Option<Slice>)>,
    order: impl Fn(&[u8], &[u8]) -> Ordering,
    each: EachRow<'_>,
) -> Result<(), ShardError> {
    let mut changed = changed.peekable();
    let mut emit = |key: &[u8], value: &Option<Slice>| match value {
        Some(value) => each(key, value),
        None => ControlFlow::Continue(()),
    };
    for item in stored {
        let (key, value) = index::row(item)?;
        let mut hidden = false;
        while let Some((k, v)) = changed.next_if(|(k, _)| order(k, &key) != Ordering::Greater) {
            hidden = **k == *key;
            if emit(k, v).is_break() {
                return Ok(());
            }
        }
        if !hidden && emit(&key, &Some(value)).is_break() {
            return Ok(());
        }
    }
    for (key, value) in changed {
        if emit(key, value).is_break() {
            break;
        }
    }
    Ok(())
}

fn bounds(range: &KeyRange) -> (Bound<&[u8]>, Bound<&[u8]>) {
    let to = range.to.as_deref().map_or(Bound::Unbounded, Bound::Excluded);
    (Bound::Included(&range.from), to)
}

fn check_key(key: &[u8]) -> Result<(), ShardError> {
    match key.first() {
        Some(&first) if first != OWN && key.len() <= MAX_KEY => Ok(()),
        _ => Err(ShardError::TooLarge("a key")),
    }
}
