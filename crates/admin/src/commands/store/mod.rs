//! Commands for the message store as a whole.

pub mod imbadmsglist;
pub mod imdbplaygcjrn;
pub mod immovmsgfiles;
pub mod immsgverify;
pub mod immssgc;
pub mod immssshare;
pub mod imorphanrm;
pub mod scan_mss;
mod task;
