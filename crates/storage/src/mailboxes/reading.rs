//! Reading a mailbox, in a reader's view or inside a task.

use super::chunks::Mark;
use super::keys;
use super::names::FolderName;
use super::rows::{FolderRow, Keywords, MailboxRow, MessageRow, Volume, decode_set};
use crate::codec::Reader;
use crate::shard::{KeyRange, Rows, ShardError, Value};
use mail::id::{FolderId, MailboxId, ModSeq, Uid};
use mail::sequence::NumberSet;
use std::ops::ControlFlow;

/// How many rows outside of the asked set are walked over before a new seek costs less.
const WALK: u32 = 24;

/// The mailboxes that are there, by id, after `after`, at most `limit`. Costs a few look-ups each, whatever they
/// hold.
///
/// # Errors
/// Where the index cannot be read.
pub fn mailboxes(
    rows: &dyn Rows,
    after: Option<MailboxId>,
    limit: usize,
) -> Result<Vec<(MailboxId, MailboxRow)>, ShardError> {
    let (mut all, mut after) = (Vec::new(), after);
    while all.len() < limit
        && let Some(id) = super::next_mailbox(rows, after)?
    {
        after = Some(id);
        let row = Mailbox::new(rows, id).row()?.filter(|row| !row.removed);
        if let Some(row) = row
            && super::transfer::is_resident(rows, id)?
        {
            all.push((id, row));
        }
    }
    Ok(all)
}

/// A mailbox as its rows have it.
#[derive(Clone, Copy)]
pub struct Mailbox<'a> {
    rows: &'a dyn Rows,
    id: MailboxId,
}

impl<'a> Mailbox<'a> {
    /// The mailbox with this id, whether it exists or not.
    pub fn new(rows: &'a dyn Rows, id: MailboxId) -> Self {
        Self { rows, id }
    }

    /// Its id.
    pub(super) fn id(&self) -> MailboxId {
        self.id
    }

    /// Its own row, also of a removed one.
    ///
    /// # Errors
    /// Where the index cannot be read; like all methods here.
    pub fn row(&self) -> Result<Option<MailboxRow>, ShardError> {
        self.rows.get(&keys::mailbox(self.id))?.map(|row| MailboxRow::decode(&row)).transpose()
    }

    /// Whether it exists.
    ///
    /// # Errors
    /// As [`Mailbox::row`].
    pub fn exists(&self) -> Result<bool, ShardError> {
        Ok(self.row()?.is_some_and(|row| !row.removed))
    }

    /// A folder.
    ///
    /// # Errors
    /// As [`Mailbox::row`].
    pub fn folder(&self, folder: FolderId) -> Result<Option<FolderRow>, ShardError> {
        let row = self.rows.get(&keys::folder(self.id, folder))?;
        row.map(|row| FolderRow::decode(folder, &row)).transpose()
    }

    /// The folder of a name.
    ///
    /// # Errors
    /// As [`Mailbox::row`].
    pub fn folder_named(&self, name: &FolderName) -> Result<Option<FolderRow>, ShardError> {
        if name.is_inbox() {
            return self.folder(FolderId::INBOX);
        }
        let Some(row) = self.rows.get(&keys::name(self.id, name.as_str()))? else { return Ok(None) };
        let id =
            Reader::new(&row).number32().ok_or_else(|| ShardError::corrupt("the row of a folder's name"))?;
        self.folder(FolderId(id))
    }

    /// Whether there are folders below this name.
    ///
    /// # Errors
    /// As [`Mailbox::row`].
    pub fn has_below(&self, name: &FolderName) -> Result<bool, ShardError> {
        let prefix = keys::name(self.id, &format!("{name}/"));
        Ok(self.rows.first(KeyRange::prefix(prefix))?.is_some())
    }

    /// All folders, by id.
    ///
    /// # Errors
    /// As [`Mailbox::row`].
    pub fn folders(&self) -> Result<Vec<FolderRow>, ShardError> {
        let prefix = keys::folders(self.id);
        let mut all = Vec::new();
        self.each(KeyRange::prefix(prefix.clone()), |key, value| {
            let id = key.get(prefix.len()..).and_then(|id| id.try_into().ok()).map(u32::from_be_bytes);
            let id = id.ok_or_else(|| ShardError::corrupt("the key of a folder"))?;
            all.push(FolderRow::decode(FolderId(id), value)?);
            Ok(ControlFlow::Continue(()))
        })?;
        Ok(all)
    }

    /// Subscribed names, in order.
    ///
    /// # Errors
    /// As [`Mailbox::row`].
    pub fn subscriptions(&self) -> Result<Vec<String>, ShardError> {
        let mut all = Vec::new();
        self.each(KeyRange::prefix(keys::subscriptions(self.id)), |key, _| {
            all.extend(keys::parse_name(key).map(str::to_owned));
            Ok(ControlFlow::Continue(()))
        })?;
        Ok(all)
    }

    /// Whether a name is subscribed.
    ///
    /// # Errors
    /// As [`Mailbox::row`].
    pub fn is_subscribed(&self, name: &str) -> Result<bool, ShardError> {
        Ok(self.rows.get(&keys::subscription(self.id, name))?.is_some())
    }

    /// An attribute.
    ///
    /// # Errors
    /// As [`Mailbox::row`].
    pub fn attribute(&self, name: &str) -> Result<Option<Value>, ShardError> {
        self.rows.get(&keys::attribute(self.id, name))
    }

    /// The names of its attributes and the lengths of their values, in order.
    ///
    /// # Errors
    /// As [`Mailbox::row`].
    pub fn attributes(&self) -> Result<Vec<(String, u64)>, ShardError> {
        let mut all = Vec::new();
        self.each(KeyRange::prefix(keys::attribute_lengths(self.id)), |key, value| {
            let name =
                keys::parse_attribute(key).ok_or_else(|| ShardError::corrupt("an attribute's name"))?;
            let bytes = Reader::new(value).number();
            all.push((name.to_owned(), bytes.ok_or_else(|| ShardError::corrupt("an attribute's length"))?));
            Ok(ControlFlow::Continue(()))
        })?;
        Ok(all)
    }

    /// The names of its keywords.
    ///
    /// # Errors
    /// As [`Mailbox::row`].
    pub fn keywords(&self) -> Result<Keywords, ShardError> {
        let row = self.rows.get(&keys::keywords(self.id))?;
        row.map_or_else(|| Ok(Keywords::default()), |row| Keywords::decode(&row))
    }

    /// One message.
    ///
    /// # Errors
    /// As [`Mailbox::row`].
    pub fn message(&self, volume: Volume, uid: Uid) -> Result<Option<MessageRow>, ShardError> {
        let row = self.rows.get(&keys::message(self.id, volume, uid))?;
        row.map(|row| MessageRow::decode(uid, &row)).transpose()
    }

    /// The messages of a set, in order of UID. Costs what is there, not what the set could hold.
    ///
    /// # Errors
    /// As [`Mailbox::row`], and what `each` returns.
    pub fn messages(
        &self,
        volume: Volume,
        uids: &NumberSet,
        mut each: impl FnMut(MessageRow) -> Result<ControlFlow<()>, ShardError>,
    ) -> Result<(), ShardError> {
        let (Some(mut from), Some(last)) = (uids.first(), uids.last()) else { return Ok(()) };
        loop {
            let (mut missed, mut found) = (0, None);
            let to = keys::message(self.id, volume, Uid(last.saturating_add(1)));
            let mut range = KeyRange::new(keys::message(self.id, volume, Uid(from)), to);
            if last == u32::MAX {
                range = KeyRange::prefix_from(
                    &keys::messages(self.id, volume),
                    keys::message(self.id, volume, Uid(from)),
                );
            }
            self.each(range, |key, value| {
                let uid = keys::parse_uid(key).ok_or_else(|| ShardError::corrupt("the key of a message"))?;
                if uids.contains(uid.0) {
                    missed = 0;
                    let flow = each(MessageRow::decode(uid, value)?)?;
                    return Ok(flow);
                }
                missed += 1;
                if missed < WALK {
                    return Ok(ControlFlow::Continue(()));
                }
                found = Some(uid.0);
                Ok(ControlFlow::Break(()))
            })?;
            // The walk was given up in a gap of the set: go on where the set does.
            let Some(at) = found else { return Ok(()) };
            match uids.ranges_within(at..=u32::MAX).next() {
                Some(range) => from = *range.start(),
                None => return Ok(()),
            }
        }
    }

    /// Messages that were changed after `since`, in order of their ModSeq.
    ///
    /// # Errors
    /// As [`Mailbox::row`], and what `each` returns.
    pub fn changed(
        &self,
        volume: Volume,
        since: ModSeq,
        mut each: impl FnMut(ModSeq, Uid) -> Result<ControlFlow<()>, ShardError>,
    ) -> Result<(), ShardError> {
        let from = keys::changes_from(self.id, volume, since.next());
        self.each(KeyRange::prefix_from(&keys::changes(self.id, volume), from), |key, _| {
            let (modseq, uid) =
                keys::parse_change(key).ok_or_else(|| ShardError::corrupt("the key of a change"))?;
            each(modseq, uid)
        })
    }

    /// UIDs that went after `since`, up to and with `up_to`. Where that is further back than is remembered, all UIDs
    /// that are not there.
    ///
    /// # Errors
    /// As [`Mailbox::row`].
    pub fn vanished(
        &self,
        folder: &FolderRow,
        since: ModSeq,
        up_to: ModSeq,
    ) -> Result<NumberSet, ShardError> {
        let mut gone = NumberSet::new();
        if since < folder.vanished_floor {
            gone.insert_range(1..=folder.uid_next.0.saturating_sub(1));
            return Ok(gone.difference(&self.uids(folder.volume, Mark::There)?));
        }
        let prefix = keys::vanished(self.id, folder.volume);
        let from = keys::vanished_at(self.id, folder.volume, since.next());
        self.each(KeyRange::prefix_from(&prefix, from), |key, value| {
            if keys::parse_vanished(key).is_none_or(|at| at > up_to) {
                return Ok(ControlFlow::Break(()));
            }
            decode_set(value)?.ranges().for_each(|r| gone.insert_range(r));
            Ok(ControlFlow::Continue(()))
        })?;
        Ok(gone)
    }

    /// Walks rows with a closure that may fail.
    pub(super) fn each(
        &self,
        range: KeyRange,
        mut each: impl FnMut(&[u8], &[u8]) -> Result<ControlFlow<()>, ShardError>,
    ) -> Result<(), ShardError> {
        let mut failed = None;
        self.rows.scan(range, &mut |key, value| {
            each(key, value).unwrap_or_else(|error| {
                failed = Some(error);
                ControlFlow::Break(())
            })
        })?;
        failed.map_or(Ok(()), Err)
    }
}
