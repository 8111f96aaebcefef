//! What keeps a site in order: its configuration, and which process serves it.
//!
//! [`configuration`] reads `config.db`, judges it, keeps the last good one and puts changes in force; it is the only
//! writer of that file. [`rollout`] tries a change on some hosts before all have it, [`drift`] says how far they are
//! apart, [`probe`] is what each process says of itself. [`lock_file`] says which process has what: the site, or the
//! right to change its configuration; [`process`] tells a process to end; [`manager`] keeps processes running;
//! [`topology`] reads which host has what. What a key means is in `catalog` and in the server that reads it; what runs in
//! a process is `server`'s. [`monitor`] shows what the servers of a process do.

pub mod configuration;
pub mod drift;
pub mod lock_file;
pub mod manager;
pub mod monitor;
pub mod probe;
pub mod process;
pub mod rollout;
pub mod topology;
