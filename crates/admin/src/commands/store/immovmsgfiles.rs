//! `immovmsgfiles`: moves message files from one volume to another, online (ITS 24422).

use super::task::{self, DETACH, Ended, PAUSE, RATE, RESUME, STATUS, STOP};
use crate::command::{Command, Example, Exit, Grammar, Group, Opt, Outcome, Place};
use crate::context::{Context, Failure};
use crate::output::{Cell, Column, Format, Layout, Listing};
use roles::maintenance::{FilesMoved, Mode, MoveFiles, Summary, Task};
use serde_json::json;

/// The row.
pub const COMMAND: Command = Command {
    name: "immovmsgfiles",
    aliases: &[],
    group: Group::Store,
    summary: "Moves message files from one volume to another while they are read",
    about: "The message files of the store lie in its own folder and in those of messageFileDir, which imbucketscreate \
            makes. New files come to the volume with the most room; this command moves those that are there, oldest \
            first. With -from it empties that volume, and no new file comes to it until the server is started again; \
            otherwise it moves files from the volume with the least room until both have the same. A volume is never \
            filled to the brim.\n\n\
            Each file is copied, read back, and then taken away where it was; mail is delivered and read meanwhile. It \
            may be stopped or interrupted at any point: no file is ever missing, and what is left half-done goes at \
            the next start.\n\nPrints the volumes as they are afterwards.",
    usage: &[
        "[-dry-run] [-from DIR] [-to DIR] [-mb N] [-rate KB] [-detach] [-json]",
        "-status [-json]",
        "-pause NUMBER | -resume NUMBER | -stop NUMBER",
    ],
    options: &[
        Opt { name: "dry-run", value: None, help: "Only say what would be moved, and show the volumes" },
        Opt { name: "n", value: None, help: "The same as -dry-run" },
        Opt { name: "from", value: Some("DIR"), help: "Move all files away from this volume" },
        Opt { name: "to", value: Some("DIR"), help: "Move files to this volume" },
        Opt { name: "mb", value: Some("N"), help: "Begin no further file after N megabytes" },
        RATE,
        DETACH,
        STATUS,
        PAUSE,
        RESUME,
        STOP,
    ],
    words: &[],
    examples: &[
        Example { line: "immovmsgfiles -n", does: "Shows the volumes and what would be moved" },
        Example { line: "immovmsgfiles -to /volume2/mail -mb 50000", does: "Moves 50 GB to a new volume" },
        Example { line: "immovmsgfiles -from /volume1/mail", does: "Empties a volume" },
    ],
    exits: &[
        (1, "it was stopped, or there was no room for all"),
        (3, "files could not be read, and stay where they are"),
    ],
    place: Place::Site,
    unavailable: Exit::FAILED,
    grammar: Grammar::Mixed,
    run: |context| Box::pin(run(context)),
};

const COLUMNS: &[Column] = &[
    Column { title: "Volume", key: "volume" },
    Column { title: "Files", key: "files" },
    Column { title: "Bytes", key: "bytes" },
    Column { title: "Movable", key: "movable" },
    Column { title: "Free", key: "free" },
    Column { title: "Total", key: "total" },
];
/// Bytes of a megabyte.
const MB: u64 = 1 << 20;

async fn run(context: &mut Context) -> Outcome {
    if let Some(exit) = task::control(context).await? {
        return Ok(exit);
    }
    let dry = context.arguments.has("dry-run") || context.arguments.has("n");
    let path = |name| context.arguments.value(name).map(str::to_owned);
    let files = MoveFiles {
        mode: if dry { Mode::DryRun } else { Mode::Apply },
        from: path("from"),
        to: path("to"),
        at_most: task::number(context, "mb")?.unwrap_or(0).saturating_mul(MB),
        rate: task::number(context, "rate")?.unwrap_or(0).saturating_mul(1024),
    };
    let mode = files.mode;
    let ended = match task::run(context, Task::MoveFiles(files)).await? {
        Ok(ended) => ended,
        Err(exit) => return Ok(exit),
    };
    if let Some(Summary::FilesMoved(done)) = &ended.status.summary {
        print(context, mode, done, &ended).await?;
        task::outcome(&ended)?;
        if done.no_room {
            return Err(Failure::because(format!("there is no room for more on {}", done.to)));
        }
        return Ok(if done.unreadable > 0 { Exit(3) } else { Exit::OK });
    }
    task::outcome(&ended)
}

async fn print(context: &mut Context, mode: Mode, done: &FilesMoved, ended: &Ended) -> Result<(), Failure> {
    let console = &mut context.console;
    if console.format() == Format::Json {
        let volumes: Vec<_> = done
            .volumes
            .iter()
            .map(|v| {
                json!({
                    "volume": v.path, "files": v.segments, "bytes": v.bytes, "movable": v.movable,
                    "free": v.free, "total": v.total,
                })
            })
            .collect();
        let value = json!({
            "dry_run": mode == Mode::DryRun, "state": task::state(&ended.status.state), "from": done.from,
            "to": done.to, "files": done.segments, "bytes": done.bytes, "unreadable": done.unreadable,
            "no_room": done.no_room, "volumes": volumes,
        });
        return console.json(&value).await;
    }
    if done.volumes.is_empty() {
        return console.line("The message store has one volume only (messageFileDir).").await;
    }
    if !done.from.is_empty() {
        let FilesMoved { from, to, segments, bytes, .. } = done;
        let would = if mode == Mode::DryRun { "would move" } else { "moved" };
        console.line(format!("{segments} files of {bytes} bytes {would} from {from} to {to}")).await?;
    }
    if done.unreadable > 0 {
        console.line(format!("{} files cannot be read and stay where they are", done.unreadable)).await?;
    }
    let mut listing = Listing::new(COLUMNS, Layout::Table);
    for volume in &done.volumes {
        let cells: [Cell; 6] = [
            volume.path.as_str().into(),
            volume.segments.into(),
            volume.bytes.into(),
            volume.movable.into(),
            volume.free.into(),
            volume.total.into(),
        ];
        listing.row(console, cells).await?;
    }
    listing.end(console).await
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::roles::Double;
    use crate::testing::run;
    use roles::maintenance::{Keep, VolumeSpace};

    fn double(volumes: Vec<VolumeSpace>) -> Double {
        ended(volumes, FilesMoved::default())
    }

    fn ended(volumes: Vec<VolumeSpace>, end: FilesMoved) -> Double {
        let done = FilesMoved { from: "/a".into(), to: "/b".into(), segments: 3, bytes: 300, volumes, ..end };
        Double::default().with_summary(Summary::FilesMoved(done), &[])
    }

    fn volume(path: &str) -> VolumeSpace {
        VolumeSpace { path: path.into(), segments: 7, bytes: 700, movable: 600, free: 5, total: 9 }
    }

    #[tokio::test]
    async fn what_was_moved_is_said_and_the_volumes_are_shown() {
        let double = double(vec![volume("/a"), volume("/b")]);
        let line = "immovmsgfiles -from /a -to /b -mb 2 -rate 10";
        let run = run(line).with_roles(double.clone()).done().await;
        let text = run.output();
        assert_eq!((run.exit, run.errors().as_str()), (Exit::OK, ""));
        assert!(text.starts_with("3 files of 300 bytes moved from /a to /b\nVolume"), "{text}");
        assert!(text.contains("/b          7    700      600     5      9\n"), "{text}");
        let (from, to) = (Some("/a".to_owned()), Some("/b".to_owned()));
        let files = MoveFiles { mode: Mode::Apply, from, to, at_most: 2 << 20, rate: 10_240 };
        assert_eq!(double.started(), [(Task::MoveFiles(files), Keep::WhileFollowed)]);
    }

    #[tokio::test]
    async fn what_is_left_is_in_the_exit_code() {
        let unreadable = FilesMoved { unreadable: 2, ..FilesMoved::default() };
        let run_on = async |double| run("immovmsgfiles -from /a").with_roles(double).done().await;
        let run = run_on(ended(vec![volume("/a")], unreadable)).await;
        assert!(run.exit == Exit(3) && run.output().contains("2 files cannot be read"), "{}", run.output());
        let no_room = FilesMoved { no_room: true, ..FilesMoved::default() };
        let run = run_on(ended(vec![volume("/a")], no_room)).await;
        assert!(run.exit == Exit::FAILED && run.errors().contains("no room for more on /b"));
    }

    #[tokio::test]
    async fn a_dry_run_asks_for_one_and_a_single_volume_is_told() {
        let double = double(Vec::new());
        let run = run("immovmsgfiles -n").with_roles(double.clone()).done().await;
        assert!(run.output().contains("one volume only"), "{}", run.output());
        let files = MoveFiles { mode: Mode::DryRun, from: None, to: None, at_most: 0, rate: 0 };
        assert_eq!(double.started()[0].0, Task::MoveFiles(files));
        let json = self::run("immovmsgfiles -n --json").with_roles(double).done().await.output();
        let value: serde_json::Value = serde_json::from_str(&json).unwrap();
        assert_eq!((&value["files"], &value["dry_run"]), (&json!(3), &json!(true)));
    }
}
