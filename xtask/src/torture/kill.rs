//! kill -9 at random moments under load, again and again on the same site.

use super::Rack;
use crate::bench::contender::{Contender, wait_for};
use crate::bench::ours::Ours;
use anyhow::{Result, ensure};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// All mailboxes are checked after this many kills, and at the end.
const VERIFY_EVERY: u32 = 10;

pub(super) fn run(rack: &Rack) -> Result<String> {
    let mut site = rack.site("kill")?;
    let ledger = rack.ledger("kill");
    let mut restarts = Vec::new();
    let mut checked = 0;
    site.start()?;
    for kill in 1..=rack.kills {
        let run = format!("k{kill}");
        let words =
            ["--conns", "64", "--messages", "1000000", "--limit", "60", "--timeout", "5", "--run", &run];
        let mut load = rack.begin(&site, &words, &ledger)?;
        std::thread::sleep(moment(kill));
        site.kill()?;
        load.kill()?;
        load.wait()?;
        let took = restart(&mut site)?;
        restarts.push(took);
        ensure!(took < rack.restart_within, "kill {kill}: {took:?} until it served again");
        if kill % VERIFY_EVERY == 0 || kill == rack.kills {
            checked = rack.verify(&site, &ledger)?;
            println!("  {kill} kills: {checked} acknowledged messages, each there once and whole");
        }
    }
    site.stop()?;
    ensure!(checked > 0, "nothing was acknowledged: nothing was shown");
    restarts.sort_unstable();
    let (middle, slowest) = (restarts[restarts.len() / 2], restarts[restarts.len() - 1]);
    Ok(format!(
        "{} kills, {checked} acknowledged messages, serving again after {middle:.2?} (median), {slowest:.2?} at most",
        rack.kills
    ))
}

fn restart(site: &mut Ours) -> Result<Duration> {
    let begun = Instant::now();
    site.start()?;
    wait_for(site.ports().imap)?;
    Ok(begun.elapsed())
}

/// 0.2 to 1.5 seconds, by the lowest digits of the clock.
fn moment(kill: u32) -> Duration {
    let nanos = SystemTime::now().duration_since(UNIX_EPOCH).map_or(kill, |d| d.subsec_nanos());
    Duration::from_millis(200 + u64::from(nanos / 1000 % 1300))
}
