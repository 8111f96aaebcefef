//! The stores of a site by their hosts.

use super::Remote;
use crate::pool::{Dial, Dialling, Peer};
use env::Env;
use mail::id::HostName;
use roles::store::{MessageStore, Stores};
use std::collections::HashMap;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};

/// Most hosts without a store that are remembered by name.
const MAX_UNKNOWN: usize = 100;

/// A table from host to store. A host that the site does not have is a peer that is always away: its calls answer
/// `Unavailable` and its name stands in the log, once.
pub struct Homes {
    stores: HashMap<HostName, Arc<dyn MessageStore>>,
    unknown: Mutex<HashMap<HostName, Arc<dyn MessageStore>>>,
    env: Env,
}

impl Homes {
    /// The stores of a site: its own by itself, others by [`Remote`].
    pub fn new(env: Env, stores: HashMap<HostName, Arc<dyn MessageStore>>) -> Self {
        Self { stores, unknown: Mutex::default(), env }
    }

    fn nowhere(&self, home: &HostName) -> Arc<dyn MessageStore> {
        let mut unknown = self.unknown.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(store) = unknown.get(home) {
            return Arc::clone(store);
        }
        let peer = Peer::new(self.env.clone(), home.clone(), Arc::new(NoWay), 1);
        let store: Arc<dyn MessageStore> = Arc::new(Remote::new(peer));
        if unknown.len() < MAX_UNKNOWN {
            unknown.insert(home.clone(), Arc::clone(&store));
        }
        store
    }
}

impl Stores for Homes {
    fn of(&self, home: &HostName) -> Arc<dyn MessageStore> {
        self.stores.get(home).map_or_else(|| self.nowhere(home), Arc::clone)
    }
}

/// The way to a host that is not in the configuration.
struct NoWay;

impl Dial for NoWay {
    fn dial(&self) -> Dialling {
        Box::pin(async { Err(io::Error::new(io::ErrorKind::NotFound, "the site has no store of this host")) })
    }

    fn port(&self) -> u16 {
        0
    }
}
