//! How many connections the clients of one network may have at the same time.

use catalog::events::nio::NioConnectionLimit;
use env::log::Log;
use mail::network::{self, place};
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// `clientConnectionLimitTable`: `network:most`; the longest matching network counts.
#[derive(Debug, Clone, Default)]
pub struct ConnectionTable {
    /// First and last address, and the limit; the smallest networks first.
    entries: Vec<(u128, u128, usize)>,
}

/// Whose connections are counted together: the network of the table's entry, and its limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Shelf {
    network: (u128, u128),
    limit: usize,
}

impl ConnectionTable {
    /// From the key's values; bad ones are handed to `skip`.
    pub fn read(values: &[String], mut skip: impl FnMut(&str)) -> Self {
        let mut entries = Vec::with_capacity(values.len());
        for value in values {
            let parsed = value.rsplit_once(':').and_then(|(network, limit)| {
                let network = network::parse(network.trim_matches(['[', ']'])).ok()?;
                Some((*network.start(), *network.end(), limit.trim().parse().ok()?))
            });
            match parsed {
                Some(entry) => entries.push(entry),
                None => skip(value),
            }
        }
        entries.sort_unstable_by_key(|(first, last, _)| last - first);
        Self { entries }
    }

    /// The entry that counts for an address.
    fn find(&self, peer: IpAddr) -> Option<Shelf> {
        let at = place(peer);
        let found = self.entries.iter().find(|(first, last, _)| (*first..=*last).contains(&at))?;
        Some(Shelf { network: (found.0, found.1), limit: found.2 })
    }
}

/// The connections of a server that are open, by network of the table. Clones share the count.
#[derive(Debug, Default, Clone)]
pub struct Connections(Arc<Mutex<Open>>);

type Open = HashMap<(u128, u128), usize>;

/// One counted connection; counts itself out when dropped.
#[derive(Debug)]
pub struct Counted(Option<(Connections, (u128, u128))>);

impl Connections {
    /// Counts one more; `None`, and a line in the log, where the peer's network has as many as it may.
    pub fn enter(&self, table: &ConnectionTable, peer: IpAddr, log: &Log) -> Option<Counted> {
        let Some(Shelf { network, limit }) = table.find(peer) else { return Some(Counted(None)) };
        let mut open = self.lock();
        let count = open.entry(network).or_default();
        if *count >= limit {
            log.emit(&NioConnectionLimit { peer, limit });
            return None;
        }
        *count += 1;
        Some(Counted(Some((self.clone(), network))))
    }

    fn lock(&self) -> MutexGuard<'_, Open> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        let Some((connections, network)) = self.0.take() else { return };
        let mut open = connections.lock();
        if let Some(count) = open.get_mut(&network) {
            *count -= 1;
            if *count == 0 {
                open.remove(&network);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(values: &[&str]) -> (ConnectionTable, usize) {
        let values: Vec<String> = values.iter().map(ToString::to_string).collect();
        let mut bad = 0;
        (ConnectionTable::read(&values, |_| bad += 1), bad)
    }

    #[test]
    fn the_longest_network_counts() {
        let (table, bad) =
            table(&["0.0.0.0/0:100", "192.0.2.0/24:5", "192.0.2.9:0", "[2001:db8::]/32:3", "x:1", "1.2.3.4"]);
        let limit = |peer: &str| table.find(peer.parse().unwrap()).map(|s| s.limit);
        assert_eq!(bad, 3, "brackets go around the address with its prefix");
        assert_eq!(limit("192.0.2.1"), Some(5));
        assert_eq!(limit("192.0.2.9"), Some(0));
        assert_eq!(limit("203.0.113.1"), Some(100));
        assert_eq!(limit("::1"), None);
    }

    #[test]
    fn a_network_shares_its_limit_and_gets_places_back() {
        let (table, _) = table(&["192.0.2.0/24:2"]);
        let (open, log) = (Connections::default(), Log::in_memory("mta"));
        let enter = |peer: &str| open.enter(&table, peer.parse().unwrap(), &log);
        let (a, b) = (enter("192.0.2.1"), enter("192.0.2.2"));
        assert!(a.is_some() && b.is_some() && enter("198.51.100.1").is_some());
        assert!(log.lines().is_empty() && enter("192.0.2.3").is_none());
        assert!(log.lines()[0].contains("NioConnectionLimit peer=192.0.2.3 limit=2"));
        drop(a);
        assert!(enter("192.0.2.3").is_some());
    }
}
