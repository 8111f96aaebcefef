//! All that an operator can name: configuration keys, log events, metrics, servers, ports,
//! class-of-service attributes. Each is declared once, here, as data; parsers, checks, manuals and completion are made
//! from the rows. Rows and rendering only: what a key *does* lives in the server that reads it.

pub mod account;
pub mod cos;
pub mod event;
pub mod events;
pub mod key;
pub mod keys;
pub mod metrics;
pub mod render;
pub mod servers;
pub mod tree;
