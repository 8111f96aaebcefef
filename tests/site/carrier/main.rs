//! Six hosts under a mixed load, while each of them is killed, ended and frozen in turn, and the database stands still.
//!
//! A ledger knows what was acknowledged; at the end every mailbox is read and compared with it. While something is away,
//! only who depends on it may notice. `carrier` does each fault to each host, `carrier --short` kills each host once;
//! it prints a row a fault, and fails where anything was lost, doubled, altered, or noticed by others.
//! `cargo xtask site` runs it.
//!
//! The path: `six` (the hosts and their users), `fault` (what is done to them and who may notice), `load` (senders and
//! readers), `ledger` (what was acknowledged, and the verdict), `tally` (what users saw meanwhile).

mod fault;
mod ledger;
mod load;
mod six;
mod tally;

use anyhow::{Result, bail, ensure};
use fault::{Fault, Target};
use load::{Load, World};
use site::program::now;
use six::Six;
use std::process::ExitCode;
use std::sync::Arc;
use std::thread::sleep;
use std::time::Duration;
use tally::Window;

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    match run(&words) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("carrier: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(words: &[String]) -> Result<()> {
    let pace = match words {
        [] => &LONG,
        [word] if word == "--short" => &SHORT,
        _ => bail!("carrier knows --short and nothing else"),
    };
    let mut six = Six::start()?;
    let world = Arc::new(World::of(&six)?);
    let load = Load::begin(&world);
    println!("{}", tally::HEADER);
    sleep(pace.between);
    for fault in pace.faults() {
        let window = strike(&mut six, fault, pace)?;
        println!("{}", world.tally.row(&window));
        world.tally.close(window);
        sleep(pace.between);
    }
    load.end();
    judge(&six, &world)
}

/// Does something to the site, undoes it after a while, and waits until those who noticed are served again.
fn strike(six: &mut Six, fault: Fault, pace: &Pace) -> Result<Window> {
    let begun = now();
    six.strike(fault)?;
    sleep(pace.away);
    let away = begun.elapsed();
    six.mend(fault)?;
    let mended = now();
    while !six.serves(fault.target) {
        ensure!(mended.elapsed() < BACK, "{fault}: not served again after {BACK:?}");
        sleep(Duration::from_millis(20));
    }
    Ok(Window { fault, begun, ended: now(), away, back: mended.elapsed() })
}

/// Waits until what the queue took has come, and says whether all is as it was told.
fn judge(six: &Six, world: &World) -> Result<()> {
    let begun = now();
    let mut verdict = world.compare(six)?;
    while verdict.is_waiting() && begun.elapsed() < DRAIN {
        sleep(Duration::from_secs(3));
        verdict = world.compare(six)?;
    }
    println!("{}", world.tally.sum());
    println!("{verdict}");
    let noticed = world.tally.findings();
    noticed.iter().take(SHOWN).for_each(|line| println!("noticed: {line}"));
    ensure!(verdict.is_clean(), "mail is not as it was acknowledged");
    ensure!(
        noticed.is_empty(),
        "{} requests failed that had nothing to do with what was away",
        noticed.len()
    );
    ensure!(world.tally.operations() > 0, "nothing was asked: nothing was shown");
    Ok(())
}

/// How long things last, and how much is done.
struct Pace {
    kinds: &'static [fault::Kind],
    /// How long something is away.
    away: Duration,
    /// How long all is well in between.
    between: Duration,
}

impl Pace {
    /// Each kind to each host, and the database.
    fn faults(&self) -> Vec<Fault> {
        let of = |target: Target| {
            let kinds = self.kinds.iter().filter(move |kind| kind.fits(target));
            kinds.map(move |&kind| Fault { target, kind })
        };
        Target::ALL.into_iter().flat_map(of).collect()
    }
}

const SHORT: Pace =
    Pace { kinds: &[fault::Kind::Killed], away: Duration::from_secs(2), between: Duration::from_secs(1) };
const LONG: Pace = Pace {
    kinds: &[fault::Kind::Killed, fault::Kind::Ended, fault::Kind::Frozen],
    away: Duration::from_secs(8),
    between: Duration::from_secs(4),
};
/// How long a return may take until users are served again.
const BACK: Duration = Duration::from_secs(60);
/// How long the queue may take to deliver what waited.
const DRAIN: Duration = Duration::from_secs(240);
/// Findings that are printed.
const SHOWN: usize = 20;
