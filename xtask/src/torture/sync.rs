//! A sync that fails: from then on nothing may be acknowledged that is not on the disk. What is there can be read, and
//! after a restart every acknowledged message is in its mailbox, also those that the queue took because the store
//! could not.

use super::Rack;
use super::strace::Tracer;
use crate::bench::contender::Contender;
use anyhow::{Context, Result, ensure};

/// Each of these syncs of a thread fails with EIO, and all after it.
const FAIL_FROM: [u32; 3] = [5, 40, 300];

pub(super) fn run(rack: &Rack) -> Result<String> {
    let mut acknowledged = 0;
    for from in FAIL_FROM {
        let name = format!("sync{from}");
        let mut site = rack.site(&name)?;
        let ledger = rack.ledger(&name);
        site.start()?;
        let pid = site.pid().context("the server is not there")?;
        let tracer = Tracer::attach(pid, "fdatasync", &format!("error=EIO:when={from}+"))?;
        let acked = ledger.display().to_string();
        let words =
            ["--conns", "16", "--messages", "20000", "--limit", "30", "--run", &name, "--acked", &acked];
        let seen = rack.step("smtp", site.ports().smtp, &words)?;
        let kinds = seen["error_kinds"].as_str().unwrap_or_default();
        ensure!(seen["acked"].as_u64() < Some(20_000), "no sync failed: {seen}");
        ensure!(!kinds.contains("refused: 5"), "refused for good: {kinds}");
        // What is in the queue is in no mailbox yet: here it counts that every mailbox can be read.
        rack.compare(&site, &ledger).context("reading after the failed sync")?;
        tracer.detach()?;
        site.kill()?;
        site.start()?;
        acknowledged += rack.verify_drained(&site, &ledger).context("after the restart")?;
        let again = rack.step("smtp", site.ports().smtp, &["--messages", "100", "--run", "again"])?;
        ensure!(again["acked"].as_u64() == Some(100), "it takes no mail after the restart: {again}");
        site.stop()?;
    }
    Ok(format!("{} failures, {acknowledged} acknowledged messages all there", FAIL_FROM.len()))
}
