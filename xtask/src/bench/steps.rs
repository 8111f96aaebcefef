//! What is done to each contender in a round.

use super::Options;
use super::contender::{Contender, wait_for};
use super::ours::Ours;
use super::report::Results;
use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

/// Seconds that one step may take.
const LIMIT: &str = "400";

/// One round.
pub(crate) struct Bench<'a> {
    pub(crate) load: &'a Path,
    pub(crate) options: &'a Options,
    pub(crate) round: u32,
    pub(crate) folder: &'a Path,
}

impl Bench<'_> {
    /// Everything, from empty mailboxes to the cold start.
    pub(crate) fn round(&self, contender: &mut dyn Contender, results: &mut Results) -> Result<()> {
        contender.reset()?;
        contender.start()?;
        // Every mailbox is opened once, so that making it is not part of what is timed below.
        self.step(contender, "imap", &["--conns", "4", "--bodies", "0"])?;
        let ledger = self.ledger(contender);
        for conns in ["1", "16", "64"] {
            let run = format!("c{conns}r{}", self.round);
            let messages = self.options.messages.to_string();
            let words = ["--conns", conns, "--messages", &messages, "--run", &run, "--sync"];
            let seen = self.send(contender, "smtp", &words, &ledger)?;
            results.take(contender, &format!("smtp{conns}"), &seen);
        }
        let messages = (self.options.messages / 4).to_string();
        let run = format!("l{}", self.round);
        let words = ["--conns", "16", "--messages", &messages, "--run", &run, "--sync"];
        let seen = self.send(contender, "lmtp", &words, &ledger)?;
        results.take(contender, "lmtp16", &seen);
        self.verify(contender, &ledger)?;
        self.read(contender, results)?;
        contender.stop()?;
        self.cold_start(contender, results)
    }

    /// What clients do with the mail that is there.
    fn read(&self, contender: &mut dyn Contender, results: &mut Results) -> Result<()> {
        let seen = self.step(contender, "pop3", &["--conns", "8"])?;
        results.take(contender, "pop3", &seen);
        let run = format!("e{}", self.round);
        let words = ["--conns", "8", "--users", "300", "--bodies", "10", "--appends", "5", "--run", &run];
        let seen = self.step(contender, "imap", &words)?;
        results.take(contender, "imap", &seen);
        let smtp = contender.ports().smtp.to_string();
        let seen = self.step(contender, "notify", &["--deliver", &smtp, "--messages", "100"])?;
        results.take(contender, "notify", &seen);
        for conns in &self.options.idle {
            let seen = self.step(contender, "idle", &["--conns", &conns.to_string(), "--openers", "8"])?;
            results.take(contender, &format!("idle{conns}"), &seen);
        }
        Ok(())
    }

    /// From the start of the program to the first SELECT, with the mail of the round on the disk.
    fn cold_start(&self, contender: &mut dyn Contender, results: &mut Results) -> Result<()> {
        let begun = Instant::now();
        contender.start()?;
        self.step(contender, "imap", &["--users", "1", "--conns", "1", "--bodies", "0"])?;
        results.put(contender.name(), "start_s", begun.elapsed().as_secs_f64());
        Ok(())
    }

    /// Syncs a message, counted by strace, at 1 and 64 connections; what start and stop take is left out.
    pub(crate) fn syncs(&self, site: &mut Ours, results: &mut Results) -> Result<()> {
        site.reset()?;
        // Every mailbox is made before.
        site.start()?;
        self.step(site, "imap", &["--conns", "4", "--bodies", "0"])?;
        site.stop()?;
        let idle = self.syncs_of(site, &[])?;
        for (conns, messages) in [("1", 2000u64), ("64", 20_000)] {
            let (count, run) = (messages.to_string(), format!("s{conns}"));
            let calls = self.syncs_of(site, &["--conns", conns, "--messages", &count, "--run", &run])?;
            let per_message = calls.saturating_sub(idle) as f64 / messages as f64;
            results.put(site.name(), &format!("syncs_per_message_{conns}"), per_message);
        }
        Ok(())
    }

    /// The syncs of a process that takes this load.
    fn syncs_of(&self, site: &mut Ours, load: &[&str]) -> Result<u64> {
        let summary = self.folder.join("syncs");
        let _ = std::fs::remove_file(&summary);
        site.count_syncs(Some(summary.clone()));
        site.start()?;
        if !load.is_empty() {
            self.step(site, "smtp", load)?;
        }
        site.stop()?;
        site.count_syncs(None);
        // strace writes when it has seen the end of the server.
        for _ in 0..100 {
            let text = std::fs::read_to_string(&summary).unwrap_or_default();
            if text.contains("total") {
                return Ok(sync_calls(&text));
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        bail!("strace wrote no summary")
    }

    fn ledger(&self, contender: &dyn Contender) -> PathBuf {
        let name: String = contender.name().chars().filter(char::is_ascii_alphanumeric).collect();
        self.folder.join(format!("{name}-{}.acked", self.round))
    }

    fn send(&self, contender: &dyn Contender, how: &str, words: &[&str], ledger: &Path) -> Result<Value> {
        let (drain, ledger) = (contender.drain(), ledger.display().to_string());
        let words = [words, &["--drain-cmd", &drain, "--acked", &ledger]].concat();
        let seen = self.step(contender, how, &words)?;
        ensure!(seen.get("short").is_none(), "{} took not all messages: {seen}", contender.name());
        Ok(seen)
    }

    /// Each acknowledged message is in its mailbox exactly once, undamaged.
    fn verify(&self, contender: &dyn Contender, ledger: &Path) -> Result<()> {
        let seen =
            self.step(contender, "verify", &["--acked", &ledger.display().to_string(), "--conns", "8"])?;
        println!("  verify: {} of {} messages read: {}", seen["read"], seen["expected"], seen["verdict"]);
        match seen["verdict"].as_str() {
            Some("clean") => Ok(()),
            _ => bail!("{}: {seen}", contender.name()),
        }
    }

    /// Runs one command of the load tool and returns the line that it prints.
    fn step(&self, contender: &dyn Contender, command: &str, words: &[&str]) -> Result<Value> {
        let ports = contender.ports();
        let port = match command {
            "smtp" => ports.smtp,
            "lmtp" => ports.lmtp,
            "pop3" | "verify" => ports.pop3,
            _ => ports.imap,
        };
        wait_for(port)?;
        let mut load = Command::new(self.load);
        load.arg(command).args(["--users", &self.options.users.to_string(), "--limit", LIMIT]).args(words);
        load.args([if command == "verify" { "--pop3" } else { "--target" }, &port.to_string()]);
        if let Some(group) = contender.group().folder() {
            load.arg("--cgroup").arg(group);
        }
        let output = load.output().context("cannot run load")?;
        let text = String::from_utf8_lossy(&output.stdout);
        let seen: Value = serde_json::from_str(text.trim()).with_context(|| format!("load said {text}"))?;
        if seen.get("failed").is_some() {
            bail!("{} {command}: {seen}", contender.name());
        }
        if seen["errors"].as_f64().unwrap_or(0.0) > 0.0 {
            println!("  {command}: {}", seen["error_kinds"]);
        }
        Ok(seen)
    }
}

/// The calls in a summary of strace: the fourth column of the lines that end with a sync's name.
fn sync_calls(summary: &str) -> u64 {
    let calls = |line: &str| {
        let words: Vec<_> = line.split_whitespace().collect();
        let name = words.last()?;
        name.contains("sync").then(|| words.get(3)?.parse::<u64>().ok()).flatten()
    };
    summary.lines().filter_map(calls).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn syncs_are_read_from_the_summary() {
        let text = "% time seconds usecs/call calls errors syscall\n------\n 99.0 0.1 10 312 fdatasync\n 1.0 0.0 3 7 2 fsync\n";
        assert_eq!(sync_calls(text), 319);
    }
}
