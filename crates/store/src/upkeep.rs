//! What runs beside the requests: taking away what removed folders have left, forgetting old request ids and what was
//! kept for restores, giving back the space of what is gone. With `messageTracing`,
//! each message that goes so is logged.
//!
//! A reconciler: takes no input, may be stopped at any point, runs when it is rung and from time to time.

use crate::moving::clear_departed;
use crate::open::{Inner, Switches};
use crate::placement::Placement;
use catalog::events::ms;
use env::Env;
use env::settings::Live;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use storage::mailboxes::{Purge, Purged, expire, forget, pending, purge};
use storage::shard::{Shard, ShardError, Transaction, keep_collected};
use tokio::sync::Notify;

/// Time between two looks without a ring.
const PERIOD: Duration = Duration::from_secs(60);

/// What it works with.
struct Upkeep {
    env: Env,
    shards: Vec<Shard>,
    bell: Arc<Notify>,
    switches: Live<Switches>,
    restores: Arc<Restores>,
    placement: Arc<Placement>,
}

/// How many restores are going on: what they put back must not be forgotten meanwhile.
#[derive(Default)]
pub(crate) struct Restores(AtomicUsize);

/// One restore; ends when it is dropped.
pub(crate) struct Restoring<'a>(&'a Restores);

impl Restores {
    pub(crate) fn begin(&self) -> Restoring<'_> {
        self.0.fetch_add(1, Ordering::SeqCst);
        Restoring(self)
    }

    /// Whether any is going on.
    fn any(&self) -> bool {
        self.0.load(Ordering::SeqCst) > 0
    }
}

impl Drop for Restoring<'_> {
    fn drop(&mut self) {
        self.0.0.fetch_sub(1, Ordering::SeqCst);
    }
}

/// Starts it.
pub(crate) fn start(store: &Inner) {
    let upkeep = Upkeep {
        env: store.env.clone(),
        shards: store.shards.clone(),
        bell: Arc::clone(&store.purge),
        switches: store.switches.clone(),
        restores: Arc::clone(&store.restores),
        placement: Arc::clone(&store.placement),
    };
    let mut stopping = store.env.tasks.stopping();
    let tasks = store.env.tasks.clone();
    tasks.spawn(async move {
        tokio::select! {
            () = stopping.wait() => {}
            () = upkeep.run() => {}
            () = keep_collected(&upkeep.env, &upkeep.shards) => {}
        }
    });
}

impl Upkeep {
    async fn run(&self) {
        loop {
            for shard in &self.shards {
                // What fails otherwise is done the next time.
                if let Err(ShardError::Closed) = self.once(shard).await {
                    return;
                }
            }
            tokio::select! {
                () = self.bell.notified() => {}
                () = self.env.clock.sleep(PERIOD) => {}
            }
        }
    }

    async fn once(&self, shard: &Shard) -> Result<(), ShardError> {
        if !self.placement.stirs() {
            clear_departed(shard).await?;
        }
        let now = self.env.clock.now();
        while shard.commit(move |tx| expire(tx, now)).await? {}
        let until = now.minus(self.switches.get().keep);
        let restores = &self.restores;
        loop {
            // Asked on the committer: a restore that began before it is seen, one that begins later sees what is left.
            let restores = Arc::clone(restores);
            let more =
                shard.commit(move |tx| if restores.any() { Ok(false) } else { forget(tx, until) }).await?;
            if !more {
                break;
            }
            // The committer's line belongs to those who wait for an answer.
            tokio::task::yield_now().await;
        }
        while let Some(what) = shard.read(move |view| pending(view, now)).await? {
            let restores = Arc::clone(restores);
            let step = move |tx: &mut Transaction<'_>| match restores.any() {
                true => Ok::<_, ShardError>(None),
                false => purge(tx, what).map(Some),
            };
            let Some(gone) = shard.commit(step).await? else { break };
            self.trace(what, gone);
            tokio::task::yield_now().await;
        }
        Ok(())
    }

    fn trace(&self, what: Purge, gone: Purged) {
        if self.switches.get().trace {
            let Purge { mailbox, folder, .. } = what;
            let log = |uid| self.env.log.emit(&ms::MsMsgDeleted { mailbox, folder, uid, by: "folder" });
            gone.uids.into_iter().for_each(log);
        }
    }
}
