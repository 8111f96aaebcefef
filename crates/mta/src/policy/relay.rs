//! Who may send to domains that are not ours.

use mail::network::Networks;
use std::net::IpAddr;

/// `relaySourcePolicy`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SourcePolicy {
    /// Nobody without logging in.
    #[default]
    DenyAll,
    /// The networks of `relaySourceList`.
    AllowNamed,
    /// Everybody: an open relay.
    AllowAll,
}

/// Whether a client has logged in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Identity {
    /// It has.
    Authenticated,
    /// It has not.
    Anonymous,
}

/// Whether mail of a client may go to a foreign domain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Relay {
    /// It may.
    Allowed,
    /// It may not.
    Denied,
}

/// Judges a client.
pub fn judge(policy: SourcePolicy, named: &Networks, peer: IpAddr, identity: Identity) -> Relay {
    let allowed = match (identity, policy) {
        (Identity::Authenticated, _) | (_, SourcePolicy::AllowAll) => true,
        (Identity::Anonymous, SourcePolicy::AllowNamed) => named.contains(peer),
        (Identity::Anonymous, SourcePolicy::DenyAll) => false,
    };
    if allowed { Relay::Allowed } else { Relay::Denied }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_open_relay_by_default() {
        let named = Networks::read(&["192.0.2.0/24".to_owned()], |_| ());
        let (inside, outside) = ("192.0.2.1".parse().unwrap(), "203.0.113.1".parse().unwrap());
        let anonymous = |policy, peer| judge(policy, &named, peer, Identity::Anonymous);
        assert_eq!(anonymous(SourcePolicy::default(), inside), Relay::Denied);
        assert_eq!(anonymous(SourcePolicy::AllowNamed, inside), Relay::Allowed);
        assert_eq!(anonymous(SourcePolicy::AllowNamed, outside), Relay::Denied);
        assert_eq!(anonymous(SourcePolicy::AllowAll, outside), Relay::Allowed);
    }

    #[test]
    fn whoever_has_logged_in_may_relay() {
        let who = Identity::Authenticated;
        let peer = "203.0.113.1".parse().unwrap();
        assert_eq!(judge(SourcePolicy::DenyAll, &Networks::default(), peer, who), Relay::Allowed);
    }
}
