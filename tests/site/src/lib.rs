//! What the tests against the real program share: a site of their own, a connection that waits with a
//! deadline, the three protocols as far as a test needs them, transcripts, and other people's programs.
//!
//! Everything here blocks, has a deadline, and stays on 127.0.0.1. The tests are in `tests/`.

pub mod connection;
pub mod corpus;
pub mod hosts;
pub mod imap;
pub mod namespaces;
pub mod pop3;
pub mod program;
pub mod smtp;
pub mod tools;
pub mod transcript;
