//! Which shard has which mailbox.
//!
//! A mailbox is made in its home, which follows from its id and the number of homes (`numMssPorts`). Where it has been
//! moved, or the number of homes has changed since, a row in the shard that has it says so; those rows are read at the
//! start and kept in memory (a few dozen bytes for each such mailbox). While a mailbox changes its place, changes to it
//! wait ([`Placement::stirs`]).

use mail::id::MailboxId;
use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError, RwLock};
use tokio::sync::{RwLockReadGuard, RwLockWriteGuard};

/// Where the mailboxes of a store are.
pub(crate) struct Placement {
    homes: u32,
    elsewhere: RwLock<HashMap<MailboxId, u32>>,
    moving: Mutex<HashSet<MailboxId>>,
    /// How many have moved a short time ago or are about to: tasks that were handed in before may still come to the
    /// place that the mailbox has left.
    stirring: AtomicUsize,
    /// Held by each move from its freeze to its arrival; whoever waits until nobody holds it finds every mailbox in one
    /// place.
    deciding: tokio::sync::RwLock<()>,
}

/// The move of one mailbox; ends when it is dropped.
pub(crate) struct Moving<'a> {
    placement: &'a Placement,
    mailbox: MailboxId,
}

impl Placement {
    /// With this many homes, and the mailboxes that do not live at home.
    pub(crate) fn new(homes: u32, elsewhere: HashMap<MailboxId, u32>) -> Self {
        let (moving, stirring) = (Mutex::default(), AtomicUsize::default());
        let deciding = tokio::sync::RwLock::default();
        Self { homes, elsewhere: RwLock::new(elsewhere), moving, stirring, deciding }
    }

    /// The shard that has a mailbox, or will have it when it is made.
    pub(crate) fn of(&self, mailbox: MailboxId) -> u32 {
        let elsewhere = self.elsewhere.read().unwrap_or_else(PoisonError::into_inner);
        elsewhere.get(&mailbox).copied().unwrap_or_else(|| home(mailbox, self.homes))
    }

    /// A mailbox lives in this shard from now on.
    pub(crate) fn set(&self, mailbox: MailboxId, shard: u32) {
        let mut elsewhere = self.elsewhere.write().unwrap_or_else(PoisonError::into_inner);
        if shard == home(mailbox, self.homes) {
            elsewhere.remove(&mailbox);
        } else {
            elsewhere.insert(mailbox, shard);
        }
    }

    /// Whether this shard is the home of a mailbox.
    pub(crate) fn is_home(&self, mailbox: MailboxId, shard: u32) -> bool {
        shard == home(mailbox, self.homes)
    }

    /// Begins to move a mailbox; `None` where it is being moved already.
    pub(crate) fn begin(&self, mailbox: MailboxId) -> Option<Moving<'_>> {
        let new = self.moving().insert(mailbox);
        new.then_some(Moving { placement: self, mailbox })
    }

    /// A mailbox is about to leave one place for another, as long as this is held.
    pub(crate) async fn decide(&self) -> RwLockReadGuard<'_, ()> {
        self.deciding.read().await
    }

    /// No mailbox leaves its place as long as this is held.
    pub(crate) async fn stay(&self) -> RwLockWriteGuard<'_, ()> {
        self.deciding.write().await
    }

    /// Whether any mailbox may be found to have left its place.
    pub(crate) fn stirs(&self) -> bool {
        self.stirring.load(Ordering::Acquire) > 0
    }

    /// From now on a task must ask whether its mailbox is still where it was looked for.
    pub(crate) fn stir(&self) {
        self.stirring.fetch_add(1, Ordering::AcqRel);
    }

    /// Ends what [`Placement::stir`] began.
    pub(crate) fn settle(&self) {
        self.stirring.fetch_sub(1, Ordering::AcqRel);
    }

    fn moving(&self) -> MutexGuard<'_, HashSet<MailboxId>> {
        self.moving.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Moving<'_> {
    fn drop(&mut self) {
        self.placement.moving().remove(&self.mailbox);
    }
}

/// The home of a mailbox among this many.
pub(crate) fn home(mailbox: MailboxId, homes: u32) -> u32 {
    u32::try_from(mailbox.0.rem_euclid(i64::from(homes.max(1)))).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mailbox_is_at_home_unless_it_is_said_to_be_elsewhere() {
        let placement = Placement::new(3, HashMap::from([(MailboxId(4), 2)]));
        assert_eq!([4, 5, -1].map(|id| placement.of(MailboxId(id))), [2, 2, 2]);
        placement.set(MailboxId(5), 0);
        placement.set(MailboxId(4), 1);
        assert_eq!([4, 5].map(|id| placement.of(MailboxId(id))), [1, 0]);
        assert!(placement.is_home(MailboxId(4), 1) && !placement.is_home(MailboxId(5), 0));
    }

    #[test]
    fn a_mailbox_is_moved_by_one_at_a_time() {
        let placement = Placement::new(1, HashMap::new());
        let moving = placement.begin(MailboxId(1));
        assert!(moving.is_some() && placement.begin(MailboxId(1)).is_none());
        assert!(placement.begin(MailboxId(2)).is_some());
        drop(moving);
        assert!(placement.begin(MailboxId(1)).is_some());
    }
}
