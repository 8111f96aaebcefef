//! Which realm a name belongs to, and what of an account a host keeps. Pure, and the same in every process of a site.
//!
//! A name belongs to the realm that weighs most for it (rendezvous hashing): where a realm is added it takes its share
//! from the others, and no name moves between those. The detail of an address does not count, so that `user+folder`
//! and `user` are in one realm.

use crate::route::RouteRules;
use catalog::keys::common::REALMS;
use catalog::keys::imdircacheserv::{PARTITION_ROUTER_DATA, PARTITION_USER_DATA};
use env::settings::Settings;
use siphasher::sip::SipHasher13;
use std::hash::Hasher as _;
use storage::directory::{AccountRecord, NameKey};

/// Most realms that are read.
const MAX_REALMS: usize = 64;

/// A realm and the hosts that keep it, the ones to be asked first in front.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Realm {
    /// Its name, lower case.
    pub name: String,
    /// Its hosts, lower case, with the port of their directory cache server where one is named.
    pub hosts: Vec<(String, Option<u16>)>,
}

/// How far the directory is divided.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Division {
    /// Every host has everything.
    None,
    /// Passwords are on the hosts of a realm alone; where mail goes is known everywhere.
    Users,
    /// All of an account is on the hosts of its realms alone.
    UsersAndRoutes,
}

/// What of an account a host keeps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Kept {
    Whole(AccountRecord),
    /// Without what proves who somebody is.
    Route(AccountRecord),
    Nothing,
}

/// The realms of a site as one of its hosts sees them.
#[derive(Debug, Clone)]
pub(crate) struct Rule {
    realms: Vec<Realm>,
    /// Whether this host keeps them, in the same order.
    ours: Vec<bool>,
    division: Division,
}

/// The realms of the key in the order in which they first stand there, each with its hosts. Entries that are not of the
/// form `realm:host[:port]` are left out.
pub fn realms(settings: &Settings) -> Vec<Realm> {
    let mut realms: Vec<Realm> = Vec::new();
    for (name, host, port) in settings.get(REALMS).iter().filter_map(|text| entry(text)) {
        match realms.iter().position(|r| r.name == name) {
            Some(at) => realms[at].hosts.push((host, port)),
            None if realms.len() < MAX_REALMS => realms.push(Realm { name, hosts: vec![(host, port)] }),
            None => {}
        }
    }
    realms
}

fn entry(text: &str) -> Option<(String, String, Option<u16>)> {
    let (realm, place) = text.trim().split_once(':')?;
    let (host, port) = match place.split_once(':') {
        Some((host, port)) => (host, Some(port.parse().ok().filter(|p| *p > 0)?)),
        None => (place, None),
    };
    let word = |text: &str| Some(text.trim().to_lowercase()).filter(|t| !t.is_empty());
    Some((word(realm)?, word(host)?, port))
}

impl Rule {
    pub(crate) fn read(settings: &Settings) -> Self {
        let realms = realms(settings);
        let host = settings.host().to_lowercase();
        let ours = realms.iter().map(|r| r.hosts.iter().any(|(h, _)| *h == host)).collect();
        let division = match (settings.get(PARTITION_USER_DATA), settings.get(PARTITION_ROUTER_DATA)) {
            // One realm is no division.
            _ if realms.len() < 2 => Division::None,
            (true, true) => Division::UsersAndRoutes,
            (true, false) => Division::Users,
            (false, _) => Division::None,
        };
        Self { realms, ours, division }
    }

    pub(crate) fn realms(&self) -> &[Realm] {
        &self.realms
    }

    /// The realm that knows somebody's password by this name, where that is not this host.
    pub(crate) fn other_of_user(&self, name: &NameKey, routes: &RouteRules) -> Option<usize> {
        if self.division == Division::None { None } else { self.other(name, routes) }
    }

    /// The realm that knows where mail for this address goes, where that is not this host.
    pub(crate) fn other_of_route(&self, name: &NameKey, routes: &RouteRules) -> Option<usize> {
        if self.division == Division::UsersAndRoutes { self.other(name, routes) } else { None }
    }

    fn other(&self, name: &NameKey, routes: &RouteRules) -> Option<usize> {
        self.realm_of(name, routes).filter(|&realm| !self.ours[realm])
    }

    /// What this host keeps of an account: all of it where one of its names is of a realm of ours.
    pub(crate) fn kept(&self, record: AccountRecord, routes: &RouteRules) -> Kept {
        let is_ours = |key: &NameKey| self.realm_of(key, routes).is_some_and(|realm| self.ours[realm]);
        let address = |a: &storage::directory::AddressRow| NameKey::new(&a.local_part, &a.domain);
        let ours = self.division == Division::None
            || is_ours(&record.row.key())
            || record.aliases.iter().any(is_ours)
            || record.addresses.iter().map(address).any(|key| is_ours(&key));
        match self.division {
            _ if ours => Kept::Whole(record),
            Division::UsersAndRoutes => Kept::Nothing,
            Division::Users | Division::None => {
                let mut record = record;
                (record.row.password, record.row.scram) = (String::new(), String::new());
                Kept::Route(record)
            }
        }
    }

    /// What a copy is made by, as a text: a copy that was made by another one lacks accounts, or has too many.
    pub(crate) fn layout(&self, routes: &RouteRules) -> String {
        if self.division == Division::None {
            return "undivided".to_owned();
        }
        let name = |(realm, ours): (&Realm, &bool)| format!("{}{}", realm.name, if *ours { "*" } else { "" });
        let mut names: Vec<_> = self.realms.iter().zip(&self.ours).map(name).collect();
        names.sort_unstable();
        format!("{:?} {} {}", self.division, names.join(","), routes.separator_text())
    }

    /// The realm of a name; `None` where there are none.
    fn realm_of(&self, name: &NameKey, routes: &RouteRules) -> Option<usize> {
        let local = routes.split_detail(&name.name).map_or(name.name.as_str(), |(base, _)| base);
        let hash = hash(&[local.as_bytes(), b"@", name.domain.as_bytes()]);
        let weight = |realm: &Realm| hash2(hash, realm.name.as_bytes());
        (0..self.realms.len()).max_by_key(|&n| (weight(&self.realms[n]), &self.realms[n].name))
    }
}

fn hash(parts: &[&[u8]]) -> u64 {
    // Keys of zeros: every process of the site, of whatever release, must come to the same.
    let mut hasher = SipHasher13::new();
    parts.iter().for_each(|part| hasher.write(part));
    hasher.finish()
}

fn hash2(first: u64, second: &[u8]) -> u64 {
    hash(&[&first.to_le_bytes(), second])
}

#[cfg(test)]
mod tests {
    use super::*;
    use catalog::tree::Tree;

    fn rules(host: &str, keys: &str) -> (Rule, RouteRules) {
        let settings = Settings::new(host, "imdircacheserv", Tree::parse(keys).unwrap());
        (Rule::read(&settings), RouteRules::read(&settings))
    }

    const TWO: &str = "/*/common/realms: [east:e1][East:e2:5001][west:w1]\n\
        /*/imdircacheserv/partitionUserData: [true]\n/*/imdircacheserv/partitionRouterData: [true]\n";

    fn key(n: u32) -> NameKey {
        NameKey::new(&format!("user{n}"), "one.test")
    }

    #[test]
    fn entries_are_realms_with_their_hosts() {
        let keys = "/*/common/realms: [east:E1][East:e2:5001][west:w1:0][west][:x][ north : n1 ]";
        let settings = Settings::new("e2", "imdircacheserv", Tree::parse(keys).unwrap());
        let expected = [
            Realm { name: "east".into(), hosts: vec![("e1".into(), None), ("e2".into(), Some(5001))] },
            Realm { name: "north".into(), hosts: vec![("n1".into(), None)] },
        ];
        assert_eq!(realms(&settings), expected);
    }

    #[test]
    fn every_name_has_one_realm_and_hosts_agree_on_it() {
        let (east, routes) = rules("e2", TWO);
        let (west, _) = rules("w1", TWO);
        let (front, _) = rules("front", TWO);
        let mut in_west = 0;
        for n in 0..10_000 {
            let (of_east, of_west) =
                (east.other_of_user(&key(n), &routes), west.other_of_user(&key(n), &routes));
            assert!(of_east.is_some() != of_west.is_some(), "exactly one of them has user{n}");
            assert_eq!(front.other_of_user(&key(n), &routes), of_east.or(of_west));
            in_west += u32::from(of_east.is_some());
        }
        assert!((4_800..5_200).contains(&in_west), "{in_west} of 10000");
    }

    #[test]
    fn the_rule_is_the_same_in_every_release() {
        let (front, routes) = rules("front", TWO);
        let realms: String = (0..16)
            .map(|n| front.realm_of(&key(n), &routes).map_or('-', |r| if r == 0 { 'e' } else { 'w' }))
            .collect();
        assert_eq!(realms, PINNED);
    }

    #[test]
    fn a_new_realm_takes_its_share_and_moves_nobody_else() {
        let (before, routes) = rules("front", TWO);
        let (after, _) = rules("front", &TWO.replace("[west:w1]", "[north:n1][west:w1]"));
        let mut moved = 0;
        for n in 0..9_000 {
            let name = |rule: &Rule| rule.realms[rule.realm_of(&key(n), &routes).unwrap()].name.clone();
            if name(&before) != name(&after) {
                assert_eq!(name(&after), "north");
                moved += 1;
            }
        }
        assert!((2_800..3_200).contains(&moved), "{moved} of 9000");
    }

    #[test]
    fn a_detail_does_not_change_the_realm() {
        let (front, routes) = rules("front", TWO);
        for n in 0..100 {
            let detail = NameKey::new(&format!("user{n}+folder"), "one.test");
            assert_eq!(front.realm_of(&detail, &routes), front.realm_of(&key(n), &routes));
        }
    }

    #[test]
    fn without_two_realms_or_the_keys_nothing_is_divided() {
        let one = "/*/common/realms: [east:e1]\n/*/imdircacheserv/partitionUserData: [true]\n";
        let routes_alone = TWO.replace("partitionUserData: [true]", "partitionUserData: [false]");
        for keys in ["", one, routes_alone.as_str()] {
            let (rule, routes) = rules("front", keys);
            assert_eq!(rule.other_of_user(&key(1), &routes), None);
            assert_eq!(rule.other_of_route(&key(1), &routes), None);
            assert_eq!(rule.layout(&routes), "undivided");
        }
        let users = TWO.replace("partitionRouterData: [true]", "partitionRouterData: [false]");
        let (rule, routes) = rules("front", &users);
        assert!(rule.other_of_user(&key(1), &routes).is_some());
        assert_eq!(rule.other_of_route(&key(1), &routes), None);
    }

    /// The realms of `user0@one.test` to `user15@one.test`.
    const PINNED: &str = "wweeeewewewewwew";
}
