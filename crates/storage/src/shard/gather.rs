//! How long the committer waits for company before it begins a group.
//!
//! Where a sync is quicker than the next task comes, each task would have a sync of its own, and syncs are what costs
//! most. So where many callers commit at the same time, the committer waits a moment until a part of them are there:
//! the others keep the processors busy meanwhile. How many callers there are it learns by waiting, now and then,
//! until all of them wait. Who commits alone, or nearly, waits for nobody.

use std::time::Duration;

/// Between two looks whether more has come.
pub(crate) const STEP: Duration = Duration::from_micros(100);
/// Most looks for one group: with what a sleep takes longer than it was told to, about five milliseconds.
const MOST_STEPS: u32 = 32;
/// A group begins when one in this many of the callers are there.
const PART: usize = 3;
/// Groups from one count of the callers to the next.
const COUNT_EVERY: u32 = 64;
/// Most looks for the group that counts, and after how many in vain all callers are taken to be there.
const MOST_STEPS_OF_COUNT: u32 = 64;
const VAIN_STEPS: u32 = 12;

/// A wait, as far as it has come.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Waited {
    /// Looks taken.
    steps: u32,
    /// Looks since the last task came.
    vain: u32,
}

impl Waited {
    /// One more look, which found this many new tasks.
    pub(crate) fn step(&mut self, came: usize) {
        self.steps += 1;
        self.vain = if came == 0 { self.vain + 1 } else { 0 };
    }
}

/// What the last groups tell about the next.
#[derive(Debug, Default)]
pub(crate) struct Pace {
    /// Callers that commit at the same time.
    callers: usize,
    /// The largest group since they were counted.
    largest: usize,
    groups: u32,
}

impl Pace {
    /// Whether to wait for more, with this many tasks there.
    pub(crate) fn waits(&self, tasks: usize, waited: Waited) -> bool {
        if self.counts() {
            return waited.vain < VAIN_STEPS && waited.steps < MOST_STEPS_OF_COUNT;
        }
        tasks < self.callers / PART && waited.steps < MOST_STEPS
    }

    /// A group had this many tasks.
    pub(crate) fn group(&mut self, tasks: usize) {
        if self.groups >= COUNT_EVERY {
            let callers = if self.counts() { tasks } else { 1 };
            *self = Self { callers, ..Self::default() };
            return;
        }
        self.groups += 1;
        self.largest = self.largest.max(tasks);
        self.callers = self.callers.max(tasks);
    }

    /// Whether the next group is to have all callers. Not where nobody has met anybody.
    fn counts(&self) -> bool {
        self.groups >= COUNT_EVERY && self.largest > 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A pace after its first groups, all but one of this size, and a count of this many callers.
    fn counted(size: usize, callers: usize) -> Pace {
        let mut pace = Pace::default();
        (0..COUNT_EVERY).for_each(|_| pace.group(size));
        pace.group(callers);
        pace
    }

    fn looks(steps: u32, vain: u32) -> Waited {
        Waited { steps, vain }
    }

    #[test]
    fn who_is_alone_never_waits() {
        let mut pace = Pace::default();
        for _ in 0..3 * COUNT_EVERY {
            assert!(!pace.waits(1, Waited::default()));
            pace.group(1);
        }
    }

    #[test]
    fn callers_are_counted_by_waiting_for_all_of_them() {
        let mut pace = Pace::default();
        (0..COUNT_EVERY).for_each(|_| pace.group(2));
        assert!(pace.waits(1000, looks(40, 2)));
        assert!(!pace.waits(1, looks(12, VAIN_STEPS)) && !pace.waits(1, looks(MOST_STEPS_OF_COUNT, 0)));
        pace.group(40);
        assert!(pace.waits(12, looks(3, 3)));
        assert!(!pace.waits(13, looks(0, 0)) && !pace.waits(1, looks(MOST_STEPS, 0)));
    }

    #[test]
    fn a_few_callers_do_not_wait_for_each_other() {
        assert!(!counted(2, 5).waits(1, Waited::default()));
    }

    #[test]
    fn callers_that_have_gone_are_forgotten() {
        let mut pace = counted(2, 40);
        (0..=COUNT_EVERY).for_each(|_| pace.group(1));
        assert!(!pace.waits(1, Waited::default()));
    }

    #[test]
    fn a_look_in_vain_is_forgotten_when_something_comes() {
        let mut waited = Waited::default();
        [0, 0, 3, 0].into_iter().for_each(|came| waited.step(came));
        assert_eq!((waited.steps, waited.vain), (4, 1));
    }
}
