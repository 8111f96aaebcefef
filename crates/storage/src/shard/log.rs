//! The writing end of a shard's log: one segment that grows, one group at a time.
//!
//! Promises: nothing of a group counts before [`Log::finish`] has returned, and then all of it is on the disk; a
//! group that is given up leaves the log as it was. It never retries a sync. It does not decide what to do after a
//! failure: `commit` does.

use super::blob::{BlobRef, BlobSource};
use super::disk::{Disk, SegmentFile};
use super::index::Position;
use super::places::Location;
use super::record::{ALIGN, BLOCK, Head, MAX_META, Place, SEGMENT_HEADER, SegmentHeader, blob_len};
use super::segments::{Segment, Segments, file_name};
use std::io;
use std::sync::Arc;

/// Longest body.
const MAX_BODY: u64 = 1 << 40;

/// Why a blob could not be appended.
#[derive(Debug)]
pub(crate) enum AppendError {
    /// Its source could not be read: only this task fails.
    Source(io::Error),
    /// It is longer than a blob may be.
    TooLarge,
    /// The log could not be written: the whole group fails.
    Write(io::Error),
}

/// Where a group could not be made durable.
#[derive(Debug)]
pub(crate) enum FinishError {
    /// A write failed; the log can go back to where it was ([`Log::give_up`]).
    Write(io::Error),
    /// The sync failed, and with it everything.
    Sync(io::Error),
}

/// The log of one shard, open for writing.
pub(crate) struct Log {
    disk: Arc<dyn Disk>,
    segments: Arc<Segments>,
    current: Arc<Segment>,
    /// The end of the last durable group.
    durable: Position,
    /// Bytes of the open group that are not written yet, and where they go.
    buffer: Vec<u8>,
    buffer_at: u64,
    /// How far the file has been written; beyond `buffer_at` only where a large blob was taken back.
    written: u64,
    buffer_limit: usize,
}

impl Log {
    /// Goes on after `durable` in `current`.
    pub(crate) fn resume(
        disk: Arc<dyn Disk>,
        segments: Arc<Segments>,
        current: Arc<Segment>,
        durable: Position,
        buffer_limit: usize,
    ) -> Self {
        let at = durable.offset;
        segments.keep(&current);
        Self {
            disk,
            segments,
            current,
            durable,
            buffer: Vec::new(),
            buffer_at: at,
            written: at,
            buffer_limit,
        }
    }

    /// The end of the last durable group.
    pub(crate) fn durable(&self) -> Position {
        self.durable
    }

    /// Whether the current segment has any group yet.
    pub(crate) fn has_groups(&self) -> bool {
        self.durable.offset > SEGMENT_HEADER
    }

    /// Bytes that the open group has so far.
    pub(crate) fn group_bytes(&self) -> u64 {
        self.end() - self.durable.offset
    }

    /// Where the next record goes: a point to come back to with [`Log::rewind`].
    pub(crate) fn end(&self) -> u64 {
        self.buffer_at + self.buffer.len() as u64
    }

    /// Appends a blob to the open group, or the copy of the one of this name. On any error call [`Log::rewind`] with
    /// the point before it.
    pub(crate) fn append(
        &mut self,
        copy_of: Option<Location>,
        meta: &[u8],
        body: &dyn BlobSource,
    ) -> Result<BlobRef, AppendError> {
        let meta_len = u32::try_from(meta.len()).map_err(|_| AppendError::TooLarge)?;
        let body_len = body.len();
        if meta.len() > MAX_META || body_len > MAX_BODY || blob_len(meta_len, body_len).is_none() {
            return Err(AppendError::TooLarge);
        }
        let place = self.current.place();
        if let Some(name) = copy_of {
            let offset = self.end();
            Head::Name(name).encode(place, offset, &mut self.buffer);
        }
        let offset = self.end();
        Head::Blob { meta_len, body_len }.encode(place, offset, &mut self.buffer);
        if !meta.is_empty() {
            self.buffer.extend_from_slice(meta);
            self.sum_from(place, meta.len());
        }
        let mut done = 0;
        while done < body_len {
            let len = (body_len - done).min(BLOCK) as usize;
            self.append_block(place, body, done, len)?;
            done += len as u64;
        }
        self.pad();
        Ok(BlobRef { segment: self.current.header.segment, offset, meta_len, body_len })
    }

    /// Drops all records of the open group from this point on.
    pub(crate) fn rewind(&mut self, end: u64) {
        match end.checked_sub(self.buffer_at) {
            Some(keep) => self.buffer.truncate(keep as usize),
            // A part of it is in the file already. Later records overwrite that; `finish` cuts what they don't.
            None => {
                self.buffer.clear();
                self.buffer_at = end;
            }
        }
    }

    /// Ends the open group with its commit record, writes it and syncs it, once.
    pub(crate) fn finish(&mut self, payload: &[u8]) -> Result<Position, FinishError> {
        let (place, offset) = (self.current.place(), self.end());
        let payload_at = offset + super::record::COMMIT_HEAD;
        let head = Head::Commit {
            group: self.durable.group + 1,
            start: self.durable.offset,
            payload_len: u32::try_from(payload.len()).map_err(|e| FinishError::Write(io::Error::other(e)))?,
            payload_sum: place.sum(payload_at, payload),
        };
        head.encode(place, offset, &mut self.buffer);
        self.buffer.extend_from_slice(payload);
        self.pad();
        let end = self.end();
        if self.written > end {
            // Leftovers of a blob that was taken back must not stand behind the group.
            self.current.file.truncate(end).map_err(FinishError::Write)?;
            self.written = end;
        }
        self.flush().map_err(FinishError::Write)?;
        self.current.file.sync_data().map_err(FinishError::Sync)?;
        self.durable = Position { group: self.durable.group + 1, segment: self.durable.segment, offset: end };
        Ok(self.durable)
    }

    /// Gives up the open group: the file ends again where the last durable group did.
    pub(crate) fn give_up(&mut self) -> io::Result<()> {
        let end = self.durable.offset;
        self.buffer.clear();
        self.buffer_at = end;
        self.current.file.truncate(end)?;
        self.written = end;
        Ok(())
    }

    /// Between groups: begins a new segment. The one before it is not written again.
    pub(crate) fn roll(&mut self) -> io::Result<()> {
        let next = self.current.header.segment.checked_add(1).ok_or(io::ErrorKind::FileTooLarge)?;
        let header = SegmentHeader {
            salt: self.current.header.salt,
            segment: next,
            first_group: self.durable.group + 1,
        };
        let file = create(&*self.disk, &header)?;
        self.current = Arc::new(Segment { header, file });
        self.segments.keep(&self.current);
        self.durable = Position { segment: next, offset: SEGMENT_HEADER, ..self.durable };
        (self.buffer_at, self.written) = (SEGMENT_HEADER, SEGMENT_HEADER);
        Ok(())
    }

    fn append_block(
        &mut self,
        place: Place,
        body: &dyn BlobSource,
        from: u64,
        len: usize,
    ) -> Result<(), AppendError> {
        let at = self.buffer.len();
        self.buffer.resize(at + len, 0);
        body.read_at(from, &mut self.buffer[at..]).map_err(AppendError::Source)?;
        self.sum_from(place, len);
        if self.buffer.len() >= self.buffer_limit {
            self.flush().map_err(AppendError::Write)?;
        }
        Ok(())
    }

    /// Appends the sum of the last `len` bytes.
    fn sum_from(&mut self, place: Place, len: usize) {
        let from = self.buffer.len() - len;
        let sum = place.sum(self.buffer_at + from as u64, &self.buffer[from..]);
        self.buffer.extend_from_slice(&sum.to_le_bytes());
    }

    fn pad(&mut self) {
        let end = self.end();
        let padding = end.next_multiple_of(ALIGN) - end;
        self.buffer.resize(self.buffer.len() + padding as usize, 0);
    }

    fn flush(&mut self) -> io::Result<()> {
        self.current.file.write_at(&self.buffer, self.buffer_at)?;
        self.buffer_at += self.buffer.len() as u64;
        self.written = self.written.max(self.buffer_at);
        self.buffer.clear();
        Ok(())
    }
}

/// Makes the file of a new segment, durable with its name before anything is written to it. A file that is there
/// already is the leftover of an attempt that did not get as far as a header.
pub(crate) fn create(disk: &dyn Disk, header: &SegmentHeader) -> io::Result<Arc<dyn SegmentFile>> {
    let name = file_name(header.segment);
    let file = match disk.create(&name) {
        Err(e) if e.kind() == io::ErrorKind::AlreadyExists => disk.open(&name)?,
        other => other?,
    };
    file.truncate(0)?;
    file.write_at(&header.encode(), 0)?;
    file.sync_data()?;
    disk.sync_folder()?;
    Ok(file)
}
