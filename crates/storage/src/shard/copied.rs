//! What can be done with a copy of a shard: reading it, verifying it, making a shard of it.
//!
//! A copy is read as it lies, through the same [`View`] as a shard that is open: rows from its file, bodies from its
//! segments. Nothing here changes a copy.

use super::backup::{HISTORY, STEP, write_sparse};
use super::blob::{Blob, BlobRef};
use super::disk::{Disk, Folder, SegmentFile, Space};
use super::index::{Index, POSITION, Position, decode_position};
use super::layout;
use super::read::RowsAt;
use super::reclaim::{lengths, verified};
use super::rows::{Rows, Seen};
use super::segments::{self, Segments};
use super::table::Table;
use super::{CopyFolder, SegmentCopy, ShardCopy, ShardError, ShardOptions, View};
use crate::backup::{BackupError, Steps};
use fjall::Slice;
use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::ops::ControlFlow;
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

/// Bytes of rows that are given to a new index at once.
const BATCH: usize = 1 << 20;
/// How long a new index may take for one of its tables.
const PATIENCE: Duration = Duration::from_secs(120);

/// A copy, open for reading.
pub struct CopiedShard {
    rows: Table,
    segments: Segments,
    folder: CopyFolder,
    copy: ShardCopy,
    rows_read: AtomicU64,
}

impl CopiedShard {
    /// Opens a copy.
    ///
    /// # Errors
    /// [`ShardError::Corrupt`] where the file of the rows is not as it was written, [`ShardError::Io`].
    pub fn open(folder: CopyFolder, copy: ShardCopy) -> Result<Self, ShardError> {
        let rows = Table::open(&folder.rows)?;
        if rows.len() != copy.rows {
            return Err(ShardError::corrupt(format!("{} has other rows", folder.rows.display())));
        }
        let disk = CopiedDisk { folder: folder.clone(), segments: by_name(&copy) };
        let segments = Segments::new(Arc::new(disk), copy.salt);
        Ok(Self { rows, segments, folder, copy, rows_read: AtomicU64::new(0) })
    }

    /// The shard as it was then.
    pub fn view(&self) -> View<'_> {
        let seen = Seen::new(&self.rows_read);
        View { rows: RowsAt::Table(&self.rows), segments: &self.segments, seen }
    }

    /// Reads everything back: sums of the files, then of every row and every body that lived. Tells what is damaged,
    /// file by file; whether the rows refer to what lives is the caller's question ([`View::audit`]).
    ///
    /// # Errors
    /// [`BackupError::Ended`]; [`BackupError::File`] where a file cannot be read at all.
    pub fn verify(&self, steps: &Steps, found: &mut dyn FnMut(Finding)) -> Result<(), BackupError> {
        let copy = &self.copy;
        steps.work().expect(copy.rows_bytes + copy.segments.iter().map(|s| 2 * s.len).sum::<u64>());
        let rows = &self.folder.rows;
        match sum_of(rows, copy.rows_bytes, steps)? {
            Some(sum) if sum == copy.rows_sum => {}
            _ => found(Finding::new(rows, "it is not as it was written")),
        }
        if let Err(ShardError::Corrupt(why)) = self.rows.walk(|_, _| ControlFlow::Continue(())) {
            found(Finding::new(rows, why));
            return Ok(());
        }
        for segment in &copy.segments {
            let path = self.folder.segment(segment);
            match sum_of(&path, segment.len, steps)? {
                Some(sum) if sum == segment.sum => {}
                Some(_) => found(Finding::new(&path, "it is not as it was written")),
                None => {
                    found(Finding::new(&path, format!("it is missing or shorter than {} bytes", segment.len)))
                }
            }
            self.verify_bodies(segment, found)?;
            steps.step(segment.len)?;
        }
        Ok(())
    }

    /// Reads every body that lived in a segment.
    fn verify_bodies(
        &self,
        segment: &SegmentCopy,
        found: &mut dyn FnMut(Finding),
    ) -> Result<(), BackupError> {
        let (path, view) = (self.folder.segment(segment), self.view());
        let mut tell = |error| match error {
            ShardError::Corrupt(why) => {
                found(Finding::new(&path, why));
                Ok(())
            }
            // Said already, or its file is missing with everything in it.
            ShardError::Gone => Ok(()),
            other => Err(BackupError::from(other)),
        };
        let opened = match self.segments.get(segment.number) {
            Ok(opened) => opened,
            Err(error) => return tell(error),
        };
        let living = match view.living(&opened, Some(segment.len)) {
            Ok(living) => living,
            Err(error) => return tell(error),
        };
        for one in living {
            let read = || {
                let (meta_len, body_len) = lengths(&layout::head(&opened, one.head(), segment.len)?)?;
                let at = BlobRef { segment: segment.number, offset: one.head(), meta_len, body_len };
                verified(&Blob::of(&opened, at))
            };
            if let Err(error) = read() {
                tell(error)?;
            }
        }
        Ok(())
    }
}

/// Something in a backup that is not as it should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The file.
    pub path: std::path::PathBuf,
    /// What is wrong with it.
    pub what: String,
}

impl Finding {
    /// This is wrong with this file.
    pub fn new(path: &Path, what: impl AsRef<str>) -> Self {
        Self { path: path.to_path_buf(), what: what.as_ref().to_owned() }
    }
}

/// Makes a shard of a copy, in a folder in which there is none. It begins a history of its own. Where this does not
/// return `Ok`, what is in the folder is no shard, and the caller sees to it that nobody opens it.
///
/// # Errors
/// [`BackupError::Damaged`] where the copy is not as it was written; [`BackupError::Ended`]; where a file cannot be
/// written.
pub fn restore(
    from: &CopyFolder,
    copy: &ShardCopy,
    to: &Path,
    (options, history): (&ShardOptions, u64),
    steps: &Steps,
) -> Result<(), BackupError> {
    steps.work().expect(copy.rows_bytes + copy.segments.iter().map(|s| s.len).sum::<u64>());
    let log = to.join("log");
    let disk = Folder::new(&log).map_err(BackupError::file(&log))?;
    for segment in &copy.segments {
        restore_segment(&from.segment(segment), segment, &log, steps)?;
    }
    disk.sync_folder().map_err(BackupError::file(&log))?;
    restore_rows(from, copy, &to.join("index"), (options, history))?;
    steps.step(copy.rows_bytes)?;
    File::open(to).and_then(|folder| folder.sync_all()).map_err(BackupError::file(to))
}

fn restore_segment(from: &Path, segment: &SegmentCopy, log: &Path, steps: &Steps) -> Result<(), BackupError> {
    let damaged = |what: &str| BackupError::Damaged { path: from.into(), what: what.into() };
    let source = File::open(from).map_err(BackupError::file(from))?;
    let path = log.join(segments::file_name(segment.number));
    let failed = BackupError::file;
    let to = File::options().write(true).create_new(true).open(&path).map_err(failed(&path))?;
    let (mut at, mut sum, mut buffer) = (0, 0, vec![0; STEP]);
    while at < segment.len {
        let part = &mut buffer[..(segment.len - at).min(STEP as u64) as usize];
        source.read_exact_at(part, at).map_err(|e| match e.kind() {
            io::ErrorKind::UnexpectedEof => damaged("it is too short"),
            _ => failed(from)(e),
        })?;
        sum = crc32c::crc32c_append(sum, part);
        steps.work().wrote(write_sparse(&to, part, at).map_err(failed(&path))?);
        at += part.len() as u64;
        steps.step(part.len() as u64)?;
    }
    if sum != segment.sum {
        return Err(damaged("it is not as it was written"));
    }
    to.set_len(segment.len).and_then(|()| to.sync_all()).map_err(failed(&path))
}

fn restore_rows(
    from: &CopyFolder,
    copy: &ShardCopy,
    to: &Path,
    (options, history): (&ShardOptions, u64),
) -> Result<(), BackupError> {
    let table = Table::open(&from.rows)?;
    let Some(position) = table.get(POSITION)? else { return Ok(()) };
    let position = decode_position(&position).ok_or_else(|| ShardError::corrupt("the position row"))?;
    let index = Index::open(to, options)?;
    let mut batch = Batch { index: &index, position, rows: Vec::new(), bytes: 0 };
    let mut outcome = Ok(());
    table.walk(|key, value| {
        if key != POSITION && key != HISTORY {
            outcome = batch.add(key, value);
        }
        if outcome.is_ok() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    })?;
    outcome?;
    batch.add(HISTORY, &history.to_be_bytes())?;
    batch.apply()?;
    index.write_out(PATIENCE)?;
    if table.len() == copy.rows { Ok(()) } else { Err(ShardError::corrupt("the number of rows").into()) }
}

/// Rows on their way into a new index.
struct Batch<'a> {
    index: &'a Index,
    position: Position,
    rows: Vec<(Slice, Option<Slice>)>,
    bytes: usize,
}

impl Batch<'_> {
    fn add(&mut self, key: &[u8], value: &[u8]) -> Result<(), ShardError> {
        self.bytes += key.len() + value.len();
        self.rows.push((Slice::from(key), Some(Slice::from(value))));
        if self.bytes >= BATCH { self.apply() } else { Ok(()) }
    }

    fn apply(&mut self) -> Result<(), ShardError> {
        if !self.index.wait_for_room(PATIENCE) {
            return Err(ShardError::broken("the index does not write its tables"));
        }
        self.bytes = 0;
        self.index.apply(std::mem::take(&mut self.rows).into_iter(), self.position)
    }
}

/// The sum of the first `len` bytes of a file; `None` where it has fewer, or is not there.
pub(crate) fn sum_of(path: &Path, len: u64, steps: &Steps) -> Result<Option<u32>, BackupError> {
    let file = match File::open(path) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
        other => other.map_err(BackupError::file(path))?,
    };
    let (mut at, mut sum, mut buffer) = (0, 0, vec![0; STEP]);
    while at < len {
        let part = &mut buffer[..(len - at).min(STEP as u64) as usize];
        match file.read_exact_at(part, at) {
            Err(e) if e.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
            other => other.map_err(BackupError::file(path))?,
        }
        sum = crc32c::crc32c_append(sum, part);
        at += part.len() as u64;
        steps.step(part.len() as u64)?;
    }
    Ok(Some(sum))
}

fn by_name(copy: &ShardCopy) -> BTreeMap<String, SegmentCopy> {
    copy.segments.iter().map(|s| (segments::file_name(s.number), *s)).collect()
}

/// The segments of a copy as a disk from which can be read.
struct CopiedDisk {
    folder: CopyFolder,
    segments: BTreeMap<String, SegmentCopy>,
}

/// The front of a file.
struct CopiedFile {
    file: File,
    len: u64,
}

impl Disk for CopiedDisk {
    fn create(&self, _: &str) -> io::Result<Arc<dyn SegmentFile>> {
        Err(io::ErrorKind::ReadOnlyFilesystem.into())
    }

    fn open(&self, name: &str) -> io::Result<Arc<dyn SegmentFile>> {
        let segment = self.segments.get(name).ok_or(io::ErrorKind::NotFound)?;
        let file = File::open(self.folder.segment(segment))?;
        Ok(Arc::new(CopiedFile { file, len: segment.len }))
    }

    fn names(&self) -> io::Result<Vec<String>> {
        Ok(self.segments.keys().cloned().collect())
    }

    fn remove(&self, _: &str) -> io::Result<()> {
        Err(io::ErrorKind::ReadOnlyFilesystem.into())
    }

    fn sync_folder(&self) -> io::Result<()> {
        Ok(())
    }

    fn space(&self) -> io::Result<Space> {
        Ok(Space { free: 0, total: 0 })
    }
}

impl SegmentFile for CopiedFile {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        let fits = offset.checked_add(buffer.len() as u64).is_some_and(|end| end <= self.len);
        if !fits {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.file.read_exact_at(buffer, offset)
    }

    fn write_at(&self, _: &[u8], _: u64) -> io::Result<()> {
        Err(io::ErrorKind::ReadOnlyFilesystem.into())
    }

    fn sync_data(&self) -> io::Result<()> {
        Ok(())
    }

    fn truncate(&self, _: u64) -> io::Result<()> {
        Err(io::ErrorKind::ReadOnlyFilesystem.into())
    }

    fn len(&self) -> io::Result<u64> {
        Ok(self.len)
    }

    fn punch(&self, _: u64, _: u64) -> io::Result<()> {
        Err(io::ErrorKind::ReadOnlyFilesystem.into())
    }

    fn allocated(&self) -> io::Result<u64> {
        Ok(self.len)
    }
}
