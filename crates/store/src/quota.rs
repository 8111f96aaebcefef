//! Whether a mailbox may take more: functions from numbers to a verdict.

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
pub(crate) fn judge(usage: Usage, more: Usage, quota: Quota) -> Result<(), Over> {
    let within = |have: u64, more: u64, limit: u64| limit == 0 || have.saturating_add(more) <= limit;
    if !within(usage.bytes, more.bytes, quota.bytes) {
        return Err(Over::Bytes(usage.bytes));
    }
    if !within(usage.messages, more.messages, quota.messages) {
        return Err(Over::Messages(usage.messages));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(have: (u64, u64), more: (u64, u64), limit: (u64, u64)) -> bool {
        let usage = |(bytes, messages)| Usage { bytes, messages };
        judge(usage(have), usage(more), Quota { bytes: limit.0, messages: limit.1 }).is_ok()
    }

    #[test]
    fn limits_are_reached_and_not_passed() {
        assert!(verdict((90, 1), (10, 1), (100, 2)));
        assert!(!verdict((91, 1), (10, 1), (100, 2)));
        assert!(!verdict((90, 2), (10, 1), (100, 2)));
        assert!(verdict((u64::MAX, u64::MAX), (1, 1), (0, 0)));
        assert!(!verdict((u64::MAX, 0), (1, 1), (u64::MAX - 1, 0)));
    }
}
