//! What every implementation of a role must do, as checks that run against any of them.
//!
//! A check panics where the promise is broken, and says which. It begins with what it makes itself, so that checks
//! may run one after the other on the same server.

pub mod store;
