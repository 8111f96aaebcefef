//! What keeps a site in order: its configuration, and which process serves it.
//!
//! [`configuration`] reads `config.db`, judges it, keeps the last good one and puts changes in force; it is the only
//! writer of that file. [`lock_file`] says which process has what: the site, or the right to change its
//! configuration; [`process`] tells a process to end. What a key means is in `catalog` and in the server that reads it; starting and stopping servers
//! inside the daemon is `server`'s. [`monitor`] shows what the servers of a process do.

pub mod configuration;
pub mod lock_file;
pub mod monitor;
pub mod process;
