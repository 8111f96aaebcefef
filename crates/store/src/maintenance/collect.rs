//! Giving the space of deleted mail back, in all shards, now: what `immssgc` asks for. The reconciler does the same by
//! itself (`storage::shard::keep_collected`).

use super::Job;
use crate::error::Fail;
use crate::open::Inner;
use roles::maintenance::{Collect, Collected, Mode, Summary};
use storage::shard::{self, Collectable};

pub(super) async fn perform(store: &Inner, job: &Job, collect: Collect) -> Result<Summary, Fail> {
    let mut expected = Collectable::default();
    for shard in &store.shards {
        expected.add(&shard.collectable().await?);
    }
    let mut summary = Collected {
        shards: store.shards.len() as u64,
        segments: expected.segments,
        due: expected.due,
        would_free: expected.bytes,
        allocated: expected.allocated,
        ..Collected::default()
    };
    if collect.mode == Mode::Apply {
        job.expect(expected.due);
        let (mut done, mut before) = (shard::Collected::default(), 0);
        for shard in &store.shards {
            let due = shard.collectable().await?.due;
            done.add(&shard.collect(&job.pace, &|at, _| job.reached(before + at)).await?);
            before += due;
        }
        summary = Collected {
            punched: done.punched,
            emptied: done.emptied,
            copied_bytes: done.copied_bytes,
            freed: done.freed,
            allocated: done.allocated,
            damaged: done.damaged,
            ..summary
        };
    }
    Ok(Summary::Collected(summary))
}
