//! The words of the trade.
//!
//! Plain values that every part of the house speaks: ids, addresses, envelopes, flags, number sets,
//! times, secrets, and what can be known of a message by looking at its bytes. Nothing here does I/O,
//! reads a clock or draws a random number; every decoder has a limit on length, depth and count.
//!
//! Upwards: `wire` turns bytes of a protocol into these values, `roles` promises services in terms of them.

pub mod address;
pub mod attribute;
pub mod envelope;
pub mod flags;
pub mod id;
pub mod message;
pub mod network;
pub mod password;
pub mod report;
pub mod search;
pub mod secret;
pub mod sequence;
pub mod text;
pub mod time;
