//! SMTP and LMTP. RFC 5321, RFC 2033 and the extensions that the modules name.
//!
//! [`command`] and [`reply`] are the two languages, [`data`] is how a message travels between them.
//! [`server_state`] says which command is legal now; [`client_state`] is a whole dialogue of the other side.

pub mod client_state;
pub mod command;
pub mod data;
pub mod extensions;
pub mod reply;
pub mod server_state;
mod xtext;

/// Which of the two protocols is spoken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Dialect {
    /// RFC 5321: one reply for a message.
    Smtp,
    /// RFC 2033: one reply for each recipient of a message.
    Lmtp,
}
