//! A store that can be delivered to and asked how full it is, for the tests of what comes before a store.

use bytes::Bytes;
use mail::attribute::AttributeName;
use mail::flags::Flags;
use mail::id::{FolderId, MailboxId, ModSeq, RequestId, Uid, UidValidity};
use mail::search::Criterion;
use mail::sequence::NumberSet;
use roles::store::{
    Append, AttributeLine, Changes, Copied, Deliver, Delivered, Expire, Expired, FlagsChange, FlagsChanged,
    Folder, Folders, MailboxLine, MessageStore, Opened, Page, Placed, Quota, Read, SpecialUse, StoreError,
    Subscription, Usage, Watch,
};
use roles::{Answer, Call};
use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// One call of `message_deliver`, as it came.
#[derive(Debug, Clone)]
pub struct Drop {
    /// Its request.
    pub request: RequestId,
    /// Mailboxes and folders.
    pub to: Vec<(MailboxId, Option<String>)>,
    /// The body.
    pub text: Vec<u8>,
    /// Flags of the first.
    pub flags: Flags,
}

/// A store that keeps what is delivered for the test to look at. Everything but delivery and usage is refused.
#[derive(Default)]
pub struct DropStore(Mutex<Script>);

#[derive(Default)]
struct Script {
    drops: Vec<Drop>,
    usage: HashMap<MailboxId, Usage>,
    fails: HashMap<MailboxId, StoreError>,
    fails_all: Option<StoreError>,
}

impl DropStore {
    /// An empty one.
    pub fn new() -> Self {
        Self::default()
    }

    /// A mailbox holds this much.
    pub fn usage(&self, mailbox: MailboxId, usage: Usage) {
        self.lock().usage.insert(mailbox, usage);
    }

    /// A mailbox refuses deliveries so.
    pub fn fail(&self, mailbox: MailboxId, error: StoreError) {
        self.lock().fails.insert(mailbox, error);
    }

    /// The store refuses everything so, or works again.
    pub fn fail_all(&self, error: Option<StoreError>) {
        self.lock().fails_all = error;
    }

    /// What was delivered, call by call.
    pub fn drops(&self) -> Vec<Drop> {
        self.lock().drops.clone()
    }

    fn lock(&self) -> MutexGuard<'_, Script> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take(&self, call: &Call, deliver: &Deliver) -> Result<Delivered, StoreError> {
        let mut script = self.lock();
        if let Some(error) = &script.fails_all {
            return Err(error.clone());
        }
        let mut text = Vec::new();
        while (text.len() as u64) < deliver.body.len() {
            let piece = deliver.body.read_blocking(text.len() as u64, roles::body::MAX_CHUNK);
            text.extend_from_slice(&piece.map_err(|e| StoreError::Broken(e.to_string()))?);
        }
        let uid = u32::try_from(script.drops.len() + 1).unwrap_or(u32::MAX);
        let placed = Placed { folder: FolderId::INBOX, uid_validity: UidValidity(1), uid: Uid(uid) };
        let result = |mailbox| script.fails.get(&mailbox).map_or(Ok(placed), |e| Err(e.clone()));
        let results: Delivered = deliver.to.iter().map(|to| result(to.mailbox)).collect();
        let taken = deliver.to.iter().zip(&results).filter(|(_, r)| r.is_ok());
        let to: Vec<_> = taken.map(|(to, _)| (to.mailbox, to.folder.clone())).collect();
        let flags = deliver.to.first().map(|to| to.flags.clone()).unwrap_or_default();
        if !to.is_empty() {
            script.drops.push(Drop { request: call.request, to, text, flags });
        }
        Ok(results)
    }
}

fn now<'a, T: Send + 'a>(result: Result<T, StoreError>) -> Answer<'a, T, StoreError> {
    Box::pin(std::future::ready(result))
}

/// What every other question is answered with.
fn not_here<'a, T: Send + 'a>() -> Answer<'a, T, StoreError> {
    now(Err(StoreError::Refused("this double can only be delivered to".into())))
}

macro_rules! not_here {
    ($($name:ident($($argument:ident: $kind:ty),*) -> $answer:ty;)+) => {
        $(fn $name<'a>(&'a self, _call: &'a Call, $($argument: $kind),*) -> Answer<'a, $answer, StoreError> {
            let _ = ($($argument,)*);
            not_here()
        })+
    };
}

impl MessageStore for DropStore {
    fn mailbox_usage<'a>(&'a self, _call: &'a Call, mailbox: MailboxId) -> Answer<'a, Usage, StoreError> {
        let script = self.lock();
        let usage = script.usage.get(&mailbox).copied().unwrap_or_default();
        now(script.fails_all.clone().map_or(Ok(usage), Err))
    }

    fn message_deliver<'a>(&'a self, call: &'a Call, deliver: Deliver) -> Answer<'a, Delivered, StoreError> {
        now(self.take(call, &deliver))
    }

    fn mailbox_unlock(&self, _call: &Call, _mailbox: MailboxId) {}

    not_here! {
        mailbox_create(mailbox: MailboxId) -> ();
        mailbox_delete(mailbox: MailboxId) -> ();
        mailbox_list(after: Option<MailboxId>, limit: usize) -> Vec<MailboxLine>;
        attribute_get(mailbox: MailboxId, name: AttributeName) -> Option<Bytes>;
        attribute_set(mailbox: MailboxId, name: AttributeName, value: Option<Bytes>) -> ();
        attribute_list(mailbox: MailboxId) -> Vec<AttributeLine>;
        message_expire(expire: Expire) -> Expired;
        mailbox_watch(mailbox: MailboxId) -> Box<dyn Watch>;
        mailbox_lock(mailbox: MailboxId) -> ();
        message_append(append: Append) -> Placed;
        message_read(read: Read) -> Page;
        message_search(mailbox: MailboxId, folder: FolderId, criterion: Criterion) -> NumberSet;
        message_copy(mailbox: MailboxId, folder: FolderId, uids: NumberSet, target: String, quota: Quota) -> Copied;
        message_move(mailbox: MailboxId, folder: FolderId, uids: NumberSet, target: String) -> Copied;
        message_expunge(mailbox: MailboxId, folder: FolderId, uids: NumberSet) -> NumberSet;
        message_delete(mailbox: MailboxId, folder: FolderId, uids: NumberSet) -> NumberSet;
        flags_change(change: FlagsChange) -> FlagsChanged;
        folder_list(mailbox: MailboxId) -> Folders;
        folder_status(mailbox: MailboxId, name: String) -> Folder;
        folder_open(mailbox: MailboxId, name: String) -> Opened;
        folder_create(mailbox: MailboxId, name: String, special_use: Option<SpecialUse>) -> FolderId;
        folder_delete(mailbox: MailboxId, name: String) -> ();
        folder_rename(mailbox: MailboxId, from: String, to: String) -> ();
        folder_subscribe(mailbox: MailboxId, name: String, subscription: Subscription) -> ();
        folder_changes(mailbox: MailboxId, folder: FolderId, since: ModSeq) -> Changes;
    }
}
