//! `imorphanrm`: removes stored bodies that nothing refers to (ITS 15622, 18609, 18610, 22198).

use super::task;
use crate::command::{Command, Example, Exit, Grammar, Group, Opt, Outcome, Place};
use crate::context::{Context, Failure};
use crate::output::Format;
use roles::maintenance::{Mode, OrphansRemoved, RemoveOrphans, Summary, Task};
use serde_json::json;
use std::time::Duration;

/// Hours for which an orphan must have been known.
const AGE: u64 = 24;
/// More is no age.
const MAX_AGE: u64 = 24 * 3650;

/// The row.
pub const COMMAND: Command = Command {
    name: "imorphanrm",
    aliases: &["imorpharm"],
    group: Group::Store,
    summary: "Lists or removes stored bodies that nothing refers to",
    about: "Without -remove, only lists what takes space in the message store and belongs to no message. With it, \
            removes those that have been known as orphans for -age hours: since immsgverify or imorphanrm -remove has \
            seen them first. So what a nightly check reports can still be looked at for a day. Mail that is being \
            delivered is never an orphan.\n\nThe space comes back with the next run of immssgc, or by itself.",
    usage: &["[-remove] [-age HOURS] [-json]"],
    options: &[
        Opt { name: "remove", value: None, help: "Remove them; without this nothing is changed" },
        Opt {
            name: "age",
            value: Some("HOURS"),
            help: "Only those known for this long; 24 by default, 0 for all",
        },
        Opt { name: "dry-run", value: None, help: "Only list them, whatever else is said" },
        Opt { name: "n", value: None, help: "The same as -dry-run" },
    ],
    words: &[],
    examples: &[
        Example { line: "imorphanrm", does: "Lists orphans" },
        Example { line: "imorphanrm -remove -age 48", does: "Removes those known for two days" },
    ],
    exits: &[],
    place: Place::Site,
    unavailable: Exit::FAILED,
    grammar: Grammar::Mixed,
    run: |context| Box::pin(run(context)),
};

async fn run(context: &mut Context) -> Outcome {
    let hours = task::number(context, "age")?.unwrap_or(AGE);
    if hours > MAX_AGE {
        return Err(Failure::Usage(format!("-age is at most {MAX_AGE}")));
    }
    let arguments = &context.arguments;
    let really = arguments.has("remove") && !arguments.has("dry-run") && !arguments.has("n");
    let mode = if really { Mode::Apply } else { Mode::DryRun };
    let remove = RemoveOrphans { mode, age: Duration::from_secs(hours * 3600) };
    let ended = match task::run(context, Task::RemoveOrphans(remove)).await? {
        Ok(ended) => ended,
        Err(exit) => return Ok(exit),
    };
    if let Some(Summary::OrphansRemoved(done)) = ended.status.summary {
        let findings: Vec<_> = ended.findings.iter().map(task::as_json).collect();
        print(context, mode, done, hours, findings).await?;
    }
    task::outcome(&ended)
}

async fn print(
    context: &mut Context,
    mode: Mode,
    done: OrphansRemoved,
    hours: u64,
    findings: Vec<serde_json::Value>,
) -> Result<(), Failure> {
    let console = &mut context.console;
    let OrphansRemoved { found, bytes, young, removed, removed_bytes } = done;
    if console.format() == Format::Json {
        let value = json!({
            "dry_run": mode == Mode::DryRun, "found": found, "bytes": bytes, "younger": young,
            "removed": removed, "removed_bytes": removed_bytes, "findings": findings,
        });
        return console.json(&value).await;
    }
    console.line(format!("Orphans: {found}, bytes: {bytes}")).await?;
    console.line(format!("Known for less than {hours} hours: {young}")).await?;
    let what = if mode == Mode::Apply { "Removed" } else { "Would be removed" };
    console.line(format!("{what}: {removed}, bytes: {removed_bytes}")).await
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::roles::Double;
    use crate::testing::run;

    fn double() -> Double {
        let done = OrphansRemoved { found: 3, bytes: 900, young: 1, removed: 2, removed_bytes: 600 };
        Double::default().with_summary(Summary::OrphansRemoved(done), &[])
    }

    async fn mode_of(line: &str) -> (RemoveOrphans, String) {
        let double = double();
        let run = run(line).with_roles(double.clone()).done().await;
        assert_eq!(run.exit, Exit::OK, "{line}");
        match double.started().as_slice() {
            [(Task::RemoveOrphans(remove), _)] => (*remove, run.output()),
            other => panic!("{other:?}"),
        }
    }

    #[tokio::test]
    async fn its_18610_nothing_is_removed_unless_that_is_asked_for() {
        for line in ["imorphanrm", "imorphanrm -n", "imorphanrm -remove -dry-run", "imorphanrm -age 0"] {
            let (remove, text) = mode_of(line).await;
            assert_eq!(remove.mode, Mode::DryRun, "{line}");
            assert!(text.ends_with("Would be removed: 2, bytes: 600\n"), "{text}");
        }
        let (remove, text) = mode_of("imorphanrm -remove").await;
        assert_eq!((remove.mode, remove.age), (Mode::Apply, Duration::from_secs(86_400)));
        assert_eq!(text, "Orphans: 3, bytes: 900\nKnown for less than 24 hours: 1\nRemoved: 2, bytes: 600\n");
        assert_eq!(mode_of("imorphanrm -remove -age 48").await.0.age, Duration::from_secs(2 * 86_400));
    }

    #[tokio::test]
    async fn its_15622_its_help_is_printed_under_both_names_without_doing_anything() {
        use crate::connect::{Opener, Opening, start};
        struct Never;
        impl Opener for Never {
            fn open<'a>(&'a self, _: &'a crate::site::Site) -> Opening<'a> {
                Box::pin(async { panic!("help opens no site") })
            }
        }
        for name in ["imorphanrm", "imorpharm"] {
            for line in [["-help"], ["--help"], ["-?"]] {
                let script = crate::testing::Script::default();
                let line = line.map(Into::into).to_vec();
                let exit = start(name, line, &Never, Box::new(script.clone())).await;
                assert_eq!(exit, Exit::OK);
                assert!(script.output().contains("-age HOURS"), "{}", script.output());
            }
        }
    }

    #[test]
    fn its_18609_it_has_a_manual_page() {
        let page = crate::render::man(&COMMAND);
        assert!(page.starts_with(".TH IMORPHANRM 1") && page.contains("\\-remove"), "{page}");
    }
}
