//! `cargo xtask site`: six hosts under a mixed load, each taken away in turn, with a ledger of what was acknowledged.
//!
//! `tests/site/carrier` does it and prints the table; here the programs are built. `--short` kills each host once, as the
//! tests do; without it each is killed, ended in order and frozen.

use crate::test;
use crate::workspace::{Workspace, must};
use anyhow::{Context as _, Result, bail};
use std::process::Command;

pub(crate) fn run(workspace: &Workspace, words: &[String]) -> Result<()> {
    let (mut profile, mut short) = ("release".to_owned(), false);
    let mut words = words.iter();
    while let Some(word) = words.next() {
        match word.as_str() {
            "--short" => short = true,
            "--profile" => profile.clone_from(words.next().context("--profile needs a name")?),
            other => bail!("site knows --short and --profile NAME, not {other}"),
        }
    }
    let mut carrier = carrier(workspace, &profile)?;
    must(if short { carrier.arg("--short") } else { &mut carrier })
}

/// What every test run does, with the programs that the tests have built.
pub(crate) fn slice(workspace: &Workspace) -> Result<()> {
    must(carrier(workspace, "dev")?.arg("--short"))
}

fn carrier(workspace: &Workspace, profile: &str) -> Result<Command> {
    let program = test::build(workspace, "intermail", profile)?;
    let mut carrier = Command::new(test::build(workspace, "carrier", profile)?);
    carrier.env(test::PROGRAM, program);
    Ok(carrier)
}
