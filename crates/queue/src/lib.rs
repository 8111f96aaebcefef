//! The mail queue: takes what cannot be delivered now, gives it to workers when it is due, remembers what came
//! of it, and says when to give up.
//!
//! Promises: an item is durable when it is taken and stays until every recipient is settled; two workers never
//! have the same recipients at once, and a worker that dies costs a lease, not mail; one destination that does
//! not answer does not hold up the others. Connecting, delivering and reporting are the MTA's (`mta::outbound`);
//! the keys and bodies are kept by `storage::deferred`.
//!
//! One file a verb: [`Queue`] holds what they share, and the path of an item is `accept`, `claim`, `settle`.

mod accept;
mod body;
mod claim;
mod claims;
mod maintenance;
mod ready;
mod recent;
pub mod schedule;
mod settle;
#[cfg(test)]
mod tests;

use catalog::events::qsrv::QsrvOperationFailed;
use catalog::keys::mta;
use catalog::metrics::Operation;
use claims::Claims;
use env::Env;
use env::settings::Live;
use mail::address::{Address, Domain};
use mail::id::QueueId;
use ready::Ready;
use recent::Recent;
use roles::queue::{
    Claimed, Handling, Listed, MailQueue, NewItem, Outcome, QueueCounts, QueueError, Settled,
};
use roles::{Answer, Call};
use schedule::Plan;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use storage::backup::{BackupError, Joining, Name, Work, servers};
use storage::deferred::Deferred;
use storage::shard::{Shard, ShardError, ShardOptions, ShardStatus, keep_collected};
use tokio::sync::Notify;

/// The queue of a site. Cloning shares it.
#[derive(Clone)]
pub struct Queue {
    shared: Arc<Shared>,
}

struct Shared {
    env: Env,
    deferred: Deferred,
    plan: Live<Plan>,
    state: Mutex<State>,
    /// One claim at a time, so that two do not look at the same rows.
    claiming: tokio::sync::Mutex<()>,
    nudge: Notify,
}

/// What is known of the queue without reading it. Never locked across a wait.
struct State {
    ready: Ready,
    claims: Claims,
    recent: Recent,
    last_id: u64,
}

impl Queue {
    /// Opens the queue in a folder, or makes one. All claims are free. Mail that is there is tried after
    /// `outboundDeferProcessInitialWait` at the earliest.
    ///
    /// # Errors
    /// As [`Deferred::open`].
    pub async fn open(folder: &Path, options: ShardOptions, env: &Env) -> Result<Self, ShardError> {
        let env = env.for_server("imqueueserv");
        let deferred = Deferred::open(folder, options, &env)?;
        let last_id = deferred.last_id().await?.map_or(0, |id| id.0);
        // ITS 18521: the queue has no times of its own, those of the MTA hold.
        let of_mta = env.settings.for_server("mta");
        let first = env.clock.now().plus(of_mta.get(mta::OUTBOUND_DEFER_PROCESS_INITIAL_WAIT));
        let mut ready = Ready::default();
        for (domain, due) in deferred.domains().await? {
            ready.offer(domain, due.max(first));
        }
        let claims = Claims::new(env.random.number());
        let state = Mutex::new(State { ready, claims, recent: Recent::default(), last_id });
        let plan = of_mta.live(plan);
        let (claiming, nudge) = (tokio::sync::Mutex::new(()), Notify::new());
        reclaim(&env, deferred.shard());
        Ok(Self { shared: Arc::new(Shared { env, deferred, plan, state, claiming, nudge }) })
    }

    /// Numbers of the shard beneath, for operators and load tests.
    pub fn status(&self) -> ShardStatus {
        self.shared.deferred.shard().status()
    }

    /// Adds everything that was taken before to the generation of a backup that is being made in this folder, while the
    /// queue works. Where the future is dropped, it ends.
    ///
    /// # Errors
    /// [`BackupError`]; the generation must not be finished then.
    pub async fn back_up(&self, generation: &Path, work: &Work) -> Result<(), BackupError> {
        let mut joining = Joining::new(generation, servers::QUEUE)?;
        let name = Name::parse(servers::QUEUE).ok_or_else(|| BackupError::Refused(servers::QUEUE.into()))?;
        let (to, number, earlier) = joining.shard(&name)?;
        let copy = self.shared.deferred.shard().back_up(to, number, earlier, work).await?;
        joining.add_shard(name, copy);
        work.run(move |_| joining.finish()).await.map(|_| ())
    }

    /// Waits for what has begun and closes the queue's files.
    pub async fn close(&self) {
        self.shared.deferred.close().await;
    }
}

/// Keeps giving back the space of mail that has left the queue.
fn reclaim(env: &Env, shard: &Shard) {
    let (of_queue, shards, mut stopping) = (env.clone(), [shard.clone()], env.tasks.stopping());
    env.tasks.spawn(async move {
        tokio::select! {
            () = stopping.wait() => {}
            () = keep_collected(&of_queue, &shards) => {}
        }
    });
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Logs a failure of the storage where it happened (ITS 21656) and says what it means for the caller. That a disk is
    /// full the storage says itself, once, not for each message that is refused.
    fn failed(&self, op: &str, item: QueueId, error: ShardError) -> QueueError {
        if matches!(error, ShardError::Full) {
            return QueueError::NoSpace;
        }
        self.env.log.emit(&QsrvOperationFailed { op, item, reason: &error });
        match error {
            ShardError::Io(_)
            | ShardError::Closed
            | ShardError::Fenced(_)
            | ShardError::Locked
            | ShardError::Unavailable => QueueError::Unavailable,
            other => QueueError::Broken(other.to_string()),
        }
    }

    /// How long until something may be due; zero where something is.
    fn until_due(&self) -> Option<Duration> {
        let state = self.state();
        let next = [state.ready.next_due(), state.claims.next_end()].into_iter().flatten().min()?;
        Some(next.since(self.env.clock.now()))
    }
}

fn plan(settings: &env::settings::Settings) -> Plan {
    let minutes = settings.get(mta::RETRY_INTERVALS_IN_MINUTES);
    let waits: Vec<_> =
        minutes.iter().filter_map(|m| m.trim().parse().ok()).map(|m: u32| MINUTE * m).collect();
    let hours = |n: u64| HOUR * u32::try_from(n).unwrap_or(u32::MAX);
    let warn_after = Some(settings.get(mta::DELAY_WARNING_IN_HOURS)).filter(|n| *n > 0).map(hours);
    Plan::new(&waits, hours(settings.get(mta::MAX_QUEUE_TIME_IN_HOURS)), warn_after)
}

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);

impl MailQueue for Queue {
    fn item_store<'a>(&'a self, call: &'a Call, item: NewItem) -> Answer<'a, QueueId, QueueError> {
        Box::pin(async move {
            let _timed = self.shared.env.metrics.time(Operation::QueueStore);
            accept::store(&self.shared, call, item).await
        })
    }

    fn item_claim<'a>(
        &'a self,
        _: &'a Call,
        limit: usize,
        lease: Duration,
    ) -> Answer<'a, Vec<Claimed>, QueueError> {
        Box::pin(async move {
            let _timed = self.shared.env.metrics.time(Operation::QueueClaim);
            claim::claim(&self.shared, limit, lease).await
        })
    }

    fn item_settle<'a>(
        &'a self,
        _: &'a Call,
        id: QueueId,
        claim: u64,
        outcomes: Vec<(Address, Outcome)>,
    ) -> Answer<'a, Settled, QueueError> {
        Box::pin(async move {
            let _timed = self.shared.env.metrics.time(Operation::QueueSettle);
            settle::settle(&self.shared, id, claim, outcomes).await
        })
    }

    fn item_list<'a>(
        &'a self,
        _: &'a Call,
        after: Option<QueueId>,
        limit: usize,
    ) -> Answer<'a, Vec<Listed>, QueueError> {
        Box::pin(maintenance::list(&self.shared, after, limit))
    }

    fn item_handle<'a>(&'a self, _: &'a Call, id: QueueId, handling: Handling) -> Answer<'a, (), QueueError> {
        Box::pin(maintenance::handle(&self.shared, id, handling))
    }

    fn domain_start<'a>(&'a self, _: &'a Call, domain: Domain) -> Answer<'a, u64, QueueError> {
        Box::pin(maintenance::start_domain(&self.shared, domain))
    }

    fn counts<'a>(&'a self, _: &'a Call) -> Answer<'a, QueueCounts, QueueError> {
        Box::pin(maintenance::counts(&self.shared))
    }

    fn wait_due<'a>(&'a self, _: &'a Call, at_most: Duration) -> Answer<'a, (), QueueError> {
        Box::pin(async move {
            let mut nudged = std::pin::pin!(self.shared.nudge.notified());
            // Heard from here on: what is stored after the look below wakes us.
            nudged.as_mut().enable();
            let wait = self.shared.until_due().unwrap_or(at_most).min(at_most);
            if !wait.is_zero() {
                tokio::select! {
                    () = nudged => {}
                    () = self.shared.env.clock.sleep(wait) => {}
                }
            }
            Ok(())
        })
    }
}
