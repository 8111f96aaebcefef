//! Who waits for news of which mailbox.
//!
//! A mailbox has a bell while somebody watches it: a counter and a list of sleepers. A watcher that waits costs a
//! pointer, a number and its place in that list. News of a mailbox that nobody watches costs one look-up.

use mail::id::MailboxId;
use roles::store::{StoreError, Watch};
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use tokio::sync::Notify;

/// Locks that the bells are spread over.
const SPREAD: usize = 16;

/// All bells.
#[derive(Default)]
pub(crate) struct Watchers {
    bells: [Mutex<Bells>; SPREAD],
    /// Whether the store has been closed.
    closed: AtomicBool,
}

type Bells = HashMap<MailboxId, Weak<Bell>>;

#[derive(Default)]
struct Bell {
    rung: AtomicU64,
    sleepers: Notify,
}

impl Watchers {
    /// Watches a mailbox from now on.
    pub(crate) fn watch(self: &Arc<Self>, mailbox: MailboxId) -> Watcher {
        let mut bells = self.bells(mailbox);
        let bell = match bells.entry(mailbox) {
            Entry::Occupied(mut held) => held.get().upgrade().unwrap_or_else(|| {
                let bell = Arc::new(Bell::default());
                held.insert(Arc::downgrade(&bell));
                bell
            }),
            Entry::Vacant(place) => {
                let bell = Arc::new(Bell::default());
                place.insert(Arc::downgrade(&bell));
                bell
            }
        };
        drop(bells);
        let seen = bell.rung.load(Ordering::Acquire);
        Watcher { seen, mailbox, bell, all: Arc::clone(self) }
    }

    /// Tells all watchers of a mailbox that it has changed.
    pub(crate) fn publish(&self, mailbox: MailboxId) {
        let bell = self.bells(mailbox).get(&mailbox).and_then(Weak::upgrade);
        if let Some(bell) = bell {
            bell.rung.fetch_add(1, Ordering::AcqRel);
            bell.sleepers.notify_waiters();
        }
    }

    /// Whether the store has gone.
    pub(crate) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }

    /// Tells all watchers that the store has gone.
    pub(crate) fn close(&self) {
        self.closed.store(true, Ordering::Release);
        for bells in &self.bells {
            let bells: Vec<_> =
                bells.lock().unwrap_or_else(PoisonError::into_inner).values().cloned().collect();
            for bell in bells.iter().filter_map(Weak::upgrade) {
                bell.rung.fetch_add(1, Ordering::AcqRel);
                bell.sleepers.notify_waiters();
            }
        }
    }

    fn bells(&self, mailbox: MailboxId) -> MutexGuard<'_, Bells> {
        let place = (mailbox.0.cast_unsigned() % SPREAD as u64) as usize;
        self.bells[place].lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One watcher.
pub(crate) struct Watcher {
    seen: u64,
    mailbox: MailboxId,
    bell: Arc<Bell>,
    all: Arc<Watchers>,
}

impl Watcher {
    async fn wait(&mut self) -> Result<(), StoreError> {
        loop {
            // Taken before the counter is looked at: a ring between the two is not missed.
            let sleep = self.bell.sleepers.notified();
            let rung = self.bell.rung.load(Ordering::Acquire);
            if self.all.is_closed() {
                return Err(StoreError::Unavailable);
            }
            if rung != self.seen {
                self.seen = rung;
                return Ok(());
            }
            sleep.await;
        }
    }
}

impl Watch for Watcher {
    fn changed<'a>(&'a mut self) -> Pin<Box<dyn Future<Output = Result<(), StoreError>> + Send + 'a>> {
        Box::pin(self.wait())
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        let mut bells = self.all.bells(self.mailbox);
        // The last one takes the bell down; whoever comes now waits for the lock and puts up another.
        if Arc::strong_count(&self.bell) == 1 {
            bells.remove(&self.mailbox);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn waits(mut news: Pin<Box<dyn Future<Output = Result<(), StoreError>> + Send + '_>>) -> bool {
        std::future::poll_fn(|cx| std::task::Poll::Ready(news.as_mut().poll(cx).is_pending())).await
    }

    #[tokio::test]
    async fn news_reach_watchers_of_that_mailbox_also_when_they_came_first() {
        let all = Arc::new(Watchers::default());
        let (mut a, mut b) = (all.watch(MailboxId(1)), all.watch(MailboxId(1)));
        let mut other = all.watch(MailboxId(17));
        all.publish(MailboxId(1));
        all.publish(MailboxId(1));
        a.changed().await.unwrap();
        b.changed().await.unwrap();
        assert!(waits(a.changed()).await);
        assert!(waits(other.changed()).await);
    }

    #[tokio::test]
    async fn who_watches_hears_that_the_store_has_gone() {
        let all = Arc::new(Watchers::default());
        let mut watcher = all.watch(MailboxId(1));
        let mut other = all.watch(MailboxId(2));
        let close = async { all.close() };
        let (heard, ()) = tokio::join!(watcher.changed(), close);
        assert_eq!(
            (heard, other.changed().await),
            (Err(StoreError::Unavailable), Err(StoreError::Unavailable))
        );
        assert!(all.watch(MailboxId(3)).changed().await.is_err());
    }

    #[test]
    fn nothing_is_left_when_the_last_watcher_goes() {
        let all = Arc::new(Watchers::default());
        let (a, b) = (all.watch(MailboxId(-1)), all.watch(MailboxId(-1)));
        drop(a);
        assert_eq!(all.bells(MailboxId(-1)).len(), 1);
        drop(b);
        assert!(all.bells(MailboxId(-1)).is_empty());
    }
}
