//! net
pub mod dial;
pub mod dns;
pub mod tls_client;
