//! The files of a text index: read where they are asked for, never mapped into memory, each with a sum at its end.
//!
//! A file that a failing disk cuts short is an error here; mapped, it would end the process. The sum is of everything in
//! front of it. Who opens an index reads every file once ([`Check`]); single reads after that are not compared.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tantivy::HasLen;
use tantivy::directory::error::{DeleteError, LockError, OpenReadError, OpenWriteError};
use tantivy::directory::{
    AntiCallToken, Directory, DirectoryLock, FileHandle, Lock, OwnedBytes, TerminatingWrite, WatchCallback,
    WatchHandle, WritePtr,
};

/// Bytes of the sum at the end of a file.
const SUM_LEN: u64 = 4;
/// Bytes that one step of a check reads.
const STEP: u64 = 4 << 20;
/// Bytes of a check that are in memory.
const PIECE: u64 = 256 << 10;

/// A folder for one index. The store's own lock keeps other processes out of it.
#[derive(Debug, Clone)]
pub(super) struct Files {
    folder: PathBuf,
}

impl Files {
    pub(super) fn new(folder: PathBuf) -> Self {
        Self { folder }
    }

    /// How the check of a file begins.
    pub(super) fn check(&self, file: &Path) -> io::Result<Check> {
        Ok(Check { stored: Stored::open(&self.folder.join(file))?, at: 0, sum: 0 })
    }

    fn sync(&self) -> io::Result<()> {
        File::open(&self.folder)?.sync_all()
    }
}

/// A file that is being compared with its sum.
pub(super) struct Check {
    stored: Stored,
    at: u64,
    sum: u32,
}

/// What a step of a check has come to.
pub(super) enum Checked {
    /// The file is as it was written.
    Whole,
    /// It is not.
    Damaged,
    /// So many bytes of it are.
    More(Check, u64),
}

impl Check {
    /// Reads on, a few MB.
    pub(super) fn step(mut self) -> Checked {
        let end = self.stored.len.min(self.at + STEP);
        let begun = self.at;
        while self.at < end {
            let piece = end.min(self.at + PIECE);
            let Ok(bytes) = self.stored.read(self.at..piece) else { return Checked::Damaged };
            self.sum = crc32c::crc32c_append(self.sum, &bytes);
            self.at = piece;
        }
        if self.at < self.stored.len {
            let read = self.at - begun;
            return Checked::More(self, read);
        }
        let noted = self.stored.read(self.stored.len..self.stored.len + SUM_LEN);
        match noted {
            Ok(noted) if noted == self.sum.to_le_bytes() => Checked::Whole,
            _ => Checked::Damaged,
        }
    }
}

/// An open file, without its sum.
#[derive(Debug)]
struct Stored {
    file: File,
    len: u64,
}

impl Stored {
    fn open(path: &Path) -> io::Result<Self> {
        let file = File::open(path)?;
        let len = file.metadata()?.len().checked_sub(SUM_LEN).ok_or(io::ErrorKind::UnexpectedEof)?;
        Ok(Self { file, len })
    }

    fn read(&self, range: Range<u64>) -> io::Result<Vec<u8>> {
        let len = usize::try_from(range.end.saturating_sub(range.start)).map_err(io::Error::other)?;
        let mut bytes = vec![0; len];
        self.file.read_exact_at(&mut bytes, range.start)?;
        Ok(bytes)
    }
}

impl HasLen for Stored {
    fn len(&self) -> usize {
        usize::try_from(self.len).unwrap_or(usize::MAX)
    }
}

impl FileHandle for Stored {
    fn read_bytes(&self, range: Range<usize>) -> io::Result<OwnedBytes> {
        if range.end > HasLen::len(self) {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.read(range.start as u64..range.end as u64).map(OwnedBytes::new)
    }
}

/// Writes a file with its sum.
struct Summing {
    file: File,
    sum: u32,
}

impl Write for Summing {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.file.write(bytes)?;
        self.sum = crc32c::crc32c_append(self.sum, bytes.get(..written).unwrap_or(bytes));
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl TerminatingWrite for Summing {
    fn terminate_ref(&mut self, _: AntiCallToken) -> io::Result<()> {
        self.file.write_all(&self.sum.to_le_bytes())?;
        self.file.sync_data()
    }
}

impl Directory for Files {
    fn get_file_handle(&self, path: &Path) -> Result<Arc<dyn FileHandle>, OpenReadError> {
        Ok(Arc::new(Stored::open(&self.folder.join(path)).map_err(|e| unread(e, path))?))
    }

    fn delete(&self, path: &Path) -> Result<(), DeleteError> {
        std::fs::remove_file(self.folder.join(path)).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => DeleteError::FileDoesNotExist(path.to_owned()),
            _ => DeleteError::IoError { io_error: Arc::new(error), filepath: path.to_owned() },
        })
    }

    fn exists(&self, path: &Path) -> Result<bool, OpenReadError> {
        self.folder.join(path).try_exists().map_err(|e| unread(e, path))
    }

    fn open_write(&self, path: &Path) -> Result<WritePtr, OpenWriteError> {
        let file = OpenOptions::new().write(true).create_new(true).open(self.folder.join(path));
        let file = file.map_err(|error| match error.kind() {
            io::ErrorKind::AlreadyExists => OpenWriteError::FileAlreadyExists(path.to_owned()),
            _ => OpenWriteError::wrap_io_error(error, path.to_owned()),
        })?;
        Ok(WritePtr::new(Box::new(Summing { file, sum: 0 })))
    }

    fn atomic_read(&self, path: &Path) -> Result<Vec<u8>, OpenReadError> {
        let mut bytes = std::fs::read(self.folder.join(path)).map_err(|e| unread(e, path))?;
        let noted = bytes.split_last_chunk().map(|(front, sum)| (front.len(), u32::from_le_bytes(*sum)));
        let (len, sum) = noted.ok_or_else(|| unread(io::ErrorKind::UnexpectedEof.into(), path))?;
        bytes.truncate(len);
        if crc32c::crc32c(&bytes) == sum {
            Ok(bytes)
        } else {
            Err(unread(io::ErrorKind::InvalidData.into(), path))
        }
    }

    /// Durable with its name when it returns: what is noted of an index in its shard must never be ahead of it.
    fn atomic_write(&self, path: &Path, data: &[u8]) -> io::Result<()> {
        let (to, mut beside) = (self.folder.join(path), self.folder.join(path).into_os_string());
        beside.push(".new");
        let mut file = File::create(&beside)?;
        file.write_all(data)?;
        file.write_all(&crc32c::crc32c(data).to_le_bytes())?;
        file.sync_data()?;
        std::fs::rename(&beside, to)?;
        self.sync()
    }

    fn sync_directory(&self) -> io::Result<()> {
        self.sync()
    }

    /// One writer at a time, which its owner takes care of; and no reader from outside.
    fn acquire_lock(&self, _: &Lock) -> Result<DirectoryLock, LockError> {
        Ok(DirectoryLock::from(Box::new(())))
    }

    fn watch(&self, _: WatchCallback) -> tantivy::Result<WatchHandle> {
        Ok(WatchHandle::empty())
    }
}

fn unread(error: io::Error, path: &Path) -> OpenReadError {
    match error.kind() {
        io::ErrorKind::NotFound => OpenReadError::FileDoesNotExist(path.to_owned()),
        _ => OpenReadError::wrap_io_error(error, path.to_owned()),
    }
}
