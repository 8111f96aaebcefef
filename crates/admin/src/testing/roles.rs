//! Roles that answer from memory: one account with a few folders, a list of what was submitted, two servers.

use crate::context::{Hosts, Roles};
use bytes::Bytes;
use mail::address::Address;
use mail::attribute::AttributeName;
use mail::flags::Flags;
use mail::id::{AccountId, FolderId, HostName, MailboxId, ModSeq, QueueId, TraceId, Uid, UidValidity};
use mail::message::{Limits, Scanner};
use mail::search::{Criterion, Place};
use mail::sequence::NumberSet;
use mail::time::Timestamp;
use roles::backup::{Backup, BackupError, Join, Made, Make, Progress, Recover, Recovered};
use roles::configuration::Proposal;
use roles::directory::cache::{Built, CacheStatus, Compared, Control, DirectoryCache, Fields, Probed};
use roles::directory::provision::{Provisioning, Reply, Request};
use roles::directory::{Account, Directory, DirectoryError, Login, Origin, Route, ScramKeys};
use roles::maintenance::{
    Damaged, DamagedAfter, DamagedPage, Finding, Keep, Maintenance, MaintenanceError, Order, Summary, Task,
    TaskId, TaskState, TaskStatus, Unit,
};
use roles::manager::{Manager, ManagerError, Reloaded, ServerState, ServerStatus};
use roles::ownership::{self, Claim, Owned, Ownership};
use roles::queue::{
    Claimed, Handling, Listed, MailQueue, NewItem, Outcome, QueueCounts, QueueError, Settled,
};
use roles::rollout::{End, Trial};
use roles::store::*;
use roles::submission::{Submission, Submit, SubmitError};
use roles::whole::{Moved, Restore, Restored};
use roles::{Answer, Body, Call};
use std::future::ready;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use testkit::memory_store::MemoryStore;

/// The whole site. Clones share it.
#[derive(Clone, Default)]
pub(crate) struct Double(pub(super) Arc<State>);

#[derive(Default)]
pub(super) struct State {
    /// By name; a message is its UID and its text.
    folders: Mutex<Vec<(String, Messages)>>,
    submitted: Mutex<Vec<Submit>>,
    /// Where what is submitted is put as well.
    into: Mutex<Option<(Arc<MemoryStore>, MailboxId)>>,
    refuse: Mutex<Option<SubmitError>>,
    /// Servers that do not run.
    stopped: Mutex<Vec<String>>,
    reload: Mutex<Option<Result<Reloaded, ManagerError>>>,
    /// What was last tried, and how every trial ends.
    pub(super) tried: Mutex<Option<(Proposal, Trial)>>,
    pub(super) trial_end: Mutex<Option<End>>,
    /// Tasks that were started, and what every one of them comes to.
    started: Mutex<Vec<(Task, Keep)>>,
    whole: Mutex<Vec<String>>,
    ends: Mutex<Option<(Summary, Vec<Finding>)>>,
    damaged: Mutex<Vec<Damaged>>,
}

type Messages = Vec<(u32, Bytes)>;

/// The mailbox of `user@example.org`.
pub(crate) const MAILBOX: MailboxId = MailboxId(432_234);

impl Double {
    /// Messages in a folder: UIDs count from 1.
    pub(crate) fn with_folder(self, name: &str, messages: &[&str]) -> Self {
        let numbered = (1..).zip(messages.iter().map(|text| Bytes::copy_from_slice(text.as_bytes())));
        self.0.folders.lock().unwrap().push((name.to_owned(), numbered.collect()));
        self
    }

    /// What every task finds and comes to.
    pub(crate) fn with_summary(self, summary: Summary, findings: &[Finding]) -> Self {
        *self.0.ends.lock().unwrap() = Some((summary, findings.to_vec()));
        self
    }

    /// Messages that are known to be damaged.
    pub(crate) fn with_damaged(self, damaged: &[Damaged]) -> Self {
        *self.0.damaged.lock().unwrap() = damaged.to_vec();
        self
    }

    /// Tasks that were started.
    pub(crate) fn started(&self) -> Vec<(Task, Keep)> {
        self.0.started.lock().unwrap().clone()
    }

    /// What the reload of the configuration answers.
    pub(crate) fn with_reload(self, answer: Result<Reloaded, ManagerError>) -> Self {
        *self.0.reload.lock().unwrap() = Some(answer);
        self
    }

    /// From now on every submission gets this answer.
    pub(crate) fn refuse(&self, error: SubmitError) {
        *self.0.refuse.lock().unwrap() = Some(error);
    }

    /// From now on what is submitted is put into this mailbox.
    pub(crate) fn submit_into(&self, store: &Arc<MemoryStore>, mailbox: MailboxId) {
        *self.0.into.lock().unwrap() = Some((Arc::clone(store), mailbox));
    }

    /// Stops a server.
    pub(crate) fn stop(&self, server: &str) {
        self.0.stopped.lock().unwrap().push(server.to_owned());
    }

    /// What was submitted.
    pub(crate) fn submitted(&self) -> Vec<Submit> {
        self.0.submitted.lock().unwrap().clone()
    }

    /// UIDs of the messages in a folder.
    pub(crate) fn uids(&self, folder: &str) -> Vec<u32> {
        let folders = self.0.folders.lock().unwrap();
        let found = folders.iter().find(|(name, _)| name == folder);
        found.map(|(_, messages)| messages.iter().map(|(uid, _)| *uid).collect()).unwrap_or_default()
    }

    pub(crate) fn roles(&self) -> Roles {
        Roles {
            directory: Arc::new(self.clone()),
            provisioning: Arc::new(self.clone()),
            cache: Arc::new(self.clone()),
            store: Arc::new(self.clone()),
            queue: Arc::new(self.clone()),
            submission: Arc::new(self.clone()),
            maintenance: Arc::new(self.clone()),
            manager: Arc::new(self.clone()),
            rollout: Arc::new(self.clone()),
            ownership: Arc::new(self.clone()),
            backup: Arc::new(self.clone()),
            hosts: Arc::new(self.clone()),
        }
    }

    fn folder(&self, at: usize) -> Folder {
        let folders = self.0.folders.lock().unwrap();
        let (name, messages) = &folders[at];
        let id = u32::try_from(at).unwrap() + 1;
        let count = u32::try_from(messages.len()).unwrap();
        Folder {
            id: FolderId(id),
            name: name.clone(),
            uid_validity: UidValidity(1),
            uid_next: Uid(count + 1),
            highest_modseq: ModSeq(1),
            messages: count,
            unseen: count,
            deleted: 0,
            bytes: messages.iter().map(|(_, text)| text.len() as u64).sum(),
            subscribed: true,
            special_use: None,
        }
    }

    fn find(&self, mailbox: MailboxId, name: &str) -> Result<usize, StoreError> {
        if mailbox != MAILBOX {
            return Err(StoreError::NoMailbox);
        }
        let folders = self.0.folders.lock().unwrap();
        folders.iter().position(|(n, _)| n == name).ok_or(StoreError::NoFolder)
    }

    fn messages(&self, folder: FolderId, uids: &NumberSet) -> Vec<(u32, Bytes)> {
        let folders = self.0.folders.lock().unwrap();
        let all = &folders[usize::try_from(folder.0).unwrap() - 1].1;
        all.iter().filter(|(uid, _)| uids.contains(*uid)).cloned().collect()
    }
}

/// What a store keeps of a message from its delivery on.
fn outline(text: &[u8]) -> Bytes {
    let mut scanner = Scanner::new(Limits::default());
    scanner.push(text);
    scanner.finish().encode().into()
}

fn answer<'a, T: Send + 'a, E: Send + 'a>(result: Result<T, E>) -> Answer<'a, T, E> {
    Box::pin(ready(result))
}

/// Methods that no command of this crate calls.
macro_rules! unasked {
    ($error:ty: $($name:ident($($arg:ty),*) -> $out:ty;)*) => {
        $(fn $name<'a>(&'a self, _: &'a Call, $(_: $arg),*) -> Answer<'a, $out, $error> {
            answer(Err(<$error>::Unavailable))
        })*
    };
}

impl DirectoryCache for Double {
    unasked! { DirectoryError:
        cache_status() -> CacheStatus;
        cache_build() -> Built;
        cache_compare() -> Compared;
        cache_read(String) -> Fields;
        cache_copy(String) -> u64;
        cache_control(Control) -> ();
        cache_push(String) -> ();
        directory_probe() -> Probed;
    }
}

impl Directory for Double {
    unasked! { DirectoryError:
        authenticate(Login) -> Account;
        scram_keys(String, Origin) -> ScramKeys;
        address_route(Address) -> Route;
        sender_allowed(AccountId, Address) -> bool;
    }

    fn account_find<'a>(&'a self, _: &'a Call, name: String) -> Answer<'a, Account, DirectoryError> {
        if name != "user@example.org" {
            return answer(Err(DirectoryError::Missing(format!("there is no account {name}"))));
        }
        answer(Ok(Account {
            id: AccountId(1),
            login: name,
            mailbox: MAILBOX,
            home: HostName::new("venus"),
            quota: Quota { bytes: 1_000_000, ..Quota::default() },
            max_message: 0,
        }))
    }
}

/// A directory that cannot be changed.
impl Provisioning for Double {
    unasked! { DirectoryError:
        provision(Vec<Request>) -> Vec<Result<Reply, DirectoryError>>;
    }
}

impl MessageStore for Double {
    unasked! { StoreError:
        mailbox_create(MailboxId) -> ();
        mailbox_delete(MailboxId) -> ();
        mailbox_list(Option<MailboxId>, usize) -> Vec<MailboxLine>;
        attribute_get(MailboxId, AttributeName) -> Option<Bytes>;
        attribute_set(MailboxId, AttributeName, Option<Bytes>) -> ();
        attribute_list(MailboxId) -> Vec<AttributeLine>;
        message_expire(Expire) -> Expired;
        mailbox_watch(MailboxId) -> Box<dyn Watch>;
        mailbox_lock(MailboxId) -> ();
        message_deliver(Deliver) -> Delivered;
        message_append(Append) -> Placed;
        message_copy(MailboxId, FolderId, NumberSet, String, Quota) -> Copied;
        message_move(MailboxId, FolderId, NumberSet, String) -> Copied;
        message_expunge(MailboxId, FolderId, NumberSet) -> NumberSet;
        flags_change(FlagsChange) -> FlagsChanged;
        folder_create(MailboxId, String, Option<SpecialUse>) -> FolderId;
        folder_delete(MailboxId, String) -> ();
        folder_rename(MailboxId, String, String) -> ();
        folder_subscribe(MailboxId, String, Subscription) -> ();
        folder_changes(MailboxId, FolderId, ModSeq) -> Changes;
    }

    fn mailbox_unlock(&self, _: &Call, _: MailboxId) {}

    fn mailbox_usage<'a>(&'a self, _: &'a Call, mailbox: MailboxId) -> Answer<'a, Usage, StoreError> {
        let count = self.0.folders.lock().unwrap().len();
        let all: Vec<_> = (0..count).map(|at| self.folder(at)).collect();
        let usage = Usage {
            bytes: all.iter().map(|f| f.bytes).sum(),
            messages: all.iter().map(|f| u64::from(f.messages)).sum(),
        };
        answer(if mailbox == MAILBOX { Ok(usage) } else { Err(StoreError::NoMailbox) })
    }

    fn folder_list<'a>(&'a self, _: &'a Call, _: MailboxId) -> Answer<'a, Folders, StoreError> {
        let count = self.0.folders.lock().unwrap().len();
        answer(Ok(Folders { folders: (0..count).map(|at| self.folder(at)).collect(), ghosts: Vec::new() }))
    }

    fn folder_status<'a>(
        &'a self,
        _: &'a Call,
        mailbox: MailboxId,
        name: String,
    ) -> Answer<'a, Folder, StoreError> {
        answer(self.find(mailbox, &name).map(|at| self.folder(at)))
    }

    fn folder_open<'a>(
        &'a self,
        _: &'a Call,
        mailbox: MailboxId,
        name: String,
    ) -> Answer<'a, Opened, StoreError> {
        answer(self.find(mailbox, &name).map(|at| {
            let mut uids = NumberSet::default();
            self.uids(&name).into_iter().for_each(|uid| uids.insert(uid));
            Opened { folder: self.folder(at), uids, keywords: Vec::new(), first_unseen: None }
        }))
    }

    fn message_read<'a>(&'a self, _: &'a Call, read: Read) -> Answer<'a, Page, StoreError> {
        let mut found = self.messages(read.folder, &read.uids);
        let next = found.get(read.limit).map(|(uid, _)| Uid(*uid));
        found.truncate(read.limit);
        let message = |(uid, text): (u32, Bytes)| Message {
            uid: Uid(uid),
            flags: Flags::default(),
            modseq: ModSeq(1),
            size: text.len() as u64,
            received: Timestamp::from_secs(0),
            outline: (read.need >= Need::Outline).then(|| outline(&text)),
            body: (read.need == Need::Body).then(|| Body::from_bytes(text)),
        };
        answer(Ok(Page { messages: found.into_iter().map(message).collect(), next }))
    }

    fn message_search<'a>(
        &'a self,
        _: &'a Call,
        _: MailboxId,
        folder: FolderId,
        criterion: Criterion,
    ) -> Answer<'a, NumberSet, StoreError> {
        let Criterion::Text(Place::Header(field), needle) = criterion else {
            return answer(Err(StoreError::Unavailable));
        };
        let mut found = NumberSet::default();
        for (uid, text) in self.messages(folder, &NumberSet::all()) {
            let text = String::from_utf8_lossy(&text).to_lowercase();
            let named = format!("{field}:");
            if text.lines().any(|line| line.starts_with(&named) && needle.occurs_in(line)) {
                found.insert(uid);
            }
        }
        answer(Ok(found))
    }

    fn message_delete<'a>(
        &'a self,
        _: &'a Call,
        _: MailboxId,
        folder: FolderId,
        uids: NumberSet,
    ) -> Answer<'a, NumberSet, StoreError> {
        let mut gone = NumberSet::default();
        self.messages(folder, &uids).iter().for_each(|(uid, _)| gone.insert(*uid));
        let mut folders = self.0.folders.lock().unwrap();
        folders[usize::try_from(folder.0).unwrap() - 1].1.retain(|(uid, _)| !uids.contains(*uid));
        answer(Ok(gone))
    }
}

impl MailQueue for Double {
    unasked! { QueueError:
        item_store(NewItem) -> QueueId;
        item_claim(usize, Duration) -> Vec<Claimed>;
        item_settle(QueueId, u64, Vec<(Address, Outcome)>) -> Settled;
        item_list(Option<QueueId>, usize) -> Vec<Listed>;
        item_handle(QueueId, Handling) -> ();
        domain_start(mail::address::Domain) -> u64;
        counts() -> QueueCounts;
        wait_due(Duration) -> ();
    }
}

impl Submission for Double {
    fn submit<'a>(&'a self, call: &'a Call, submit: Submit) -> Answer<'a, TraceId, SubmitError> {
        if let Some(error) = self.0.refuse.lock().unwrap().clone() {
            return answer(Err(error));
        }
        let into = self.0.into.lock().unwrap().clone();
        let body = submit.body.clone();
        self.0.submitted.lock().unwrap().push(submit);
        Box::pin(async move {
            if let Some((store, mailbox)) = into {
                let (quota, flags) = (Quota::default(), Flags::default());
                let to = vec![DeliverTo { mailbox, folder: None, quota, flags }];
                let received = Timestamp::default();
                let deliver = Deliver { to, body, received, repeatable: Repeatable::No };
                store.message_deliver(call, deliver).await.unwrap().remove(0).unwrap();
            }
            Ok(call.trace.clone())
        })
    }
}

impl Double {
    fn status(&self, name: &str, ports: &[u16]) -> ServerStatus {
        let stopped = self.0.stopped.lock().unwrap().iter().any(|s| s == name);
        ServerStatus {
            name: name.to_owned(),
            state: if stopped { ServerState::Stopped } else { ServerState::Running },
            pid: (!stopped).then_some(27_650),
            ports: ports.to_vec(),
            version: "0.1.0".to_owned(),
            since: Duration::from_secs(93_784),
        }
    }

    fn known(name: &str) -> Result<(), ManagerError> {
        match name {
            "mta" | "popserv" => Ok(()),
            _ => Err(ManagerError::NoServer(name.to_owned())),
        }
    }
}

impl Manager for Double {
    fn server_list<'a>(&'a self, _: &'a Call) -> Answer<'a, Vec<ServerStatus>, ManagerError> {
        answer(Ok(vec![self.status("mta", &[25, 587]), self.status("popserv", &[110])]))
    }

    fn server_probe<'a>(&'a self, _: &'a Call, name: String) -> Answer<'a, (), ManagerError> {
        let running = self.status(&name, &[]).state == ServerState::Running;
        answer(Self::known(&name).and(if running { Ok(()) } else { Err(ManagerError::TimedOut) }))
    }

    fn server_start<'a>(&'a self, _: &'a Call, name: String) -> Answer<'a, (), ManagerError> {
        self.0.stopped.lock().unwrap().retain(|stopped| *stopped != name);
        answer(Self::known(&name))
    }

    fn server_stop<'a>(&'a self, _: &'a Call, name: String) -> Answer<'a, (), ManagerError> {
        self.stop(&name);
        answer(Self::known(&name))
    }

    fn server_restart<'a>(&'a self, call: &'a Call, name: String) -> Answer<'a, (), ManagerError> {
        self.server_start(call, name)
    }

    fn configuration_reload<'a>(&'a self, _: &'a Call) -> Answer<'a, Reloaded, ManagerError> {
        answer(self.0.reload.lock().unwrap().clone().unwrap_or(Ok(Reloaded::default())))
    }
}

/// Tasks that come to their end at once; a finding an answer.
impl Maintenance for Double {
    fn task_start<'a>(&'a self, _: &'a Call, task: Task, keep: Keep) -> Answer<'a, TaskId, MaintenanceError> {
        let mut started = self.0.started.lock().unwrap();
        started.push((task, keep));
        answer(Ok(TaskId(started.len() as u64)))
    }

    fn task_list<'a>(&'a self, _: &'a Call) -> Answer<'a, Vec<TaskStatus>, MaintenanceError> {
        let count = self.0.started.lock().unwrap().len() as u64;
        answer((1..=count).map(|id| self.task(TaskId(id), u64::MAX)).collect())
    }

    fn task_status<'a>(
        &'a self,
        _: &'a Call,
        id: TaskId,
        from: u64,
        _: Duration,
    ) -> Answer<'a, TaskStatus, MaintenanceError> {
        answer(self.task(id, from))
    }

    fn task_order<'a>(&'a self, _: &'a Call, id: TaskId, _: Order) -> Answer<'a, (), MaintenanceError> {
        answer(self.task(id, 0).map(drop))
    }

    fn damaged_list<'a>(
        &'a self,
        _: &'a Call,
        _: Option<MailboxId>,
        after: Option<DamagedAfter>,
    ) -> Answer<'a, DamagedPage, MaintenanceError> {
        let damaged = self.0.damaged.lock().unwrap();
        let at = after.map_or(0, |after| after.shard as usize);
        let next = (at + 1 < damaged.len()).then(|| DamagedAfter { shard: at as u32 + 1, last: None });
        answer(Ok(DamagedPage { messages: damaged.get(at).cloned().into_iter().collect(), next }))
    }

    fn mailbox_move<'a>(
        &'a self,
        _: &'a Call,
        mailbox: MailboxId,
        shard: u32,
    ) -> Answer<'a, Moved, MaintenanceError> {
        answer(self.whole(format!("move {mailbox} to {shard}")))
    }

    fn mailbox_copy<'a>(
        &'a self,
        _: &'a Call,
        from: MailboxId,
        to: MailboxId,
    ) -> Answer<'a, Moved, MaintenanceError> {
        answer(self.whole(format!("copy {from} to {to}")))
    }

    fn mailbox_restore<'a>(
        &'a self,
        _: &'a Call,
        restore: Restore,
    ) -> Answer<'a, Restored, MaintenanceError> {
        let done = Restored { folders: 2, messages: 5, bytes: 50, unchanged: 1 };
        answer(self.whole(format!("restore {restore:?}")).map(|_| done))
    }
}

impl Double {
    /// Notes a request about a whole mailbox; refuses those about shard 9.
    fn whole(&self, asked: String) -> Result<Moved, MaintenanceError> {
        let refused = asked.ends_with("to 9");
        self.0.whole.lock().unwrap().push(asked);
        let pause = Duration::from_millis(12);
        let moved = Moved { from: 0, to: 1, bodies: 3, bytes: 300, pause };
        if refused { Err(MaintenanceError::Refused("there are shards 0 to 1".into())) } else { Ok(moved) }
    }

    /// What was asked about whole mailboxes.
    pub(crate) fn asked_of_whole(&self) -> Vec<String> {
        self.0.whole.lock().unwrap().clone()
    }
}

impl Double {
    fn task(&self, id: TaskId, from: u64) -> Result<TaskStatus, MaintenanceError> {
        let started = self.0.started.lock().unwrap();
        let at = usize::try_from(id.0).unwrap().checked_sub(1);
        let (task, _) = at.and_then(|at| started.get(at)).cloned().ok_or(MaintenanceError::NoTask)?;
        let (summary, findings) = self.0.ends.lock().unwrap().clone().ok_or(MaintenanceError::Unavailable)?;
        Ok(TaskStatus {
            id,
            task,
            state: TaskState::Done,
            done: 1,
            total: 1,
            unit: Unit::Bytes,
            found: findings.len() as u64,
            findings: findings.into_iter().skip(usize::try_from(from).unwrap()).take(1).collect(),
            summary: Some(summary),
        })
    }
}

/// Says what it was asked for in the numbers of its answers.
impl Backup for Double {
    fn backup_make<'a>(&'a self, _: &'a Call, make: Make) -> Answer<'a, Made, BackupError> {
        let progress = Progress { done: make.rate, total: make.rate, written: make.keep as u64 };
        let (generation, taken) = (4, Timestamp::from_secs(1_800_000_000));
        let left_out = vec!["config/x: gone".to_owned()];
        Box::pin(ready(Ok(Made { generation, taken, progress, removed: vec![1], left_out })))
    }

    fn backup_join<'a>(&'a self, _: &'a Call, join: Join) -> Answer<'a, Progress, BackupError> {
        Box::pin(ready(Ok(Progress { done: join.rate, total: join.rate, written: 0 })))
    }

    fn backup_progress<'a>(&'a self, _: &'a Call) -> Answer<'a, Option<Progress>, BackupError> {
        Box::pin(ready(Ok(None)))
    }

    fn mailbox_recover<'a>(&'a self, _: &'a Call, recover: Recover) -> Answer<'a, Recovered, BackupError> {
        let generation = u32::try_from(recover.from.0.unsigned_abs()).unwrap();
        Box::pin(ready(Ok(Recovered { generation, folders: 2, messages: 5, bytes: 50, damaged: 1 })))
    }
}

/// A directory that does not answer: commands that need one have a real one.
impl Ownership for Double {
    fn store_list<'a>(&'a self, _: &'a Call) -> Answer<'a, Vec<Owned>, DirectoryError> {
        Box::pin(ready(Err(DirectoryError::Unavailable)))
    }

    fn store_claim<'a>(&'a self, _: &'a Call, _: Claim) -> Answer<'a, Owned, DirectoryError> {
        Box::pin(ready(Err(DirectoryError::Unavailable)))
    }

    fn store_release<'a>(&'a self, _: &'a Call, _: Claim) -> Answer<'a, Owned, DirectoryError> {
        Box::pin(ready(Err(DirectoryError::Unavailable)))
    }

    fn store_order<'a>(
        &'a self,
        _: &'a Call,
        _: HostName,
        _: ownership::Order,
    ) -> Answer<'a, Owned, DirectoryError> {
        Box::pin(ready(Err(DirectoryError::Unavailable)))
    }
}

/// One host, which has everything.
impl Hosts for Double {
    fn names(&self) -> Vec<HostName> {
        vec![HostName::new("mars")]
    }

    fn is_here(&self, _: &HostName) -> bool {
        true
    }

    fn has_open(&self, _: &HostName) -> bool {
        true
    }

    fn store(&self, _: &HostName) -> Arc<dyn MessageStore> {
        Arc::new(self.clone())
    }

    fn maintenance(&self, _: &HostName) -> Arc<dyn Maintenance> {
        Arc::new(self.clone())
    }

    fn manager(&self, _: &HostName) -> Option<Arc<dyn Manager>> {
        None
    }
}
