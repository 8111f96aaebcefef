//! The daemon: any set of servers in one process, each given its surroundings and its partners.
//!
//! It composes and prints; no rule about mail is here. `options` reads the command line, `folder` makes a site,
//! `wiring` builds the servers and holds the only choice of who talks to whom, `lifecycle` binds, gives up rights,
//! serves and drains, `manager` answers for the servers of this host, `newcomer` is `intermail try`.

mod backup;
mod certificate;
mod folder;
mod lifecycle;
mod manager;
mod newcomer;
mod opener;
mod options;
mod ports;
mod retention;
mod rights;
mod sysmon;
mod wiring;

pub use opener::SiteOpener;
pub use options::main;
