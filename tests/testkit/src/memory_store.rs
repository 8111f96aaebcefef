//! A message store in memory that does all that the role promises, for tests of what reads mail.
//!
//! Nothing is durable and everything is under one lock. It can be told to be out of reach.

mod facts;
mod keeping;

use bytes::Bytes;
use facts::Seen;
use mail::attribute::{AUTOREPLY, AttributeName, MAX_VALUE};
use mail::flags::{Flags, Keyword, SystemFlags};
use mail::id::{FolderId, MailboxId, ModSeq, RequestId, Uid, UidValidity};
use mail::message::{Limits, Scanner};
use mail::search::Criterion;
use mail::sequence::NumberSet;
use mail::time::Timestamp;
use roles::store::{
    Append, AttributeLine, Changes, Copied, Deliver, DeliverTo, Delivered, Expire, Expired, FlagsChange,
    FlagsChanged, Folder, Folders, MAILBOX_PAGE, MailboxLine, Message, MessageStore, Need, Opened, Page,
    Placed, Quota, Read, Repeatable, SpecialUse, StoreError, Subscription, Usage, Watch,
};
use roles::{Answer, Body, Call};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::future::Future;
use std::pin::Pin;
use std::sync::{Mutex, MutexGuard, PoisonError};
use tokio::sync::watch;

/// Most messages of one page.
const PAGE: usize = 1000;
/// Bytes of an autoreply.
const AUTOREPLY_LIMIT: usize = 32 << 10;

/// The store.
#[derive(Default)]
pub struct MemoryStore {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    boxes: HashMap<MailboxId, Mailbox>,
    /// Of all mailboxes together: so a later mailbox of the same id has a greater one.
    epoch: u32,
    repeatable: HashMap<(RequestId, MailboxId), Placed>,
    fails: Option<StoreError>,
}

struct Mailbox {
    modseq: ModSeq,
    epoch: u32,
    last_folder: u32,
    folders: Vec<Kept>,
    ghosts: BTreeSet<String>,
    attributes: BTreeMap<AttributeName, Bytes>,
    locked_by: Option<RequestId>,
    changed: watch::Sender<u64>,
}

#[derive(Clone)]
struct Kept {
    id: FolderId,
    name: String,
    uid_validity: UidValidity,
    uid_next: Uid,
    highest: ModSeq,
    messages: BTreeMap<Uid, Item>,
    expunged: Vec<(ModSeq, Uid)>,
    subscribed: bool,
    special_use: Option<SpecialUse>,
}

#[derive(Clone)]
struct Item {
    flags: Flags,
    modseq: ModSeq,
    received: Timestamp,
    body: Body,
    outline: Bytes,
}

impl MemoryStore {
    /// An empty one.
    pub fn new() -> Self {
        Self::default()
    }

    /// From now on every request fails so, or succeeds again; whoever watches hears of it.
    pub fn fail(&self, with: Option<StoreError>) {
        let mut state = self.lock();
        state.fails = with;
        for mailbox in state.boxes.values() {
            mailbox.changed.send_modify(|n| *n += 1);
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Does something with a mailbox, and tells whoever watches if it has changed.
    fn with<T>(
        &self,
        mailbox: MailboxId,
        work: impl FnOnce(&mut Mailbox) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let mut state = self.lock();
        if let Some(error) = &state.fails {
            return Err(error.clone());
        }
        let mailbox = state.boxes.get_mut(&mailbox).ok_or(StoreError::NoMailbox)?;
        let before = mailbox.modseq;
        let done = work(mailbox);
        if mailbox.modseq != before {
            mailbox.changed.send_modify(|n| *n += 1);
        }
        state.epoch = state.boxes.values().map(|m| m.epoch).max().unwrap_or(0).max(state.epoch);
        done
    }

    fn deliver_one(
        &self,
        to: DeliverTo,
        deliver: &Deliver,
        request: RequestId,
    ) -> Result<Placed, StoreError> {
        let key = (request, to.mailbox);
        let mut state = self.lock();
        if let (Repeatable::Yes, Some(placed)) = (deliver.repeatable, state.repeatable.get(&key)) {
            return Ok(*placed);
        }
        state.make(to.mailbox);
        drop(state);
        let placed = self.with(to.mailbox, |m| {
            let before = m.check_quota(&to.quota, 1, deliver.body.len())?;
            let folder = to.folder.filter(|name| m.named(name).is_ok());
            let folder = folder.as_deref().unwrap_or("INBOX");
            let placed = m.put(folder, to.flags, deliver.received, deliver.body.clone())?;
            m.warn(before, &to.quota)?;
            Ok(placed)
        })?;
        if deliver.repeatable == Repeatable::Yes {
            self.lock().repeatable.insert(key, placed);
        }
        Ok(placed)
    }
}

fn now<'a, T: Send + 'a>(result: Result<T, StoreError>) -> Answer<'a, T, StoreError> {
    Box::pin(std::future::ready(result))
}

impl State {
    fn make(&mut self, mailbox: MailboxId) {
        let epoch = self.epoch;
        let made = self.boxes.entry(mailbox).or_insert_with(|| Mailbox::new(epoch));
        self.epoch = self.epoch.max(made.epoch);
    }
}

/// INBOX in any case, as first level too.
fn canonical(name: &str) -> String {
    match name.get(..5) {
        Some(first)
            if first.eq_ignore_ascii_case("INBOX") && matches!(name.as_bytes().get(5), None | Some(b'/')) =>
        {
            format!("INBOX{}", &name[5..])
        }
        _ => name.to_owned(),
    }
}

/// RFC 9051 5.1, and a limit.
fn check_name(name: &str) -> Result<(), StoreError> {
    let bad = |c: char| c.is_control() || matches!(c, '*' | '%');
    if name.len() > 500 || name.contains(bad) || name.split('/').any(str::is_empty) {
        return Err(StoreError::Refused("a folder cannot have this name".into()));
    }
    Ok(())
}

impl Mailbox {
    fn new(epoch: u32) -> Self {
        let mut new = Self {
            modseq: ModSeq(0),
            epoch,
            last_folder: 0,
            folders: Vec::new(),
            ghosts: BTreeSet::new(),
            attributes: BTreeMap::new(),
            locked_by: None,
            changed: watch::Sender::new(0),
        };
        new.make("INBOX", None);
        new
    }

    fn next(&mut self) -> ModSeq {
        self.modseq = self.modseq.next();
        self.modseq
    }

    fn make(&mut self, name: &str, special_use: Option<SpecialUse>) -> FolderId {
        self.epoch += 1;
        self.last_folder += 1;
        let id = FolderId(self.last_folder);
        let highest = self.next();
        self.folders.push(Kept {
            id,
            name: name.to_owned(),
            uid_validity: UidValidity(self.epoch),
            uid_next: Uid(1),
            highest,
            messages: BTreeMap::new(),
            expunged: Vec::new(),
            subscribed: self.ghosts.remove(name),
            special_use,
        });
        id
    }

    fn named(&mut self, name: &str) -> Result<&mut Kept, StoreError> {
        let name = canonical(name);
        self.folders.iter_mut().find(|f| f.name == name).ok_or(StoreError::NoFolder)
    }

    fn by_id(&mut self, id: FolderId) -> Result<&mut Kept, StoreError> {
        self.folders.iter_mut().find(|f| f.id == id).ok_or(StoreError::NoFolder)
    }

    fn put(
        &mut self,
        folder: &str,
        flags: Flags,
        received: Timestamp,
        body: Body,
    ) -> Result<Placed, StoreError> {
        let outline = outline(&body)?;
        self.add(folder, Item { flags, modseq: ModSeq(0), received, body, outline })
    }

    fn add(&mut self, folder: &str, item: Item) -> Result<Placed, StoreError> {
        let id = self.named(folder)?.id;
        let modseq = self.next();
        let folder = self.by_id(id)?;
        let uid = folder.uid_next;
        folder.uid_next = Uid(uid.0 + 1);
        folder.highest = modseq;
        folder.messages.insert(uid, Item { modseq, ..item });
        Ok(Placed { folder: folder.id, uid_validity: folder.uid_validity, uid })
    }

    fn remove(&mut self, id: FolderId, which: impl Fn(Uid, &Item) -> bool) -> Result<NumberSet, StoreError> {
        let gone: Vec<Uid> =
            self.by_id(id)?.messages.iter().filter(|(u, m)| which(**u, m)).map(|(u, _)| *u).collect();
        if gone.is_empty() {
            return Ok(NumberSet::new());
        }
        let modseq = self.next();
        let folder = self.by_id(id)?;
        folder.highest = modseq;
        for uid in &gone {
            folder.messages.remove(uid);
            folder.expunged.push((modseq, *uid));
        }
        Ok(gone.into_iter().collect())
    }

    fn usage(&self) -> Usage {
        let messages = || self.folders.iter().flat_map(|f| f.messages.values());
        Usage { bytes: messages().map(|m| m.body.len()).sum(), messages: messages().count() as u64 }
    }

    /// What the mailbox holds, if that much more is allowed.
    fn check_quota(&self, quota: &Quota, messages: u64, bytes: u64) -> Result<Usage, StoreError> {
        let usage = self.usage();
        let over = (quota.bytes > 0 && usage.bytes + bytes > quota.bytes)
            || (quota.messages > 0 && usage.messages + messages > quota.messages);
        if over { Err(StoreError::OverQuota) } else { Ok(usage) }
    }

    fn copy(&mut self, from: FolderId, uids: &NumberSet, to: &str) -> Result<Copied, StoreError> {
        let uid_validity = self.named(to)?.uid_validity;
        let items: Vec<(Uid, Item)> = self
            .by_id(from)?
            .messages
            .iter()
            .filter(|(u, _)| uids.contains(u.0))
            .map(|(u, m)| (*u, m.clone()))
            .collect();
        let mut copied = Copied { uid_validity, from: Vec::new(), to: Vec::new() };
        for (uid, item) in items {
            copied.from.push(uid);
            copied.to.push(self.add(to, item)?.uid);
        }
        Ok(copied)
    }

    fn create(&mut self, name: &str, special_use: Option<SpecialUse>) -> Result<FolderId, StoreError> {
        let name = canonical(name);
        check_name(&name)?;
        if self.named(&name).is_ok() {
            return Err(StoreError::FolderExists);
        }
        if special_use.is_some() && self.folders.iter().any(|f| f.special_use == special_use) {
            return Err(StoreError::Refused("another folder has this use".into()));
        }
        self.make_above(&name);
        Ok(self.make(&name, special_use))
    }

    fn make_above(&mut self, name: &str) {
        for (at, _) in name.match_indices('/') {
            if self.named(&name[..at]).is_err() {
                self.make(&name[..at], None);
            }
        }
    }

    fn rename(&mut self, from: &str, to: &str) -> Result<(), StoreError> {
        let (from, to) = (canonical(from), canonical(to));
        let below = format!("{from}/");
        let id = self.named(&from)?.id;
        if self.named(&to).is_ok() {
            return Err(StoreError::FolderExists);
        }
        check_name(&to)?;
        if to.starts_with(&below) && id != FolderId::INBOX {
            return Err(StoreError::Refused("a folder cannot lie in itself".into()));
        }
        self.make_above(&to);
        if id == FolderId::INBOX {
            self.make(&to, None);
            self.copy(id, &NumberSet::all(), &to)?;
            self.remove(id, |_, _| true)?;
        }
        let modseq = self.next();
        let mut epoch = self.epoch;
        for folder in &mut self.folders {
            let moves = id != FolderId::INBOX && (folder.id == id || folder.name.starts_with(&below));
            if moves {
                folder.name = format!("{to}{}", &folder.name[from.len()..]);
            }
            if moves || (folder.id == id && id == FolderId::INBOX) {
                epoch += 1;
                folder.uid_validity = UidValidity(epoch);
                folder.highest = modseq;
            }
        }
        self.epoch = epoch;
        Ok(())
    }
}

impl Kept {
    fn shown(&self) -> Folder {
        let count = |is: &dyn Fn(SystemFlags) -> bool| {
            u32::try_from(self.messages.values().filter(|m| is(m.flags.system)).count()).unwrap_or(u32::MAX)
        };
        Folder {
            id: self.id,
            name: self.name.clone(),
            uid_validity: self.uid_validity,
            uid_next: self.uid_next,
            highest_modseq: self.highest,
            messages: count(&|_| true),
            unseen: count(&|f| !f.contains(SystemFlags::SEEN)),
            deleted: count(&|f| f.contains(SystemFlags::DELETED)),
            bytes: self.messages.values().map(|m| m.body.len()).sum(),
            subscribed: self.subscribed,
            special_use: self.special_use,
        }
    }

    fn opened(&self) -> Opened {
        let keywords: BTreeSet<&Keyword> = self.messages.values().flat_map(|m| &m.flags.keywords).collect();
        let unseen = |m: &Item| !m.flags.system.contains(SystemFlags::SEEN);
        Opened {
            folder: self.shown(),
            uids: self.messages.keys().copied().collect(),
            keywords: keywords.into_iter().map(|k| k.as_str().to_owned()).collect(),
            first_unseen: self.messages.iter().find(|(_, m)| unseen(m)).map(|(uid, _)| *uid),
        }
    }

    fn page(&self, read: &Read) -> Page {
        let since = read.changed_since.unwrap_or(ModSeq::ZERO);
        let wanted = |(uid, item): &(&Uid, &Item)| read.uids.contains(uid.0) && item.modseq > since;
        let mut found = self.messages.iter().filter(wanted);
        let message = |(uid, item): (&Uid, &Item)| Message {
            uid: *uid,
            flags: item.flags.clone(),
            modseq: item.modseq,
            size: item.body.len(),
            received: item.received,
            outline: (read.need >= Need::Outline).then(|| item.outline.clone()),
            body: (read.need >= Need::Body).then(|| item.body.clone()),
        };
        let messages = found.by_ref().take(read.limit.clamp(1, PAGE)).map(message).collect();
        Page { messages, next: found.next().map(|(uid, _)| *uid) }
    }

    fn changes(&self, since: ModSeq) -> Changes {
        let mut changed: Vec<_> = self
            .messages
            .iter()
            .filter(|(_, m)| m.modseq > since)
            .map(|(uid, m)| (*uid, m.flags.clone(), m.modseq))
            .collect();
        changed.sort_by_key(|(_, _, modseq)| *modseq);
        let vanished = self.expunged.iter().filter(|(m, _)| *m > since).map(|(_, uid)| *uid).collect();
        Changes { changed, vanished, up_to: self.highest.max(since), folder: Some(self.shown()) }
    }
}

fn all_of(body: &Body) -> Result<Vec<u8>, StoreError> {
    let mut all = Vec::new();
    while (all.len() as u64) < body.len() {
        let piece = body.read_blocking(all.len() as u64, 64 << 10);
        all.extend_from_slice(&piece.map_err(|_| StoreError::Unavailable)?);
    }
    Ok(all)
}

fn outline(body: &Body) -> Result<Bytes, StoreError> {
    let mut scanner = Scanner::new(Limits::default());
    scanner.push(&all_of(body)?);
    Ok(scanner.finish().encode().into())
}

struct Watching {
    changed: watch::Receiver<u64>,
}

impl Watch for Watching {
    fn changed<'a>(&'a mut self) -> Pin<Box<dyn Future<Output = Result<(), StoreError>> + Send + 'a>> {
        Box::pin(async move { self.changed.changed().await.map_err(|_| StoreError::Unavailable) })
    }
}

impl MessageStore for MemoryStore {
    fn mailbox_create<'a>(&'a self, _: &'a Call, mailbox: MailboxId) -> Answer<'a, (), StoreError> {
        let mut state = self.lock();
        let result = state.fails.clone().map_or(Ok(()), Err);
        if result.is_ok() {
            state.make(mailbox);
        }
        now(result)
    }

    fn mailbox_delete<'a>(&'a self, _: &'a Call, mailbox: MailboxId) -> Answer<'a, (), StoreError> {
        now(self.lock().boxes.remove(&mailbox).map(drop).ok_or(StoreError::NoMailbox))
    }

    fn mailbox_usage<'a>(&'a self, _: &'a Call, mailbox: MailboxId) -> Answer<'a, Usage, StoreError> {
        now(match self.with(mailbox, |m| Ok(m.usage())) {
            Err(StoreError::NoMailbox) => Ok(Usage::default()),
            other => other,
        })
    }

    fn mailbox_list<'a>(
        &'a self,
        _: &'a Call,
        after: Option<MailboxId>,
        limit: usize,
    ) -> Answer<'a, Vec<MailboxLine>, StoreError> {
        let state = self.lock();
        let later = state.boxes.iter().filter(|(id, _)| after.is_none_or(|after| **id > after));
        let line = |(id, m): (&MailboxId, &Mailbox)| MailboxLine { mailbox: *id, usage: m.usage() };
        let mut all: Vec<_> = later.map(line).collect();
        all.sort_unstable_by_key(|line| line.mailbox);
        all.truncate(limit.clamp(1, MAILBOX_PAGE));
        now(state.fails.clone().map_or(Ok(all), Err))
    }

    fn attribute_get<'a>(
        &'a self,
        _: &'a Call,
        mailbox: MailboxId,
        name: AttributeName,
    ) -> Answer<'a, Option<Bytes>, StoreError> {
        now(self.with(mailbox, |m| Ok(m.attributes.get(&name).cloned())))
    }

    fn attribute_set<'a>(
        &'a self,
        _: &'a Call,
        mailbox: MailboxId,
        name: AttributeName,
        value: Option<Bytes>,
    ) -> Answer<'a, (), StoreError> {
        let limit = if name.as_str() == AUTOREPLY { AUTOREPLY_LIMIT } else { MAX_VALUE };
        now(self.with(mailbox, |m| match value {
            Some(value) if value.len() > limit => Err(StoreError::Limit("the attribute is too large".into())),
            Some(value) => {
                m.attributes.insert(name, value);
                Ok(())
            }
            None => {
                m.attributes.remove(&name);
                Ok(())
            }
        }))
    }

    fn attribute_list<'a>(
        &'a self,
        _: &'a Call,
        mailbox: MailboxId,
    ) -> Answer<'a, Vec<AttributeLine>, StoreError> {
        let line = |(name, value): (&AttributeName, &Bytes)| AttributeLine {
            name: name.clone(),
            bytes: value.len() as u64,
        };
        now(self.with(mailbox, |m| Ok(m.attributes.iter().map(line).collect())))
    }

    fn mailbox_watch<'a>(&'a self, _: &'a Call, id: MailboxId) -> Answer<'a, Box<dyn Watch>, StoreError> {
        now(self.with(id, |m| {
            let watch: Box<dyn Watch> = Box::new(Watching { changed: m.changed.subscribe() });
            Ok(watch)
        }))
    }

    fn mailbox_lock<'a>(&'a self, call: &'a Call, mailbox: MailboxId) -> Answer<'a, (), StoreError> {
        self.lock().make(mailbox);
        now(self.with(mailbox, |m| match m.locked_by {
            Some(holder) if holder != call.request => Err(StoreError::Locked),
            _ => {
                m.locked_by = Some(call.request);
                Ok(())
            }
        }))
    }

    fn mailbox_unlock(&self, call: &Call, mailbox: MailboxId) {
        if let Some(mailbox) = self.lock().boxes.get_mut(&mailbox) {
            mailbox.locked_by = mailbox.locked_by.filter(|holder| *holder != call.request);
        }
    }

    fn message_deliver<'a>(
        &'a self,
        call: &'a Call,
        mut deliver: Deliver,
    ) -> Answer<'a, Delivered, StoreError> {
        let to = std::mem::take(&mut deliver.to);
        if to.is_empty() {
            return now(Err(StoreError::Refused("no recipients".into())));
        }
        now(Ok(to.into_iter().map(|to| self.deliver_one(to, &deliver, call.request)).collect()))
    }

    fn message_append<'a>(&'a self, _: &'a Call, append: Append) -> Answer<'a, Placed, StoreError> {
        let Append { mailbox, folder, flags, received, body, quota } = append;
        now(self.with(mailbox, |m| {
            m.named(&folder)?;
            let before = m.check_quota(&quota, 1, body.len())?;
            let placed = m.put(&folder, flags, received, body)?;
            m.warn(before, &quota)?;
            Ok(placed)
        }))
    }

    fn message_read<'a>(&'a self, _: &'a Call, read: Read) -> Answer<'a, Page, StoreError> {
        now(self.with(read.mailbox, |m| Ok(m.by_id(read.folder)?.page(&read))))
    }

    fn message_search<'a>(
        &'a self,
        _: &'a Call,
        mailbox: MailboxId,
        folder: FolderId,
        criterion: Criterion,
    ) -> Answer<'a, NumberSet, StoreError> {
        now(self.with(mailbox, |m| {
            let matches = |(uid, item): &(&Uid, &Item)| criterion.judge(&Seen(**uid, item)) == Some(true);
            Ok(m.by_id(folder)?.messages.iter().filter(matches).map(|(uid, _)| *uid).collect())
        }))
    }

    fn message_copy<'a>(
        &'a self,
        _: &'a Call,
        mailbox: MailboxId,
        folder: FolderId,
        uids: NumberSet,
        target: String,
        quota: Quota,
    ) -> Answer<'a, Copied, StoreError> {
        now(self.with(mailbox, |m| {
            let items = m.by_id(folder)?.messages.iter().filter(|(uid, _)| uids.contains(uid.0));
            let (count, bytes) = items.fold((0, 0), |(n, b), (_, item)| (n + 1, b + item.body.len()));
            let before = m.check_quota(&quota, count, bytes)?;
            let copied = m.copy(folder, &uids, &target)?;
            m.warn(before, &quota)?;
            Ok(copied)
        }))
    }

    fn message_move<'a>(
        &'a self,
        _: &'a Call,
        mailbox: MailboxId,
        folder: FolderId,
        uids: NumberSet,
        target: String,
    ) -> Answer<'a, Copied, StoreError> {
        now(self.with(mailbox, |m| {
            let copied = m.copy(folder, &uids, &target)?;
            m.remove(folder, |uid, _| copied.from.binary_search(&uid).is_ok())?;
            Ok(copied)
        }))
    }

    fn message_expunge<'a>(
        &'a self,
        _: &'a Call,
        mailbox: MailboxId,
        folder: FolderId,
        uids: NumberSet,
    ) -> Answer<'a, NumberSet, StoreError> {
        let deleted = |item: &Item| item.flags.system.contains(SystemFlags::DELETED);
        now(self.with(mailbox, |m| m.remove(folder, |uid, item| uids.contains(uid.0) && deleted(item))))
    }

    fn message_delete<'a>(
        &'a self,
        _: &'a Call,
        mailbox: MailboxId,
        folder: FolderId,
        uids: NumberSet,
    ) -> Answer<'a, NumberSet, StoreError> {
        now(self.with(mailbox, |m| m.remove(folder, |uid, _| uids.contains(uid.0))))
    }

    fn message_expire<'a>(&'a self, _: &'a Call, expire: Expire) -> Answer<'a, Expired, StoreError> {
        now(self.with(expire.mailbox, |m| m.expire(&expire)))
    }

    fn flags_change<'a>(&'a self, _: &'a Call, c: FlagsChange) -> Answer<'a, FlagsChanged, StoreError> {
        now(self.with(c.mailbox, |m| {
            let mut result = FlagsChanged::default();
            let uids: Vec<Uid> = m.by_id(c.folder)?.messages.keys().copied().collect();
            for uid in uids.into_iter().filter(|uid| c.uids.contains(uid.0)) {
                let Some(item) = m.by_id(c.folder)?.messages.get(&uid).cloned() else { continue };
                if c.unchanged_since.is_some_and(|since| item.modseq > since) {
                    result.modified.insert(uid.0);
                    continue;
                }
                let flags = c.action.apply(&item.flags, &c.flags);
                let modseq = if flags == item.flags { item.modseq } else { m.next() };
                let folder = m.by_id(c.folder)?;
                folder.highest = folder.highest.max(modseq);
                folder.messages.insert(uid, Item { flags: flags.clone(), modseq, ..item });
                result.now.push((uid, flags, modseq));
            }
            Ok(result)
        }))
    }

    fn folder_list<'a>(&'a self, _: &'a Call, mailbox: MailboxId) -> Answer<'a, Folders, StoreError> {
        now(self.with(mailbox, |m| {
            let mut folders: Vec<Folder> = m.folders.iter().map(Kept::shown).collect();
            folders.sort_by_key(|f| (f.id != FolderId::INBOX, f.name.clone()));
            Ok(Folders { folders, ghosts: m.ghosts.iter().cloned().collect() })
        }))
    }

    fn folder_status<'a>(
        &'a self,
        _: &'a Call,
        mailbox: MailboxId,
        name: String,
    ) -> Answer<'a, Folder, StoreError> {
        now(self.with(mailbox, |m| Ok(m.named(&name)?.shown())))
    }

    fn folder_open<'a>(
        &'a self,
        _: &'a Call,
        mailbox: MailboxId,
        name: String,
    ) -> Answer<'a, Opened, StoreError> {
        now(self.with(mailbox, |m| Ok(m.named(&name)?.opened())))
    }

    fn folder_create<'a>(
        &'a self,
        _: &'a Call,
        mailbox: MailboxId,
        name: String,
        special_use: Option<SpecialUse>,
    ) -> Answer<'a, FolderId, StoreError> {
        now(self.with(mailbox, |m| m.create(&name, special_use)))
    }

    fn folder_delete<'a>(
        &'a self,
        _: &'a Call,
        mailbox: MailboxId,
        name: String,
    ) -> Answer<'a, (), StoreError> {
        now(self.with(mailbox, |m| {
            let id = m.named(&name)?.id;
            let below = format!("{name}/");
            if id == FolderId::INBOX {
                return Err(StoreError::Refused("the Inbox cannot be removed".into()));
            }
            if m.folders.iter().any(|f| f.name.starts_with(&below)) {
                return Err(StoreError::Refused("the folder has folders below it".into()));
            }
            m.next();
            if m.by_id(id)?.subscribed {
                m.ghosts.insert(name);
            }
            m.folders.retain(|f| f.id != id);
            Ok(())
        }))
    }

    fn folder_rename<'a>(
        &'a self,
        _: &'a Call,
        mailbox: MailboxId,
        from: String,
        to: String,
    ) -> Answer<'a, (), StoreError> {
        now(self.with(mailbox, |m| m.rename(&from, &to)))
    }

    fn folder_subscribe<'a>(
        &'a self,
        _: &'a Call,
        mailbox: MailboxId,
        name: String,
        subscription: Subscription,
    ) -> Answer<'a, (), StoreError> {
        now(self.with(mailbox, |m| {
            let on = subscription == Subscription::On;
            match m.named(&name) {
                Ok(folder) => folder.subscribed = on,
                Err(_) if on => _ = m.ghosts.insert(name),
                Err(_) => _ = m.ghosts.remove(&name),
            }
            Ok(())
        }))
    }

    fn folder_changes<'a>(
        &'a self,
        _: &'a Call,
        mailbox: MailboxId,
        folder: FolderId,
        since: ModSeq,
    ) -> Answer<'a, Changes, StoreError> {
        now(self.with(mailbox, |m| match m.by_id(folder) {
            Ok(folder) => Ok(folder.changes(since)),
            Err(_) => Ok(Changes { up_to: since, ..Changes::default() }),
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn keeps_the_promises_of_a_store() {
        crate::conformance::store::all(&MemoryStore::new(), MailboxId(100)).await;
    }
}
