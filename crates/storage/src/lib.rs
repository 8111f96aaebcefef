//! Databases and bodies: the only SQL, the only engines, the only access to stored mail.
//!
//! It stores and finds; policy (who may, where to, how much) lives in the servers, which hand their decisions down as
//! tasks of a [`shard::Shard`] or as statements. Code here is synchronous and runs on threads of its own behind one
//! async door each.

pub mod backup;
mod codec;
pub mod deferred;
pub mod directory;
pub mod mailboxes;
pub mod pace;
pub mod replica;
pub mod shard;
pub mod sim;
pub mod sql;
pub mod text;
