//! Giving the space of dead blobs back, while the shard works.
//!
//! Two steps, both begun by the caller, segment by segment, who also decides how much is done how fast:
//! - [`Shard::punch`] makes holes where nothing lives: no byte is written for it. Pages that a living blob shares with
//!   a dead one stay.
//! - [`Shard::copy_out`] copies what lives to the end of the log; the segment is removed when nothing is left in it. For
//!   segments where the holes leave too much ([`SegmentUse::is_poor`]).
//!
//! Only segments that no recovery needs are touched. Before the first hole, what was stored is written down in rows
//! (`layout`). Whatever is being read keeps its space (`pins`). May be ended at any point: every step is a commit, or
//! changes nothing that anyone can read.

use super::blob::{BlobRef, BlobSource, MAX_RANGE};
use super::layout::{self, Stored};
use super::places::{self, Location};
use super::record::Head;
use super::rows::{OwnRows, Rows};
use super::transaction::{Relocation, Transaction};
use super::{Blob, Shard, ShardError, Shared, View, live};
use crate::codec::{Reader, put_number};
use std::collections::BTreeSet;
use std::io;
use std::ops::{ControlFlow, Range};
use std::sync::Arc;

/// The unit in which file systems give space back.
const PAGE: u64 = 4096;
/// A segment is looked at again when this part of it has died since the last time.
pub(super) const DUE_PART: u64 = 32;
/// A segment is copied out when it takes this many percent of what lives in it.
const POOR_PERCENT: u64 = 130;
/// Rows of removed segments that one commit takes away.
const SWEEP_STEP: usize = 4000;

/// What a segment that is not written any more holds and takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SegmentUse {
    /// Its number.
    pub segment: u32,
    /// Bytes of its file, holes included.
    pub bytes: u64,
    /// Bytes that it takes on the disk.
    pub allocated: u64,
    /// Bytes of blobs that are referred to.
    pub live: u64,
    /// Bytes of blobs that are not.
    pub dead: u64,
    /// Of those, how many there were when holes were made the last time.
    pub visited: u64,
}

impl SegmentUse {
    /// Whether enough has died since the last time to look at it again.
    pub fn is_due(&self) -> bool {
        self.dead.saturating_sub(self.visited) > self.bytes / DUE_PART
    }

    /// Whether it takes much more than what lives in it is worth, holes or not.
    pub fn is_poor(&self) -> bool {
        self.allocated > self.live / 100 * POOR_PERCENT + 2 * PAGE
    }
}

/// What one call of [`Shard::copy_out`] did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CopiedOut {
    /// Blobs that live elsewhere now.
    pub blobs: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Blobs that cannot be read as they were written. They stay where they are, and their segment with them.
    pub damaged: u64,
    /// Where to go on; `None`: that was all.
    pub next: Option<u64>,
}

impl Shard {
    /// What each segment holds that is full and that no recovery needs, by number.
    ///
    /// # Errors
    /// [`ShardError::Corrupt`], [`ShardError::Io`], [`ShardError::Closed`].
    pub async fn segment_uses(&self) -> Result<Vec<SegmentUse>, ShardError> {
        let before = self.shared.keeping().persisted.segment;
        self.read(move |view| uses(view, before)).await
    }

    /// What every segment holds, also the one that is written and those that a recovery needs, by number.
    ///
    /// # Errors
    /// As [`Shard::segment_uses`].
    pub async fn all_segments(&self) -> Result<Vec<SegmentUse>, ShardError> {
        self.read(|view| uses(view, u32::MAX)).await
    }

    /// Makes holes where nothing lives in a segment; returns how it is then.
    ///
    /// # Errors
    /// [`ShardError::Gone`] where it is not one of [`Shard::segment_uses`] (any more), or the shard is held;
    /// [`ShardError::Corrupt`] where its records cannot be told apart; [`ShardError::Full`], [`ShardError::Io`].
    pub async fn punch(&self, segment: u32) -> Result<SegmentUse, ShardError> {
        let step = self.may_reclaim(segment)?;
        let (known, stored, dead) = self.read(move |view| look(view, segment)).await?;
        if !known {
            let rows = layout::encode(segment, &stored);
            let write = move |tx: &mut Transaction<'_>| {
                rows.iter().try_for_each(|(key, value)| tx.put_own(key, value))
            };
            self.commit(write).await?;
        }
        let dead_bytes = dead.bytes;
        let holes = move |shared: &Shared| {
            // It goes on where nobody waits for it any more.
            let _step = step;
            make_holes(shared, segment, &stored, &dead)
        };
        self.job(holes).await?;
        let note = move |tx: &mut Transaction<'_>| {
            let mut value = Vec::with_capacity(4);
            put_number(&mut value, dead_bytes);
            tx.put_own(&places::visited_key(segment), &value)
        };
        self.commit(note).await?;
        let look = move |view: &View<'_>| {
            let count = view.get(&live::key(segment))?.and_then(|row| live::Live::decode(&row));
            use_of(view, segment, count.unwrap_or_default())
        };
        self.read(look).await?.ok_or(ShardError::Gone)
    }

    /// Copies what lives in a segment, from `from` on (first 0), to the end of the log, until `budget` bytes have been
    /// copied. The segment must have been punched.
    ///
    /// # Errors
    /// As [`Shard::punch`].
    pub async fn copy_out(&self, segment: u32, from: u64, budget: u64) -> Result<CopiedOut, ShardError> {
        let _step = self.may_reclaim(segment)?;
        let job = move |view: &View<'_>| next_live(view, segment, from, budget);
        let (moves, damaged, next) = self.read(job).await?;
        let copy = move |tx: &mut Transaction<'_>| {
            let (mut blobs, mut bytes) = (0, 0);
            for relocation in &moves {
                if tx.relocate(relocation)? {
                    blobs += 1;
                    bytes += relocation.stored_len;
                }
            }
            Ok::<_, ShardError>((blobs, bytes))
        };
        let (blobs, bytes) = self.commit(copy).await?;
        Ok(CopiedOut { blobs, bytes, damaged, next })
    }

    /// Takes away what rows still say of segments that were removed; returns how many rows.
    ///
    /// # Errors
    /// As [`Shard::commit`].
    pub async fn sweep(&self) -> Result<usize, ShardError> {
        let mut swept = 0;
        loop {
            let keys = self.read(rows_of_removed).await?;
            if keys.is_empty() {
                return Ok(swept);
            }
            swept += keys.len();
            self.commit(move |tx| keys.iter().try_for_each(|key| tx.delete_own(key))).await?;
        }
    }

    fn may_reclaim(&self, segment: u32) -> Result<Step, ShardError> {
        let mut keeping = self.shared.keeping();
        let may = segment < keeping.persisted.segment && keeping.holds == 0;
        may.then_some(()).ok_or(ShardError::Gone)?;
        keeping.reclaiming += 1;
        Ok(Step(Arc::clone(&self.shared)))
    }
}

/// A step that is being taken: whoever wants to hold the shard waits for its end.
struct Step(Arc<Shared>);

impl Drop for Step {
    fn drop(&mut self) {
        self.0.keeping().reclaiming -= 1;
        self.0.reclaimed.notify_waiters();
    }
}

/// The dead records of a segment, by the offset of their heads.
struct Dead {
    heads: BTreeSet<u64>,
    bytes: u64,
}

impl Dead {
    fn of(rows: &dyn OwnRows, segment: u32) -> Result<Self, ShardError> {
        let (mut heads, mut bytes, mut bad) = (BTreeSet::new(), 0, None);
        rows.scan_own(places::dead_in(segment), &mut |key, value| {
            let read = Location::of_key(key).map(|at| (at, Reader::new(value).number()));
            match read {
                Ok((at, Some(len))) => {
                    heads.insert(at.offset);
                    bytes += len;
                    ControlFlow::Continue(())
                }
                Ok((_, None)) => {
                    bad = Some(ShardError::corrupt("the row of a dead record"));
                    ControlFlow::Break(())
                }
                Err(error) => {
                    bad = Some(error);
                    ControlFlow::Break(())
                }
            }
        })?;
        bad.map_or(Ok(Self { heads, bytes }), Err)
    }
}

fn uses(view: &View<'_>, before: u32) -> Result<Vec<SegmentUse>, ShardError> {
    let mut uses = Vec::new();
    for (segment, count) in live::load(view)?.range(..before) {
        uses.extend(use_of(view, *segment, *count)?);
    }
    Ok(uses)
}

/// What a segment holds; `None` where it is gone or cannot be opened as one: nothing can be reclaimed there, and the
/// others must not wait for it.
fn use_of(view: &View<'_>, segment: u32, count: live::Live) -> Result<Option<SegmentUse>, ShardError> {
    let opened = match view.segments.get(segment) {
        Err(ShardError::Gone | ShardError::Corrupt(_)) => return Ok(None),
        other => other?,
    };
    let visited = view.get(&places::visited_key(segment))?;
    Ok(Some(SegmentUse {
        segment,
        bytes: opened.file.len().map_err(ShardError::io)?,
        allocated: opened.file.allocated().map_err(ShardError::io)?,
        live: count.live,
        dead: count.total.saturating_sub(count.live),
        visited: visited.and_then(|row| Reader::new(&row).number()).unwrap_or(0),
    }))
}

/// Whether the layout of a segment is in rows, what it is, and what of it is dead.
fn look(view: &View<'_>, segment: u32) -> Result<(bool, Vec<Stored>, Dead), ShardError> {
    let known = layout::read(view, segment)?;
    let is_known = known.is_some();
    let stored = match known {
        Some(stored) => stored,
        None => {
            let segment = view.segments.get(segment)?;
            let len = segment.file.len().map_err(ShardError::io)?;
            layout::scan(&segment, len)?
        }
    };
    Ok((is_known, stored, Dead::of(view, segment)?))
}

/// Makes holes between the living blobs, except where one is being read that is dead.
fn make_holes(shared: &Shared, segment: u32, stored: &[Stored], dead: &Dead) -> Result<(), ShardError> {
    let opened = shared.segments.get(segment)?;
    let len = opened.file.len().map_err(ShardError::io)?;
    for range in unused(stored, dead, len) {
        let Some(_taken) = shared.segments.pins.take(segment, range.clone()) else { continue };
        match opened.file.punch(range.start, range.end - range.start) {
            Err(e) if e.kind() == io::ErrorKind::Unsupported => return Ok(()),
            other => other.map_err(ShardError::io)?,
        }
    }
    Ok(())
}

/// The ranges of whole pages in which nothing lives. The header of the segment does.
fn unused(stored: &[Stored], dead: &Dead, len: u64) -> Vec<Range<u64>> {
    let live = stored.iter().filter(|one| !dead.heads.contains(&one.head()));
    let mut ranges = Vec::new();
    let mut from = PAGE;
    let mut add = |from: u64, to: u64| {
        let (from, to) = (from.next_multiple_of(PAGE), to / PAGE * PAGE);
        if from < to {
            ranges.push(from..to);
        }
    };
    for one in live {
        add(from, one.offset);
        from = from.max(one.end());
    }
    add(from, len);
    ranges
}

/// The next living blobs of a segment, verified; how many of those looked at are damaged; where to go on.
fn next_live(
    view: &View<'_>,
    segment: u32,
    from: u64,
    budget: u64,
) -> Result<(Vec<Relocation>, u64, Option<u64>), ShardError> {
    let (_, stored, dead) = look(view, segment)?;
    let opened = view.segments.get(segment)?;
    let len = opened.file.len().map_err(ShardError::io)?;
    let (mut moves, mut bytes, mut damaged) = (Vec::new(), 0, 0);
    for one in stored.iter().filter(|one| one.offset >= from && !dead.heads.contains(&one.head())) {
        if bytes >= budget {
            return Ok((moves, damaged, Some(one.offset)));
        }
        let location = Location { segment, offset: one.head() };
        let read = (|| {
            let name = match one.copy {
                true => name_at(&layout::head(&opened, one.offset, len)?)?,
                false => location,
            };
            let (meta_len, body_len) = lengths(&layout::head(&opened, one.head(), len)?)?;
            let blob = Blob::of(&opened, BlobRef { segment, offset: one.head(), meta_len, body_len });
            Ok(Relocation { name, location, stored_len: one.len, meta: verified(&blob)?, body: blob })
        })();
        match read {
            Ok(relocation) => {
                bytes += one.len;
                moves.push(relocation);
            }
            Err(ShardError::Corrupt(_)) => damaged += 1,
            Err(other) => return Err(other),
        }
    }
    Ok((moves, damaged, None))
}

/// Reads a blob whole; returns its meta.
pub(super) fn verified(blob: &Blob) -> Result<bytes::Bytes, ShardError> {
    let mut at = 0;
    while at < blob.len() {
        blob.body(at..at + MAX_RANGE)?;
        at += MAX_RANGE;
    }
    blob.meta()
}

pub(super) fn name_at(head: &Head) -> Result<Location, ShardError> {
    match head {
        Head::Name(name) => Ok(*name),
        _ => Err(ShardError::corrupt("a copy without a name")),
    }
}

pub(super) fn lengths(head: &Head) -> Result<(u32, u64), ShardError> {
    match head {
        Head::Blob { meta_len, body_len } => Ok((*meta_len, *body_len)),
        _ => Err(ShardError::corrupt("a layout that names no blob")),
    }
}

/// Some rows of the first segment that has rows of dead records and is not there any more.
fn rows_of_removed(view: &View<'_>) -> Result<Vec<Vec<u8>>, ShardError> {
    let mut segment = 0;
    loop {
        let mut found = None;
        view.scan_own(places::dead_from(segment), &mut |key, _| {
            found = Some(Location::of_key(key));
            ControlFlow::Break(())
        })?;
        let Some(at) = found.transpose()? else { return Ok(Vec::new()) };
        if view.get(&live::key(at.segment))?.is_none() {
            let mut keys = Vec::new();
            for range in
                [places::layout_in(at.segment), places::visited_in(at.segment), places::dead_in(at.segment)]
            {
                view.scan_own(range, &mut |key, _| {
                    keys.push(key.to_vec());
                    if keys.len() < SWEEP_STEP { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
                })?;
            }
            return Ok(keys);
        }
        segment = match at.segment.checked_add(1) {
            Some(next) => next,
            None => return Ok(Vec::new()),
        };
    }
}

/// A stored body as the source of its copy.
impl BlobSource for Blob {
    fn len(&self) -> u64 {
        Blob::len(self)
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        let bytes = self.body(offset..offset + buffer.len() as u64)?;
        if bytes.len() != buffer.len() {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        buffer.copy_from_slice(&bytes);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn holes(stored: &[Stored], dead: &[u64], len: u64) -> Vec<(u64, u64)> {
        let dead = Dead { heads: dead.iter().copied().collect(), bytes: 0 };
        unused(stored, &dead, len).into_iter().map(|range| (range.start, range.end)).collect()
    }

    #[test]
    fn holes_are_whole_pages_between_what_lives() {
        let stored = [(64, 9000), (10_000, 20_000), (30_000, 50), (30_050, 70_000)];
        let stored = stored.map(|(offset, len)| Stored { offset, len, copy: false });
        assert_eq!(holes(&stored, &[], 110_000), [(102_400, 106_496)]);
        assert_eq!(holes(&stored, &[10_000], 100_050), [(12_288, 28_672)]);
        assert_eq!(holes(&stored, &[64, 10_000, 30_000], 100_050), [(4096, 28_672)]);
        assert_eq!(holes(&stored, &[64, 10_000, 30_000, 30_050], 100_050), [(4096, 98_304)]);
    }

    #[test]
    fn a_copy_lives_with_the_name_in_front_of_it() {
        let stored = [Stored { offset: 8192, len: 9000, copy: true }];
        assert_eq!(holes(&stored, &[8192], 20_000), [(4096, 8192)]);
        assert_eq!(holes(&stored, &[8216], 20_480), [(4096, 20_480)]);
    }

    #[test]
    fn a_segment_is_due_when_enough_has_died_and_poor_when_holes_do_not_help() {
        let with = |dead, visited, allocated, live| SegmentUse {
            segment: 1,
            bytes: 64_000,
            allocated,
            live,
            dead,
            visited,
        };
        assert!(!with(2000, 0, 64_000, 62_000).is_due() && with(2001, 0, 64_000, 62_000).is_due());
        assert!(!with(4000, 2000, 60_000, 60_000).is_due());
        assert!(!with(0, 0, 64_000, 62_000).is_poor() && with(0, 0, 64_000, 40_000).is_poor());
        assert!(!with(0, 0, 0, 0).is_poor());
    }
}
