//! Mailboxes and their messages.

mod mailbox;

pub mod imboxstats;
pub mod imfolderlist;
pub mod immsgdelete;
