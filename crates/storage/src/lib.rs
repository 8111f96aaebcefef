//! Databases and bodies: the only SQL, the only engines, the only access to bodies.
//!
//! It stores and finds; it decides nothing about mail. Upwards: `store`, `queue`, `directory` and `control` decide,
//! and hand their decisions down as tasks of a [`shard::Shard`] or as statements.

mod codec;
pub mod shard;
pub mod sim;
