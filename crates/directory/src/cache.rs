//! What was read from the tables, kept in memory: bounded, never the truth, forgotten when it changes.
//!
//! A reader notes the epoch before it reads and takes back what it has put in where the epoch has moved since, so that
//! a slow reader cannot put an old value in after a change was acknowledged. That something does not exist
//! is kept apart, for a short time, so that inventing names pushes nothing out. Accounts that are in the copy of this host are not
//! kept: it is as near.

use crate::card::Card;
use crate::classes::Class;
use env::clock::Moment;
use mail::id::AccountId;
use quick_cache::sync::Cache as Map;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use storage::directory::{Changed, DomainRow};

/// Accounts kept: about 1.5 KB each.
const CARDS: usize = 65_536;
/// Names kept.
const NAMES: usize = 262_144;
/// Domains kept.
const DOMAINS: usize = 16_384;
/// Classes of service kept.
const CLASSES: usize = 1_024;
/// Names known to be nobody's.
const ABSENT: usize = 65_536;
/// How long a name is known to be nobody's: another process may give it to somebody.
const ABSENT_FOR: Duration = Duration::from_secs(1);

/// The caches of a directory server.
pub(crate) struct Cache {
    epoch: AtomicU64,
    cards: Map<AccountId, Arc<Card>>,
    names: Map<Box<str>, AccountId>,
    domains: Map<Box<str>, Arc<DomainRow>>,
    classes: Map<Box<str>, Arc<Class>>,
    absent: Map<Box<str>, Moment>,
}

/// The moment before a read, by changes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Epoch(u64);

impl Cache {
    pub(crate) fn new() -> Self {
        Self {
            epoch: AtomicU64::new(0),
            cards: Map::new(CARDS),
            names: Map::new(NAMES),
            domains: Map::new(DOMAINS),
            classes: Map::new(CLASSES),
            absent: Map::new(ABSENT),
        }
    }

    /// To be noted before the tables are read.
    pub(crate) fn epoch(&self) -> Epoch {
        Epoch(self.epoch.load(Ordering::Acquire))
    }

    pub(crate) fn card(&self, id: AccountId) -> Option<Arc<Card>> {
        self.cards.get(&id)
    }

    pub(crate) fn name(&self, text: &str) -> Option<AccountId> {
        self.names.get(text)
    }

    pub(crate) fn domain(&self, name: &str) -> Option<Arc<DomainRow>> {
        self.domains.get(name)
    }

    pub(crate) fn class(&self, key: &str) -> Option<Arc<Class>> {
        self.classes.get(key)
    }

    /// Whether a name (by its text, see `names::Name`) or a domain (`d:` before it) was nobody's just now.
    pub(crate) fn is_absent(&self, text: &str, now: Moment) -> bool {
        let since = self.absent.get(text);
        since.is_some_and(|s| now.saturating_duration_since(s) < ABSENT_FOR)
    }

    pub(crate) fn put_card(&self, read_at: Epoch, card: Arc<Card>) {
        let id = card.id;
        self.cards.insert(id, card);
        if self.epoch() != read_at {
            self.cards.remove(&id);
        }
    }

    pub(crate) fn put_name(&self, read_at: Epoch, text: &str, id: AccountId) {
        self.names.insert(text.into(), id);
        if self.epoch() != read_at {
            self.names.remove(text);
        }
    }

    pub(crate) fn put_domain(&self, read_at: Epoch, domain: Arc<DomainRow>) {
        let name = domain.name.clone();
        self.domains.insert(name.as_str().into(), domain);
        if self.epoch() != read_at {
            self.domains.remove(name.as_str());
        }
    }

    pub(crate) fn put_class(&self, read_at: Epoch, key: &str, class: Arc<Class>) {
        self.classes.insert(key.into(), class);
        if self.epoch() != read_at {
            self.classes.remove(key);
        }
    }

    pub(crate) fn put_absent(&self, read_at: Epoch, text: &str, now: Moment) {
        self.absent.insert(text.into(), now);
        if self.epoch() != read_at {
            self.absent.remove(text);
        }
    }

    /// Forgets what a change has made stale.
    pub(crate) fn forget(&self, what: &Changed) {
        self.epoch.fetch_add(1, Ordering::AcqRel);
        match what {
            Changed::Account(id) => {
                self.cards.remove(id);
            }
            Changed::Login(key) => {
                self.forget_name(&format!("l:{key}"));
                self.forget_name(&format!("b:{}", key.name));
            }
            Changed::Address(key) => self.forget_name(&format!("a:{key}")),
            Changed::Domain(name) => {
                self.domains.remove(name.as_str());
                self.absent.remove(format!("d:{name}").as_str());
            }
            // Any account may be of that class: read again what is needed.
            Changed::Class(_) | Changed::Attribute(_) => {
                self.classes.clear();
                self.cards.clear();
            }
        }
    }

    /// Forgets everything: the log has no record of what has changed.
    pub(crate) fn forget_all(&self) {
        self.epoch.fetch_add(1, Ordering::AcqRel);
        self.cards.clear();
        self.names.clear();
        self.domains.clear();
        self.classes.clear();
        self.absent.clear();
    }

    fn forget_name(&self, text: &str) {
        self.names.remove(text);
        self.absent.remove(text);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use storage::directory::NameKey;

    #[test]
    fn what_was_read_before_a_change_does_not_stay() {
        let (cache, now) = (Cache::new(), env::clock::Clock::system().moment());
        let key = NameKey::new("a", "b");
        let before = cache.epoch();
        cache.put_name(before, "l:a@b", AccountId(1));
        assert_eq!(cache.name("l:a@b"), Some(AccountId(1)));
        cache.forget(&Changed::Login(key));
        assert_eq!(cache.name("l:a@b"), None);
        cache.put_name(before, "l:a@b", AccountId(1));
        cache.put_absent(before, "l:a@b", now);
        assert!(cache.name("l:a@b").is_none() && !cache.is_absent("l:a@b", now));
    }

    #[test]
    fn absence_is_known_for_a_short_time() {
        let (cache, now) = (Cache::new(), env::clock::Clock::system().moment());
        cache.put_absent(cache.epoch(), "d:x", now);
        assert!(cache.is_absent("d:x", now) && !cache.is_absent("d:x", now + ABSENT_FOR));
    }
}
