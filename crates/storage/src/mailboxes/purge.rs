//! Taking away the rows of removed folders and mailboxes, a bounded piece in each commit.

use super::keys;
use super::rows::{MessageRow, Volume};
use crate::codec::Reader;
use crate::shard::{KeyRange, Row, Rows, ShardError, Transaction};
use mail::id::{FolderId, MailboxId, Uid};
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

/// The first dead volume, if there is one.
///
/// # Errors
/// Where the index cannot be read.
pub fn pending(rows: &dyn Rows) -> Result<Option<Purge>, ShardError> {
    let Some((key, value)) = rows.first(KeyRange::prefix(keys::purges()))? else { return Ok(None) };
    let (mailbox, volume) =
        keys::parse_purge(&key).ok_or_else(|| ShardError::corrupt("the key of a purge"))?;
    // Rows of the first releases have no folder.
    let folder = FolderId(Reader::new(&value).number32().unwrap_or(0));
    Ok(Some(Purge { mailbox, volume, folder }))
}

/// Takes away up to [`PURGE_STEP`] rows of a dead volume.
///
/// # Errors
/// Where the index cannot be read.
pub fn purge(tx: &mut Transaction<'_>, what: Purge) -> Result<Purged, ShardError> {
    let Purge { mailbox, volume, .. } = what;
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
    for prefix in [keys::changes(mailbox, volume), keys::vanished(mailbox, volume)] {
        let rows = some(tx, prefix)?;
        for (key, _) in &rows {
            tx.delete(key)?;
        }
        if rows.len() == PURGE_STEP {
            return Ok(purged);
        }
    }
    tx.delete(&keys::purge(mailbox, volume))?;
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
