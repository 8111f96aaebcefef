//! The committer: one thread that runs the tasks of a shard, and makes each group of them durable with one sync.
//!
//! A group is whatever waits when the last one is done, with what comes in the moment after it (`gather`). Order within
//! a group: run all tasks, write, sync, apply to the index, run what they left for after the commit, answer. Nobody
//! hears of a task, not even of its refusal, before the state it was decided on is durable.
//!
//! Failures: no space gives the group up and leaves the shard as it was; a failed sync or any other failed write ends
//! commits for this process; an index that fails is opened again and caught up from the log.

use super::error::{ShardError, is_full};
use super::gather::{self, Pace, Waited};
use super::index::Index;
use super::keeper::Keeper;
use super::live::{self, Live};
use super::log::{FinishError, Log};
use super::record::Op;
use super::rows::Seen;
use super::transaction::{Group, Transaction};
use super::{Shared, recover};
use catalog::events::{db, ms};
use catalog::metrics::{SHARD_APPLY, SHARD_COMMITS, SHARD_SYNC, SHARD_TASKS};
use env::clock::Moment;
use fjall::Slice;
use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};

/// Most tasks of one group.
const MAX_GROUP: usize = 1024;
/// How long the index may take to have room before it counts as stuck.
const INDEX_PATIENCE: Duration = Duration::from_secs(20);
/// An apply that takes longer is counted and reported.
const SLOW_APPLY: Duration = Duration::from_secs(1);

/// What stands in the line.
pub(crate) enum Message {
    Task(Box<dyn Job>),
    Close(oneshot::Sender<()>),
}

/// A task with the place where its answer goes.
pub(crate) trait Job: Send {
    /// Runs it; `true` where what it did is to be kept.
    fn run(&mut self, tx: &mut Transaction<'_>) -> bool;
    /// Answers it, with the outcome of its group.
    fn finish(self: Box<Self>, outcome: Result<(), ShardError>);
}

/// A closure of a caller as a job.
pub(crate) struct Task<F, T, E> {
    task: Option<F>,
    outcome: Option<Result<T, E>>,
    answer: oneshot::Sender<Result<T, E>>,
}

impl<F, T, E> Task<F, T, E> {
    pub(crate) fn new(task: F) -> (Self, oneshot::Receiver<Result<T, E>>) {
        let (answer, wait) = oneshot::channel();
        (Self { task: Some(task), outcome: None, answer }, wait)
    }
}

impl<F, T, E> Job for Task<F, T, E>
where
    F: FnOnce(&mut Transaction<'_>) -> Result<T, E> + Send,
    T: Send,
    E: From<ShardError> + Send,
{
    fn run(&mut self, tx: &mut Transaction<'_>) -> bool {
        let Some(task) = self.task.take() else { return false };
        let outcome = task(tx);
        let keep = outcome.is_ok();
        self.outcome = Some(outcome);
        keep
    }

    fn finish(self: Box<Self>, outcome: Result<(), ShardError>) {
        let answer = match outcome {
            Ok(()) => self.outcome.unwrap_or(Err(ShardError::Panicked.into())),
            Err(error) => Err(error.into()),
        };
        // Who asked may be gone; what was committed stays.
        let _ = self.answer.send(answer);
    }
}

/// Why commits are not taken.
enum Trouble {
    /// For good.
    Broken(ShardError),
    /// The index missed a durable group: it must be opened again.
    IndexBehind,
}

/// The thread's state.
pub(crate) struct Committer {
    pub(crate) shared: Arc<Shared>,
    log: Log,
    live: BTreeMap<u32, Live>,
    keeper: Keeper,
    trouble: Option<Trouble>,
    /// Since when there is no space: said once, not for every refusal.
    full_since: Option<Moment>,
    pace: Pace,
}

impl Committer {
    pub(crate) fn new(shared: Arc<Shared>, log: Log, live: BTreeMap<u32, Live>, keeper: Keeper) -> Self {
        Self { shared, log, live, keeper, trouble: None, full_since: None, pace: Pace::default() }
    }

    /// Runs until the shard is closed or nobody holds it any more.
    pub(crate) fn run(mut self, mut line: mpsc::Receiver<Message>) {
        let (mut received, mut waiting) = (Vec::new(), VecDeque::new());
        let mut closed = None;
        while line.blocking_recv_many(&mut received, MAX_GROUP) > 0 {
            self.gather(&mut line, &mut received);
            for message in received.drain(..) {
                match message {
                    Message::Task(job) if closed.is_none() => waiting.push_back(job),
                    Message::Task(job) => job.finish(Err(ShardError::Closed)),
                    Message::Close(answer) => {
                        // The channel still gives what was sent before it was closed.
                        line.close();
                        closed.get_or_insert_with(Vec::new).push(answer);
                    }
                }
            }
            while !waiting.is_empty() {
                self.group(&mut waiting);
            }
        }
        self.keeper.stop();
        self.shared.shut();
        drop(self);
        for answer in closed.into_iter().flatten() {
            let _ = answer.send(());
        }
    }

    /// Waits a moment for more, where more is likely to come.
    fn gather(&self, line: &mut mpsc::Receiver<Message>, received: &mut Vec<Message>) {
        let mut waited = Waited::default();
        while self.pace.waits(received.len(), waited) {
            std::thread::sleep(gather::STEP);
            let before = received.len();
            received.extend(std::iter::from_fn(|| line.try_recv().ok()).take(MAX_GROUP));
            waited.step(received.len() - before);
        }
    }

    fn group(&mut self, waiting: &mut VecDeque<Box<dyn Job>>) {
        let mut ran = Vec::with_capacity(waiting.len().min(MAX_GROUP));
        let outcome = self.try_group(waiting, &mut ran);
        if outcome.is_err() && ran.is_empty() {
            ran.extend(waiting.drain(..));
        }
        self.pace.group(ran.len());
        self.shared.env.metrics.add(SHARD_TASKS, ran.len() as u64);
        for job in ran {
            job.finish(outcome.clone());
        }
    }

    fn try_group(
        &mut self,
        waiting: &mut VecDeque<Box<dyn Job>>,
        ran: &mut Vec<Box<dyn Job>>,
    ) -> Result<(), ShardError> {
        let free = self.ready()?;
        let shared = Arc::clone(&self.shared);
        let held = shared.index();
        let index = held.get()?;
        let mut group = Group::default();
        while let Some(mut job) = waiting.pop_front() {
            self.run_task(&mut *job, index, &mut group, free);
            ran.push(job);
            let bytes = self.log.group_bytes().saturating_add(group.row_bytes as u64);
            if group.failed.is_some() || bytes >= shared.options.group_bytes as u64 {
                break;
            }
        }
        self.commit(index, group)
    }

    fn run_task(&mut self, job: &mut dyn Job, index: &Index, group: &mut Group, free: u64) {
        let seen = Seen::new(&self.shared.counters.rows_read);
        let mut tx = Transaction::new(index, &mut self.log, group, (free, seen));
        // A task that panics is a bug of one caller; the others of the group must not pay for it.
        let keep = catch_unwind(AssertUnwindSafe(|| job.run(&mut tx))).unwrap_or(false);
        if keep { tx.keep() } else { tx.discard() }
    }

    /// Whether a group can be begun, and how many bytes of bodies it may have.
    fn ready(&mut self) -> Result<u64, ShardError> {
        if let Some(Trouble::Broken(error)) = &self.trouble {
            return Err(error.clone());
        }
        self.held()?;
        // The volume of the log may be full while another is not.
        if self.trouble.is_none() && self.log.has_groups() && self.shared.disk.wants_new_file() {
            self.roll()?;
        }
        let space = self.shared.disk.space().map_err(ShardError::io)?;
        let reserve = self.shared.options.reserve.min(space.total / 16);
        // Rows may use a part of the reserve, so that a full disk can still be emptied by its users.
        if space.free < reserve / 4 {
            return Err(self.full());
        }
        if matches!(self.trouble, Some(Trouble::IndexBehind)) {
            self.reopen_index()?;
        }
        if self.log.durable().offset >= self.shared.options.segment_bytes {
            self.roll()?;
        }
        Ok(space.free.saturating_sub(reserve))
    }

    /// Whether the shard is still this process's. One that has been taken is never again.
    fn held(&mut self) -> Result<(), ShardError> {
        let shared = Arc::clone(&self.shared);
        let Some(holder) = &shared.options.holder else { return Ok(()) };
        let held = holder.check(&shared.path);
        if let Err(error @ ShardError::Fenced(owner)) = &held {
            let (path, epoch) = (shared.path(), holder.title().epoch);
            shared.env.log.emit(&ms::MsLoadedByOtherMSS { path, owner, epoch });
            self.trouble = Some(Trouble::Broken(error.clone()));
        }
        held
    }

    fn roll(&mut self) -> Result<(), ShardError> {
        let old = self.log.durable().segment;
        self.log.roll().map_err(|e| self.write_failed(&e))?;
        if self.live.get(&old).is_none_or(|l| l.live == 0) {
            self.shared.dead_segment(old);
        }
        self.keeper.nudge();
        Ok(())
    }

    fn commit(&mut self, index: &Index, mut group: Group) -> Result<(), ShardError> {
        if let Some(error) = group.failed {
            return Err(self.give_up(&error));
        }
        if group.full {
            self.full();
        }
        if !group.rows.is_empty() || !group.segments.is_empty() {
            let has_room = !group.full && group.segments.values().any(|delta| delta.total > 0);
            let live = self.count_live(&mut group);
            self.write(&group)?;
            // Another may have taken the shard since the group was begun: then it has read the log before this was there,
            // or has it. It is not acknowledged here.
            if self.held().is_err() {
                self.trouble.get_or_insert(Trouble::IndexBehind);
                return Err(ShardError::Unavailable);
            }
            if has_room {
                self.has_space();
            }
            self.apply(index, group.rows)?;
            self.counted(live);
        }
        self.shared.counters.groups.fetch_add(1, Ordering::Relaxed);
        self.shared.env.metrics.add(SHARD_COMMITS, 1);
        for hook in group.hooks {
            let _ = catch_unwind(AssertUnwindSafe(hook));
        }
        Ok(())
    }

    /// Turns what the group did to segments into rows of the group; returns the new counts.
    fn count_live(&self, group: &mut Group) -> Vec<(u32, Live)> {
        let current = self.log.durable().segment;
        if !self.live.contains_key(&current) {
            group.segments.entry(current).or_default();
        }
        let mut counts = Vec::with_capacity(group.segments.len());
        for (&segment, delta) in &group.segments {
            let old = self.live.get(&segment).copied().unwrap_or_default();
            let new =
                Live { live: old.live.saturating_add_signed(delta.live), total: old.total + delta.total };
            group.rows.insert(Slice::from(live::key(segment)), Some(new.encode().into()));
            counts.push((segment, new));
        }
        for segment in self.shared.take_removed() {
            group.rows.insert(Slice::from(live::key(segment)), None);
        }
        counts
    }

    fn counted(&mut self, counts: Vec<(u32, Live)>) {
        let current = self.log.durable().segment;
        let mut died = 0;
        for (segment, count) in counts {
            let before = self.live.insert(segment, count).unwrap_or_default();
            died += before.live.saturating_sub(count.live);
            let live_bytes = &self.shared.counters.live_bytes;
            live_bytes.fetch_add(count.live.wrapping_sub(before.live), Ordering::Relaxed);
            if count.live == 0 && segment != current {
                self.shared.dead_segment(segment);
                self.keeper.nudge();
            }
        }
        self.shared.died(died);
    }

    fn write(&mut self, group: &Group) -> Result<(), ShardError> {
        let mut payload = Vec::with_capacity(group.row_bytes + 256);
        for (key, value) in &group.rows {
            match value {
                Some(value) => Op::Put { key, value }.encode(&mut payload),
                None => Op::Delete { key }.encode(&mut payload),
            }
        }
        let begun = self.shared.env.clock.moment();
        let finished = self.log.finish(&payload);
        self.shared.env.metrics.record(SHARD_SYNC, begun.elapsed());
        match finished {
            Ok(_) => Ok(()),
            Err(FinishError::Write(error)) => Err(self.give_up(&error)),
            Err(FinishError::Sync(error)) => Err(self.break_down("a sync of the log failed", &error)),
        }
    }

    fn apply(&mut self, index: &Index, rows: BTreeMap<Slice, Option<Slice>>) -> Result<(), ShardError> {
        let clock = &self.shared.env.clock;
        let begun = clock.moment();
        let position = self.log.durable();
        let applied = if index.wait_for_room(INDEX_PATIENCE) {
            index.apply(rows.into_iter(), position)
        } else {
            Err(ShardError::broken("the index does not write its tables"))
        };
        let took = clock.moment() - begun;
        self.shared.env.metrics.record(SHARD_APPLY, took);
        if took > SLOW_APPLY {
            self.shared.counters.slow_applies.fetch_add(1, Ordering::Relaxed);
            self.shared.env.log.emit(&ms::MsIndexSlow { path: self.shared.path(), millis: took.as_millis() });
        }
        match applied {
            Ok(()) => {
                if self.shared.set_applied(position) {
                    self.keeper.nudge();
                }
                Ok(())
            }
            Err(error) => {
                self.shared.env.log.emit(&ms::MsIndexFailed { path: self.shared.path(), error });
                self.trouble = Some(Trouble::IndexBehind);
                Err(ShardError::Unavailable)
            }
        }
    }

    /// Opens the index again and gives it what it missed.
    fn reopen_index(&mut self) -> Result<(), ShardError> {
        let shared = Arc::clone(&self.shared);
        let applied = shared.reopen(|index| {
            let tail = recover::tail(&*shared.disk, index, Some(self.log.durable()))?;
            tail.replay(index)?;
            self.live = live::load(index)?;
            index.position()
        })?;
        self.shared.set_applied(applied.unwrap_or_default());
        let live_bytes = self.live.values().map(|l| l.live).sum();
        self.shared.counters.live_bytes.store(live_bytes, Ordering::Relaxed);
        self.trouble = None;
        self.shared.env.log.emit(&ms::MsIndexReopened { path: self.shared.path() });
        Ok(())
    }

    /// A write of the open group failed.
    fn give_up(&mut self, error: &io::Error) -> ShardError {
        if let Err(error) = self.log.give_up() {
            return self.break_down("the log could not be cut back", &error);
        }
        self.write_failed(error)
    }

    fn write_failed(&mut self, error: &io::Error) -> ShardError {
        if is_full(error) { self.full() } else { self.break_down("a write of the log failed", error) }
    }

    fn full(&mut self) -> ShardError {
        self.shared.counters.refused_full.fetch_add(1, Ordering::Relaxed);
        if self.full_since.is_none() {
            self.full_since = Some(self.shared.env.clock.moment());
            let (database, reason) = (self.shared.path(), "the disk is full");
            self.shared.env.log.emit(&db::DbWritesBlocked { database, reason });
        }
        ShardError::Full
    }

    /// A group has bodies: whatever was full is so no longer.
    fn has_space(&mut self) {
        if let Some(since) = self.full_since.take() {
            let (database, seconds) = (self.shared.path(), since.elapsed().as_secs());
            self.shared.env.log.emit(&db::DbWritesUnblocked { database, seconds });
        }
    }

    fn break_down(&mut self, what: &str, error: &io::Error) -> ShardError {
        let failure = ShardError::broken(format!("{what}: {error}"));
        self.shared.env.log.emit(&ms::MsShardBroken { path: self.shared.path(), error: &failure });
        self.trouble = Some(Trouble::Broken(failure.clone()));
        failure
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shard::{Rows, Shard, ShardOptions};
    use crate::sim::SimDisk;
    use bytes::Bytes;
    use env::Env;

    fn committer(path: &std::path::Path) -> Committer {
        let options = ShardOptions { segment_bytes: 4096, reserve: 0, ..ShardOptions::default() };
        Shard::recover(Arc::new(SimDisk::new()), path, options, &Env::for_test("mss")).unwrap()
    }

    /// Runs one task as a group of its own.
    fn run<T, F>(committer: &mut Committer, task: F) -> Result<T, ShardError>
    where
        F: FnOnce(&mut Transaction<'_>) -> Result<T, ShardError> + Send + 'static,
        T: Send + 'static,
    {
        let (task, mut answer) = Task::new(task);
        committer.group(&mut VecDeque::from([Box::new(task) as Box<dyn Job>]));
        answer.try_recv().unwrap()
    }

    #[test]
    fn an_index_that_missed_groups_is_caught_up_from_the_log() {
        let dir = tempfile::tempdir().unwrap();
        let mut c = committer(dir.path());
        run(&mut c, |tx| tx.put(b"a", b"1")).unwrap();
        // A group that the log has and the index refused, as when the index's own journal could not be written.
        let rows = BTreeMap::from([(Slice::from(b"b"), Some(Slice::from(b"2")))]);
        c.write(&Group { rows, ..Group::default() }).unwrap();
        c.trouble = Some(Trouble::IndexBehind);
        let seen = run(&mut c, |tx| {
            tx.put(b"c", b"3")?;
            Ok((tx.get(b"a")?.is_some(), tx.get(b"b")?.is_some()))
        });
        assert_eq!(seen.unwrap(), (true, true));
        // Also over the border of a segment, and with blobs.
        for n in 0..3u8 {
            run(&mut c, move |tx| tx.store(b"", &Bytes::from(vec![n; 5000]))).unwrap();
        }
        c.trouble = Some(Trouble::IndexBehind);
        assert!(run(&mut c, |tx| Ok(tx.get(b"c")?.is_some())).unwrap());
        assert!(c.trouble.is_none());
        let live: u64 = c.live.values().map(|l| l.live).sum();
        assert!(live > 15_000 && live == c.shared.counters.live_bytes.load(Ordering::Relaxed));
    }

    #[test]
    fn while_the_index_is_away_nothing_is_promised_and_then_all_is_there() {
        let dir = tempfile::tempdir().unwrap();
        let mut c = committer(dir.path());
        run(&mut c, |tx| tx.put(b"a", b"1")).unwrap();
        c.trouble = Some(Trouble::IndexBehind);
        let away = c.shared.reopen(|_| Err::<(), _>(ShardError::Full));
        assert!(away.is_err());
        assert!(matches!(c.shared.index().get(), Err(ShardError::Unavailable)));
        assert!(run(&mut c, |tx| Ok(tx.get(b"a")?.is_some())).unwrap());
    }
}
