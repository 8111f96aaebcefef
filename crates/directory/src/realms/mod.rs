//! Realms: accounts divided over hosts, so that no host has to keep all of them, and one that is down touches its own alone.
//!
//! Promised: every name of the site belongs to exactly one realm, by a rule that every process applies alike (`rule`); a copy
//! holds what its host's realms need, and says by which division it was made; what is of another realm is asked of
//! its hosts (`peers`), and is unavailable, never unknown, while none of them answers.
//!
//! Left to others: connecting to the hosts. Changes are made in the database, as everywhere: realms divide copies, not the
//! directory.

mod peers;
mod rule;

use crate::lookup::Purpose;
use crate::names::Name;
use crate::server::{DirectoryServer, Shared};
use catalog::events::cache::{CacheConfigInfoMismatch, CacheRealmConfig};
use roles::directory::Directory;
use std::sync::{Arc, OnceLock};
use storage::directory::AccountRecord;
use storage::replica::{Entry, Key, Reader};

pub use peers::Peer;
pub use rule::{Realm, realms};

pub(crate) use rule::Kept;

/// Under what name a copy says by which division it was made.
const LAYOUT: &str = "layout";

/// The division of a copy, and that of the keys.
pub(crate) struct OtherDivision {
    found: String,
    configured: String,
}

/// The realms of a site, and how this host reaches them.
pub(crate) struct Realms {
    pub(crate) rule: rule::Rule,
    /// In the order of the rule.
    servers: OnceLock<Vec<Arc<dyn Directory>>>,
}

impl Realms {
    pub(crate) fn read(settings: &env::settings::Settings) -> Self {
        Self { rule: rule::Rule::read(settings), servers: OnceLock::new() }
    }
}

impl DirectoryServer {
    /// The servers of the other hosts that the key `realms` names: from now on they are asked for what is of their realms. A
    /// host that is not among them is one that cannot be reached. Has an effect once.
    pub fn reach_realms(&self, peers: &[Peer]) {
        let (env, rule) = (&self.shared.env, &self.shared.realms.rule);
        let servers = rule.realms().iter().map(|realm| {
            let hosts = realm.hosts.iter().map(|(host, _)| host.as_str()).collect::<Vec<_>>().join(" ");
            let division = rule.layout(&self.shared.routing.get());
            env.log.emit(&CacheRealmConfig { realm: &realm.name, hosts, division });
            let peer = |(host, port): &(String, Option<u16>)| {
                let peer = peers.iter().find(|peer| peer.host.eq_ignore_ascii_case(host))?;
                Some((port.unwrap_or(0), peer.clone()))
            };
            let peers = realm.hosts.iter().filter_map(peer).collect();
            Arc::new(peers::Peers::new(env.clone(), realm.name.clone(), peers)) as Arc<dyn Directory>
        });
        let _ = self.shared.realms.servers.set(servers.collect());
    }
}

impl Shared {
    /// Who is to be asked for these names instead of anybody here.
    pub(crate) fn other_realm(&self, names: &[Name], purpose: Purpose) -> Option<Arc<dyn Directory>> {
        let (Name::Login(key) | Name::Address(key)) = names.first()? else { return None };
        let (rule, routes) = (&self.realms.rule, self.routing.get());
        let realm = match purpose {
            Purpose::Login => rule.other_of_user(key, &routes),
            Purpose::Account | Purpose::Sender | Purpose::Mail => rule.other_of_route(key, &routes),
        };
        let servers = self.realms.servers.get();
        realm.and_then(|realm| servers?.get(realm)).map(Arc::clone)
    }

    /// What the copy of this host holds of an account.
    pub(crate) fn kept(&self, record: AccountRecord) -> Option<AccountRecord> {
        match self.realms.rule.kept(record, &self.routing.get()) {
            Kept::Whole(record) | Kept::Route(record) => Some(record),
            Kept::Nothing => None,
        }
    }

    /// The entry by which a copy says how it was divided.
    pub(crate) fn layout(&self) -> (Key, Entry) {
        let text = self.realms.rule.layout(&self.routing.get());
        (Key::Secret(LAYOUT.into()), Entry::Secret(text.into_bytes()))
    }

    /// By which division a copy was made, where that is not the one that holds now. One that says nothing is of a release that
    /// knew none.
    pub(crate) fn other_division(&self, copy: &Reader) -> Option<OtherDivision> {
        let (key, ours) = self.layout();
        let found = copy.get(&key).ok().flatten().unwrap_or(Entry::Secret(b"undivided".to_vec()));
        let text = |entry: &Entry| match entry {
            Entry::Secret(text) => String::from_utf8_lossy(text).into_owned(),
            _ => String::new(),
        };
        (found != ours).then(|| OtherDivision { found: text(&found), configured: text(&ours) })
    }

    pub(crate) fn log_other_division(&self, OtherDivision { found, configured }: &OtherDivision) {
        self.env.log.emit(&CacheConfigInfoMismatch { what: "realms", found, configured });
    }
}
