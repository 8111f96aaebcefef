//! The asking side: every role by asking a peer that has it.
//!
//! Each file implements one role for [`Remote`]. Nothing is remembered and nothing decided: what the peer does not
//! answer in time is `Unavailable`, and the caller, who knows what is at stake, repeats with the same request or does not.

mod directory;
mod queue;
mod store;

use crate::convert::{Bad, Fault};
use crate::pool::Peer;
use roles::Kind;
use std::sync::Arc;

/// A host that has roles. Cloning shares its connections.
#[derive(Clone)]
pub struct Remote {
    peer: Arc<Peer>,
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
