//! A copy of a shard, taken while it works.
//!
//! Promises: the copy is the shard at one moment, with everything that was acknowledged before it; what a full segment
//! was copied for is never copied again. It holds all rows of that moment, the shard's own among them, in one file
//! (`table`), and the log up to that moment. The rows are taken in one go, because they are one snapshot and an index that
//! has to be opened again waits for it; the segments are copied at the pace that was asked for, while no space in them is
//! given back ([`Shard::hold`]).
//!
//! Segments lie in a folder that all copies of the shard share. A full segment never changes but for holes where nothing
//! lives, so one that is there stays as it is; the one that was being written is continued where the last copy ended.
//! What a copy needs is what its [`ShardCopy`] says, up to the lengths there: what stands behind is of later ones, or of one
//! that was interrupted. A file is never written where an earlier copy needs it.
//!
//! A restored shard and the one it was copied from may go on side by side. So each restore begins a *history*, and only
//! segments of the same history are taken for the same.

use super::disk::SegmentFile;
use super::index::{Position, decode_position};
use super::record::{SEGMENT_HEADER, SegmentHeader};
use super::rows::{KeyRange, OWN, OwnRows, Rows, Seen};
use super::segments::{self, Segment};
use super::table::TableWriter;
use super::{Hold, RowsAt, Shard, ShardError, Shared, View, live};
use crate::backup::{BackupError, Steps, Work};
use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::ops::ControlFlow;
use std::os::unix::fs::FileExt as _;
use std::path::PathBuf;
use std::sync::Arc;

/// Bytes that are read at once.
pub(super) const STEP: usize = 1 << 20;
/// What file systems keep in one piece: of those with nothing but zeros no space is taken.
const PAGE: u64 = 4096;
/// Rows between two looks whether the work was ended.
const LOOK: u64 = 4096;

/// Where a copy goes, or is.
#[derive(Debug, Clone)]
pub struct CopyFolder {
    /// The file of its rows.
    pub rows: PathBuf,
    /// The folder of the segments, which all copies of the shard share.
    pub segments: PathBuf,
}

impl CopyFolder {
    /// The file of a segment.
    pub(super) fn segment(&self, segment: &SegmentCopy) -> PathBuf {
        self.segments.join(segment.file_name())
    }
}

/// What a copy consists of.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ShardCopy {
    /// The seed of the shard's sums.
    pub salt: u64,
    /// The history that the shard is of; 0 where it was never restored.
    pub history: u64,
    /// How many rows.
    pub rows: u64,
    /// Bytes of the file of its rows.
    pub rows_bytes: u64,
    /// The sum of that file.
    pub rows_sum: u32,
    /// Its segments, ascending.
    pub segments: Vec<SegmentCopy>,
}

/// What a copy has of one segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SegmentCopy {
    /// Its number.
    pub number: u32,
    /// How many bytes of the file are it.
    pub len: u64,
    /// The sum of those.
    pub sum: u32,
    /// The copy for which the file was begun.
    pub begun: u32,
}

impl SegmentCopy {
    /// The name of its file.
    pub fn file_name(&self) -> String {
        format!("{:010}.{:06}.seg", self.number, self.begun)
    }
}

/// The key of the row that says which history the shard is of.
pub(super) const HISTORY: &[u8] = &[OWN, b'i'];

/// A copy that has its rows: what it is a copy of does not change any more. Its segments are kept as they are until it
/// is dropped.
pub struct RowsTaken {
    shared: Arc<Shared>,
    _hold: Hold,
    to: CopyFolder,
    copy: ShardCopy,
    /// Its segments and how much of each belongs to it.
    segments: Vec<(u32, u64)>,
}

impl Shard {
    /// Copies the shard as it is now. `number` is greater than that of all copies in the folder; `earlier` is the last one,
    /// of which segments are used again.
    ///
    /// # Errors
    /// [`BackupError::Ended`] where the work was ended; where a file cannot be read or written. What was written by then
    /// is in nobody's way.
    pub async fn back_up(
        &self,
        to: CopyFolder,
        number: u32,
        earlier: Option<ShardCopy>,
        work: &Work,
    ) -> Result<ShardCopy, BackupError> {
        self.take_rows(to, work).await?.copy_segments(number, earlier, work).await
    }

    /// The first half of [`Shard::back_up`]: copies what it is at this moment. For copies of several shards that are to be
    /// of about one moment.
    ///
    /// # Errors
    /// As [`Shard::back_up`].
    pub async fn take_rows(&self, to: CopyFolder, work: &Work) -> Result<RowsTaken, BackupError> {
        let hold = self.hold();
        hold.settled().await;
        let shared = Arc::clone(&self.shared);
        work.run(move |steps| take_rows(shared, hold, to, steps)).await
    }
}

impl RowsTaken {
    /// The second half of [`Shard::back_up`].
    ///
    /// # Errors
    /// As [`Shard::back_up`].
    pub async fn copy_segments(
        self,
        number: u32,
        earlier: Option<ShardCopy>,
        work: &Work,
    ) -> Result<ShardCopy, BackupError> {
        let job = move |steps: &Steps| {
            let copier = Copier { shared: &self.shared, to: &self.to, number, steps };
            let segments = copier.copy(&self.copy, &self.segments, &earlier.unwrap_or_default())?;
            Ok(ShardCopy { segments, ..self.copy })
        };
        work.run(job).await
    }
}

/// Writes the rows of this moment to their file.
fn take_rows(
    shared: Arc<Shared>,
    hold: Hold,
    to: CopyFolder,
    steps: &Steps,
) -> Result<RowsTaken, BackupError> {
    let failed = BackupError::file;
    let mut table = TableWriter::create(&to.rows).map_err(failed(&to.rows))?;
    let held = shared.index();
    let seen = Seen::new(&shared.counters.rows_read);
    let view = View { rows: RowsAt::Index(held.get()?.snapshot()), segments: &shared.segments, seen };
    let (mut rows, mut outcome) = (0, Ok(()));
    view.scan_own(KeyRange::prefix([]), &mut |key, value| {
        rows += 1;
        outcome = table.add(key, value).map_err(failed(&to.rows));
        if rows % LOOK == 0 && steps.is_ended() {
            outcome = Err(BackupError::Ended);
        }
        if outcome.is_ok() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    })?;
    outcome?;
    let (segments, history) = (segments_of(&shared, &view)?, history(&view)?);
    drop(view);
    drop(held);
    let written = table.finish().map_err(failed(&to.rows))?;
    let bytes = written.bytes + segments.iter().map(|(_, len)| len).sum::<u64>();
    steps.work().expect(bytes);
    steps.work().wrote(written.bytes);
    steps.step(written.bytes)?;
    let (salt, rows, rows_bytes, rows_sum) =
        (shared.segments.salt(), written.rows, written.bytes, written.sum);
    let copy = ShardCopy { salt, history, rows, rows_bytes, rows_sum, segments: Vec::new() };
    Ok(RowsTaken { shared, _hold: hold, to, copy, segments })
}

/// The segments in which something lives, and the one that is written, with how much of each belongs to the view.
fn segments_of(shared: &Shared, view: &View<'_>) -> Result<Vec<(u32, u64)>, ShardError> {
    let position = view.get(super::index::POSITION)?;
    let position =
        position.map(|row| decode_position(&row).ok_or_else(|| ShardError::corrupt("the position row")));
    let end = position.transpose()?.unwrap_or_default();
    let count = live::load(view)?;
    let needed = count.range(..=end.segment).filter(|(n, count)| count.live > 0 || **n == end.segment);
    needed.map(|(&number, _)| Ok((number, len_of(shared, number, end)?))).collect()
}

/// How much of a segment stands before the end.
fn len_of(shared: &Shared, number: u32, end: Position) -> Result<u64, ShardError> {
    if number == end.segment {
        return Ok(end.offset);
    }
    // Not kept open: there may be more of them than a process may have files.
    segments::open(&*shared.disk, number)?.file.len().map_err(ShardError::io)
}

/// Copies the segments of one shard.
struct Copier<'a> {
    shared: &'a Shared,
    to: &'a CopyFolder,
    number: u32,
    steps: &'a Steps,
}

impl Copier<'_> {
    fn copy(
        &self,
        copy: &ShardCopy,
        segments: &[(u32, u64)],
        earlier: &ShardCopy,
    ) -> Result<Vec<SegmentCopy>, BackupError> {
        let same = earlier.history == copy.history && earlier.salt == copy.salt;
        let known: BTreeMap<u32, &SegmentCopy> =
            earlier.segments.iter().filter(|_| same).map(|s| (s.number, s)).collect();
        let copied = segments.iter().map(|(number, len)| {
            let segment = segments::open(&*self.shared.disk, *number)?;
            self.segment(&segment, *len, known.get(number).copied())
        });
        let copied = copied.collect::<Result<_, _>>()?;
        let folder = &self.to.segments;
        File::open(folder).and_then(|f| f.sync_all()).map_err(BackupError::file(folder))?;
        Ok(copied)
    }

    /// Copies what the folder does not have of a segment.
    fn segment(
        &self,
        from: &Segment,
        len: u64,
        known: Option<&SegmentCopy>,
    ) -> Result<SegmentCopy, BackupError> {
        if let Some(known) = known
            && let Some(to) = self.reusable(from, len, known)?
        {
            if known.len == len {
                self.steps.work().pass(len);
                return Ok(*known);
            }
            let sum = self.sum(from, known.len)?;
            if sum == known.sum {
                return self.append(from, &to, SegmentCopy { len, ..*known }, known.len);
            }
            // Holes were made in it before it was full here: the earlier copy keeps what it has.
            self.steps.work().expect(known.len);
        }
        let whole = SegmentCopy { number: from.header.segment, len, sum: 0, begun: self.number };
        let path = self.to.segment(&whole);
        let to = File::options().read(true).write(true).create(true).truncate(true).open(&path);
        self.append(from, &to.map_err(BackupError::file(&path))?, whole, 0)
    }

    /// The file of an earlier copy, where it is the same segment and as long as it should be.
    fn reusable(&self, from: &Segment, len: u64, known: &SegmentCopy) -> Result<Option<File>, BackupError> {
        let path = self.to.segment(known);
        let file = match File::options().read(true).write(true).open(&path) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
            other => other.map_err(BackupError::file(&path))?,
        };
        let there = file.metadata().map_err(BackupError::file(&path))?.len();
        let mut header = [0; SEGMENT_HEADER as usize];
        let read = file.read_exact_at(&mut header, 0);
        let same = read.is_ok() && SegmentHeader::decode(&header) == Some(from.header);
        Ok((same && there >= known.len && known.len <= len).then_some(file))
    }

    /// The sum of the first `len` bytes of a segment.
    fn sum(&self, segment: &Segment, len: u64) -> Result<u32, BackupError> {
        let mut sum = 0;
        let mut buffer = vec![0; STEP];
        let mut at = 0;
        while at < len {
            let part = &mut buffer[..(len - at).min(STEP as u64) as usize];
            segment.file.read_at(part, at).map_err(ShardError::io)?;
            sum = crc32c::crc32c_append(sum, part);
            at += part.len() as u64;
            self.steps.step(part.len() as u64)?;
        }
        Ok(sum)
    }

    /// Appends what a file lacks from `at` on, makes it durable and says what it is then. The sum is that of what it has.
    fn append(
        &self,
        from: &Segment,
        to: &File,
        mut copy: SegmentCopy,
        mut at: u64,
    ) -> Result<SegmentCopy, BackupError> {
        let path = self.to.segment(&copy);
        let failed = BackupError::file;
        // What stands behind is of a copy that was interrupted.
        to.set_len(at).map_err(failed(&path))?;
        let mut buffer = vec![0; STEP];
        while at < copy.len {
            let part = &mut buffer[..(copy.len - at).min(STEP as u64) as usize];
            from.file.read_at(part, at).map_err(ShardError::io)?;
            copy.sum = crc32c::crc32c_append(copy.sum, part);
            let written = write_sparse(to, part, at).map_err(failed(&path))?;
            self.steps.work().wrote(written);
            at += part.len() as u64;
            self.steps.step(part.len() as u64)?;
        }
        to.set_len(copy.len).and_then(|()| to.sync_all()).map_err(failed(&path))?;
        Ok(copy)
    }
}

/// The history that the rows are of.
pub(super) fn history(rows: &dyn Rows) -> Result<u64, ShardError> {
    let Some(row) = rows.get(HISTORY)? else { return Ok(0) };
    let row = row.as_ref().try_into().map_err(|_| ShardError::corrupt("the row of the history"))?;
    Ok(u64::from_be_bytes(row))
}

/// Writes bytes to a file that is zero there, but for pages that are zero; returns how many it wrote.
pub(super) fn write_sparse(to: &dyn SegmentFile, bytes: &[u8], offset: u64) -> io::Result<u64> {
    let (mut at, mut written) = (0, 0);
    while at < bytes.len() {
        let end = page_end(bytes, offset, at);
        let is_zero = |from: usize, to: usize| bytes[from..to].iter().all(|&b| b == 0);
        let skip = is_zero(at, end);
        let mut run = end;
        while run < bytes.len() && is_zero(run, page_end(bytes, offset, run)) == skip {
            run = page_end(bytes, offset, run);
        }
        if !skip {
            to.write_at(&bytes[at..run], offset + at as u64)?;
            written += (run - at) as u64;
        }
        at = run;
    }
    Ok(written)
}

/// Where the page ends in which this byte stands.
fn page_end(bytes: &[u8], offset: u64, at: usize) -> usize {
    let here = offset + at as u64;
    let left = (here + 1).next_multiple_of(PAGE) - here;
    bytes.len().min(at + left as usize)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn pages_of_zeros_are_left_out_and_read_as_zeros(
            offset in 0..9000u64,
            runs in prop::collection::vec((0..3u8, 1..9000usize), 0..8),
        ) {
            let bytes: Vec<u8> = runs.into_iter().flat_map(|(byte, len)| vec![byte; len]).collect();
            let file = tempfile::tempfile().unwrap();
            let written = write_sparse(&file, &bytes, offset).unwrap();
            prop_assert!(written <= bytes.len() as u64);
            file.set_len(offset + bytes.len() as u64).unwrap();
            let mut read = vec![9; bytes.len()];
            file.read_exact_at(&mut read, offset).unwrap();
            prop_assert_eq!(read, bytes);
        }
    }

    #[test]
    fn holes_cost_no_writing() {
        let file = tempfile::tempfile().unwrap();
        let mut bytes = vec![0; 40_960];
        bytes[9000] = 1;
        assert_eq!(write_sparse(&file, &bytes, 0).unwrap(), PAGE);
    }
}
