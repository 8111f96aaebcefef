//! Which destinations have something due, oldest first, each with its share.
//!
//! A destination that does not answer may have a million messages due. It gets [`SHARE`] claims and then waits
//! until one comes back, so the others do not stand behind it. What is kept here is one entry a destination,
//! never one a message; the due times themselves are rows of `storage::deferred`.

use mail::time::Timestamp;
use std::collections::{BTreeSet, HashMap};
use storage::deferred::DomainKey;

/// Claims that one destination may hold at a time.
pub(crate) const SHARE: usize = 20;

/// The destinations with something to do.
#[derive(Default)]
pub(crate) struct Ready {
    domains: HashMap<DomainKey, State>,
    /// Those below their share, by when their oldest entry is due.
    order: BTreeSet<(Timestamp, DomainKey)>,
}

#[derive(Default, Clone, Copy)]
struct State {
    /// When something unclaimed is due at the earliest. May be too early, never too late.
    earliest: Option<Timestamp>,
    claimed: usize,
}

impl Ready {
    /// Something of this destination is due at `due`.
    pub(crate) fn offer(&mut self, domain: DomainKey, due: Timestamp) {
        self.change(domain, |state| state.earliest = Some(state.earliest.map_or(due, |e| e.min(due))));
    }

    /// Takes up to `most` destinations that have something due, oldest first, each with the claims that it may
    /// still get. Whoever takes them looks for their entries and [`offer`](Self::offer)s what is left.
    pub(crate) fn take(&mut self, now: Timestamp, most: usize) -> Vec<(DomainKey, usize)> {
        let due: Vec<_> = self.order.iter().take_while(|(due, _)| *due <= now).take(most).copied().collect();
        due.into_iter()
            .map(|(_, domain)| {
                let free = self.domains.get(&domain).map_or(0, |s| SHARE.saturating_sub(s.claimed));
                self.change(domain, |state| state.earliest = None);
                (domain, free)
            })
            .collect()
    }

    /// One more claim.
    pub(crate) fn claimed(&mut self, domain: DomainKey) {
        self.change(domain, |state| state.claimed += 1);
    }

    /// One claim less.
    pub(crate) fn freed(&mut self, domain: DomainKey) {
        self.change(domain, |state| state.claimed = state.claimed.saturating_sub(1));
    }

    /// When something may be due next.
    pub(crate) fn next_due(&self) -> Option<Timestamp> {
        self.order.first().map(|(due, _)| *due)
    }

    fn change(&mut self, domain: DomainKey, how: impl FnOnce(&mut State)) {
        let state = self.domains.entry(domain).or_default();
        let before = *state;
        how(state);
        let after = *state;
        if let Some(due) = before.place() {
            self.order.remove(&(due, domain));
        }
        if let Some(due) = after.place() {
            self.order.insert((due, domain));
        }
        if after.earliest.is_none() && after.claimed == 0 {
            self.domains.remove(&domain);
        }
    }
}

impl State {
    fn place(self) -> Option<Timestamp> {
        self.earliest.filter(|_| self.claimed < SHARE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: DomainKey = DomainKey(1);
    const B: DomainKey = DomainKey(2);

    fn at(secs: i64) -> Timestamp {
        Timestamp::from_secs(secs)
    }

    #[test]
    fn the_oldest_comes_first_and_only_what_is_due() {
        let mut ready = Ready::default();
        ready.offer(A, at(30));
        ready.offer(B, at(20));
        ready.offer(B, at(50));
        assert_eq!(ready.next_due(), Some(at(20)));
        assert_eq!(ready.take(at(10), 9), []);
        assert_eq!(ready.take(at(30), 9), [(B, SHARE), (A, SHARE)]);
        assert_eq!(ready.take(at(30), 9), [], "taken is taken until it is offered again");
        assert!(ready.domains.is_empty(), "nothing is kept of destinations with nothing to do");
    }

    #[test]
    fn a_destination_with_its_share_waits() {
        let mut ready = Ready::default();
        for _ in 0..SHARE {
            ready.claimed(A);
        }
        ready.offer(A, at(1));
        ready.offer(B, at(2));
        assert_eq!(ready.next_due(), Some(at(2)));
        assert_eq!(ready.take(at(9), 9), [(B, SHARE)]);
        ready.freed(A);
        assert_eq!(ready.take(at(9), 9), [(A, 1)]);
    }
}
