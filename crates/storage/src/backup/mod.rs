//! Backups: a folder with generations, each of which is a whole site or its mail at one time.
//!
//! ```text
//! DEST/backup                         says what the folder is
//! DEST/LOCK                           held by who writes
//! DEST/segments/<shard>/…             the segments of a shard, shared by all generations
//! DEST/000003/manifest                a generation: written last, so that one without it is none
//! DEST/000003/<server>.part           what each server has put into it ([`Part`])
//! DEST/000003/<shard>.rows            the rows of a shard
//! DEST/000003/…                       files
//! ```
//! Promises: a generation counts from the moment its manifest is durable, and until it is pruned nothing of it is written
//! again; whatever ends a backup early leaves those before it whole; every byte of a generation is under a sum that its
//! manifest leads to. What a second generation costs is what has changed.
//!
//! What is in a part is the business of the server it is of: [`Shard::back_up`](crate::shard::Shard::back_up) copies a
//! shard, [`Joining`] adds it. Who puts a whole site together is in the programs.

mod generation;
mod part;
mod restore;
#[cfg(test)]
mod tests;
mod verify;
mod work;

pub use generation::{Backups, Generation, Joining, Kind, New};
pub use part::{FileCopy, Name, Part};
pub use restore::UNFINISHED;
pub use verify::Verified;
pub use work::{BackupError, Current, Progress, Steps, Work};

/// The servers that have parts in a backup, and what the sums of their parts cannot say.
pub mod servers {
    /// The message store: one copy a shard.
    pub const STORE: &str = "mss";
    /// The queue.
    pub const QUEUE: &str = "imqueueserv";
    /// The directory.
    pub const DIRECTORY: &str = "imdircacheserv";
    /// The site's own files.
    pub const SITE: &str = "site";
}
