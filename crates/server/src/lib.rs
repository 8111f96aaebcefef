//! The daemon: any set of servers in one process, each given its surroundings and its partners.
//!
//! It composes and prints; no rule about mail is here. `options` reads the command line, `folder` makes a site,
//! `here` opens what this process has, `partners` reaches what others have, `wiring` holds the only choice of who talks to
//! whom, `doors` lets the others ask, `lifecycle` binds, gives up rights,
//! serves and drains, `manager` answers for the servers of this process, `newcomer` is `intermail try`,
//! `init` asks and shows, `preflight` looks at the machine, `install` makes hosts. `supervisor` is `immgrserv`: it runs a
//! `process` for each server of the host, and `host_manager` answers for them; `handover` is what such a process knows of it.

mod backup;
mod certificate;
mod doors;
mod folder;
mod handover;
mod here;
mod host_manager;
mod identity;
mod init;
mod install;
mod keeper;
mod lifecycle;
mod manager;
mod newcomer;
mod notify;
mod opener;
mod options;
mod owners;
mod partners;
mod pointed;
mod ports;
mod preflight;
mod process;
mod queues;
mod retention;
mod rights;
mod sites;
mod supervisor;
mod surroundings;
mod sysmon;
mod wiring;

pub use opener::SiteOpener;
pub use options::main;
