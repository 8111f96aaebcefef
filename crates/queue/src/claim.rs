//! Giving work to a worker: what is due, oldest first, every destination with its share.

use crate::Shared;
use crate::body::Stored;
use crate::claims::Lease;
use catalog::events::qsrv::{QsrvItemDamaged, QsrvLeaseExpired};
use mail::id::QueueId;
use mail::time::Timestamp;
use roles::Body;
use roles::queue::{Claimed, Pending, QueueError};
use std::sync::Arc;
use std::time::Duration;
use storage::deferred::{DomainKey, Due, Found, Held, RecipientRow};
use storage::shard::ShardError;

/// Most items that one call gives.
const MAX_CLAIMED: usize = 1000;
/// When to look again at something that could not be read just now.
const LOOK_AGAIN: Duration = Duration::from_secs(60);

pub(crate) async fn claim(
    shared: &Arc<Shared>,
    limit: usize,
    lease: Duration,
) -> Result<Vec<Claimed>, QueueError> {
    let _one_at_a_time = shared.claiming.lock().await;
    let limit = limit.min(MAX_CLAIMED);
    let now = shared.env.clock.now();
    free_expired(shared, now);
    let mut claimed = Vec::new();
    while claimed.len() < limit {
        let room = limit - claimed.len();
        let domains = shared.state().ready.take(now, room);
        if domains.is_empty() {
            break;
        }
        let due = look(shared, domains, now, room).await?;
        for item in &due.damaged {
            shared.env.log.emit(&QsrvItemDamaged { item: item.item, reason: "its rows cannot be read" });
        }
        for found in due.found {
            claimed.extend(give(shared, found, now, now.plus(lease)).await);
        }
    }
    Ok(claimed)
}

/// Claims that have run out are due again at once.
fn free_expired(shared: &Shared, now: Timestamp) {
    let mut state = shared.state();
    for lease in state.claims.expire(now) {
        state.ready.freed(lease.domain);
        state.ready.offer(lease.domain, now);
        shared.env.log.emit(&QsrvLeaseExpired { item: lease.group.item });
    }
}

/// Looks for what these destinations have, an equal part of `room` from each, and offers the rest again.
async fn look(
    shared: &Arc<Shared>,
    mut domains: Vec<(DomainKey, usize)>,
    now: Timestamp,
    room: usize,
) -> Result<Due, QueueError> {
    let part = (room / domains.len().max(1)).max(1);
    domains.iter_mut().for_each(|(_, share)| *share = part.min(*share));
    let asked: Vec<_> = domains.iter().map(|(domain, _)| *domain).collect();
    let of_others = Arc::clone(shared);
    shared.state().claims.begin_look();
    let due = shared.deferred.due(domains, now, room, move |group| of_others.state().claims.has(group)).await;
    let mut state = shared.state();
    match due {
        Ok(due) => {
            due.more.iter().for_each(|(domain, at)| state.ready.offer(*domain, *at));
            Ok(due)
        }
        Err(error) => {
            asked.into_iter().for_each(|domain| state.ready.offer(domain, now.plus(LOOK_AGAIN)));
            drop(state);
            Err(shared.failed("claim", QueueId(0), error))
        }
    }
}

/// Claims one group. `None` where its body cannot be read: then it is set aside, or looked at later.
async fn give(shared: &Shared, found: Found, now: Timestamp, until: Timestamp) -> Option<Claimed> {
    let Found { key, item, group } = found;
    let blob = match shared.deferred.body(&item).await {
        Ok(blob) => blob,
        Err(error @ (ShardError::Gone | ShardError::Corrupt(_))) => {
            shared.env.log.emit(&QsrvItemDamaged { item: key.item, reason: &error });
            // ITS 22223: what is damaged does not block the queue.
            if let Err(error) = shared.deferred.reschedule(key.item, Held::Yes, now).await {
                shared.failed("set aside", key.item, error);
            }
            return None;
        }
        Err(error) => {
            shared.failed("read", key.item, error);
            shared.state().ready.offer(group.domain, now.plus(LOOK_AGAIN));
            return None;
        }
    };
    let body = Body::new(Arc::new(Stored { shard: shared.deferred.shard().clone(), blob }));
    let claim = {
        let mut state = shared.state();
        state.ready.claimed(group.domain);
        state.claims.add(Lease { group: key, domain: group.domain, until })
    };
    let due = group.recipients.into_iter().filter(|r| r.next <= now).map(pending).collect();
    let (origin, trace, arrived) = (item.origin, item.trace, item.arrived);
    Some(Claimed { id: key.item, claim, origin, to: due, body, trace, arrived })
}

/// A stored recipient as the roles know it.
pub(crate) fn pending(row: RecipientRow) -> Pending {
    Pending { recipient: row.recipient, attempts: row.attempts, last_reply: row.last_reply }
}
