//! The simulation: a message store on disks that lose, tear and refuse what was not synced, crashed at every sync.
//!
//! `sim --minutes N` tries fresh seeds for so long, `sim --seeds A..B` these, on all processors; it prints a table, and
//! the seed of whatever is wrong. A seed makes the same requests and the same damage each time; how the requests of
//! several callers meet is up to the machine. `cargo xtask torture sim` runs it, and the tests here a few seeds.
//!
//! The path: `history` (several `caller`s use one `site`, written down in a `ledger`), `tape` (what the disks were asked
//! to do), `crash` and `damage` (what is done to them), `look` and `finding` (what a client sees and what is wrong).

mod caller;
mod crash;
mod damage;
mod finding;
mod history;
mod image;
mod ledger;
mod look;
mod model;
mod site;
mod tally;
mod tape;
#[cfg(test)]
mod tests;

use anyhow::{Context, Result, bail, ensure};
use env::clock::Clock;
use env::random::Random;
use site::Setup;
use std::ops::Range;
use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tally::Tally;
use tape::Fault;

/// What is asked for on the command line.
struct Asked {
    seeds: Range<u64>,
    time: Duration,
}

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    match asked(&words).and_then(|asked| run(&asked)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("sim: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn asked(words: &[String]) -> Result<Asked> {
    // Fresh seeds: other ones each time.
    let first = Random::system().number() >> 20;
    let (mut seeds, mut time) = (first..u64::MAX, None);
    let mut words = words.iter();
    while let Some(word) = words.next() {
        let mut value = || words.next().with_context(|| format!("{word} needs a value"));
        match word.as_str() {
            "--minutes" => time = Some(Duration::from_secs_f64(value()?.parse::<f64>()? * 60.0)),
            "--seeds" => {
                let (a, b) = value()?.split_once("..").context("--seeds A..B")?;
                seeds = a.parse()?..b.parse()?;
            }
            _ => bail!("sim knows --minutes N and --seeds A..B, not {word}"),
        }
    }
    let bounded = time.is_some() || seeds.end < u64::MAX;
    ensure!(bounded, "sim needs --minutes N or --seeds A..B");
    Ok(Asked { seeds, time: time.unwrap_or(Duration::MAX) })
}

fn run(asked: &Asked) -> Result<()> {
    let (tally, next, clock) = (Tally::default(), AtomicU64::new(asked.seeds.start), Clock::system());
    let begun = clock.moment();
    let enough = || begun.elapsed() >= asked.time;
    let work = || -> Result<()> {
        while !enough() {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= asked.seeds.end {
                break;
            }
            one(seed, &tally, &enough).with_context(|| format!("seed {seed}"))?;
        }
        Ok(())
    };
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    println!("sim: seeds from {}, {processors} at a time", asked.seeds.start);
    let outcomes: Vec<Result<()>> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..processors).map(|_| scope.spawn(work)).collect();
        let ended = |t: std::thread::ScopedJoinHandle<'_, Result<()>>| {
            t.join().unwrap_or_else(|_| bail!("the simulation itself failed"))
        };
        threads.into_iter().map(ended).collect()
    });
    let minutes = begun.elapsed().as_secs_f64() / 60.0;
    println!("{}", tally.table());
    println!(
        "{:.1} minutes, {:.0} crash points and faults a minute",
        minutes,
        tally.crashes() as f64 / minutes
    );
    outcomes.into_iter().collect::<Result<Vec<()>>>()?;
    ensure!(tally.is_clean(), "mail was not kept as promised");
    Ok(())
}

/// The history of one seed, with everything that is done to it.
fn one(seed: u64, tally: &Tally, enough: &dyn Fn() -> bool) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let history = history::run(Setup::of(seed), STEPS, fault(seed)).await?;
        let (world, setup) = (&history.world, &history.setup);
        let actions = history.site.tape.actions();
        let syncs = actions.iter().filter(|(_, a)| a.is_sync()).count();
        tally.history(history.fault, world.ledger.requests(), actions.len(), syncs);
        for finding in &history.findings {
            tally.report(setup.seed, "before any crash", finding.clone());
        }
        crash::everywhere(&history, tally, enough).await?;
        let damage = damage::Damage::of(&history, tally).await?;
        damage.read_errors().await?;
        damage.bit_flips().await
    })
}

/// Half of all histories have a fault beside the crashes.
fn fault(seed: u64) -> Option<Fault> {
    match seed % 8 {
        1 => Some(Fault::SyncFails),
        3 => Some(Fault::WriteFails),
        5 => Some(Fault::Full(0)),
        7 => Some(Fault::Full(Random::seeded(seed).below(20_000))),
        _ => None,
    }
}

/// Steps of each of the four callers.
const STEPS: usize = 16;
