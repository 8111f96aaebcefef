//! A few threads for work that would hold up a runtime thread: hashing, filters, signatures.
//!
//! The line in front is bounded: when it is full the caller hears so at once and can answer "try later".

use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::oneshot;

type Job = Box<dyn FnOnce() + Send>;

/// A bounded pool of threads.
#[derive(Clone)]
pub struct Compute {
    line: SyncSender<Job>,
}

/// The line is full (or the pool is gone): try later.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Busy;

impl Compute {
    /// This many threads with a line of at most `waiting` jobs. The threads end when the last clone is dropped.
    ///
    /// # Panics
    /// Where the system starts no threads: the process is of no use without them.
    pub fn new(threads: usize, waiting: usize) -> Self {
        let (line, jobs) = sync_channel::<Job>(waiting);
        let jobs = Arc::new(Mutex::new(jobs));
        for n in 0..threads.max(1) {
            let jobs = Arc::clone(&jobs);
            let thread = std::thread::Builder::new().name(format!("compute-{n}"));
            thread
                .spawn(move || work(&jobs))
                .unwrap_or_else(|e| panic!("no thread for the compute pool: {e}"));
        }
        Self { line }
    }

    /// Runs the closure on a thread of the pool.
    ///
    /// # Errors
    /// [`Busy`] at once where the line is full, or when the job panicked.
    pub async fn run<T, F>(&self, job: F) -> Result<T, Busy>
    where
        T: Send + 'static,
        F: FnOnce() -> T + Send + 'static,
    {
        let (answer, wait) = oneshot::channel();
        let job: Job = Box::new(move || {
            let _ = answer.send(job());
        });
        self.line.try_send(job).map_err(|_| Busy)?;
        wait.await.map_err(|_| Busy)
    }
}

fn work(jobs: &Mutex<Receiver<Job>>) {
    loop {
        let next = jobs.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(job) = next else { return };
        // A job that panics costs its caller an answer, not the pool a thread.
        let _ = std::panic::catch_unwind(std::panic::AssertUnwindSafe(job));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn runs_jobs_and_survives_a_panic() {
        let pool = Compute::new(1, 4);
        assert_eq!(pool.run(|| 6 * 7).await, Ok(42));
        assert_eq!(pool.run(|| panic!("on purpose")).await, Err::<(), _>(Busy));
        assert_eq!(pool.run(|| 1).await, Ok(1));
    }

    #[tokio::test]
    async fn a_full_line_says_so() {
        let pool = Compute::new(1, 1);
        let (hold, held) = std::sync::mpsc::sync_channel::<()>(0);
        let (begun, begin) = oneshot::channel();
        let first = pool.run(move || {
            let _ = begun.send(());
            let _ = held.recv();
        });
        let mut first = Box::pin(first);
        assert!(
            std::future::poll_fn(|cx| std::task::Poll::Ready(first.as_mut().poll(cx).is_pending())).await
        );
        begin.await.unwrap();
        let mut second = Box::pin(pool.run(|| ()));
        assert!(
            std::future::poll_fn(|cx| std::task::Poll::Ready(second.as_mut().poll(cx).is_pending())).await
        );
        assert_eq!(pool.run(|| ()).await, Err(Busy));
        hold.send(()).unwrap();
        assert_eq!((first.await, second.await), (Ok(()), Ok(())));
    }
}
