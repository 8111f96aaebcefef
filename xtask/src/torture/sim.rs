//! The store on simulated disks, crashed at every sync: `tests/site/sim` does it and prints the table.

use super::Rack;
use crate::workspace::must;
use anyhow::Result;
use std::process::Command;

/// The seeds of every test run, and for how long at most: the same ones each time, as many as there is time for.
const SEEDS: &str = "0..96";
const SLICE_MINUTES: &str = "2";

/// Seeds that found something once: a mailbox stayed frozen where the disk became full while it was moved.
const KEPT: [&str; 1] = ["4712723971013..4712723971014"];

/// Fresh seeds, for the time that was asked for.
pub(super) fn run(rack: &Rack) -> Result<String> {
    must(Command::new(&rack.sim).args(["--minutes", &rack.minutes]))?;
    Ok(format!("{} minutes of crashes", rack.minutes))
}

/// The fixed seeds of a test run.
pub(super) fn slice(rack: &Rack) -> Result<String> {
    for seeds in KEPT {
        must(Command::new(&rack.sim).args(["--seeds", seeds]))?;
    }
    must(Command::new(&rack.sim).args(["--seeds", SEEDS, "--minutes", SLICE_MINUTES]))?;
    Ok(format!("seeds {SEEDS}, {SLICE_MINUTES} minutes at most"))
}
