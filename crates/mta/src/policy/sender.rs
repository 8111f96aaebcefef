//! What is asked of the sender at MAIL.

use net::dns::{Exchanges, Lookup};
use std::net::IpAddr;

/// `rejectSenderBadAddress`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SenderPolicy {
    /// An address without a domain gets the default one.
    Off,
    /// A complete address.
    Syntax,
    /// A complete address, of a domain that can be answered.
    Domain,
}

/// `submissionSenderPolicy`: under which addresses somebody who has logged in may send.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ownership {
    /// Any.
    Off,
    /// His own, or one of a foreign domain.
    OurDomains,
    /// His own only.
    Always,
}

/// Whether the address is of a domain of this site.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Home {
    /// It is.
    Ours,
    /// It is not.
    Foreign,
}

/// Why a sender is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// There is no domain.
    NoDomain,
    /// The domain does not exist, or has neither mail exchanges nor addresses.
    UnknownDomain,
    /// The domain says that it takes no mail, so no answer could reach it. RFC 7505 4.2.
    NullMx,
    /// The name service does not answer: try again.
    NoAnswer,
    /// The address is somebody else's.
    NotOwned,
}

/// What must be asked before an account may send under an address: whether it owns it.
pub const fn must_own(policy: Ownership, home: Home) -> bool {
    match (policy, home) {
        (Ownership::Off, _) | (Ownership::OurDomains, Home::Foreign) => false,
        (Ownership::OurDomains, Home::Ours) | (Ownership::Always, _) => true,
    }
}

/// Judges the domain by its mail exchanges; `None` where its addresses must be asked for. RFC 5321 5.1.
pub fn judge_exchanges(found: &Lookup<Exchanges>) -> Option<Result<(), Refusal>> {
    match found {
        Lookup::Found(Exchanges::Null) => Some(Err(Refusal::NullMx)),
        Lookup::Found(Exchanges::Hosts(hosts)) if !hosts.is_empty() => Some(Ok(())),
        Lookup::Found(Exchanges::Hosts(_)) | Lookup::NoData => None,
        Lookup::NxDomain => Some(Err(Refusal::UnknownDomain)),
        Lookup::TemporaryFailure => Some(Err(Refusal::NoAnswer)),
    }
}

/// Judges a domain without mail exchanges by its addresses.
///
/// # Errors
/// [`Refusal::UnknownDomain`] or [`Refusal::NoAnswer`].
pub const fn judge_addresses(found: &Lookup<Vec<IpAddr>>) -> Result<(), Refusal> {
    match found {
        Lookup::Found(_) => Ok(()),
        Lookup::NoData | Lookup::NxDomain => Err(Refusal::UnknownDomain),
        Lookup::TemporaryFailure => Err(Refusal::NoAnswer),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ownership() {
        assert!(!must_own(Ownership::Off, Home::Ours));
        assert!(must_own(Ownership::OurDomains, Home::Ours));
        assert!(!must_own(Ownership::OurDomains, Home::Foreign));
        assert!(must_own(Ownership::Always, Home::Foreign));
    }

    #[test]
    fn domains_that_cannot_be_answered() {
        assert_eq!(judge_exchanges(&Lookup::Found(Exchanges::Null)), Some(Err(Refusal::NullMx)));
        assert_eq!(judge_exchanges(&Lookup::NxDomain), Some(Err(Refusal::UnknownDomain)));
        assert_eq!(judge_exchanges(&Lookup::TemporaryFailure), Some(Err(Refusal::NoAnswer)));
        assert_eq!(judge_exchanges(&Lookup::NoData), None, "an address will do");
        assert_eq!(judge_addresses(&Lookup::NoData), Err(Refusal::UnknownDomain));
        assert_eq!(judge_addresses(&Lookup::TemporaryFailure), Err(Refusal::NoAnswer));
        assert_eq!(judge_addresses(&Lookup::Found(vec![])), Ok(()));
    }
}
