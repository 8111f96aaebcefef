//! Sockets for the protocols of the outside world: listening, dialling, buffered connections, TLS, names, and spooling
//! a body.
//! Sockets for the protocols of the outside world: listening, buffered connections, TLS, and spooling a body;
//! the name service, and connecting to others.
//! Sockets for the protocols of the outside world: listening, buffered connections, TLS, and spooling a body.
//!
//! Nothing here knows a verb or a reply of any protocol. A server implements [`listener::Protocol`] and is
//! handed one [`connection::Connection`] a client. Upwards: the sessions of `mta`, `pop` and `imap`. [`local`] is for the
//! processes of one host among themselves.

pub mod access;
pub mod clients;
pub mod connection;
pub mod dial;
pub mod dns;
pub mod listener;
pub mod local;
pub mod spool;
pub mod tls;
pub mod tls_client;
