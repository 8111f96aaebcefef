//! Bodies that were begun to be read over the wire, kept at hand for those who read on.
//!
//! A reader keeps what it began to read although the message is expunged meanwhile, as it does in one process. What is
//! kept is a handle on the body, not its bytes; how many there are and for how long is bounded, and who finds nothing any
//! more hears so.

use env::clock::{Clock, Moment};
use roles::Body;
use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// Most bodies at the same time.
const MOST: usize = 4096;

/// Bodies by name.
pub(super) struct Kept<K>(Mutex<HashMap<K, Entry>>);

struct Entry {
    body: Body,
    span: Duration,
    until: Moment,
}

impl<K> Default for Kept<K> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<K: Hash + Eq> Kept<K> {
    /// Keeps a body until nobody has read it for this long. Whether there was room for it.
    pub(super) fn keep(&self, clock: &Clock, name: K, body: Body, span: Duration) -> bool {
        let now = clock.moment();
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() >= MOST {
            kept.retain(|_, entry| entry.until > now);
        }
        let fits = kept.len() < MOST;
        if fits {
            kept.insert(name, Entry { body, span, until: now + span });
        }
        fits
    }

    /// The body of this name, if it is here still.
    pub(super) fn get(&self, clock: &Clock, name: &K) -> Option<Body> {
        let now = clock.moment();
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let entry = kept.get_mut(name).filter(|entry| entry.until > now)?;
        entry.until = now + entry.span;
        Some(entry.body.clone())
    }

    /// Lets a body go.
    pub(super) fn forget(&self, name: &K) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(name);
    }

    /// Lets all go that nobody has read for their time.
    pub(super) fn tidy(&self, clock: &Clock) {
        let now = clock.moment();
        self.0.lock().unwrap_or_else(PoisonError::into_inner).retain(|_, entry| entry.until > now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_is_bounded_in_number_and_time() {
        let (clock, kept) = (Clock::system(), Kept::default());
        let minute = Duration::from_secs(60);
        for name in 0..=MOST {
            assert_eq!(kept.keep(&clock, name, Body::from_bytes("x"), minute), name < MOST);
        }
        assert!(kept.get(&clock, &7).is_some() && kept.get(&clock, &MOST).is_none());
        kept.forget(&7);
        assert!(kept.keep(&clock, MOST, Body::from_bytes("x"), Duration::ZERO));
        kept.tidy(&clock);
        assert!(kept.get(&clock, &MOST).is_none());
        assert_eq!(kept.0.lock().unwrap().len(), MOST - 1);
    }
}
