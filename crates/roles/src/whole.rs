//! Whole mailboxes: brought back to what they were at a moment of the window that the store keeps, moved, copied.

use mail::id::MailboxId;
use mail::time::Timestamp;
use std::time::Duration;

/// What to restore.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Restore {
    /// Whose mailbox.
    pub mailbox: MailboxId,
    /// As it was after all changes up to this moment.
    pub at: Timestamp,
    /// Where to.
    pub into: RestoreInto,
}

/// Where restored messages go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RestoreInto {
    /// Those that are not in their folder any more go back into it; what is there stays as it is.
    Place,
    /// All go into folders below this one, which are made: a copy of the whole mailbox as it was.
    Below(String),
    /// Nowhere: only counts what [`RestoreInto::Place`] would do.
    Nowhere,
}

/// What a restore did. Messages have their flags and dates of then, and new UIDs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Restored {
    /// Folders that the mailbox had then.
    pub folders: u64,
    /// Messages that were put back.
    pub messages: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Messages that are still where they were.
    pub unchanged: u64,
}

/// What a move or a copy of a mailbox did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Moved {
    /// The shard that had it.
    pub from: u32,
    /// The shard that has it, or its copy.
    pub to: u32,
    /// Bodies that were copied.
    pub bodies: u64,
    /// Their bytes.
    pub bytes: u64,
    /// How long changes had to wait.
    pub pause: Duration,
}
