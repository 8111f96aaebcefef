//! `immssgc`: gives the space of deleted mail back now (ITS 10806, 13673, 14132, 22430). The server does the same by
//! itself; there is no job to schedule.

use super::task::{self, DETACH, Ended, PAUSE, RATE, RESUME, STATUS, STOP};
use crate::command::{Command, Example, Exit, Grammar, Group, Opt, Outcome, Place};
use crate::context::{Context, Failure};
use crate::output::Format;
use roles::maintenance::{Collect, Collected, Mode, Summary, Task};
use serde_json::json;

/// The row.
pub const COMMAND: Command = Command {
    name: "immssgc",
    aliases: &[],
    group: Group::Store,
    summary: "Gives the space of deleted mail back to the disk",
    about: "Goes through all shards of the message store and gives back what deleted messages still take: holes are \
            made in files where nothing lives, and what lives in files that are mostly dead is copied. Messages that \
            are in a mailbox, read or not, are never touched, nor is what restoreWindowInMinutes keeps. It works \
            online, goes on where the last run ended, and may be stopped at any point.\n\nThe server does this by \
            itself (reclaimPeriodInMinutes, reclaimRateInKBPerSec, reclaimPaused): no job needs to be scheduled.\n\n\
            Prints what was examined, copied and freed, and what could not be read.",
    usage: &[
        "[-dry-run] [-rate KB] [-detach] [-json]",
        "-status [-json]",
        "-pause NUMBER | -resume NUMBER | -stop NUMBER",
    ],
    options: &[
        Opt { name: "dry-run", value: None, help: "Only say what would be freed" },
        Opt { name: "n", value: None, help: "The same as -dry-run" },
        RATE,
        DETACH,
        STATUS,
        PAUSE,
        RESUME,
        STOP,
    ],
    words: &[],
    examples: &[
        Example { line: "immssgc -n", does: "Says how much could be freed" },
        Example { line: "immssgc -rate 10000", does: "Frees it, moving at most 10 MB a second" },
    ],
    exits: &[(3, "something could not be read and stays where it is: run immsgverify")],
    place: Place::Site,
    unavailable: Exit::FAILED,
    grammar: Grammar::Mixed,
    run: |context| Box::pin(run(context)),
};

async fn run(context: &mut Context) -> Outcome {
    if let Some(exit) = task::control(context).await? {
        return Ok(exit);
    }
    let dry = context.arguments.has("dry-run") || context.arguments.has("n");
    let mode = if dry { Mode::DryRun } else { Mode::Apply };
    let rate = task::number(context, "rate")?.unwrap_or(0).saturating_mul(1024);
    let ended = match task::run(context, Task::Collect(Collect { mode, rate })).await? {
        Ok(ended) => ended,
        Err(exit) => return Ok(exit),
    };
    if let Some(Summary::Collected(done)) = &ended.status.summary {
        print(context, mode, done, &ended).await?;
        task::outcome(&ended)?;
        return Ok(if done.damaged > 0 { Exit(3) } else { Exit::OK });
    }
    task::outcome(&ended)
}

async fn print(context: &mut Context, mode: Mode, done: &Collected, ended: &Ended) -> Result<(), Failure> {
    let console = &mut context.console;
    if console.format() == Format::Json {
        let value = json!({
            "dry_run": mode == Mode::DryRun, "state": task::state(&ended.status.state),
            "shards": done.shards, "segments_examined": done.segments, "segments_due": done.due,
            "segments_punched": done.punched, "segments_emptied": done.emptied,
            "bytes_copied": done.copied_bytes, "bytes_freed": done.freed,
            "bytes_would_free": done.would_free, "bytes_allocated": done.allocated, "errors": done.damaged,
        });
        return console.json(&value).await;
    }
    console.line(format!("Shards: {}", done.shards)).await?;
    console
        .line(format!("Segments examined: {}, with something to free: {}", done.segments, done.due))
        .await?;
    if mode == Mode::DryRun {
        console.line(format!("Bytes that would be freed at most: {}", done.would_free)).await?;
    } else {
        let (punched, emptied) = (done.punched, done.emptied);
        console.line(format!("Segments with holes made: {punched}, emptied: {emptied}")).await?;
        console.line(format!("Bytes copied: {}", done.copied_bytes)).await?;
        console.line(format!("Bytes freed: {}", done.freed)).await?;
        console.line(format!("Errors: {}", done.damaged)).await?;
    }
    console.line(format!("Bytes on disk: {}", done.allocated)).await
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::roles::Double;
    use crate::testing::run;
    use roles::maintenance::Keep;

    fn double(damaged: u64) -> Double {
        let done = Collected {
            shards: 2,
            segments: 10,
            due: 4,
            punched: 3,
            emptied: 1,
            copied_bytes: 5000,
            freed: 70_000,
            would_free: 80_000,
            allocated: 400_000,
            damaged,
        };
        Double::default().with_summary(Summary::Collected(done), &[])
    }

    #[tokio::test]
    async fn its_13673_the_summary_says_what_was_examined_freed_and_failed() {
        let double = double(1);
        let run = run("immssgc -rate 10").with_roles(double.clone()).done().await;
        assert_eq!((run.exit, run.errors().as_str()), (Exit(3), ""));
        let expected = "Shards: 2\nSegments examined: 10, with something to free: 4\n\
                        Segments with holes made: 3, emptied: 1\nBytes copied: 5000\nBytes freed: 70000\n\
                        Errors: 1\nBytes on disk: 400000\n";
        assert_eq!(run.output(), expected);
        let task = Task::Collect(Collect { mode: Mode::Apply, rate: 10_240 });
        assert_eq!(double.started(), [(task, Keep::WhileFollowed)]);
    }

    #[tokio::test]
    async fn a_dry_run_asks_for_one_and_json_has_the_numbers() {
        let double = double(0);
        let run = run("immssgc -n --json").with_roles(double.clone()).done().await;
        assert_eq!(run.exit, Exit::OK);
        let value: serde_json::Value = serde_json::from_str(&run.output()).unwrap();
        assert_eq!((&value["bytes_would_free"], &value["dry_run"]), (&json!(80_000), &json!(true)));
        let task = Task::Collect(Collect { mode: Mode::DryRun, rate: 0 });
        assert_eq!(double.started(), [(task, Keep::WhileFollowed)]);
    }

    #[tokio::test]
    async fn work_can_be_left_alone_listed_and_stopped() {
        let double = double(0);
        let started = run("immssgc -detach").with_roles(double.clone()).done().await;
        assert_eq!((started.exit, started.output().as_str()), (Exit::OK, "Started as task 1.\n"));
        assert_eq!(double.started()[0].1, Keep::ToTheEnd);
        let listed = run("immssgc -status").with_roles(double.clone()).done().await;
        assert!(listed.output().contains("   1  immssgc  done      100      0\n"), "{}", listed.output());
        assert_eq!(run("immssgc -stop 1").with_roles(double.clone()).done().await.exit, Exit::OK);
        let missing = run("immssgc -pause 9").with_roles(double.clone()).done().await;
        assert_eq!(
            (missing.exit, missing.errors().as_str()),
            (Exit::FAILED, "immssgc: there is no such task\n")
        );
        assert_eq!(run("immssgc -pause x").with_roles(double).done().await.exit, Exit::USAGE);
    }

    #[tokio::test]
    async fn its_10806_the_help_is_complete() {
        let text = crate::render::help(&COMMAND);
        for word in [
            "-dry-run",
            "-rate",
            "-detach",
            "-status",
            "-pause",
            "-resume",
            "-stop",
            "reclaimPaused",
            "read or not",
        ] {
            assert!(text.contains(word), "{word}");
        }
    }
}
