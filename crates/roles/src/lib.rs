//! What each server promises: one trait a role, with its requests, replies and one error enum.
//!
//! Nothing crosses a role that a wire could not carry: owned plain values, bodies as bounded streams, closed enums.
//! No logic, no default answers, no knowledge of hosts, frames or connections. A trait is implemented by its server,
//! by the wire's client, and by a scripted double in `testkit`; `server::wiring` holds the only choice between them.

pub mod backup;
pub mod body;
pub mod call;
pub mod configuration;
pub mod directory;
pub mod maintenance;
pub mod manager;
pub mod ownership;
pub mod probe;
pub mod queue;
pub mod rollout;
pub mod store;
pub mod submission;
pub mod whole;

pub use body::{Body, BodySource};
pub use call::{Answer, Call, Kind};
