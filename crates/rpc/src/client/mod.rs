//! The asking side: every role by asking a peer that has it.
//!
//! Each file implements one role for [`Remote`]. Nothing is remembered and nothing decided: what the peer does not
//! answer in time is `Unavailable`, and the caller, who knows what is at stake, repeats with the same request or does not.

mod backup;
mod cache;
mod configuration;
mod directory;
mod failover;
mod maintenance;
mod manager;
mod ownership;
mod probe;
mod provision;
mod queue;
mod queues;
mod store;

pub use failover::{Failover, Peers};
pub use queues::{NoQueue, QueueHost, Queues};

use crate::convert::{Bad, Fault, proto as p};
use crate::pool::{Peer, Unanswered};
use roles::Kind;
use std::sync::Arc;
use std::time::Duration;

/// Where the other side waits for something at most so long, the call waits this much longer: an answer of the last moment
/// is not lost.
const GRACE: Duration = Duration::from_secs(5);

/// A host that has roles. Cloning shares its connections.
pub struct Remote<A = Peer> {
    peer: Arc<A>,
}

impl<A> Clone for Remote<A> {
    fn clone(&self) -> Self {
        Self { peer: Arc::clone(&self.peer) }
    }
}

impl Remote {
    /// The roles of this peer.
    pub fn new(peer: Arc<Peer>) -> Self {
        Self { peer }
    }
}

/// What a peer answered is no value: a bug there, or here.
fn garbled<E: Fault>(bad: Bad) -> E {
    E::of_kind(Kind::Broken, &format!("the answer of the peer: {bad}"))
}

/// The answer to a request that only says that it was done.
fn done<E: From<Unanswered>>(answer: Result<p::Empty, Unanswered>) -> Result<(), E> {
    Ok(answer.map(|p::Empty {}| ())?)
}
