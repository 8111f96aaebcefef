//! What is asked of a store besides reading and changing mail: lists of mailboxes, attributes, age.

use super::Usage;
use mail::attribute::AttributeName;
use mail::id::{FolderId, MailboxId};
use mail::time::Timestamp;

/// Most mailboxes of one page of a list.
pub const MAILBOX_PAGE: usize = 1000;

/// One mailbox in a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MailboxLine {
    /// Which.
    pub mailbox: MailboxId,
    /// What it holds.
    pub usage: Usage,
}

/// One attribute in a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AttributeLine {
    /// Its name.
    pub name: AttributeName,
    /// Bytes of its value.
    pub bytes: u64,
}

/// Removing what has been in a folder for too long. A message's age counts from when it came into the folder, so that
/// what is moved into the Trash stays there for its time, however old it is.
#[derive(Debug, Clone)]
pub struct Expire {
    /// Whose.
    pub mailbox: MailboxId,
    /// Where.
    pub folder: FolderId,
    /// What came before this goes.
    pub before: Timestamp,
    /// What becomes of messages without `\Seen`.
    pub unread: Unread,
    /// Whether anything is removed at all.
    pub run: Run,
}

/// Whether unread mail is protected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unread {
    /// It stays, however old it is.
    Stays,
    /// It goes like all other mail.
    Goes,
}

/// Whether it is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Run {
    /// Only count.
    Dry,
    /// Do it.
    Real,
}

/// What was (or would be) removed for its age.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Expired {
    /// Messages that went.
    pub messages: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Messages of that age that stayed because they are unread.
    pub protected: u64,
}
