//! A sync that fails: from then on nothing may be acknowledged that is not on the disk. What is there can be read, and
//! after a restart every acknowledged message is in its mailbox, also those that the queue took because the store
//! could not.

use super::{Rack, USERS};
use crate::bench::{contender::Contender, ours::Ours};
use crate::debian;
use anyhow::{Context, Result, ensure};
use serde_json::Value;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// Each of these syncs of a thread fails with EIO, and all after it.
const FAIL_FROM: [u32; 3] = [5, 40, 300];
/// The queue tries again a minute after its first failure, by default.
const DRAIN: Duration = Duration::from_secs(180);

pub(super) fn run(rack: &Rack) -> Result<String> {
    let strace = debian::find("strace").context("strace is not installed")?;
    let mut acknowledged = 0;
    for from in FAIL_FROM {
        let name = format!("sync{from}");
        let mut site = rack.site(&name)?;
        let ledger = rack.ledger(&name);
        site.start()?;
        let pid = site.pid().context("the server is not there")?;
        let inject = format!("inject=fdatasync:error=EIO:when={from}+");
        let mut tracer = Command::new(&strace)
            .args(["-f", "-e", "trace=fdatasync", "-e", &inject, "-o", "/dev/null", "-p", &pid.to_string()])
            .stderr(Stdio::null())
            .spawn()?;
        std::thread::sleep(Duration::from_secs(1));
        let acked = ledger.display().to_string();
        let words =
            ["--conns", "16", "--messages", "20000", "--limit", "30", "--run", &name, "--acked", &acked];
        let seen = rack.step("smtp", site.ports().smtp, &words)?;
        let kinds = seen["error_kinds"].as_str().unwrap_or_default();
        ensure!(seen["acked"].as_u64() < Some(20_000), "no sync failed: {seen}");
        ensure!(!kinds.contains("refused: 5"), "refused for good: {kinds}");
        // What is in the queue is in no mailbox yet: here it counts that every mailbox can be read.
        let seen = rack.compare(&site, &ledger).context("reading after the failed sync")?;
        ensure!(seen["mailboxes_read"] == USERS && nothing_wrong(&seen), "after the failed sync: {seen}");
        Command::new("kill").args(["-INT", &tracer.id().to_string()]).status()?;
        tracer.wait()?;
        site.kill()?;
        site.start()?;
        acknowledged += drained(rack, &site, &ledger)?;
        let again = rack.step("smtp", site.ports().smtp, &["--messages", "100", "--run", "again"])?;
        ensure!(again["acked"].as_u64() == Some(100), "it takes no mail after the restart: {again}");
        site.stop()?;
    }
    Ok(format!("{} failures, {acknowledged} acknowledged messages all there", FAIL_FROM.len()))
}

/// Waits until the queue has delivered what it took, and all that was acknowledged is in its mailbox.
fn drained(rack: &Rack, site: &Ours, ledger: &Path) -> Result<u64> {
    let until = Instant::now() + DRAIN;
    loop {
        let seen = rack.compare(site, ledger).context("after the restart")?;
        ensure!(nothing_wrong(&seen), "after the restart: {seen}");
        if seen["verdict"] == "clean" {
            return seen["expected"].as_u64().context("verify counted nothing");
        }
        ensure!(Instant::now() < until, "not in its mailbox {DRAIN:?} after the restart: {seen}");
        std::thread::sleep(Duration::from_secs(5));
    }
}

/// No message is there twice, or altered, and no mailbox could not be read.
fn nothing_wrong(seen: &Value) -> bool {
    ["duplicated", "corrupt", "unread"].iter().all(|count| seen[count] == 0.0)
}
