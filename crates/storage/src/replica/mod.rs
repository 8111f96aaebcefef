//! A copy of the directory on this host: files that every server process maps into its memory and looks up without
//! a hop, written by one process (`imdircacheserv`) from the directory's log of changes.
//!
//! Promised: a look-up costs two or three touches of memory, whatever the number of accounts (decision 0024); readers never
//! wait for the writer; what is read is whole or an error (every entry has a sum); a copy that was cut short
//! or damaged is refused by name when it is opened, never mapped blindly; the position in the log of changes never
//! runs ahead of what is in the copy.
//!
//! How: a [`table`] is an immutable file (entries one after the other, then a hash table of where they are). The copy is a
//! short stack of tables, the newer above the older, and above them the changes since, appended to a file
//! ([`delta`]) that every reader follows into its own memory. The writer folds the changes into a table when
//! they are many, and tables into one when the upper one is large. A [`manifest`] says what belongs together and is replaced in one step.
//!
//! Left to others: what the copy is fed with and when (`directory`), and what a look-up means there. Nothing here is the
//! truth: a copy that is lost is built again.

mod build;
mod copied;
mod delta;
mod entry;
mod keeper;
mod manifest;
mod map;
mod pieces;
mod reader;
mod record;
mod table;
mod writer;

pub use build::Builder;
pub use entry::{Entry, Key, KeyRef};
pub use keeper::{Building, Keeper};
pub use reader::{Followed, Reader, Size};
pub use record::Account;
pub use writer::{Fold, Folded, Writer};

use std::path::{Path, PathBuf};

/// Why the copy did not do it.
#[derive(Debug, Clone, thiserror::Error)]
pub enum ReplicaError {
    /// There is no copy in this folder.
    #[error("there is no directory cache in {0}")]
    Missing(String),
    /// A file is cut short, or a sum is wrong.
    #[error("the directory cache is damaged: {0}")]
    Damaged(String),
    /// Made by a program that this one does not understand.
    #[error("the directory cache has format {found}; this program works with {known}")]
    Format {
        /// What the file says.
        found: u32,
        /// What this program knows.
        known: u32,
    },
    /// Another process writes to it.
    #[error("the directory cache in {0} is written to by another process")]
    InUse(String),
    /// Reading or writing failed.
    #[error("{path}: {reason}")]
    Unavailable {
        /// The file.
        path: String,
        /// What the system said.
        reason: String,
    },
}

/// The format of the files; a copy of another one is built anew, not converted.
pub const FORMAT: u32 = 2;
/// Most files of accounts of one copy (`numUserDbFiles`).
pub const MAX_FILES: usize = 1024;

/// An error of the system with the file it is about.
fn failed(path: &Path) -> impl Fn(std::io::Error) -> ReplicaError {
    let path = path.display().to_string();
    move |error| ReplicaError::Unavailable { path: path.clone(), reason: error.to_string() }
}

/// The folder of a generation of tables.
fn generation_folder(folder: &Path, generation: u64) -> PathBuf {
    folder.join(format!("tables-{generation:010}"))
}

#[cfg(test)]
mod tests;
