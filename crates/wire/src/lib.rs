//! wire

pub mod imap;
