//! The configuration as one server sees it: typed reads from the current tree, and live ones that follow it.

use arc_swap::ArcSwap;
use catalog::key::{Key, Value};
use catalog::tree::Tree;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::sync::watch;

/// The keys as they hold for one server on this host.
#[derive(Clone)]
pub struct Settings {
    host: Arc<str>,
    server: &'static str,
    shared: Arc<Shared>,
}

struct Shared {
    tree: ArcSwap<Tree>,
    generation: AtomicU64,
    changed: watch::Sender<u64>,
}

impl Settings {
    /// For `server` on `host`, beginning with this tree.
    pub fn new(host: &str, server: &'static str, tree: Tree) -> Self {
        let shared = Shared {
            tree: ArcSwap::from_pointee(tree),
            generation: AtomicU64::new(0),
            changed: watch::Sender::new(0),
        };
        Self { host: host.into(), server, shared: Arc::new(shared) }
    }

    /// The same tree, seen by another server.
    #[must_use]
    pub fn for_server(&self, server: &'static str) -> Self {
        Self { server, ..self.clone() }
    }

    /// The same tree, as it holds for another host: this process does that host's work.
    #[must_use]
    pub fn for_host(&self, host: &str) -> Self {
        Self { host: host.into(), ..self.clone() }
    }

    /// The value that holds now. Costs four look-ups: read it once a session, or through [`Settings::live`].
    pub fn get<T: Value>(&self, key: Key<T>) -> T {
        self.shared.tree.load().value(&self.host, self.server, key)
    }

    /// The tree that holds now.
    pub fn tree(&self) -> Arc<Tree> {
        self.shared.tree.load_full()
    }

    /// The logical host name.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The server whose keys these are.
    pub fn server(&self) -> &'static str {
        self.server
    }

    /// Puts a new tree in force: every server of the process sees it from its next read on.
    pub fn replace(&self, tree: Tree) {
        self.shared.tree.store(Arc::new(tree));
        let generation = self.shared.generation.fetch_add(1, Ordering::AcqRel) + 1;
        self.shared.changed.send_replace(generation);
    }

    /// Tells when a new tree is in force.
    pub fn watch(&self) -> watch::Receiver<u64> {
        self.shared.changed.subscribe()
    }

    /// A value made from the keys that is made again only after a change: for what is read often.
    pub fn live<T, F>(&self, make: F) -> Live<T>
    where
        F: Fn(&Settings) -> T + Send + Sync + 'static,
    {
        let now = ArcSwap::from_pointee((self.generation(), Arc::new(make(self))));
        Live { settings: self.clone(), make: Arc::new(make), now: Arc::new(now) }
    }

    fn generation(&self) -> u64 {
        self.shared.generation.load(Ordering::Acquire)
    }
}

/// See [`Settings::live`]. Cloning shares the made value.
pub struct Live<T> {
    settings: Settings,
    make: Arc<dyn Fn(&Settings) -> T + Send + Sync>,
    now: Arc<ArcSwap<(u64, Arc<T>)>>,
}

impl<T> Clone for Live<T> {
    fn clone(&self) -> Self {
        Self { settings: self.settings.clone(), make: Arc::clone(&self.make), now: Arc::clone(&self.now) }
    }
}

impl<T> Live<T> {
    /// The value as the keys are now.
    pub fn get(&self) -> Arc<T> {
        let generation = self.settings.generation();
        let held = self.now.load();
        if held.0 == generation {
            return Arc::clone(&held.1);
        }
        let made = Arc::new((self.make)(&self.settings));
        self.now.store(Arc::new((generation, Arc::clone(&made))));
        made
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use catalog::keys::mta::MAX_MESSAGE_SIZE;

    #[test]
    fn a_live_value_follows_the_tree() {
        let settings = Settings::new("venus", "mta", Tree::default());
        let live = settings.live(|s| s.get(MAX_MESSAGE_SIZE) * 1024);
        let before = *live.get();
        settings.replace(Tree::parse("/venus/mta/maxMessageSize: [7]").unwrap());
        assert_eq!((before, *live.get()), (51_200 * 1024, 7 * 1024));
        assert_eq!(settings.for_server("popserv").get(MAX_MESSAGE_SIZE), 51_200);
    }
}
