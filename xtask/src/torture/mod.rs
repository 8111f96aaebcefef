//! `cargo xtask torture`: what a mail server must survive, done to a site of ours, with a ledger that knows what was
//! acknowledged.
//!
//! `sim` crashes the store at every sync on simulated disks, for `--minutes`. The others take a real process: `kill` ends
//! it at random moments under load; `disk` fills the disk and frees it; `sync` lets a sync fail, `slow` delays all of them,
//! `eio` lets reads fail; `power` takes the power away from a real file system; `large` passes a message of 50 MB. Each
//! prints a line; the exit code is the verdict. Without words: all of them; with `--minutes` alone: `sim`.

mod disk;
mod eio;
mod kill;
mod large;
mod power;
mod sim;
mod slow;
mod strace;
mod sync;

use crate::bench::{contender::Contender, ours::Ours};
use crate::test;
use crate::workspace::Workspace;
use anyhow::{Context, Result, ensure};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Accounts of a tortured site: few, so that checking every mailbox is quick.
pub(crate) const USERS: u64 = 50;

/// What the torments work with.
pub(crate) struct Rack {
    program: PathBuf,
    load: PathBuf,
    sim: PathBuf,
    folder: tempfile::TempDir,
    kills: u32,
    /// How long the simulation goes on.
    minutes: String,
    /// A killed server must serve again within this time.
    restart_within: Duration,
}

/// How long a restart after kill -9 may take.
const RESTART_WITHIN: Duration = Duration::from_secs(2);

/// How long the queue may take to deliver: it tries again a minute after its first failure.
const DRAIN: Duration = Duration::from_secs(180);

/// One way to be unkind.
struct Torment {
    name: &'static str,
    run: fn(&Rack) -> Result<String>,
}

const TORMENTS: &[Torment] = &[
    Torment { name: "sim", run: sim::run },
    Torment { name: "kill", run: kill::run },
    Torment { name: "disk", run: disk::run },
    Torment { name: "sync", run: sync::run },
    Torment { name: "slow", run: slow::run },
    Torment { name: "eio", run: eio::run },
    Torment { name: "power", run: power::run },
    Torment { name: "large", run: large::run },
];

pub(crate) fn run(workspace: &Workspace, words: &[String]) -> Result<()> {
    let (mut kills, mut profile, mut wanted) = (50, "release".to_owned(), Vec::new());
    let mut minutes = None;
    let mut words = words.iter();
    while let Some(word) = words.next() {
        let mut value = || words.next().with_context(|| format!("{word} needs a value"));
        match word.as_str() {
            "--kills" => kills = value()?.parse().context("--kills needs a number")?,
            "--minutes" => minutes = Some(value()?.clone()),
            "--profile" => profile.clone_from(value()?),
            name => wanted.push(torment(name)?),
        }
    }
    if minutes.is_some() && wanted.is_empty() {
        wanted.push(torment("sim")?);
    }
    let mut rack = Rack::new(workspace, &profile, kills, RESTART_WITHIN)?;
    rack.minutes = minutes.unwrap_or(rack.minutes);
    let all = if wanted.is_empty() { TORMENTS.iter().collect() } else { wanted };
    let mut failed = 0;
    for torment in all {
        match (torment.run)(&rack) {
            Ok(said) => println!("torture: {:6} passed: {said}", torment.name),
            Err(error) => {
                failed += 1;
                println!("torture: {:6} FAILED: {error:#}", torment.name);
            }
        }
    }
    ensure!(failed == 0, "{failed} of the torments were not survived");
    Ok(())
}

fn torment(name: &str) -> Result<&'static Torment> {
    let known: Vec<&str> = TORMENTS.iter().map(|t| t.name).collect();
    let found = TORMENTS.iter().find(|t| t.name == name);
    found.with_context(|| {
        format!("torture knows {}, --kills N, --minutes N and --profile NAME, not {name}", known.join(", "))
    })
}

/// A few kills with the programs that the tests have built. How long a restart takes is not judged here: a busy machine
/// must not fail a test.
pub(crate) fn slice(workspace: &Workspace) -> Result<()> {
    let rack = Rack::new(workspace, "dev", 3, Duration::from_secs(60))?;
    println!("torture: kill   passed: {}", kill::run(&rack)?);
    println!("torture: sim    passed: {}", sim::slice(&rack)?);
    Ok(())
}

impl Rack {
    fn new(workspace: &Workspace, profile: &str, kills: u32, restart_within: Duration) -> Result<Self> {
        let program = test::build(workspace, "intermail", profile)?;
        let load = test::build(workspace, "load", profile)?;
        let sim = test::build(workspace, "sim", profile)?;
        let folder = tempfile::Builder::new().prefix("intermail-torture-").tempdir()?;
        Ok(Self { program, load, sim, folder, kills, minutes: "2".into(), restart_within })
    }

    /// A fresh site of this name.
    fn site(&self, name: &str) -> Result<Ours> {
        self.site_in(&self.folder.path().join(name))
    }

    fn site_in(&self, folder: &Path) -> Result<Ours> {
        let mut site = Ours::new(self.program.clone(), folder.to_owned(), USERS);
        site.reset()?;
        Ok(site)
    }

    fn ledger(&self, name: &str) -> PathBuf {
        self.folder.path().join(format!("{name}.acked"))
    }

    /// Begins a load that goes on until it is ended.
    fn begin(&self, site: &Ours, words: &[&str], ledger: &Path) -> Result<Child> {
        let mut load = self.load_command("smtp", site.ports().smtp, words);
        load.arg("--acked").arg(ledger).stdout(Stdio::null());
        load.spawn().context("cannot run load")
    }

    /// Runs a command of the load tool to its end.
    fn step(&self, command: &str, port: u16, words: &[&str]) -> Result<Value> {
        said(self.load_command(command, port, words))
    }

    fn load_command(&self, command: &str, port: u16, words: &[&str]) -> Command {
        let mut load = Command::new(&self.load);
        load.arg(command).args(["--target", &port.to_string(), "--users", &USERS.to_string()]).args(words);
        load.stdin(Stdio::null());
        load
    }

    /// Reads every mailbox by `pop3` or `imap` and says what is there, by the ledger.
    fn read(&self, protocol: &str, site: &Ours, ledger: &Path) -> Result<Value> {
        let port = if protocol == "imap" { site.ports().imap } else { site.ports().pop3 };
        let mut verify = Command::new(&self.load);
        verify.arg("verify").arg(format!("--{protocol}")).arg(port.to_string());
        verify.args(["--users", &USERS.to_string(), "--conns", "4", "--limit", "600", "--acked"]).arg(ledger);
        said(verify)
    }

    /// Reads every mailbox and says how it differs from the ledger: all can be read, and no message is there twice or
    /// altered. One that is not there may be in the queue still.
    fn compare(&self, site: &Ours, ledger: &Path) -> Result<Value> {
        let seen = self.read("pop3", site, ledger)?;
        let wrong = ["duplicated", "corrupt", "unread"].iter().find(|count| seen[*count] != 0.0);
        ensure!(wrong.is_none() && seen["mailboxes_read"] == USERS, "{seen}");
        Ok(seen)
    }

    /// As [`Rack::verify`], but waits until the queue has delivered what it took because the store could not.
    fn verify_drained(&self, site: &Ours, ledger: &Path) -> Result<u64> {
        let until = Instant::now() + DRAIN;
        loop {
            let seen = self.compare(site, ledger)?;
            if seen["verdict"] == "clean" {
                return seen["expected"].as_u64().context("verify counted nothing");
            }
            ensure!(Instant::now() < until, "not in its mailbox after {DRAIN:?}: {seen}");
            std::thread::sleep(Duration::from_secs(5));
        }
    }

    /// Every acknowledged message is in its mailbox exactly once, undamaged; returns how many there were.
    fn verify(&self, site: &Ours, ledger: &Path) -> Result<u64> {
        let seen = self.compare(site, ledger)?;
        ensure!(seen["verdict"] == "clean", "{seen}");
        seen["expected"].as_u64().context("verify counted nothing")
    }
}

/// What the load tool says of itself at its end.
fn said(mut load: Command) -> Result<Value> {
    let output = load.stdin(Stdio::null()).output().context("cannot run load")?;
    let text = String::from_utf8_lossy(&output.stdout);
    serde_json::from_str(text.trim()).with_context(|| format!("load said {text}"))
}
