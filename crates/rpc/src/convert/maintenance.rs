//! Long work on a store: tasks, what they find, whole mailboxes. What tasks come to is in `summary`.

mod summary;

use super::manager::millis;
use super::proto as p;
use super::{Bad, each, need};
use mail::id::{MailboxId, Uid};
use mail::time::Timestamp;
use p::maintenance_task::What;
use roles::maintenance as r;
use roles::whole;
use std::time::Duration;

fn dry(mode: r::Mode) -> bool {
    mode == r::Mode::DryRun
}

fn mode(dry: bool) -> r::Mode {
    if dry { r::Mode::DryRun } else { r::Mode::Apply }
}

impl From<r::Task> for p::MaintenanceTask {
    fn from(task: r::Task) -> Self {
        let what = match task {
            r::Task::Collect(t) => What::Collect(p::CollectTask { dry_run: dry(t.mode), rate: t.rate }),
            r::Task::Verify(t) => {
                let (shard, mailbox) = match t.scope {
                    r::Scope::Store => (None, None),
                    r::Scope::Shard(shard) => (Some(shard), None),
                    r::Scope::Mailbox(mailbox) => (None, Some(mailbox.0)),
                };
                let repair = t.repair == r::Mode::Apply;
                What::Verify(p::VerifyTask { shard, mailbox, jobs: t.jobs, repair, rate: t.rate })
            }
            r::Task::Scan => What::Scan(p::Empty {}),
            r::Task::RemoveOrphans(t) => {
                What::RemoveOrphans(p::RemoveOrphansTask { dry_run: dry(t.mode), age_ms: millis(t.age) })
            }
            r::Task::MoveFiles(t) => What::MoveFiles(p::MoveFilesTask {
                dry_run: dry(t.mode),
                from: t.from,
                to: t.to,
                at_most: t.at_most,
                rate: t.rate,
            }),
        };
        Self { what: Some(what) }
    }
}

impl TryFrom<p::MaintenanceTask> for r::Task {
    type Error = Bad;

    fn try_from(task: p::MaintenanceTask) -> Result<Self, Bad> {
        Ok(match need(task.what, "task")? {
            What::Collect(t) => Self::Collect(r::Collect { mode: mode(t.dry_run), rate: t.rate }),
            What::Verify(t) => {
                let scope = match (t.shard, t.mailbox) {
                    (None, None) => r::Scope::Store,
                    (Some(shard), None) => r::Scope::Shard(shard),
                    (None, Some(mailbox)) => r::Scope::Mailbox(MailboxId(mailbox)),
                    (Some(_), Some(_)) => return Err(Bad("scope")),
                };
                Self::Verify(r::Verify { scope, jobs: t.jobs, repair: mode(!t.repair), rate: t.rate })
            }
            What::Scan(_) => Self::Scan,
            What::RemoveOrphans(t) => Self::RemoveOrphans(r::RemoveOrphans {
                mode: mode(t.dry_run),
                age: Duration::from_millis(t.age_ms),
            }),
            What::MoveFiles(t) => Self::MoveFiles(r::MoveFiles {
                mode: mode(t.dry_run),
                from: t.from,
                to: t.to,
                at_most: t.at_most,
                rate: t.rate,
            }),
        })
    }
}

const KINDS: [r::FindingKind; 11] = [
    r::FindingKind::Widow,
    r::FindingKind::Missing,
    r::FindingKind::Truncated,
    r::FindingKind::Altered,
    r::FindingKind::Unreadable,
    r::FindingKind::Mismatched,
    r::FindingKind::Orphan,
    r::FindingKind::Counters,
    r::FindingKind::References,
    r::FindingKind::Segment,
    r::FindingKind::Row,
];

fn kind(word: &str) -> Result<r::FindingKind, Bad> {
    KINDS.into_iter().find(|kind| kind.word() == word).ok_or(Bad("kind"))
}

impl From<r::Finding> for p::TaskFinding {
    fn from(finding: r::Finding) -> Self {
        Self {
            kind: finding.kind.word().to_owned(),
            shard: finding.shard,
            mailbox: finding.mailbox.map(|mailbox| mailbox.0),
            folder: finding.folder,
            uid: finding.uid.map(|uid| uid.0),
            message_id: finding.message_id,
            bytes: finding.bytes,
            detail: finding.detail,
            mended: finding.mended,
        }
    }
}

impl TryFrom<p::TaskFinding> for r::Finding {
    type Error = Bad;

    fn try_from(finding: p::TaskFinding) -> Result<Self, Bad> {
        Ok(Self {
            kind: kind(&finding.kind)?,
            shard: finding.shard,
            mailbox: finding.mailbox.map(MailboxId),
            folder: finding.folder,
            uid: finding.uid.map(Uid),
            message_id: finding.message_id,
            bytes: finding.bytes,
            detail: finding.detail,
            mended: finding.mended,
        })
    }
}

impl From<r::TaskStatus> for p::TaskState {
    fn from(status: r::TaskStatus) -> Self {
        let (doing, failure) = match status.state {
            r::TaskState::Running => (p::TaskDoing::TaskRunning, String::new()),
            r::TaskState::Paused => (p::TaskDoing::TaskPaused, String::new()),
            r::TaskState::Done => (p::TaskDoing::TaskDone, String::new()),
            r::TaskState::Stopped => (p::TaskDoing::TaskStopped, String::new()),
            r::TaskState::Failed(why) => (p::TaskDoing::TaskFailed, why),
        };
        Self {
            id: status.id.0,
            task: Some(status.task.into()),
            doing: doing.into(),
            failure,
            done: status.done,
            total: status.total,
            segments: status.unit == r::Unit::Segments,
            found: status.found,
            findings: status.findings.into_iter().map(Into::into).collect(),
            summary: status.summary.map(Into::into),
        }
    }
}

impl TryFrom<p::TaskState> for r::TaskStatus {
    type Error = Bad;

    fn try_from(status: p::TaskState) -> Result<Self, Bad> {
        let state = match status.doing() {
            p::TaskDoing::TaskRunning => r::TaskState::Running,
            p::TaskDoing::TaskPaused => r::TaskState::Paused,
            p::TaskDoing::TaskDone => r::TaskState::Done,
            p::TaskDoing::TaskStopped => r::TaskState::Stopped,
            p::TaskDoing::TaskFailed => r::TaskState::Failed(status.failure),
        };
        Ok(Self {
            id: r::TaskId(status.id),
            task: need(status.task, "task")?.try_into()?,
            state,
            done: status.done,
            total: status.total,
            unit: if status.segments { r::Unit::Segments } else { r::Unit::Bytes },
            found: status.found,
            findings: each(status.findings)?,
            summary: status.summary.map(TryInto::try_into).transpose()?,
        })
    }
}

impl From<r::Order> for p::TaskCommand {
    fn from(order: r::Order) -> Self {
        match order {
            r::Order::Pause => Self::CommandPause,
            r::Order::Resume => Self::CommandResume,
            r::Order::Stop => Self::CommandStop,
        }
    }
}

impl TryFrom<p::TaskCommand> for r::Order {
    type Error = Bad;

    fn try_from(order: p::TaskCommand) -> Result<Self, Bad> {
        match order {
            p::TaskCommand::CommandNothing => Err(Bad("order")),
            p::TaskCommand::CommandPause => Ok(Self::Pause),
            p::TaskCommand::CommandResume => Ok(Self::Resume),
            p::TaskCommand::CommandStop => Ok(Self::Stop),
        }
    }
}

impl From<r::DamagedAfter> for p::DamagedAfter {
    fn from(after: r::DamagedAfter) -> Self {
        let mark = |(mailbox, volume, uid): (MailboxId, u32, Uid)| p::DamagedMark {
            mailbox: mailbox.0,
            volume,
            uid: uid.0,
        };
        Self { shard: after.shard, last: after.last.map(mark) }
    }
}

impl From<p::DamagedAfter> for r::DamagedAfter {
    fn from(after: p::DamagedAfter) -> Self {
        let mark = |mark: p::DamagedMark| (MailboxId(mark.mailbox), mark.volume, Uid(mark.uid));
        Self { shard: after.shard, last: after.last.map(mark) }
    }
}

impl From<r::DamagedPage> for p::DamagedPage {
    fn from(page: r::DamagedPage) -> Self {
        let one = |damaged: r::Damaged| p::DamagedMessage {
            finding: Some(damaged.finding.into()),
            found: damaged.found.as_micros(),
        };
        Self { messages: page.messages.into_iter().map(one).collect(), next: page.next.map(Into::into) }
    }
}

impl TryFrom<p::DamagedPage> for r::DamagedPage {
    type Error = Bad;

    fn try_from(page: p::DamagedPage) -> Result<Self, Bad> {
        let one = |damaged: p::DamagedMessage| {
            Ok(r::Damaged {
                finding: need(damaged.finding, "finding")?.try_into()?,
                found: Timestamp::from_micros(damaged.found),
            })
        };
        let messages = page.messages.into_iter().map(one).collect::<Result<_, Bad>>()?;
        Ok(Self { messages, next: page.next.map(Into::into) })
    }
}

impl From<whole::Moved> for p::MailboxMoved {
    fn from(moved: whole::Moved) -> Self {
        Self {
            from: moved.from,
            to: moved.to,
            bodies: moved.bodies,
            bytes: moved.bytes,
            pause_ms: millis(moved.pause),
        }
    }
}

impl From<p::MailboxMoved> for whole::Moved {
    fn from(moved: p::MailboxMoved) -> Self {
        Self {
            from: moved.from,
            to: moved.to,
            bodies: moved.bodies,
            bytes: moved.bytes,
            pause: Duration::from_millis(moved.pause_ms),
        }
    }
}

impl From<whole::Restore> for p::MailboxRestoreRequest {
    fn from(restore: whole::Restore) -> Self {
        use p::mailbox_restore_request::Where;
        let into = match restore.into {
            whole::RestoreInto::Place => Where::Place(p::Empty {}),
            whole::RestoreInto::Below(folder) => Where::Below(folder),
            whole::RestoreInto::Nowhere => Where::Nowhere(p::Empty {}),
        };
        Self { mailbox: restore.mailbox.0, at: restore.at.as_micros(), r#where: Some(into) }
    }
}

impl TryFrom<p::MailboxRestoreRequest> for whole::Restore {
    type Error = Bad;

    fn try_from(restore: p::MailboxRestoreRequest) -> Result<Self, Bad> {
        use p::mailbox_restore_request::Where;
        let into = match need(restore.r#where, "where")? {
            Where::Place(_) => whole::RestoreInto::Place,
            Where::Below(folder) => whole::RestoreInto::Below(folder),
            Where::Nowhere(_) => whole::RestoreInto::Nowhere,
        };
        Ok(Self { mailbox: MailboxId(restore.mailbox), at: Timestamp::from_micros(restore.at), into })
    }
}

impl From<whole::Restored> for p::MailboxRestored {
    fn from(restored: whole::Restored) -> Self {
        Self {
            folders: restored.folders,
            messages: restored.messages,
            bytes: restored.bytes,
            unchanged: restored.unchanged,
        }
    }
}

impl From<p::MailboxRestored> for whole::Restored {
    fn from(restored: p::MailboxRestored) -> Self {
        Self {
            folders: restored.folders,
            messages: restored.messages,
            bytes: restored.bytes,
            unchanged: restored.unchanged,
        }
    }
}
