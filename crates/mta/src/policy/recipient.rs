//! What becomes of a recipient at RCPT, from what the directory says of the address.

use super::relay::Relay;
use roles::directory::{Local, OverQuota, Route};
use roles::store::{Quota, Usage};

/// `verifyRCPTs`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verify {
    /// Unknown addresses are refused.
    AtRcpt,
    /// They are accepted, and the sender gets a report.
    Later,
}

/// What to do with mail for a recipient.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Plan {
    /// Into a mailbox, or to forwards, of this site.
    Local(Box<Local>),
    /// Into the queue: for another host, or for a report.
    Queue,
}

/// Why a recipient is not accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// There is no such address.
    Unknown,
    /// The domain is foreign, and the client may not relay.
    Relaying,
    /// It takes no mail now.
    Deferred,
    /// It takes no mail.
    Disabled,
    /// The mailbox is full.
    Full(OverQuota),
}

/// Judges an address.
///
/// # Errors
/// [`Refusal`].
pub fn judge(route: Route, relay: Relay, verify: Verify) -> Result<Plan, Refusal> {
    match (route, relay, verify) {
        (Route::Local(local), _, _) => Ok(Plan::Local(local)),
        (Route::Relay(_), _, _) | (Route::Remote, Relay::Allowed, _) => Ok(Plan::Queue),
        (Route::Remote, Relay::Denied, _) => Err(Refusal::Relaying),
        (Route::Unknown, _, Verify::Later) => Ok(Plan::Queue),
        (Route::Unknown, _, Verify::AtRcpt) => Err(Refusal::Unknown),
        (Route::Deferred, _, _) => Err(Refusal::Deferred),
        (Route::Disabled, _, _) => Err(Refusal::Disabled),
    }
}

/// Whether a message of this size (0: not known) fits into a mailbox. The store decides in the end; this spares
/// the transfer.
///
/// # Errors
/// [`Refusal::Full`], as the class of service wants it.
pub fn room(quota: &Quota, usage: Usage, size: u64, over: OverQuota) -> Result<(), Refusal> {
    let bytes = quota.bytes == 0 || usage.bytes.saturating_add(size.max(1)) <= quota.bytes;
    let messages = quota.messages == 0 || usage.messages < quota.messages;
    if bytes && messages { Ok(()) } else { Err(Refusal::Full(over)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn local() -> Route {
        let over_quota = OverQuota::Refuse;
        Route::Local(Box::new(Local { account: None, detail: None, over_quota, forwards: vec![] }))
    }

    #[test]
    fn ours_is_for_everybody_and_theirs_for_those_who_may_relay() {
        let at = |route, relay| judge(route, relay, Verify::AtRcpt);
        assert!(matches!(at(local(), Relay::Denied), Ok(Plan::Local(_))));
        assert_eq!(at(Route::Remote, Relay::Denied), Err(Refusal::Relaying));
        assert_eq!(at(Route::Remote, Relay::Allowed), Ok(Plan::Queue));
        assert_eq!(at(Route::Relay(None), Relay::Denied), Ok(Plan::Queue));
        assert_eq!(at(Route::Deferred, Relay::Allowed), Err(Refusal::Deferred));
        assert_eq!(at(Route::Disabled, Relay::Allowed), Err(Refusal::Disabled));
    }

    #[test]
    fn unknown_addresses_are_refused_unless_they_are_not_to_be_told() {
        assert_eq!(judge(Route::Unknown, Relay::Allowed, Verify::AtRcpt), Err(Refusal::Unknown));
        assert_eq!(judge(Route::Unknown, Relay::Denied, Verify::Later), Ok(Plan::Queue));
    }

    #[test]
    fn room_is_asked_for_before_the_transfer() {
        let quota = Quota { bytes: 1000, messages: 5, warning: None };
        let at = |bytes, messages, size| room(&quota, Usage { bytes, messages }, size, OverQuota::Defer);
        assert_eq!(at(900, 4, 100), Ok(()));
        assert_eq!(at(900, 4, 101), Err(Refusal::Full(OverQuota::Defer)));
        assert_eq!(at(1000, 4, 0), Err(Refusal::Full(OverQuota::Defer)));
        assert_eq!(at(0, 5, 1), Err(Refusal::Full(OverQuota::Defer)));
        assert_eq!(
            room(&Quota::default(), Usage { bytes: u64::MAX, messages: 9 }, 1, OverQuota::Refuse),
            Ok(())
        );
    }
}
