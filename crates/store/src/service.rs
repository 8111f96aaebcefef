//! The role's trait, each method handed to the file of its verb.

use crate::copy::Originals;
use crate::expunge::Which;
use crate::open::Store;
use bytes::Bytes;
use catalog::metrics::Operation as Op;
use mail::attribute::AttributeName;
use mail::id::{FolderId, MailboxId, ModSeq};
use mail::search::Criterion;
use mail::sequence::NumberSet;
use roles::store::{
    Append, AttributeLine, Changes, Copied, Deliver, Delivered, Expire, Expired, FlagsChange, FlagsChanged,
    Folder, Folders, MailboxLine, MessageStore, Opened, Page, Placed, Quota, Read, SpecialUse, StoreError,
    Subscription, Usage, Watch,
};
use roles::{Answer, Call};

type Of<'a, T> = Answer<'a, T, StoreError>;

/// The verb's future, with its time taken.
macro_rules! timed {
    ($store:expr, $operation:ident, $verb:expr) => {
        Box::pin(async move {
            let _timed = $store.inner().env.metrics.time(Op::$operation);
            $verb.await
        })
    };
}

impl MessageStore for Store {
    fn mailbox_create<'a>(&'a self, _: &'a Call, mailbox: MailboxId) -> Of<'a, ()> {
        Box::pin(self.inner().create_mailbox(mailbox))
    }

    fn mailbox_delete<'a>(&'a self, _: &'a Call, mailbox: MailboxId) -> Of<'a, ()> {
        Box::pin(self.inner().delete_mailbox(mailbox))
    }

    fn mailbox_usage<'a>(&'a self, _: &'a Call, mailbox: MailboxId) -> Of<'a, Usage> {
        Box::pin(self.inner().usage(mailbox))
    }

    fn mailbox_list<'a>(
        &'a self,
        _: &'a Call,
        after: Option<MailboxId>,
        limit: usize,
    ) -> Of<'a, Vec<MailboxLine>> {
        Box::pin(self.inner().list_mailboxes(after, limit))
    }

    fn attribute_get<'a>(
        &'a self,
        _: &'a Call,
        mailbox: MailboxId,
        name: AttributeName,
    ) -> Of<'a, Option<Bytes>> {
        Box::pin(self.inner().attribute(mailbox, name))
    }

    fn attribute_set<'a>(
        &'a self,
        _: &'a Call,
        mailbox: MailboxId,
        name: AttributeName,
        value: Option<Bytes>,
    ) -> Of<'a, ()> {
        Box::pin(self.inner().set_attribute(mailbox, name, value))
    }

    fn attribute_list<'a>(&'a self, _: &'a Call, mailbox: MailboxId) -> Of<'a, Vec<AttributeLine>> {
        Box::pin(self.inner().attributes(mailbox))
    }

    fn mailbox_watch<'a>(&'a self, _: &'a Call, mailbox: MailboxId) -> Of<'a, Box<dyn Watch>> {
        let watchers = &self.inner().watchers;
        let watcher = match watchers.is_closed() {
            true => Err(StoreError::Elsewhere),
            false => Ok(Box::new(watchers.watch(mailbox)) as Box<dyn Watch>),
        };
        Box::pin(std::future::ready(watcher))
    }

    fn mailbox_lock<'a>(&'a self, call: &'a Call, mailbox: MailboxId) -> Of<'a, ()> {
        let locked = self.inner().locks.lock(mailbox, call.request);
        Box::pin(std::future::ready(locked.map_err(|_| StoreError::Locked)))
    }

    fn mailbox_unlock(&self, call: &Call, mailbox: MailboxId) {
        self.inner().locks.unlock(mailbox, call.request);
    }

    fn message_deliver<'a>(&'a self, call: &'a Call, deliver: Deliver) -> Of<'a, Delivered> {
        timed!(self, StoreDeliver, self.inner().deliver(call, deliver))
    }

    fn message_append<'a>(&'a self, call: &'a Call, append: Append) -> Of<'a, Placed> {
        timed!(self, StoreAppend, self.inner().append(call, append))
    }

    fn message_read<'a>(&'a self, call: &'a Call, read: Read) -> Of<'a, Page> {
        timed!(self, StoreRead, self.inner().read(call, read))
    }

    fn message_search<'a>(
        &'a self,
        call: &'a Call,
        mailbox: MailboxId,
        folder: FolderId,
        criterion: Criterion,
    ) -> Of<'a, NumberSet> {
        timed!(self, StoreSearch, self.inner().search(call, mailbox, folder, criterion))
    }

    fn message_copy<'a>(
        &'a self,
        _: &'a Call,
        mailbox: MailboxId,
        folder: FolderId,
        uids: NumberSet,
        target: String,
        quota: Quota,
    ) -> Of<'a, Copied> {
        timed!(self, StoreCopy, self.inner().copy(mailbox, folder, uids, &target, Originals::Stay(quota)))
    }

    fn message_move<'a>(
        &'a self,
        _: &'a Call,
        mailbox: MailboxId,
        folder: FolderId,
        uids: NumberSet,
        target: String,
    ) -> Of<'a, Copied> {
        timed!(self, StoreMove, self.inner().copy(mailbox, folder, uids, &target, Originals::Go))
    }

    fn message_expunge<'a>(
        &'a self,
        _: &'a Call,
        mailbox: MailboxId,
        folder: FolderId,
        uids: NumberSet,
    ) -> Of<'a, NumberSet> {
        timed!(self, StoreExpunge, self.inner().expunge(mailbox, folder, uids, Which::Deleted))
    }

    fn message_delete<'a>(
        &'a self,
        _: &'a Call,
        mailbox: MailboxId,
        folder: FolderId,
        uids: NumberSet,
    ) -> Of<'a, NumberSet> {
        timed!(self, StoreExpunge, self.inner().expunge(mailbox, folder, uids, Which::All))
    }

    fn message_expire<'a>(&'a self, _: &'a Call, expire: Expire) -> Of<'a, Expired> {
        Box::pin(self.inner().expire(expire))
    }

    fn flags_change<'a>(&'a self, _: &'a Call, change: FlagsChange) -> Of<'a, FlagsChanged> {
        timed!(self, StoreFlags, self.inner().flags(change))
    }

    fn folder_list<'a>(&'a self, _: &'a Call, mailbox: MailboxId) -> Of<'a, Folders> {
        timed!(self, StoreFolderList, self.inner().list_folders(mailbox))
    }

    fn folder_status<'a>(&'a self, _: &'a Call, mailbox: MailboxId, name: String) -> Of<'a, Folder> {
        timed!(self, StoreFolderStatus, self.inner().folder_status(mailbox, &name))
    }

    fn folder_open<'a>(&'a self, _: &'a Call, mailbox: MailboxId, name: String) -> Of<'a, Opened> {
        timed!(self, StoreFolderOpen, self.inner().open_folder(mailbox, &name))
    }

    fn folder_create<'a>(
        &'a self,
        _: &'a Call,
        mailbox: MailboxId,
        name: String,
        special_use: Option<SpecialUse>,
    ) -> Of<'a, FolderId> {
        Box::pin(async move { self.inner().create_folder(mailbox, &name, special_use).await })
    }

    fn folder_delete<'a>(&'a self, _: &'a Call, mailbox: MailboxId, name: String) -> Of<'a, ()> {
        Box::pin(async move { self.inner().delete_folder(mailbox, &name).await })
    }

    fn folder_rename<'a>(&'a self, _: &'a Call, mailbox: MailboxId, from: String, to: String) -> Of<'a, ()> {
        Box::pin(async move { self.inner().rename_folder(mailbox, &from, &to).await })
    }

    fn folder_subscribe<'a>(
        &'a self,
        _: &'a Call,
        mailbox: MailboxId,
        name: String,
        subscription: Subscription,
    ) -> Of<'a, ()> {
        Box::pin(async move { self.inner().subscribe_folder(mailbox, &name, subscription).await })
    }

    fn folder_changes<'a>(
        &'a self,
        _: &'a Call,
        mailbox: MailboxId,
        folder: FolderId,
        since: ModSeq,
    ) -> Of<'a, Changes> {
        timed!(self, StoreChanges, self.inner().changes(mailbox, folder, since))
    }
}
