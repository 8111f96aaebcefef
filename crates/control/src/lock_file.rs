//! A file that one process holds, with that process's id in it.
//!
//! What holds is the kernel's lock, not the file's being there: when its owner ends in whatever way, the next one
//! finds a stale file and takes it over (ITS 18500). A process id that has meanwhile been given to another program is
//! never taken for the owner.

use crate::process::Process;
use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;
use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::time::Duration;

/// How often a held file is tried, with a pause between.
const TRIES: u32 = 5;
/// See [`TRIES`].
const PAUSE: Duration = Duration::from_millis(5);

/// A held file. Dropping it gives it up; the file stays and is empty.
#[derive(Debug)]
pub struct LockFile(File);

/// Why a file could not be taken.
#[derive(Debug, thiserror::Error)]
pub enum TakeError {
    /// A living process has it.
    #[error("held by process {}", .0.map_or_else(|| "unknown".to_owned(), |pid| pid.to_string()))]
    Held(Option<u32>),
    /// The file cannot be opened or written.
    #[error(transparent)]
    File(#[from] io::Error),
}

impl LockFile {
    /// Takes the file, made with mode 0600 where it is not there, and writes the id of this process into it.
    ///
    /// # Errors
    /// [`TakeError::Held`] after a few milliseconds where another process has it.
    pub fn take(path: &Path) -> Result<Self, TakeError> {
        let open =
            OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path);
        let mut file = open?;
        let mut tries = 0;
        while let Err(error) = flock(&file, FlockOperation::NonBlockingLockExclusive) {
            tries += 1;
            match error {
                // Somebody may just be looking: see `owner`.
                Errno::WOULDBLOCK if tries < TRIES => std::thread::sleep(PAUSE),
                Errno::WOULDBLOCK => return Err(TakeError::Held(read_pid(&mut file))),
                error => return Err(io::Error::from(error).into()),
            }
        }
        file.set_len(0)?;
        writeln!(file, "{}", std::process::id())?;
        Ok(Self(file))
    }
}

impl Drop for LockFile {
    fn drop(&mut self) {
        // Emptied before the lock goes, so that nobody reads an id that has ended. Removing the file instead would let
        // two processes hold two files of one name.
        let _ = self.0.set_len(0);
    }
}

/// The process that holds the file: `None` where nobody does, or where it has not yet said who it is.
///
/// # Errors
/// Where the file is there and cannot be read.
pub fn owner(path: &Path) -> io::Result<Option<u32>> {
    let mut file = match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        file => file?,
    };
    match flock(&file, FlockOperation::NonBlockingLockShared) {
        Ok(()) => Ok(None),
        Err(Errno::WOULDBLOCK) => Ok(read_pid(&mut file)),
        Err(error) => Err(error.into()),
    }
}

/// Removes a file that names a process which has ended, and returns that process's id; `None` where there is nothing
/// to remove.
///
/// # Errors
/// Where the file cannot be read or removed.
pub fn clear_stale(path: &Path) -> io::Result<Option<u32>> {
    let mut file = match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        file => file?,
    };
    // A file whose process lives is left alone, held or not: it may be one that is just starting.
    let Some(pid) = read_pid(&mut file) else { return Ok(None) };
    if owner(path)?.is_some() || Process::open(pid)?.is_some() {
        return Ok(None);
    }
    std::fs::remove_file(path)?;
    Ok(Some(pid))
}

fn read_pid(file: &mut File) -> Option<u32> {
    let mut text = String::new();
    file.take(16).read_to_string(&mut text).ok()?;
    text.strip_suffix('\n')?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn its_18571_one_holds_it_and_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.pid");
        assert_eq!(owner(&path).unwrap(), None);
        let held = LockFile::take(&path).unwrap();
        let own = Some(std::process::id());
        assert_eq!(owner(&path).unwrap(), own);
        assert!(matches!(LockFile::take(&path), Err(TakeError::Held(pid)) if pid == own));
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        drop(held);
        assert_eq!(owner(&path).unwrap(), None);
    }

    #[test]
    fn its_18500_what_a_dead_owner_left_can_be_cleared() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.pid");
        let mut dead = std::process::Command::new("true").spawn().unwrap();
        let pid = dead.id();
        dead.wait().unwrap();
        std::fs::write(&path, format!("{pid}\n")).unwrap();
        assert_eq!(clear_stale(&path).unwrap(), Some(pid));
        assert_eq!(clear_stale(&path).unwrap(), None);
        let _held = LockFile::take(&path).unwrap();
        assert_eq!(clear_stale(&path).unwrap(), None);
    }

    #[test]
    fn what_a_dead_owner_left_is_taken_over() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.pid");
        // Process 1 lives, but does not hold the file.
        std::fs::write(&path, "1\n").unwrap();
        assert_eq!(owner(&path).unwrap(), None);
        assert_eq!(clear_stale(&path).unwrap(), None);
        let _held = LockFile::take(&path).unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), format!("{}\n", std::process::id()));
    }
}
