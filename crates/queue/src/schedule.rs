//! When to try again, when to warn, when to give up: functions from facts to a verdict.
//!
//! The waits grow and then stay; a little chance, handed in, keeps a thousand messages that failed together
//! from coming back together. The last attempt is at the end of the time allowed, never after it, and nothing
//! is given up without an attempt.

use mail::time::Timestamp;
use std::time::Duration;

/// Most waits in a plan; more are cut off.
pub const MAX_WAITS: usize = 32;
/// The shortest wait: an item that fails at once must not spin.
pub const SHORTEST_WAIT: Duration = Duration::from_secs(1);
/// A wait is stretched by chance by up to one part in this many.
const JITTER_PARTS: u64 = 8;

/// How the operator wants it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    waits: Vec<Duration>,
    /// How long a message may stay (`maxQueueTimeInHours`).
    pub give_up_after: Duration,
    /// After how long the sender is warned, once; `None`: never.
    pub warn_after: Option<Duration>,
}

impl Plan {
    /// A plan with these waits after the first, second, ... attempt; the last one holds for all that follow.
    /// Waits under [`SHORTEST_WAIT`] are lengthened, those past [`MAX_WAITS`] cut off, and no wait at all is 15 minutes.
    pub fn new(waits: &[Duration], give_up_after: Duration, warn_after: Option<Duration>) -> Self {
        let mut waits: Vec<_> = waits.iter().take(MAX_WAITS).map(|w| (*w).max(SHORTEST_WAIT)).collect();
        if waits.is_empty() {
            waits.push(Duration::from_secs(15 * 60));
        }
        Self { waits, give_up_after, warn_after }
    }

    /// The wait after this many attempts.
    fn wait(&self, attempts: u32) -> Duration {
        let at = usize::try_from(attempts.saturating_sub(1)).unwrap_or(usize::MAX).min(self.waits.len() - 1);
        self.waits.get(at).copied().unwrap_or(SHORTEST_WAIT)
    }
}

/// What has happened to a recipient so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct History {
    /// When the message came in.
    pub arrived: Timestamp,
    /// Attempts that have failed, the last one included.
    pub attempts: u32,
    /// Whether the sender knows that it is late.
    pub warned: Warned,
}

/// Whether a delay warning has gone out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Warned {
    /// Yes: never again.
    Yes,
    /// No.
    NotYet,
}

/// What is to be done with a recipient that could not be delivered to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Try again.
    Retry {
        /// Not before this.
        at: Timestamp,
        /// Whether the sender is to be told now that it is late.
        warn: Warn,
    },
    /// The time is over: report it and let it go.
    Expired,
}

/// Whether to send a delay warning.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Warn {
    /// Now.
    Now,
    /// Not, or not yet.
    No,
}

/// The verdict after an attempt that failed for now at `now`. `chance` is any number: the same one gives the
/// same verdict.
pub fn next_attempt(history: &History, plan: &Plan, now: Timestamp, chance: u64) -> Verdict {
    let end = history.arrived.plus(plan.give_up_after);
    if now >= end && history.attempts > 0 {
        return Verdict::Expired;
    }
    let wait = plan.wait(history.attempts);
    let at = now.plus(wait).plus(jitter(wait, chance));
    let late = plan.warn_after.is_some_and(|after| now >= history.arrived.plus(after));
    let warn = if late && history.warned == Warned::NotYet { Warn::Now } else { Warn::No };
    // One attempt at the very end, so that a message is never given up while it waits for a chance it had.
    Verdict::Retry { at: at.min(end).max(now.plus(SHORTEST_WAIT)), warn }
}

fn jitter(wait: Duration, chance: u64) -> Duration {
    let most = u64::try_from(wait.as_micros()).unwrap_or(u64::MAX) / JITTER_PARTS;
    Duration::from_micros(if most == 0 { 0 } else { chance % most })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const MINUTE: Duration = Duration::from_secs(60);
    const HOUR: Duration = Duration::from_secs(3600);
    const ARRIVED: Timestamp = Timestamp::from_secs(1_000_000);

    fn plan() -> Plan {
        Plan::new(&[MINUTE, 5 * MINUTE, 15 * MINUTE], 120 * HOUR, Some(4 * HOUR))
    }

    fn history(attempts: u32) -> History {
        History { arrived: ARRIVED, attempts, warned: Warned::NotYet }
    }

    #[test]
    fn waits_follow_the_plan_and_the_last_one_stays() {
        for (attempts, minutes) in [(0, 1), (1, 1), (2, 5), (3, 15), (4, 15), (u32::MAX, 15)] {
            let verdict = next_attempt(&history(attempts), &plan(), ARRIVED, 0);
            let at = ARRIVED.plus(minutes * MINUTE);
            assert_eq!(verdict, Verdict::Retry { at, warn: Warn::No }, "after {attempts}");
        }
    }

    #[test]
    fn the_sender_is_warned_once() {
        let late = ARRIVED.plus(4 * HOUR);
        let warn = |h: History, now| match next_attempt(&h, &plan(), now, 0) {
            Verdict::Retry { warn, .. } => warn,
            Verdict::Expired => panic!("too early"),
        };
        assert_eq!(warn(history(5), late.minus(Duration::from_micros(1))), Warn::No);
        assert_eq!(warn(history(5), late), Warn::Now);
        assert_eq!(warn(History { warned: Warned::Yes, ..history(5) }, late), Warn::No);
        let never = Plan { warn_after: None, ..plan() };
        let verdict = next_attempt(&history(5), &never, late, 0);
        assert!(matches!(verdict, Verdict::Retry { warn: Warn::No, .. }));
    }

    #[test]
    fn the_last_attempt_is_at_the_end_and_nothing_is_tried_after_it() {
        let end = ARRIVED.plus(120 * HOUR);
        let before = end.minus(MINUTE);
        let verdict = next_attempt(&history(50), &plan(), before, u64::MAX);
        assert!(matches!(verdict, Verdict::Retry { at, .. } if at == end));
        assert_eq!(next_attempt(&history(51), &plan(), end, 0), Verdict::Expired);
    }

    #[test]
    fn a_message_that_was_never_tried_is_not_given_up() {
        let long_after = ARRIVED.plus(1000 * HOUR);
        assert!(matches!(next_attempt(&history(0), &plan(), long_after, 0), Verdict::Retry { .. }));
    }

    proptest! {
        /// Whatever the plan: no spinning, no attempt past the end, and an end.
        #[test]
        fn every_history_ends(waits in prop::collection::vec(0u64..100_000, 0..40), hours in 1u64..500, seed: u64) {
            let waits: Vec<_> = waits.into_iter().map(Duration::from_secs).collect();
            let plan = Plan::new(&waits, Duration::from_secs(hours * 3600), None);
            let end = ARRIVED.plus(plan.give_up_after);
            let (mut now, mut attempts, mut chance) = (ARRIVED, 0u32, seed);
            loop {
                attempts += 1;
                chance = chance.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                let history = History { arrived: ARRIVED, attempts, warned: Warned::NotYet };
                match next_attempt(&history, &plan, now, chance) {
                    Verdict::Expired => break,
                    Verdict::Retry { at, .. } => {
                        prop_assert!(at >= now.plus(SHORTEST_WAIT));
                        prop_assert!(at <= end.plus(SHORTEST_WAIT));
                        now = at;
                    }
                }
            }
            prop_assert!(now >= end);
        }
    }
}
