//! `mailRoutingTable`: where mail goes instead of to its MX. Pure.
//!
//! The nearest entry counts (ITS 19038): the domain itself, then `*.parent` from the longest parent on, then `*`.

use mail::address::Domain;
use net::dial::{NextHop, SMTP_PORT};
use std::collections::HashMap;

/// Entries of the key, by what they are for.
#[derive(Debug, Default)]
pub(crate) struct RoutingTable {
    exact: HashMap<Domain, Target>,
    below: HashMap<Domain, Target>,
    rest: Option<Target>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Target {
    host: Domain,
    port: u16,
}

impl RoutingTable {
    /// Reads `domain:host#port`, `*.domain:host#port` and `*:host#port`; the port may be left out. The first entry
    /// for a domain holds. What makes no sense is handed to `bad`.
    pub(crate) fn read(entries: &[String], mut bad: impl FnMut(&str)) -> Self {
        let mut table = Self::default();
        for entry in entries.iter().filter(|e| !e.trim().is_empty()) {
            if table.add(entry.trim()).is_none() {
                bad(entry);
            }
        }
        table
    }

    fn add(&mut self, entry: &str) -> Option<()> {
        let (domain, target) = entry.split_once(':')?;
        let (host, port) = match target.rsplit_once('#') {
            Some((host, port)) => (host, port.trim().parse().ok().filter(|p| *p != 0)?),
            None => (target, SMTP_PORT),
        };
        let target = Target { host: Domain::parse(&bracketed(host.trim())).ok()?, port };
        match domain.trim() {
            "*" => self.rest = self.rest.take().or(Some(target)),
            domain => match domain.strip_prefix("*.") {
                Some(parent) => drop(self.below.entry(Domain::parse(parent).ok()?).or_insert(target)),
                None => drop(self.exact.entry(Domain::parse(domain).ok()?).or_insert(target)),
            },
        }
        Some(())
    }

    /// Where mail for this domain goes.
    pub(crate) fn next_hop(&self, domain: &Domain) -> NextHop {
        let target = self.exact.get(domain).or_else(|| self.of_parent(domain)).or(self.rest.as_ref());
        match target {
            Some(Target { host, port }) => NextHop::Host { host: host.clone(), port: *port },
            None => NextHop::Domain(domain.clone()),
        }
    }

    fn of_parent(&self, domain: &Domain) -> Option<&Target> {
        let mut name = domain.as_str();
        while let Some((_, parent)) = name.split_once('.') {
            if let Some(target) = Domain::parse(parent).ok().and_then(|parent| self.below.get(&parent)) {
                return Some(target);
            }
            name = parent;
        }
        None
    }
}

/// An address without brackets gets them: `192.0.2.1` is a host like any other here.
pub(crate) fn bracketed(host: &str) -> String {
    match host.parse() {
        Ok(std::net::IpAddr::V4(v4)) => format!("[{v4}]"),
        Ok(std::net::IpAddr::V6(v6)) => format!("[IPv6:{v6}]"),
        Err(_) => host.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hop(table: &RoutingTable, domain: &str) -> String {
        table.next_hop(&Domain::parse(domain).unwrap()).to_string()
    }

    #[test]
    fn its_19038_the_nearest_entry_counts() {
        let entries = [
            "*:smart.example#2525",
            "a.example:first.example",
            "a.example:second.example",
            "*.example:below.example#26",
            "*.deep.example:deep.example",
            "b.test : 192.0.2.1#10025",
        ];
        let table = RoutingTable::read(&entries.map(str::to_owned), |bad| panic!("{bad}"));
        assert_eq!(hop(&table, "A.example"), "first.example#25");
        assert_eq!(hop(&table, "x.a.example"), "below.example#26");
        assert_eq!(hop(&table, "x.y.deep.example"), "deep.example#25");
        assert_eq!(hop(&table, "b.test"), "[192.0.2.1]#10025");
        assert_eq!(hop(&table, "other.test"), "smart.example#2525");
    }

    #[test]
    fn without_an_entry_the_mx_counts_and_bad_entries_are_named() {
        let mut bad = Vec::new();
        let entries =
            ["nonsense", "a.example:h#0", "a.example:h#x", "a..b:h", "a.example:", "", "c.example:h"];
        let table = RoutingTable::read(&entries.map(str::to_owned), |entry| bad.push(entry.to_owned()));
        assert_eq!(bad, entries[..5]);
        assert_eq!(table.next_hop(&Domain::parse("a.example").unwrap()).to_string(), "a.example");
        assert_eq!(hop(&table, "c.example"), "h#25");
    }
}
