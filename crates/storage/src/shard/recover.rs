//! Opening after any end: what the log has and the index has not is found, verified and applied.
//!
//! Promises: all groups that were ever acknowledged are there after it, or it refuses. Only the last group of the
//! last segment can have been cut short by a crash, because each group is synced before the next is written; it is
//! dropped where it is not whole. Any other damage is corruption and is never repaired by forgetting.

use super::blob::{Blob, BlobRef, MAX_RANGE};
use super::disk::Disk;
use super::error::ShardError;
use super::index::{Index, Position};
use super::log;
use super::record::{ALIGN, COMMIT_HEAD, Head, Op, SEGMENT_HEADER, SegmentHeader};
use super::segments::{self, Segment, file_name, number_of};
use crate::codec::Reader;
use fjall::Slice;
use std::io;
use std::sync::Arc;

/// A whole group of the log.
struct Found {
    segment: Arc<Segment>,
    start: u64,
    payload: (u64, u32),
    end: Position,
}

/// What the log has beyond the index.
pub(crate) struct Tail {
    pub(crate) current: Arc<Segment>,
    /// The end of the last whole group.
    pub(crate) end: Position,
    groups: Vec<Found>,
    /// Where something unfinished stands behind the end.
    torn: bool,
}

/// Finds the tail. `until` is the known end where the log is open for writing; without it the log ends where its
/// last whole group does. `Ok(None)` in `current` never happens: a log has at least one segment.
pub(crate) fn tail(disk: &dyn Disk, index: &Index, until: Option<Position>) -> Result<Tail, ShardError> {
    let numbers = numbers(disk)?;
    let from = start(disk, &numbers, index.position()?)?;
    let last = numbers.last().copied().unwrap_or(from.segment);
    let mut groups = Vec::new();
    let mut at = from;
    let mut number = from.segment;
    loop {
        let segment = Arc::new(segments::open(disk, number).map_err(|e| missing(e, number))?);
        if number != from.segment {
            if segment.header.first_group != at.group + 1 {
                return Err(ShardError::corrupt(format!("{} does not follow", file_name(number))));
            }
            at = Position { segment: number, offset: SEGMENT_HEADER, ..at };
        }
        let stop = until.filter(|u| u.segment == number).map(|u| u.offset);
        let torn = scan(&segment, &mut at, stop, &mut groups)?;
        if number == last {
            return Ok(Tail { current: segment, end: at, groups, torn });
        }
        if torn {
            let what = format!("{} is damaged at offset {}", file_name(number), at.offset);
            return Err(ShardError::corrupt(what));
        }
        number += 1;
    }
}

/// Makes the first segment of a new shard.
pub(crate) fn create_first(disk: &dyn Disk, salt: u64) -> Result<(), ShardError> {
    log::create(disk, &SegmentHeader { salt, segment: 1, first_group: 1 }).map(|_| ()).map_err(ShardError::io)
}

/// Whether the folder has no log yet; an unfinished first segment counts as none.
pub(crate) fn is_new(disk: &dyn Disk) -> Result<bool, ShardError> {
    Ok(numbers(disk)?.is_empty())
}

impl Tail {
    /// Drops what is unfinished and makes sure that the rest is on the disk, not only in the memory of a system
    /// whose last sync may have failed. Also the names: who made the last segment may have ended before they were.
    pub(crate) fn secure(&self, disk: &dyn Disk) -> Result<(), ShardError> {
        disk.sync_folder().map_err(ShardError::io)?;
        let file = &self.current.file;
        if self.torn {
            file.truncate(self.end.offset).map_err(ShardError::io)?;
        }
        // Written once more, because a system that failed to write a page marks it as written: the last group, or the
        // header of a segment that has no group yet, whose maker may have ended before it was synced.
        let last = self.groups.last().filter(|g| Arc::ptr_eq(&g.segment, &self.current));
        let begun = (self.end.offset == SEGMENT_HEADER).then_some(0);
        if let Some(mut at) = last.map(|g| g.start).or(begun) {
            while at < self.end.offset {
                let mut bytes = vec![0; (self.end.offset - at).min(1 << 20) as usize];
                file.read_at(&mut bytes, at).map_err(ShardError::io)?;
                file.write_at(&bytes, at).map_err(ShardError::io)?;
                at += bytes.len() as u64;
            }
        }
        file.sync_data().map_err(ShardError::io)
    }

    /// Applies the groups to the index, in order.
    pub(crate) fn replay(&self, index: &Index) -> Result<(), ShardError> {
        for group in &self.groups {
            let payload = read_payload(group)?;
            let mut r = Reader::new(&payload);
            let mut rows = Vec::new();
            while !r.is_empty() {
                let op = Op::decode(&mut r).ok_or_else(|| damaged(group, "holds no rows"))?;
                rows.push(match op {
                    Op::Put { key, value } => (Slice::from(key), Some(Slice::from(value))),
                    Op::Delete { key } => (Slice::from(key), None),
                });
            }
            index.apply(rows.into_iter(), group.end)?;
        }
        Ok(())
    }

    /// How many groups it has.
    pub(crate) fn len(&self) -> usize {
        self.groups.len()
    }
}

/// The segments of the folder, ascending. A last one without a whole header was never used and does not count.
fn numbers(disk: &dyn Disk) -> Result<Vec<u32>, ShardError> {
    let names = disk.names().map_err(ShardError::io)?;
    let mut numbers: Vec<u32> = names.iter().filter_map(|n| number_of(n)).collect();
    numbers.sort_unstable();
    if let Some(&last) = numbers.last() {
        let len = disk.open(&file_name(last)).and_then(|f| f.len()).map_err(ShardError::io)?;
        let unused =
            len <= SEGMENT_HEADER && matches!(segments::open(disk, last), Err(ShardError::Corrupt(_)));
        if unused {
            numbers.pop();
        }
    }
    Ok(numbers)
}

/// Where replay begins.
fn start(disk: &dyn Disk, numbers: &[u32], applied: Option<Position>) -> Result<Position, ShardError> {
    if let Some(position) = applied {
        if numbers.binary_search(&position.segment).is_err() {
            return Err(ShardError::corrupt("the index is ahead of the log, or the log is missing"));
        }
        return Ok(position);
    }
    let &first = numbers.first().ok_or_else(|| ShardError::corrupt("the log is missing"))?;
    let header = segments::open(disk, first)?.header;
    if header.first_group != 1 {
        return Err(ShardError::corrupt("the index is missing and the log no longer has its beginning"));
    }
    Ok(Position { group: 0, segment: first, offset: SEGMENT_HEADER })
}

/// Collects whole groups from `at` on and moves it behind the last one. `true` where something unfinished follows.
fn scan(
    segment: &Arc<Segment>,
    at: &mut Position,
    stop: Option<u64>,
    groups: &mut Vec<Found>,
) -> Result<bool, ShardError> {
    let len = segment.file.len().map_err(ShardError::io)?;
    let end = stop.unwrap_or(len);
    if len < end || end < at.offset {
        let what = format!("{} is shorter than the index says", file_name(at.segment));
        return Err(ShardError::corrupt(what));
    }
    while at.offset < end {
        let Some(found) = group(segment, *at, end)? else {
            if later_commit(segment, *at, end)? {
                let what = format!("{} is damaged at offset {}", file_name(at.segment), at.offset);
                return Err(ShardError::corrupt(what));
            }
            return Ok(true);
        };
        *at = found.end;
        groups.push(found);
    }
    Ok(false)
}

/// The group that begins at a position, where it is whole.
fn group(segment: &Arc<Segment>, at: Position, end: u64) -> Result<Option<Found>, ShardError> {
    let mut offset = at.offset;
    loop {
        let Some(head) = read_head(segment, offset, end)? else { return Ok(None) };
        let next = head.record_len().and_then(|len| offset.checked_add(len)).filter(|&n| n <= end);
        let Some(next) = next else { return Ok(None) };
        match head {
            Head::Blob { meta_len, body_len } => {
                let at = BlobRef { segment: segment.header.segment, offset, meta_len, body_len };
                if !whole_blob(segment, at)? {
                    return Ok(None);
                }
            }
            Head::Name(_) => {}
            Head::Commit { group, start, payload_len, payload_sum } => {
                let payload = (offset + COMMIT_HEAD, payload_len);
                let end = Position { group, segment: at.segment, offset: next };
                let found = Found { segment: Arc::clone(segment), start: at.offset, payload, end };
                let bytes = read_payload(&found)?;
                let whole = segment.place().sum(payload.0, &bytes) == payload_sum;
                return Ok((whole && group == at.group + 1 && start == at.offset).then_some(found));
            }
        }
        offset = next;
    }
}

fn whole_blob(segment: &Arc<Segment>, at: BlobRef) -> Result<bool, ShardError> {
    let blob = Blob::of(segment, at);
    let verified = |outcome: Result<bytes::Bytes, ShardError>| match outcome {
        Ok(_) => Ok(true),
        Err(ShardError::Corrupt(_)) => Ok(false),
        Err(other) => Err(other),
    };
    if !verified(blob.meta())? {
        return Ok(false);
    }
    let mut from = 0;
    while from < at.body_len {
        if !verified(blob.body(from..from + MAX_RANGE))? {
            return Ok(false);
        }
        from += MAX_RANGE;
    }
    Ok(true)
}

/// Whether a commit of a later group stands anywhere behind a damaged place: then that place was once synced.
fn later_commit(segment: &Segment, at: Position, end: u64) -> Result<bool, ShardError> {
    const STEP: u64 = 1 << 20;
    let mut from = at.offset;
    while from < end {
        // Heads that cross the border of two pieces are whole in the first, which is a little longer.
        let len = (end - from).min(STEP + COMMIT_HEAD);
        let mut bytes = vec![0; len as usize];
        segment.file.read_at(&mut bytes, from).map_err(ShardError::io)?;
        for place in (0..bytes.len()).step_by(ALIGN as usize) {
            let head = Head::decode(segment.place(), from + place as u64, &bytes[place..]);
            if matches!(head, Some(Head::Commit { group, .. }) if group > at.group + 1) {
                return Ok(true);
            }
        }
        from += STEP;
    }
    Ok(false)
}

fn read_head(segment: &Segment, offset: u64, end: u64) -> Result<Option<Head>, ShardError> {
    let mut bytes = vec![0; end.saturating_sub(offset).min(COMMIT_HEAD) as usize];
    segment.file.read_at(&mut bytes, offset).map_err(ShardError::io)?;
    Ok(Head::decode(segment.place(), offset, &bytes))
}

fn read_payload(group: &Found) -> Result<Vec<u8>, ShardError> {
    let (offset, len) = group.payload;
    let mut bytes = vec![0; len as usize];
    group.segment.file.read_at(&mut bytes, offset).map_err(|e| match e.kind() {
        io::ErrorKind::UnexpectedEof => damaged(group, "ends early"),
        _ => ShardError::io(e),
    })?;
    Ok(bytes)
}

fn damaged(group: &Found, how: &str) -> ShardError {
    ShardError::corrupt(format!("group {} of {} {how}", group.end.group, file_name(group.end.segment)))
}

fn missing(error: ShardError, number: u32) -> ShardError {
    match error {
        ShardError::Gone => ShardError::corrupt(format!("{} is missing", file_name(number))),
        other => other,
    }
}
