//! Mailboxes and their messages.

pub(super) mod mailbox;

pub mod imboxstats;
pub mod imfolderlist;
pub mod immsgdelete;
