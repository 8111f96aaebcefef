//! One work at work: its pace, how far it is, what it has found, and who still asks for it.

use env::Env;
use env::clock::{Clock, Moment};
use mail::id::RequestId;
use roles::maintenance::{
    Finding, Keep, MaintenanceError, Order, Summary, Task, TaskId, TaskState, TaskStatus, Unit,
};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use storage::pace::{Pace, Rate};
use tokio::sync::Notify;

/// Most tasks that run at the same time.
const MAX_RUNNING: usize = 8;
/// Ended tasks that are remembered.
const MAX_ENDED: usize = 50;
/// Findings that are kept of one task; more are counted.
const MAX_FINDINGS: usize = 100_000;
/// Findings of one answer.
const PAGE: usize = 500;
/// Longest wait of one question.
const MAX_WAIT: Duration = Duration::from_secs(30);
/// A task that nobody asks for is given up after this long, where it was started so.
const PATIENCE: Duration = Duration::from_secs(60);

/// All tasks of a store.
#[derive(Default)]
pub(crate) struct Jobs(Mutex<BTreeMap<TaskId, Arc<Job>>>);

impl Jobs {
    /// A new task, or the one that this request has started before.
    pub(super) fn add(
        &self,
        request: RequestId,
        task: Task,
        keep: Keep,
        env: &Env,
    ) -> Result<(Arc<Job>, bool), MaintenanceError> {
        let mut jobs = self.lock();
        if let Some(before) = jobs.values().find(|job| job.request == request) {
            return Ok((Arc::clone(before), false));
        }
        if jobs.values().filter(|job| !job.state().state.is_over()).count() >= MAX_RUNNING {
            return Err(MaintenanceError::Busy);
        }
        let ended: Vec<_> =
            jobs.values().filter(|job| job.state().state.is_over()).map(|job| job.id).collect();
        let too_many = (ended.len() + 1).saturating_sub(MAX_ENDED);
        ended.iter().take(too_many).for_each(|id| drop(jobs.remove(id)));
        let id = TaskId(jobs.keys().next_back().map_or(1, |last| last.0 + 1));
        let job = Arc::new(Job::new(id, request, task, keep, &env.clock));
        jobs.insert(id, Arc::clone(&job));
        Ok((job, true))
    }

    pub(super) fn find(&self, id: TaskId) -> Result<Arc<Job>, MaintenanceError> {
        self.lock().get(&id).map(Arc::clone).ok_or(MaintenanceError::NoTask)
    }

    pub(super) fn list(&self) -> Vec<TaskStatus> {
        self.lock().values().map(|job| job.status(u64::MAX)).collect()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<TaskId, Arc<Job>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One task.
pub(crate) struct Job {
    pub(super) id: TaskId,
    pub(super) task: Task,
    pub(crate) pace: Pace,
    request: RequestId,
    keep: Keep,
    clock: Clock,
    done: AtomicU64,
    total: AtomicU64,
    state: Mutex<State>,
    /// Rung when there is a finding, or the end.
    news: Notify,
}

struct State {
    state: TaskState,
    findings: Vec<Finding>,
    found: u64,
    summary: Option<Summary>,
    /// When somebody last asked.
    asked: Moment,
}

impl Job {
    fn new(id: TaskId, request: RequestId, task: Task, keep: Keep, clock: &Clock) -> Self {
        let rate = match &task {
            Task::Collect(collect) => collect.rate,
            Task::Verify(verify) => verify.rate,
            Task::MoveFiles(files) => files.rate,
            Task::Scan | Task::RemoveOrphans(_) => 0,
        };
        let state = State {
            state: TaskState::Running,
            findings: Vec::new(),
            found: 0,
            summary: None,
            asked: clock.moment(),
        };
        Self {
            id,
            task,
            pace: Pace::new(clock, move || Rate::per_second(rate)),
            request,
            keep,
            clock: clock.clone(),
            done: AtomicU64::new(0),
            total: AtomicU64::new(0),
            state: Mutex::new(state),
            news: Notify::new(),
        }
    }

    /// How much there is to do.
    pub(super) fn expect(&self, total: u64) {
        self.total.store(total, Ordering::Relaxed);
    }

    /// So much more is done.
    pub(super) fn advance(&self, by: u64) {
        self.done.fetch_add(by, Ordering::Relaxed);
    }

    /// So much is done.
    pub(super) fn reached(&self, done: u64) {
        self.done.store(done, Ordering::Relaxed);
    }

    /// Something was found.
    pub(super) fn found(&self, finding: Finding) {
        let mut state = self.state();
        state.found += 1;
        if state.findings.len() < MAX_FINDINGS {
            state.findings.push(finding);
        }
        drop(state);
        self.news.notify_waiters();
    }

    /// Ends when nobody has asked for a task that is to run only while somebody does.
    pub(super) async fn abandoned(&self) {
        loop {
            let (asked, paused) = (self.state().asked, self.pace.is_paused());
            let idle = self.clock.moment() - asked;
            if idle >= PATIENCE && !paused && self.keep == Keep::WhileFollowed {
                self.pace.end();
                return;
            }
            self.clock.sleep(PATIENCE.saturating_sub(idle).max(Duration::from_secs(1))).await;
        }
    }

    /// It has come to an end.
    pub(super) fn end(&self, outcome: Result<Summary, MaintenanceError>) {
        let mut state = self.state();
        (state.state, state.summary) = match outcome {
            Ok(summary) if self.pace.is_ended() => (TaskState::Stopped, Some(summary)),
            Ok(summary) => (TaskState::Done, Some(summary)),
            Err(_) if self.pace.is_ended() => (TaskState::Stopped, None),
            Err(error) => (TaskState::Failed(error.to_string()), None),
        };
        drop(state);
        self.news.notify_waiters();
    }

    pub(super) fn order(&self, order: Order) {
        match order {
            Order::Pause => self.pace.pause(),
            Order::Resume => self.pace.resume(),
            Order::Stop => self.pace.end(),
        }
    }

    /// The task, once there is something new or it is over, or after this long.
    pub(super) async fn follow(&self, from: u64, wait: Duration) -> TaskStatus {
        let end = self.clock.moment() + wait.min(MAX_WAIT);
        loop {
            let mut news = std::pin::pin!(self.news.notified());
            // Heard from here on: what is found after the look below wakes us.
            news.as_mut().enable();
            self.state().asked = self.clock.moment();
            let status = self.status(from);
            let left = end.saturating_duration_since(self.clock.moment());
            if status.state.is_over() || !status.findings.is_empty() || left.is_zero() {
                return status;
            }
            tokio::select! {
                () = news => {}
                () = self.clock.sleep(left) => {}
            }
        }
    }

    fn status(&self, from: u64) -> TaskStatus {
        let state = self.state();
        let from = usize::try_from(from).unwrap_or(usize::MAX);
        let (done, total) = (self.done.load(Ordering::Relaxed), self.total.load(Ordering::Relaxed));
        TaskStatus {
            id: self.id,
            task: self.task.clone(),
            state: match &state.state {
                TaskState::Running if self.pace.is_paused() => TaskState::Paused,
                other => other.clone(),
            },
            done: done.min(total),
            total,
            unit: if matches!(self.task, Task::Verify(_) | Task::MoveFiles(_)) {
                Unit::Bytes
            } else {
                Unit::Segments
            },
            found: state.found,
            findings: state.findings.iter().skip(from).take(PAGE).cloned().collect(),
            summary: state.summary.clone(),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
