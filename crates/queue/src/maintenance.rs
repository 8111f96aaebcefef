//! The operator's side of the queue: look, hold, release, retry, remove, start a domain.

use crate::Shared;
use crate::claim::pending;
use mail::address::Domain;
use mail::id::QueueId;
use roles::queue::{Handling, Listed, QueueCounts, QueueError};
use storage::deferred::{DomainKey, GroupRow, Held, ItemRow};

/// Most items on one page.
const MAX_PAGE: usize = 1000;

pub(crate) async fn list(
    shared: &Shared,
    after: Option<QueueId>,
    limit: usize,
) -> Result<Vec<Listed>, QueueError> {
    let page = shared.deferred.list(after, limit.min(MAX_PAGE)).await;
    let page = page.map_err(|e| shared.failed("list", QueueId(0), e))?;
    Ok(page.into_iter().map(|(id, item, groups)| line(id, item, groups)).collect())
}

fn line(id: QueueId, item: ItemRow, groups: Vec<GroupRow>) -> Listed {
    let next = groups.iter().filter_map(GroupRow::due).min().unwrap_or(item.arrived);
    Listed {
        id,
        origin: item.origin,
        to: groups.into_iter().flat_map(|g| g.recipients).map(pending).collect(),
        size: item.body.body_len(),
        arrived: item.arrived,
        next,
        held: item.held == Held::Yes,
    }
}

pub(crate) async fn handle(shared: &Shared, id: QueueId, handling: Handling) -> Result<(), QueueError> {
    let now = shared.env.clock.now();
    let held = match handling {
        Handling::Hold => Held::Yes,
        Handling::RetryNow | Handling::Release => Held::No,
        Handling::Remove => {
            let removed = shared.deferred.remove(id).await;
            let removed = removed.map_err(|e| shared.failed("remove", id, e))?;
            return removed.map(|_| ()).ok_or(QueueError::NoItem);
        }
    };
    let domains = shared.deferred.reschedule(id, held, now).await;
    let domains = domains.map_err(|e| shared.failed("reschedule", id, e))?.ok_or(QueueError::NoItem)?;
    if held == Held::No {
        let mut state = shared.state();
        domains.into_iter().for_each(|domain| state.ready.offer(domain, now));
        drop(state);
        shared.nudge.notify_waiters();
    }
    Ok(())
}

pub(crate) async fn start_domain(shared: &Shared, domain: Domain) -> Result<u64, QueueError> {
    let (now, key) = (shared.env.clock.now(), DomainKey::of(&domain));
    let started = shared.deferred.start_domain(key, now).await;
    let started = started.map_err(|e| shared.failed("start", QueueId(0), e))?;
    shared.state().ready.offer(key, now);
    shared.nudge.notify_waiters();
    Ok(started)
}

pub(crate) async fn counts(shared: &Shared) -> Result<QueueCounts, QueueError> {
    let counted = shared.deferred.counts(shared.env.clock.now()).await;
    let (items, due) = counted.map_err(|e| shared.failed("count", QueueId(0), e))?;
    let claimed = shared.state().claims.len() as u64;
    Ok(QueueCounts { items, claimed, due })
}
