//! Who has what, and until when.
//!
//! Claims live in memory alone: after a crash everything is free again, and a message that was being delivered at
//! that moment is delivered again under the same request id. A claim that has run out is free for the next
//! worker; the number of a claim proves it and is never used twice.

use mail::time::Timestamp;
use std::collections::{BTreeSet, HashMap, HashSet};
use storage::deferred::{DomainKey, GroupKey};

/// The claims of all workers.
pub(crate) struct Claims {
    next: u64,
    leases: HashMap<u64, Lease>,
    groups: HashMap<GroupKey, u64>,
    ends: BTreeSet<(Timestamp, u64)>,
    /// Groups that were freed since the last look at the rows began.
    fresh: HashSet<GroupKey>,
}

/// One claim.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Lease {
    pub(crate) group: GroupKey,
    pub(crate) domain: DomainKey,
    pub(crate) until: Timestamp,
}

impl Claims {
    /// None. Numbers begin at `first`, which should be drawn by chance, so that a claim of an earlier life of the
    /// queue fits nothing.
    pub(crate) fn new(first: u64) -> Self {
        let (leases, groups) = (HashMap::new(), HashMap::new());
        Self { next: first, leases, groups, ends: BTreeSet::new(), fresh: HashSet::new() }
    }

    /// Claims a group that nobody has.
    pub(crate) fn add(&mut self, lease: Lease) -> u64 {
        let claim = self.next;
        self.next = self.next.wrapping_add(1);
        self.leases.insert(claim, lease);
        self.groups.insert(lease.group, claim);
        self.ends.insert((lease.until, claim));
        claim
    }

    /// A look at the rows begins now.
    pub(crate) fn begin_look(&mut self) {
        self.fresh.clear();
    }

    /// Whether somebody has it, or had it when the look began: the rows that the look sees may be those from before
    /// it was settled.
    pub(crate) fn has(&self, group: &GroupKey) -> bool {
        self.groups.contains_key(group) || self.fresh.contains(group)
    }

    /// The claim of this number.
    pub(crate) fn get(&self, claim: u64) -> Option<&Lease> {
        self.leases.get(&claim)
    }

    /// Gives a claim back; what it was.
    pub(crate) fn free(&mut self, claim: u64) -> Option<Lease> {
        let lease = self.leases.remove(&claim)?;
        self.groups.remove(&lease.group);
        self.ends.remove(&(lease.until, claim));
        self.fresh.insert(lease.group);
        Some(lease)
    }

    /// Frees all claims that have run out at `now`.
    pub(crate) fn expire(&mut self, now: Timestamp) -> Vec<Lease> {
        let over: Vec<u64> = self.ends.iter().take_while(|(end, _)| *end <= now).map(|(_, c)| *c).collect();
        over.into_iter().filter_map(|claim| self.free(claim)).collect()
    }

    /// When the next claim runs out.
    pub(crate) fn next_end(&self) -> Option<Timestamp> {
        self.ends.first().map(|(end, _)| *end)
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.leases.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mail::id::QueueId;

    fn lease(id: u64, until: i64) -> Lease {
        let group = GroupKey { item: QueueId(id), number: 0 };
        Lease { group, domain: DomainKey(1), until: Timestamp::from_secs(until) }
    }

    #[test]
    fn a_claim_ends_once_by_return_or_by_time() {
        let mut claims = Claims::new(u64::MAX);
        let first = claims.add(lease(1, 10));
        let second = claims.add(lease(2, 20));
        assert_ne!(first, second);
        assert!(claims.has(&lease(1, 0).group));
        assert_eq!(claims.expire(Timestamp::from_secs(9)), []);
        assert_eq!(claims.free(first), Some(lease(1, 10)));
        assert_eq!(claims.free(first), None);
        assert_eq!(claims.next_end(), Some(Timestamp::from_secs(20)));
        assert_eq!(claims.expire(Timestamp::from_secs(20)), [lease(2, 20)]);
        assert_eq!((claims.get(second), claims.len(), claims.next_end()), (None, 0, None));
        assert!(claims.has(&lease(2, 0).group), "a look that goes on must not find it");
        claims.begin_look();
        assert!(!claims.has(&lease(2, 0).group));
    }
}
