//! A directory with one account and a store with one mailbox, for sessions in tests. What POP does not use
//! answers that it is not available.

use bytes::Bytes;
use mail::attribute::AttributeName;
use mail::flags::Flags;
use mail::id::{AccountId, FolderId, HostName, MailboxId, ModSeq, RequestId, Uid, UidValidity};
use mail::search::Criterion;
use mail::sequence::NumberSet;
use mail::time::Timestamp;
use roles::directory::{Account, Directory, DirectoryError, Login, Origin, Proof, Route, ScramKeys};
use roles::store::{
    Append, AttributeLine, Changes, Copied, Deliver, Delivered, Expire, Expired, FlagsChange, FlagsChanged,
    Folder, Folders, MailboxLine, Message, MessageStore, Need, Opened, Page, Placed, Quota, Read, SpecialUse,
    StoreError, Subscription, Usage, Watch,
};
use roles::{Answer, Body, Call};
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard};

pub(crate) const NAME: &str = "joe@example.org";
pub(crate) const PASSWORD: &str = "secret word";
pub(crate) const MAILBOX: MailboxId = MailboxId(7);

/// Lets [`NAME`] in, or answers with the error it is set to.
#[derive(Default)]
pub(crate) struct OneAccount {
    pub(crate) error: Mutex<Option<DirectoryError>>,
    pub(crate) last: Mutex<Option<Login>>,
    pub(crate) keys: Option<ScramKeys>,
}

fn ready<'a, T: Send + 'a, E: Send + 'a>(result: Result<T, E>) -> Answer<'a, T, E> {
    Box::pin(std::future::ready(result))
}

fn account() -> Account {
    Account {
        id: AccountId(1),
        login: NAME.into(),
        mailbox: MAILBOX,
        home: HostName::new("venus"),
        quota: Quota::default(),
        max_message: 0,
    }
}

impl Directory for OneAccount {
    fn authenticate<'a>(&'a self, _: &'a Call, login: Login) -> Answer<'a, Account, DirectoryError> {
        let fits = match &login.proof {
            Proof::Password(secret) => secret.same_as(PASSWORD.as_bytes()),
            Proof::Scram => true,
        };
        let fits = fits && login.name == NAME;
        *self.last.lock().unwrap() = Some(login);
        ready(match self.error.lock().unwrap().clone() {
            Some(error) => Err(error),
            None if fits => Ok(account()),
            None => Err(DirectoryError::BadCredentials),
        })
    }

    fn scram_keys<'a>(&'a self, _: &'a Call, _: String, _: Origin) -> Answer<'a, ScramKeys, DirectoryError> {
        ready(self.keys.clone().ok_or(DirectoryError::Unavailable))
    }

    fn address_route<'a>(
        &'a self,
        _: &'a Call,
        _: mail::address::Address,
    ) -> Answer<'a, Route, DirectoryError> {
        ready(Err(DirectoryError::Unavailable))
    }

    fn account_find<'a>(&'a self, _: &'a Call, _: String) -> Answer<'a, Account, DirectoryError> {
        ready(Err(DirectoryError::Unavailable))
    }

    fn sender_allowed<'a>(
        &'a self,
        _: &'a Call,
        _: AccountId,
        _: mail::address::Address,
    ) -> Answer<'a, bool, DirectoryError> {
        ready(Err(DirectoryError::Unavailable))
    }
}

/// The Inbox of [`MAILBOX`], and who has its lock.
#[derive(Default)]
pub(crate) struct OneMailbox(Mutex<Inside>);

#[derive(Default)]
pub(crate) struct Inside {
    pub(crate) exists: bool,
    pub(crate) messages: BTreeMap<u32, Body>,
    pub(crate) holder: Option<RequestId>,
    /// Answered to everything but locks, where it is set.
    pub(crate) error: Option<StoreError>,
}

impl OneMailbox {
    /// With these messages, UIDs 10, 20, 30 and so on.
    pub(crate) fn with(messages: &[&str]) -> Self {
        let numbered = (1u32..).map(|n| n * 10).zip(messages);
        let messages = numbered.map(|(uid, text)| (uid, Body::from_bytes(text.to_string()))).collect();
        Self(Mutex::new(Inside { exists: true, messages, ..Inside::default() }))
    }

    pub(crate) fn inside(&self) -> MutexGuard<'_, Inside> {
        self.0.lock().unwrap()
    }

    /// How many messages there are, and who has the lock.
    pub(crate) fn left(&self) -> (usize, Option<RequestId>) {
        let inside = self.inside();
        (inside.messages.len(), inside.holder)
    }

    fn answer<T>(&self, act: impl FnOnce(&mut Inside) -> Result<T, StoreError>) -> Result<T, StoreError> {
        let mut inside = self.inside();
        match (inside.error.clone(), inside.exists) {
            (Some(error), _) => Err(error),
            (None, false) => Err(StoreError::NoMailbox),
            (None, true) => act(&mut inside),
        }
    }
}

fn message(uid: u32, body: &Body, need: Need) -> Message {
    Message {
        uid: Uid(uid),
        flags: Flags::default(),
        modseq: ModSeq(1),
        size: body.len(),
        received: Timestamp::default(),
        outline: None,
        body: (need == Need::Body).then(|| body.clone()),
    }
}

impl MessageStore for OneMailbox {
    fn mailbox_create<'a>(&'a self, _: &'a Call, _: MailboxId) -> Answer<'a, (), StoreError> {
        // As on a full disk.
        ready(Err(StoreError::NoSpace))
    }

    fn mailbox_lock<'a>(&'a self, call: &'a Call, mailbox: MailboxId) -> Answer<'a, (), StoreError> {
        assert_eq!(mailbox, MAILBOX);
        let mut inside = self.inside();
        if inside.holder.is_some_and(|holder| holder != call.request) {
            return ready(Err(StoreError::Locked));
        }
        inside.holder = Some(call.request);
        ready(Ok(()))
    }

    fn mailbox_unlock(&self, call: &Call, _: MailboxId) {
        let mut inside = self.inside();
        if inside.holder == Some(call.request) {
            inside.holder = None;
        }
    }

    fn folder_open<'a>(&'a self, _: &'a Call, _: MailboxId, name: String) -> Answer<'a, Opened, StoreError> {
        ready(self.answer(|inside| {
            let folder = Folder {
                id: FolderId::INBOX,
                name,
                uid_validity: UidValidity(0xabc),
                uid_next: Uid(1000),
                highest_modseq: ModSeq(1),
                messages: u32::try_from(inside.messages.len()).unwrap(),
                unseen: 0,
                deleted: 0,
                bytes: inside.messages.values().map(Body::len).sum(),
                subscribed: true,
                special_use: None,
            };
            let uids = inside.messages.keys().copied().collect();
            Ok(Opened { folder, uids, keywords: Vec::new(), first_unseen: None })
        }))
    }

    /// At most two messages a page, so that pages matter.
    fn message_read<'a>(&'a self, _: &'a Call, read: Read) -> Answer<'a, Page, StoreError> {
        ready(self.answer(|inside| {
            let mut wanted = inside.messages.iter().filter(|(uid, _)| read.uids.contains(**uid));
            let messages: Vec<Message> = wanted
                .by_ref()
                .take(read.limit.min(2))
                .map(|(uid, body)| message(*uid, body, read.need))
                .collect();
            Ok(Page { messages, next: wanted.next().map(|(uid, _)| Uid(*uid)) })
        }))
    }

    fn message_delete<'a>(
        &'a self,
        _: &'a Call,
        _: MailboxId,
        _: FolderId,
        uids: NumberSet,
    ) -> Answer<'a, NumberSet, StoreError> {
        ready(
            self.answer(|inside| {
                Ok(uids.iter().filter(|uid| inside.messages.remove(uid).is_some()).collect())
            }),
        )
    }

    fn mailbox_delete<'a>(&'a self, _: &'a Call, _: MailboxId) -> Answer<'a, (), StoreError> {
        ready(Err(StoreError::Unavailable))
    }

    fn mailbox_usage<'a>(&'a self, _: &'a Call, _: MailboxId) -> Answer<'a, Usage, StoreError> {
        ready(Err(StoreError::Unavailable))
    }

    fn mailbox_list<'a>(
        &'a self,
        _: &'a Call,
        _: Option<MailboxId>,
        _: usize,
    ) -> Answer<'a, Vec<MailboxLine>, StoreError> {
        ready(Err(StoreError::Unavailable))
    }

    fn attribute_get<'a>(
        &'a self,
        _: &'a Call,
        _: MailboxId,
        _: AttributeName,
    ) -> Answer<'a, Option<Bytes>, StoreError> {
        ready(Err(StoreError::Unavailable))
    }

    fn attribute_set<'a>(
        &'a self,
        _: &'a Call,
        _: MailboxId,
        _: AttributeName,
        _: Option<Bytes>,
    ) -> Answer<'a, (), StoreError> {
        ready(Err(StoreError::Unavailable))
    }

    fn attribute_list<'a>(&'a self, _: &'a Call, _: MailboxId) -> Answer<'a, Vec<AttributeLine>, StoreError> {
        ready(Err(StoreError::Unavailable))
    }

    fn message_expire<'a>(&'a self, _: &'a Call, _: Expire) -> Answer<'a, Expired, StoreError> {
        ready(Err(StoreError::Unavailable))
    }

    fn mailbox_watch<'a>(&'a self, _: &'a Call, _: MailboxId) -> Answer<'a, Box<dyn Watch>, StoreError> {
        ready(Err(StoreError::Unavailable))
    }

    fn message_deliver<'a>(&'a self, _: &'a Call, _: Deliver) -> Answer<'a, Delivered, StoreError> {
        ready(Err(StoreError::Unavailable))
    }

    fn message_append<'a>(&'a self, _: &'a Call, _: Append) -> Answer<'a, Placed, StoreError> {
        ready(Err(StoreError::Unavailable))
    }

    fn message_search<'a>(
        &'a self,
        _: &'a Call,
        _: MailboxId,
        _: FolderId,
        _: Criterion,
    ) -> Answer<'a, NumberSet, StoreError> {
        ready(Err(StoreError::Unavailable))
    }

    fn message_copy<'a>(
        &'a self,
        _: &'a Call,
        _: MailboxId,
        _: FolderId,
        _: NumberSet,
        _: String,
        _: Quota,
    ) -> Answer<'a, Copied, StoreError> {
        ready(Err(StoreError::Unavailable))
    }

    fn message_move<'a>(
        &'a self,
        _: &'a Call,
        _: MailboxId,
        _: FolderId,
        _: NumberSet,
        _: String,
    ) -> Answer<'a, Copied, StoreError> {
        ready(Err(StoreError::Unavailable))
    }

    fn message_expunge<'a>(
        &'a self,
        _: &'a Call,
        _: MailboxId,
        _: FolderId,
        _: NumberSet,
    ) -> Answer<'a, NumberSet, StoreError> {
        ready(Err(StoreError::Unavailable))
    }

    fn flags_change<'a>(&'a self, _: &'a Call, _: FlagsChange) -> Answer<'a, FlagsChanged, StoreError> {
        ready(Err(StoreError::Unavailable))
    }

    fn folder_list<'a>(&'a self, _: &'a Call, _: MailboxId) -> Answer<'a, Folders, StoreError> {
        ready(Err(StoreError::Unavailable))
    }

    fn folder_status<'a>(&'a self, _: &'a Call, _: MailboxId, _: String) -> Answer<'a, Folder, StoreError> {
        ready(Err(StoreError::Unavailable))
    }

    fn folder_create<'a>(
        &'a self,
        _: &'a Call,
        _: MailboxId,
        _: String,
        _: Option<SpecialUse>,
    ) -> Answer<'a, FolderId, StoreError> {
        ready(Err(StoreError::Unavailable))
    }

    fn folder_delete<'a>(&'a self, _: &'a Call, _: MailboxId, _: String) -> Answer<'a, (), StoreError> {
        ready(Err(StoreError::Unavailable))
    }

    fn folder_rename<'a>(
        &'a self,
        _: &'a Call,
        _: MailboxId,
        _: String,
        _: String,
    ) -> Answer<'a, (), StoreError> {
        ready(Err(StoreError::Unavailable))
    }

    fn folder_subscribe<'a>(
        &'a self,
        _: &'a Call,
        _: MailboxId,
        _: String,
        _: Subscription,
    ) -> Answer<'a, (), StoreError> {
        ready(Err(StoreError::Unavailable))
    }

    fn folder_changes<'a>(
        &'a self,
        _: &'a Call,
        _: MailboxId,
        _: FolderId,
        _: ModSeq,
    ) -> Answer<'a, Changes, StoreError> {
        ready(Err(StoreError::Unavailable))
    }
}
