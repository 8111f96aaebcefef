//! Reads that fail: whoever reads hears an error or gets the right bytes; nothing is missing, doubled or altered, and
//! once the disk reads again everything is there, without a restart.

use super::Rack;
use super::strace::Tracer;
use crate::bench::contender::Contender;
use anyhow::{Context, Result, ensure};
use serde_json::Value;

/// Every how manieth read of a thread fails, after the first few.
const FAILING: [&str; 3] = ["error=EIO:when=400+900", "error=EIO:when=60+150", "error=EIO:when=5+7"];
/// The calls that read files at a place.
const READS: &str = "pread64,preadv";

pub(super) fn run(rack: &Rack) -> Result<String> {
    let mut site = rack.site("eio")?;
    let ledger = rack.ledger("eio");
    site.start()?;
    let acked = ledger.display().to_string();
    let words = ["--conns", "16", "--messages", "3000", "--limit", "60", "--run", "eio", "--acked", &acked];
    rack.step("smtp", site.ports().smtp, &words)?;
    let (mut answers, mut failures) = (0, 0);
    for failing in FAILING {
        // A fresh process has nothing in its caches.
        site.stop()?;
        site.start()?;
        let pid = site.pid().context("the server is not there")?;
        let tracer = Tracer::attach(pid, READS, failing)?;
        for protocol in ["pop3", "imap"] {
            let seen = rack.read(protocol, &site, &ledger)?;
            let wrong = ["lost", "duplicated", "corrupt"].iter().find(|count| seen[*count] != 0.0);
            ensure!(wrong.is_none(), "a failed read gave a wrong answer by {protocol}: {seen}");
            answers += count(&seen, "read");
            failures += super::USERS - count(&seen, "mailboxes_read");
        }
        tracer.detach()?;
        rack.verify(&site, &ledger).with_context(|| format!("after {failing}, once reads succeed again"))?;
    }
    site.stop()?;
    ensure!(failures > 0, "no read failed");
    Ok(format!("{answers} messages read right, {failures} mailboxes answered with an error, none with less"))
}

fn count(seen: &Value, name: &str) -> u64 {
    seen[name].as_f64().unwrap_or(0.0) as u64
}
