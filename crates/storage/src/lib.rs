//! Databases and bodies: the only SQL, the only engines, the only access to bodies.
//!
//! It stores and finds; it decides nothing about mail. Upwards: `store`, `queue`, `directory` and `control` decide,
//! and hand their decisions down as tasks of a [`shard::Shard`] or as statements.

mod codec;
pub mod shard;
//! Databases and bodies: the only SQL, the only engines, the only access to stored mail.
//!
//! It stores and finds; policy (who may, where to, how much) lives in the servers. Code here is synchronous
//! and runs on threads of its own behind one async door each.

pub mod directory;
pub mod sql;
