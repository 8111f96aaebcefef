//! The log events, one file a prefix family.
//!
//! A row stands here when a server emits it: `cargo xtask catalog` names rows that no code mentions.
#![allow(non_camel_case_types, reason = "an event has one type parameter a field, named like the field")]

pub mod acct;
pub mod cache;
pub mod conf;
pub mod db;
pub mod imap;
pub mod ms;
pub mod msg;
pub mod mta;
pub mod nio;
pub mod pop;
pub mod proc;
pub mod qsrv;
pub mod rme;
pub mod run;
pub mod smtp;

use crate::event::EventRow;

/// The file of each prefix family with its rows, in the order of the manual.
pub const FILES: &[(&str, &[&EventRow])] = &[
    ("Acct", acct::ROWS),
    ("Cache", cache::ROWS),
    ("Conf", conf::ROWS),
    ("Db", db::ROWS),
    ("Imap", imap::ROWS),
    ("Ms", ms::ROWS),
    ("Msg", msg::ROWS),
    ("Mta", mta::ROWS),
    ("Nio", nio::ROWS),
    ("Pop", pop::ROWS),
    ("Proc", proc::ROWS),
    ("Qsrv", qsrv::ROWS),
    ("Rme", rme::ROWS),
    ("Run", run::ROWS),
    ("Smtp", smtp::ROWS),
];

/// Every row of every file.
pub fn rows() -> impl Iterator<Item = &'static EventRow> {
    FILES.iter().flat_map(|(_, rows)| rows.iter().copied())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_event_carries_the_prefix_of_its_family_and_no_name_occurs_twice() {
        let mut names: Vec<_> = rows().map(|r| r.name).collect();
        for (prefix, rows) in FILES {
            assert!(rows.iter().all(|r| r.name.starts_with(prefix)), "{prefix}");
        }
        let count = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), count);
    }
}
