//! `cargo xtask bench store`: the store against the bare engine, a folder of a million messages, a host of 100,000 mailboxes.
//!
//! Bytes written are sectors of a device of our own, where the system lets us mount one (a file as a disk needs root):
//! the counters of a process count pages more than once, and those of a shared disk count what others write.

use super::contender::Contender;
use super::number;
use super::ours::Ours;
use super::report::{self, Figure, Results, less, more};
use crate::test;
use crate::workspace::{Workspace, must};
use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

const FIGURES: &[Figure] = &[
    more("pair.engine_per_s", "bare engine, commits/s, 64 callers"),
    more("pair.store_per_s", "store, deliveries/s, 64 callers"),
    more("pair.share_of_engine", "share of the bare engine that the store leaves"),
    less("pair.store_cpu_us_each", "processor time of a delivery, microseconds"),
    less("device.store_written_per_byte", "bytes written per byte delivered"),
    less("device.engine_written_per_byte", "the same, bare engine"),
    less("reclaim.written_per_byte", "the same, with 30 % deleted and reclaimed"),
    less("reclaim.disk_per_live_byte", "bytes on the disk per byte alive, after that"),
    more("reclaim.meanwhile_ratio", "deliveries/s while 30 % deleted are reclaimed, against before"),
    more("million.fill.per_s", "deliveries/s into one folder up to a million"),
    less("million.fill.disk_bytes_each", "bytes on the disk a message of 0.6 KB, a million in one folder"),
    less("million.big.select_p50_ms", "SELECT of a million, p50 ms"),
    less("million.big.select_max_ms", "SELECT of a million, max ms"),
    less("million.big.newest_p50_ms", "FETCH FLAGS of the newest 50 of a million, p50 ms"),
    less("million.big.store_p50_ms", "STORE of a flag among a million, p50 ms"),
    less("million.big.status_p50_ms", "STATUS of a million, p50 ms"),
    less("million.big.search_unseen_p50_ms", "SEARCH UNSEEN of a million, p50 ms"),
    less("million.big.search_large_p50_ms", "SEARCH LARGER of a million, p50 ms"),
    less("million.big.search_text_p50_ms", "SEARCH BODY of a million, p50 ms"),
    less("million.big.search_subject_p50_ms", "SEARCH SUBJECT of a million, p50 ms"),
    less("million.big.all_flags_p50_ms", "FETCH 1:* FLAGS of a million, ms"),
    less("million.grown.latency_ratio", "delivery into a million against an empty folder, time ratio"),
    less("million.grown.rate_ratio", "the same, 64 callers"),
    less(
        "search.scanned_none_ms",
        "SEARCH TEXT in 50,000 messages of 4 KB, nothing found, without the text index, ms",
    ),
    less("search.indexed_none_ms", "the same with the text index, ms"),
    less("search.scanned_one_ms", "one message found, without, ms"),
    less("search.indexed_one_ms", "one message found, with, ms"),
    less("search.scanned_many_ms", "every message found, without, ms"),
    less("search.indexed_many_ms", "every message found, with, ms"),
    less(
        "search.feed_cpu_us_each",
        "processor time to take a message of 4 KB into the text index, microseconds",
    ),
    less("search.index_bytes_each", "bytes of text index a message of 4 KB"),
    less("many.start_s", "100,000 mailboxes: start to first SELECT, s"),
    less("many.rss_mb", "100,000 mailboxes: memory after the start, MB"),
    less("many.rss_used_mb", "100,000 mailboxes: memory after sessions with 5,000 of them, MB"),
];

struct Options {
    rounds: u64,
    messages: u64,
    million: u64,
    many: u64,
    steps: Vec<String>,
}

impl Options {
    fn parse(words: &[String]) -> Result<Self> {
        let mut options =
            Self { rounds: 5, messages: 40_000, million: 1_000_000, many: 100_000, steps: Vec::new() };
        let mut words = words.iter();
        while let Some(word) = words.next() {
            match word.as_str() {
                "--rounds" => options.rounds = number(words.next())?,
                "--quick" => {
                    (options.rounds, options.messages) = (1, 20_000);
                    (options.million, options.many) = (50_000, 2000);
                }
                "pair" | "device" | "million" | "search" | "many" => options.steps.push(word.clone()),
                other => {
                    bail!(
                        "bench store knows pair, device, million, search, many, --rounds N, --quick, not {other}"
                    )
                }
            }
        }
        Ok(options)
    }

    fn wants(&self, step: &str) -> bool {
        self.steps.is_empty() || self.steps.iter().any(|s| s == step)
    }
}

struct Bench {
    options: Options,
    program: PathBuf,
    load: PathBuf,
    storeload: PathBuf,
    folder: tempfile::TempDir,
    results: Results,
}

/// A part of the whole.
type Step = fn(&mut Bench) -> Result<()>;

/// Whose the results are.
const OURS: &str = "InterMail";

pub(crate) fn run(workspace: &Workspace, words: &[String]) -> Result<()> {
    let options = Options::parse(words)?;
    let mut bench = Bench {
        options,
        program: test::build(workspace, "intermail", "release")?,
        load: test::build(workspace, "load", "release")?,
        storeload: test::build(workspace, "storeload", "release")?,
        folder: tempfile::Builder::new().prefix("intermail-bench-").tempdir()?,
        results: Results::default(),
    };
    let steps: [(&str, Step); 5] = [
        ("pair", Bench::pair),
        ("device", Bench::device),
        ("million", Bench::million),
        ("search", Bench::search),
        ("many", Bench::many),
    ];
    for (name, step) in steps {
        if bench.options.wants(name) {
            println!("bench store: {name}");
            step(&mut bench)?;
        }
    }
    report::write(workspace, &bench.results, "store-", FIGURES)
}

impl Bench {
    fn pair(&mut self) -> Result<()> {
        let folder = self.folder.path().join("pair");
        let (rounds, messages) = (self.options.rounds.to_string(), self.options.messages.to_string());
        let said = self.storeload("pair", &folder, &["--rounds", &rounds, "--messages", &messages])?;
        self.take("pair", &said);
        Ok(())
    }

    /// Once more on a device that nobody else writes to.
    fn device(&mut self) -> Result<()> {
        let Some(device) = Device::mount(self.folder.path())? else {
            println!("  no device of our own can be mounted: bytes written are left out");
            return Ok(());
        };
        let messages = self.options.messages.to_string();
        let place = device.folder.join("pair");
        let said = self.storeload("pair", &place, &["--rounds", "1", "--messages", &messages])?;
        self.take("device", &said);
        let said = self.storeload("reclaim", &device.folder.join("reclaim"), &["--messages", &messages])?;
        self.take("reclaim", &said);
        Ok(())
    }

    fn million(&mut self) -> Result<()> {
        let mut site = self.site("million", 20)?;
        let store = self.folder.path().join("million/mss");
        let count = self.options.million.to_string();
        let said = self.storeload("fill", &store, &["--each", &count])?;
        self.take("million.fill", &said);
        // Mailboxes 1 and 3 lie in one shard.
        let said = self.storeload("grown", &store, &["--big", "1", "--empty", "3"])?;
        self.take("million.grown", &said);
        let begun = Instant::now();
        site.start()?;
        self.first_select(&site)?;
        self.results.put(OURS, "million.start_s", begun.elapsed().as_secs_f64());
        let said = self.load(&site, &["big", "--users", "1", "--all"])?;
        self.take("million.big", &said);
        self.memory(&site, "million.rss_mb")?;
        site.stop()
    }

    fn many(&mut self) -> Result<()> {
        let begun = Instant::now();
        let mut site = self.site("many", self.options.many)?;
        self.results.put(OURS, "many.accounts_s", begun.elapsed().as_secs_f64());
        let store = self.folder.path().join("many/mss");
        let mailboxes = self.options.many.to_string();
        let words = ["--first", "1", "--mailboxes", &mailboxes, "--each", "3", "--size", "4000"];
        let said = self.storeload("fill", &store, &words)?;
        self.take("many.fill", &said);
        let begun = Instant::now();
        site.start()?;
        self.results.put(OURS, "many.serves_s", begun.elapsed().as_secs_f64());
        self.first_select(&site)?;
        self.results.put(OURS, "many.start_s", begun.elapsed().as_secs_f64());
        self.memory(&site, "many.rss_mb")?;
        let used = self.options.many.min(5000).to_string();
        let said = self.load(&site, &["imap", "--users", &used, "--conns", "16", "--bodies", "0"])?;
        ensure!(said["errors"].as_f64() == Some(0.0), "sessions failed: {said}");
        self.take("many.imap", &said);
        self.memory(&site, "many.rss_used_mb")?;
        site.stop()
    }

    fn search(&mut self) -> Result<()> {
        let messages = (self.options.million / 20).to_string();
        let said =
            self.storeload("search", &self.folder.path().join("search"), &["--messages", &messages])?;
        self.take("search", &said);
        Ok(())
    }

    /// A site with accounts u1 to u`users` of mailboxes 1 to `users`, stopped.
    fn site(&self, name: &str, users: u64) -> Result<Ours> {
        let mut site = Ours::new(self.program.clone(), self.folder.path().join(name), users);
        site.reset()?;
        Ok(site)
    }

    fn storeload(&self, command: &str, folder: &Path, words: &[&str]) -> Result<Value> {
        let mut storeload = Command::new(&self.storeload);
        storeload.arg(command).arg("--folder").arg(folder).args(words);
        said(&mut storeload)
    }

    fn load(&self, site: &Ours, words: &[&str]) -> Result<Value> {
        let mut load = Command::new(&self.load);
        load.args(words).args(["--limit", "900", "--target", &site.ports().imap.to_string()]);
        said(&mut load)
    }

    /// The last account logs in and opens its Inbox.
    fn first_select(&self, site: &Ours) -> Result<()> {
        let last = site.users().to_string();
        let words = ["imap", "--users", "1", "--first-user", &last, "--conns", "1", "--bodies", "0"];
        let said = self.load(site, &words)?;
        ensure!(said["sessions"].as_f64() == Some(1.0), "{said}");
        Ok(())
    }

    /// Takes every number, and every list of numbers, that a step printed.
    fn take(&mut self, step: &str, said: &Value) {
        for (name, value) in said.as_object().into_iter().flatten() {
            let one = value.as_f64();
            let many = value.as_array().into_iter().flatten().filter_map(Value::as_f64);
            for value in one.into_iter().chain(many) {
                self.results.put(OURS, &format!("{step}.{name}"), value);
            }
        }
        println!("  {step}: {said}");
    }

    /// All memory of the process, shared pages too.
    fn memory(&mut self, site: &Ours, name: &str) -> Result<()> {
        let status = fs::read_to_string(format!("/proc/{}/status", site.pid().context("it is stopped")?))?;
        let kb = |field: &str| {
            let line = status.lines().find(|l| l.starts_with(field))?;
            line.split_whitespace().nth(1)?.parse::<f64>().ok()
        };
        self.results.put(OURS, name, kb("VmRSS:").context("no VmRSS")? / 1024.0);
        self.results.put(OURS, &format!("{name}_anon"), kb("RssAnon:").context("no RssAnon")? / 1024.0);
        Ok(())
    }
}

/// Runs a tool and returns the line that it prints.
pub(super) fn said(command: &mut Command) -> Result<Value> {
    let output = command.output().context("cannot run a tool")?;
    let text = String::from_utf8_lossy(&output.stdout);
    ensure!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
    let said: Value = serde_json::from_str(text.trim()).with_context(|| format!("a tool said {text}"))?;
    ensure!(said.get("failed").is_none(), "{said}");
    Ok(said)
}

/// A file that is mounted as a file system of its own.
struct Device {
    folder: PathBuf,
}

impl Device {
    /// `None` where the system does not let us.
    fn mount(below: &Path) -> Result<Option<Self>> {
        let (image, folder) = (below.join("device.img"), below.join("device"));
        fs::create_dir_all(&folder)?;
        fs::File::create(&image)?.set_len(16 << 30)?;
        let made = Command::new("mkfs.ext4").arg("-q").arg(&image).status();
        let device = Self { folder };
        let mounted = Command::new("mount").args(["-o", "loop"]).arg(&image).arg(&device.folder).output();
        let works = made.is_ok_and(|s| s.success()) && mounted.is_ok_and(|o| o.status.success());
        if !works {
            std::mem::forget(device);
            return Ok(None);
        }
        Ok(Some(device))
    }
}

impl Drop for Device {
    fn drop(&mut self) {
        let _ = must(Command::new("umount").arg(&self.folder));
    }
}
