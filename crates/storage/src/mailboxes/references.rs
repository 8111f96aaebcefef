//! All bodies that the rows of a shard refer to: the other side of [`View::audit`](crate::shard::View::audit).

use super::history::{self, BodyOf};
use super::keys;
use super::rows::MessageRow;
use crate::shard::{BlobRef, KeyRange, References, Rows, ShardError};
use mail::id::{MailboxId, Uid};
use std::ops::ControlFlow;

/// Walks all rows that hold a reference to a body: those of messages, also of folders that were removed and are not
/// purged yet, those of history that have taken a body over, and those of a transfer. Rows that cannot be read are
/// counted: their bodies look like orphans.
///
/// # Errors
/// Where the index cannot be read.
pub fn references(rows: &dyn Rows) -> Result<(References, u64), ShardError> {
    let (mut all, mut unreadable) = (References::default(), 0);
    let mut after = None;
    while let Some(mailbox) = next_mailbox(rows, after)? {
        rows.scan(KeyRange::prefix(keys::all_messages(mailbox)), &mut |_, value| {
            // The UID is not needed to see the body.
            match MessageRow::decode(Uid(0), value) {
                Ok(row) => all.add(&row.blob),
                Err(_) => unreadable += 1,
            }
            ControlFlow::Continue(())
        })?;
        rows.scan(KeyRange::prefix(keys::history(mailbox)), &mut |key, value| {
            match history::parse(key, value).map(history::Entry::message) {
                Ok(Some((row, BodyOf::History))) => all.add(&row.blob),
                Ok(_) => {}
                Err(_) => unreadable += 1,
            }
            ControlFlow::Continue(())
        })?;
        after = Some(mailbox);
    }
    rows.scan(KeyRange::prefix(keys::all_bodies_staged()), &mut |_, value| {
        match BlobRef::decode(value) {
            Some((blob, _)) => all.add(&blob),
            None => unreadable += 1,
        }
        ControlFlow::Continue(())
    })?;
    Ok((all, unreadable))
}

/// The first mailbox behind this one that has any row, be it that it was removed and is not purged yet.
///
/// # Errors
/// Where the index cannot be read.
pub fn next_mailbox(rows: &dyn Rows, after: Option<MailboxId>) -> Result<Option<MailboxId>, ShardError> {
    let Some(range) = keys::mailboxes_after(after) else { return Ok(None) };
    let Some((key, _)) = rows.first(range)? else { return Ok(None) };
    keys::parse_mailbox(&key).map(Some).ok_or_else(|| ShardError::corrupt("the key of a mailbox"))
}
