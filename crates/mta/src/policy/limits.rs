//! How much one client may ask for: bad commands of a session.

use std::time::Duration;

/// What comes after one more bad command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Patience {
    /// The reply, at once.
    Normal,
    /// The reply, after this long.
    Slow(Duration),
    /// 421 and the end.
    Over,
}

/// Judges a session with this many bad commands: slower from half of `most` on, over at `most`.
pub const fn patience(bad: u64, most: u64, delay: Duration) -> Patience {
    if bad >= most {
        return Patience::Over;
    }
    if bad < most.div_ceil(2) || delay.is_zero() { Patience::Normal } else { Patience::Slow(delay) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patience_runs_out() {
        let second = Duration::from_secs(1);
        let at = |bad| patience(bad, 10, second);
        assert_eq!(
            (at(4), at(5), at(9), at(10)),
            (Patience::Normal, Patience::Slow(second), Patience::Slow(second), Patience::Over)
        );
        assert_eq!(patience(9, 10, Duration::ZERO), Patience::Normal);
    }
}
