//! What can go wrong in a shard, told apart by what the caller can do about it.

use std::io;
use std::sync::Arc;

/// Why a shard did not do what was asked. Cheap to clone: one failure answers a whole group of commits.
#[derive(Debug, Clone, thiserror::Error)]
pub enum ShardError {
    /// The disk is full. Nothing of the commit was kept; the shard goes on reading and takes commits again by
    /// itself once there is space. Try later.
    #[error("no space left on the disk of the shard")]
    Full,
    /// A write or a sync failed for another reason than space, or the index could not follow the log. The outcome
    /// of the commit is unknown until the shard is opened again; reads go on, commits do not.
    #[error("the shard takes no more commits in this process: {0}")]
    Broken(Arc<str>),
    /// The commit is in the log but not in the index yet: whether it counts is known once the index is back, which
    /// the shard tries by itself. Ask again with the same request id.
    #[error("the outcome of the commit is not known yet")]
    Unavailable,
    /// What was read is not what was written, or files are missing.
    #[error("the shard is corrupt: {0}")]
    Corrupt(Arc<str>),
    /// Another process (or another part of this one) has the shard open.
    #[error("the shard is in use by another process")]
    Locked,
    /// The shard was closed. The commit has not been begun.
    #[error("the shard is closed")]
    Closed,
    /// Another host has taken the shard; says which. The commit has not been begun.
    #[error("the shard is {0}'s now")]
    Fenced(Arc<str>),
    /// One commit, key, value or range is beyond the limits of the shard; the text names which.
    #[error("{0} is too large for one commit")]
    TooLarge(&'static str),
    /// The body that was to be stored could not be read from where it comes. Nothing was kept.
    #[error("the source of a body could not be read")]
    Source(#[source] Arc<io::Error>),
    /// The body was removed with its segment since the reference was read.
    #[error("the body is gone")]
    Gone,
    /// Reading the disk failed.
    #[error("the disk could not be read")]
    Io(#[source] Arc<io::Error>),
    /// The caller's own closure panicked. Nothing of it was kept.
    #[error("a task of the shard panicked")]
    Panicked,
}

impl ShardError {
    /// A failed read.
    pub(crate) fn io(error: io::Error) -> Self {
        Self::Io(Arc::new(error))
    }

    /// Found corrupt, for this reason.
    pub(crate) fn corrupt(why: impl Into<Arc<str>>) -> Self {
        Self::Corrupt(why.into())
    }

    /// Terminal, for this reason.
    pub(crate) fn broken(why: impl Into<Arc<str>>) -> Self {
        Self::Broken(why.into())
    }
}

/// As a body's reader hears it.
impl From<ShardError> for io::Error {
    fn from(error: ShardError) -> Self {
        let kind = match error {
            ShardError::Corrupt(_) => io::ErrorKind::InvalidData,
            ShardError::Gone => io::ErrorKind::NotFound,
            _ => io::ErrorKind::Other,
        };
        Self::new(kind, error)
    }
}

/// Whether a failed write means that the disk (or a quota on it) is full.
pub(crate) fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}
