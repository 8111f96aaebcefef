//! Which store has a mailbox: chosen by those who ask, from the home that the directory names.

use super::MessageStore;
use mail::id::HostName;
use std::sync::Arc;

/// The stores of a site, by their hosts. A store that is away is still found: its calls say that it is.
pub trait Stores: Send + Sync {
    /// The store of a host. One that the site does not have answers [`super::StoreError::Unavailable`] to every call: its
    /// mail waits until the configuration names it.
    fn of(&self, home: &HostName) -> Arc<dyn MessageStore>;
}

/// A site with a single store: whatever home an account names, it is there.
pub struct OneStore(pub Arc<dyn MessageStore>);

impl Stores for OneStore {
    fn of(&self, _home: &HostName) -> Arc<dyn MessageStore> {
        Arc::clone(&self.0)
    }
}
