//! `imdbhotbackup`: a backup of the whole site while it serves, and a site from it.

use super::common::{self, DRY, EXITS, GENERATION, KEEP, LIST, PROGRESS, RATE, VERIFY};
use crate::command::{Command, Count, Example, Exit, Grammar, Group, Opt, Outcome, Place, Word};
use crate::context::Context;
use crate::output::Format;
use env::random::Random;
use roles::backup::What;
use serde_json::json;
use std::path::PathBuf;
use storage::backup::Steps;
use storage::shard::ShardOptions;

/// The row.
pub const COMMAND: Command = Command {
    name: "imdbhotbackup",
    aliases: &[],
    group: Group::Backup,
    summary: "Makes a backup of the whole site while it serves, verifies it, restores it",
    about: "Adds a generation to FOLDER with the mail, the queue, the directory and the configuration: everything that \
            was acknowledged before the command began. What an earlier generation has is not written again, so the \
            first backup costs what the site holds and each later one what has changed. Giving space back rests \
            while a shard is copied; everything else goes on. A backup that is interrupted leaves no generation and \
            does no harm to those before it.\n\n\
            FOLDER is an absolute path. It may be used for imdbmsgbackup, too. One backup is made at a time.\n\n\
            -verify reads a generation back: the sums of all files, every row, every message, and whether they \
            belong together. -restore makes a site of a generation in a folder that is empty or not there; until it \
            has come to its end, the folder is not opened as a site. Both need no running site.",
    usage: &[
        "[-json] [-rate KB] [-keep N [-n]] [-progress] FOLDER",
        "[-json] -list FOLDER",
        "[-json] [-rate KB] -verify [-generation N] FOLDER",
        "[-json] [-rate KB] -restore DIR [-generation N] FOLDER",
    ],
    options: &[
        RATE,
        KEEP,
        DRY,
        PROGRESS,
        LIST,
        VERIFY,
        Opt { name: "restore", value: Some("DIR"), help: "Make a site of a generation in this folder" },
        GENERATION,
    ],
    words: &[Word { name: "FOLDER", count: Count::One, help: "The folder of the backups" }],
    examples: &[
        Example {
            line: "imdbhotbackup -keep 7 /backup/site",
            does: "Makes a backup and keeps the last seven generations",
        },
        Example { line: "imdbhotbackup -verify /backup/site", does: "Reads the last generation back" },
        Example {
            line: "imdbhotbackup -restore /var/lib/imail /backup/site",
            does: "Makes the site of the last generation",
        },
    ],
    exits: EXITS,
    place: Place::SiteUnless(&["list", "verify", "restore"]),
    unavailable: Exit::FAILED,
    grammar: Grammar::Mixed,
    run: |context| Box::pin(run(context)),
};

async fn run(context: &mut Context) -> Outcome {
    if context.arguments.has("list") {
        return common::list(context).await;
    }
    if context.arguments.has("verify") {
        return common::verify(context).await;
    }
    match context.arguments.value("restore").map(PathBuf::from) {
        Some(to) => restore(context, to).await,
        None => common::make(context, What::Site).await,
    }
}

async fn restore(context: &mut Context, to: PathBuf) -> Outcome {
    let generation = common::generation(context, &common::folder(context, 0)?)?;
    let (number, taken, work) = (generation.number, generation.taken, common::work(context)?);
    let path = to.clone();
    let job =
        move |steps: &Steps| generation.restore(&path, &ShardOptions::default(), &Random::system(), steps);
    work.run(job).await.map_err(common::told)?;
    let (written, to) = (work.progress().written, to.to_string_lossy().into_owned());
    if context.console.format() == Format::Json {
        let value = json!({ "generation": number, "site": to, "written": written });
        context.console.json(&value).await?;
        return Ok(Exit::OK);
    }
    let text = format!("{to} is the site of generation {number}, as it was at {}", taken.rfc3339());
    context.console.line(text).await?;
    Ok(Exit::OK)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::roles::Double;
    use crate::testing::run;

    #[tokio::test]
    async fn a_backup_is_asked_for_and_told() {
        let line = "imdbhotbackup -rate 10 -keep 3 /backup/site";
        let run = run(line).with_roles(Double::default()).done().await;
        assert_eq!(
            (run.exit, run.errors().as_str()),
            (Exit::OK, "imdbhotbackup: left out: config/x: gone\n")
        );
        let text = run.output();
        assert!(text.starts_with("Generation 4 of 2027-"), "{text}");
        // What was asked for comes back in the double's numbers.
        assert!(text.contains("Bytes Read: 10240\nBytes Written: 3\nGeneration 1 was removed\n"), "{text}");
    }

    #[tokio::test]
    async fn json_has_the_same_numbers() {
        let run = run("imdbhotbackup --json /backup/site").with_roles(Double::default()).done().await;
        let value: serde_json::Value = serde_json::from_str(&run.output()).unwrap();
        assert_eq!((&value["generation"], &value["removed"][0]), (&json!(4), &json!(1)));
    }

    #[tokio::test]
    async fn what_is_no_folder_of_backups_is_refused() {
        for line in [
            "imdbhotbackup -list /no/such/folder",
            "imdbhotbackup -verify /no/such/folder",
            "imdbhotbackup -restore /no/site /no/such/folder",
            "imdbhotbackup -keep 2 -n /no/such/folder",
        ] {
            let run = run(line).with_roles(Double::default()).done().await;
            assert!(run.exit == Exit::FAILED && run.errors().contains("/no/such/folder"), "{}", run.errors());
        }
        for line in ["imdbhotbackup backup", "imdbhotbackup -rate x /backup", "imdbhotbackup -n /backup"] {
            assert_eq!(run(line).with_roles(Double::default()).done().await.exit, Exit::USAGE, "{line}");
        }
    }
}
