//! The roles over a wire: gRPC between the servers of a site, on connections with mutual TLS.
//!
//! [`client::Remote`] implements every role by asking a peer, [`serve::Dispatch`] answers for whoever implements one
//! here; between them are the messages of `proto/`, which other versions and languages see. Nothing is decided here:
//! which host has a role, who may deliver, what a failure means for mail is the business of those above and below.
//!
//! `convert` has messages and plain types, `header` what every call carries, `body` the bodies of messages, `pool` the
//! connections to a peer, `access` who may connect, `identity` the certificates, `local` the processes of one host among
//! themselves.

pub mod access;
mod body;
pub mod client;
mod convert;
pub mod header;
pub mod identity;
pub mod local;
pub mod pool;
pub mod serve;

#[cfg(test)]
mod tests;
