//! A store that is asked where it is now: every call finds it anew, so that a session goes on when its store has been given
//! to another host.
//!
//! A call that comes to a host that has not got the store (any more) is answered [`StoreError::Elsewhere`] before anything
//! has happened, and made again where the store has come to, for as long as that is worth waiting for. Where the host does
//! not answer, a call that changes nothing is made again at the host that has taken its place.

use env::clock::Moment;
use mail::attribute::AttributeName;
use mail::id::{FolderId, HostName, MailboxId, ModSeq};
use mail::search::Criterion;
use mail::sequence::NumberSet;
use roles::maintenance::{
    DamagedAfter, DamagedPage, Keep, Maintenance, MaintenanceError, Order, Task, TaskId, TaskStatus,
};
use roles::store::{
    Append, AttributeLine, Changes, Copied, Deliver, Delivered, Expire, Expired, FlagsChange, FlagsChanged,
    Folder, Folders, MailboxLine, MessageStore, Opened, Page, Placed, Quota, Read, SpecialUse, StoreError,
    Subscription, Usage, Watch,
};
use roles::whole::{Moved, Restore, Restored};
use roles::{Answer, Call};
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

/// Where a call goes.
pub(crate) struct Target {
    pub(crate) store: Arc<dyn MessageStore>,
    pub(crate) maintenance: Arc<dyn Maintenance>,
    /// The call, addressed to that store.
    pub(crate) call: Call,
    /// The host that is asked; `None`: this process.
    pub(crate) host: Option<HostName>,
}

/// Knows where a store is.
pub(crate) trait Point: Clone + Send + Sync + 'static {
    /// Where a call goes now.
    ///
    /// # Errors
    /// [`StoreError::Elsewhere`] where the store is to be here, and is not open.
    fn to(&self, call: &Call) -> Result<Target, StoreError>;

    /// After a call found no store, the first time at `since`: waits a little and says whether to look again.
    fn again(&self, since: Moment) -> impl Future<Output = bool> + Send;

    /// After a host did not answer: whether the store is another's by now.
    fn is_replaced(&self, host: &HostName) -> impl Future<Output = bool> + Send;

    /// What time it is.
    fn moment(&self) -> Moment;
}

/// See the module.
#[derive(Clone)]
pub(crate) struct Pointed<P>(pub(crate) P);

/// Whether a call may be made again though its effect may have happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Safe {
    /// It changes nothing, or comes to the same.
    Repeat,
    /// It must not happen twice.
    Once,
}

impl<P: Point> Pointed<P> {
    /// Asks, and asks again where the store was not found.
    async fn ask<T, F>(
        &self,
        call: &Call,
        safe: Safe,
        ask: impl Fn(Target) -> F + Sync,
    ) -> Result<T, StoreError>
    where
        F: Future<Output = Result<T, StoreError>> + Send,
        T: Send,
    {
        let mut since = None;
        loop {
            let (asked, host) = match self.0.to(call) {
                Ok(target) => {
                    let host = target.host.clone();
                    (ask(target).await, host)
                }
                Err(error) => (Err(error), None),
            };
            let error = match asked {
                Err(error @ (StoreError::Elsewhere | StoreError::Unavailable)) => error,
                answer => return answer,
            };
            let since = *since.get_or_insert_with(|| self.0.moment());
            let again = match (&error, host) {
                _ if since.elapsed() >= call.deadline => false,
                (StoreError::Elsewhere, _) => self.0.again(since).await,
                (_, Some(host)) => safe == Safe::Repeat && self.0.is_replaced(&host).await,
                (_, None) => false,
            };
            if !again {
                return Err(error);
            }
        }
    }
}

/// The methods that only pass their arguments on.
macro_rules! asked {
    ($safe:ident: $($verb:ident($($argument:ident: $type:ty),*) -> $answer:ty;)+) => {
        $(fn $verb<'a>(&'a self, call: &'a Call, $($argument: $type),*) -> Answer<'a, $answer, StoreError> {
            Box::pin(async move {
                let ask = |to: Target| {
                    $(let $argument = Clone::clone(&$argument);)*
                    async move { to.store.$verb(&to.call, $($argument),*).await }
                };
                self.ask(call, Safe::$safe, ask).await
            })
        })+
    };
}

impl<P: Point> MessageStore for Pointed<P> {
    asked! {
        Repeat:
        mailbox_create(mailbox: MailboxId) -> ();
        mailbox_usage(mailbox: MailboxId) -> Usage;
        mailbox_list(after: Option<MailboxId>, limit: usize) -> Vec<MailboxLine>;
        attribute_get(mailbox: MailboxId, name: AttributeName) -> Option<bytes::Bytes>;
        attribute_list(mailbox: MailboxId) -> Vec<AttributeLine>;
        mailbox_lock(mailbox: MailboxId) -> ();
        message_read(read: Read) -> Page;
        message_search(mailbox: MailboxId, folder: FolderId, criterion: Criterion) -> NumberSet;
        folder_list(mailbox: MailboxId) -> Folders;
        folder_status(mailbox: MailboxId, name: String) -> Folder;
        folder_open(mailbox: MailboxId, name: String) -> Opened;
        folder_subscribe(mailbox: MailboxId, name: String, subscription: Subscription) -> ();
        folder_changes(mailbox: MailboxId, folder: FolderId, since: ModSeq) -> Changes;
    }

    asked! {
        Once:
        mailbox_delete(mailbox: MailboxId) -> ();
        attribute_set(mailbox: MailboxId, name: AttributeName, value: Option<bytes::Bytes>) -> ();
        message_deliver(deliver: Deliver) -> Delivered;
        message_append(append: Append) -> Placed;
        message_copy(mailbox: MailboxId, folder: FolderId, uids: NumberSet, target: String, quota: Quota) -> Copied;
        message_move(mailbox: MailboxId, folder: FolderId, uids: NumberSet, target: String) -> Copied;
        message_expunge(mailbox: MailboxId, folder: FolderId, uids: NumberSet) -> NumberSet;
        message_delete(mailbox: MailboxId, folder: FolderId, uids: NumberSet) -> NumberSet;
        message_expire(expire: Expire) -> Expired;
        flags_change(change: FlagsChange) -> FlagsChanged;
        folder_create(mailbox: MailboxId, name: String, special_use: Option<SpecialUse>) -> FolderId;
        folder_delete(mailbox: MailboxId, name: String) -> ();
        folder_rename(mailbox: MailboxId, from: String, to: String) -> ();
    }

    fn mailbox_watch<'a>(
        &'a self,
        call: &'a Call,
        mailbox: MailboxId,
    ) -> Answer<'a, Box<dyn Watch>, StoreError> {
        Box::pin(async move {
            let watch = Begun::Watching(self.watch(call.clone(), mailbox).await?);
            let watch = Following { pointed: self.clone(), call: call.clone(), mailbox, watch };
            Ok(Box::new(watch) as Box<dyn Watch>)
        })
    }

    /// A lock that is not given back runs out by itself.
    fn mailbox_unlock(&self, call: &Call, mailbox: MailboxId) {
        if let Ok(to) = self.0.to(call) {
            to.store.mailbox_unlock(&to.call, mailbox);
        }
    }
}

impl<P: Point> Pointed<P> {
    async fn watch(&self, call: Call, mailbox: MailboxId) -> Result<Box<dyn Watch>, StoreError> {
        let ask = |to: Target| async move { to.store.mailbox_watch(&to.call, mailbox).await };
        self.ask(&call, Safe::Repeat, ask).await
    }
}

type Beginning = Pin<Box<dyn Future<Output = Result<Box<dyn Watch>, StoreError>> + Send>>;

/// How far a watch is.
enum Begun {
    Watching(Box<dyn Watch>),
    /// The store has gone; it is looked for. Kept here because whoever waits may stop waiting and come again.
    Looking(Beginning),
}

/// A watch that goes on where the store has come to.
struct Following<P> {
    pointed: Pointed<P>,
    call: Call,
    mailbox: MailboxId,
    watch: Begun,
}

impl<P: Point> Following<P> {
    async fn next(&mut self) -> Result<(), StoreError> {
        if let Begun::Watching(watch) = &mut self.watch {
            if watch.changed().await.is_ok() {
                return Ok(());
            }
            let (pointed, call, mailbox) = (self.pointed.clone(), self.call.clone(), self.mailbox);
            self.watch = Begun::Looking(Box::pin(async move { pointed.watch(call, mailbox).await }));
        }
        if let Begun::Looking(looking) = &mut self.watch {
            self.watch = Begun::Watching(looking.as_mut().await?);
        }
        // What has happened meanwhile nobody has told: whoever watches asks.
        Ok(())
    }
}

impl<P: Point> Watch for Following<P> {
    fn changed<'a>(&'a mut self) -> Pin<Box<dyn Future<Output = Result<(), StoreError>> + Send + 'a>> {
        Box::pin(self.next())
    }
}

type Of<'a, T> = Answer<'a, T, MaintenanceError>;

/// Long work belongs to the process that does it: it is asked once, where the store is now.
macro_rules! maintained {
    ($($verb:ident($($argument:ident: $type:ty),*) -> $answer:ty;)+) => {
        $(fn $verb<'a>(&'a self, call: &'a Call, $($argument: $type),*) -> Of<'a, $answer> {
            Box::pin(async move {
                let to = self.0.to(call).map_err(|_| MaintenanceError::Unavailable)?;
                to.maintenance.$verb(&to.call, $($argument),*).await
            })
        })+
    };
}

impl<P: Point> Maintenance for Pointed<P> {
    maintained! {
        task_start(task: Task, keep: Keep) -> TaskId;
        task_list() -> Vec<TaskStatus>;
        task_status(id: TaskId, from: u64, wait: Duration) -> TaskStatus;
        task_order(id: TaskId, order: Order) -> ();
        damaged_list(mailbox: Option<MailboxId>, after: Option<DamagedAfter>) -> DamagedPage;
        mailbox_move(mailbox: MailboxId, shard: u32) -> Moved;
        mailbox_copy(from: MailboxId, to: MailboxId) -> Moved;
        mailbox_restore(restore: Restore) -> Restored;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::here::open_store;
    use env::Env;
    use mail::id::{RequestId, TraceId};
    use std::sync::Mutex;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use storage::shard::{Holder, Title};
    use store::Store;

    /// A store that is here or there, and how often it is looked for in vain.
    #[derive(Clone)]
    struct Found {
        store: Arc<Mutex<Arc<Store>>>,
        in_vain: Arc<AtomicUsize>,
        env: Env,
    }

    impl Point for Found {
        fn to(&self, call: &Call) -> Result<Target, StoreError> {
            let store = self.store.lock().unwrap().clone();
            Ok(Target { maintenance: store.clone(), store, call: call.clone(), host: None })
        }

        async fn again(&self, _: Moment) -> bool {
            self.in_vain.fetch_update(Ordering::AcqRel, Ordering::Acquire, |n| n.checked_sub(1)).is_ok()
        }

        async fn is_replaced(&self, _: &HostName) -> bool {
            false
        }

        fn moment(&self) -> Moment {
            self.env.clock.moment()
        }
    }

    fn open(folder: &std::path::Path, epoch: u64) -> Arc<Store> {
        let (store, owner, incarnation) = ("mars".to_owned(), "mars".to_owned(), epoch.to_string());
        let holder = Holder::new(Title { store, owner, incarnation, epoch });
        Arc::new(open_store(&HostName::new("mars"), folder, holder, &Env::for_test("mss")).unwrap())
    }

    fn call() -> Call {
        Call::new(RequestId(1), TraceId::new("t"))
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_call_is_made_again_where_the_store_has_come_to_and_a_watch_goes_on() {
        let folder = tempfile::tempdir().unwrap();
        let first = open(folder.path(), 1);
        let found = Found {
            store: Arc::new(Mutex::new(first.clone())),
            in_vain: Arc::new(AtomicUsize::new(0)),
            env: Env::for_test("imapserv"),
        };
        let pointed = Pointed(found.clone());
        let mailbox = MailboxId(1);
        pointed.mailbox_create(&call(), mailbox).await.unwrap();
        let mut watch = pointed.mailbox_watch(&call(), mailbox).await.unwrap();
        first.close().await;
        // Nobody says that it will come.
        assert_eq!(pointed.mailbox_usage(&call(), mailbox).await, Err(StoreError::Elsewhere));
        assert!(watch.changed().await.is_err());
        let second = open(folder.path(), 2);
        *found.store.lock().unwrap() = second.clone();
        assert!(pointed.mailbox_usage(&call(), mailbox).await.is_ok());
        // The watch that was told nothing is one of the new place, and the first word is that something may have changed.
        let mut watch = pointed.mailbox_watch(&call(), mailbox).await.unwrap();
        second.close().await;
        let third = open(folder.path(), 3);
        *found.store.lock().unwrap() = third.clone();
        watch.changed().await.unwrap();
        let folder_made = async {
            pointed.folder_create(&call(), mailbox, "x".into(), None).await.unwrap();
        };
        let (news, ()) = tokio::join!(watch.changed(), folder_made);
        news.unwrap();
        third.close().await;
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn looking_ends_when_it_is_not_worth_it_any_more() {
        let folder = tempfile::tempdir().unwrap();
        let store = open(folder.path(), 1);
        store.close().await;
        let in_vain = Arc::new(AtomicUsize::new(3));
        let found =
            Found { store: Arc::new(Mutex::new(store)), in_vain: in_vain.clone(), env: Env::for_test("mta") };
        let asked = Pointed(found.clone()).mailbox_usage(&call(), MailboxId(1)).await;
        assert_eq!((asked, in_vain.load(Ordering::Acquire)), (Err(StoreError::Elsewhere), 0));
        in_vain.store(1000, Ordering::Release);
        let short = Call { deadline: Duration::ZERO, ..call() };
        let asked = Pointed(found).mailbox_create(&short, MailboxId(1)).await;
        assert!(
            asked.is_err() && in_vain.load(Ordering::Acquire) == 1000,
            "nobody looks longer than the caller waits"
        );
    }
}
