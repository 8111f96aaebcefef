//! When a server that has ended by itself is started again: a function of when it ended before.

use std::time::Duration;

/// Ends that are older than this are forgiven.
pub const WINDOW: Duration = Duration::from_secs(60);
/// So many ends within [`WINDOW`] and it is left alone for [`REST`].
pub const LIMIT: usize = 6;
/// The pause after the second end; it doubles with each further one.
const FIRST: Duration = Duration::from_millis(100);
/// How long a server that keeps ending is left alone before it is tried again.
pub const REST: Duration = Duration::from_secs(60);

/// What to do about a server that has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// Start it again after this pause.
    Again(Duration),
    /// It will not hold: say so, and try again after this pause.
    Rest(Duration),
}

/// Ends of a server, as long as they count.
#[derive(Debug, Default)]
pub struct History(Vec<Duration>);

impl History {
    /// It has ended, at this time since whatever origin; what to do.
    pub fn ended(&mut self, at: Duration) -> Next {
        self.0.retain(|before| at.saturating_sub(*before) < WINDOW);
        self.0.push(at);
        let next = after(self.0.len());
        if matches!(next, Next::Rest(_)) {
            // The rest is the penalty; what comes after it is judged anew.
            self.0.clear();
        }
        next
    }

    /// It was started by hand: whoever did that has mended something.
    pub fn forget(&mut self) {
        self.0.clear();
    }
}

/// What to do after so many ends within [`WINDOW`].
fn after(ends: usize) -> Next {
    match u32::try_from(ends).unwrap_or(u32::MAX) {
        0 | 1 => Next::Again(Duration::ZERO),
        _ if ends >= LIMIT => Next::Rest(REST),
        ends => Next::Again(FIRST * 2u32.pow(ends - 2)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pauses(ends: &[u64]) -> Vec<Next> {
        let mut history = History::default();
        ends.iter().map(|second| history.ended(Duration::from_secs(*second))).collect()
    }

    #[test]
    fn the_first_end_costs_nothing_and_each_further_one_twice_as_much() {
        let again = |ms| Next::Again(Duration::from_millis(ms));
        assert_eq!(pauses(&[10, 11, 12, 13, 14]), [again(0), again(100), again(200), again(400), again(800)]);
    }

    #[test]
    fn one_that_keeps_ending_is_left_alone_and_then_judged_anew() {
        let all = pauses(&[1, 2, 3, 4, 5, 6, 67, 68]);
        assert_eq!(all[5], Next::Rest(REST));
        assert_eq!(all[6..], [Next::Again(Duration::ZERO), Next::Again(FIRST)]);
    }

    #[test]
    fn old_ends_are_forgiven() {
        let all = pauses(&[0, 61, 122, 183, 244, 305, 366]);
        assert!(all.iter().all(|next| *next == Next::Again(Duration::ZERO)), "{all:?}");
    }

    #[test]
    fn a_start_by_hand_wipes_the_slate() {
        let mut history = History::default();
        for at in 0..5 {
            history.ended(Duration::from_secs(at));
        }
        history.forget();
        assert_eq!(history.ended(Duration::from_secs(5)), Next::Again(Duration::ZERO));
    }
}
