//! Tasks with a count and an end: the only place that spawns.
//!
//! A session serves one connection, a worker takes work from a line, a reconciler makes the world fit a wish, on a
//! timer and on a nudge. All hear [`Stopping`] and have until the drain's deadline to finish.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::sync::{Notify, watch};

/// The tasks of a process.
#[derive(Clone)]
pub struct Tasks(Arc<Shared>);

struct Shared {
    running: AtomicUsize,
    ended: Notify,
    stop: watch::Sender<bool>,
}

/// Tells a task that the process is to end.
#[derive(Clone)]
pub struct Stopping(watch::Receiver<bool>);

impl Tasks {
    /// None yet.
    #[expect(clippy::new_without_default, reason = "a set of tasks is made once, by name")]
    pub fn new() -> Self {
        let (running, ended) = (AtomicUsize::new(0), Notify::new());
        Self(Arc::new(Shared { running, ended, stop: watch::Sender::new(false) }))
    }

    /// Starts a task. A task that panics ends alone and is counted out like any other.
    #[expect(clippy::disallowed_methods, reason = "this is the one place that spawns")]
    pub fn spawn<F>(&self, task: F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        self.0.running.fetch_add(1, Ordering::AcqRel);
        let leave = Leave(Arc::clone(&self.0));
        tokio::spawn(async move {
            let _leave = leave;
            task.await;
        });
    }

    /// What tells a task to end.
    pub fn stopping(&self) -> Stopping {
        Stopping(self.0.stop.subscribe())
    }

    /// Tells all tasks to end.
    pub fn stop(&self) {
        self.0.stop.send_replace(true);
    }

    /// Tasks that run now.
    pub fn running(&self) -> usize {
        self.0.running.load(Ordering::Acquire)
    }

    /// Tells all tasks to end and waits for them, at most this long. Returns how many are left.
    pub async fn drain(&self, at_most: Duration) -> usize {
        self.stop();
        let all_ended = async {
            loop {
                let ended = self.0.ended.notified();
                if self.running() == 0 {
                    return;
                }
                ended.await;
            }
        };
        let _ = tokio::time::timeout(at_most, all_ended).await;
        self.running()
    }
}

/// Counts the task out, also when it panics.
struct Leave(Arc<Shared>);

impl Drop for Leave {
    fn drop(&mut self) {
        self.0.running.fetch_sub(1, Ordering::AcqRel);
        self.0.ended.notify_waiters();
    }
}

impl Stopping {
    /// Ends when the process is to end.
    pub async fn wait(&mut self) {
        // A sender that is gone means the same: the process is ending.
        let _ = self.0.wait_for(|stop| *stop).await;
    }

    /// Whether the process is to end.
    pub fn is_set(&self) -> bool {
        *self.0.borrow()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn drain_waits_for_tasks_that_listen_and_counts_those_that_do_not() {
        let tasks = Tasks::new();
        let mut stopping = tasks.stopping();
        tasks.spawn(async move { stopping.wait().await });
        tasks.spawn(std::future::pending());
        assert_eq!(tasks.running(), 2);
        assert_eq!(tasks.drain(Duration::from_millis(50)).await, 1);
    }
}
