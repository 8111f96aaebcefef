//! One attempt: a claimed group of recipients, from the claim to the settlement.
//!
//! The order is what keeps mail safe. A report is handed in before its recipient is settled, so a crash between
//! the two makes a second report, never none. What is delivered is settled before anything else is done, with
//! some patience, because what is not settled is delivered again.

use super::local::deliver_locally;
use super::remote::{Parcel, relay};
use super::verdict::{Verdict, What};
use super::{Outbound, bounce};
use catalog::events::mta::{MtaMessageBounced, MtaMessageDeferred, MtaMessageRelayed};
use catalog::keys::mta::MAX_QUEUE_TIME_IN_HOURS;
use catalog::metrics::Operation;
use mail::envelope::Recipient;
use mail::report::{Action, Class, Fate, Status};
use mail::time::Timestamp;
use net::dial::NextHop;
use roles::Call;
use roles::directory::{Local, Route};
use roles::queue::{Claimed, Pending, QueueError, Settled};
use std::collections::HashMap;
use std::time::Duration;

/// How long a worker has a claim.
pub(crate) const LEASE: Duration = Duration::from_secs(3600);
/// How long an attempt may take: less than the lease, so that two never have the same recipients.
const AT_MOST: Duration = Duration::from_secs(3000);
/// Waits between tries to settle.
const SETTLE_AGAIN: [Duration; 3] =
    [Duration::from_millis(100), Duration::from_secs(2), Duration::from_secs(10)];

/// Tries to deliver what was claimed, reports and settles.
pub(crate) async fn attempt(outbound: &Outbound, claimed: Claimed) {
    let began = outbound.mta.env.clock.moment();
    let _timed = outbound.mta.env.metrics.time(Operation::MtaAttempt);
    let trying = tokio::time::timeout(AT_MOST, deliver(outbound, &claimed)).await;
    let too_long = || Verdict::ours(What::Deferred, Status::BAD_CONNECTION, "the attempt took too long");
    let mut verdicts = trying.unwrap_or_else(|_| vec![too_long(); claimed.to.len()]);
    report_ends(outbound, &claimed, &mut verdicts).await;
    let named = claimed.to.iter().map(|p| &p.recipient).zip(&verdicts);
    let outcomes = named.map(|(r, v)| (r.address.clone(), v.outcome())).collect();
    let settled = settle(outbound, &claimed, outcomes).await;
    log_verdicts(outbound, &claimed, &verdicts, &settled, began.elapsed());
    let Ok(settled) = settled else { return };
    if !settled.warn.is_empty() {
        report_delays(outbound, &claimed, &settled).await;
    }
    if !settled.expired.is_empty() {
        give_up(outbound, &claimed, settled.expired).await;
    }
}

/// Where each recipient goes, and what became of it there.
async fn deliver(outbound: &Outbound, claimed: &Claimed) -> Vec<Verdict> {
    let mut work = Work::default();
    for (place, pending) in claimed.to.iter().enumerate() {
        work.sort_in(outbound, claimed, place, pending).await;
    }
    let parcel = Parcel { origin: &claimed.origin, body: &claimed.body, trace: &claimed.trace };
    let mut verdicts = work.decided;
    if !work.local.is_empty() {
        let (places, to): (Vec<_>, Vec<_>) = work.local.into_iter().unzip();
        let results = deliver_locally(&outbound.mta, &parcel, claimed.arrived, to).await;
        verdicts.extend(places.into_iter().zip(results));
    }
    for (hop, to) in work.remote {
        let (places, to): (Vec<_>, Vec<_>) = to.into_iter().unzip();
        let results = relay(outbound, &parcel, &hop, &to).await;
        verdicts.extend(places.into_iter().zip(results));
    }
    verdicts.sort_by_key(|(place, _)| *place);
    verdicts.into_iter().map(|(_, verdict)| verdict).collect()
}

/// The recipients of a claim, each with its place in it.
#[derive(Default)]
struct Work {
    decided: Vec<(usize, Verdict)>,
    local: Vec<(usize, (Recipient, Box<Local>))>,
    remote: HashMap<NextHop, Vec<(usize, Recipient)>>,
}

impl Work {
    async fn sort_in(&mut self, outbound: &Outbound, claimed: &Claimed, place: usize, pending: &Pending) {
        let recipient = &pending.recipient;
        let call = Call::new(outbound.mta.env.random.request_id(), claimed.trace.clone());
        let asked = outbound.mta.directory.address_route(&call, recipient.address.clone());
        let route = match tokio::time::timeout(call.deadline, asked).await {
            Ok(Ok(route)) => route,
            Ok(Err(error)) => return self.decide(place, What::Deferred, Status::SYSTEM, error.to_string()),
            Err(_) => return self.decide(place, What::Deferred, Status::SYSTEM, "the directory is silent"),
        };
        let domain = recipient.address.domain();
        match route {
            Route::Local(local) => self.local.push((place, (recipient.clone(), local))),
            Route::Remote | Route::Relay(None) => {
                let hop = outbound.rules.get().table.next_hop(domain);
                self.remote.entry(hop).or_default().push((place, recipient.clone()));
            }
            Route::Relay(Some((host, port))) => match super::host_of(&host) {
                Some(host) => {
                    let hop = NextHop::Host { host, port };
                    self.remote.entry(hop).or_default().push((place, recipient.clone()));
                }
                None => {
                    let reply = format!("{host}, where the domain is relayed to, is no host name");
                    self.decide(place, What::Deferred, Status::SYSTEM, reply);
                }
            },
            Route::Unknown => {
                self.decide(place, What::Failed, Status::BAD_MAILBOX, "there is no such address")
            }
            Route::Deferred => {
                let status = Status::new(Class::Transient, 2, 1);
                self.decide(place, What::Deferred, status, "the mailbox takes no mail now");
            }
            Route::Disabled => {
                let status = Status::new(Class::Permanent, 2, 1);
                self.decide(place, What::Failed, status, "the mailbox takes no mail");
            }
        }
    }

    fn decide(&mut self, place: usize, what: What, status: Status, reply: impl Into<String>) {
        self.decided.push((place, Verdict::ours(what, status, reply)));
    }
}

/// Hands in the reports of what has ended. Where a bounce cannot be handed in now, the recipient is not given up
/// now either.
async fn report_ends(outbound: &Outbound, claimed: &Claimed, verdicts: &mut [Verdict]) {
    let now = outbound.mta.env.clock.now();
    let ended = claimed.to.iter().zip(verdicts.iter());
    let fates: Vec<_> = ended
        .filter_map(|(pending, verdict)| {
            verdict.action().map(|action| bounce::fate(pending, verdict, action, now))
        })
        .collect();
    let failures: Vec<_> = fates.iter().filter(|f| f.action == Action::Failed).cloned().collect();
    let successes: Vec<_> = fates.into_iter().filter(|f| f.action != Action::Failed).collect();
    // The message has arrived all the same.
    let _ = bounce::report(outbound, claimed, &successes).await;
    if let Err(reason) = bounce::report(outbound, claimed, &failures).await {
        for verdict in verdicts.iter_mut().filter(|v| v.what == What::Failed) {
            let reply = format!("{} (the report could not be handed in: {reason})", verdict.reply);
            *verdict = Verdict::ours(What::Deferred, Status::SYSTEM, reply);
        }
    }
}

async fn report_delays(outbound: &Outbound, claimed: &Claimed, settled: &Settled) {
    let now = outbound.mta.env.clock.now();
    let late = |pending: &Pending| expired_or_late(pending, What::Deferred);
    let verdicts: Vec<_> = settled.warn.iter().map(late).collect();
    let named = settled.warn.iter().zip(&verdicts);
    let hours = outbound.mta.env.settings.get(MAX_QUEUE_TIME_IN_HOURS);
    let until = claimed.arrived.plus(Duration::from_secs(hours.saturating_mul(3600)));
    let fate = |(p, v)| Fate { retry_until: Some(until), ..bounce::fate(p, v, Action::Delayed, now) };
    let fates: Vec<_> = named.map(fate).collect();
    // Once is once: a warning that cannot be handed in is not tried again, and the log has it.
    let _ = bounce::report(outbound, claimed, &fates).await;
}

/// Reports the recipients that have been in the queue too long, and settles them. Where the report cannot be
/// handed in, they stay claimed until the lease ends and then have another attempt.
async fn give_up(outbound: &Outbound, claimed: &Claimed, expired: Vec<Pending>) {
    let now = outbound.mta.env.clock.now();
    let verdicts: Vec<_> = expired.iter().map(|p| expired_or_late(p, What::Failed)).collect();
    let named = || expired.iter().zip(&verdicts);
    let fates: Vec<_> = named().map(|(p, v)| bounce::fate(p, v, Action::Failed, now)).collect();
    if bounce::report(outbound, claimed, &fates).await.is_err() {
        return;
    }
    let outcomes = named().map(|(p, v)| (p.recipient.address.clone(), v.outcome())).collect();
    if settle(outbound, claimed, outcomes).await.is_ok() {
        for (pending, verdict) in named() {
            log_bounced(outbound, claimed, pending, verdict);
        }
    }
}

fn expired_or_late(pending: &Pending, what: What) -> Verdict {
    let last = pending.last_reply.as_deref().unwrap_or("no attempt has been made");
    let reply = match what {
        What::Failed => format!("the message has been in the queue too long; the last attempt: {last}"),
        _ => format!("the last attempt: {last}"),
    };
    Verdict::ours(what, if what == What::Failed { Status::EXPIRED } else { Status::NO_ANSWER }, reply)
}

async fn settle(
    outbound: &Outbound,
    claimed: &Claimed,
    outcomes: Vec<(mail::address::Address, roles::queue::Outcome)>,
) -> Result<Settled, QueueError> {
    let env = &outbound.mta.env;
    let call = Call::new(env.random.request_id(), claimed.trace.clone());
    let mut waits = SETTLE_AGAIN.into_iter();
    loop {
        let settling = outbound.mta.queue.item_settle(&call, claimed.id, claimed.claim, outcomes.clone());
        match (settling.await, waits.next()) {
            (Err(QueueError::Busy | QueueError::Unavailable | QueueError::NoSpace), Some(wait)) => {
                env.clock.sleep(wait).await;
            }
            (result, _) => return result,
        }
    }
}

fn log_verdicts(
    outbound: &Outbound,
    claimed: &Claimed,
    verdicts: &[Verdict],
    settled: &Result<Settled, QueueError>,
    took: Duration,
) {
    let (id, from, log) = (&claimed.trace, &claimed.origin.sender, &outbound.mta.env.log);
    let retry = match settled {
        Ok(settled) => {
            settled.next.map_or_else(|| "never".to_owned(), |at: Timestamp| at.rfc3339().to_string())
        }
        Err(error) => error.to_string(),
    };
    for (pending, verdict) in claimed.to.iter().zip(verdicts) {
        let (to, reply) = (&pending.recipient.address, &verdict.reply);
        match verdict.what {
            // `deliver` has said so.
            What::Delivered => {}
            What::PassedOn | What::Relayed => {
                let host = verdict.remote.as_deref().unwrap_or_default();
                log.emit(&MtaMessageRelayed { id, from, to, host, reply, seconds: took.as_secs() });
            }
            What::Deferred => log.emit(&MtaMessageDeferred { id, from, to, reason: reply, retry: &retry }),
            What::Failed => log_bounced(outbound, claimed, pending, verdict),
        }
    }
}

fn log_bounced(outbound: &Outbound, claimed: &Claimed, pending: &Pending, verdict: &Verdict) {
    outbound.mta.env.log.emit(&MtaMessageBounced {
        id: &claimed.trace,
        from: &claimed.origin.sender,
        to: &pending.recipient.address,
        reason: &verdict.reply,
    });
}
