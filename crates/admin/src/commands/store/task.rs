//! What the commands for long work have in common: start it, follow it with a bar of progress, pause it, stop it.

use crate::command::{Exit, Opt, Outcome};
use crate::context::{Context, Failure};
use crate::output::{Cell, Column, Format, Layout, Listing};
use roles::maintenance::{Finding, Keep, Order, Task, TaskId, TaskState, TaskStatus, Unit};
use serde_json::{Value, json};
use std::time::Duration;

/// How long one question waits.
const WAIT: Duration = Duration::from_millis(500);
/// Characters of the bar.
const BAR: u64 = 30;

/// Options that every one of these commands has.
pub(super) const DETACH: Opt =
    Opt { name: "detach", value: None, help: "Start it, print its number, and do not wait for its end" };
pub(super) const STATUS: Opt =
    Opt { name: "status", value: None, help: "Only list what has been started, and how far it is" };
pub(super) const PAUSE: Opt =
    Opt { name: "pause", value: Some("NUMBER"), help: "Only let the work of this number rest" };
pub(super) const RESUME: Opt =
    Opt { name: "resume", value: Some("NUMBER"), help: "Only let the work of this number go on" };
pub(super) const STOP: Opt =
    Opt { name: "stop", value: Some("NUMBER"), help: "Only end the work of this number; what is done stays" };
/// How fast.
pub(super) const RATE: Opt = Opt {
    name: "rate",
    value: Some("KB"),
    help: "Move at most this many KB a second; 0, the default, is no limit",
};

const COLUMNS: &[Column] = &[
    Column { title: "Task", key: "task" },
    Column { title: "What", key: "what" },
    Column { title: "State", key: "state" },
    Column { title: "Done %", key: "done_percent" },
    Column { title: "Found", key: "found" },
];

/// Does what `-status`, `-pause`, `-resume` and `-stop` ask for; `None` where none of them is there.
pub(super) async fn control(context: &mut Context) -> Result<Option<Exit>, Failure> {
    for (name, order) in [("pause", Order::Pause), ("resume", Order::Resume), ("stop", Order::Stop)] {
        if let Some(number) = number(context, name)? {
            let roles = context.roles()?;
            let told = roles.maintenance.task_order(&context.call(), TaskId(number), order).await;
            told.map_err(Failure::because)?;
            return Ok(Some(Exit::OK));
        }
    }
    if !context.arguments.has("status") {
        return Ok(None);
    }
    let tasks = context.roles()?.maintenance.task_list(&context.call()).await.map_err(Failure::because)?;
    let mut listing = Listing::new(COLUMNS, Layout::Table);
    for status in tasks {
        let cells: [Cell; 5] = [
            status.id.0.into(),
            what(&status.task).into(),
            state(&status.state).into(),
            percent(&status).into(),
            status.found.into(),
        ];
        listing.row(&mut context.console, cells).await?;
    }
    listing.end(&mut context.console).await?;
    Ok(Some(Exit::OK))
}

/// The number behind an option.
pub(super) fn number(context: &Context, name: &str) -> Result<Option<u64>, Failure> {
    let Some(text) = context.arguments.value(name) else { return Ok(None) };
    text.parse().map(Some).map_err(|_| Failure::Usage(format!("-{name} {text} is no number")))
}

/// What a task came to.
pub(super) struct Ended {
    pub(super) status: TaskStatus,
    pub(super) findings: Vec<Finding>,
}

/// Runs a task to its end and prints what it finds as it comes, unless JSON is asked for. `Err` holds the exit code
/// where the task was only started.
pub(super) async fn run(context: &mut Context, task: Task) -> Result<Result<Ended, Exit>, Failure> {
    let detached = context.arguments.has("detach");
    let keep = if detached { Keep::ToTheEnd } else { Keep::WhileFollowed };
    let started = context.roles()?.maintenance.task_start(&context.call(), task, keep).await;
    let id = started.map_err(Failure::because)?;
    if detached {
        match context.console.format() {
            Format::Json => context.console.json(&json!({ "task": id.0 })).await?,
            Format::Text => context.console.line(format!("Started as task {}.", id.0)).await?,
        }
        return Ok(Err(Exit::OK));
    }
    Ok(Ok(follow(context, id, Say::Findings).await?))
}

/// Runs a task to its end and prints nothing but the bar.
pub(super) async fn quietly(context: &mut Context, task: Task) -> Result<Ended, Failure> {
    let started = context.roles()?.maintenance.task_start(&context.call(), task, Keep::WhileFollowed).await;
    follow(context, started.map_err(Failure::because)?, Say::Nothing).await
}

/// Whether findings are printed as they come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Say {
    Findings,
    Nothing,
}

async fn follow(context: &mut Context, id: TaskId, say: Say) -> Result<Ended, Failure> {
    let text = context.console.format() == Format::Text && say == Say::Findings;
    let mut findings = Vec::new();
    loop {
        let from = findings.len() as u64;
        let asked = context.roles()?.maintenance.task_status(&context.call(), id, from, WAIT).await;
        let status = asked.map_err(Failure::because)?;
        context.console.progress(None).await?;
        for finding in &status.findings {
            if text {
                context.console.line(line(finding)).await?;
            }
            findings.push(finding.clone());
        }
        if status.state.is_over() && status.findings.is_empty() {
            return Ok(Ended { status, findings });
        }
        context.console.flush().await?;
        context.console.progress(Some(&bar(&status))).await?;
    }
}

/// What the end of a task means for the exit code, where it was not what was asked for.
pub(super) fn outcome(ended: &Ended) -> Outcome {
    match &ended.status.state {
        TaskState::Failed(why) => Err(Failure::because(why.clone())),
        TaskState::Stopped => Err(Failure::because("it was stopped before its end")),
        TaskState::Done | TaskState::Running | TaskState::Paused => Ok(Exit::OK),
    }
}

/// A finding in one line.
fn line(finding: &Finding) -> String {
    let mut text = format!("{}: ", finding.kind.word());
    match finding.mailbox {
        Some(mailbox) => text += &format!("mailbox {}", mailbox.0),
        None => text += &format!("shard {}", finding.shard),
    }
    if let Some(folder) = &finding.folder {
        text += &format!(" ({folder})");
    }
    if let Some(uid) = finding.uid {
        text += &format!(" UID:{uid}");
    }
    if let Some(id) = &finding.message_id {
        text += &format!(" {id}");
    }
    if finding.bytes > 0 {
        text += &format!(", {} bytes", finding.bytes);
    }
    if !finding.detail.is_empty() {
        text += &format!(": {}", finding.detail);
    }
    if finding.mended {
        text += " (put right)";
    }
    text.replace(char::is_control, "?")
}

/// A finding for programs.
pub(super) fn as_json(finding: &Finding) -> Value {
    json!({
        "kind": finding.kind.word(), "shard": finding.shard, "mailbox": finding.mailbox.map(|id| id.0),
        "folder": finding.folder, "uid": finding.uid.map(|uid| uid.0), "message_id": finding.message_id,
        "bytes": finding.bytes, "detail": finding.detail, "mended": finding.mended,
    })
}

/// The state in one word.
pub(super) fn state(state: &TaskState) -> &'static str {
    match state {
        TaskState::Running => "running",
        TaskState::Paused => "paused",
        TaskState::Done => "done",
        TaskState::Stopped => "stopped",
        TaskState::Failed(_) => "failed",
    }
}

fn what(task: &Task) -> &'static str {
    match task {
        Task::Collect(_) => "immssgc",
        Task::Verify(_) => "immsgverify",
        Task::Scan => "scan_mss",
        Task::RemoveOrphans(_) => "imorphanrm",
        Task::MoveFiles(_) => "immovmsgfiles",
    }
}

fn percent(status: &TaskStatus) -> u64 {
    match status.total {
        _ if status.state == TaskState::Done => 100,
        0 => 0,
        total => u64::try_from(u128::from(status.done) * 100 / u128::from(total)).unwrap_or(100),
    }
}

fn bar(status: &TaskStatus) -> String {
    let percent = percent(status);
    let full = usize::try_from(percent * BAR / 100).unwrap_or(0);
    let empty = usize::try_from(BAR).unwrap_or(0).saturating_sub(full);
    let amount = match status.unit {
        Unit::Bytes => format!("{} of {} MB", status.done >> 20, status.total >> 20),
        Unit::Segments => format!("{} of {}", status.done, status.total),
    };
    let paused = if status.state == TaskState::Paused { ", paused" } else { "" };
    format!("[{}{}] {percent} % ({amount}{paused})", "#".repeat(full), " ".repeat(empty))
}

#[cfg(test)]
mod tests {
    use super::*;
    use mail::id::{MailboxId, Uid};
    use roles::maintenance::FindingKind;

    fn finding() -> Finding {
        Finding {
            kind: FindingKind::Altered,
            shard: 1,
            mailbox: Some(MailboxId(7)),
            folder: Some("Sent\u{7}".into()),
            uid: Some(Uid(3)),
            message_id: Some("<a@b>".into()),
            bytes: 12,
            detail: String::new(),
            mended: false,
        }
    }

    #[test]
    fn a_finding_names_the_message() {
        assert_eq!(line(&finding()), "altered: mailbox 7 (Sent?) UID:3 <a@b>, 12 bytes");
        let none =
            Finding { mailbox: None, folder: None, uid: None, message_id: None, bytes: 0, ..finding() };
        let counted = Finding { detail: "x 1, counted 2".into(), mended: true, ..none };
        assert_eq!(line(&counted), "altered: shard 1: x 1, counted 2 (put right)");
    }

    #[test]
    fn the_bar_shows_how_far_it_is() {
        let status = TaskStatus {
            id: TaskId(1),
            task: Task::Scan,
            state: TaskState::Paused,
            done: 3,
            total: 6,
            unit: Unit::Segments,
            found: 0,
            findings: Vec::new(),
            summary: None,
        };
        assert_eq!(bar(&status), format!("[{}{}] 50 % (3 of 6, paused)", "#".repeat(15), " ".repeat(15)));
        let whole = TaskStatus { done: u64::MAX, total: u64::MAX, unit: Unit::Bytes, ..status };
        assert!(bar(&whole).contains("] 100 % (17592186044415 of 17592186044415 MB"));
    }
}
