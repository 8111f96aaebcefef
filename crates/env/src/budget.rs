//! How many bytes of mail may be in memory at once, over all sessions.

use std::sync::Arc;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Bytes behind one permit of the semaphore.
const UNIT: usize = 1024;

/// A number of bytes that sessions share.
#[derive(Clone)]
pub struct Budget(Arc<Semaphore>);

/// A share of the budget; dropping it gives the bytes back.
#[derive(Debug)]
pub struct Share(#[expect(dead_code, reason = "held for its drop")] OwnedSemaphorePermit);

impl Budget {
    /// This many bytes in all, counted in units of 1 KiB.
    pub fn new(bytes: usize) -> Self {
        Self(Arc::new(Semaphore::new((bytes / UNIT).min(Semaphore::MAX_PERMITS))))
    }

    /// A share, if it is free at this moment.
    pub fn try_take(&self, bytes: usize) -> Option<Share> {
        let units = u32::try_from(bytes.div_ceil(UNIT)).ok()?;
        Arc::clone(&self.0).try_acquire_many_owned(units).ok().map(Share)
    }

    /// Bytes that are free at this moment.
    pub fn free(&self) -> usize {
        self.0.available_permits() * UNIT
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_come_back() {
        let budget = Budget::new(4096);
        let share = budget.try_take(4000).unwrap();
        assert!(budget.try_take(1).is_none());
        drop(share);
        assert_eq!(budget.free(), 4096);
    }
}
