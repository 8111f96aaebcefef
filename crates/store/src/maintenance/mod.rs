//! Long work that operators start: implements [`roles::maintenance::Maintenance`].
//!
//! One file a kind of work; a new kind is a variant of `roles::maintenance::Task`, a line in [`perform`] and a file.
//! Each work reports through its [`Job`] and asks the job's pace between two steps, where it is paused and ended.

mod collect;
mod damaged;
mod files;
mod job;
mod orphans;
mod scan;
mod verify;
pub(crate) mod walk;

pub(crate) use job::{Job, Jobs};

use crate::error::Fail;
use crate::open::{Inner, Store};
use mail::id::MailboxId;
use roles::maintenance::{
    DamagedAfter, DamagedPage, Keep, Maintenance, MaintenanceError, Order, Summary, Task, TaskId, TaskStatus,
};
use roles::store::StoreError;
use roles::whole::{Moved, Restore, Restored};
use roles::{Answer, Call};
use std::sync::Arc;
use std::time::Duration;
use storage::mailboxes::references;
use storage::shard::{Audit, Shard, ShardError};

type Of<'a, T> = Answer<'a, T, MaintenanceError>;

impl Maintenance for Store {
    fn task_start<'a>(&'a self, call: &'a Call, task: Task, keep: Keep) -> Of<'a, TaskId> {
        Box::pin(std::future::ready(self.start_task(call, task, keep)))
    }

    fn task_list<'a>(&'a self, _: &'a Call) -> Of<'a, Vec<TaskStatus>> {
        Box::pin(std::future::ready(Ok(self.inner().jobs.list())))
    }

    fn task_status<'a>(&'a self, _: &'a Call, id: TaskId, from: u64, wait: Duration) -> Of<'a, TaskStatus> {
        Box::pin(async move {
            let job = self.inner().jobs.find(id)?;
            Ok(job.follow(from, wait).await)
        })
    }

    fn task_order<'a>(&'a self, _: &'a Call, id: TaskId, order: Order) -> Of<'a, ()> {
        let job = self.inner().jobs.find(id);
        Box::pin(std::future::ready(job.map(|job| job.order(order))))
    }

    fn damaged_list<'a>(
        &'a self,
        _: &'a Call,
        mailbox: Option<MailboxId>,
        after: Option<DamagedAfter>,
    ) -> Of<'a, DamagedPage> {
        Box::pin(async move {
            let page = self.inner().damaged_list(mailbox, after).await;
            page.map_err(|error| tell(Fail::from(error), self.inner()))
        })
    }

    fn mailbox_move<'a>(&'a self, _: &'a Call, mailbox: MailboxId, shard: u32) -> Of<'a, Moved> {
        Box::pin(async move { self.move_mailbox(mailbox, shard).await.map_err(said) })
    }

    fn mailbox_copy<'a>(&'a self, _: &'a Call, from: MailboxId, to: MailboxId) -> Of<'a, Moved> {
        Box::pin(async move { self.copy_mailbox(from, to).await.map_err(said) })
    }

    fn mailbox_restore<'a>(&'a self, _: &'a Call, restore: Restore) -> Of<'a, Restored> {
        Box::pin(async move { self.restore(restore).await.map_err(said) })
    }
}

/// What a request of one mailbox failed of, in the words of this role.
fn said(error: StoreError) -> MaintenanceError {
    match error {
        StoreError::Busy => MaintenanceError::Busy,
        StoreError::Unavailable | StoreError::Elsewhere => MaintenanceError::Unavailable,
        StoreError::Broken(why) => MaintenanceError::Broken(why),
        other => MaintenanceError::Refused(other.to_string()),
    }
}

impl Store {
    fn start_task(&self, call: &Call, task: Task, keep: Keep) -> Result<TaskId, MaintenanceError> {
        verify::check(&task, self.inner().shards.len())?;
        let (job, is_new) = self.inner().jobs.add(call.request, task, keep, &self.inner().env)?;
        let id = job.id;
        if is_new {
            let (store, mut stopping) = (self.clone(), self.inner().env.tasks.stopping());
            self.inner().env.tasks.spawn(async move {
                let done = tokio::select! {
                    () = stopping.wait() => Err(Fail::Rule(StoreError::Unavailable)),
                    () = job.abandoned() => Err(Fail::Rule(StoreError::Unavailable)),
                    done = perform(&store, &job) => done,
                };
                job.end(done.map_err(|fail| tell(fail, store.inner())));
            });
        }
        Ok(id)
    }

    /// Compares, in every shard, what is stored with what is referred to.
    ///
    /// # Errors
    /// Where a shard cannot be read.
    pub async fn audit(&self) -> Result<Vec<Audit>, ShardError> {
        let mut audits = Vec::with_capacity(self.inner().shards.len());
        for shard in &self.inner().shards {
            audits.push(audit(shard).await?);
        }
        Ok(audits)
    }
}

/// Does what the task asks for.
async fn perform(store: &Store, job: &Arc<Job>) -> Result<Summary, Fail> {
    match &job.task {
        Task::Collect(collect) => collect::perform(store.inner(), job, *collect).await,
        Task::Verify(verify) => verify::perform(store, job, *verify).await,
        Task::Scan => scan::perform(store.inner(), job).await,
        Task::RemoveOrphans(remove) => orphans::perform(store.inner(), job, *remove).await,
        Task::MoveFiles(files) => files::perform(store.inner(), job, files).await,
    }
}

async fn audit(shard: &Shard) -> Result<Audit, ShardError> {
    shard.audit(|view| Ok(references(view)?.0)).await
}

/// What a failure of a shard means for who started the work.
fn tell(fail: Fail, store: &Inner) -> MaintenanceError {
    match fail.tell(&store.env) {
        StoreError::Refused(why) => MaintenanceError::Refused(why),
        StoreError::Broken(why) => MaintenanceError::Broken(why),
        StoreError::NoSpace => MaintenanceError::Refused("the disk is full".into()),
        _ => MaintenanceError::Unavailable,
    }
}
