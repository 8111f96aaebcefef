//! Changing a mailbox inside a task of the shard.
//!
//! A task opens a [`Writer`], takes folders out as rows, changes them through it, puts them back with
//! [`Writer::save_folder`], and ends with [`Writer::save`]. Nothing is kept of a task that fails, so no step undoes
//! another.

use super::chunks::Changing;
use super::history::{BodyOf, Chronicle, Was, When};
use super::keys;
use super::names::FolderName;
use super::reading::Mailbox;
use super::rows::{AgesFrom, FolderRow, Keywords, MailboxRow, MessageRow, Volume, encode_set};
use crate::codec::put_number;
use crate::shard::{BlobRef, KeyRange, Rows, ShardError, Transaction};
use mail::flags::{Flags, SystemFlags};
use mail::id::{FolderId, MailboxId, ModSeq, Uid, UidValidity};
use mail::search::Day;
use mail::sequence::NumberSet;
use mail::time::Timestamp;
use std::ops::ControlFlow;
use std::time::Duration;

/// Rows of vanished messages kept for one folder, before the older half of them is forgotten.
const MAX_VANISHED_ROWS: u32 = 512;

/// A message that is to be put into a folder.
#[derive(Debug, Clone)]
pub struct NewMessage {
    /// System flags.
    pub system: SystemFlags,
    /// Places of its keywords: see [`Writer::keyword_places`].
    pub keywords: Vec<u32>,
    /// INTERNALDATE.
    pub received: Timestamp,
    /// What its age is counted from.
    pub ages_from: AgesFrom,
    /// The day in its Date header.
    pub sent: Option<Day>,
    /// Its outline and body. The reference is the message's own: retain it before where others have it too.
    pub blob: BlobRef,
}

/// A mailbox that is being changed.
pub struct Writer<'t, 's> {
    tx: &'t mut Transaction<'s>,
    id: MailboxId,
    row: MailboxRow,
    keywords: Option<Keywords>,
    chronicle: Chronicle,
    keep: Duration,
    chunk: Changing,
}

impl<'t, 's> Writer<'t, 's> {
    /// Opens a mailbox; `None` where there is none.
    ///
    /// # Errors
    /// Where the index cannot be read or the change is too large; like all methods here.
    pub fn open(tx: &'t mut Transaction<'s>, id: MailboxId, when: When) -> Result<Option<Self>, ShardError> {
        let row = Mailbox::new(tx, id).row()?.filter(|row| !row.removed);
        Ok(row.map(|row| Self::of(tx, id, row, when)))
    }

    fn of(tx: &'t mut Transaction<'s>, id: MailboxId, row: MailboxRow, when: When) -> Self {
        let chronicle = Chronicle::new(id, &row, when);
        Self { tx, id, row, keywords: None, chronicle, keep: when.keep, chunk: Changing::default() }
    }

    /// Makes a mailbox with its Inbox. One that was removed before goes on with its numbers.
    ///
    /// # Errors
    /// As [`Writer::open`].
    pub fn create(tx: &'t mut Transaction<'s>, id: MailboxId, when: When) -> Result<Self, ShardError> {
        let before = Mailbox::new(tx, id).row()?;
        let row = MailboxRow {
            removed: false,
            modseq: before.as_ref().map_or(ModSeq(1), |b| b.modseq.next()),
            next_folder: before.as_ref().map_or(FolderId::INBOX.0 + 1, |b| b.next_folder),
            next_volume: before.as_ref().map_or(1, |b| b.next_volume),
            next_validity: before.as_ref().map_or(1, |b| b.next_validity),
            bytes: 0,
            messages: 0,
            changed: before.as_ref().map_or(Timestamp::default(), |b| b.changed),
            noted: before.as_ref().map_or(0, |b| b.noted),
        };
        let mut writer = Self::of(tx, id, row, when);
        let inbox = writer.blank_folder(FolderId::INBOX, &FolderName::inbox());
        writer.chronicle.folder(writer.tx, inbox.id, None)?;
        writer.save_folder(&inbox)?;
        Ok(writer)
    }

    /// The mailbox's id.
    pub fn id(&self) -> MailboxId {
        self.id
    }

    /// The mailbox's own row.
    pub fn row(&self) -> &MailboxRow {
        &self.row
    }

    /// Reads it as it is by now.
    pub fn mailbox(&self) -> Mailbox<'_> {
        Mailbox::new(self.tx, self.id)
    }

    /// The transaction below, for bodies and what else goes with the change.
    pub fn transaction(&mut self) -> &mut Transaction<'s> {
        self.tx
    }

    /// Takes the next ModSeq: one for each change that a client sees as one.
    pub fn next_modseq(&mut self) -> ModSeq {
        self.row.modseq = self.row.modseq.next();
        self.row.modseq
    }

    /// Writes the mailbox's row: the end of every change.
    ///
    /// # Errors
    /// As [`Writer::open`].
    pub fn save(mut self) -> Result<(), ShardError> {
        self.chronicle.save(&mut self.row);
        if let Some(keywords) = &self.keywords {
            self.tx.put(&keys::keywords(self.id), &keywords.encode())?;
        }
        self.tx.put(&keys::mailbox(self.id), &self.row.encode())
    }

    /// The places of the keywords among these flags; new names get one. Names beyond the mailbox's limit are dropped.
    ///
    /// # Errors
    /// As [`Writer::open`].
    pub fn keyword_places(&mut self, flags: &Flags) -> Result<Vec<u32>, ShardError> {
        if flags.keywords.is_empty() {
            return Ok(Vec::new());
        }
        let mut known = match self.keywords.take() {
            Some(known) => known,
            None => self.mailbox().keywords()?,
        };
        let place = |name| known.place(name).or_else(|| known.add(name));
        let mut places: Vec<u32> = flags.keywords.iter().filter_map(place).collect();
        places.sort_unstable();
        self.keywords = Some(known);
        Ok(places)
    }

    /// Puts a message into a folder.
    ///
    /// # Errors
    /// As [`Writer::open`]; [`ShardError::TooLarge`] where the folder has used up its UIDs.
    pub fn add(
        &mut self,
        folder: &mut FolderRow,
        new: NewMessage,
        modseq: ModSeq,
    ) -> Result<Uid, ShardError> {
        let NewMessage { system, keywords, received, ages_from, sent, blob } = new;
        let uid = folder.uid_next;
        folder.uid_next = Uid(uid.0.checked_add(1).ok_or(ShardError::TooLarge("the folder"))?);
        let added = self.chronicle.at;
        let row = MessageRow { uid, system, keywords, modseq, received, added, ages_from, sent, blob };
        self.put_message(folder.volume, &row)?;
        count(folder, &row, Sign::Plus);
        folder.highest_modseq = modseq;
        self.row.bytes += row.size();
        self.row.messages += 1;
        Ok(uid)
    }

    /// Gives a message other flags.
    ///
    /// # Errors
    /// As [`Writer::open`].
    pub fn set_flags(
        &mut self,
        folder: &mut FolderRow,
        mut row: MessageRow,
        (system, keywords): (SystemFlags, Vec<u32>),
        modseq: ModSeq,
    ) -> Result<(), ShardError> {
        self.chronicle.message(self.tx, folder.volume, &row, BodyOf::Message)?;
        self.tx.delete(&keys::change(self.id, folder.volume, row.modseq, row.uid))?;
        count(folder, &row, Sign::Minus);
        (row.system, row.keywords, row.modseq) = (system, keywords, modseq);
        self.put_message(folder.volume, &row)?;
        count(folder, &row, Sign::Plus);
        folder.highest_modseq = modseq;
        Ok(())
    }

    /// Takes messages out of a folder.
    ///
    /// # Errors
    /// As [`Writer::open`].
    pub fn remove(
        &mut self,
        folder: &mut FolderRow,
        messages: &[MessageRow],
        modseq: ModSeq,
    ) -> Result<(), ShardError> {
        for row in messages {
            self.tx.delete(&keys::message(self.id, folder.volume, row.uid))?;
            self.tx.delete(&keys::change(self.id, folder.volume, row.modseq, row.uid))?;
            self.chunk.take(self.tx, (self.id, folder.volume), row.uid)?;
            if !self.chronicle.message(self.tx, folder.volume, row, BodyOf::History)? {
                self.tx.release(&row.blob)?;
            }
            count(folder, row, Sign::Minus);
            self.row.bytes = self.row.bytes.saturating_sub(row.size());
            self.row.messages = self.row.messages.saturating_sub(1);
        }
        if !messages.is_empty() {
            let gone: NumberSet = messages.iter().map(|m| m.uid).collect();
            self.tx.put(&keys::vanished_at(self.id, folder.volume, modseq), &encode_set(&gone))?;
            folder.vanished_rows += 1;
            folder.highest_modseq = modseq;
            self.forget_vanished(folder)?;
        }
        Ok(())
    }

    /// Writes a folder's row, and which UIDs it has by now.
    ///
    /// # Errors
    /// As [`Writer::open`].
    pub fn save_folder(&mut self, folder: &FolderRow) -> Result<(), ShardError> {
        self.chunk.save(self.tx, self.id)?;
        self.tx.put(&keys::folder(self.id, folder.id), &folder.encode())
    }

    /// Makes a folder. The name must be free.
    ///
    /// # Errors
    /// As [`Writer::open`].
    pub fn create_folder(&mut self, name: &FolderName) -> Result<FolderRow, ShardError> {
        let id = FolderId(self.row.next_folder);
        self.row.next_folder = id.0.checked_add(1).ok_or(ShardError::TooLarge("the mailbox"))?;
        let folder = self.blank_folder(id, name);
        self.chronicle.folder(self.tx, id, None)?;
        self.name_folder(name, id)?;
        self.save_folder(&folder)?;
        Ok(folder)
    }

    /// Removes a folder; its messages are purged later.
    ///
    /// # Errors
    /// As [`Writer::open`].
    pub fn remove_folder(&mut self, folder: &FolderRow) -> Result<(), ShardError> {
        self.chronicle.folder(self.tx, folder.id, Some(folder))?;
        self.tx.delete(&keys::name(self.id, &folder.name))?;
        self.tx.delete(&keys::folder(self.id, folder.id))?;
        self.row.bytes = self.row.bytes.saturating_sub(folder.bytes);
        self.row.messages = self.row.messages.saturating_sub(u64::from(folder.messages));
        self.bury(folder.volume, folder.id)
    }

    /// Lets a volume be purged once its messages need not be known any more. The folder is noted for the log only.
    fn bury(&mut self, volume: Volume, folder: FolderId) -> Result<(), ShardError> {
        let mut value = Vec::with_capacity(5);
        put_number(&mut value, u64::from(folder.0));
        self.tx.put(&keys::purge(self.chronicle.at.plus(self.keep), self.id, volume), &value)
    }

    /// Gives a folder another name, which must be free, and a new UID epoch.
    ///
    /// # Errors
    /// As [`Writer::open`].
    pub fn rename_folder(&mut self, folder: &mut FolderRow, name: &FolderName) -> Result<(), ShardError> {
        self.chronicle.folder(self.tx, folder.id, Some(folder))?;
        self.tx.delete(&keys::name(self.id, &folder.name))?;
        self.name_folder(name, folder.id)?;
        name.as_str().clone_into(&mut folder.name);
        folder.uid_validity = self.next_validity();
        folder.highest_modseq = self.next_modseq();
        self.save_folder(folder)
    }

    /// Gives all messages of one folder to another, which must be new, and leaves the first empty with a new epoch.
    ///
    /// # Errors
    /// As [`Writer::open`].
    pub fn hand_over(&mut self, from: &mut FolderRow, to: &mut FolderRow) -> Result<(), ShardError> {
        self.chronicle.folder(self.tx, from.id, Some(from))?;
        let name = FolderName::parse(&from.name).map_err(|_| ShardError::corrupt("the name of a folder"))?;
        let empty = FolderRow { special_use: from.special_use, ..self.blank_folder(from.id, &name) };
        let taken = std::mem::replace(from, empty);
        self.bury(to.volume, to.id)?;
        *to = FolderRow {
            id: to.id,
            name: to.name.clone(),
            uid_validity: to.uid_validity,
            special_use: to.special_use,
            highest_modseq: self.next_modseq(),
            ..taken
        };
        from.highest_modseq = self.next_modseq();
        self.save_folder(from)?;
        self.save_folder(to)
    }

    /// Subscribes a name.
    ///
    /// # Errors
    /// As [`Writer::open`].
    pub fn subscribe(&mut self, name: &str) -> Result<(), ShardError> {
        if self.mailbox().is_subscribed(name)? {
            return Ok(());
        }
        self.chronicle.subscription(self.tx, name, Was::Free)?;
        self.tx.put(&keys::subscription(self.id, name), &[])
    }

    /// Ends a subscription.
    ///
    /// # Errors
    /// As [`Writer::open`].
    pub fn unsubscribe(&mut self, name: &str) -> Result<(), ShardError> {
        if !self.mailbox().is_subscribed(name)? {
            return Ok(());
        }
        self.chronicle.subscription(self.tx, name, Was::Subscribed)?;
        self.tx.delete(&keys::subscription(self.id, name))
    }

    /// Sets an attribute, or takes it away.
    ///
    /// # Errors
    /// As [`Writer::open`].
    pub fn set_attribute(&mut self, name: &str, value: Option<&[u8]>) -> Result<(), ShardError> {
        let (length, row) = (keys::attribute_length(self.id, name), keys::attribute(self.id, name));
        let Some(value) = value else {
            self.tx.delete(&length)?;
            return self.tx.delete(&row);
        };
        let mut bytes = Vec::with_capacity(3);
        put_number(&mut bytes, value.len() as u64);
        self.tx.put(&length, &bytes)?;
        self.tx.put(&row, value)
    }

    /// Removes the mailbox with all that it has; messages are purged later. Its numbers stay.
    ///
    /// # Errors
    /// As [`Writer::open`].
    pub fn remove_mailbox(mut self) -> Result<(), ShardError> {
        for folder in self.mailbox().folders()? {
            self.remove_folder(&folder)?;
        }
        for name in self.mailbox().subscriptions()? {
            self.unsubscribe(&name)?;
        }
        for (name, _) in self.mailbox().attributes()? {
            self.set_attribute(&name, None)?;
        }
        let keywords = self.mailbox().keywords()?;
        self.chronicle.keywords(self.tx, &keywords)?;
        self.tx.delete(&keys::keywords(self.id))?;
        self.keywords = None;
        self.next_modseq();
        self.row.removed = true;
        self.save()
    }

    fn blank_folder(&mut self, id: FolderId, name: &FolderName) -> FolderRow {
        let volume = Volume(self.row.next_volume);
        self.row.next_volume = self.row.next_volume.saturating_add(1);
        FolderRow {
            id,
            volume,
            name: name.as_str().to_owned(),
            uid_validity: self.next_validity(),
            uid_next: Uid(1),
            highest_modseq: self.row.modseq,
            messages: 0,
            unseen: 0,
            deleted: 0,
            bytes: 0,
            special_use: 0,
            vanished_rows: 0,
            vanished_floor: ModSeq::ZERO,
        }
    }

    /// UID epochs follow the clock where it is ahead, so that they grow even if a mailbox is restored from an older
    /// copy. RFC 9051 2.3.1.1.
    fn next_validity(&mut self) -> UidValidity {
        let clock = u32::try_from(self.chronicle.at.as_secs()).unwrap_or(0);
        let next = self.row.next_validity.max(clock).max(1);
        self.row.next_validity = next.saturating_add(1);
        UidValidity(next)
    }

    fn name_folder(&mut self, name: &FolderName, id: FolderId) -> Result<(), ShardError> {
        let mut value = Vec::with_capacity(5);
        put_number(&mut value, u64::from(id.0));
        self.tx.put(&keys::name(self.id, name.as_str()), &value)
    }

    fn put_message(&mut self, volume: Volume, row: &MessageRow) -> Result<(), ShardError> {
        self.tx.put(&keys::message(self.id, volume, row.uid), &row.encode())?;
        self.chunk.put(self.tx, (self.id, volume), row)?;
        self.tx.put(&keys::change(self.id, volume, row.modseq, row.uid), &[])
    }

    /// Forgets the older half of the rows of vanished messages where there are too many.
    fn forget_vanished(&mut self, folder: &mut FolderRow) -> Result<(), ShardError> {
        if folder.vanished_rows <= MAX_VANISHED_ROWS {
            return Ok(());
        }
        let mut old = Vec::new();
        self.tx.scan(KeyRange::prefix(keys::vanished(self.id, folder.volume)), &mut |key, _| {
            old.push(key.to_vec());
            if old.len() < (MAX_VANISHED_ROWS / 2) as usize {
                ControlFlow::Continue(())
            } else {
                ControlFlow::Break(())
            }
        })?;
        for key in &old {
            self.tx.delete(key)?;
        }
        let last = old.last().and_then(|key| keys::parse_vanished(key));
        folder.vanished_floor = last.unwrap_or(folder.vanished_floor);
        folder.vanished_rows =
            folder.vanished_rows.saturating_sub(u32::try_from(old.len()).unwrap_or(u32::MAX));
        Ok(())
    }
}

pub(super) enum Sign {
    Plus,
    Minus,
}

/// Counts a message into its folder, or out of it.
pub(super) fn count(folder: &mut FolderRow, row: &MessageRow, sign: Sign) {
    let one = |there: bool| u32::from(there);
    let unseen = one(!row.system.contains(SystemFlags::SEEN));
    let deleted = one(row.system.contains(SystemFlags::DELETED));
    match sign {
        Sign::Plus => {
            folder.messages += 1;
            folder.unseen += unseen;
            folder.deleted += deleted;
            folder.bytes += row.size();
        }
        Sign::Minus => {
            folder.messages = folder.messages.saturating_sub(1);
            folder.unseen = folder.unseen.saturating_sub(unseen);
            folder.deleted = folder.deleted.saturating_sub(deleted);
            folder.bytes = folder.bytes.saturating_sub(row.size());
        }
    }
}
