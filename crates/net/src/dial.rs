//! Outgoing connections for mail: which hosts, in which order, and opening one.
//!
//! Promises the order of RFC 5321 5.1: by preference, by chance among equals, the domain itself where it has no
//! MX, and nothing at or behind our own place in the list, so that mail does not come back to us. Fails with
//! what the sender should hear: [`NoRoute`] says whether asking later can help. What is said over the
//! connection is the caller's business; trying the next candidate too.

use crate::dns::{Dns, Exchange, Exchanges, Lookup};
use env::random::Random;
use mail::address::Domain;
use std::collections::HashSet;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;
use tokio::net::{TcpSocket, TcpStream};

/// Most addresses that one attempt tries.
pub const MAX_CANDIDATES: usize = 10;
/// The port of mail between servers. RFC 5321 4.5.4.2.
pub const SMTP_PORT: u16 = 25;

/// Where mail is to go next.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum NextHop {
    /// To the exchanges of a domain, or to an address literal.
    Domain(Domain),
    /// To this host, whatever its MX says.
    Host {
        /// A name or an address literal.
        host: Domain,
        /// The port.
        port: u16,
    },
}

impl std::fmt::Display for NextHop {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Domain(domain) => write!(f, "{domain}"),
            Self::Host { host, port } => write!(f, "{host}#{port}"),
        }
    }
}

/// Why there is nowhere to connect to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NoRoute {
    /// RFC 7505: the domain takes no mail. For good.
    #[error("the domain does not accept mail (null MX)")]
    NullMx,
    /// The domain does not exist. For good.
    #[error("the domain does not exist")]
    NoDomain,
    /// None of its hosts has an address. For good.
    #[error("no host of the domain has an address")]
    NoAddress,
    /// The best exchange is this host. For good, unless the directory says that the domain is local.
    #[error("the mail exchange of the domain is this host, which does not know the domain")]
    Ourselves,
    /// The name service does not answer. Later, perhaps.
    #[error("the name service does not answer")]
    NameService,
}

/// The names by which others call this host, in the form of [`Domain`].
#[derive(Debug, Clone, Default)]
pub struct OwnNames(HashSet<Domain>);

impl OwnNames {
    /// These names; those that are no domain names cannot be met and are left out.
    pub fn new<'a>(names: impl IntoIterator<Item = &'a str>) -> Self {
        Self(names.into_iter().filter_map(|name| Domain::parse(name.trim()).ok()).collect())
    }

    /// Whether the name is one of ours.
    pub fn contains(&self, name: &Domain) -> bool {
        self.0.contains(name)
    }
}

/// One address to try.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// The host, for reports, for the log and for the certificate.
    pub host: Domain,
    /// Its address.
    pub address: SocketAddr,
}

/// The addresses to try for `hop`, best first: at least one, at most [`MAX_CANDIDATES`].
///
/// # Errors
/// Says why there is none.
pub async fn candidates(
    dns: &dyn Dns,
    random: &Random,
    own: &OwnNames,
    hop: &NextHop,
) -> Result<Vec<Candidate>, NoRoute> {
    let (hosts, port) = match hop {
        NextHop::Host { host, port } => (vec![host.clone()], *port),
        NextHop::Domain(domain) => (hosts(dns, random, own, domain).await?, SMTP_PORT),
    };
    let mut found = Vec::new();
    let mut doubt = false;
    for host in hosts {
        match dns.addresses(&host).await {
            Lookup::Found(addresses) => found.extend(
                addresses
                    .into_iter()
                    .map(|ip| Candidate { host: host.clone(), address: SocketAddr::new(ip, port) }),
            ),
            Lookup::TemporaryFailure => doubt = true,
            Lookup::NoData | Lookup::NxDomain => {}
        }
        if found.len() >= MAX_CANDIDATES {
            break;
        }
    }
    found.truncate(MAX_CANDIDATES);
    match found.is_empty() {
        false => Ok(found),
        true if doubt => Err(NoRoute::NameService),
        true => Err(NoRoute::NoAddress),
    }
}

async fn hosts(
    dns: &dyn Dns,
    random: &Random,
    own: &OwnNames,
    domain: &Domain,
) -> Result<Vec<Domain>, NoRoute> {
    if domain.literal().is_some() {
        return Ok(vec![domain.clone()]);
    }
    match dns.mx(domain).await {
        Lookup::Found(Exchanges::Hosts(list)) => in_order(list, own, |below| random.below(below)),
        Lookup::Found(Exchanges::Null) => Err(NoRoute::NullMx),
        // RFC 5321 5.1: a domain without MX is its own exchange.
        Lookup::NoData if own.contains(domain) => Err(NoRoute::Ourselves),
        Lookup::NoData => Ok(vec![domain.clone()]),
        Lookup::NxDomain => Err(NoRoute::NoDomain),
        Lookup::TemporaryFailure => Err(NoRoute::NameService),
    }
}

/// RFC 5321 5.1: sorts by preference, mixes equals, and cuts the list before the first place that is ours:
/// whoever stands there or behind would send the mail back to us. `below(n)` is a number under `n`.
fn in_order(
    mut list: Vec<Exchange>,
    own: &OwnNames,
    mut below: impl FnMut(u64) -> u64,
) -> Result<Vec<Domain>, NoRoute> {
    let ours = list.iter().filter(|mx| own.contains(&mx.host)).map(|mx| mx.preference).min();
    list.retain(|mx| ours.is_none_or(|limit| mx.preference < limit));
    if list.is_empty() {
        return Err(if ours.is_some() { NoRoute::Ourselves } else { NoRoute::NoAddress });
    }
    for last in (1..list.len()).rev() {
        let other = usize::try_from(below(last as u64 + 1)).unwrap_or(0);
        list.swap(last, other.min(last));
    }
    list.sort_by_key(|mx| mx.preference);
    Ok(list.into_iter().map(|mx| mx.host).collect())
}

/// From which of our addresses connections are made; `None` leaves it to the system.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Source {
    /// Towards IPv4.
    pub v4: Option<IpAddr>,
    /// Towards IPv6.
    pub v6: Option<IpAddr>,
}

/// Opens a connection, within `at_most`.
///
/// # Errors
/// What the system says; `TimedOut` where it said nothing in time.
pub async fn connect(address: SocketAddr, source: Source, at_most: Duration) -> io::Result<TcpStream> {
    let (socket, from) = match address {
        SocketAddr::V4(_) => (TcpSocket::new_v4()?, source.v4),
        SocketAddr::V6(_) => (TcpSocket::new_v6()?, source.v6),
    };
    if let Some(from) = from {
        socket.bind(SocketAddr::new(from, 0))?;
    }
    let stream = tokio::time::timeout(at_most, socket.connect(address))
        .await
        .map_err(|_| io::Error::from(io::ErrorKind::TimedOut))??;
    stream.set_nodelay(true)?;
    Ok(stream)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dns::Pending;
    use proptest::prelude::*;

    fn domain(name: &str) -> Domain {
        Domain::parse(name).unwrap()
    }

    fn list(records: &[(u16, &str)]) -> Vec<Exchange> {
        records.iter().map(|(p, h)| Exchange { preference: *p, host: domain(h) }).collect()
    }

    fn names(hosts: &[Domain]) -> Vec<&str> {
        hosts.iter().map(Domain::as_str).collect()
    }

    #[test]
    fn its_20768_our_own_place_cuts_the_list() {
        let own = OwnNames::new(["ME.example", "not a name"]);
        let all = [(10, "a.example"), (20, "me.example"), (20, "b.example"), (30, "c.example")];
        assert_eq!(names(&in_order(list(&all), &own, |_| 0).unwrap()), ["a.example"]);
        assert_eq!(in_order(list(&all[1..]), &own, |_| 0), Err(NoRoute::Ourselves));
        assert_eq!(in_order(vec![], &own, |_| 0), Err(NoRoute::NoAddress));
    }

    #[test]
    fn equals_are_mixed_and_preferences_kept() {
        let all = list(&[(5, "x"), (5, "y"), (1, "first"), (5, "z"), (9, "last")]);
        let random = Random::seeded(3);
        let mut second = HashSet::new();
        for _ in 0..100 {
            let hosts = in_order(all.clone(), &OwnNames::default(), |n| random.below(n)).unwrap();
            assert_eq!((hosts[0].as_str(), hosts[4].as_str()), ("first", "last"));
            second.insert(hosts[1].clone());
        }
        assert_eq!(second.len(), 3);
    }

    proptest! {
        #[test]
        fn any_list_keeps_its_hosts_and_its_order(preferences in prop::collection::vec(0u16..4, 1..20), seed: u64) {
            let all: Vec<_> = preferences
                .iter()
                .enumerate()
                .map(|(n, p)| Exchange { preference: *p, host: domain(&format!("h{n}")) })
                .collect();
            let random = Random::seeded(seed);
            let hosts = in_order(all.clone(), &OwnNames::default(), |n| random.below(n)).unwrap();
            let of = |host: &Domain| all.iter().find(|mx| mx.host == *host).unwrap().preference;
            prop_assert!(hosts.is_sorted_by_key(of));
            prop_assert_eq!(hosts.iter().collect::<HashSet<_>>().len(), all.len());
        }
    }

    struct OneHost(Lookup<Exchanges>, Lookup<Vec<IpAddr>>);

    impl Dns for OneHost {
        fn mx<'a>(&'a self, _: &'a Domain) -> Pending<'a, Exchanges> {
            Box::pin(std::future::ready(self.0.clone()))
        }

        fn addresses<'a>(&'a self, _: &'a Domain) -> Pending<'a, Vec<IpAddr>> {
            Box::pin(std::future::ready(self.1.clone()))
        }
    }

    async fn route(mx: Lookup<Exchanges>, addresses: Lookup<Vec<IpAddr>>) -> Result<Vec<Candidate>, NoRoute> {
        let own = OwnNames::new(["me.example"]);
        let hop = NextHop::Domain(domain("to.example"));
        candidates(&OneHost(mx, addresses), &Random::seeded(1), &own, &hop).await
    }

    #[tokio::test]
    async fn every_way_to_have_no_route_is_told_apart() {
        let hosts = || Lookup::Found(Exchanges::Hosts(list(&[(1, "a"), (2, "b")])));
        let ip = || Lookup::Found(vec!["192.0.2.1".parse().unwrap()]);
        assert_eq!(route(Lookup::Found(Exchanges::Null), ip()).await, Err(NoRoute::NullMx));
        assert_eq!(route(Lookup::NxDomain, ip()).await, Err(NoRoute::NoDomain));
        assert_eq!(route(Lookup::TemporaryFailure, ip()).await, Err(NoRoute::NameService));
        assert_eq!(route(hosts(), Lookup::TemporaryFailure).await, Err(NoRoute::NameService));
        assert_eq!(route(hosts(), Lookup::NxDomain).await, Err(NoRoute::NoAddress));
        let found = route(Lookup::NoData, ip()).await.unwrap();
        assert_eq!(
            found,
            [Candidate { host: domain("to.example"), address: "192.0.2.1:25".parse().unwrap() }]
        );
        assert_eq!(route(hosts(), ip()).await.unwrap().len(), 2);
        let many = Lookup::Found(vec!["192.0.2.1".parse().unwrap(); 16]);
        assert_eq!(route(hosts(), many).await.unwrap().len(), MAX_CANDIDATES);
    }

    #[tokio::test]
    async fn connects_from_the_address_that_was_asked_for() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let source = Source { v4: Some("127.0.0.9".parse().unwrap()), v6: None };
        let to = listener.local_addr().unwrap();
        let stream = connect(to, source, Duration::from_secs(5)).await.unwrap();
        assert_eq!(stream.local_addr().unwrap().ip(), source.v4.unwrap());
        drop(listener);
        let refused = connect(to, Source::default(), Duration::from_secs(5)).await.unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::ConnectionRefused);
    }
}
