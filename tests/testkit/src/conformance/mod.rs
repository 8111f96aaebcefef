//! What every implementation of a role must do, as checks that run against any of them.
//!
//! A check panics where the promise is broken, and says which. It begins with what it makes itself, so that checks
//! may run one after the other on the same server.

pub mod cache;
pub mod configuration;
pub mod directory;
pub mod manager;
pub mod provisioning;
pub mod queue;
pub mod store;

use mail::id::{RequestId, TraceId};
use roles::Call;

/// A call that is never made twice by the same number.
fn call(number: u128) -> Call {
    Call::new(RequestId(number), TraceId::new("conformance"))
}
