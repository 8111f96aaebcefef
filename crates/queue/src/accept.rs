//! Taking an item.

use crate::Shared;
use crate::body::Incoming;
use mail::envelope::Recipient;
use mail::id::QueueId;
use mail::time::Timestamp;
use roles::Call;
use roles::queue::{NewItem, QueueError};
use std::collections::BTreeMap;
use std::sync::Arc;
use storage::deferred::{self, DomainKey, GroupRow, MAX_GROUP, RecipientRow};

/// Most recipients of one item.
pub(crate) const MAX_RECIPIENTS: usize = 10_000;

pub(crate) async fn store(shared: &Shared, call: &Call, item: NewItem) -> Result<QueueId, QueueError> {
    if item.to.is_empty() || item.to.len() > MAX_RECIPIENTS {
        return Err(QueueError::Broken(format!("an item with {} recipients", item.to.len())));
    }
    let id = {
        let mut state = shared.state();
        if let Some(done) = state.recent.get(call.request) {
            return Ok(done);
        }
        let now = u64::try_from(shared.env.clock.now().as_micros()).unwrap_or(0);
        state.last_id = now.max(state.last_id + 1);
        QueueId(state.last_id)
    };
    let NewItem { origin, to, body, trace, arrived, not_before } = item;
    let groups = groups(to, not_before);
    let domains: Vec<_> = groups.iter().map(|g| g.domain).collect();
    let new = deferred::NewItem { id, origin, trace, arrived, groups, body: Arc::new(Incoming(body)) };
    shared.deferred.store(new).await.map_err(|e| shared.failed("store", id, e))?;
    let mut state = shared.state();
    state.recent.remember(call.request, id);
    domains.into_iter().for_each(|domain| state.ready.offer(domain, not_before));
    drop(state);
    shared.nudge.notify_waiters();
    Ok(id)
}

/// The recipients domain by domain, at most [`MAX_GROUP`] together.
fn groups(to: Vec<Recipient>, due: Timestamp) -> Vec<GroupRow> {
    let mut domains: BTreeMap<DomainKey, Vec<RecipientRow>> = BTreeMap::new();
    for recipient in to {
        let domain = DomainKey::of(recipient.address.domain());
        let row = RecipientRow { recipient, attempts: 0, next: due, warned: false, last_reply: None };
        domains.entry(domain).or_default().push(row);
    }
    let mut groups = Vec::with_capacity(domains.len());
    for (domain, mut rows) in domains {
        while rows.len() > MAX_GROUP {
            groups.push(GroupRow { domain, recipients: rows.split_off(rows.len() - MAX_GROUP) });
        }
        groups.push(GroupRow { domain, recipients: rows });
    }
    groups
}

#[cfg(test)]
mod tests {
    use super::*;
    use mail::address::Address;

    #[test]
    fn recipients_are_grouped_by_domain_and_groups_are_bounded() {
        let to = |n: usize| {
            let domain = if n.is_multiple_of(3) { "a.example" } else { "b.example" };
            Recipient::from(Address::parse(&format!("u{n}@{domain}")).unwrap())
        };
        let groups = groups((0..1000).map(to).collect(), Timestamp::from_secs(7));
        assert_eq!(groups.iter().map(|g| g.recipients.len()).sum::<usize>(), 1000);
        for group in &groups {
            assert!(group.recipients.len() <= MAX_GROUP && !group.recipients.is_empty());
            let of_domain = |r: &RecipientRow| DomainKey::of(r.recipient.address.domain()) == group.domain;
            assert!(group.recipients.iter().all(of_domain));
            assert_eq!(group.due(), Some(Timestamp::from_secs(7)));
        }
        assert_eq!(groups.len(), 5);
    }
}
