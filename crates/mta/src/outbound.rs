//! Outgoing mail: takes from the queue what is due and sees that it gets on.
//!
//! Promises that every recipient of an item is delivered, tried again later, or reported to the sender, and that
//! a crash at any moment repeats a step rather than leaving one out. A worker asks for as much as it has hands;
//! which destination gets how much of it, and when something is tried again, is the queue's business.
//!
//! The path of a claim: `attempt` sorts its recipients, `local` and `remote` deliver, `verdict` says what the
//! answers mean, `bounce` reports, and the settlement ends it.

mod attempt;
mod bounce;
mod local;
mod pool;
mod remote;
mod rules;
mod session;
mod table;
#[cfg(test)]
mod tests;
mod verdict;

use crate::Mta;
use attempt::LEASE;
use env::clock::Clock;
use env::settings::Live;
use mail::address::Domain;
use mail::id::TraceId;
use net::dial::NextHop;
use net::tls_client::TlsClient;
use pool::Pool;
use roles::Call;
use roles::queue::Claimed;
use roles::submission::Submission;
use rules::OutboundRules;
use rustls_pki_types::UnixTime;
use session::Session;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::sync::Notify;

/// How long a worker waits for something to do before it looks again by itself.
const LOOK_AGAIN: Duration = Duration::from_secs(60);
/// How long a worker waits after the queue has refused it.
const AFTER_REFUSAL: Duration = Duration::from_secs(5);

/// The worker of outgoing mail.
pub struct Outbound {
    mta: Arc<Mta>,
    submission: Arc<dyn Submission>,
    tls: TlsClient,
    rules: Live<OutboundRules>,
    pool: Pool,
    running: AtomicUsize,
    ended: Notify,
}

/// What a session is begun with.
pub(crate) struct Dialing<'a> {
    pub(crate) rules: &'a OutboundRules,
    pub(crate) tls: &'a TlsClient,
    pub(crate) hello: &'a str,
    pub(crate) clock: &'a Clock,
}

impl Dialing<'_> {
    /// For the validity of certificates.
    pub(crate) fn unix_time(&self) -> UnixTime {
        let secs = u64::try_from(self.clock.now().as_secs()).unwrap_or(0);
        UnixTime::since_unix_epoch(Duration::from_secs(secs))
    }
}

impl Outbound {
    /// A worker for an MTA; reports go to `submission`.
    pub fn new(mta: Arc<Mta>, submission: Arc<dyn Submission>, tls: TlsClient) -> Arc<Self> {
        let log = mta.env.log.clone();
        let rules = mta.env.settings.live(move |settings| OutboundRules::read(settings, &log));
        let (running, ended) = (AtomicUsize::new(0), Notify::new());
        Arc::new(Self { mta, submission, tls, rules, pool: Pool::default(), running, ended })
    }

    /// Works until the process is told to stop. Attempts that have begun are tasks of their own and are drained with
    /// the others; one that is cut off is repeated from the queue.
    pub async fn run(self: Arc<Self>) {
        let mut stopping = self.mta.env.tasks.stopping();
        while !stopping.is_set() {
            let claimed = tokio::select! {
                () = stopping.wait() => break,
                claimed = self.next_work() => claimed,
            };
            for claimed in claimed {
                self.begin(claimed);
            }
        }
    }

    /// What to begin now; perhaps nothing, after some waiting.
    async fn next_work(&self) -> Vec<Claimed> {
        self.sweep();
        let env = &self.mta.env;
        let room = self.rules.get().sessions.saturating_sub(self.running.load(Ordering::Acquire));
        let call = Call::new(env.random.request_id(), TraceId::new("outbound"));
        let look_again = self.pool.next_sweep().map_or(LOOK_AGAIN, |sweep| sweep.min(LOOK_AGAIN));
        if room == 0 {
            let ended = self.ended.notified();
            let _ = tokio::time::timeout(look_again, ended).await;
            return Vec::new();
        }
        match self.mta.queue.item_claim(&call, room, LEASE).await {
            Ok(claimed) if claimed.is_empty() => {
                if self.mta.queue.wait_due(&call, look_again).await.is_err() {
                    env.clock.sleep(AFTER_REFUSAL).await;
                }
                claimed
            }
            Ok(claimed) => claimed,
            Err(_) => {
                env.clock.sleep(AFTER_REFUSAL).await;
                Vec::new()
            }
        }
    }

    fn begin(self: &Arc<Self>, claimed: Claimed) {
        self.running.fetch_add(1, Ordering::AcqRel);
        let end = End(Arc::clone(self));
        self.mta.env.tasks.spawn(async move {
            attempt::attempt(&end.0, claimed).await;
        });
    }

    /// Keeps a session for the next message, or says goodbye.
    fn keep(&self, hop: &NextHop, session: Session) {
        if let Some(session) = self.pool.keep(hop, session, self.mta.env.clock.moment()) {
            self.mta.env.tasks.spawn(session.quit());
        }
    }

    fn sweep(&self) {
        for session in self.pool.sweep(self.mta.env.clock.moment()) {
            self.mta.env.tasks.spawn(session.quit());
        }
    }
}

/// Counts an attempt down, also where it panics.
struct End(Arc<Outbound>);

impl Drop for End {
    fn drop(&mut self) {
        self.0.running.fetch_sub(1, Ordering::AcqRel);
        // With memory: a worker that is just about to wait hears it too.
        self.0.ended.notify_one();
    }
}

/// A host name or address of the directory.
fn host_of(text: &str) -> Option<Domain> {
    Domain::parse(&table::bracketed(text.trim())).ok()
}
