//! What takes space: each segment of each shard, and what nothing refers to or is not there (ITS 14513).

use super::{Job, audit};
use crate::error::Fail;
use crate::open::Inner;
use roles::maintenance::{SegmentSpace, ShardSpace, Summary};
use std::ops::ControlFlow;

pub(super) async fn perform(store: &Inner, job: &Job) -> Result<Summary, Fail> {
    job.expect(store.shards.len() as u64);
    let mut shards = Vec::with_capacity(store.shards.len());
    for (number, shard) in (0..).zip(&store.shards) {
        if let ControlFlow::Break(()) = job.pace.step(0).await {
            break;
        }
        let uses = shard.all_segments().await?;
        let segments = uses.iter().map(|one| SegmentSpace {
            segment: one.segment,
            live: one.live,
            dead: one.dead,
            bytes: one.bytes,
            allocated: one.allocated,
        });
        let audit = audit(shard).await?;
        shards.push(ShardSpace {
            shard: number,
            segments: segments.collect(),
            orphans: (audit.orphans.len() as u64, audit.orphans.iter().map(|o| o.bytes).sum()),
            widows: audit.widows.len() as u64,
            damaged: audit.damaged.len() as u64,
        });
        job.advance(1);
    }
    Ok(Summary::Scanned(shards))
}
