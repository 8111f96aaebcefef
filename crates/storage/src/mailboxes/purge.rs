//! Taking away the rows of removed folders and mailboxes, a bounded piece in each commit.

use super::keys;
use super::rows::{MessageRow, Volume};
use crate::codec::Reader;
use crate::shard::{KeyRange, Row, Rows, ShardError, Transaction};
use mail::id::{FolderId, MailboxId, Uid};
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
    /// The folder whose it was.
    pub folder: FolderId,
}

/// What one step has taken away.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Purged {
    /// The messages whose rows went.
    pub uids: Vec<Uid>,
    /// Whether that was the last step.
    pub done: bool,
}

/// The first dead volume that may go by now, if there is one.
///
/// # Errors
/// Where the index cannot be read.
pub fn pending(rows: &dyn Rows, now: Timestamp) -> Result<Option<Purge>, ShardError> {
    let Some((key, value)) = rows.first(KeyRange::prefix(keys::purges()))? else { return Ok(None) };
    let (due, mailbox, volume) =
        keys::parse_purge(&key).ok_or_else(|| ShardError::corrupt("the key of a purge"))?;
    let folder = Reader::new(&value).number32().ok_or_else(|| ShardError::corrupt("the row of a purge"))?;
    Ok(Some(Purge { mailbox, volume, due, folder: FolderId(folder) }).filter(|_| due <= now))
}

/// All purges of a mailbox.
pub(super) fn of(rows: &dyn Rows, id: MailboxId) -> Result<Vec<Row>, ShardError> {
    let mut all = Vec::new();
    rows.scan(KeyRange::prefix(keys::purges()), &mut |key, value| {
        if keys::parse_purge(key).is_some_and(|(_, mailbox, _)| mailbox == id) {
            all.push((key.to_vec(), value.to_vec()));
        }
        ControlFlow::Continue(())
    })?;
    Ok(all)
}

/// Takes away up to [`PURGE_STEP`] rows of a dead volume.
///
/// # Errors
/// Where the index cannot be read.
pub fn purge(tx: &mut Transaction<'_>, what: Purge) -> Result<Purged, ShardError> {
    let Purge { mailbox, volume, due, .. } = what;
    let mut purged = Purged::default();
    let messages = some(tx, keys::messages(mailbox, volume))?;
    for (key, value) in &messages {
        let uid = keys::parse_uid(key).ok_or_else(|| ShardError::corrupt("the key of a message"))?;
        tx.release(&MessageRow::decode(uid, value)?.blob)?;
        tx.delete(key)?;
        purged.uids.push(uid);
    }
    if messages.len() == PURGE_STEP {
        return Ok(purged);
    }
    for prefix in
        [keys::changes(mailbox, volume), keys::chunks(mailbox, volume), keys::vanished(mailbox, volume)]
    {
        let rows = some(tx, prefix)?;
        for (key, _) in &rows {
            tx.delete(key)?;
        }
        if rows.len() == PURGE_STEP {
            return Ok(purged);
        }
    }
    super::indexed::lapse(tx, (mailbox, volume))?;
    tx.delete(&keys::purge(due, mailbox, volume))?;
    purged.done = true;
    Ok(purged)
}

fn some(tx: &Transaction<'_>, prefix: Vec<u8>) -> Result<Vec<Row>, ShardError> {
    let mut rows = Vec::new();
    tx.scan(KeyRange::prefix(prefix), &mut |key, value| {
        rows.push((key.to_vec(), value.to_vec()));
        if rows.len() < PURGE_STEP { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    })?;
    Ok(rows)
}
