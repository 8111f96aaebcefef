//! Which blobs are being read: space that a reader has open is not reclaimed under it.
//!
//! Who reads opens a blob, which pins it; who reclaims takes a range of a segment, which fails while a pin lies in it.
//! What was taken cannot be pinned any more: it was dead before, so that only a reader of old rows asks for it.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The pins of one shard.
#[derive(Default)]
pub(crate) struct Pins(Mutex<State>);

#[derive(Default)]
struct State {
    /// How many hold each blob, by segment and offset.
    held: BTreeMap<(u32, u64), u32>,
    taken: Option<(u32, Range<u64>)>,
}

/// One reader's hold on one blob; ends when it is dropped.
pub(crate) struct Pin {
    pins: Arc<Pins>,
    at: (u32, u64),
}

/// A range that is being reclaimed; ends when it is dropped.
pub(crate) struct Taken<'a>(&'a Pins);

impl Pins {
    /// Pins the blob at a place; `None` where that is being reclaimed.
    pub(crate) fn pin(self: &Arc<Self>, segment: u32, offset: u64) -> Option<Pin> {
        let mut state = self.state();
        if state.taken.as_ref().is_some_and(|(s, range)| *s == segment && range.contains(&offset)) {
            return None;
        }
        *state.held.entry((segment, offset)).or_default() += 1;
        Some(Pin { pins: Arc::clone(self), at: (segment, offset) })
    }

    /// Takes a range of a segment; `None` where a blob that begins in it is being read. One range at a time.
    pub(crate) fn take(&self, segment: u32, range: Range<u64>) -> Option<Taken<'_>> {
        let mut state = self.state();
        if state.held.range((segment, range.start)..(segment, range.end)).next().is_some() {
            return None;
        }
        state.taken = Some((segment, range));
        Some(Taken(self))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Pin {
    fn drop(&mut self) {
        let mut state = self.pins.state();
        if let Some(count) = state.held.get_mut(&self.at) {
            *count -= 1;
            if *count == 0 {
                state.held.remove(&self.at);
            }
        }
    }
}

impl Drop for Taken<'_> {
    fn drop(&mut self) {
        self.0.state().taken = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_read_is_not_taken_and_what_is_taken_is_not_read() {
        let pins = Arc::new(Pins::default());
        let (first, second) = (pins.pin(1, 64).unwrap(), pins.pin(1, 64).unwrap());
        assert!(pins.take(1, 64..128).is_none() && pins.take(1, 0..65).is_none());
        assert!(pins.take(1, 72..128).is_some() && pins.take(2, 64..128).is_some());
        drop(first);
        assert!(pins.take(1, 64..128).is_none());
        drop(second);
        let taken = pins.take(1, 64..128);
        assert!(taken.is_some() && pins.pin(1, 64).is_none() && pins.pin(1, 128).is_some());
        drop(taken);
        assert!(pins.pin(1, 64).is_some());
    }
}
