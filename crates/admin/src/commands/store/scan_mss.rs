//! `scan_mss`: what takes space in the message store (ITS 14513).

use super::task;
use crate::command::{Command, Example, Exit, Grammar, Group, Opt, Outcome, Place};
use crate::context::Context;
use crate::output::{Cell, Column, Format, Layout, Listing};
use roles::maintenance::{SegmentSpace, ShardSpace, Summary, Task};
use serde_json::json;

/// The row.
pub const COMMAND: Command = Command {
    name: "scan_mss",
    aliases: &["immssscan"],
    group: Group::Store,
    summary: "Reports what takes space in the message store",
    about: "Prints for each shard how many bytes of messages are referred to (live), how many are not any more (dead), \
            how much disk they take, which bodies nothing refers to (orphans) and which messages have no body (widows). \
            With -segments, the same for each segment file. Reads no messages and changes nothing.",
    usage: &["[-segments] [-json]"],
    options: &[Opt { name: "segments", value: None, help: "Print each segment, too" }],
    words: &[],
    examples: &[Example { line: "scan_mss -segments", does: "Prints everything" }],
    exits: &[(3, "there are orphans, widows or damaged segments")],
    place: Place::Site,
    unavailable: Exit::FAILED,
    grammar: Grammar::Mixed,
    run: |context| Box::pin(run(context)),
};

const SHARDS: &[Column] = &[
    Column { title: "Shard", key: "shard" },
    Column { title: "Segments", key: "segments" },
    Column { title: "Live", key: "live" },
    Column { title: "Dead", key: "dead" },
    Column { title: "On disk", key: "allocated" },
    Column { title: "Orphans", key: "orphans" },
    Column { title: "Orphan bytes", key: "orphan_bytes" },
    Column { title: "Widows", key: "widows" },
    Column { title: "Damaged", key: "damaged" },
];
const SEGMENTS: &[Column] = &[
    Column { title: "Shard", key: "shard" },
    Column { title: "Segment", key: "segment" },
    Column { title: "Live", key: "live" },
    Column { title: "Dead", key: "dead" },
    Column { title: "Length", key: "bytes" },
    Column { title: "On disk", key: "allocated" },
];

async fn run(context: &mut Context) -> Outcome {
    let ended = task::quietly(context, Task::Scan).await?;
    task::outcome(&ended)?;
    let Some(Summary::Scanned(shards)) = ended.status.summary else { return Ok(Exit::FAILED) };
    let with_segments = context.arguments.has("segments");
    if context.console.format() == Format::Json && with_segments {
        let value: Vec<_> = shards.iter().map(as_json).collect();
        context.console.json(&json!(value)).await?;
    } else {
        print(context, &shards).await?;
        if with_segments {
            context.console.line("").await?;
            print_segments(context, &shards).await?;
        }
    }
    let wrong = shards.iter().any(|shard| shard.orphans.0 + shard.widows + shard.damaged > 0);
    Ok(if wrong { Exit(3) } else { Exit::OK })
}

async fn print(context: &mut Context, shards: &[ShardSpace]) -> Result<(), crate::context::Failure> {
    let mut listing = Listing::new(SHARDS, Layout::Table);
    for shard in shards {
        let sum = |of: fn(&SegmentSpace) -> u64| Cell::from(shard.segments.iter().map(of).sum::<u64>());
        let cells: [Cell; 9] = [
            shard.shard.into(),
            (shard.segments.len() as u64).into(),
            sum(|segment| segment.live),
            sum(|segment| segment.dead),
            sum(|segment| segment.allocated),
            shard.orphans.0.into(),
            shard.orphans.1.into(),
            shard.widows.into(),
            shard.damaged.into(),
        ];
        listing.row(&mut context.console, cells).await?;
    }
    listing.end(&mut context.console).await
}

async fn print_segments(context: &mut Context, shards: &[ShardSpace]) -> Result<(), crate::context::Failure> {
    let mut listing = Listing::new(SEGMENTS, Layout::Table);
    for shard in shards {
        for &SegmentSpace { segment, live, dead, bytes, allocated } in &shard.segments {
            let cells: [Cell; 6] = [
                shard.shard.into(),
                segment.into(),
                live.into(),
                dead.into(),
                bytes.into(),
                allocated.into(),
            ];
            listing.row(&mut context.console, cells).await?;
        }
    }
    listing.end(&mut context.console).await
}

fn as_json(shard: &ShardSpace) -> serde_json::Value {
    let segment = |one: &SegmentSpace| {
        json!({
            "segment": one.segment, "live": one.live, "dead": one.dead, "bytes": one.bytes,
            "allocated": one.allocated,
        })
    };
    json!({
        "shard": shard.shard, "segments": shard.segments.iter().map(segment).collect::<Vec<_>>(),
        "orphans": shard.orphans.0, "orphan_bytes": shard.orphans.1, "widows": shard.widows,
        "damaged": shard.damaged,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::roles::Double;
    use crate::testing::run;

    fn double(orphans: u64) -> Double {
        let segment = |segment, live| SegmentSpace { segment, live, dead: 5, bytes: 100, allocated: 90 };
        let shard = ShardSpace {
            shard: 0,
            segments: vec![segment(1, 20), segment(2, 40)],
            orphans: (orphans, orphans * 7),
            ..ShardSpace::default()
        };
        Double::default().with_summary(Summary::Scanned(vec![shard]), &[])
    }

    #[tokio::test]
    async fn shards_and_segments_are_listed() {
        let run = run("scan_mss -segments").with_roles(double(0)).done().await;
        assert_eq!((run.exit, run.errors().as_str()), (Exit::OK, ""));
        let text = run.output();
        assert!(
            text.contains("\n    0         2    60    10      180        0             0       0        0\n"),
            "{text}"
        );
        assert!(text.contains("\n    0        2    40     5     100       90\n"), "{text}");
    }

    #[tokio::test]
    async fn what_does_not_add_up_shows_in_the_exit_code() {
        let run = run("scan_mss -segments --json").with_roles(double(2)).done().await;
        let value: serde_json::Value = serde_json::from_str(&run.output()).unwrap();
        assert_eq!((run.exit, &value[0]["segments"][1]["live"]), (Exit(3), &json!(40)));
    }
}
