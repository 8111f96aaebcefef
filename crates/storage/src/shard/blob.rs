//! Bodies in segments: how they are named, where they come from, how any range of one is read and verified.
//!
//! A read touches only the blocks that it needs and returns nothing that did not pass its sum. An open body is pinned:
//! it can be read to its end whatever happens to the message, to its segment and to the space around it.

use super::error::ShardError;
use super::pins::Pin;
use super::record::{BLOB_HEAD, BLOCK, SUM, blob_len, meta_part};
use super::segments::Segment;
use crate::codec::{Reader, put_number};
use bytes::Bytes;
use std::io;
use std::ops::Range;
use std::sync::Arc;

/// Most bytes that one call of [`Blob::body`] returns.
pub const MAX_RANGE: u64 = 4 << 20;

/// No file is as long as this: sums of two such numbers do not overflow.
const MAX_PLACE: u64 = 1 << 56;

/// Where a body comes from when it is stored: of known length, read in pieces of at most 64 KiB.
pub trait BlobSource: Send + Sync {
    /// Its length in bytes; must not change.
    fn len(&self) -> u64;

    /// Fills the buffer from `offset`; called with ranges that lie inside the length.
    ///
    /// # Errors
    /// Where it cannot be read: the commit is then given up.
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()>;

    /// Whether it holds nothing.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl BlobSource for [u8] {
    fn len(&self) -> u64 {
        <[u8]>::len(self) as u64
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        let from = usize::try_from(offset).unwrap_or(usize::MAX);
        let part = self.get(from..).and_then(|rest| rest.get(..buffer.len()));
        buffer.copy_from_slice(part.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }
}

impl BlobSource for Bytes {
    fn len(&self) -> u64 {
        BlobSource::len(&self[..])
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        BlobSource::read_at(&self[..], offset, buffer)
    }
}

/// The name of a stored body: where it is and how long its parts are. Opaque to everyone but the shard it is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct BlobRef {
    pub(crate) segment: u32,
    pub(crate) offset: u64,
    pub(crate) meta_len: u32,
    pub(crate) body_len: u64,
}

impl BlobRef {
    /// Length of the meta in bytes.
    pub fn meta_len(&self) -> u32 {
        self.meta_len
    }

    /// Length of the body in bytes.
    pub fn body_len(&self) -> u64 {
        self.body_len
    }

    /// Appends the name to a row: 4 to 24 bytes, about 10 for usual mail.
    pub fn encode(&self, out: &mut Vec<u8>) {
        put_number(out, u64::from(self.segment));
        put_number(out, self.offset / super::record::ALIGN);
        put_number(out, u64::from(self.meta_len));
        put_number(out, self.body_len);
    }

    /// The name at the front of `row`, and what follows it.
    pub fn decode(row: &[u8]) -> Option<(Self, &[u8])> {
        let mut r = Reader::new(row);
        let segment = r.number32()?;
        let offset = r.number()?.checked_mul(super::record::ALIGN).filter(|&o| o < MAX_PLACE)?;
        let meta_len = r.number32().filter(|&n| n as usize <= super::record::MAX_META)?;
        let body_len = r.number().filter(|&n| n < MAX_PLACE)?;
        Some((Self { segment, offset, meta_len, body_len }, r.rest()))
    }

    /// Bytes that it takes in its segment.
    pub(crate) fn stored_len(&self) -> u64 {
        blob_len(self.meta_len, self.body_len).unwrap_or(u64::MAX)
    }
}

/// A body that is open for reading.
#[derive(Clone)]
pub struct Blob {
    segment: Arc<Segment>,
    /// Where it is, which may be elsewhere than its name says.
    at: BlobRef,
    /// Keeps its space as long as anybody has it open.
    _pin: Option<Arc<Pin>>,
}

impl Blob {
    /// The blob at this place, pinned.
    pub(crate) fn pinned(segment: Arc<Segment>, at: BlobRef, pin: Pin) -> Self {
        Self { segment, at, _pin: Some(Arc::new(pin)) }
    }

    /// The blob at this place of a segment that nobody else changes meanwhile.
    pub(crate) fn of(segment: &Arc<Segment>, at: BlobRef) -> Self {
        Self { segment: Arc::clone(segment), at, _pin: None }
    }

    /// Length of the body in bytes.
    pub fn len(&self) -> u64 {
        self.at.body_len
    }

    /// Whether the body is empty.
    pub fn is_empty(&self) -> bool {
        self.at.body_len == 0
    }

    /// The meta, whole.
    ///
    /// # Errors
    /// [`ShardError::Corrupt`] where its sum is wrong, [`ShardError::Io`].
    pub fn meta(&self) -> Result<Bytes, ShardError> {
        if self.at.meta_len == 0 {
            return Ok(Bytes::new());
        }
        let start = self.at.offset + BLOB_HEAD;
        let mut bytes = self.read(start, meta_part(self.at.meta_len))?;
        self.check_meta(start, &mut bytes)?;
        Ok(bytes.into())
    }

    /// A range of the body, cut at its end and after [`MAX_RANGE`]: the answer may be shorter than asked for.
    ///
    /// # Errors
    /// [`ShardError::Corrupt`] where a sum is wrong, [`ShardError::Io`].
    pub fn body(&self, range: Range<u64>) -> Result<Bytes, ShardError> {
        let end = range.end.min(self.at.body_len).min(range.start.saturating_add(MAX_RANGE));
        if range.start >= end {
            return Ok(Bytes::new());
        }
        let (first, last) = (range.start / BLOCK, (end - 1) / BLOCK);
        let start = self.at.offset + BLOB_HEAD + meta_part(self.at.meta_len) + first * (BLOCK + SUM);
        let data = (self.at.body_len - first * BLOCK).min((last - first + 1) * BLOCK);
        let mut bytes = self.read(start, data + (last - first + 1) * SUM)?;
        let kept = self.check_blocks(start, &mut bytes)?;
        bytes.truncate(kept);
        let skip = usize_of(range.start - first * BLOCK)?;
        let len = usize_of(end - range.start)?;
        Ok(Bytes::from(bytes).slice(skip..skip + len))
    }

    /// Whether the file ends before it does.
    pub(crate) fn ends_early(&self) -> bool {
        let end = self.at.offset.saturating_add(self.at.stored_len());
        self.segment.file.len().is_ok_and(|len| len < end)
    }

    fn read(&self, offset: u64, len: u64) -> Result<Vec<u8>, ShardError> {
        let mut bytes = vec![0; usize_of(len)?];
        self.segment.file.read_at(&mut bytes, offset).map_err(|e| match e.kind() {
            io::ErrorKind::UnexpectedEof => ShardError::corrupt(format!("{self:?} ends early")),
            _ => ShardError::io(e),
        })?;
        Ok(bytes)
    }

    /// Verifies the blocks that were read from `start` and closes the gaps that their sums leave.
    /// Returns how many bytes of body stand at the front then.
    fn check_blocks(&self, start: u64, bytes: &mut [u8]) -> Result<usize, ShardError> {
        let step = usize_of(BLOCK + SUM)?;
        let (mut kept, mut at) = (0, 0);
        while at < bytes.len() {
            let end = bytes.len().min(at + step);
            let data_end = end - usize_of(SUM)?;
            self.check_one(start + at as u64, &bytes[at..data_end], &bytes[data_end..end])?;
            if kept != at {
                bytes.copy_within(at..data_end, kept);
            }
            kept += data_end - at;
            at = end;
        }
        Ok(kept)
    }

    fn check_meta(&self, start: u64, bytes: &mut Vec<u8>) -> Result<(), ShardError> {
        let data_end = bytes.len() - usize_of(SUM)?;
        self.check_one(start, &bytes[..data_end], &bytes[data_end..])?;
        bytes.truncate(data_end);
        Ok(())
    }

    fn check_one(&self, offset: u64, data: &[u8], sum: &[u8]) -> Result<(), ShardError> {
        if self.segment.place().sum(offset, data).to_le_bytes() == sum {
            return Ok(());
        }
        Err(ShardError::corrupt(format!("{self:?} has a wrong sum at offset {offset}")))
    }
}

impl std::fmt::Debug for Blob {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "body at {}:{} of {} bytes", self.at.segment, self.at.offset, self.at.body_len)
    }
}

fn usize_of(n: u64) -> Result<usize, ShardError> {
    usize::try_from(n).map_err(|_| ShardError::TooLarge("a range"))
}
