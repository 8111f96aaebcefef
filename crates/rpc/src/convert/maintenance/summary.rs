//! What tasks come to.

use super::super::manager::millis;
use super::super::proto as p;
use super::super::{Bad, need};
use super::kind;
use p::task_summary::What;
use roles::maintenance as r;
use std::time::Duration;

/// Two types with the same names of plain fields, both ways.
macro_rules! alike {
    ($($ours:ident = $theirs:ident { $($field:ident),* })*) => {$(
        impl From<r::$ours> for p::$theirs {
            fn from(from: r::$ours) -> Self {
                Self { $($field: from.$field),* }
            }
        }

        impl From<p::$theirs> for r::$ours {
            fn from(from: p::$theirs) -> Self {
                Self { $($field: from.$field),* }
            }
        }
    )*};
}

alike! {
    Collected = CollectedSummary {
        shards, segments, due, punched, emptied, copied_bytes, freed, would_free, allocated, damaged
    }
    SegmentSpace = SegmentSpace { segment, live, dead, bytes, allocated }
    OrphansRemoved = OrphansRemovedSummary { found, bytes, young, removed, removed_bytes }
    VolumeSpace = VolumeSpace { path, segments, bytes, movable, free, total }
}

impl From<r::Verified> for p::VerifiedSummary {
    fn from(verified: r::Verified) -> Self {
        let found =
            |(kind, count): (r::FindingKind, u64)| p::FoundCount { kind: kind.word().to_owned(), count };
        Self {
            mailboxes: verified.mailboxes,
            folders: verified.folders,
            messages: verified.messages,
            bytes: verified.bytes,
            found: verified.found.into_iter().map(found).collect(),
            mended: verified.mended,
            at_once: verified.at_once,
            took_ms: millis(verified.took),
        }
    }
}

impl TryFrom<p::VerifiedSummary> for r::Verified {
    type Error = Bad;

    fn try_from(verified: p::VerifiedSummary) -> Result<Self, Bad> {
        let found = |found: p::FoundCount| Ok((kind(&found.kind)?, found.count));
        Ok(Self {
            mailboxes: verified.mailboxes,
            folders: verified.folders,
            messages: verified.messages,
            bytes: verified.bytes,
            found: verified.found.into_iter().map(found).collect::<Result<_, Bad>>()?,
            mended: verified.mended,
            at_once: verified.at_once,
            took: Duration::from_millis(verified.took_ms),
        })
    }
}

impl From<r::ShardSpace> for p::ShardSpace {
    fn from(space: r::ShardSpace) -> Self {
        Self {
            shard: space.shard,
            segments: space.segments.into_iter().map(Into::into).collect(),
            orphans: space.orphans.0,
            orphan_bytes: space.orphans.1,
            widows: space.widows,
            damaged: space.damaged,
        }
    }
}

impl From<p::ShardSpace> for r::ShardSpace {
    fn from(space: p::ShardSpace) -> Self {
        Self {
            shard: space.shard,
            segments: space.segments.into_iter().map(Into::into).collect(),
            orphans: (space.orphans, space.orphan_bytes),
            widows: space.widows,
            damaged: space.damaged,
        }
    }
}

impl From<r::FilesMoved> for p::FilesMovedSummary {
    fn from(moved: r::FilesMoved) -> Self {
        Self {
            from: moved.from,
            to: moved.to,
            segments: moved.segments,
            bytes: moved.bytes,
            unreadable: moved.unreadable,
            no_room: moved.no_room,
            volumes: moved.volumes.into_iter().map(Into::into).collect(),
        }
    }
}

impl From<p::FilesMovedSummary> for r::FilesMoved {
    fn from(moved: p::FilesMovedSummary) -> Self {
        Self {
            from: moved.from,
            to: moved.to,
            segments: moved.segments,
            bytes: moved.bytes,
            unreadable: moved.unreadable,
            no_room: moved.no_room,
            volumes: moved.volumes.into_iter().map(Into::into).collect(),
        }
    }
}

impl From<r::Summary> for p::TaskSummary {
    fn from(summary: r::Summary) -> Self {
        let what = match summary {
            r::Summary::Collected(collected) => What::Collected(collected.into()),
            r::Summary::Verified(verified) => What::Verified(verified.into()),
            r::Summary::Scanned(shards) => {
                What::Scanned(p::ScannedSummary { shards: shards.into_iter().map(Into::into).collect() })
            }
            r::Summary::OrphansRemoved(removed) => What::OrphansRemoved(removed.into()),
            r::Summary::FilesMoved(moved) => What::FilesMoved(moved.into()),
        };
        Self { what: Some(what) }
    }
}

impl TryFrom<p::TaskSummary> for r::Summary {
    type Error = Bad;

    fn try_from(summary: p::TaskSummary) -> Result<Self, Bad> {
        Ok(match need(summary.what, "summary")? {
            What::Collected(collected) => Self::Collected(collected.into()),
            What::Verified(verified) => Self::Verified(verified.try_into()?),
            What::Scanned(scanned) => Self::Scanned(scanned.shards.into_iter().map(Into::into).collect()),
            What::OrphansRemoved(removed) => Self::OrphansRemoved(removed.into()),
            What::FilesMoved(moved) => Self::FilesMoved(moved.into()),
        })
    }
}
