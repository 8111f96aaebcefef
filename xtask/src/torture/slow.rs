//! A disk whose syncs are slow: mail is acknowledged later, not refused and not lost, and nothing is acknowledged that a
//! kill takes away.

use super::Rack;
use super::strace::Tracer;
use crate::bench::contender::Contender;
use anyhow::{Context, Result, ensure};

/// A sync waits for so long before it begins.
const DELAY: &str = "delay_enter=200000";
const SYNCS: &str = "fdatasync,fsync";

pub(super) fn run(rack: &Rack) -> Result<String> {
    let mut site = rack.site("slow")?;
    let ledger = rack.ledger("slow");
    site.start()?;
    let pid = site.pid().context("the server is not there")?;
    let tracer = Tracer::attach(pid, SYNCS, DELAY)?;
    let acked = ledger.display().to_string();
    let words = ["--conns", "64", "--messages", "2000", "--limit", "120", "--run", "slow", "--acked", &acked];
    let seen = rack.step("smtp", site.ports().smtp, &words)?;
    ensure!(seen["acked"].as_u64() == Some(2000), "not all was taken: {seen}");
    site.kill()?;
    drop(tracer);
    site.start()?;
    let there = rack.verify(&site, &ledger).context("after a kill")?;
    site.stop()?;
    Ok(format!(
        "every sync 0.2 s late: {there} messages taken in {} s, all there after a kill",
        seen["seconds"]
    ))
}
