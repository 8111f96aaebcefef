//! Mailboxes as keys over a shard: folders, messages, flags, the change log, counters, request ids.
//!
//! [`Mailbox`] reads, on any [`Rows`](crate::shard::Rows); [`Writer`] changes, inside a task of the shard, so that
//! UIDs, ModSeqs, counters and the change log move in the commit of what they describe. A change costs what it
//! touches, never what the mailbox holds.
//!
//! It knows no limits of accounts and refuses nothing but what cannot be stored: decisions are `store`'s.
//!
//! A folder's messages lie under a *volume*, a number that is never used twice in a mailbox. So a folder is removed,
//! and the Inbox renamed, without touching its messages; `purge` takes the rows of dead volumes away, bit by bit.

mod chunks;
mod findings;
mod history;
mod indexed;
mod keys;
mod names;
mod purge;
mod reading;
mod recount;
mod references;
mod requests;
mod rows;
#[cfg(test)]
mod tests;
pub mod transfer;
mod writing;

pub use chunks::{CHUNK, Mark};
pub use findings::{
    DamagedRow, ScrubRow, damaged, forget_damage, known_orphans, note_damage, note_orphans, put_scrub, scrub,
};
pub use history::{Then, When, forget};
pub use indexed::{Covered, TextRow, covered, forget_covered, indexed, put_covered, put_text_row, text_row};
pub use names::{BadName, FolderName, MAX_LEVELS, MAX_NAME};
pub use purge::{PURGE_STEP, Purge, Purged, pending, purge};
pub use reading::{Mailbox, mailboxes};
pub use recount::{Counted, counted, message_page, recount};
pub use references::{next_mailbox, references};
pub use requests::{Earlier, earlier, expire, remember};
pub use rows::{AgesFrom, FolderRow, Keywords, MAX_MAILBOX_KEYWORDS, MailboxRow, MessageRow, Volume};
pub use writing::{NewMessage, Writer};
