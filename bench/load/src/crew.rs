//! A number of workers that share a number of jobs, within a limit of time.
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Instant;

/// Runs `each` for 0, 1, 2 ... up to `jobs`, `workers` at a time; begins none after `stop`.
pub(crate) async fn run<F, W>(workers: u64, jobs: u64, stop: Instant, each: F)
where
    F: Fn(u64) -> W + Clone + Send + 'static,
    W: Future<Output = ()> + Send,
{
    let next = Arc::new(AtomicU64::new(0));
    let crew: Vec<_> = (0..workers)
        .map(|_| {
            let (next, each) = (next.clone(), each.clone());
            tokio::spawn(async move {
                loop {
                    let k = next.fetch_add(1, Relaxed);
                    if k >= jobs || Instant::now() > stop {
                        return;
                    }
                    each(k).await;
                }
            })
        })
        .collect();
    for worker in crew {
        let _ = worker.await;
    }
}
