//! `imbucketscreate`: makes and checks the folders of the message store.

use crate::command::{Command, Example, Exit, Grammar, Group, Opt, Outcome, Place};
use crate::context::{Context, Failure};
use crate::output::{Column, Layout, Listing};
use anyhow::Context as _;
use catalog::keys::mss::MESSAGE_FILE_DIR;
use env::random::Random;
use env::settings::Settings;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use storage::shard::{
    Absent, Claimed, VolumeError, check_volumes, claim_volume, forget_volume, left_volumes,
};

/// The row.
pub const COMMAND: Command = Command {
    name: "imbucketscreate",
    aliases: &["imbuckscreate"],
    group: Group::Mailboxes,
    summary: "Makes the folders of the message store and shows what lies in them",
    about: "The message store keeps its mail in segments of its shards and needs no directories of message files: there \
            is nothing to run by cron. This command makes the store's folder if it is missing, so that a volume can be \
            mounted there before the first delivery, and makes each folder of messageFileDir a volume of the store: \
            one that is missing or empty gets a file that says whose it is. A folder without that file is not opened, \
            for it may be a volume that is not mounted; nor is one of another store. A volume that messageFileDir does \
            not name any more is forgotten if it is empty (immovmsgfiles -from); until then the store does not start \
            without it, because the newest mail may be there.\n\n\
            Lists what lies there: what is the store's own, and what is foreign (lost+found and the like) and left \
            alone by every command.",
    usage: &["[-dry-run] [-lost DIR] [-json]"],
    options: &[
        Opt { name: "dry-run", value: None, help: "Only look" },
        Opt { name: "n", value: None, help: "The same as -dry-run" },
        Opt {
            name: "lost",
            value: Some("DIR"),
            help: "Forget this volume although it is not there: the messages on it are lost",
        },
    ],
    words: &[],
    examples: &[Example {
        line: "imbucketscreate",
        does: "Makes the folders that are missing, and shows them",
    }],
    exits: &[(1, "a folder cannot be made, is none, or is of something else")],
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
    let settings = Settings::new(site.host().as_str(), "mss", site.configuration()?);
    let volumes: Vec<PathBuf> = settings.get(MESSAGE_FILE_DIR).into_iter().map(PathBuf::from).collect();
    let lost = context.arguments.value("lost").map(PathBuf::from);
    // First, so that a store that cannot start for it can be mended.
    for volume in left_volumes(&folder, &volumes).map_err(Failure::because)? {
        let absent = if lost.as_ref() == Some(&volume) { Absent::GiveUp } else { Absent::Refuse };
        let what = forget(&folder, &volume, dry, absent)?;
        listing.row(&mut context.console, [volume.display().to_string().into(), what.into()]).await?;
    }
    for volume in &volumes {
        let what = claim(&folder, volume, dry, &context.random)?;
        listing.row(&mut context.console, [volume.display().to_string().into(), what.into()]).await?;
    }
    if !dry {
        check_volumes(&folder, &volumes).map_err(Failure::because)?;
    }
    listing.end(&mut context.console).await?;
    Ok(Exit::OK)
}

/// Takes a volume off the store's list.
fn forget(store: &Path, volume: &Path, dry: bool, absent: Absent) -> Result<&'static str, Failure> {
    if dry {
        return Ok("no volume any more: would be forgotten if it is empty");
    }
    forget_volume(store, volume, absent).map_err(Failure::because)?;
    Ok("no volume any more: forgotten")
}

/// Makes a folder a volume of the store, or looks whether it is one.
fn claim(store: &Path, volume: &Path, dry: bool, random: &Random) -> Result<&'static str, Failure> {
    if dry {
        // Of the others nothing is said here.
        return match check_volumes(store, &[volume.to_path_buf()]) {
            Ok(()) | Err(VolumeError::Unnamed(_)) => Ok("volume"),
            Err(VolumeError::Unclaimed(_)) => Ok("no volume yet: would be made one"),
            Err(other) => Err(Failure::because(other)),
        };
    }
    match claim_volume(store, volume, random) {
        Ok(Claimed::Before) => Ok("volume"),
        Ok(Claimed::Now) => Ok("made a volume"),
        Err(error) => Err(Failure::because(error)),
    }
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
        ("volumes", false) => "says which volumes are the store's",
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
    async fn volumes_are_made_once_and_are_of_one_store() {
        let (house, volumes) = (House::new().await, tempfile::tempdir().unwrap());
        let volume = volumes.path().join("one").display().to_string();
        house.file("config/config.db", &format!("/*/mss/messageFileDir: [{volume}]\n"));
        let said = house.ok("imbucketscreate -n").await;
        assert!(said.contains("would be made one") && !volumes.path().join("one").exists(), "{said}");
        assert!(house.ok("imbucketscreate").await.contains("made a volume"));
        assert!(house.ok("imbucketscreate -n").await.contains(&volume));
        // One that is not named any more is forgotten.
        house.file("config/config.db", "");
        assert!(house.ok("imbucketscreate -n").await.contains("would be forgotten"));
        assert!(house.ok("imbucketscreate").await.contains("forgotten"));
        assert!(!house.ok("imbucketscreate").await.contains(&volume));
        house.file("config/config.db", &format!("/*/mss/messageFileDir: [{volume}]\n"));
        assert!(house.ok("imbucketscreate").await.contains("made a volume"));
        // One that is away is not, unless it is said to be lost.
        house.file("config/config.db", "");
        std::fs::rename(&volume, volumes.path().join("away")).unwrap();
        assert!(house.run("imbucketscreate").await.errors().contains("is it mounted"));
        assert!(house.ok(&format!("imbucketscreate -lost {volume}")).await.contains("forgotten"));
        std::fs::rename(volumes.path().join("away"), &volume).unwrap();
        house.file("config/config.db", &format!("/*/mss/messageFileDir: [{volume}]\n"));
        house.ok("imbucketscreate").await;
        let other = House::new().await;
        other.file("config/config.db", &format!("/*/mss/messageFileDir: [{volume}]\n"));
        assert!(other.run("imbucketscreate").await.errors().contains("no volume of this message store"));
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
