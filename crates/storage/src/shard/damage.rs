//! What can be wrong with one stored body, and the look that tells.
//!
//! Damage is a property of one body, never an error of the shard: who walks over many goes on with the next.

use super::blob::{Blob, BlobRef, MAX_RANGE};
use super::error::ShardError;
use super::read::View;
use bytes::Bytes;
use std::fmt;
use std::io;

/// What is wrong with a stored body.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Damage {
    /// A row refers to it and it is not there: a widow.
    Widow,
    /// The file of its segment is missing.
    Missing,
    /// The file of its segment ends before it does.
    Truncated,
    /// Its bytes are not those that were written.
    Altered,
    /// The disk does not give it.
    Unreadable,
}

impl Damage {
    /// All kinds, in the order of their numbers.
    pub const ALL: [Self; 5] = [Self::Widow, Self::Missing, Self::Truncated, Self::Altered, Self::Unreadable];

    /// One word for lists; never changed once released.
    pub fn word(self) -> &'static str {
        match self {
            Self::Widow => "widow",
            Self::Missing => "missing",
            Self::Truncated => "truncated",
            Self::Altered => "altered",
            Self::Unreadable => "unreadable",
        }
    }

    /// What a failure says of the body that was asked for; `None` where it is no word about the body.
    pub fn told_by(error: &ShardError) -> Option<Self> {
        match error {
            ShardError::Gone => Some(Self::Widow),
            ShardError::Corrupt(_) => Some(Self::Altered),
            ShardError::Io(e) if e.kind() == io::ErrorKind::UnexpectedEof => Some(Self::Truncated),
            ShardError::Io(_) => Some(Self::Unreadable),
            _ => None,
        }
    }
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

impl View<'_> {
    /// Opens a body that the newest rows refer to; what is wrong where that fails.
    ///
    /// # Errors
    /// Where the shard as a whole cannot be read.
    pub fn examine(&self, blob: &BlobRef) -> Result<Result<Blob, Damage>, ShardError> {
        match self.blob(blob) {
            Ok(opened) => Ok(Ok(opened)),
            Err(ShardError::Corrupt(_)) if self.segments.is_missing(blob.segment) => Ok(Err(Damage::Missing)),
            Err(error) => Damage::told_by(&error).map(Err).ok_or(error),
        }
    }
}

impl Blob {
    /// Reads all of it, in pieces of at most 4 MiB; returns its meta.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn verify(&self) -> Result<Bytes, Damage> {
        let found = |error: ShardError| match Damage::told_by(&error) {
            Some(Damage::Altered) if self.ends_early() => Damage::Truncated,
            other => other.unwrap_or(Damage::Unreadable),
        };
        let meta = self.meta().map_err(found)?;
        let mut at = 0;
        while at < self.len() {
            at += self.body(at..at.saturating_add(MAX_RANGE)).map_err(found)?.len() as u64;
        }
        Ok(meta)
    }
}
