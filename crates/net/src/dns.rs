//! The name service, as far as mail needs it.
//!
//! Promises that the outcomes which mail treats differently stay apart: a name that does not exist, a name
//! without such records, a domain that wants no mail, and a name service that does not answer (RFC 5321 5.1,
//! RFC 7505). Only the last may be tried again. Every answer is bounded in size and in time.
//!
//! [`system::SystemDns`] asks the servers of the host; tests hand in a scripted double. Which of several
//! servers is tried first is [`crate::dial`]'s business.

pub mod system;

use mail::address::Domain;
use std::future::Future;
use std::net::IpAddr;
use std::pin::Pin;

/// Most exchanges of one domain that are looked at; the best are kept.
pub const MAX_EXCHANGES: usize = 64;
/// Most addresses of one host that are looked at, of each family.
pub const MAX_ADDRESSES: usize = 16;

/// What the name service says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Lookup<T> {
    /// There are records.
    Found(T),
    /// The name exists, but has no such records.
    NoData,
    /// The name does not exist.
    NxDomain,
    /// Nobody could say: a timeout, SERVFAIL, a refusal, a broken answer.
    TemporaryFailure,
}

impl<T> Lookup<T> {
    /// Goes on with what was found.
    pub fn and_then<U>(self, next: impl FnOnce(T) -> Lookup<U>) -> Lookup<U> {
        match self {
            Self::Found(value) => next(value),
            Self::NoData => Lookup::NoData,
            Self::NxDomain => Lookup::NxDomain,
            Self::TemporaryFailure => Lookup::TemporaryFailure,
        }
    }
}

/// One MX record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exchange {
    /// The smaller, the better. RFC 5321 5.1.
    pub preference: u16,
    /// The host.
    pub host: Domain,
}

/// The MX records of a domain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Exchanges {
    /// `MX 0 .`: the domain takes no mail. RFC 7505 3.
    Null,
    /// At most [`MAX_EXCHANGES`], in no order. Empty where no record held a usable host name.
    Hosts(Vec<Exchange>),
}

/// An answer that is still to come.
pub type Pending<'a, T> = Pin<Box<dyn Future<Output = Lookup<T>> + Send + 'a>>;

/// Asks the name service. Never fails otherwise than by [`Lookup::TemporaryFailure`].
pub trait Dns: Send + Sync {
    /// The mail exchanges of a domain.
    fn mx<'a>(&'a self, domain: &'a Domain) -> Pending<'a, Exchanges>;

    /// The addresses of a host: at most [`MAX_ADDRESSES`] of either family, in the order given.
    /// `Found` is never empty. An address literal is its own answer.
    fn addresses<'a>(&'a self, host: &'a Domain) -> Pending<'a, Vec<IpAddr>>;
}

/// Joins the answers for the two address families. One family without records takes nothing away from the
/// other; but where one was found wanting and the other could not be asked, nothing is certain.
pub(crate) fn join(v4: Lookup<Vec<IpAddr>>, v6: Lookup<Vec<IpAddr>>) -> Lookup<Vec<IpAddr>> {
    use Lookup::{Found, NoData, NxDomain, TemporaryFailure};
    match (v4, v6) {
        (Found(mut first), Found(second)) => {
            first.extend(second);
            Found(first)
        }
        (Found(some), _) | (_, Found(some)) => Found(some),
        (TemporaryFailure, _) | (_, TemporaryFailure) => TemporaryFailure,
        (NoData, _) | (_, NoData) => NoData,
        (NxDomain, NxDomain) => NxDomain,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_family_is_enough_and_doubt_stays_doubt() {
        let one = || Lookup::Found(vec!["192.0.2.1".parse().unwrap()]);
        assert_eq!(join(one(), Lookup::TemporaryFailure), one());
        assert_eq!(join(Lookup::NoData, one()), one());
        assert_eq!(join(Lookup::NoData, Lookup::TemporaryFailure), Lookup::TemporaryFailure);
        assert_eq!(join(Lookup::NxDomain, Lookup::NoData), Lookup::NoData);
        assert_eq!(join(Lookup::NxDomain, Lookup::NxDomain), Lookup::NxDomain);
    }
}
