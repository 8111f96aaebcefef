//! Commands for the copy of the directory on a host.

pub mod imcachecheck;
pub mod imcachecontrol;
pub mod imcachecopy;
pub mod imcacheread;
pub mod imdirprobe;
pub mod imdirsync;
pub mod imdirupdate;

use crate::context::{Context, Failure};
use roles::directory::DirectoryError;
use roles::directory::cache::DirectoryCache;
use std::future::Future;
use std::time::Duration;

/// How often the bar is drawn.
const EVERY: Duration = Duration::from_millis(250);
/// Characters of the bar.
const BAR: u64 = 30;

/// Waits for long work on the copy, with a bar.
async fn follow<T>(
    context: &mut Context,
    cache: &dyn DirectoryCache,
    work: impl Future<Output = Result<T, DirectoryError>>,
) -> Result<T, Failure> {
    let mut work = std::pin::pin!(work);
    let done = loop {
        match tokio::time::timeout(EVERY, &mut work).await {
            Ok(done) => break done,
            Err(_) => {
                let status = cache.cache_status(&context.call()).await;
                if let Some(doing) = status.ok().and_then(|status| status.doing) {
                    context.console.progress(Some(&bar(doing.done, doing.total))).await?;
                }
            }
        }
    };
    context.console.progress(None).await?;
    done.map_err(Failure::because)
}

fn bar(done: u64, total: u64) -> String {
    let filled = (done * BAR).checked_div(total).unwrap_or(0).min(BAR);
    let mark = |count: u64, mark: &str| mark.repeat(usize::try_from(count).unwrap_or(0));
    format!("[{}{}] {done} of {total} accounts", mark(filled, "#"), mark(BAR - filled, "."))
}

#[cfg(test)]
mod tests;
