//! A message store in memory that does all that the role promises, for tests of what reads mail.
//!
//! Nothing is durable and everything is under one lock. It can be told to be out of reach.

use bytes::Bytes;
use mail::flags::{Flags, Keyword, SystemFlags};
use mail::id::{FolderId, MailboxId, ModSeq, Uid, UidValidity};
use mail::message::{Limits, Outline, Scanner, header};
use mail::search::{Criterion, Day, Facts, Needle, Place};
use mail::sequence::NumberSet;
use mail::time::Timestamp;
use roles::store::{
    Append, Changes, Copied, Deliver, Delivered, FlagsChange, FlagsChanged, Folder, Folders, Message,
    MessageStore, Need, Opened, Page, Placed, Quota, Read, SpecialUse, StoreError, Subscription, Usage,
    Watch,
};
use roles::{Answer, Body, Call};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::future::Future;
use std::pin::Pin;
use std::sync::{Mutex, MutexGuard, PoisonError};
use tokio::sync::watch;

/// Most messages of one page.
const PAGE: usize = 1000;

/// The store.
#[derive(Default)]
pub struct MemoryStore {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    boxes: HashMap<MailboxId, Mailbox>,
    fails: Option<StoreError>,
}

struct Mailbox {
    modseq: ModSeq,
    epoch: u32,
    folders: Vec<Kept>,
    ghosts: BTreeSet<String>,
    locked_by: Option<mail::id::RequestId>,
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
        done
    }
}

fn now<'a, T: Send + 'a>(result: Result<T, StoreError>) -> Answer<'a, T, StoreError> {
    Box::pin(std::future::ready(result))
}

impl Mailbox {
    fn new() -> Self {
        let mut new = Self {
            modseq: ModSeq(0),
            epoch: 0,
            folders: Vec::new(),
            ghosts: BTreeSet::new(),
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
        let id = FolderId(self.folders.iter().map(|f| f.id.0).max().unwrap_or(0) + 1);
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
        let inbox = name.eq_ignore_ascii_case("INBOX");
        let is = |f: &&mut Kept| if inbox { f.id == FolderId::INBOX } else { f.name == name };
        self.folders.iter_mut().find(is).ok_or(StoreError::NoFolder)
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

    fn check_quota(&self, quota: Quota, more: u64) -> Result<(), StoreError> {
        let usage = self.usage();
        let over = (quota.bytes > 0 && usage.bytes + more > quota.bytes)
            || (quota.messages > 0 && usage.messages >= quota.messages);
        if over { Err(StoreError::OverQuota) } else { Ok(()) }
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

    fn rename(&mut self, from: &str, to: &str) -> Result<(), StoreError> {
        if self.named(to).is_ok() {
            return Err(StoreError::FolderExists);
        }
        let id = self.named(from)?.id;
        if id == FolderId::INBOX {
            self.make(to, None);
            let all = NumberSet::all();
            self.copy(id, &all, to)?;
            return self.remove(id, |_, _| true).map(drop);
        }
        let below = format!("{from}/");
        let modseq = self.next();
        for folder in &mut self.folders {
            if folder.id == id || folder.name.starts_with(&below) {
                folder.name = format!("{to}{}", &folder.name[from.len()..]);
                self.epoch += 1;
                folder.uid_validity = UidValidity(self.epoch);
                folder.highest = modseq;
            }
        }
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

/// A message as a criterion sees it.
struct Seen<'a>(Uid, &'a Item);

impl Facts for Seen<'_> {
    fn uid(&self) -> Uid {
        self.0
    }
    fn system_flags(&self) -> SystemFlags {
        self.1.flags.system
    }
    fn has_keyword(&self, keyword: &Keyword) -> bool {
        self.1.flags.keywords.contains(keyword)
    }
    fn size(&self) -> u64 {
        self.1.body.len()
    }
    fn received(&self) -> Timestamp {
        self.1.received
    }
    fn sent(&self) -> Option<Day> {
        let outline = Outline::decode(&self.1.outline).ok()?;
        let day = mail::message::date::parse(outline.envelope().date()?)?.local();
        Day::new(day.year, day.month, day.day)
    }
    fn modseq(&self) -> ModSeq {
        self.1.modseq
    }
    fn has_text(&self, place: &Place, needle: &Needle) -> Option<bool> {
        let all = all_of(&self.1.body).ok()?;
        let body_at = Outline::decode(&self.1.outline).ok()?.header_len();
        let (head, body) = all.split_at(usize::try_from(body_at).ok()?);
        let has = |text: &[u8]| needle.occurs_in(&String::from_utf8_lossy(text));
        Some(match place {
            Place::Header(name) => header::fields(head).any(|f| f.is(name) && has(f.value)),
            Place::Body => has(body),
            Place::Anywhere => has(&all),
        })
    }
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
            state.boxes.entry(mailbox).or_insert_with(Mailbox::new);
        }
        now(result)
    }

    fn mailbox_delete<'a>(&'a self, _: &'a Call, mailbox: MailboxId) -> Answer<'a, (), StoreError> {
        now(self.lock().boxes.remove(&mailbox).map(drop).ok_or(StoreError::NoMailbox))
    }

    fn mailbox_usage<'a>(&'a self, _: &'a Call, mailbox: MailboxId) -> Answer<'a, Usage, StoreError> {
        now(self.with(mailbox, |m| Ok(m.usage())))
    }

    fn mailbox_watch<'a>(&'a self, _: &'a Call, id: MailboxId) -> Answer<'a, Box<dyn Watch>, StoreError> {
        now(self.with(id, |m| {
            let watch: Box<dyn Watch> = Box::new(Watching { changed: m.changed.subscribe() });
            Ok(watch)
        }))
    }

    fn mailbox_lock<'a>(&'a self, call: &'a Call, mailbox: MailboxId) -> Answer<'a, (), StoreError> {
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

    fn message_deliver<'a>(&'a self, _: &'a Call, deliver: Deliver) -> Answer<'a, Delivered, StoreError> {
        let Deliver { to, body, received, .. } = deliver;
        let each = to.into_iter().map(|to| {
            self.lock().boxes.entry(to.mailbox).or_insert_with(Mailbox::new);
            self.with(to.mailbox, |m| {
                m.check_quota(to.quota, body.len())?;
                let folder = to.folder.filter(|name| m.named(name).is_ok());
                m.put(folder.as_deref().unwrap_or("INBOX"), to.flags, received, body.clone())
            })
        });
        now(Ok(each.collect()))
    }

    fn message_append<'a>(&'a self, _: &'a Call, append: Append) -> Answer<'a, Placed, StoreError> {
        let Append { mailbox, folder, flags, received, body, quota } = append;
        now(self.with(mailbox, |m| {
            m.named(&folder)?;
            m.check_quota(quota, body.len())?;
            m.put(&folder, flags, received, body)
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
            m.check_quota(quota, 0)?;
            m.copy(folder, &uids, &target)
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
            m.remove(folder, |uid, _| copied.from.contains(&uid))?;
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
        now(self.with(mailbox, |m| {
            if m.named(&name).is_ok() {
                return Err(StoreError::FolderExists);
            }
            for (at, _) in name.match_indices('/') {
                if m.named(&name[..at]).is_err() {
                    m.make(&name[..at], None);
                }
            }
            Ok(m.make(&name, special_use))
        }))
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
            if m.folders.iter().any(|f| f.name.starts_with(&below)) {
                return Err(StoreError::Refused("the folder has folders below it".into()));
            }
            m.next();
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
