//! The administrative commands.
//!
//! A command is a row ([`command::Command`]) and a `run`, one file each under `commands/<group>/`. Help, usage
//! errors, version, manual page, completion and the reference chapter are made from the rows, so that none of
//! them can lag behind. This crate composes and prints: what a command does to mail or accounts is done by the
//! role traits it is given. Where those come from (the running daemon, or a site opened for one command) is
//! decided by [`connect`]; the daemon's side of that is [`control_socket`].
//!
//! From here: [`main`] is the whole program of an `im*` command.

pub mod arguments;
pub mod command;
pub mod commands;
pub mod connect;
pub mod context;
pub mod control_socket;
pub mod frame;
pub mod output;
pub mod people;
mod records;
pub mod render;
pub mod retention;
pub mod site;
pub mod stdio;
pub mod sysmon;
#[cfg(test)]
mod testing;

pub use connect::main;
