//! An MTA among doubles, for the tests of this crate.

use crate::{Mta, Parts};
use catalog::tree::Tree;
use env::Env;
use mail::id::HostName;
use net::tls::ServerTls;
use roles::store::{MessageStore, StoreError, Stores};
use std::sync::Arc;
use testkit::directory::ScriptedDirectory;
use testkit::dns::ScriptedDns;
use testkit::queue::ScriptedQueue;
use testkit::store::DropStore;

/// The MTA and those it works with.
pub(crate) struct Site {
    pub(crate) env: Env,
    pub(crate) directory: Arc<ScriptedDirectory>,
    pub(crate) store: Arc<DropStore>,
    pub(crate) queue: Arc<ScriptedQueue>,
    pub(crate) mta: Arc<Mta>,
}

impl Site {
    /// With default keys, but no delays.
    pub(crate) fn new() -> Self {
        Self::with("", None)
    }

    /// With these lines of configuration too.
    pub(crate) fn with(tree: &str, tls: Option<Arc<ServerTls>>) -> Self {
        let env = Env::for_test("mta");
        let tree = format!("/*/mta/badPasswordDelay: [0]\n/*/mta/badCommandDelay: [0]\n{tree}");
        env.settings.replace(Tree::parse(&tree).unwrap());
        let (directory, store) = (Arc::new(ScriptedDirectory::new()), Arc::new(DropStore::new()));
        let queue = Arc::new(ScriptedQueue::new());
        let parts = Parts {
            directory: directory.clone(),
            stores: Arc::new(Homes(store.clone())),
            queue: queue.clone(),
            dns: Arc::new(ScriptedDns::new()),
            tls,
            run_dir: std::env::temp_dir(),
        };
        let mta = Mta::new(env.clone(), parts);
        Self { env, directory, store, queue, mta }
    }
}

/// Every home is the same store, but the home `away`, whose store is out of reach.
struct Homes(Arc<DropStore>);

impl Stores for Homes {
    fn of(&self, home: &HostName) -> Arc<dyn MessageStore> {
        if home.as_str() != "away" {
            return self.0.clone();
        }
        let away = DropStore::new();
        away.fail_all(Some(StoreError::Unavailable));
        Arc::new(away)
    }
}
