//! Which space is given back, and when: the policy over the steps of `reclaim`.
//!
//! A collection goes through the segments that are due or poor: first holes, which cost no writing; then copying out
//! what lives in those where holes do not help. Its [`Pace`] stands between the steps: rate, pause, end. Ending it at
//! any point loses nothing and leaves nothing (ITS 13307); the next collection goes on.
//!
//! [`keep_collected`] is the reconciler that message store and mail queue both run: it collects when the committer has
//! rung, because enough has died, and from time to time.

use super::keeper;
use super::reclaim::{DUE_PART, SegmentUse};
use super::{Shard, ShardError, Shared};
use crate::pace::{Pace, Rate};
use catalog::events::ms;
use catalog::keys::common::{RECLAIM_PAUSED, RECLAIM_PERIOD_IN_MINUTES, RECLAIM_RATE_IN_KB_PER_SEC};
use env::Env;
use futures_util::future::select_all;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// Bytes that are copied in one commit: it must not hold up those of clients.
const COPY_STEP: u64 = 1 << 20;
/// What holes cost, as a part of what they give back: the file system keeps a log, too.
const HOLE_COST_PART: u64 = 16;
/// The bell rings when this part of what lives has died.
const BELL_PART: u64 = 128;
/// Who deletes a message often deletes more: they are collected together.
const AFTER_BELL: Duration = Duration::from_secs(10);

/// What a collection has done.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Collected {
    /// Segments that were looked at.
    pub segments: u64,
    /// Segments in which holes were made.
    pub punched: u64,
    /// Bytes of disk that the holes gave back.
    pub hole_bytes: u64,
    /// Blobs that were copied.
    pub copied: u64,
    /// Their bytes.
    pub copied_bytes: u64,
    /// Segments from which everything was copied, so that they go.
    pub emptied: u64,
    /// Bytes of disk that came free, less those that copies take.
    pub freed: u64,
    /// Segments and blobs that cannot be read as they were written, and stay where they are.
    pub damaged: u64,
    /// Bytes of disk that all segments take now.
    pub allocated: u64,
}

impl Collected {
    /// Adds what was done in another shard.
    pub fn add(&mut self, other: &Self) {
        self.segments += other.segments;
        self.punched += other.punched;
        self.hole_bytes += other.hole_bytes;
        self.copied += other.copied;
        self.copied_bytes += other.copied_bytes;
        self.emptied += other.emptied;
        self.freed += other.freed;
        self.damaged += other.damaged;
        self.allocated += other.allocated;
    }
}

/// What a collection would do.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Collectable {
    /// Segments that would be looked at.
    pub segments: u64,
    /// Those of them that are due or poor.
    pub due: u64,
    /// Bytes of disk that all segments take.
    pub allocated: u64,
    /// Bytes of disk that would come back at most: what the due segments take beyond what lives in them.
    pub bytes: u64,
}

impl Collectable {
    /// Adds what would be done in another shard.
    pub fn add(&mut self, other: &Self) {
        self.segments += other.segments;
        self.due += other.due;
        self.allocated += other.allocated;
        self.bytes += other.bytes;
    }
}

/// How far a collection is: segments done, of how many.
pub type Collecting<'a> = &'a (dyn Fn(u64, u64) + Sync);

impl Shard {
    /// What [`Shard::collect`] would do now.
    ///
    /// # Errors
    /// As [`Shard::segment_uses`].
    pub async fn collectable(&self) -> Result<Collectable, ShardError> {
        let uses = self.segment_uses().await?;
        let due = uses.iter().filter(|one| is_wanted(one));
        let bytes = due.clone().map(|one| one.allocated.saturating_sub(one.live)).sum();
        let (segments, due) = (uses.len() as u64, due.count() as u64);
        Ok(Collectable { segments, due, allocated: self.allocated().await?, bytes })
    }

    /// Gives back what is due, at this pace, and says how far it is. Where the pace ends it, what was done until then.
    /// Segments that are held or damaged are passed over.
    ///
    /// # Errors
    /// As [`Shard::punch`], where the shard as a whole fails.
    pub async fn collect(&self, pace: &Pace, progress: Collecting<'_>) -> Result<Collected, ShardError> {
        let uses = self.segment_uses().await?;
        let mut done = Collected { segments: uses.len() as u64, ..Collected::default() };
        let wanted: Vec<_> = uses.into_iter().filter(is_wanted).collect();
        let total = wanted.len() as u64;
        for (at, one) in (0..).zip(wanted) {
            progress(at, total);
            match self.collect_one(one, pace, &mut done).await {
                Ok(true) => {}
                // Ended, or the disk is full: copying on would not help.
                Ok(false) | Err(ShardError::Full) => break,
                // Removed meanwhile, or held.
                Err(ShardError::Gone) => {}
                Err(error @ ShardError::Corrupt(_)) => {
                    done.damaged += 1;
                    self.shared.env.log.emit(&ms::MsDamaged { what: error });
                }
                Err(error) => return Err(error),
            }
        }
        progress(total, total);
        self.job(|shared| Ok(keeper::remove_dead(shared))).await?;
        self.sweep().await?;
        done.allocated = self.allocated().await?;
        Ok(done)
    }

    /// One segment; `false` where the pace has ended it.
    async fn collect_one(
        &self,
        mut one: SegmentUse,
        pace: &Pace,
        done: &mut Collected,
    ) -> Result<bool, ShardError> {
        if one.is_due() {
            let punched = self.punch(one.segment).await?;
            let given_back = one.allocated.saturating_sub(punched.allocated);
            done.punched += 1;
            done.hole_bytes += given_back;
            done.freed += given_back;
            one = punched;
            if pace.step(given_back / HOLE_COST_PART).await.is_break() {
                return Ok(false);
            }
        }
        match one.is_poor() {
            true => self.copy_all_out(one, pace, done).await,
            false => Ok(true),
        }
    }

    /// Copies what lives in a segment, so that it goes; `false` where the pace has ended it.
    async fn copy_all_out(
        &self,
        one: SegmentUse,
        pace: &Pace,
        done: &mut Collected,
    ) -> Result<bool, ShardError> {
        let (mut from, mut copied_bytes, mut damaged) = (Some(0), 0, 0);
        while let Some(at) = from {
            let copied = self.copy_out(one.segment, at, COPY_STEP).await?;
            done.copied += copied.blobs;
            done.copied_bytes += copied.bytes;
            copied_bytes += copied.bytes;
            damaged += copied.damaged;
            from = copied.next;
            if pace.step(copied.bytes).await.is_break() {
                done.damaged += damaged;
                return Ok(false);
            }
        }
        done.damaged += damaged;
        if damaged == 0 {
            done.emptied += 1;
            done.freed += one.allocated.saturating_sub(copied_bytes);
        }
        Ok(true)
    }

    /// Bytes of disk that all segments take.
    async fn allocated(&self) -> Result<u64, ShardError> {
        Ok(self.all_segments().await?.iter().map(|one| one.allocated).sum())
    }

    /// Ends when so much has died that collecting is worth it. Only one waits.
    pub async fn enough_died(&self) {
        self.shared.enough_died.notified().await;
    }
}

impl Shared {
    /// Counts what has died, and rings when it is enough for one segment at least to be due.
    pub(super) fn died(&self, bytes: u64) {
        if bytes == 0 {
            return;
        }
        let (died, live) = (&self.counters.died_bytes, &self.counters.live_bytes);
        let sum = died.fetch_add(bytes, Ordering::Relaxed) + bytes;
        let enough = (self.options.segment_bytes / DUE_PART).max(live.load(Ordering::Relaxed) / BELL_PART);
        if sum > enough {
            died.store(0, Ordering::Relaxed);
            self.enough_died.notify_one();
        }
    }
}

fn is_wanted(one: &SegmentUse) -> bool {
    one.is_due() || one.is_poor()
}

/// Collects whatever is due in these shards, one after the other, by the keys of their server, until a shard is closed.
pub async fn keep_collected(env: &Env, shards: &[Shard]) {
    let rate = env.settings.live(|keys| match keys.get(RECLAIM_PAUSED) {
        true => Rate::Rest,
        false => Rate::per_second(keys.get(RECLAIM_RATE_IN_KB_PER_SEC) * 1024),
    });
    let pace = Pace::new(&env.clock, move || *rate.get());
    loop {
        let bells = select_all(shards.iter().map(|shard| Box::pin(shard.enough_died())));
        let period = Duration::from_secs(60 * env.settings.get(RECLAIM_PERIOD_IN_MINUTES));
        tokio::select! {
            _ = bells => env.clock.sleep(AFTER_BELL).await,
            () = env.clock.sleep(period) => {}
        }
        for shard in shards {
            // Not even looked at while it is to rest.
            let _ = pace.step(0).await;
            let begun = env.clock.moment();
            match shard.collect(&pace, &|_, _| {}).await {
                Ok(done) => shard.report(&done, env.clock.moment() - begun),
                Err(ShardError::Closed) => return,
                // What failed is done the next time; the committer has said what is wrong with the shard.
                Err(_) => {}
            }
        }
    }
}

impl Shard {
    fn report(&self, done: &Collected, took: Duration) {
        if done.punched + done.copied + done.damaged == 0 {
            return;
        }
        self.shared.env.log.emit(&ms::MsReclaimed {
            path: self.shared.path(),
            segments: done.segments,
            freed: done.freed,
            copied: done.copied_bytes,
            damaged: done.damaged,
            millis: took.as_millis(),
        });
    }
}
