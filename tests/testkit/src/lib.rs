//! Doubles and scripted peers for tests: what the outside world and the other servers might do, without them.
//!
//! Nothing here is used by a program. A double does what its script says and remembers what was done to it.

pub mod conformance;
pub mod directory;
pub mod dns;
pub mod manager;
pub mod memory_store;
pub mod postgres;
pub mod queue;
pub mod smtp_server;
pub mod store;
