//! The page of one process: what it has counted, and what nobody counts as it happens.

use catalog::metrics::{QUEUE_DUE, QUEUE_ITEMS, QUEUE_OLDEST};
use env::Env;
use env::clock::Moment;
use mail::id::TraceId;
use roles::Call;
use roles::queue::{MailQueue, QueueError};
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// How long the queue may take to say how full it is; without an answer the last one stands.
const QUEUE_DEADLINE: Duration = Duration::from_secs(5);
/// Counting the queue reads all of it. It is done so seldom that it takes at most one part in this many of the time.
const QUEUE_SHARE: u32 = 100;

/// A page of metrics in the text format of Prometheus.
pub trait Page: Send + Sync {
    /// As the numbers are now.
    fn text(&self) -> Pin<Box<dyn Future<Output = String> + Send + '_>>;
}

/// Whom a page asks for what nobody counts as it happens.
#[derive(Clone, Default)]
pub struct Sources {
    /// The queue, where this process has it.
    pub queue: Option<Arc<dyn MailQueue>>,
}

/// The page of this process.
pub struct Pages {
    env: Env,
    sources: Sources,
    /// Before this the queue is not counted again.
    next_count: Mutex<Option<Moment>>,
}

impl Pages {
    /// Of the process of these surroundings.
    pub fn new(env: Env, sources: Sources) -> Self {
        Self { env, sources, next_count: Mutex::default() }
    }

    /// Brings what nobody counts as it happens up to now.
    async fn ask(&self) {
        let Some(queue) = &self.sources.queue else { return };
        let begun = self.env.clock.moment();
        if self.next().is_some_and(|next| begun < next) {
            return;
        }
        let counted = tokio::time::timeout(QUEUE_DEADLINE, self.count(&**queue)).await;
        *self.next() = Some(self.env.clock.moment() + begun.elapsed() * QUEUE_SHARE);
        if let Ok(Ok((items, due, oldest))) = counted {
            self.env.metrics.set(QUEUE_ITEMS, &[], items);
            self.env.metrics.set(QUEUE_DUE, &[], due);
            self.env.metrics.set(QUEUE_OLDEST, &[], oldest);
        }
    }

    fn next(&self) -> MutexGuard<'_, Option<Moment>> {
        self.next_count.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Items, items due, seconds since the oldest came in. Ids grow, so the first of the list is the oldest.
    async fn count(&self, queue: &dyn MailQueue) -> Result<(u64, u64, u64), QueueError> {
        let call = Call::new(self.env.random.request_id(), TraceId::new("metrics"));
        let counts = queue.counts(&call).await?;
        let first = queue.item_list(&call, None, 1).await?;
        let oldest = first.first().map_or(0, |item| self.env.clock.now().since(item.arrived).as_secs());
        Ok((counts.items, counts.due, oldest))
    }
}

impl Page for Pages {
    fn text(&self) -> Pin<Box<dyn Future<Output = String> + Send + '_>> {
        Box::pin(async {
            self.ask().await;
            self.env.metrics.page()
        })
    }
}
