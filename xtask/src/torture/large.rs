//! A message of 50 MB passes, in by SMTP and out by POP3, and the server's memory stays small.

use super::Rack;
use crate::bench::contender::Contender;
use anyhow::{Context, Result, ensure};

/// Length of the body in bytes, and by how much the server may grow meanwhile.
const BYTES: &str = "50000000";
const GROWTH_KB: u64 = 64 * 1024;

pub(super) fn run(rack: &Rack) -> Result<String> {
    let mut site = rack.site("large")?;
    let ledger = rack.ledger("large");
    site.start()?;
    let pid = site.pid().context("the server is not there")?;
    // The first message and the first session pay for what is made once.
    rack.step("smtp", site.ports().smtp, &["--messages", "50", "--run", "warm"])?;
    rack.step("pop3", site.ports().pop3, &[])?;
    let idle = resident_kb(pid)?;
    reset_peak(pid)?;
    let acked = ledger.display().to_string();
    let words = ["--messages", "2", "--size", BYTES, "--run", "large", "--acked", &acked, "--timeout", "120"];
    let seen = rack.step("smtp", site.ports().smtp, &words)?;
    ensure!(seen["acked"].as_u64() == Some(2), "it was not taken: {seen}");
    rack.verify(&site, &ledger)?;
    let peak = peak_kb(pid)?;
    site.stop()?;
    ensure!(peak < idle + GROWTH_KB, "{peak} KB at the peak, {idle} KB before");
    Ok(format!("two messages of {BYTES} bytes; {idle} KB before, {peak} KB at the peak"))
}

fn field(pid: u32, file: &str, name: &str) -> Result<u64> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/{file}"))?;
    let line = text.lines().find_map(|l| l.strip_prefix(name)).with_context(|| format!("no {name}"))?;
    line.split_whitespace().next().and_then(|n| n.parse().ok()).with_context(|| format!("{name}{line}"))
}

fn resident_kb(pid: u32) -> Result<u64> {
    field(pid, "status", "VmRSS:")
}

/// The highest resident memory since [`reset_peak`].
fn peak_kb(pid: u32) -> Result<u64> {
    field(pid, "status", "VmHWM:")
}

fn reset_peak(pid: u32) -> Result<()> {
    std::fs::write(format!("/proc/{pid}/clear_refs"), "5").context("cannot reset the peak")
}
