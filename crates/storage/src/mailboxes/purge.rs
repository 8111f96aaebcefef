//! Taking away the rows of removed folders and mailboxes, a bounded piece in each commit.

use super::keys;
use super::rows::{MessageRow, Volume};
use crate::shard::{KeyRange, Row, Rows, ShardError, Transaction};
use mail::id::{MailboxId, Uid};
use mail::time::Timestamp;
use std::ops::ControlFlow;

/// Most rows that one step takes away.
pub const PURGE_STEP: usize = 4000;

/// A dead volume.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Purge {
    /// Whose it was.
    pub mailbox: MailboxId,
    /// Which.
    pub volume: Volume,
    /// Since when it may go.
    pub due: Timestamp,
}

/// The first dead volume that may go by now, if there is one.
///
/// # Errors
/// Where the index cannot be read.
pub fn pending(rows: &dyn Rows, now: Timestamp) -> Result<Option<Purge>, ShardError> {
    let Some((key, _)) = rows.first(KeyRange::prefix(keys::purges()))? else { return Ok(None) };
    let (due, mailbox, volume) =
        keys::parse_purge(&key).ok_or_else(|| ShardError::corrupt("the key of a purge"))?;
    Ok(Some(Purge { mailbox, volume, due }).filter(|_| due <= now))
}

/// The keys of all purges of a mailbox.
pub(super) fn of(rows: &dyn Rows, id: MailboxId) -> Result<Vec<Vec<u8>>, ShardError> {
    let mut all = Vec::new();
    rows.scan(KeyRange::prefix(keys::purges()), &mut |key, _| {
        if keys::parse_purge(key).is_some_and(|(_, mailbox, _)| mailbox == id) {
            all.push(key.to_vec());
        }
        ControlFlow::Continue(())
    })?;
    Ok(all)
}

/// Takes away up to [`PURGE_STEP`] rows of a dead volume. `true` where that was all of it.
///
/// # Errors
/// Where the index cannot be read.
pub fn purge(tx: &mut Transaction<'_>, what: Purge) -> Result<bool, ShardError> {
    let Purge { mailbox, volume, due } = what;
    let messages = some(tx, keys::messages(mailbox, volume))?;
    for (key, value) in &messages {
        // The UID is not needed to let go of the body.
        tx.release(&MessageRow::decode(Uid(0), value)?.blob)?;
        tx.delete(key)?;
    }
    if messages.len() == PURGE_STEP {
        return Ok(false);
    }
    for prefix in
        [keys::changes(mailbox, volume), keys::chunks(mailbox, volume), keys::vanished(mailbox, volume)]
    {
        let rows = some(tx, prefix)?;
        for (key, _) in &rows {
            tx.delete(key)?;
        }
        if rows.len() == PURGE_STEP {
            return Ok(false);
        }
    }
    tx.delete(&keys::purge(due, mailbox, volume))?;
    Ok(true)
}

fn some(tx: &Transaction<'_>, prefix: Vec<u8>) -> Result<Vec<Row>, ShardError> {
    let mut rows = Vec::new();
    tx.scan(KeyRange::prefix(prefix), &mut |key, value| {
        rows.push((key.to_vec(), value.to_vec()));
        if rows.len() < PURGE_STEP { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    })?;
    Ok(rows)
}
