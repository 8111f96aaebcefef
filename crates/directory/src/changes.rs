//! Following the log of changes: after every change of our own, and on a timer for those of other processes.

use crate::fault::Fault;
use crate::server::{DirectoryServer, Shared};
use crate::source::Source;
use catalog::keys::imdircacheserv::{DIR_CACHE_UPDATE_PERIOD, LOG_AGE_HOURS};
use roles::directory::DirectoryError;
use std::sync::atomic::Ordering;
use std::time::Duration;
use storage::directory::MAX_PAGE;

/// Most pages of the log that are applied one by one; beyond them it is cheaper to begin with empty caches.
const MAX_PAGES: usize = 16;
/// How often old entries of the log are removed.
const PURGE_EVERY: Duration = Duration::from_secs(600);

impl DirectoryServer {
    /// Starts the reconciler: it follows the log and keeps it short, until the process ends.
    pub fn follow_changes(&self) {
        let shared = std::sync::Arc::clone(&self.shared);
        self.shared.env.tasks.spawn(async move { shared.follow().await });
    }
}

impl Shared {
    async fn follow(&self) {
        let mut stopping = self.env.tasks.stopping();
        let mut purged = self.env.clock.moment();
        loop {
            let period = self.period(self.env.settings.get(DIR_CACHE_UPDATE_PERIOD));
            tokio::select! {
                () = self.env.clock.sleep(period) => {}
                () = stopping.wait() => return,
            }
            // What fails now is tried again after the period; it has been logged.
            let _ = self.catch_up().await;
            if self.env.clock.moment().saturating_duration_since(purged) >= PURGE_EVERY {
                purged = self.env.clock.moment();
                let _ = self.purge().await;
            }
        }
    }

    /// Brings the copy up to date, where there is one, and forgets what has changed. An outage of the database is logged
    /// once.
    pub(crate) async fn catch_up(&self) -> Result<(), Fault> {
        let done = self.catch_up_now().await;
        if let Source::Server(_) = &self.source {
            return done;
        }
        let away = matches!(&done, Err(Fault(DirectoryError::Unavailable)));
        let was_reachable = self.reachable.swap(!away, Ordering::AcqRel);
        if away && !was_reachable { done } else { self.noted(done) }
    }

    async fn catch_up_now(&self) -> Result<(), Fault> {
        if !self.prepared.load(Ordering::Acquire) {
            self.prepare().await?;
        }
        match self.copy.get() {
            Some(copy) => self.catch_up_copy(copy).await,
            None => self.forget_changed().await,
        }
    }

    /// Forgets what has changed since the caches last heard of changes.
    async fn forget_changed(&self) -> Result<(), Fault> {
        for _ in 0..MAX_PAGES {
            let heard = self.heard.load(Ordering::Acquire);
            let page = self.read(move |rows| {
                let changes = rows.changes_after(heard, MAX_PAGE)?;
                Ok::<_, Fault>((changes, rows.last_change()?))
            });
            let (changes, last) = page.await?;
            if last <= heard {
                return Ok(());
            }
            // Where the entry that should come next is gone, nobody knows what else has changed.
            if changes.first().is_none_or(|first| first.id != heard + 1) {
                return self.begin_anew(last);
            }
            for change in &changes {
                self.cache.forget(&change.what);
            }
            if let Some(newest) = changes.last() {
                self.heard.fetch_max(newest.id, Ordering::AcqRel);
            }
        }
        let last = self.read(|rows| Ok::<_, Fault>(rows.last_change()?)).await;
        self.begin_anew(last?)
    }

    fn begin_anew(&self, last: i64) -> Result<(), Fault> {
        self.cache.forget_all();
        self.heard.fetch_max(last, Ordering::AcqRel);
        Ok(())
    }

    async fn purge(&self) -> Result<(), Fault> {
        let hours = self.env.settings.get(LOG_AGE_HOURS);
        let now = self.env.clock.now();
        let before = now.minus(Duration::from_secs(hours.saturating_mul(3600)));
        let Ok(tables) = self.tables() else { return Ok(()) };
        let done = tables.write(now, String::new(), move |e| Ok::<_, Fault>(e.purge_changes(before)?));
        self.noted(done.await).map(|_| ())
    }
}
