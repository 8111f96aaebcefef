//! The directory server: who somebody is, where mail for an address goes, what an account may do.
//!
//! Promised: a change through this server is in force for its own answers before it is acknowledged; one made by another
//! process is seen within `dirCacheUpdatePeriod`, and at once where that process tells this one of it (`nudge`). A login costs the same work whether the name exists or not; a
//! password that was right lately costs no hashing. A server that has the copy of its host starts and answers while the database is
//! out of reach, and takes it up again by itself; what it cannot know then is unavailable, never "nobody".
//!
//! Left to others: the tables (`storage::directory`), protocols and their replies, delaying those who guess. Decisions are
//! pure modules (`access`, `classes`, `names`, `provision::check`); the rest fetches facts for them.
//! From here: `authenticate` for logins, `route` for mail, `provision` for administration.

mod access;
mod authenticate;
mod backup;
mod cache;
mod card;
mod changes;
mod classes;
mod copy;
mod fault;
mod homes;
mod lookup;
mod names;
mod nudge;
mod ownership;
mod place;
mod proofs;
mod provision;
mod realms;
mod route;
mod server;
mod source;

pub use place::locate;
pub use realms::{Peer, Realm, realms};
pub use server::DirectoryServer;

#[cfg(test)]
mod tests;
