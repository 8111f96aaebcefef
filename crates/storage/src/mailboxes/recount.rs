//! Counting a mailbox anew from the rows of its messages, and putting right what does not agree.
//!
//! Counters move in the commit of what they count, so they agree always; this is for the day when they do not. Costs
//! all rows of the mailbox, no bodies.

use super::reading::Mailbox;
use super::rows::{FolderRow, MailboxRow, MessageRow, Volume};
use super::writing::{Sign, count};
use super::{chunks, keys};
use crate::shard::{KeyRange, Rows, ShardError, Transaction};
use mail::id::{FolderId, MailboxId, ModSeq, Uid};
use std::collections::BTreeSet;
use std::ops::ControlFlow;

/// A folder as it is, and as it should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Counted {
    /// As its row has it.
    pub is: FolderRow,
    /// As its messages have it.
    pub should: FolderRow,
    /// Rows of messages that cannot be read.
    pub unreadable: Vec<Uid>,
    /// Messages that no row of the change log names, and rows of it that name none.
    pub changes: u64,
    /// Rows that say which UIDs there are, and do not say what the messages say.
    pub uids: u64,
}

impl Counted {
    /// Whether everything agrees.
    pub fn is_right(&self) -> bool {
        self.is == self.should && self.unreadable.is_empty() && self.changes == 0 && self.uids == 0
    }

    /// What does not agree, in one line.
    pub fn differences(&self) -> String {
        let (is, should) = (&self.is, &self.should);
        let numbers = [
            ("messages", u64::from(is.messages), u64::from(should.messages)),
            ("unseen", u64::from(is.unseen), u64::from(should.unseen)),
            ("deleted", u64::from(is.deleted), u64::from(should.deleted)),
            ("bytes", is.bytes, should.bytes),
            ("next UID", u64::from(is.uid_next.0), u64::from(should.uid_next.0)),
            ("modification sequence", is.highest_modseq.0, should.highest_modseq.0),
            ("rows that cannot be read", 0, self.unreadable.len() as u64),
            ("changes without message or message without change", 0, self.changes),
            ("wrong rows of UIDs", 0, self.uids),
        ];
        let wrong = numbers.iter().filter(|(_, is, should)| is != should);
        wrong
            .map(|(what, is, should)| format!("{what} {is}, counted {should}"))
            .collect::<Vec<_>>()
            .join("; ")
    }
}

/// Counts the folders of a mailbox, and says what the mailbox's own row should be.
///
/// # Errors
/// Where the index or a folder's row cannot be read.
pub fn counted(rows: &dyn Rows, id: MailboxId) -> Result<Option<(Vec<Counted>, MailboxRow)>, ShardError> {
    let mailbox = Mailbox::new(rows, id);
    let Some(row) = mailbox.row()?.filter(|row| !row.removed) else { return Ok(None) };
    let mut should = MailboxRow { bytes: 0, messages: 0, ..row };
    let mut folders = Vec::new();
    for folder in mailbox.folders()? {
        let one = folder_counted(rows, id, folder)?;
        should.bytes += one.should.bytes;
        should.messages += u64::from(one.should.messages);
        should.modseq = should.modseq.max(one.should.highest_modseq);
        folders.push(one);
    }
    Ok(Some((folders, should)))
}

fn folder_counted(rows: &dyn Rows, id: MailboxId, is: FolderRow) -> Result<Counted, ShardError> {
    let mut should = FolderRow { messages: 0, unseen: 0, deleted: 0, bytes: 0, ..is.clone() };
    let (mut unreadable, mut named) = (Vec::new(), Sum::default());
    scan_messages(rows, id, is.volume, &mut |uid, row| match row {
        Ok(row) => {
            count(&mut should, &row, Sign::Plus);
            should.uid_next = should.uid_next.max(Uid(uid.0.saturating_add(1)));
            should.highest_modseq = should.highest_modseq.max(row.modseq);
            named.add(row.modseq, uid);
        }
        Err(_) => unreadable.push(uid),
    })?;
    let mut logged = Sum::default();
    rows.scan(KeyRange::prefix(keys::changes(id, is.volume)), &mut |key, _| {
        let (modseq, uid) = keys::parse_change(key).unwrap_or_default();
        logged.add(modseq, uid);
        ControlFlow::Continue(())
    })?;
    let changes = if named == logged { 0 } else { named.count.abs_diff(logged.count).max(1) };
    let uids = chunks::wrong(rows, id, is.volume)?.len() as u64;
    Ok(Counted { is, should, unreadable, changes, uids })
}

/// Counts a mailbox anew and writes what was wrong; says which folders were.
///
/// # Errors
/// Where the index cannot be read, or more is wrong than one commit may change.
pub fn recount(tx: &mut Transaction<'_>, id: MailboxId) -> Result<Vec<FolderId>, ShardError> {
    let Some((folders, should)) = counted(tx, id)? else { return Ok(Vec::new()) };
    let mut wrong = Vec::new();
    for one in folders.into_iter().filter(|one| !one.is_right()) {
        if one.changes > 0 {
            mend_changes(tx, id, one.is.volume)?;
        }
        for (key, row) in chunks::wrong(tx, id, one.is.volume)? {
            match row {
                Some(row) => tx.put(&key, &row)?,
                None => tx.delete(&key)?,
            }
        }
        tx.put(&keys::folder(id, one.should.id), &one.should.encode())?;
        wrong.push(one.should.id);
    }
    tx.put(&keys::mailbox(id), &should.encode())?;
    Ok(wrong)
}

/// Makes the change log name each message once.
fn mend_changes(tx: &mut Transaction<'_>, id: MailboxId, volume: Volume) -> Result<(), ShardError> {
    let mut missing = BTreeSet::new();
    scan_messages(tx, id, volume, &mut |uid, row| {
        missing.extend(row.ok().map(|row| keys::change(id, volume, row.modseq, uid)));
    })?;
    let mut stray = Vec::new();
    tx.scan(KeyRange::prefix(keys::changes(id, volume)), &mut |key, _| {
        if !missing.remove(key) {
            stray.push(key.to_vec());
        }
        ControlFlow::Continue(())
    })?;
    stray.iter().try_for_each(|key| tx.delete(key))?;
    missing.iter().try_for_each(|key| tx.put(key, &[]))
}

/// Some messages of a folder with UIDs from this one on, each by itself: a row that cannot be read hides no other.
/// Ends after `most` rows, or `most_bytes` of bodies.
///
/// # Errors
/// Where the index cannot be read.
pub fn message_page(
    rows: &dyn Rows,
    (id, volume): (MailboxId, Volume),
    from: Uid,
    (most, most_bytes): (usize, u64),
) -> Result<Vec<(Uid, Option<MessageRow>)>, ShardError> {
    let (mut page, mut bytes) = (Vec::new(), 0);
    let range = KeyRange::prefix_from(&keys::messages(id, volume), keys::message(id, volume, from));
    rows.scan(range, &mut |key, value| {
        let uid = keys::parse_uid(key).unwrap_or_default();
        let row = MessageRow::decode(uid, value).ok();
        bytes += row.as_ref().map_or(0, MessageRow::size);
        page.push((uid, row));
        if page.len() < most && bytes < most_bytes {
            ControlFlow::Continue(())
        } else {
            ControlFlow::Break(())
        }
    })?;
    Ok(page)
}

/// All messages of a folder, each by itself.
pub(super) fn scan_messages(
    rows: &dyn Rows,
    id: MailboxId,
    volume: Volume,
    each: &mut dyn FnMut(Uid, Result<MessageRow, ShardError>),
) -> Result<(), ShardError> {
    rows.scan(KeyRange::prefix(keys::messages(id, volume)), &mut |key, value| {
        let uid = keys::parse_uid(key).unwrap_or_default();
        each(uid, MessageRow::decode(uid, value));
        ControlFlow::Continue(())
    })
}

/// Tells two large sets apart without holding them.
#[derive(Default, PartialEq, Eq)]
struct Sum {
    count: u64,
    sum: u64,
}

impl Sum {
    fn add(&mut self, modseq: ModSeq, uid: Uid) {
        // The finish of splitmix64: neighbours give numbers that have nothing to do with each other.
        let mut n = modseq.0.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ u64::from(uid.0);
        n = (n ^ (n >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        n = (n ^ (n >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        self.count += 1;
        self.sum = self.sum.wrapping_add(n ^ (n >> 31));
    }
}
