//! Bytes to values and back, and which value is legal now.
//!
//! One module a protocol, and what they share: lines under a hard limit and SASL. Nothing here reads a
//! socket or a clock. A decoder is handed a buffer and says that it needs more, what stands at the front,
//! or why that is refused; whatever the bytes are, it does not panic and it holds no more than its limits.
//!
//! Upwards: `net` drives these over connections, the servers decide what the values mean.

pub mod imap;
pub mod line;
pub mod pop3;
pub mod sasl;
pub mod smtp;

/// What a decoder makes of the front of a buffer from which it takes what it has understood.
#[derive(Debug, PartialEq, Eq)]
pub enum Progress<T, E> {
    /// Nothing is complete yet.
    NeedMore,
    /// A value.
    Value(T),
    /// The peer does not keep to the protocol.
    Refused(E),
}
