//! Changes `config.db`: all of a set of changes or none, and never a value that its key does not take (ITS 21794).

use super::load::{Files, LoadError, keep, parse, text, write};
use super::reload::needs_restart;
use crate::lock_file::{LockFile, TakeError};
use catalog::event::Severity;
use catalog::key::Kind;
use catalog::keys;
use catalog::tree::check::{self, Finding};
use catalog::tree::{Path, edit};
use std::io;

/// Most changes in one go.
pub const MAX_CHANGES: usize = 10_000;

/// A wish for one entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// The entry is to have these values.
    Set(Path, Vec<String>),
    /// The entry is to go.
    Remove(Path),
}

/// Why nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum ChangeError {
    /// `config.db` as it stands cannot be read: it must be put right by hand first.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// More than [`MAX_CHANGES`].
    #[error("more than 10,000 changes")]
    TooMany,
    /// The text is not of the form `/host/server/key=value`.
    #[error("{0} is not of the form /host/server/key=value")]
    Form(String),
    /// There is no such entry to remove.
    #[error("{0} is not set")]
    NotSet(Path),
    /// An entry would have no effect; says why.
    #[error("{0}: {1}")]
    Refused(Path, String),
    /// Somebody else is changing it.
    #[error("another change is being made ({0}): try again")]
    Busy(TakeError),
    /// It could not be written; it is as it was.
    #[error("cannot write the configuration: {0}")]
    Write(#[from] io::Error),
}

/// What a set of changes does.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Assessed {
    /// What is odd about the changed entries without being wrong.
    pub warnings: Vec<String>,
    /// Changed entries that take effect at once.
    pub live: Vec<Path>,
    /// Changed entries that take effect when their server starts next.
    pub restart: Vec<Path>,
}

impl Change {
    /// From `/host/server/key=value`; several values are parted by line ends, and no text after `=` means no value
    /// where the key takes a list, else the empty one.
    ///
    /// # Errors
    /// [`ChangeError::Form`].
    pub fn parse(text: &str) -> Result<Self, ChangeError> {
        let form = || ChangeError::Form(text.to_owned());
        let (path, value) = text.split_once('=').ok_or_else(form)?;
        let path = Path::parse(path).ok_or_else(form)?;
        let list = keys::set_by(&path.server, &path.key).any(|row| matches!(row.kind, Kind::List(_)));
        let values = match value.trim_end_matches('\n') {
            "" if list => Vec::new(),
            value => value.split('\n').map(|line| line.trim_end_matches('\r').to_owned()).collect(),
        };
        Ok(Self::Set(path, values))
    }

    fn path(&self) -> &Path {
        match self {
            Self::Set(path, _) | Self::Remove(path) => path,
        }
    }
}

/// What these changes would do, without making them.
///
/// # Errors
/// The first thing for which [`install`] would refuse them.
pub fn assess(files: &Files, changes: &[Change]) -> Result<Assessed, ChangeError> {
    plan(files, changes).map(|(_, assessed)| assessed)
}

/// Makes these changes: durable when it returns. Every untouched byte of the file stays (ITS 15790).
///
/// # Errors
/// Why nothing was changed.
pub fn install(files: &Files, changes: &[Change]) -> Result<Assessed, ChangeError> {
    let _held = LockFile::take(&files.lock()).map_err(|error| match error {
        held @ TakeError::Held(_) => ChangeError::Busy(held),
        TakeError::File(error) => ChangeError::Write(error),
    })?;
    let (text, assessed) = plan(files, changes)?;
    write(&files.current, &text)?;
    keep(files, &text);
    Ok(assessed)
}

/// The new text and what it does.
fn plan(files: &Files, changes: &[Change]) -> Result<(String, Assessed), ChangeError> {
    if changes.len() > MAX_CHANGES {
        return Err(ChangeError::TooMany);
    }
    let before = text(&files.current)?;
    parse(&files.current, &before)?;
    let mut after = before;
    for change in changes {
        after = match change {
            Change::Set(path, values) => edit::set(&after, path, values),
            Change::Remove(path) => {
                edit::remove(&after, path).ok_or_else(|| ChangeError::NotSet(path.clone()))?
            }
        };
    }
    let tree = parse(&files.current, &after)?;
    let mut assessed = Assessed::default();
    for Finding { path, severity, reason, .. } in check::check(&tree) {
        if !changes.iter().any(|change| matches!(change, Change::Set(set, _) if *set == path)) {
            continue;
        }
        match severity >= Severity::Erro {
            true => return Err(ChangeError::Refused(path, reason)),
            false => assessed.warnings.push(format!("{path}: {reason}")),
        }
    }
    for path in changes.iter().map(Change::path) {
        let list = if needs_restart(path) { &mut assessed.restart } else { &mut assessed.live };
        if !list.contains(path) {
            list.push(path.clone());
        }
    }
    Ok((after, assessed))
}

#[cfg(test)]
mod tests;
