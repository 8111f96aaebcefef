//! Backups: made by the running site, read back and restored.

mod common;

pub mod imdbhotbackup;
pub mod imdbmsgbackup;
