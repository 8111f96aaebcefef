//! What a request has delivered, for some days: a repeat of it finds its message instead of making another.

use super::keys;
use crate::codec::{Reader, put_number};
use crate::shard::{KeyRange, Rows, ShardError, Transaction};
use mail::id::{FolderId, MailboxId, RequestId, Uid, UidValidity};
use mail::time::Timestamp;
use std::ops::ControlFlow;

/// Most requests that one call of [`expire`] forgets.
const EXPIRE_STEP: usize = 2000;

/// Where a request's message was put.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Earlier {
    /// The folder.
    pub folder: FolderId,
    /// Its UID epoch then.
    pub uid_validity: UidValidity,
    /// Its UID.
    pub uid: Uid,
}

/// What the request delivered into the mailbox, if it did and that is still remembered.
///
/// # Errors
/// Where the index cannot be read.
pub fn earlier(rows: &dyn Rows, id: MailboxId, request: RequestId) -> Result<Option<Earlier>, ShardError> {
    let Some(row) = rows.get(&keys::request(id, request))? else { return Ok(None) };
    let mut r = Reader::new(&row);
    let mut decode = || {
        let (folder, uid_validity, uid) = (r.number32()?, r.number32()?, r.number32()?);
        Some(Earlier { folder: FolderId(folder), uid_validity: UidValidity(uid_validity), uid: Uid(uid) })
    };
    decode().map(Some).ok_or_else(|| ShardError::corrupt("the row of a request"))
}

/// Remembers what the request has delivered into the mailbox, until [`expire`] is told of a later time.
///
/// # Errors
/// Where the change is too large.
pub fn remember(
    tx: &mut Transaction<'_>,
    id: MailboxId,
    request: RequestId,
    what: Earlier,
    until: Timestamp,
) -> Result<(), ShardError> {
    let mut row = Vec::with_capacity(15);
    for n in [what.folder.0, what.uid_validity.0, what.uid.0] {
        put_number(&mut row, u64::from(n));
    }
    tx.put(&keys::request(id, request), &row)?;
    note_end(tx, id, request, until)
}

/// Lets a request be forgotten at this time.
pub(super) fn note_end(
    tx: &mut Transaction<'_>,
    id: MailboxId,
    request: RequestId,
    until: Timestamp,
) -> Result<(), ShardError> {
    tx.put(&keys::expiry(second(until), id, request), &[])
}

/// Forgets some of the requests whose time is over. `true` where there may be more.
///
/// # Errors
/// Where the index cannot be read.
pub fn expire(tx: &mut Transaction<'_>, now: Timestamp) -> Result<bool, ShardError> {
    let mut due = Vec::new();
    tx.scan(KeyRange::prefix(keys::expiries()), &mut |key, _| {
        match keys::parse_expiry(key) {
            Some((second, ..)) if i64::from(second) > now.as_secs() => return ControlFlow::Break(()),
            _ => due.push(key.to_vec()),
        }
        if due.len() < EXPIRE_STEP { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    })?;
    for key in &due {
        if let Some((_, id, request)) = keys::parse_expiry(key) {
            tx.delete(&keys::request(id, request))?;
        }
        tx.delete(key)?;
    }
    Ok(due.len() == EXPIRE_STEP)
}

fn second(at: Timestamp) -> u32 {
    u32::try_from(at.as_secs().max(0)).unwrap_or(u32::MAX)
}
