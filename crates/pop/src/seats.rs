//! How many sessions there are: exact, whichever way a session ends (ITS 18898).

use std::sync::atomic::{AtomicU64, Ordering};

/// The count.
#[derive(Debug, Default)]
pub(crate) struct Seats(AtomicU64);

/// One session's place; dropping it gives it back.
#[derive(Debug)]
pub(crate) struct Seat<'a>(&'a Seats);

impl Seats {
    /// A place, if fewer than `limit` are taken.
    pub(crate) fn take(&self, limit: u64) -> Option<Seat<'_>> {
        let one_more = |taken: u64| (taken < limit).then_some(taken + 1);
        self.0.fetch_update(Ordering::AcqRel, Ordering::Acquire, one_more).ok().map(|_| Seat(self))
    }

    /// Places that are taken.
    pub(crate) fn taken(&self) -> u64 {
        self.0.load(Ordering::Acquire)
    }
}

impl Drop for Seat<'_> {
    fn drop(&mut self) {
        self.0.0.fetch_sub(1, Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_is_exact_and_places_come_back() {
        let seats = Seats::default();
        let (a, b) = (seats.take(2), seats.take(2));
        assert!(a.is_some() && b.is_some() && seats.take(2).is_none());
        drop(a);
        assert_eq!((seats.taken(), seats.take(2).is_some()), (1, true));
        drop(b);
        assert_eq!(seats.taken(), 0);
    }
}
