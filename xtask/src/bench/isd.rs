//! `cargo xtask bench isd`: the directory over PostgreSQL and its copy on a host, at `--accounts` (200,000; 5,000,000 is the
//! size of a carrier and takes half an hour on a quiet machine; with `--engine sqlite`, which fills faster, the copy and its look-ups
//! are the same).
//!
//! The tool brings a server of its own (Debian's package `postgresql`) and shows every figure as it comes. The load of the
//! machine stands beside them: look-ups are counted by processor time, everything else by the clock.

use super::number;
use super::report::{self, Figure, Results, less, more};
use super::store::said;
use crate::test;
use crate::workspace::Workspace;
use anyhow::{Result, bail};
use std::process::{Command, Stdio};

const FIGURES: &[Figure] = &[
    more("accounts", "accounts"),
    more("singles_per_s_at_10000", "durable single creations/s in batch mode, at 10,000 accounts"),
    more("singles_per_s_at_100000", "the same, at 100,000"),
    more("singles_per_s_at_1000000", "the same, at 1,000,000"),
    more("singles_per_s_at_5000000", "the same, at 5,000,000"),
    more("sync_accounts_per_min", "imdirsync, accounts a minute, while accounts are created"),
    more("sync_meanwhile_created_per_s", "durable single creations/s meanwhile"),
    less("copy_file_bytes_per_account", "bytes of the copy's files an account"),
    less("front_memory_bytes_per_account", "memory of a front end an account, after its look-ups, bytes"),
    less("front_memory_bytes", "memory of a front end in all, bytes"),
    more("reader_per_core_s", "look-ups of random accounts by their names, /s and core, the copy's reader"),
    more("reader_whole_per_core_s", "the same, each copied with its password"),
    more("address_route_per_core_s", "the same, whole routes (address_route)"),
    more("account_find_per_core_s", "the same, whole accounts (account_find)"),
    more(
        "address_route_few_per_core_s",
        "routes of 10,000 accounts that are asked for again and again, /s and core",
    ),
    more("account_find_few_per_core_s", "the same, accounts"),
    less("seen_p50_ms", "a change of another process until a front end has it, p50 ms"),
    less("seen_max_ms", "the same, max ms"),
    less("told_p50_ms", "the same where the process that keeps the copy is told of changes, p50 ms"),
    less("told_max_ms", "the same, max ms"),
    less("load_before", "processes that wanted a processor before the run (load of a minute)"),
    less("load_after", "the same, after it"),
];

pub(super) fn run(workspace: &Workspace, words: &[String]) -> Result<()> {
    let (mut accounts, mut engine) = (200_000_u64, "postgres");
    let mut words = words.iter();
    while let Some(word) = words.next() {
        match word.as_str() {
            "--accounts" => accounts = number(words.next())?,
            "--engine" => engine = words.next().map_or("", String::as_str),
            other => bail!("bench isd knows --accounts N and --engine postgres|sqlite, not {other}"),
        }
    }
    let mut isdload = Command::new(test::build(workspace, "isdload", "release")?);
    isdload.args(["--accounts", &accounts.to_string(), "--engine", engine]).stderr(Stdio::inherit());
    let mut results = Results::default();
    for (name, value) in said(&mut isdload)?.as_object().into_iter().flatten() {
        if let Some(value) = value.as_f64() {
            results.put("InterMail", name, value);
        }
    }
    report::write(workspace, &results, "isd-", FIGURES)
}
