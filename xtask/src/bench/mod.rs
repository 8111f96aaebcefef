//! `cargo xtask bench`: a load against a fresh site of ours and, in the same run, against Postfix + Dovecot;
//! `cargo xtask bench store`: the message store by itself, and how it grows; `cargo xtask bench isd`: the directory.
//!
//! Rounds alternate, so that a disturbance of the machine hits both. Every round begins with empty mailboxes and ends
//! with a check that each acknowledged message is there exactly once. Results are medians over the rounds, as JSON and
//! as a table in `bench/results`; nothing in them names the machine. A benchmark is never a test: it fails only where
//! something is lost or does not run.

pub(crate) mod contender;
mod dovecot;
mod isd;
pub(crate) mod ours;
mod report;
mod steps;
mod store;

use crate::workspace::Workspace;
use crate::{debian, test};
use anyhow::{Result, bail};
use contender::Contender;
use dovecot::Dovecot;
use ours::Ours;
use report::Results;

/// What to measure.
pub(crate) struct Options {
    rounds: u32,
    messages: u64,
    users: u64,
    idle: Vec<u64>,
    ours_only: bool,
}

impl Options {
    fn parse(words: &[String]) -> Result<Self> {
        let mut options =
            Self { rounds: 3, messages: 20_000, users: 1000, idle: vec![1000, 5000], ours_only: false };
        let mut words = words.iter();
        while let Some(word) = words.next() {
            match word.as_str() {
                "--rounds" => options.rounds = number(words.next())?,
                "--messages" => options.messages = number(words.next())?,
                "--ours-only" => options.ours_only = true,
                "--quick" => {
                    (options.rounds, options.messages, options.idle) = (1, 4000, vec![1000]);
                }
                other => bail!("bench knows --rounds N, --messages N, --quick, --ours-only, not {other}"),
            }
        }
        Ok(options)
    }
}

fn number<T: std::str::FromStr>(word: Option<&String>) -> Result<T> {
    match word.map(|w| w.parse()) {
        Some(Ok(n)) => Ok(n),
        _ => bail!("a number is missing"),
    }
}

pub(crate) fn run(workspace: &Workspace, words: &[String]) -> Result<()> {
    match words.split_first().map(|(word, rest)| (word.as_str(), rest)) {
        Some(("store", words)) => return store::run(workspace, words),
        Some(("isd", words)) => return isd::run(workspace, words),
        _ => {}
    }
    let options = Options::parse(words)?;
    let program = test::build(workspace, "intermail", "release")?;
    let load = test::build(workspace, "load", "release")?;
    let folder = tempfile::Builder::new().prefix("intermail-bench-").tempdir()?;
    // Postfix and Dovecot run under users of their own and must reach what is theirs.
    std::fs::set_permissions(folder.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755))?;
    let ours = Ours::new(program.clone(), folder.path().join("ours"), options.users);
    let mut contenders: Vec<Box<dyn Contender>> = vec![Box::new(ours)];
    match dovecot::missing() {
        _ if options.ours_only => {}
        Some(package) => println!("bench: ours only; for a peer: apt-get install {package}"),
        None => contenders.push(Box::new(Dovecot::new(folder.path().join("peer"), options.users))),
    }
    let mut results = Results::default();
    for round in 1..=options.rounds {
        for contender in &mut contenders {
            println!("bench: {} round {round}", contender.name());
            let bench = steps::Bench { load: &load, options: &options, round, folder: folder.path() };
            let outcome = bench.round(contender.as_mut(), &mut results);
            contender.stop()?;
            outcome?;
        }
    }
    let bench = steps::Bench { load: &load, options: &options, round: 0, folder: folder.path() };
    if debian::find("strace").is_some() {
        let mut site = Ours::new(program, folder.path().join("syncs-of-ours"), options.users);
        bench.syncs(&mut site, &mut results)?;
    }
    report::write(workspace, &results, "", report::SITE)
}
