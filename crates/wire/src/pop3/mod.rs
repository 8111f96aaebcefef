//! POP3: RFC 1939, with CAPA (RFC 2449), STLS (RFC 2595), AUTH (RFC 5034) and response codes (RFC 3206).
//!
//! [`command`] reads what a client says, [`state`] knows when it may say it, [`reply`] writes answers and
//! messages straight into a connection's buffer. What a mailbox holds and who may read it is the server's.

pub mod command;
pub mod reply;
pub mod state;
