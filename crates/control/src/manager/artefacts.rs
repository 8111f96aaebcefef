//! What a crash leaves behind, kept in the run directory of the server under names of their own (ITS 16234, 17459).
//!
//! A note `crash.<time>.<pid>.txt` says how the process ended and its last words; a core file that the kernel wrote as
//! `core` or `core.<pid>` is renamed to `core-<time>`. Nothing that is there is ever overwritten. So that a server
//! that crashes all night cannot fill the disk, at most [`MOST_NOTES`] notes and [`MOST_CORES`] core files are kept:
//! the first ones, which tell most.

use mail::time::Timestamp;
use rustix::fs::{CWD, RenameFlags, renameat_with};
use rustix::io::Errno;
use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

/// Notes that are kept of a server.
pub const MOST_NOTES: usize = 200;
/// Core files that are kept of a server.
pub const MOST_CORES: usize = 8;
/// Bytes of last words that are kept.
const LAST_WORDS: u64 = 4096;
/// Core files of the same millisecond.
const SAME_TIME: u32 = 100;

/// How a process ended that was not asked to.
#[derive(Debug)]
pub struct Crash<'a> {
    /// Which server it was.
    pub server: &'a str,
    /// Its process id.
    pub pid: u32,
    /// Its exit code or signal, in words.
    pub ended: &'a str,
    /// The end of what it wrote to its standard error.
    pub words: &'a str,
    /// When it was found to have ended.
    pub at: Timestamp,
}

/// Writes the note; `None` where enough are there already.
///
/// # Errors
/// Where it cannot be written.
pub fn keep(folder: &Path, crash: &Crash<'_>) -> io::Result<Option<PathBuf>> {
    if count(folder, "crash.")? >= MOST_NOTES {
        return Ok(None);
    }
    let path = folder.join(format!("crash.{}.{}.txt", stamp(crash.at), crash.pid));
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path)?;
    let Crash { server, pid, ended, words, at } = crash;
    write!(file, "server {server}\nprocess {pid}\ntime {}\nended {ended}\n\n{words}\n", at.rfc3339())?;
    file.sync_all()?;
    Ok(Some(path))
}

/// Gives core files names that no later one will have; returns them. Those past [`MOST_CORES`] are removed.
///
/// # Errors
/// Where the folder cannot be read or a file not be renamed.
pub fn name_cores(folder: &Path, at: Timestamp) -> io::Result<Vec<PathBuf>> {
    let mut named = Vec::new();
    let mut there = count(folder, "core-")?;
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        if !entry.file_name().to_str().is_some_and(is_core) || !entry.file_type()?.is_file() {
            continue;
        }
        if there >= MOST_CORES {
            std::fs::remove_file(entry.path())?;
            continue;
        }
        named.push(rename(folder, &entry.path(), at)?);
        there += 1;
    }
    Ok(named)
}

fn rename(folder: &Path, core: &Path, at: Timestamp) -> io::Result<PathBuf> {
    for n in 0..SAME_TIME {
        let more = if n == 0 { String::new() } else { format!("-{n}") };
        let to = folder.join(format!("core-{}{more}", stamp(at)));
        match renameat_with(CWD, core, CWD, &to, RenameFlags::NOREPLACE) {
            Ok(()) => return Ok(to),
            Err(Errno::EXIST) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Err(io::ErrorKind::AlreadyExists.into())
}

/// Whether the kernel writes core files under this name: `core`, or `core.<pid>`.
fn is_core(name: &str) -> bool {
    let is_pid = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    name == "core" || name.strip_prefix("core.").is_some_and(is_pid)
}

fn count(folder: &Path, prefix: &str) -> io::Result<usize> {
    let begins = |entry: &io::Result<std::fs::DirEntry>| {
        entry.as_ref().is_ok_and(|entry| entry.file_name().to_string_lossy().starts_with(prefix))
    };
    Ok(std::fs::read_dir(folder)?.filter(begins).count())
}

/// A time as it stands in a file's name.
fn stamp(at: Timestamp) -> String {
    at.rfc3339().to_string().replace(':', "")
}

/// The end of a file of last words, without what is no text; empty where there is none.
pub fn last_words(file: &Path) -> String {
    let read = || -> io::Result<Vec<u8>> {
        let mut file = File::open(file)?;
        let length = file.metadata()?.len();
        file.seek(SeekFrom::Start(length.saturating_sub(LAST_WORDS)))?;
        let mut words = Vec::new();
        file.take(LAST_WORDS).read_to_end(&mut words)?;
        Ok(words)
    };
    String::from_utf8_lossy(&read().unwrap_or_default()).trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_micros(1_795_437_325_617_000 + second * 1_000_000)
    }

    #[test]
    fn its_16234_its_17459_what_crashes_leave_gets_names_and_stays() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path();
        for (second, text) in [(0, "first"), (0, "second"), (9, "third")] {
            std::fs::write(path.join("core"), text).unwrap();
            std::fs::write(path.join(format!("core.{second}7")), text).unwrap();
            assert_eq!(name_cores(path, at(second)).unwrap().len(), 2, "{text}");
        }
        let read = |name: &str| std::fs::read_to_string(path.join(name)).unwrap();
        let kept = ["", "-1", "-2", "-3"].map(|n| read(&format!("core-2026-11-23T123525.617Z{n}")));
        assert_eq!(kept.iter().filter(|text| *text == "first").count(), 2, "{kept:?}");
        assert_eq!(read("core-2026-11-23T123534.617Z"), "third");
    }

    #[test]
    fn a_note_says_how_it_ended_and_is_private() {
        let folder = tempfile::tempdir().unwrap();
        let crash = Crash { server: "mta", pid: 7, ended: "signal 9", words: "help", at: at(0) };
        let note = keep(folder.path(), &crash).unwrap().unwrap();
        let text = std::fs::read_to_string(&note).unwrap();
        for part in ["mta", "process 7", "signal 9", "help", "2026-11-23T12:35:25.617Z"] {
            assert!(text.contains(part), "{text}");
        }
        assert_eq!(std::fs::metadata(&note).unwrap().permissions().mode() & 0o777, 0o600);
        assert!(keep(folder.path(), &crash).is_err(), "overwritten");
    }

    #[test]
    fn crashes_cannot_fill_the_disk() {
        let folder = tempfile::tempdir().unwrap();
        for second in 0..20 {
            std::fs::write(folder.path().join("core.1"), "x").unwrap();
            name_cores(folder.path(), at(second)).unwrap();
        }
        assert_eq!(count(folder.path(), "core").unwrap(), MOST_CORES);
        for pid in 0..300 {
            let crash = Crash { server: "mta", pid, ended: "", words: "", at: at(0) };
            assert_eq!(keep(folder.path(), &crash).unwrap().is_some(), pid < 200);
        }
    }

    #[test]
    fn other_files_are_no_core_files() {
        for name in ["core.txt", "core.", "scores", "core-2026", "core.1.gz"] {
            assert!(!is_core(name), "{name}");
        }
    }

    #[test]
    fn last_words_are_the_end() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("stderr");
        assert_eq!(last_words(&file), "");
        std::fs::write(&file, format!("{}the end\n", "x".repeat(9999))).unwrap();
        let words = last_words(&file);
        assert!(words.ends_with("xthe end") && words.len() < 4097);
    }
}
