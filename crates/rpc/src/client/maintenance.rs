//! The role Maintenance: of one host. A task is followed by asking again, so a slow reader holds nothing up.

use super::{GRACE, Remote, done, garbled};
use crate::convert::manager::millis;
use crate::convert::proto as p;
use crate::pool::Asks as _;
use crate::pool::Safe::{Once, Repeat, Wait};
use mail::id::MailboxId;
use roles::maintenance::{
    DamagedAfter, DamagedPage, Keep, Maintenance, MaintenanceError, Order, Task, TaskId, TaskStatus,
};
use roles::whole::{Moved, Restore, Restored};
use roles::{Answer, Call};
use std::time::Duration;

impl Maintenance for Remote {
    fn task_start<'a>(
        &'a self,
        call: &'a Call,
        task: Task,
        keep: Keep,
    ) -> Answer<'a, TaskId, MaintenanceError> {
        Box::pin(async move {
            let path = "/intermail.v1.Maintenance/TaskStart";
            let message = p::TaskStartRequest { task: Some(task.into()), to_the_end: keep == Keep::ToTheEnd };
            let started: p::TaskName = self.peer.ask(call, Repeat, path, message).await?;
            Ok(TaskId(started.id))
        })
    }

    fn task_list<'a>(&'a self, call: &'a Call) -> Answer<'a, Vec<TaskStatus>, MaintenanceError> {
        Box::pin(async move {
            let path = "/intermail.v1.Maintenance/TaskList";
            let list: p::TaskStatuses = self.peer.ask(call, Repeat, path, p::Empty {}).await?;
            list.tasks.into_iter().map(|task| task.try_into().map_err(garbled)).collect()
        })
    }

    fn task_status<'a>(
        &'a self,
        call: &'a Call,
        id: TaskId,
        from: u64,
        wait: Duration,
    ) -> Answer<'a, TaskStatus, MaintenanceError> {
        Box::pin(async move {
            let path = "/intermail.v1.Maintenance/TaskStatus";
            let call = Call { deadline: call.deadline.max(wait + GRACE), ..call.clone() };
            let message = p::TaskStatusRequest { id: id.0, from, wait_ms: millis(wait) };
            let status: p::TaskState = self.peer.ask(&call, Wait, path, message).await?;
            status.try_into().map_err(garbled)
        })
    }

    fn task_order<'a>(
        &'a self,
        call: &'a Call,
        id: TaskId,
        order: Order,
    ) -> Answer<'a, (), MaintenanceError> {
        Box::pin(async move {
            let path = "/intermail.v1.Maintenance/TaskOrder";
            let message = p::TaskOrderRequest { id: id.0, order: p::TaskCommand::from(order).into() };
            done(self.peer.ask(call, Repeat, path, message).await)
        })
    }

    fn damaged_list<'a>(
        &'a self,
        call: &'a Call,
        mailbox: Option<MailboxId>,
        after: Option<DamagedAfter>,
    ) -> Answer<'a, DamagedPage, MaintenanceError> {
        Box::pin(async move {
            let path = "/intermail.v1.Maintenance/DamagedList";
            let message = p::DamagedListRequest {
                mailbox: mailbox.map(|mailbox| mailbox.0),
                after: after.map(Into::into),
            };
            let page: p::DamagedPage = self.peer.ask(call, Repeat, path, message).await?;
            page.try_into().map_err(garbled)
        })
    }

    fn mailbox_move<'a>(
        &'a self,
        call: &'a Call,
        mailbox: MailboxId,
        shard: u32,
    ) -> Answer<'a, Moved, MaintenanceError> {
        Box::pin(async move {
            let path = "/intermail.v1.Maintenance/MailboxMove";
            let message = p::MailboxMoveRequest { mailbox: mailbox.0, shard };
            let moved: p::MailboxMoved = self.peer.ask(call, Once, path, message).await?;
            Ok(moved.into())
        })
    }

    fn mailbox_copy<'a>(
        &'a self,
        call: &'a Call,
        from: MailboxId,
        to: MailboxId,
    ) -> Answer<'a, Moved, MaintenanceError> {
        Box::pin(async move {
            let path = "/intermail.v1.Maintenance/MailboxCopy";
            let message = p::MailboxCopyRequest { from: from.0, to: to.0 };
            let copied: p::MailboxMoved = self.peer.ask(call, Once, path, message).await?;
            Ok(copied.into())
        })
    }

    fn mailbox_restore<'a>(
        &'a self,
        call: &'a Call,
        restore: Restore,
    ) -> Answer<'a, Restored, MaintenanceError> {
        Box::pin(async move {
            let path = "/intermail.v1.Maintenance/MailboxRestore";
            let message: p::MailboxRestoreRequest = restore.into();
            let restored: p::MailboxRestored = self.peer.ask(call, Once, path, message).await?;
            Ok(restored.into())
        })
    }
}
