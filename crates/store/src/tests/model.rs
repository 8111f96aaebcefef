//! Random histories of one mailbox, against a plain model, with the store closed and opened in between.

use super::*;
use mail::attribute::AttributeName;
use mail::flags::{FlagAction, Flags, SystemFlags};
use mail::id::{FolderId, ModSeq, Uid};
use mail::search::Criterion;
use mail::sequence::NumberSet;
use mail::time::Timestamp;
use proptest::prelude::*;
use roles::Body;
use roles::store::{
    Append, Deliver, DeliverTo, Expire, Expired, FlagsChange, Need, Quota, Read, Repeatable, StoreError,
    Unread, Usage, Warning,
};
use std::collections::BTreeMap;
use std::sync::Arc;

const BOX: MailboxId = MailboxId(7);
const NAMES: [&str; 4] = ["INBOX", "a", "a/b", "c"];

#[derive(Debug, Clone)]
enum Step {
    Deliver {
        request: u8,
        size: u16,
        limit: u16,
        percent: u8,
    },
    Append {
        folder: usize,
        size: u16,
        flags: u8,
    },
    Flags {
        folder: usize,
        uids: Vec<u32>,
        action: u8,
        flags: u8,
        keyword: bool,
    },
    Expunge {
        folder: usize,
        uids: Vec<u32>,
    },
    Copy {
        folder: usize,
        uids: Vec<u32>,
        target: usize,
    },
    Move {
        folder: usize,
        uids: Vec<u32>,
        target: usize,
    },
    /// What was delivered in 1970 goes.
    Expire {
        folder: usize,
        unread: bool,
    },
    Attribute {
        name: usize,
        size: u16,
    },
    Create(usize),
    Delete(usize),
    Rename(usize, usize),
    Reopen,
    /// The process is killed: what is on the disk goes on in another folder.
    Kill,
}

#[derive(Debug, Clone, PartialEq)]
struct Mail {
    size: u64,
    flags: Flags,
    /// It is in the folder since 1970.
    old: bool,
}

#[derive(Debug, Clone)]
struct Folder {
    next: u32,
    mail: BTreeMap<u32, Mail>,
    /// What a session knows: flags by UID as of a ModSeq.
    known: BTreeMap<u32, Flags>,
    up_to: ModSeq,
}

impl Default for Folder {
    fn default() -> Self {
        Self { next: 1, mail: BTreeMap::new(), known: BTreeMap::new(), up_to: ModSeq::ZERO }
    }
}

impl Folder {
    fn add(&mut self, mail: Mail) -> u32 {
        self.mail.insert(self.next, mail);
        self.next += 1;
        self.next - 1
    }
}

#[derive(Default)]
struct Model {
    folders: BTreeMap<&'static str, Folder>,
    requests: BTreeMap<u8, u32>,
    attributes: BTreeMap<&'static str, u16>,
}

impl Model {
    fn bytes(&self) -> u64 {
        self.folders.values().flat_map(|f| f.mail.values()).map(|m| m.size).sum()
    }

    fn has_below(&self, name: &str) -> bool {
        self.folders.keys().any(|k| k.starts_with(&format!("{name}/")))
    }

    fn make(&mut self, name: &'static str) {
        if name == "a/b" {
            self.folders.entry("a").or_default();
        }
        self.folders.insert(name, Folder::default());
    }
}

fn flags(bits: u8, keyword: bool) -> Flags {
    let mut flags = Flags::system(SystemFlags::from_bits(bits));
    if keyword {
        flags.add_named(["Work", "Home", "$Junk"][usize::from(bits) % 3]);
    }
    flags
}

fn body(size: u16) -> Body {
    Body::from_bytes(vec![b'm'; usize::from(size)])
}

struct Run {
    dir: tempfile::TempDir,
    store: Store,
    model: Model,
}

impl Run {
    async fn id(&self, name: &str) -> Option<FolderId> {
        self.store.folder_status(&call(1), BOX, name.into()).await.ok().map(|f| f.id)
    }

    async fn step(&mut self, step: Step) {
        match step {
            Step::Deliver { request, size, limit, percent } => {
                self.deliver(request, size, limit, percent).await;
            }
            Step::Append { folder, size, flags: bits } => self.append(NAMES[folder], size, bits).await,
            Step::Flags { folder, uids, action, flags: bits, keyword } => {
                self.flags(NAMES[folder], uids, action, flags(bits, keyword)).await;
            }
            Step::Expunge { folder, uids } => self.expunge(NAMES[folder], uids).await,
            Step::Copy { folder, uids, target } => self.copy(NAMES[folder], uids, NAMES[target], false).await,
            Step::Move { folder, uids, target } => self.copy(NAMES[folder], uids, NAMES[target], true).await,
            Step::Expire { folder, unread } => self.expire(NAMES[folder], unread).await,
            Step::Attribute { name, size } => self.attribute(["autoreplytxt", "x"][name], size).await,
            Step::Create(name) => self.create(NAMES[name]).await,
            Step::Delete(name) => self.delete(NAMES[name]).await,
            Step::Rename(from, to) => self.rename(NAMES[from], NAMES[to]).await,
            Step::Reopen => {
                self.store.close().await;
                self.store = open(self.dir.path(), 2).unwrap();
            }
            Step::Kill => {
                let copied = tempfile::tempdir().unwrap();
                copy(self.dir.path(), copied.path());
                self.store.close().await;
                self.dir = copied;
                self.store = open(self.dir.path(), 2).unwrap();
            }
        }
    }

    async fn deliver(&mut self, request: u8, size: u16, limit: u16, percent: u8) {
        let (to, from, text) = (String::new(), String::new(), String::new());
        let warning = Some(Arc::new(Warning { percent, to, from, text }));
        let quota = Quota { bytes: u64::from(limit), messages: 0, warning };
        let before = self.model.bytes();
        let to = vec![DeliverTo { mailbox: BOX, folder: None, quota, flags: Flags::default() }];
        let deliver =
            Deliver { to, body: body(size), received: Timestamp::default(), repeatable: Repeatable::Yes };
        let placed = self.store.message_deliver(&call(u128::from(request)), deliver).await.unwrap();
        let over = limit > 0 && self.model.bytes() + u64::from(size) > u64::from(limit);
        let inbox = self.model.folders.get_mut("INBOX").unwrap();
        let expected = match self.model.requests.get(&request) {
            Some(uid) => Ok(*uid),
            None if over => Err(StoreError::OverQuota),
            None => {
                let uid = inbox.add(Mail { size: u64::from(size), flags: Flags::default(), old: true });
                self.model.requests.insert(request, uid);
                Ok(uid)
            }
        };
        assert_eq!(placed[0].clone().map(|p| p.uid.0), expected);
        let (limit, percent) = (u64::from(limit), u64::from(percent));
        let above = |bytes| limit > 0 && bytes * 100 >= limit * percent;
        if !above(before) && above(self.model.bytes()) {
            self.warned(limit).await;
        }
    }

    /// The Inbox has one message more, unless that would not have fitted.
    async fn warned(&mut self, limit: u64) {
        let bytes = self.model.bytes();
        let inbox = self.model.folders.get_mut("INBOX").unwrap();
        let mut uids = NumberSet::new();
        uids.insert_range(inbox.next..=u32::MAX);
        let (need, changed_since) = (Need::Flags, None);
        let read = Read { mailbox: BOX, folder: FolderId::INBOX, uids, need, changed_since, limit: 9 };
        let new = self.store.message_read(&call(1), read).await.unwrap().messages;
        if new.is_empty() {
            assert!(bytes + 1000 > limit, "there was room for a warning");
        } else {
            assert!(new.len() == 1 && bytes + new[0].size <= limit);
            inbox.add(Mail { size: new[0].size, flags: Flags::default(), old: false });
        }
    }

    async fn expire(&mut self, name: &'static str, unread: bool) {
        let Some(folder) = self.id(name).await else { return };
        let before = Timestamp::from_secs(1000);
        let goes = |m: &Mail| m.old && (unread || m.flags.system.contains(SystemFlags::SEEN));
        let mail = &mut self.model.folders.get_mut(name).unwrap().mail;
        let gone: Vec<_> = mail.values().filter(|m| goes(m)).map(|m| m.size).collect();
        let old = mail.values().filter(|m| m.old).count();
        mail.retain(|_, m| !goes(m));
        let unread = if unread { Unread::Goes } else { Unread::Stays };
        let expire = Expire { mailbox: BOX, folder, before, unread, run: roles::store::Run::Real };
        let expired = self.store.message_expire(&call(1), expire).await.unwrap();
        let (messages, bytes) = (gone.len() as u64, gone.iter().sum());
        assert_eq!(expired, Expired { messages, bytes, protected: (old - gone.len()) as u64 });
    }

    async fn attribute(&mut self, name: &'static str, size: u16) {
        let value = (size > 0).then(|| bytes::Bytes::from(vec![b'a'; usize::from(size)]));
        let parsed = AttributeName::parse(name).unwrap();
        self.store.attribute_set(&call(1), BOX, parsed, value).await.unwrap();
        self.model.attributes.insert(name, size);
    }

    async fn append(&mut self, name: &'static str, size: u16, bits: u8) {
        let append = Append {
            mailbox: BOX,
            folder: name.into(),
            flags: flags(bits, true),
            received: Timestamp::default(),
            body: body(size),
            quota: Quota::default(),
        };
        let placed = self.store.message_append(&call(1), append).await;
        let mail = Mail { size: u64::from(size), flags: flags(bits, true), old: false };
        let expected = self.model.folders.get_mut(name).map(|f| f.add(mail));
        assert_eq!(placed.map(|p| p.uid.0), expected.ok_or(StoreError::NoFolder));
    }

    async fn flags(&mut self, name: &'static str, uids: Vec<u32>, action: u8, flags: Flags) {
        let Some(folder) = self.id(name).await else { return };
        let action = [FlagAction::Add, FlagAction::Remove, FlagAction::Replace][usize::from(action) % 3];
        let uids: NumberSet = uids.into_iter().collect();
        let change = FlagsChange {
            mailbox: BOX,
            folder,
            uids: uids.clone(),
            action,
            flags: flags.clone(),
            unchanged_since: None,
        };
        let done = self.store.flags_change(&call(1), change).await.unwrap();
        let mail = &mut self.model.folders.get_mut(name).unwrap().mail;
        for (uid, m) in mail.iter_mut().filter(|(uid, _)| uids.contains(**uid)) {
            m.flags = action.apply(&m.flags, &flags);
            assert!(done.now.iter().any(|(u, f, _)| u.0 == *uid && *f == m.flags));
        }
    }

    async fn expunge(&mut self, name: &'static str, uids: Vec<u32>) {
        let Some(folder) = self.id(name).await else { return };
        let uids: NumberSet = uids.into_iter().collect();
        let gone = self.store.message_expunge(&call(1), BOX, folder, uids.clone()).await.unwrap();
        let mail = &mut self.model.folders.get_mut(name).unwrap().mail;
        let goes = |uid: u32, m: &Mail| uids.contains(uid) && m.flags.system.contains(SystemFlags::DELETED);
        let expected: NumberSet =
            mail.iter().filter(|(uid, m)| goes(**uid, m)).map(|(uid, _)| *uid).collect();
        mail.retain(|uid, m| !goes(*uid, m));
        assert_eq!(gone, expected);
    }

    async fn copy(&mut self, name: &'static str, uids: Vec<u32>, target: &'static str, moves: bool) {
        let Some(folder) = self.id(name).await else { return };
        let uids: NumberSet = uids.into_iter().collect();
        let (call, named) = (call(1), target.to_owned());
        let done = if moves {
            self.store.message_move(&call, BOX, folder, uids.clone(), named).await
        } else {
            self.store.message_copy(&call, BOX, folder, uids.clone(), named, Quota::default()).await
        };
        if !self.model.folders.contains_key(target) {
            assert_eq!(done.unwrap_err(), StoreError::NoFolder);
            return;
        }
        let from = &mut self.model.folders.get_mut(name).unwrap().mail;
        let mail: Vec<_> =
            from.iter().filter(|(uid, _)| uids.contains(**uid)).map(|(uid, m)| (*uid, m.clone())).collect();
        if moves {
            from.retain(|uid, _| !uids.contains(*uid));
        }
        let to = self.model.folders.get_mut(target).unwrap();
        let pairs: Vec<_> =
            mail.into_iter().map(|(uid, m)| (Uid(uid), Uid(to.add(Mail { old: false, ..m })))).collect();
        let done = done.unwrap();
        assert_eq!(done.from.into_iter().zip(done.to).collect::<Vec<_>>(), pairs);
    }

    async fn create(&mut self, name: &'static str) {
        let made = self.store.folder_create(&call(1), BOX, name.into(), None).await;
        if self.model.folders.contains_key(name) {
            assert_eq!(made.unwrap_err(), StoreError::FolderExists);
        } else {
            made.unwrap();
            self.model.make(name);
        }
    }

    async fn delete(&mut self, name: &'static str) {
        let gone = self.store.folder_delete(&call(1), BOX, name.into()).await;
        if name == "INBOX" || self.model.folders.contains_key(name) && self.model.has_below(name) {
            assert!(matches!(gone, Err(StoreError::Refused(_))));
        } else {
            assert_eq!(gone.is_ok(), self.model.folders.remove(name).is_some());
        }
    }

    async fn rename(&mut self, from: &'static str, to: &'static str) {
        // Names that only this test has keep the model small: families are the conformance list's.
        if self.model.has_below(from) && from != "INBOX" {
            return;
        }
        let done = self.store.folder_rename(&call(1), BOX, from.into(), to.into()).await;
        let possible = self.model.folders.contains_key(from)
            && !self.model.folders.contains_key(to)
            && !to.starts_with(&format!("{from}/"));
        assert_eq!(done.is_ok(), possible, "{from} to {to}: {done:?}");
        if possible {
            self.model.make(to);
            let taken = std::mem::take(self.model.folders.get_mut(from).unwrap());
            // A session that has it open begins anew: the epoch is another.
            let taken = Folder { known: BTreeMap::new(), up_to: ModSeq::ZERO, ..taken };
            self.model.folders.insert(to, taken);
            if from != "INBOX" {
                self.model.folders.remove(from);
            }
        }
    }

    /// Everything that can be seen agrees with the model.
    async fn check(&mut self) {
        let list = self.store.folder_list(&call(1), BOX).await.unwrap();
        let mut names: Vec<_> = list.folders.iter().map(|f| f.name.as_str()).collect();
        names.sort_unstable();
        assert_eq!(names, self.model.folders.keys().copied().collect::<Vec<_>>());
        let messages = self.model.folders.values().map(|f| f.mail.len() as u64).sum();
        let usage = self.store.mailbox_usage(&call(1), BOX).await.unwrap();
        assert_eq!(usage, Usage { bytes: self.model.bytes(), messages });
        for (name, size) in &self.model.attributes {
            let name = AttributeName::parse(name).unwrap();
            let value = self.store.attribute_get(&call(1), BOX, name).await.unwrap();
            assert_eq!(value.map_or(0, |v| v.len()), usize::from(*size));
        }
        for folder in list.folders {
            let name = NAMES.into_iter().find(|n| *n == folder.name).unwrap();
            let model = self.model.folders.get_mut(name).unwrap();
            let unseen = model.mail.values().filter(|m| !m.flags.system.contains(SystemFlags::SEEN)).count();
            let deleted =
                model.mail.values().filter(|m| m.flags.system.contains(SystemFlags::DELETED)).count();
            let counted = (folder.messages as usize, folder.unseen as usize, folder.deleted as usize);
            assert_eq!(counted, (model.mail.len(), unseen, deleted), "{name}");
            assert_eq!(folder.uid_next.0, model.next);
            check_marks(&self.store, &folder, model).await;
            check_messages(&self.store, folder.id, model).await;
            follow(&self.store, folder.id, model).await;
        }
    }
}

/// What is said without a look at the messages.
async fn check_marks(store: &Store, folder: &roles::store::Folder, model: &Folder) {
    let with = |wanted: fn(&Flags) -> bool| -> NumberSet {
        model.mail.iter().filter(|(_, m)| wanted(&m.flags)).map(|(uid, _)| *uid).collect()
    };
    let unseen = with(|f| !f.system.contains(SystemFlags::SEEN));
    let opened = store.folder_open(&call(1), BOX, folder.name.clone()).await.unwrap();
    assert_eq!(opened.uids, with(|_| true));
    assert_eq!(opened.first_unseen, unseen.first().map(Uid));
    let flagged = Criterion::Flags(SystemFlags::FLAGGED);
    let not_seen = Criterion::Not(Box::new(Criterion::Flags(SystemFlags::SEEN)));
    for (criterion, expected) in [
        (flagged, with(|f| f.system.contains(SystemFlags::FLAGGED))),
        (Criterion::Flags(SystemFlags::DELETED), with(|f| f.system.contains(SystemFlags::DELETED))),
        (not_seen, unseen),
    ] {
        let found = store.message_search(&call(1), BOX, folder.id, criterion).await.unwrap();
        assert_eq!(found, expected);
    }
}

async fn check_messages(store: &Store, folder: FolderId, model: &Folder) {
    let read = Read {
        mailbox: BOX,
        folder,
        uids: NumberSet::all(),
        need: Need::Body,
        changed_since: None,
        limit: 1000,
    };
    let page = store.message_read(&call(1), read).await.unwrap();
    let mut found = BTreeMap::new();
    for message in page.messages {
        let body = message.body.unwrap().read(0, 100_000).await.unwrap();
        assert_eq!(body.len() as u64, message.size);
        found.insert(message.uid.0, (message.size, message.flags));
    }
    let expected: BTreeMap<_, _> = model.mail.iter().map(|(u, m)| (*u, (m.size, m.flags.clone()))).collect();
    assert_eq!(found, expected);
}

/// A session that hears only of changes knows the same as one that reads everything.
async fn follow(store: &Store, folder: FolderId, model: &mut Folder) {
    let changes = store.folder_changes(&call(1), BOX, folder, model.up_to).await.unwrap();
    changes.vanished.iter().for_each(|uid| drop(model.known.remove(&uid)));
    for (uid, flags, modseq) in changes.changed {
        assert!(modseq > model.up_to && modseq <= changes.up_to);
        model.known.insert(uid.0, flags);
    }
    model.up_to = changes.up_to;
    let now: BTreeMap<u32, Flags> = model.mail.iter().map(|(uid, m)| (*uid, m.flags.clone())).collect();
    assert_eq!(model.known, now);
}

/// Copies a folder as it is at one moment: again, where something has changed meanwhile.
fn copy(from: &Path, to: &Path) {
    loop {
        let before = listing(from);
        let _ = std::fs::remove_dir_all(to);
        copy_once(from, to);
        // Times of files are no finer than a tick of the system.
        std::thread::sleep(std::time::Duration::from_millis(10));
        if listing(from) == before {
            return;
        }
    }
}

/// Everything in a folder with its length and time of change.
fn listing(folder: &Path) -> Vec<(std::path::PathBuf, u64, std::time::SystemTime)> {
    let mut all = Vec::new();
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let Ok(data) = entry.metadata() else { continue };
        if data.is_dir() {
            all.extend(listing(&entry.path()));
        } else {
            all.push((entry.path(), data.len(), data.modified().unwrap()));
        }
    }
    all.sort();
    all
}

fn copy_once(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).into_iter().flatten().flatten() {
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy_once(&entry.path(), &target);
        } else {
            // It may be gone again: then the listing has changed.
            let _ = std::fs::copy(entry.path(), target);
        }
    }
}

/// ITS 16025, 22350, 23506: every body is referred to as often as is counted, nothing else is stored, every counter is what
/// it counts.
async fn adds_up(store: &Store) {
    for (shard, audit) in store.inner().shards.iter().zip(store.audit().await.unwrap()) {
        assert!(audit.is_clean(), "{audit:?}");
        let counted = shard.read(|view| storage::mailboxes::counted(view, BOX)).await.unwrap();
        let Some((folders, should)) = counted else { continue };
        folders.iter().for_each(|one| assert!(one.is_right(), "{}", one.differences()));
        let is = shard.read(|view| storage::mailboxes::Mailbox::new(view, BOX).row()).await.unwrap();
        assert_eq!(is, Some(should));
    }
}

/// When nothing is left, nothing is counted as left.
async fn leaves_nothing(store: &Store) {
    store.mailbox_delete(&call(1), BOX).await.unwrap();
    let live = || store.inner().shards.iter().map(|s| s.status().live_bytes).sum::<u64>();
    for _ in 0..2000 {
        if live() == 0 {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(2)).await;
    }
    panic!("{} bytes are left", live());
}

fn step() -> impl Strategy<Value = Step> {
    let folder = || 0..NAMES.len();
    let uids = || prop::collection::vec(1..12u32, 1..5);
    prop_oneof![
        4 => (2..12u8, 0..2000u16, prop_oneof![Just(0u16), 500..9000u16], 20..=100u8)
            .prop_map(|(request, size, limit, percent)| Step::Deliver { request, size, limit, percent }),
        1 => (folder(), any::<bool>()).prop_map(|(folder, unread)| Step::Expire { folder, unread }),
        1 => (0..2usize, 0..20_000u16).prop_map(|(name, size)| Step::Attribute { name, size }),
        4 => (folder(), 0..2000u16, 0..32u8).prop_map(|(folder, size, flags)| Step::Append { folder, size, flags }),
        4 => (folder(), uids(), 0..3u8, 0..32u8, any::<bool>())
            .prop_map(|(folder, uids, action, flags, keyword)| Step::Flags { folder, uids, action, flags, keyword }),
        2 => (folder(), uids()).prop_map(|(folder, uids)| Step::Expunge { folder, uids }),
        2 => (folder(), uids(), folder()).prop_map(|(folder, uids, target)| Step::Copy { folder, uids, target }),
        2 => (folder(), uids(), folder()).prop_map(|(folder, uids, target)| Step::Move { folder, uids, target }),
        3 => folder().prop_map(Step::Create),
        1 => folder().prop_map(Step::Delete),
        1 => (folder(), folder()).prop_map(|(from, to)| Step::Rename(from, to)),
        1 => Just(Step::Reopen),
        1 => Just(Step::Kill),
    ]
}

/// Histories to try: a few in every run, as many as `PROPTEST_CASES` says where it is set.
fn cases(few: u32) -> u32 {
    std::env::var("PROPTEST_CASES").ok().and_then(|n| n.parse().ok()).unwrap_or(few)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(12), max_shrink_iters: 300, ..ProptestConfig::default() })]
    #[test]
    fn any_history_agrees_with_the_model(steps in prop::collection::vec(step(), 1..40)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let dir = tempfile::tempdir().unwrap();
            let store = open(dir.path(), 2).unwrap();
            store.mailbox_create(&call(1), BOX).await.unwrap();
            let mut run = Run { dir, store, model: Model::default() };
            run.model.make("INBOX");
            for step in steps {
                run.step(step).await;
                run.check().await;
            }
            adds_up(&run.store).await;
            leaves_nothing(&run.store).await;
            adds_up(&run.store).await;
            run.store.close().await;
        });
    }
}
