//! `imbucketscreate`: makes and checks the folder of the message store.

use crate::command::{Command, Example, Exit, Grammar, Group, Opt, Outcome, Place};
use crate::context::{Context, Failure};
use crate::output::{Column, Layout, Listing};
use anyhow::Context as _;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::Path;

/// The row.
pub const COMMAND: Command = Command {
    name: "imbucketscreate",
    aliases: &["imbuckscreate"],
    group: Group::Mailboxes,
    summary: "Makes the folder of the message store and shows what lies in it",
    about: "The message store keeps its mail in segments of its shards and needs no directories of message files: there \
            are no buckets to make, and nothing to run by cron. This command makes the store's folder if it is missing, \
            so that a volume can be mounted there before the first delivery, and lists what lies in it: what is the \
            store's own, and what is foreign (lost+found and the like) and left alone by every command.",
    usage: &["[-dry-run] [-json]"],
    options: &[
        Opt { name: "dry-run", value: None, help: "Only look" },
        Opt { name: "n", value: None, help: "The same as -dry-run" },
    ],
    words: &[],
    examples: &[Example { line: "imbucketscreate", does: "Makes the folder if it is missing, and shows it" }],
    exits: &[(1, "the folder cannot be made, or is none")],
    place: Place::Here,
    unavailable: Exit::FAILED,
    grammar: Grammar::Mixed,
    run: |context| Box::pin(run(context)),
};

const COLUMNS: &[Column] = &[Column { title: "Name", key: "name" }, Column { title: "What", key: "what" }];

/// Most entries that are shown: a folder with more is no store's.
const MAX_ENTRIES: usize = 10_000;

async fn run(context: &mut Context) -> Outcome {
    let site = context.site()?;
    let folder = site.store_folder();
    let dry = context.arguments.has("dry-run") || context.arguments.has("n");
    let mut listing = Listing::new(COLUMNS, Layout::Table);
    if !folder.exists() {
        if !dry {
            make(&folder)?;
        }
        let what = if dry { "missing: would be made" } else { "made" };
        listing.row(&mut context.console, [folder.display().to_string().into(), what.into()]).await?;
    }
    if folder.exists() {
        for name in names(&folder)? {
            let what = kind(&name, folder.join(&name).is_dir());
            listing.row(&mut context.console, [name.into(), what.into()]).await?;
        }
    }
    listing.end(&mut context.console).await?;
    Ok(Exit::OK)
}

fn make(folder: &Path) -> Result<(), Failure> {
    let made = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder);
    Ok(made.with_context(|| format!("cannot make {}", folder.display()))?)
}

fn names(folder: &Path) -> Result<Vec<String>, Failure> {
    let cannot = || format!("cannot read {}", folder.display());
    let mut names = Vec::new();
    for entry in std::fs::read_dir(folder).with_context(cannot)?.take(MAX_ENTRIES) {
        names.push(entry.with_context(cannot)?.file_name().to_string_lossy().into_owned());
    }
    names.sort_unstable();
    Ok(names)
}

/// What an entry of the store's folder is (ITS 25146). Pure.
fn kind(name: &str, is_folder: bool) -> &'static str {
    let number = name.strip_prefix("shard-");
    let shard = number.is_some_and(|n| n.len() == 3 && n.bytes().all(|b| b.is_ascii_digit()));
    match (name, is_folder) {
        ("format", false) => "says how the store is divided",
        _ if shard && is_folder => "shard",
        _ => "foreign: left alone",
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::house::House;

    #[tokio::test]
    async fn its_23039_the_folder_is_there_before_the_first_delivery() {
        let house = House::new().await;
        let said = house.ok("imbucketscreate -n").await;
        assert!(said.contains("would be made") && !house.path().join("mss").exists());
        assert!(house.ok("imbucketscreate").await.contains("made"));
        assert!(house.path().join("mss").is_dir());
        assert_eq!(house.ok("imbuckscreate -json").await, "[]\n", "run again, it has nothing to do");
    }

    #[tokio::test]
    async fn its_25146_what_is_foreign_is_named_and_left_alone() {
        let house = House::new().await;
        for file in ["lost+found/x", "shard-000/y", "shard-1/z", "format"] {
            house.file(&format!("mss/{file}"), "kept");
        }
        let said = house.ok("imbucketscreate -json").await;
        let rows: Vec<serde_json::Value> = serde_json::from_str(&said).unwrap();
        let what: Vec<_> =
            rows.iter().map(|r| (r["name"].as_str().unwrap(), r["what"].as_str().unwrap())).collect();
        let foreign = "foreign: left alone";
        assert_eq!(
            what,
            [
                ("format", "says how the store is divided"),
                ("lost+found", foreign),
                ("shard-000", "shard"),
                ("shard-1", foreign)
            ]
        );
        assert_eq!(std::fs::read_to_string(house.path().join("mss/lost+found/x")).unwrap(), "kept");
    }
}
