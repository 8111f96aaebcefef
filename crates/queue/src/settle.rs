//! Recording what became of claimed recipients, and deciding what comes next.

use crate::Shared;
use crate::claim::pending;
use crate::schedule::{History, Plan, Verdict, Warn, Warned, next_attempt};
use catalog::events::qsrv::QsrvNotLocked;
use mail::address::Address;
use mail::id::QueueId;
use mail::time::Timestamp;
use roles::queue::{Outcome, QueueError, Settled};
use std::collections::HashMap;
use storage::deferred::{GroupRow, ItemRow, RecipientRow};

pub(crate) async fn settle(
    shared: &Shared,
    id: QueueId,
    claim: u64,
    outcomes: Vec<(Address, Outcome)>,
) -> Result<Settled, QueueError> {
    let lease = shared.state().claims.get(claim).copied().filter(|lease| lease.group.item == id);
    let Some(lease) = lease else {
        shared.env.log.emit(&QsrvNotLocked { item: id, op: "settle" });
        return Err(QueueError::NotClaimed);
    };
    let outcomes: HashMap<_, _> = outcomes.into_iter().collect();
    let (plan, now, chance) = (shared.plan.get(), shared.env.clock.now(), shared.env.random.number());
    let change = move |item: &ItemRow, group: &mut GroupRow| {
        let deciding = Deciding { plan: &plan, arrived: item.arrived, now, chance };
        deciding.apply(group, &outcomes)
    };
    let changed = shared.deferred.change(lease.group, change).await;
    let (result, next) = match changed {
        Ok(Some((mut settled, left))) => {
            settled.left = u32::try_from(left.recipients).unwrap_or(u32::MAX);
            settled.next = left.due;
            if !settled.expired.is_empty() {
                // The worker keeps the claim until it has reported them.
                return Ok(settled);
            }
            (Ok(settled), left.due)
        }
        Ok(None) => (Err(QueueError::NoItem), None),
        // The claim stays: the worker may try to settle again, or the lease ends.
        Err(error) => return Err(shared.failed("settle", id, error)),
    };
    let mut state = shared.state();
    if state.claims.free(claim).is_some() {
        state.ready.freed(lease.domain);
    }
    if let Some(due) = next {
        state.ready.offer(lease.domain, due);
    }
    drop(state);
    shared.nudge.notify_waiters();
    result
}

/// The circumstances of a decision.
struct Deciding<'a> {
    plan: &'a Plan,
    arrived: Timestamp,
    now: Timestamp,
    chance: u64,
}

impl Deciding<'_> {
    fn apply(&self, group: &mut GroupRow, outcomes: &HashMap<Address, Outcome>) -> Settled {
        let mut settled = Settled::default();
        group.recipients.retain_mut(|row| match outcomes.get(&row.recipient.address) {
            Some(Outcome::Delivered { .. } | Outcome::Failed { .. }) => false,
            Some(Outcome::Deferred { reply }) => {
                self.defer(row, reply, &mut settled);
                true
            }
            None => true,
        });
        settled
    }

    fn defer(&self, row: &mut RecipientRow, reply: &str, settled: &mut Settled) {
        row.attempts = row.attempts.saturating_add(1);
        row.last_reply = Some(reply.to_owned());
        let warned = if row.warned { Warned::Yes } else { Warned::NotYet };
        let history = History { arrived: self.arrived, attempts: row.attempts, warned };
        match next_attempt(&history, self.plan, self.now, self.chance) {
            // Due at once: if the worker dies before it has reported, the next one finds it.
            Verdict::Expired => {
                row.next = self.now;
                settled.expired.push(pending(row.clone()));
            }
            Verdict::Retry { at, warn } => {
                row.next = at;
                if warn == Warn::Now {
                    row.warned = true;
                    settled.warn.extend(row.recipient.notify.delay.then(|| pending(row.clone())));
                }
            }
        }
    }
}
