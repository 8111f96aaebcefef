//! Removing what nothing refers to (ITS 18610, 22198).
//!
//! No delivery can be caught half-way: a body and its first reference are one commit, and a body without a reference
//! never gets one again. The guard of age is for people: what a check reports today is still there to be looked at
//! until it has been known for that long.

use super::{Job, audit};
use crate::error::Fail;
use crate::open::Inner;
use roles::maintenance::{Finding, FindingKind, Mode, OrphansRemoved, RemoveOrphans, Summary};
use std::ops::ControlFlow;
use storage::mailboxes::{known_orphans, note_orphans};
use storage::shard::{Orphan, Shard, ShardError, Transaction};

/// Orphans that one commit removes.
const STEP: usize = 1000;

pub(super) async fn perform(store: &Inner, job: &Job, remove: RemoveOrphans) -> Result<Summary, Fail> {
    job.expect(store.shards.len() as u64);
    let mut summary = OrphansRemoved::default();
    for (number, shard) in (0..).zip(&store.shards) {
        if let ControlFlow::Break(()) = job.pace.step(0).await {
            break;
        }
        let orphans = audit(shard).await?.orphans;
        let old = note_and_choose(store, shard, &orphans, remove).await?;
        for orphan in &orphans {
            let mended = remove.mode == Mode::Apply && old.contains(orphan);
            job.found(finding(number, orphan, mended));
        }
        let bytes = |orphans: &[Orphan]| orphans.iter().map(|o| o.bytes).sum::<u64>();
        summary.found += orphans.len() as u64;
        summary.bytes += bytes(&orphans);
        summary.young += (orphans.len() - old.len()) as u64;
        summary.removed += old.len() as u64;
        summary.removed_bytes += bytes(&old);
        if remove.mode == Mode::Apply {
            remove_all(shard, &old).await?;
        }
        job.advance(1);
    }
    Ok(Summary::OrphansRemoved(summary))
}

/// Notes what there is, and says what has been known for long enough. A dry run notes nothing.
async fn note_and_choose(
    store: &Inner,
    shard: &Shard,
    orphans: &[Orphan],
    remove: RemoveOrphans,
) -> Result<Vec<Orphan>, ShardError> {
    let now = store.env.clock.now();
    if remove.mode == Mode::Apply {
        note(shard, orphans, now).await?;
    }
    let known = shard.read(|view| known_orphans(view)).await?;
    let is_old = |orphan: &&Orphan| {
        let since = known.get(&(orphan.segment, orphan.offset)).copied().unwrap_or(now);
        now.since(since) >= remove.age
    };
    Ok(orphans.iter().filter(is_old).copied().collect())
}

/// Notes which orphans there are.
pub(super) async fn note(
    shard: &Shard,
    orphans: &[Orphan],
    now: mail::time::Timestamp,
) -> Result<(), ShardError> {
    let known = shard.read(|view| known_orphans(view)).await?;
    if known.len() == orphans.len() && orphans.iter().all(|o| known.contains_key(&(o.segment, o.offset))) {
        return Ok(());
    }
    let orphans = orphans.to_vec();
    shard.commit(move |tx| note_orphans(tx, &orphans, now)).await
}

async fn remove_all(shard: &Shard, orphans: &[Orphan]) -> Result<(), ShardError> {
    for step in orphans.chunks(STEP) {
        let step = step.to_vec();
        let task = move |tx: &mut Transaction<'_>| {
            step.iter().try_for_each(|orphan| tx.remove_orphan(orphan).map(drop))
        };
        shard.commit(task).await?;
    }
    Ok(())
}

/// An orphan as it is reported.
pub(super) fn finding(shard: u32, orphan: &Orphan, mended: bool) -> Finding {
    Finding {
        kind: FindingKind::Orphan,
        shard,
        mailbox: None,
        folder: None,
        uid: None,
        message_id: None,
        bytes: orphan.bytes,
        detail: format!("segment {}, offset {}", orphan.segment, orphan.offset),
        mended,
    }
}
