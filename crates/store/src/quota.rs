//! Whether a mailbox may take more, and whether its user is to be warned: functions from numbers to a verdict.

use roles::store::{Quota, StoreError, Usage};

/// What a mailbox has too much of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Over {
    /// Bytes; with those it has.
    Bytes(u64),
    /// Messages; with those it has.
    Messages(u64),
}

impl From<Over> for StoreError {
    fn from(_: Over) -> Self {
        Self::OverQuota
    }
}

/// Whether a mailbox that holds `usage` may take `more`. A limit of 0 is none. ITS 14092: a message counts with the
/// bytes that are sent to clients; ITS 16594: the number of messages is limited too.
pub(crate) fn judge(usage: Usage, more: Usage, quota: &Quota) -> Result<(), Over> {
    let within = |have: u64, more: u64, limit: u64| limit == 0 || have.saturating_add(more) <= limit;
    if !within(usage.bytes, more.bytes, quota.bytes) {
        return Err(Over::Bytes(usage.bytes));
    }
    if !within(usage.messages, more.messages, quota.messages) {
        return Err(Over::Messages(usage.messages));
    }
    Ok(())
}

/// Whether a mailbox that holds this much holds a percentage of either of its limits, or more.
fn reaches(usage: Usage, quota: &Quota, percent: u8) -> bool {
    let full = |have: u64, limit: u64| {
        limit > 0 && u128::from(have) * 100 >= u128::from(limit) * u128::from(percent)
    };
    full(usage.bytes, quota.bytes) || full(usage.messages, quota.messages)
}

/// Whether the way from `before` to `after` crosses the percentage from below (ITS 13997). It needs no memory: who is
/// above has been warned, and who falls below it can cross it again.
pub(crate) fn crosses(before: Usage, after: Usage, quota: &Quota, percent: u8) -> bool {
    !reaches(before, quota, percent) && reaches(after, quota, percent)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn usage((bytes, messages): (u64, u64)) -> Usage {
        Usage { bytes, messages }
    }

    fn limits((bytes, messages): (u64, u64)) -> Quota {
        Quota { bytes, messages, warning: None }
    }

    fn verdict(have: (u64, u64), more: (u64, u64), limit: (u64, u64)) -> bool {
        judge(usage(have), usage(more), &limits(limit)).is_ok()
    }

    #[test]
    fn limits_are_reached_and_not_passed() {
        assert!(verdict((90, 1), (10, 1), (100, 2)));
        assert!(!verdict((91, 1), (10, 1), (100, 2)));
        assert!(!verdict((90, 2), (10, 1), (100, 2)));
        assert!(verdict((u64::MAX, u64::MAX), (1, 1), (0, 0)));
        assert!(!verdict((u64::MAX, 0), (1, 1), (u64::MAX - 1, 0)));
    }

    #[test]
    fn a_crossing_is_from_below_and_by_either_limit() {
        let at = |before, after, limit| crosses(usage(before), usage(after), &limits(limit), 90);
        assert!(at((89, 0), (90, 1), (100, 0)));
        assert!(!at((90, 1), (95, 2), (100, 0)), "it was above already");
        assert!(!at((80, 1), (89, 2), (100, 0)));
        assert!(at((0, 8), (1, 9), (0, 10)));
        assert!(!at((0, 8), (1, 9), (0, 0)), "there is no limit");
        assert!(at((0, 0), (u64::MAX, 1), (u64::MAX, 0)), "numbers do not overflow");
        assert!(!at((95, 8), (96, 9), (100, 10)), "one limit was crossed before, and its user warned");
    }
}
