//! The single-session lock of POP (RFC 1939 3): in memory, because the sessions that hold it end with the process.

use env::clock::{Clock, Moment};
use mail::id::{MailboxId, RequestId};
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// A lock that is not renewed for this long is free: its session is gone without saying so.
const PATIENCE: Duration = Duration::from_secs(600);

/// All locks.
pub(crate) struct Locks {
    clock: Clock,
    held: Mutex<HashMap<MailboxId, Held>>,
}

struct Held {
    by: RequestId,
    since: Moment,
}

/// Another session holds it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct InUse;

impl Locks {
    pub(crate) fn new(clock: Clock) -> Self {
        Self { clock, held: Mutex::default() }
    }

    /// Takes the lock, or renews it.
    pub(crate) fn lock(&self, mailbox: MailboxId, by: RequestId) -> Result<(), InUse> {
        self.lock_at(mailbox, by, self.clock.moment())
    }

    fn lock_at(&self, mailbox: MailboxId, by: RequestId, now: Moment) -> Result<(), InUse> {
        match self.held().entry(mailbox) {
            Entry::Occupied(held) if held.get().by != by && now - held.get().since < PATIENCE => Err(InUse),
            Entry::Occupied(mut held) => {
                held.insert(Held { by, since: now });
                Ok(())
            }
            Entry::Vacant(free) => {
                free.insert(Held { by, since: now });
                Ok(())
            }
        }
    }

    /// Gives the lock back, if this holder has it.
    pub(crate) fn unlock(&self, mailbox: MailboxId, by: RequestId) {
        if let Entry::Occupied(held) = self.held().entry(mailbox)
            && held.get().by == by
        {
            held.remove();
        }
    }

    fn held(&self) -> MutexGuard<'_, HashMap<MailboxId, Held>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_session_at_a_time_until_it_is_silent_for_too_long() {
        let locks = Locks::new(Clock::system());
        let (a, b, box1, now) = (RequestId(1), RequestId(2), MailboxId(1), Clock::system().moment());
        assert_eq!(locks.lock_at(box1, a, now), Ok(()));
        assert_eq!(locks.lock_at(box1, a, now), Ok(()));
        assert_eq!(locks.lock_at(box1, b, now), Err(InUse));
        locks.unlock(box1, b);
        assert_eq!(locks.lock_at(box1, b, now), Err(InUse));
        locks.unlock(box1, a);
        assert_eq!(locks.lock_at(box1, b, now), Ok(()));
        assert_eq!(locks.lock_at(box1, a, now + PATIENCE / 2), Err(InUse));
        assert_eq!(locks.lock_at(box1, b, now + PATIENCE / 2), Ok(()));
        assert_eq!(locks.lock_at(box1, a, now + PATIENCE), Err(InUse));
        assert_eq!(locks.lock_at(box1, a, now + PATIENCE * 3 / 2), Ok(()));
        assert_eq!(locks.lock_at(box1, b, now + PATIENCE * 3 / 2), Err(InUse));
    }
}
