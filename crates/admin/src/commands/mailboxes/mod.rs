//! Mailboxes and their messages.

pub(super) mod mailbox;

pub mod imboxcreate;
pub mod imboxdelete;
pub mod imboxmove;
pub mod imboxrestore;
pub mod imboxstats;
pub mod imboxsync;
pub mod imboxtest;
pub mod imbucketscreate;
pub mod imfolderlist;
pub mod imimapboxcopy;
pub mod iminboxlist;
pub mod immsgdelete;
pub mod immsinit;
pub mod imoldmsgdel;
