//! The servers of a host as processes: started, watched, restarted, handed over, stopped.
//!
//! Promises: each process is ready before the next one starts; one that dies comes back, at once the first time and
//! ever later if it goes on ([`backoff`]); what a crash leaves is kept under a name of its own ([`artefacts`]); every
//! process that ends is waited for, so that no zombie stays; a restart hands the listening sockets to the new process
//! ([`channel`]), and where that one does not become ready the old one goes on. The sockets stay open here, so that
//! who comes while a server is away waits in the kernel's line and is not refused.
//!
//! What a process is (program, arguments, sockets) is the caller's to say: [`unit::Recipe`]. Nothing here knows a
//! server by name. The path goes on in [`unit`], which looks after one process, and [`host`], which has them all in
//! order.

pub mod artefacts;
pub mod backoff;
pub mod channel;
pub mod child;
pub mod host;
pub mod unit;
