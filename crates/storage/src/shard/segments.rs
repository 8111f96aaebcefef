//! The open segment files of a shard, shared by the committer and all readers.
//!
//! At most [`MAX_OPEN`] stay open; a reader that holds one keeps it, so removing or closing here never disturbs it.

use super::blob::{Blob, BlobRef};
use super::disk::{Disk, SegmentFile};
use super::error::ShardError;
use super::live;
use super::pins::Pins;
use super::places::Location;
use super::record::{Place, SEGMENT_HEADER, SegmentHeader};
use super::rows::Rows;
use std::collections::HashMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Segment files kept open by one shard.
const MAX_OPEN: usize = 128;

/// How often a blob may be copied elsewhere while it is being looked for.
const MAX_MOVES: usize = 8;

/// One open segment.
pub(crate) struct Segment {
    pub(crate) header: SegmentHeader,
    pub(crate) file: Arc<dyn SegmentFile>,
}

impl Segment {
    /// The seed of its sums.
    pub(crate) fn place(&self) -> Place {
        Place { salt: self.header.salt, segment: self.header.segment }
    }
}

/// All segments of a shard.
pub(crate) struct Segments {
    disk: Arc<dyn Disk>,
    salt: u64,
    open: Mutex<Opened>,
    pub(crate) pins: Arc<Pins>,
}

/// Segments that are kept open.
#[derive(Default)]
struct Opened {
    files: HashMap<u32, Arc<Segment>>,
    /// How often one was forgotten: what was opened before that may be what is to be forgotten.
    forgotten: u64,
}

impl Segments {
    pub(crate) fn new(disk: Arc<dyn Disk>, salt: u64) -> Self {
        Self { disk, salt, open: Mutex::default(), pins: Arc::default() }
    }

    /// The seed of the shard's sums.
    pub(crate) fn salt(&self) -> u64 {
        self.salt
    }

    /// Who asks for it next opens its file anew: it is on another volume, or gone.
    pub(crate) fn forget(&self, number: u32) {
        let mut open = self.lock();
        open.forgotten += 1;
        open.files.remove(&number);
    }

    /// The segment with this number, opened where it is not open yet.
    pub(crate) fn get(&self, number: u32) -> Result<Arc<Segment>, ShardError> {
        let forgotten = {
            let open = self.lock();
            if let Some(segment) = open.files.get(&number) {
                return Ok(Arc::clone(segment));
            }
            open.forgotten
        };
        // Opened outside the lock: two readers may open it twice, which costs less than all of them waiting.
        let segment = Arc::new(open(&*self.disk, number)?);
        if segment.header.salt != self.salt {
            return Err(ShardError::corrupt(format!("segment {number} belongs to another shard")));
        }
        let mut open = self.lock();
        if open.forgotten == forgotten {
            open.keep(&segment);
        }
        Ok(segment)
    }

    /// Opens the blob of this name, wherever it is by now.
    pub(crate) fn blob(&self, newest: &dyn Rows, name: &BlobRef) -> Result<Blob, ShardError> {
        let mut at = *name;
        for _ in 0..MAX_MOVES {
            match self.blob_at(newest, at) {
                Err(ShardError::Gone) => {}
                other => return other,
            }
            let row = newest.get(&Location::of(name).moved_key())?.ok_or(ShardError::Gone)?;
            let Location { segment, offset } = Location::decode(&row)?;
            at = BlobRef { segment, offset, ..*name };
        }
        Err(ShardError::Gone)
    }

    /// Opens the blob at this place. Pinned first and looked at then: what lives after it is pinned keeps its space.
    fn blob_at(&self, newest: &dyn Rows, at: BlobRef) -> Result<Blob, ShardError> {
        let segment = match self.get(at.segment) {
            Err(ShardError::Gone) => return Err(without_file(newest, at.segment)?),
            other => other?,
        };
        let pin = self.pins.pin(at.segment, at.offset).ok_or(ShardError::Gone)?;
        if newest.get(&Location::of(&at).dead_key())?.is_some() {
            return Err(ShardError::Gone);
        }
        Ok(Blob::pinned(segment, at, pin))
    }

    /// Whether there is no file of this number.
    pub(crate) fn is_missing(&self, number: u32) -> bool {
        matches!(self.get(number), Err(ShardError::Gone))
    }

    /// Keeps a segment open for readers.
    pub(crate) fn keep(&self, segment: &Arc<Segment>) {
        self.lock().keep(segment);
    }

    /// Removes the file of a segment; makes the removal durable.
    pub(crate) fn remove(&self, number: u32) -> io::Result<()> {
        match self.disk.remove(&file_name(number)) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
            _ => {}
        }
        // After the file: who opened it before must not keep it, and its space, for those who come later.
        self.forget(number);
        self.disk.sync_folder()
    }

    fn lock(&self) -> MutexGuard<'_, Opened> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Opened {
    fn keep(&mut self, segment: &Arc<Segment>) {
        if self.files.len() >= MAX_OPEN {
            // The oldest is the least likely to be asked for: mail is read soon after it came.
            let oldest = self.files.keys().min().copied();
            oldest.map(|n| self.files.remove(&n));
        }
        self.files.insert(segment.header.segment, Arc::clone(segment));
    }
}

/// What it means that a segment has no file. The keeper removes only what holds nothing, as the newest rows have it.
fn without_file(newest: &dyn Rows, segment: u32) -> Result<ShardError, ShardError> {
    let row = newest.get(&live::key(segment))?;
    let live = row.and_then(|row| live::Live::decode(&row)).unwrap_or_default().live;
    Ok(match live {
        0 => ShardError::Gone,
        _ => ShardError::corrupt(format!("{} is missing", file_name(segment))),
    })
}

/// The name of a segment's file.
pub(crate) fn file_name(number: u32) -> String {
    format!("{number:010}.seg")
}

/// The number in a segment's file name.
pub(crate) fn number_of(name: &str) -> Option<u32> {
    let digits = name.strip_suffix(".seg")?;
    (digits.len() == 10).then(|| digits.parse().ok())?
}

/// Opens a segment and verifies that it is what its name says.
pub(crate) fn open(disk: &dyn Disk, number: u32) -> Result<Segment, ShardError> {
    let file = disk.open(&file_name(number)).map_err(|e| match e.kind() {
        io::ErrorKind::NotFound => ShardError::Gone,
        _ => ShardError::io(e),
    })?;
    let mut bytes = [0; SEGMENT_HEADER as usize];
    let whole = match file.read_at(&mut bytes, 0) {
        Ok(()) => SegmentHeader::decode(&bytes),
        Err(e) if e.kind() == io::ErrorKind::UnexpectedEof => None,
        Err(e) => return Err(ShardError::io(e)),
    };
    match whole {
        Some(header) if header.segment == number => Ok(Segment { header, file }),
        _ => Err(ShardError::corrupt(format!("{} has no valid header", file_name(number)))),
    }
}
