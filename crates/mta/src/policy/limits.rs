//! How much one client may ask for: connections of its network, bad commands of a session, wrong passwords.

use mail::network::{self, place};
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// `clientConnectionLimitTable`: `network:most`; the longest matching network counts.
#[derive(Debug, Clone, Default)]
pub struct ConnectionTable {
    /// First and last address, and the limit; the smallest networks first.
    entries: Vec<(u128, u128, usize)>,
}

/// Whose connections are counted together: the network of the table's entry, and its limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shelf {
    network: (u128, u128),
    /// Most connections.
    pub limit: usize,
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
    pub fn find(&self, peer: IpAddr) -> Option<Shelf> {
        let at = place(peer);
        let found = self.entries.iter().find(|(first, last, _)| (*first..=*last).contains(&at))?;
        Some(Shelf { network: (found.0, found.1), limit: found.2 })
    }
}

/// The connections that are open, by network of the table.
#[derive(Debug, Default)]
pub struct Connections(Mutex<HashMap<(u128, u128), usize>>);

/// One counted connection; counts itself out when dropped.
#[derive(Debug)]
pub struct Counted {
    connections: Arc<Connections>,
    network: (u128, u128),
}

impl Connections {
    /// Counts one more; `None` where that would be more than the limit.
    pub fn enter(self: &Arc<Self>, shelf: Shelf) -> Option<Counted> {
        let mut open = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let count = open.entry(shelf.network).or_default();
        if *count >= shelf.limit {
            return None;
        }
        *count += 1;
        Some(Counted { connections: Arc::clone(self), network: shelf.network })
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        let mut open = self.connections.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = open.get_mut(&self.network) {
            *count -= 1;
            if *count == 0 {
                open.remove(&self.network);
            }
        }
    }
}

/// What comes after one more bad command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Patience {
    /// The reply, at once.
    Normal,
    /// The reply, after this long.
    Slow(Duration),
    /// 421 and the end.
    Over,
}

/// Judges a session with this many bad commands: slower from half of `most` on, over at `most`.
pub const fn patience(bad: u64, most: u64, delay: Duration) -> Patience {
    if bad >= most {
        return Patience::Over;
    }
    if bad < most.div_ceil(2) || delay.is_zero() { Patience::Normal } else { Patience::Slow(delay) }
}

/// How long the answer to the `failures`th wrong password waits: `first`, then twice as long each time, up
/// to `most`.
pub fn password_delay(failures: u32, first: Duration, most: Duration) -> Duration {
    let doubled = 1_u32.checked_shl(failures.saturating_sub(1)).unwrap_or(u32::MAX);
    first.saturating_mul(doubled).min(most.max(first))
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
        let open = Arc::new(Connections::default());
        let enter = |peer: &str| open.enter(table.find(peer.parse().unwrap()).unwrap());
        let (a, b) = (enter("192.0.2.1"), enter("192.0.2.2"));
        assert!(a.is_some() && b.is_some() && enter("192.0.2.3").is_none());
        drop(a);
        assert!(enter("192.0.2.3").is_some());
    }

    #[test]
    fn patience_runs_out() {
        let second = Duration::from_secs(1);
        let at = |bad| patience(bad, 10, second);
        assert_eq!(
            (at(4), at(5), at(9), at(10)),
            (Patience::Normal, Patience::Slow(second), Patience::Slow(second), Patience::Over)
        );
        assert_eq!(patience(9, 10, Duration::ZERO), Patience::Normal);
    }

    #[test]
    fn wrong_passwords_wait_longer_each_time() {
        let delay = |n| password_delay(n, Duration::from_secs(1), Duration::from_secs(16)).as_secs();
        assert_eq!([delay(1), delay(2), delay(3), delay(6), delay(200)], [1, 2, 4, 16, 16]);
        assert_eq!(password_delay(5, Duration::ZERO, Duration::ZERO), Duration::ZERO);
    }
}
