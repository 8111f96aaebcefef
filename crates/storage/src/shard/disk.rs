//! The few things a shard asks of a disk, as a trait, so that a test can lose what was not synced.
//!
//! [`Folder`] is the real one. It promises only what POSIX does: a write is durable after `sync_data`, a new or
//! removed name after `sync_folder`. `storage::sim` has the double.

use super::volumes::Volumes;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// One open segment file. Calls may come from several threads; writes only from one.
pub trait SegmentFile: Send + Sync {
    /// Fills the buffer from `offset`.
    ///
    /// # Errors
    /// `UnexpectedEof` where the file ends before.
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()>;

    /// Writes all bytes at `offset`; the file grows where it must.
    ///
    /// # Errors
    /// Of the system; what was written by then is unknown.
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()>;

    /// Makes what was written durable, with the length of the file.
    ///
    /// # Errors
    /// Of the system. It must not be tried again: the system may have dropped the bytes and forgotten it.
    fn sync_data(&self) -> io::Result<()>;

    /// Cuts the file.
    ///
    /// # Errors
    /// Of the system.
    fn truncate(&self, len: u64) -> io::Result<()>;

    /// The length in bytes.
    ///
    /// # Errors
    /// Of the system.
    fn len(&self) -> io::Result<u64>;

    /// Gives the space of a range back; what is read there is zero then. Pages that are only partly in the range stay.
    /// Need not be durable.
    ///
    /// # Errors
    /// `Unsupported` where the file system cannot do it, or of the system.
    fn punch(&self, offset: u64, len: u64) -> io::Result<()>;

    /// Bytes of disk that it takes.
    ///
    /// # Errors
    /// Of the system.
    fn allocated(&self) -> io::Result<u64>;

    /// Whether it holds nothing.
    ///
    /// # Errors
    /// Of the system.
    fn is_empty(&self) -> io::Result<bool> {
        Ok(self.len()? == 0)
    }
}

/// Bytes of a file system.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Space {
    /// What an unprivileged process may still use.
    pub free: u64,
    /// Its size.
    pub total: u64,
}

/// A folder of segment files.
pub trait Disk: Send + Sync {
    /// Makes a new file, open for reading and writing.
    ///
    /// # Errors
    /// `AlreadyExists`, or of the system.
    fn create(&self, name: &str) -> io::Result<Arc<dyn SegmentFile>>;

    /// Opens a file for reading and writing.
    ///
    /// # Errors
    /// `NotFound`, or of the system.
    fn open(&self, name: &str) -> io::Result<Arc<dyn SegmentFile>>;

    /// The names of all files.
    ///
    /// # Errors
    /// Of the system.
    fn names(&self) -> io::Result<Vec<String>>;

    /// Removes a file; who has it open reads on.
    ///
    /// # Errors
    /// `NotFound`, or of the system.
    fn remove(&self, name: &str) -> io::Result<()>;

    /// Gives a file another name, in one step; what has that name goes. Who has it open goes on with it.
    ///
    /// # Errors
    /// `NotFound`, or of the system; `Unsupported` where nothing is ever moved to the disk.
    fn rename(&self, _from: &str, _to: &str) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    /// Makes created, changed and removed names durable.
    ///
    /// # Errors
    /// Of the system.
    fn sync_folder(&self) -> io::Result<()>;

    /// How much room there is.
    ///
    /// # Errors
    /// Of the system.
    fn space(&self) -> io::Result<Space>;

    /// Whether a new file would have room where the newest has not.
    fn wants_new_file(&self) -> bool {
        false
    }

    /// The volumes, where there are several.
    fn volumes(&self) -> Option<&Volumes> {
        None
    }
}

/// The unit in which a system counts what a file takes.
const BLOCK: u64 = 512;
/// The log, its shard and what the shards are in.
const OWN_LEVELS: usize = 3;

/// A folder of a real file system.
#[derive(Debug, Clone)]
pub struct Folder(PathBuf);

impl Folder {
    /// The folder at this path, made durably with its parents where it does not exist.
    ///
    /// # Errors
    /// Of the system.
    pub fn new(path: &Path) -> io::Result<Self> {
        make_durably(path)?;
        Ok(Self(path.to_path_buf()))
    }
}

/// Makes a folder so that it is found after a loss of power, with everything above it. The names of the last levels are
/// synced also where they were there already: who made them may not have come that far.
fn make_durably(path: &Path) -> io::Result<()> {
    let mut missing = Vec::new();
    let mut at = std::path::absolute(path)?;
    while !at.try_exists()? {
        missing.push(at.clone());
        if !at.pop() {
            break;
        }
    }
    for folder in missing.iter().rev() {
        match std::fs::create_dir(folder) {
            Err(e) if e.kind() != io::ErrorKind::AlreadyExists => return Err(e),
            _ => {}
        }
    }
    let path = std::path::absolute(path)?;
    let names = missing.len().max(OWN_LEVELS);
    for above in path.ancestors().skip(1).take(names) {
        match File::open(above).and_then(|folder| folder.sync_all()) {
            // What this process may not open it has not made.
            Err(e) if e.kind() != io::ErrorKind::PermissionDenied => return Err(e),
            _ => {}
        }
    }
    Ok(())
}

impl Disk for Folder {
    fn create(&self, name: &str) -> io::Result<Arc<dyn SegmentFile>> {
        let file = OpenOptions::new().read(true).write(true).create_new(true).open(self.0.join(name))?;
        Ok(Arc::new(file))
    }

    fn open(&self, name: &str) -> io::Result<Arc<dyn SegmentFile>> {
        Ok(Arc::new(OpenOptions::new().read(true).write(true).open(self.0.join(name))?))
    }

    fn names(&self) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in std::fs::read_dir(&self.0)? {
            names.extend(entry?.file_name().into_string().ok());
        }
        Ok(names)
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        std::fs::remove_file(self.0.join(name))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        std::fs::rename(self.0.join(from), self.0.join(to))
    }

    fn sync_folder(&self) -> io::Result<()> {
        File::open(&self.0)?.sync_all()
    }

    fn space(&self) -> io::Result<Space> {
        let fs = rustix::fs::statvfs(&self.0)?;
        Ok(Space {
            free: fs.f_bavail.saturating_mul(fs.f_frsize),
            total: fs.f_blocks.saturating_mul(fs.f_frsize),
        })
    }
}

impl SegmentFile for File {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        FileExt::read_exact_at(self, buffer, offset)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        FileExt::write_all_at(self, bytes, offset)
    }

    fn sync_data(&self) -> io::Result<()> {
        File::sync_data(self)
    }

    fn truncate(&self, len: u64) -> io::Result<()> {
        self.set_len(len)
    }

    fn len(&self) -> io::Result<u64> {
        Ok(self.metadata()?.len())
    }

    fn punch(&self, offset: u64, len: u64) -> io::Result<()> {
        use rustix::fs::{FallocateFlags, fallocate};
        Ok(fallocate(self, FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE, offset, len)?)
    }

    fn allocated(&self) -> io::Result<u64> {
        Ok(std::os::unix::fs::MetadataExt::blocks(&self.metadata()?) * BLOCK)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_made_with_all_above_it_and_found_again() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a/b/c/d/e");
        for _ in 0..2 {
            let folder = Folder::new(&path).unwrap();
            assert!(path.is_dir() && folder.names().unwrap().is_empty());
        }
        let folder = Folder::new(&path).unwrap();
        let file = folder.create("1").unwrap();
        file.write_at(b"abc", 2).unwrap();
        assert_eq!(folder.create("1").err().unwrap().kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(file.len().unwrap(), 5);
        assert!(folder.space().unwrap().total > 0);
        folder.rename("1", "2").unwrap();
        folder.rename("2", "1").unwrap();
        folder.remove("1").unwrap();
        assert_eq!(folder.open("1").err().unwrap().kind(), io::ErrorKind::NotFound);
    }
}
