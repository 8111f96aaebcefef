//! Backups of what this host keeps, and mail back from them.
//!
//! A backup is a folder with generations, each of which holds everything that was acknowledged before it was begun. One
//! of the whole site is restored without any server, by the program itself; single mailboxes come back into the running
//! store.

use crate::{Answer, Call, Kind};
use mail::id::MailboxId;
use mail::time::Timestamp;

/// Why it was not done.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BackupError {
    /// Another backup is being made.
    #[error("another backup is being made")]
    Busy,
    /// The folder is not what was asked for, a number names nothing, the mailbox has no room; says which.
    #[error("{0}")]
    Refused(String),
    /// The backup is damaged, or something could not be read or written; says what.
    #[error("{0}")]
    Failed(String),
    /// It was ended before it was done.
    #[error("it was ended before it was done")]
    Ended,
}

impl BackupError {
    /// What it means for the caller.
    pub fn kind(&self) -> Kind {
        match self {
            Self::Busy => Kind::Busy(std::time::Duration::from_secs(60)),
            Self::Refused(_) => Kind::Refused,
            Self::Failed(_) | Self::Ended => Kind::Unavailable,
        }
    }
}

/// What a generation holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum What {
    /// Everything that a site needs to serve again: mail, queue, directory, configuration.
    Site,
    /// Mailboxes and messages.
    Messages,
}

/// A backup that is to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Make {
    /// The folder, as the host sees it. Made where it is not there; generations that are there are built upon.
    pub folder: String,
    /// What of.
    pub what: What,
    /// Bytes a second that may be read; 0: no limit.
    pub rate: u64,
    /// Afterwards only this many generations stay; 0: all.
    pub keep: usize,
}

/// A part of a backup that another process of the host is making.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Join {
    /// The folder of its generation.
    pub folder: String,
    /// Bytes a second that may be read; 0: no limit.
    pub rate: u64,
}

/// A backup that was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Made {
    /// The number of its generation.
    pub generation: u32,
    /// When it was begun.
    pub taken: Timestamp,
    /// How much was read and written.
    pub progress: Progress,
    /// Generations that were removed.
    pub removed: Vec<u32>,
    /// Files of the configuration that could not be read and are not in it, each with the reason.
    pub left_out: Vec<String>,
}

/// How far a backup is, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Progress {
    /// Looked at.
    pub done: u64,
    /// Of how many, as far as that is known by now.
    pub total: u64,
    /// Written: what an earlier generation has is not written again.
    pub written: u64,
}

/// A mailbox that is to come back from a backup.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recover {
    /// The folder of the backup, as the host sees it.
    pub folder: String,
    /// Which generation; `None`: the last.
    pub generation: Option<u32>,
    /// The mailbox in the backup.
    pub from: MailboxId,
    /// The mailbox that gets its mail.
    pub into: MailboxId,
    /// The folder there below which all come to be; it must not exist.
    pub below: String,
    /// What the mailbox may hold. Where the mail does not fit, none of it is taken.
    pub quota: crate::store::Quota,
}

/// What came back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Recovered {
    /// The generation it came from.
    pub generation: u32,
    /// Folders.
    pub folders: u64,
    /// Messages.
    pub messages: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Messages that are damaged in the backup and did not come back.
    pub damaged: u64,
}

/// Backups of a host.
pub trait Backup: Send + Sync {
    /// Makes a backup while everything serves. Takes as long as it takes; where the answer is not waited for any more, it
    /// ends and leaves no generation.
    fn backup_make<'a>(&'a self, call: &'a Call, make: Make) -> Answer<'a, Made, BackupError>;

    /// Adds what the servers of this process have to a generation that another process of the host has begun and will
    /// finish.
    fn backup_join<'a>(&'a self, call: &'a Call, join: Join) -> Answer<'a, Progress, BackupError>;

    /// How far the backup is that is being made; `None` where none is.
    fn backup_progress<'a>(&'a self, call: &'a Call) -> Answer<'a, Option<Progress>, BackupError>;

    /// Brings the mail of a mailbox back, into folders of its own, with flags and dates.
    fn mailbox_recover<'a>(&'a self, call: &'a Call, recover: Recover) -> Answer<'a, Recovered, BackupError>;
}
