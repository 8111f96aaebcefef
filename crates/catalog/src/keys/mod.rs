//! The configuration keys, one file a server; keys of former releases in `obsolete`.
//!
//! A row stands here when a server reads it: `cargo xtask catalog` names rows that no code mentions.

pub mod common;
pub mod imapserv;
pub mod imdircacheserv;
pub mod mss;
pub mod mta;
pub mod obsolete;
pub mod popserv;
pub mod sysadmin;

use crate::key::Row;

/// The file of each server with its rows, in the order of the manual.
pub const FILES: &[(&str, &[&Row])] = &[
    ("common", common::ROWS),
    ("mta", mta::ROWS),
    ("mss", mss::ROWS),
    ("popserv", popserv::ROWS),
    ("imapserv", imapserv::ROWS),
    ("imdircacheserv", imdircacheserv::ROWS),
    ("sysadmin", sysadmin::ROWS),
];

/// Every row of every file.
pub fn rows() -> impl Iterator<Item = &'static Row> {
    FILES.iter().flat_map(|(_, rows)| rows.iter().copied())
}

/// The row of `name` that `server` reads, or any row of that name that is `common`.
pub fn find(server: &str, name: &str) -> Option<&'static Row> {
    let of_name = || rows().filter(|r| r.name.eq_ignore_ascii_case(name));
    of_name().find(|r| r.servers.contains(&server)).or_else(|| of_name().next())
}

/// The rows that an entry `/<host>/<server>/<name>` sets: under `common` every row of that name, else those
/// that `server` reads. The name is compared exactly, as the servers do.
pub fn set_by<'a>(server: &'a str, name: &'a str) -> impl Iterator<Item = &'static Row> + 'a {
    let reads =
        move |r: &&Row| server == "common" || r.servers.iter().any(|s| *s == server || *s == "common");
    rows().filter(move |r| r.name == name).filter(reads)
}
