//! The changes above the tables: a file to which frames are appended, and what its readers make of it in memory.
//!
//! A frame is what one round of the writer has learnt: a position in the directory's log of changes and the entries that are
//! other up to there. It counts whole or not at all. The file is not synced: what a crash takes away is
//! learnt again from the log.

use super::entry::{Coded, Key, decode};
use super::{ReplicaError, failed};
use crate::codec::{Reader, put_bytes, put_number, put_signed};
use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Bytes of a frame before its own: length and sum.
const HEAD: u64 = 8;
/// Longest frame.
pub(super) const MAX_FRAME: usize = 64 << 20;

/// One frame, read.
#[derive(Debug)]
pub(super) struct Frame {
    pub(super) position: i64,
    /// Keys with the bytes of their entries.
    pub(super) entries: Vec<(Key, Arc<Coded>)>,
}

/// A file of changes as a reader follows it.
#[derive(Debug)]
pub(super) struct Tail {
    pub(super) number: u64,
    path: PathBuf,
    file: File,
    /// Where the next frame begins.
    pub(super) at: u64,
}

impl Tail {
    pub(super) fn open(path: PathBuf, number: u64) -> Result<Self, ReplicaError> {
        let file = File::open(&path).map_err(failed(&path))?;
        Ok(Self { number, path, file, at: 0 })
    }

    /// The next frame, where one is there whole.
    pub(super) fn next(&mut self) -> Result<Option<Frame>, ReplicaError> {
        let wrong = failed(&self.path);
        let end = self.file.metadata().map_err(&wrong)?.len();
        let mut head = [0; HEAD as usize];
        if end < self.at + HEAD {
            return Ok(None);
        }
        self.file.read_exact_at(&mut head, self.at).map_err(&wrong)?;
        let [a, b, c, d, sum @ ..] = head;
        let len = u32::from_le_bytes([a, b, c, d]) as usize;
        let damaged =
            || ReplicaError::Damaged(format!("{}: the frame at {} is damaged", self.path.display(), self.at));
        if len > MAX_FRAME {
            return Err(damaged());
        }
        let next = self.at + HEAD + len as u64;
        if end < next {
            return Ok(None);
        }
        let mut bytes = vec![0; len];
        self.file.read_exact_at(&mut bytes, self.at + HEAD).map_err(&wrong)?;
        if crc32c::crc32c(&bytes) != u32::from_le_bytes(sum) {
            return Err(damaged());
        }
        let frame = parse(&bytes).ok_or_else(damaged)?;
        self.at = next;
        Ok(Some(frame))
    }
}

fn parse(bytes: &[u8]) -> Option<Frame> {
    let mut reader = Reader::new(bytes);
    let (position, count) = (reader.signed()?, reader.number()?);
    let mut entries = Vec::new();
    for _ in 0..count {
        let coded = Coded::new(reader.bytes()?, reader.bytes()?);
        entries.push((decode(coded.raw())?.0, Arc::new(coded)));
    }
    Some(Frame { position, entries })
}

/// A file of changes as its writer has it.
#[derive(Debug)]
pub(super) struct Appender {
    path: PathBuf,
    file: File,
    end: u64,
}

impl Appender {
    /// Makes the file, or opens it to go on behind the frames that are whole.
    pub(super) fn open(path: PathBuf, end: u64) -> Result<Self, ReplicaError> {
        let mut options = OpenOptions::new();
        let file = options.write(true).create(true).truncate(false).mode(0o600).open(&path);
        let file = file.map_err(failed(&path))?;
        file.set_len(end).map_err(failed(&path))?;
        Ok(Self { path, file, end })
    }

    /// Appends a frame.
    pub(super) fn append(&mut self, position: i64, entries: &[Coded]) -> Result<(), ReplicaError> {
        let mut bytes = vec![0; HEAD as usize];
        put_signed(&mut bytes, position);
        put_number(&mut bytes, entries.len() as u64);
        for raw in entries.iter().map(Coded::raw) {
            put_bytes(&mut bytes, raw.front);
            put_bytes(&mut bytes, raw.back().unwrap_or_default());
        }
        let len = bytes.len() - HEAD as usize;
        if len > MAX_FRAME {
            return Err(ReplicaError::Unavailable {
                path: self.path.display().to_string(),
                reason: format!("{len} bytes of changes at once are too many"),
            });
        }
        let sum = crc32c::crc32c(&bytes[HEAD as usize..]);
        bytes[..4].copy_from_slice(&(len as u32).to_le_bytes());
        bytes[4..8].copy_from_slice(&sum.to_le_bytes());
        if let Err(error) = self.file.write_all_at(&bytes, self.end) {
            // What half stands there must not be gone on behind.
            let _ = self.file.set_len(self.end);
            return Err(failed(&self.path)(error));
        }
        self.end += bytes.len() as u64;
        Ok(())
    }

    /// Bytes in the file.
    pub(super) fn len(&self) -> u64 {
        self.end
    }
}

/// The changes above the tables, in memory.
#[derive(Debug, Default)]
pub(super) struct Overlay {
    entries: HashMap<Key, Arc<Coded>>,
}

impl Overlay {
    pub(super) fn put(&mut self, key: Key, coded: Arc<Coded>) {
        self.entries.insert(key, coded);
    }

    pub(super) fn get(&self, key: &Key) -> Option<&Arc<Coded>> {
        self.entries.get(key)
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&Key, &Arc<Coded>)> {
        self.entries.iter()
    }
}

/// The file of that number in a folder, read from its beginning into an overlay; returns where it stands.
pub(super) fn load(
    path: &Path,
    number: u64,
    overlay: &mut Overlay,
    position: &mut i64,
) -> Result<Tail, ReplicaError> {
    let mut tail = Tail::open(path.to_owned(), number)?;
    while let Some(frame) = tail.next()? {
        *position = frame.position;
        frame.entries.into_iter().for_each(|(key, coded)| overlay.put(key, coded));
    }
    Ok(tail)
}
