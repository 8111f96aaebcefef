//! A name service that answers from a list.

use mail::address::Domain;
use net::dns::{Dns, Exchange, Exchanges, Lookup, Pending};
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Answers what it was told; of every other name it says that it does not exist.
#[derive(Default)]
pub struct ScriptedDns(Mutex<Zone>);

#[derive(Default)]
struct Zone {
    mx: HashMap<Domain, Lookup<Exchanges>>,
    addresses: HashMap<Domain, Lookup<Vec<IpAddr>>>,
}

impl ScriptedDns {
    /// Knows nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the answer to the MX question of a domain.
    ///
    /// # Panics
    /// Where `domain` is no domain name.
    pub fn set_mx(&self, domain: &str, answer: Lookup<Exchanges>) {
        self.zone().mx.insert(name(domain), answer);
    }

    /// Sets these exchanges for a domain.
    ///
    /// # Panics
    /// Where one of the names is no domain name.
    pub fn set_hosts(&self, domain: &str, hosts: &[(u16, &str)]) {
        let hosts =
            hosts.iter().map(|(preference, host)| Exchange { preference: *preference, host: name(host) });
        self.set_mx(domain, Lookup::Found(Exchanges::Hosts(hosts.collect())));
    }

    /// Sets the answer to the address questions of a host.
    ///
    /// # Panics
    /// Where `host` is no host name.
    pub fn set_addresses(&self, host: &str, answer: Lookup<Vec<IpAddr>>) {
        self.zone().addresses.insert(name(host), answer);
    }

    fn zone(&self) -> MutexGuard<'_, Zone> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Dns for ScriptedDns {
    fn mx<'a>(&'a self, domain: &'a Domain) -> Pending<'a, Exchanges> {
        let zone = self.zone();
        // A name with addresses exists, so it has no MX rather than no existence.
        let without = if zone.addresses.contains_key(domain) { Lookup::NoData } else { Lookup::NxDomain };
        let answer = zone.mx.get(domain).cloned().unwrap_or(without);
        Box::pin(std::future::ready(answer))
    }

    fn addresses<'a>(&'a self, host: &'a Domain) -> Pending<'a, Vec<IpAddr>> {
        let known = self.zone().addresses.get(host).cloned();
        let literal = || host.literal().map(|ip| Lookup::Found(vec![ip]));
        Box::pin(std::future::ready(known.or_else(literal).unwrap_or(Lookup::NxDomain)))
    }
}

fn name(text: &str) -> Domain {
    Domain::parse(text).unwrap_or_else(|e| panic!("{text}: {e}"))
}
