//! What a mailbox was: for a window of time, every change leaves what it has taken away.
//!
//! A row of history holds a message, a folder, a subscription or the keywords as they were before one change, under the
//! time of that change. So a mailbox as it was at any moment of the window ([`Then`]) is what it is now with the oldest
//! row after that moment put back over each thing that has changed. New messages leave no row: they know themselves
//! when they came. A removed message's body stays with its row of history, until [`forget`] is told that the window has
//! passed it.

use super::keys::{self, Change};
use super::reading::Mailbox;
use super::rows::{FolderRow, Keywords, MailboxRow, MessageRow, Volume};
use crate::shard::{KeyRange, Rows, ShardError, Transaction};
use mail::id::{FolderId, MailboxId, Uid};
use mail::time::Timestamp;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;
use std::time::Duration;

/// Most rows that one call of [`forget`] takes away.
const FORGET_STEP: usize = 2000;
/// Mailboxes with history are found by the minute in which it was written.
const PERIOD: i64 = 60 * 1_000_000;

/// When a change is made, and how long what it takes away is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct When {
    /// The time.
    pub now: Timestamp,
    /// The window; zero: nothing is kept.
    pub keep: Duration,
}

/// Who holds the body of a message in a row of history.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum BodyOf {
    /// The message, which has other flags now.
    Message,
    /// The row: the message is gone.
    History,
}

/// Writes the rows of history of one change.
#[derive(Debug, Clone, Copy)]
pub(super) struct Chronicle {
    id: MailboxId,
    /// Later than every change before.
    pub(super) at: Timestamp,
    keeps: bool,
    /// The period in which a row was last written, as the mailbox's row has it.
    noted: u32,
    names: u32,
}

impl Chronicle {
    /// Of a change to the mailbox of this row.
    pub(super) fn new(id: MailboxId, row: &MailboxRow, when: When) -> Self {
        let after = Timestamp::from_micros(row.changed.as_micros().saturating_add(1));
        Self { id, at: when.now.max(after), keeps: !when.keep.is_zero(), noted: row.noted, names: 0 }
    }

    /// What the mailbox's row says of it afterwards.
    pub(super) fn save(self, row: &mut MailboxRow) {
        row.changed = self.at;
        row.noted = self.noted;
    }

    /// A message before its flags change, or before it goes. `true` where its body goes with the row.
    pub(super) fn message(
        &mut self,
        tx: &mut Transaction<'_>,
        volume: Volume,
        row: &MessageRow,
        body: BodyOf,
    ) -> Result<bool, ShardError> {
        let mut value = vec![u8::from(body == BodyOf::History)];
        value.extend_from_slice(&row.encode());
        self.write(tx, Change::Message(volume, row.uid), &value)?;
        Ok(self.keeps && body == BodyOf::History)
    }

    /// A folder before it changes; `None`: it is new.
    pub(super) fn folder(
        &mut self,
        tx: &mut Transaction<'_>,
        id: FolderId,
        before: Option<&FolderRow>,
    ) -> Result<(), ShardError> {
        let value = before.map(FolderRow::encode).unwrap_or_default();
        self.write(tx, Change::Folder(id), &value)
    }

    /// Whether a name was subscribed.
    pub(super) fn subscription(
        &mut self,
        tx: &mut Transaction<'_>,
        name: &str,
        was: Was,
    ) -> Result<(), ShardError> {
        let mut value = vec![u8::from(was == Was::Subscribed)];
        value.extend_from_slice(name.as_bytes());
        self.names += 1;
        self.write(tx, Change::Subscription(self.names), &value)
    }

    /// The keywords before they go.
    pub(super) fn keywords(&mut self, tx: &mut Transaction<'_>, before: &Keywords) -> Result<(), ShardError> {
        self.write(tx, Change::Keywords, &before.encode())
    }

    fn write(&mut self, tx: &mut Transaction<'_>, change: Change, value: &[u8]) -> Result<(), ShardError> {
        if !self.keeps {
            return Ok(());
        }
        let period = period(self.at);
        if period != self.noted {
            tx.put(&keys::noted(period, self.id), &[])?;
            self.noted = period;
        }
        tx.put(&keys::change_at(self.id, self.at, change), value)
    }
}

/// Whether a name was subscribed before a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Was {
    Subscribed,
    Free,
}

/// Forgets some of what was kept before the minute of `until`. `true` where there may be more.
///
/// # Errors
/// Where the index cannot be read.
pub fn forget(tx: &mut Transaction<'_>, until: Timestamp) -> Result<bool, ShardError> {
    let last = period(until);
    let mut marks = Vec::new();
    tx.scan(KeyRange::prefix(keys::all_noted()), &mut |key, _| {
        let Some(mark) = keys::parse_noted(key).filter(|(period, _)| *period < last) else {
            return ControlFlow::Break(());
        };
        marks.push(mark);
        if marks.len() < FORGET_STEP { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    })?;
    let more = marks.len() == FORGET_STEP;
    let mut left = FORGET_STEP;
    for (marked, mailbox) in marks {
        left -= forget_in(tx, mailbox, until, left)?;
        if left == 0 {
            return Ok(true);
        }
        tx.delete(&keys::noted(marked, mailbox))?;
    }
    Ok(more)
}

/// Forgets up to `at_most` rows of one mailbox; returns how many.
fn forget_in(
    tx: &mut Transaction<'_>,
    id: MailboxId,
    until: Timestamp,
    at_most: usize,
) -> Result<usize, ShardError> {
    let mut rows = Vec::new();
    tx.scan(KeyRange::new(keys::history(id), keys::history_from(id, until)), &mut |key, value| {
        rows.push((key.to_vec(), value.to_vec()));
        if rows.len() < at_most { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    })?;
    for (key, value) in &rows {
        if let Some((row, BodyOf::History)) = parse(key, value)?.message() {
            tx.release(&row.blob)?;
        }
        tx.delete(key)?;
    }
    Ok(rows.len())
}

/// A row of history.
pub(super) enum Entry {
    Message(Volume, MessageRow, BodyOf),
    Folder(FolderId, Option<FolderRow>),
    Subscription(String, Was),
    Keywords(Keywords),
}

impl Entry {
    /// The message of it.
    pub(super) fn message(self) -> Option<(MessageRow, BodyOf)> {
        match self {
            Self::Message(_, row, body) => Some((row, body)),
            _ => None,
        }
    }
}

/// What a row of history says.
pub(super) fn parse(key: &[u8], value: &[u8]) -> Result<Entry, ShardError> {
    let bad = || ShardError::corrupt("a row of history");
    let flag = |value: &[u8]| value.first().copied().ok_or_else(bad);
    match keys::parse_change_at(key).ok_or_else(bad)? {
        Change::Message(volume, uid) => {
            let body = if flag(value)? == 1 { BodyOf::History } else { BodyOf::Message };
            Ok(Entry::Message(volume, MessageRow::decode(uid, &value[1..])?, body))
        }
        Change::Folder(id) if value.is_empty() => Ok(Entry::Folder(id, None)),
        Change::Folder(id) => Ok(Entry::Folder(id, Some(FolderRow::decode(id, value)?))),
        Change::Subscription(_) => {
            let was = if flag(value)? == 1 { Was::Subscribed } else { Was::Free };
            let name = std::str::from_utf8(&value[1..]).map_err(|_| bad())?;
            Ok(Entry::Subscription(name.to_owned(), was))
        }
        Change::Keywords => Ok(Entry::Keywords(Keywords::decode(value)?)),
    }
}

/// A mailbox as it was at a moment. Holds what has changed since.
pub struct Then<'a> {
    mailbox: Mailbox<'a>,
    at: Timestamp,
    messages: BTreeMap<(Volume, Uid), MessageRow>,
    folders: Vec<FolderRow>,
    subscriptions: BTreeSet<String>,
    keywords: Keywords,
}

impl<'a> Then<'a> {
    /// The mailbox as it was after all changes up to `at`, which must lie in the window.
    ///
    /// # Errors
    /// Where the index cannot be read.
    pub fn new(rows: &'a dyn Rows, id: MailboxId, at: Timestamp) -> Result<Self, ShardError> {
        let mailbox = Mailbox::new(rows, id);
        let mut then = Self {
            mailbox,
            at,
            messages: BTreeMap::new(),
            folders: Vec::new(),
            subscriptions: mailbox.subscriptions()?.into_iter().collect(),
            keywords: mailbox.keywords()?,
        };
        let mut folders: BTreeMap<FolderId, Option<FolderRow>> =
            mailbox.folders()?.into_iter().map(|folder| (folder.id, Some(folder))).collect();
        // From the newest to the oldest: what is put back last holds.
        let mut failed = None;
        let from = keys::history_from(id, Timestamp::from_micros(at.as_micros().saturating_add(1)));
        rows.scan_back(KeyRange::prefix_from(&keys::history(id), from), &mut |key, value| {
            match parse(key, value) {
                Ok(Entry::Message(volume, row, _)) => drop(then.messages.insert((volume, row.uid), row)),
                Ok(Entry::Folder(id, before)) => drop(folders.insert(id, before)),
                Ok(Entry::Subscription(name, Was::Subscribed)) => drop(then.subscriptions.insert(name)),
                Ok(Entry::Subscription(name, Was::Free)) => drop(then.subscriptions.remove(&name)),
                Ok(Entry::Keywords(keywords)) => then.keywords = keywords,
                Err(error) => failed = Some(error),
            }
            if failed.is_some() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        })?;
        then.folders = folders.into_values().flatten().collect();
        then.messages.retain(|_, row| row.added <= at);
        failed.map_or(Ok(then), Err)
    }

    /// Its folders, by id. Their counters mean nothing.
    pub fn folders(&self) -> &[FolderRow] {
        &self.folders
    }

    /// Subscribed names, in order.
    pub fn subscriptions(&self) -> impl Iterator<Item = &str> {
        self.subscriptions.iter().map(String::as_str)
    }

    /// The names of its keywords.
    pub fn keywords(&self) -> &Keywords {
        &self.keywords
    }

    /// The messages that a folder of [`Then::folders`] had, from a UID on, at most this many, in order of UID.
    ///
    /// # Errors
    /// Where the index cannot be read.
    pub fn messages(
        &self,
        folder: &FolderRow,
        from: Uid,
        at_most: usize,
    ) -> Result<Vec<MessageRow>, ShardError> {
        let volume = folder.volume;
        let mut changed = self.messages.range((volume, from)..=(volume, Uid(u32::MAX))).peekable();
        let mut found = Vec::new();
        let mut rest = mail::sequence::NumberSet::new();
        rest.insert_range(from.0.max(1)..=u32::MAX);
        self.mailbox.messages(volume, &rest, |row| {
            while let Some((_, gone)) = changed.next_if(|((_, uid), _)| *uid < row.uid) {
                found.push(gone.clone());
            }
            match changed.next_if(|((_, uid), _)| *uid == row.uid) {
                Some((_, before)) => found.push(before.clone()),
                None if row.added <= self.at => found.push(row),
                None => {}
            }
            Ok(if found.len() < at_most { ControlFlow::Continue(()) } else { ControlFlow::Break(()) })
        })?;
        while found.len() < at_most
            && let Some((_, gone)) = changed.next()
        {
            found.push(gone.clone());
        }
        found.truncate(at_most);
        Ok(found)
    }
}

/// Lets history that was written at this time be found when the window has passed it.
pub(super) fn note(tx: &mut Transaction<'_>, id: MailboxId, at: Timestamp) -> Result<(), ShardError> {
    tx.put(&keys::noted(period(at), id), &[])
}

fn period(at: Timestamp) -> u32 {
    u32::try_from(at.as_micros().div_euclid(PERIOD)).unwrap_or(0)
}
