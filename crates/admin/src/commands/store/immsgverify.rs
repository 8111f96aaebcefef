//! `immsgverify`: reads messages and compares everything with everything (ITS 19421, 22121, 22146, 23798).

use super::super::mailboxes::mailbox;
use super::task::{self, DETACH, PAUSE, RATE, RESUME, STATUS, STOP};
use crate::command::{Command, Count, Example, Exit, Grammar, Group, Opt, Outcome, Place, Word};
use crate::context::{Context, Failure};
use crate::output::Format;
use roles::maintenance::{Finding, Mode, Scope, Summary, Task, Verified, Verify};
use serde_json::{Map, Value, json};

/// Messages that are read at the same time where nothing else is said.
const JOBS: u64 = 4;

/// The row.
pub const COMMAND: Command = Command {
    name: "immsgverify",
    aliases: &[],
    group: Group::Store,
    summary: "Checks stored messages, counters and references",
    about: "Reads every message of the store, of one shard (-shard) or of one mailbox, verifies its bytes, counts every \
            folder anew, and compares what is stored with what is referred to. Each fault is printed as it is found, a \
            damaged message with its mailbox, folder, UID and Message-ID; one fault never hides another. The check runs \
            online; a difference is reported only where it is one.\n\nKinds of faults: widow (a message whose body is \
            not there), missing, truncated, altered, unreadable, mismatched (damaged messages), orphan (a body that \
            nothing refers to), counters, references, segment, row.\n\nWith -repair, counters and counts of references \
            are put right and widows are removed. Messages that could come back from a backup are left alone; orphans \
            are removed by imorphanrm.",
    usage: &[
        "[-jobs N] [-shard N | USER@DOMAIN] [-repair] [-rate KB] [-detach] [-json]",
        "-status [-json]",
        "-pause NUMBER | -resume NUMBER | -stop NUMBER",
    ],
    options: &[
        Opt {
            name: "jobs",
            value: Some("N"),
            help: "Read this many pages of messages at the same time, 1 to 64; 4 by default",
        },
        Opt { name: "shard", value: Some("N"), help: "Check this shard only, counted from 0" },
        Opt { name: "repair", value: None, help: "Put counters and references right and remove widows" },
        RATE,
        DETACH,
        STATUS,
        PAUSE,
        RESUME,
        STOP,
    ],
    words: &[Word {
        name: "USER@DOMAIN",
        count: Count::Optional,
        help: "Check the mailbox of this account only",
    }],
    examples: &[
        Example { line: "immsgverify -jobs 8", does: "Checks the whole store" },
        Example {
            line: "immsgverify user@example.org -repair",
            does: "Checks one mailbox and puts its counters right",
        },
    ],
    exits: &[(3, "faults were found that are not put right")],
    place: Place::Site,
    unavailable: Exit::FAILED,
    grammar: Grammar::Mixed,
    run: |context| Box::pin(run(context)),
};

async fn run(context: &mut Context) -> Outcome {
    if let Some(exit) = task::control(context).await? {
        return Ok(exit);
    }
    let jobs = task::number(context, "jobs")?.unwrap_or(JOBS);
    let verify = Verify {
        scope: scope(context).await?,
        jobs: u32::try_from(jobs).unwrap_or(u32::MAX),
        repair: if context.arguments.has("repair") { Mode::Apply } else { Mode::DryRun },
        rate: task::number(context, "rate")?.unwrap_or(0).saturating_mul(1024),
    };
    let ended = match task::run(context, Task::Verify(verify)).await? {
        Ok(ended) => ended,
        Err(exit) => return Ok(exit),
    };
    if let Some(Summary::Verified(done)) = &ended.status.summary {
        print(context, done, &ended.findings, task::state(&ended.status.state)).await?;
    }
    task::outcome(&ended)?;
    let open = ended.findings.iter().any(|finding| !finding.mended);
    Ok(if open || ended.status.found > ended.findings.len() as u64 { Exit(3) } else { Exit::OK })
}

async fn scope(context: &mut Context) -> Result<Scope, Failure> {
    match (task::number(context, "shard")?, context.arguments.word(0)) {
        (Some(_), Some(_)) => Err(Failure::Usage("-shard goes without USER@DOMAIN".into())),
        (Some(number), None) => Ok(Scope::Shard(u32::try_from(number).unwrap_or(u32::MAX))),
        (None, Some(_)) => Ok(Scope::Mailbox(mailbox::account(context).await?.mailbox)),
        (None, None) => Ok(Scope::Store),
    }
}

async fn print(
    context: &mut Context,
    done: &Verified,
    findings: &[Finding],
    state: &str,
) -> Result<(), Failure> {
    let console = &mut context.console;
    if console.format() == Format::Json {
        let kinds: Map<String, Value> =
            done.found.iter().map(|(kind, count)| (kind.word().to_owned(), json!(count))).collect();
        let findings: Vec<_> = findings.iter().map(task::as_json).collect();
        let value = json!({
            "state": state, "mailboxes": done.mailboxes, "folders": done.folders, "messages": done.messages,
            "bytes": done.bytes, "found": kinds, "mended": done.mended, "at_once": done.at_once,
            "seconds": done.took.as_secs_f64(), "findings": findings,
        });
        return console.json(&value).await;
    }
    let (mailboxes, folders) = (done.mailboxes, done.folders);
    console.line(format!("Mailboxes: {mailboxes}, folders: {folders}")).await?;
    console.line(format!("Messages read: {}, bytes: {}", done.messages, done.bytes)).await?;
    let seconds = done.took.as_secs_f64();
    console.line(format!("Seconds: {seconds:.1}, MB per second: {:.0}", rate(done.bytes, seconds))).await?;
    for (kind, count) in &done.found {
        console.line(format!("Found {}: {count}", kind.word())).await?;
    }
    match done.found.is_empty() {
        true => console.line("No faults.").await,
        false => console.line(format!("Put right: {}", done.mended)).await,
    }
}

#[expect(clippy::cast_precision_loss, reason = "a figure for people")]
fn rate(bytes: u64, seconds: f64) -> f64 {
    bytes as f64 / 1e6 / seconds.max(1e-6)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::roles::{Double, MAILBOX};
    use crate::testing::run;
    use mail::id::Uid;
    use roles::maintenance::FindingKind;
    use std::time::Duration;

    fn finding(kind: FindingKind, mended: bool) -> Finding {
        Finding {
            kind,
            shard: 0,
            mailbox: Some(MAILBOX),
            folder: Some("INBOX".into()),
            uid: Some(Uid(4)),
            message_id: Some("<a@x>".into()),
            bytes: 100,
            detail: String::new(),
            mended,
        }
    }

    fn double(findings: &[Finding]) -> Double {
        let done = Verified {
            mailboxes: 3,
            folders: 9,
            messages: 100,
            bytes: 2_000_000,
            found: findings.iter().map(|finding| (finding.kind, 1)).collect(),
            mended: findings.iter().filter(|f| f.mended).count() as u64,
            at_once: 4,
            took: Duration::from_secs(2),
        };
        Double::default().with_summary(Summary::Verified(done), findings)
    }

    #[tokio::test]
    async fn each_fault_is_named_and_the_exit_code_tells() {
        let double = double(&[finding(FindingKind::Widow, true), finding(FindingKind::Altered, false)]);
        let run = run("immsgverify -repair -jobs 8 -shard 1").with_roles(double.clone()).done().await;
        assert_eq!((run.exit, run.errors().as_str()), (Exit(3), ""));
        let text = run.output();
        let expected = "widow: mailbox 432234 (INBOX) UID:4 <a@x>, 100 bytes (put right)\n\
                        altered: mailbox 432234 (INBOX) UID:4 <a@x>, 100 bytes\n\
                        Mailboxes: 3, folders: 9\nMessages read: 100, bytes: 2000000\n\
                        Seconds: 2.0, MB per second: 1\nFound widow: 1\nFound altered: 1\nPut right: 1\n";
        assert_eq!(text, expected);
        let verify = Verify { scope: Scope::Shard(1), jobs: 8, repair: Mode::Apply, rate: 0 };
        assert_eq!(double.started()[0].0, Task::Verify(verify));
    }

    #[tokio::test]
    async fn a_clean_store_or_one_that_was_put_right_is_no_failure() {
        let clean = run("immsgverify user@example.org").with_roles(double(&[])).done().await;
        assert_eq!(clean.exit, Exit::OK);
        assert!(clean.output().ends_with("No faults.\n"));
        let mended = double(&[finding(FindingKind::Counters, true)]);
        assert_eq!(run("immsgverify -repair").with_roles(mended).done().await.exit, Exit::OK);
    }

    #[tokio::test]
    async fn json_is_one_object_with_everything() {
        let double = double(&[finding(FindingKind::Altered, false)]);
        let run = run("immsgverify -json").with_roles(double).done().await;
        let value: Value = serde_json::from_str(&run.output()).unwrap();
        assert_eq!(value["findings"][0]["uid"], json!(4));
        assert_eq!((&value["found"]["altered"], &value["state"]), (&json!(1), &json!("done")));
    }

    #[tokio::test]
    async fn a_wrong_line_starts_nothing() {
        let double = double(&[]);
        for line in ["immsgverify -jobs x", "immsgverify -shard 1 user@example.org"] {
            assert_eq!(run(line).with_roles(double.clone()).done().await.exit, Exit::USAGE, "{line}");
        }
        let unknown = run("immsgverify nobody@example.org").with_roles(double.clone()).done().await;
        assert_eq!(unknown.exit, Exit::FAILED);
        assert!(double.started().is_empty());
    }
}
