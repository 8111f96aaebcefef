//! What a run leaves beside what it says: the records that failed, and how far it has come.

use crate::context::Failure;
use crate::records::Read;
use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

/// Longest file of a mark.
const MAX_MARK: u64 = 64;

/// A new file that nobody else reads: passwords may be in it.
fn private(path: &Path) -> std::io::Result<File> {
    OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)
}

fn absolute(option: &str, path: &str) -> Result<PathBuf, Failure> {
    let path = PathBuf::from(path);
    match path.is_absolute() {
        true => Ok(path),
        false => Err(Failure::Usage(format!("-{option}: {} is no absolute path", path.display()))),
    }
}

fn failed(path: &Path) -> impl Fn(std::io::Error) -> Failure {
    let path = path.display().to_string();
    move |error| Failure::because(format!("{path}: {error}"))
}

/// The records that failed, as they stood in the file, so that they can be mended and loaded again.
pub(super) struct Rejects {
    path: PathBuf,
    file: File,
}

impl Rejects {
    pub(super) fn new(path: &str) -> Result<Self, Failure> {
        let path = absolute("Error", path)?;
        let file = private(&path).map_err(failed(&path))?;
        Ok(Self { path, file })
    }

    pub(super) fn add(&mut self, read: &Read, reason: &str) -> Result<(), Failure> {
        let is_json = read.text.trim_start().starts_with('{');
        let text = match is_json {
            true => format!("{}\n", read.text),
            // A comment ends with its line.
            false => format!("# line {}: {}\n{}\n", read.line, reason.replace(['\r', '\n'], " "), read.text),
        };
        self.file.write_all(text.as_bytes()).map_err(failed(&self.path))
    }
}

/// The last line up to which everything is done.
pub(super) struct Mark {
    path: PathBuf,
    pub(super) line: u64,
}

impl Mark {
    /// What an earlier run has left; 0 where it has left nothing.
    pub(super) fn read(path: &str) -> Result<Self, Failure> {
        let path = absolute("state", path)?;
        let text = match std::fs::metadata(&path) {
            Ok(found) if found.len() > MAX_MARK => "-".to_owned(),
            Ok(_) => std::fs::read_to_string(&path).map_err(failed(&path))?,
            Err(error) if error.kind() == ErrorKind::NotFound => "0".to_owned(),
            Err(error) => return Err(failed(&path)(error)),
        };
        let none = || Failure::because(format!("{}: it was not left by this command", path.display()));
        let line = text.trim().parse().map_err(|_| none())?;
        Ok(Self { path, line })
    }

    /// In one step: a run that is broken off leaves the mark of before or this one.
    pub(super) fn write(&mut self, line: u64) -> Result<(), Failure> {
        let mut made = self.path.clone().into_os_string();
        made.push(".new");
        let put = || {
            private(Path::new(&made))?.write_all(format!("{line}\n").as_bytes())?;
            std::fs::rename(&made, &self.path)
        };
        put().map_err(failed(&self.path))?;
        self.line = line;
        Ok(())
    }

    pub(super) fn remove(self) -> Result<(), Failure> {
        match std::fs::remove_file(&self.path) {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(failed(&self.path)(error)),
            _ => Ok(()),
        }
    }
}
