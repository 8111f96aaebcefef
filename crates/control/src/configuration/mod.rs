//! `config.db`: reading it, judging it, changing it, putting it in force.
//!
//! [`read`] and [`load`] are for starting, [`InForce`] for a running daemon, [`change`] for commands. A file with a
//! bad line never takes a running configuration's place: the last good one is kept beside it and stays in force
//! (ITS 15766).

pub mod change;
mod follow;
mod history;
mod load;
mod narrow;
mod reload;
mod rules;
mod server;
pub mod trial;

pub use follow::{Mirror, follow};
pub use history::{MAX_RECORDS, checksum, differences};
pub use load::{Files, LoadError, Loaded, MAX_SIZE, Origin, load, read};
pub use reload::{InForce, report};
pub use server::{ConfigurationServer, accepted, checksums, snapshot};
