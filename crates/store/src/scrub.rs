//! The background check: every message is read once in `scrubPeriodInDays`, so that damage is known while there still
//! is a backup without it.
//!
//! A reconciler. Its rate is what the period asks for; where it is it notes in the shard, so that a restart goes on.

use crate::maintenance::walk::{Met, Walker};
use crate::open::{Inner, Store};
use catalog::events::ms;
use catalog::keys::mss::SCRUB_PERIOD_IN_DAYS;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use storage::mailboxes::{ScrubRow, next_mailbox, put_scrub, scrub};
use storage::pace::{Pace, Rate};
use storage::shard::ShardError;

/// Time between two looks whether a round is due.
const PERIOD: Duration = Duration::from_secs(600);
/// Slower than this it never reads: a small store is read in an hour or so of the period.
const MIN_RATE: u64 = 64 << 10;
/// Where it is is noted after this many bytes.
const NOTE_AFTER: u64 = 16 << 20;
const DAY: Duration = Duration::from_secs(86_400);

/// Starts it.
pub(crate) fn start(store: &Store) {
    let (store, mut stopping) = (store.clone(), store.inner().env.tasks.stopping());
    let tasks = store.inner().env.tasks.clone();
    tasks.spawn(async move {
        tokio::select! {
            () = stopping.wait() => {}
            () = run(store.inner()) => {}
        }
    });
}

async fn run(store: &Inner) {
    let live = Arc::new(AtomicU64::new(0));
    let (bytes, settings) = (Arc::clone(&live), store.env.settings.clone());
    let pace = Pace::new(&store.env.clock, move || match settings.get(SCRUB_PERIOD_IN_DAYS) {
        0 => Rate::Rest,
        days => Rate::per_second((bytes.load(Ordering::Relaxed) / (days * DAY.as_secs())).max(MIN_RATE)),
    });
    loop {
        store.env.clock.sleep(PERIOD).await;
        live.store(store.shards.iter().map(|s| s.status().live_bytes).sum(), Ordering::Relaxed);
        let days = store.env.settings.get(SCRUB_PERIOD_IN_DAYS);
        for shard in 0..store.shards.len() {
            if days > 0
                && matches!(
                    once(store, shard, &pace, DAY * days.try_into().unwrap_or(1)).await,
                    Err(ShardError::Closed)
                )
            {
                return;
            }
        }
    }
}

/// One round of a shard, or what is left of it; nothing where the last one began less than `period` ago.
pub(crate) async fn once(
    store: &Inner,
    shard: usize,
    pace: &Pace,
    period: Duration,
) -> Result<(), ShardError> {
    let here = &store.shards[shard];
    let now = store.env.clock.now();
    let mut round = match here.read(|view| scrub(view)).await? {
        Some(round) if round.done && now.since(round.begun) < period => return Ok(()),
        Some(round) if !round.done => round,
        _ => ScrubRow { begun: now, ..ScrubRow::default() },
    };
    let (walker, mut unnoted) = (Walker::new(store, 1, pace, &|_| {}), 0);
    loop {
        let after = round.last;
        let Some(id) = here.read(move |view| next_mailbox(view, after)).await? else { break };
        let met = match store.shard_number(id) == shard {
            true => walker.mailbox(shard, id, &|_, _| {}).await?,
            false => Met::default(),
        };
        round.last = Some(id);
        round.messages += met.messages;
        round.bytes += met.bytes;
        round.damaged += met.damaged;
        unnoted += met.bytes;
        if unnoted >= NOTE_AFTER {
            unnoted = 0;
            here.commit(move |tx| put_scrub(tx, &round)).await?;
        }
        if met.ended {
            return Ok(());
        }
    }
    round.done = true;
    here.commit(move |tx| put_scrub(tx, &round)).await?;
    let seconds = store.env.clock.now().since(round.begun).as_secs();
    let (messages, bytes, damaged) = (round.messages, round.bytes, round.damaged);
    store.env.log.emit(&ms::MsScrubbed { path: here.path().display(), messages, bytes, damaged, seconds });
    Ok(())
}
