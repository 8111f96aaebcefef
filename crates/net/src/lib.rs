//! net
pub mod dns;
