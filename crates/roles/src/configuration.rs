//! The configuration of a site: what is in force, changing it, what was changed before, hearing of changes.
//!
//! The tree is versioned: every accepted change has a number, who made it, when, why, and its differences. A change is
//! a batch that is accepted whole or not at all; what it may not say is in `control::configuration`.

use crate::{Answer, Call, Kind};
use catalog::tree::Path;
use mail::time::Timestamp;
use std::fmt;

/// The number of a version of the tree. It grows with every accepted change; 0 is the tree before the first one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Version(pub u64);

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A wish for one entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// The entry is to have these values.
    Set(Path, Vec<String>),
    /// The entry is to go.
    Remove(Path),
}

/// What a change is to come to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wish {
    /// These entries; every other byte of the text stays (ITS 15790).
    Entries(Vec<Change>),
    /// This text, comments and order included.
    Text(String),
    /// The entries as they were in that version.
    Version(Version),
}

/// A change that somebody asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proposal {
    /// The version it was made from: refused where another holds by now. `None`: whatever holds.
    pub from: Option<Version>,
    /// What it is to come to.
    pub wish: Wish,
    /// Who asks, for the history.
    pub who: String,
    /// Why, for the history.
    pub why: String,
}

/// What one entry was and is; `None` where there was or is none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// The entry.
    pub path: Path,
    /// Its values before.
    pub before: Option<Vec<String>>,
    /// Its values after.
    pub after: Option<Vec<String>>,
}

/// What a change does.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Assessed {
    /// The version that holds: where the change was accepted, its own.
    pub version: Version,
    /// The entries that differ, in order of their paths.
    pub differences: Vec<Difference>,
    /// What is odd about the changed entries without being wrong.
    pub warnings: Vec<String>,
    /// Changed entries that take effect at once.
    pub live: Vec<Path>,
    /// Changed entries that take effect when their server starts next.
    pub restart: Vec<Path>,
    /// The servers that read a changed entry, in their start order.
    pub servers: Vec<String>,
}

/// An accepted change, as the history has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Accepted {
    /// Its number.
    pub version: Version,
    /// When it was accepted.
    pub at: Timestamp,
    /// Who made it.
    pub who: String,
    /// Why.
    pub why: String,
    /// What it changed; `None` where nobody knows, because the file was changed while nothing watched it.
    pub differences: Option<Vec<Difference>>,
}

/// The whole of a configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    /// Its number.
    pub version: Version,
    /// `config.db`.
    pub text: String,
}

/// An entry that is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The entry.
    pub path: Path,
    /// Its values as they stand in a file; empty where it would be removed.
    pub value: String,
    /// The rule it breaks.
    pub rule: String,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}: {}", self.path, self.value, self.rule)
    }
}

/// Why nothing was changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConfigurationError {
    /// What holds cannot be read: it must be put right by hand first. Says file, line and key.
    #[error("{0}")]
    Unreadable(String),
    /// The new text has a line outside the grammar; says which.
    #[error("{0}")]
    BadLine(String),
    /// More changes than one batch may have; says how many may be.
    #[error("more than {0} changes")]
    TooMany(usize),
    /// There is no such entry to remove.
    #[error("{0} is not set")]
    NotSet(Path),
    /// Entries would have no effect or break the site.
    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
    Refused(Vec<Refusal>),
    /// Another change was accepted meanwhile.
    #[error("it was made from version {from}, and version {now} holds by now: look at it and try again")]
    Stale {
        /// What the change was made from.
        from: Version,
        /// What holds.
        now: Version,
    },
    /// The history does not reach back to that version.
    #[error("the history does not lead back to version {0}")]
    NoVersion(Version),
    /// Somebody else is changing it.
    #[error("another change is being made ({0}): try again")]
    Busy(String),
    /// It could not be written; it is as it was.
    #[error("cannot write the configuration: {0}")]
    Write(String),
    /// Whoever keeps the configuration does not answer.
    #[error("the configuration cannot be reached: {0}")]
    Unavailable(String),
}

impl ConfigurationError {
    /// What it means for the caller.
    pub fn kind(&self) -> Kind {
        match self {
            Self::BadLine(_) | Self::Refused(_) => Kind::Refused,
            Self::TooMany(_) => Kind::OverLimit,
            Self::NotSet(_) | Self::NoVersion(_) => Kind::Missing,
            Self::Stale { .. } | Self::Busy(_) => Kind::Conflict,
            Self::Unreadable(_) | Self::Write(_) | Self::Unavailable(_) => Kind::Unavailable,
        }
    }
}

/// Keeps the configuration of the site.
pub trait Configuration: Send + Sync {
    /// What holds.
    fn configuration_get<'a>(&'a self, call: &'a Call) -> Answer<'a, Snapshot, ConfigurationError>;

    /// What the change would do, without making it.
    fn configuration_assess<'a>(
        &'a self,
        call: &'a Call,
        proposal: Proposal,
    ) -> Answer<'a, Assessed, ConfigurationError>;

    /// Makes the change: durable when this answers. A change without a difference makes no version.
    fn configuration_apply<'a>(
        &'a self,
        call: &'a Call,
        proposal: Proposal,
    ) -> Answer<'a, Assessed, ConfigurationError>;

    /// The changes that were accepted, the newest first, at most this many.
    fn configuration_history<'a>(
        &'a self,
        call: &'a Call,
        most: usize,
    ) -> Answer<'a, Vec<Accepted>, ConfigurationError>;

    /// What holds, as soon as it is another version than this one; at the end of `call.deadline` what holds then.
    fn configuration_watch<'a>(
        &'a self,
        call: &'a Call,
        known: Version,
    ) -> Answer<'a, Snapshot, ConfigurationError>;
}
