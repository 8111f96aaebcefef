//! The message store: implements [`roles::store::MessageStore`] over the shards of `storage`.
//!
//! A mailbox lives in one shard, `id mod shards`. Each verb is one file: it turns a request into a task for the
//! shard's committer or a closure for its readers; rules that need no rows (`quota`) are functions. What is promised
//! to callers stands in `roles`; what makes it durable in `storage::shard`; what the rows are in `storage::mailboxes`.
//!
//! It does not know who may do what, nor where a mailbox's mail comes from: servers in front have asked the directory.

mod append;
mod arrival;
mod attributes;
mod backup;
mod changes;
mod copy;
mod damage;
mod deliver;
mod error;
mod expire;
mod expunge;
mod flags;
mod folders;
mod letter;
mod locks;
mod mailbox;
mod maintenance;
mod moving;
mod open;
mod ownership;
mod placement;
mod quota;
mod read;
mod recovery;
mod restore;
mod scrub;
mod search;
mod service;
mod source;
#[cfg(test)]
mod tests;
mod upkeep;
mod watchers;

pub use open::{OpenError, Store};
pub use ownership::{fence, is_made, set_fence};

/// Most messages that one commit changes: larger requests are done in pieces, so that others get their turn.
const MAX_CHANGE: usize = 4000;
