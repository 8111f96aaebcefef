//! Sets of IP networks, found in well under a microsecond however long the list is (ITS 44372).
//!
//! IPv4 and IPv6 share one number line: an IPv4 address stands where its mapped form (RFC 4291 2.5.5.2) stands,
//! so a client is the same on a socket of either family.

use std::net::IpAddr;
use std::ops::RangeInclusive;

/// An entry that is no address and no network.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}: expected an address or a network such as 192.0.2.0/24")]
pub struct BadNetwork(pub String);

/// Where an address stands.
pub fn place(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(v4) => u128::from(v4.to_ipv6_mapped()),
        IpAddr::V6(v6) => u128::from(v6),
    }
}

/// The addresses of a network: `192.0.2.0/24`, `2001:db8::/32`, or one address. Bits past the prefix are
/// passed over.
///
/// # Errors
/// [`BadNetwork`] with the text.
pub fn parse(text: &str) -> Result<RangeInclusive<u128>, BadNetwork> {
    let bad = || BadNetwork(text.to_owned());
    let (address, prefix) = match text.trim().split_once('/') {
        Some((address, prefix)) => (address, Some(prefix.parse::<u32>().map_err(|_| bad())?)),
        None => (text.trim(), None),
    };
    let address: IpAddr = address.parse().map_err(|_| bad())?;
    let bits = if address.is_ipv4() { 32 } else { 128 };
    let prefix = prefix.unwrap_or(bits);
    if prefix > bits {
        return Err(bad());
    }
    // The host part: all ones below the prefix.
    let host = 1_u128.checked_shl(bits - prefix).map_or(u128::MAX, |size| size - 1);
    let first = place(address) & !host;
    Ok(first..=first | host)
}

/// A set of networks.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Networks {
    /// In order, apart from each other.
    ranges: Vec<(u128, u128)>,
}

impl Networks {
    /// The set of these entries; bad ones are handed to `skip`.
    pub fn read(entries: &[String], mut skip: impl FnMut(BadNetwork)) -> Self {
        let mut ranges = Vec::with_capacity(entries.len());
        for entry in entries {
            match parse(entry) {
                Ok(range) => ranges.push((*range.start(), *range.end())),
                Err(bad) => skip(bad),
            }
        }
        ranges.sort_unstable();
        let mut merged: Vec<(u128, u128)> = Vec::with_capacity(ranges.len());
        for (first, last) in ranges {
            match merged.last_mut() {
                Some(before) if first <= before.1.saturating_add(1) => before.1 = before.1.max(last),
                _ => merged.push((first, last)),
            }
        }
        Self { ranges: merged }
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.ranges.is_empty()
    }

    /// Whether an address is in one of them.
    pub fn contains(&self, address: IpAddr) -> bool {
        let at = place(address);
        let after = self.ranges.partition_point(|(first, _)| *first <= at);
        after.checked_sub(1).and_then(|n| self.ranges.get(n)).is_some_and(|(_, last)| at <= *last)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn set(entries: &[&str]) -> Networks {
        let entries: Vec<String> = entries.iter().map(ToString::to_string).collect();
        Networks::read(&entries, |bad| panic!("{bad}"))
    }

    fn has(networks: &Networks, address: &str) -> bool {
        networks.contains(address.parse().unwrap())
    }

    #[test]
    fn networks_and_single_addresses() {
        let networks = set(&["192.0.2.0/24", "198.51.100.7", "2001:db8::/32", "10.1.2.3/8"]);
        for inside in
            ["192.0.2.0", "192.0.2.255", "198.51.100.7", "2001:db8::1", "10.255.0.1", "::ffff:192.0.2.9"]
        {
            assert!(has(&networks, inside), "{inside}");
        }
        for outside in ["192.0.3.0", "192.0.1.255", "198.51.100.8", "2001:db9::", "11.0.0.0", "::1"] {
            assert!(!has(&networks, outside), "{outside}");
        }
    }

    #[test]
    fn everything_and_nothing() {
        assert!(has(&set(&["0.0.0.0/0"]), "255.255.255.255"));
        assert!(!has(&set(&["0.0.0.0/0"]), "::1"), "all of IPv4 is not all");
        assert!(has(&set(&["::/0"]), "1.2.3.4"));
        assert!(set(&[]).is_empty() && !has(&set(&[]), "1.2.3.4"));
    }

    #[test]
    fn bad_entries_are_told_and_skipped() {
        let entries = ["1.2.3.4/33", "x", "1.2.3", "::/129", "1.2.3.4/", "1.2.3.4"].map(str::to_owned);
        let mut bad = Vec::new();
        let networks = Networks::read(&entries, |entry| bad.push(entry.0));
        assert_eq!((bad.len(), has(&networks, "1.2.3.4")), (5, true));
    }

    proptest! {
        #[test]
        fn the_set_is_the_union(
            entries in proptest::collection::vec((any::<[u8; 2]>(), 8_u32..=32), 0..20), probe: [u8; 2],
        ) {
            let entries: Vec<String> = entries.iter().map(|([a, b], p)| format!("10.{a}.{b}.0/{p}")).collect();
            let probe = IpAddr::from([10, probe[0], probe[1], 0]);
            let plain = entries.iter().any(|e| parse(e).unwrap().contains(&place(probe)));
            prop_assert_eq!(Networks::read(&entries, |_| ()).contains(probe), plain);
        }
    }
}
