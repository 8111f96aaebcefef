//! The role Maintenance.

use super::{Asked, Inner, Response, bad, failed, unknown};
use crate::convert::{need, proto as p};
use mail::id::MailboxId;
use roles::Call;
use roles::maintenance::{Keep, Maintenance, MaintenanceError, TaskId};
use std::time::Duration;

pub(super) async fn serve(
    inner: &Inner,
    maintenance: &dyn Maintenance,
    method: &str,
    request: Asked,
) -> Response {
    match method {
        "TaskStart" | "TaskList" | "TaskStatus" | "TaskOrder" => {
            tasks(inner, maintenance, method, request).await
        }
        "DamagedList" => {
            let ask = |call: Call, m: p::DamagedListRequest| async move {
                let (mailbox, after) = (m.mailbox.map(MailboxId), m.after.map(Into::into));
                let page = maintenance.damaged_list(&call, mailbox, after).await;
                page.map(p::DamagedPage::from).map_err(failed)
            };
            inner.unary(request, ask).await
        }
        "MailboxMove" => {
            let ask = |call: Call, m: p::MailboxMoveRequest| async move {
                let moved = maintenance.mailbox_move(&call, MailboxId(m.mailbox), m.shard).await;
                moved.map(p::MailboxMoved::from).map_err(failed)
            };
            inner.unary(request, ask).await
        }
        "MailboxCopy" => {
            let ask = |call: Call, m: p::MailboxCopyRequest| async move {
                let copied = maintenance.mailbox_copy(&call, MailboxId(m.from), MailboxId(m.to)).await;
                copied.map(p::MailboxMoved::from).map_err(failed)
            };
            inner.unary(request, ask).await
        }
        "MailboxRestore" => {
            let ask = |call: Call, m: p::MailboxRestoreRequest| async move {
                let restore = m.try_into().map_err(bad)?;
                let restored = maintenance.mailbox_restore(&call, restore).await;
                restored.map(p::MailboxRestored::from).map_err(failed)
            };
            inner.unary(request, ask).await
        }
        _ => unknown(),
    }
}

async fn tasks(inner: &Inner, maintenance: &dyn Maintenance, method: &str, request: Asked) -> Response {
    match method {
        "TaskStart" => {
            let ask = |call: Call, m: p::TaskStartRequest| async move {
                let task = need(m.task, "task").and_then(TryInto::try_into).map_err(bad)?;
                let keep = if m.to_the_end { Keep::ToTheEnd } else { Keep::WhileFollowed };
                let started = maintenance.task_start(&call, task, keep).await;
                started.map(|id| p::TaskName { id: id.0 }).map_err(failed)
            };
            inner.unary(request, ask).await
        }
        "TaskList" => {
            let ask = |call: Call, _: p::Empty| async move {
                let tasks = maintenance.task_list(&call).await.map_err(failed)?;
                Ok(p::TaskStatuses { tasks: tasks.into_iter().map(Into::into).collect() })
            };
            inner.unary(request, ask).await
        }
        "TaskStatus" => {
            let ask = |call: Call, m: p::TaskStatusRequest| async move {
                let wait = Duration::from_millis(m.wait_ms).min(call.deadline);
                let mut stopping = inner.env.tasks.stopping();
                let status = tokio::select! {
                    status = maintenance.task_status(&call, TaskId(m.id), m.from, wait) => status,
                    () = stopping.wait() => Err(MaintenanceError::Unavailable),
                };
                status.map(p::TaskState::from).map_err(failed)
            };
            inner.unary(request, ask).await
        }
        _ => {
            let ask = |call: Call, m: p::TaskOrderRequest| async move {
                let order = m.order().try_into().map_err(bad)?;
                let done = maintenance.task_order(&call, TaskId(m.id), order).await;
                done.map(|()| p::Empty {}).map_err(failed)
            };
            inner.unary(request, ask).await
        }
    }
}
