//! Chance: ids, salts, jitter. From the system, or from a seed in tests.

use mail::id::RequestId;
use std::sync::{Arc, Mutex, PoisonError};

/// A source of random bytes.
#[derive(Clone)]
pub struct Random {
    seeded: Option<Arc<Mutex<u64>>>,
}

impl Random {
    /// The system's, fit for keys.
    pub fn system() -> Self {
        Self { seeded: None }
    }

    /// The same bytes for the same seed: for tests only.
    pub fn seeded(seed: u64) -> Self {
        Self { seeded: Some(Arc::new(Mutex::new(seed))) }
    }

    /// Fills the buffer.
    ///
    /// # Panics
    /// Where the system has no randomness to give: nothing safe can be done without it.
    pub fn fill(&self, buffer: &mut [u8]) {
        match &self.seeded {
            Some(state) => {
                let mut state = state.lock().unwrap_or_else(PoisonError::into_inner);
                for chunk in buffer.chunks_mut(8) {
                    chunk.copy_from_slice(&split_mix(&mut state).to_le_bytes()[..chunk.len()]);
                }
            }
            None => {
                getrandom::fill(buffer).unwrap_or_else(|e| panic!("the system gives no random bytes: {e}"))
            }
        }
    }

    /// A number of 64 random bits.
    pub fn number(&self) -> u64 {
        let mut bytes = [0; 8];
        self.fill(&mut bytes);
        u64::from_le_bytes(bytes)
    }

    /// A number below `limit`; 0 where the limit is 0.
    pub fn below(&self, limit: u64) -> u64 {
        if limit == 0 { 0 } else { self.number() % limit }
    }

    /// A fresh id for a request.
    pub fn request_id(&self) -> RequestId {
        let mut bytes = [0; 16];
        self.fill(&mut bytes);
        RequestId(u128::from_le_bytes(bytes))
    }
}

/// The SplitMix64 step: good enough to make test data from a seed.
fn split_mix(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_repeats_and_the_system_does_not() {
        assert_eq!(Random::seeded(7).request_id(), Random::seeded(7).request_id());
        assert_ne!(Random::system().request_id(), Random::system().request_id());
    }
}
