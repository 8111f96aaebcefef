//! The configuration keys, one file a server.

pub mod common;
pub mod imapserv;
pub mod mss;
pub mod mta;
pub mod popserv;

use crate::key::Row;

/// Every row of every file.
pub fn rows() -> impl Iterator<Item = &'static Row> {
    [common::ROWS, mta::ROWS, mss::ROWS, popserv::ROWS, imapserv::ROWS].into_iter().flatten().copied()
}

/// The row of `name` that `server` reads, or any row of that name that is `common`.
pub fn find(server: &str, name: &str) -> Option<&'static Row> {
    let of_name = || rows().filter(|r| r.name.eq_ignore_ascii_case(name));
    of_name().find(|r| r.servers.contains(&server)).or_else(|| of_name().next())
}
