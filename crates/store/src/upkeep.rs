//! What runs beside the requests: taking away what removed folders have left, forgetting old request ids, giving back
//! the space of what is gone.
//!
//! A reconciler: takes no input, may be stopped at any point, runs when it is rung and from time to time.

use crate::open::Inner;
use env::Env;
use std::sync::Arc;
use std::time::Duration;
use storage::mailboxes::{expire, pending, purge};
use storage::shard::{Shard, ShardError};
use tokio::sync::Notify;

/// Time between two looks without a ring.
const PERIOD: Duration = Duration::from_secs(600);

/// Starts it.
pub(crate) fn start(store: &Inner) {
    let (env, shards, bell) = (store.env.clone(), store.shards.clone(), Arc::clone(&store.purge));
    let mut stopping = env.tasks.stopping();
    let tasks = env.tasks.clone();
    tasks.spawn(async move {
        let space = storage::shard::keep_collected(&env, &shards);
        tokio::select! {
            () = stopping.wait() => {}
            () = run(&env, &shards, &bell) => {}
            () = space => {}
        }
    });
}

async fn run(env: &Env, shards: &[Shard], bell: &Notify) {
    loop {
        for shard in shards {
            // What fails otherwise is done the next time.
            if let Err(ShardError::Closed) = once(env, shard).await {
                return;
            }
        }
        tokio::select! {
            () = bell.notified() => {}
            () = env.clock.sleep(PERIOD) => {}
        }
    }
}

async fn once(env: &Env, shard: &Shard) -> Result<(), ShardError> {
    while let Some(what) = shard.read(|view| pending(view)).await? {
        shard.commit(move |tx| purge(tx, what)).await?;
        // The committer's line belongs to those who wait for an answer.
        tokio::task::yield_now().await;
    }
    let now = env.clock.now();
    while shard.commit(move |tx| expire(tx, now)).await? {}
    Ok(())
}
