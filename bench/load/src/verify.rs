//! After a run: every acknowledged message is in each of its mailboxes exactly once, undamaged.
use crate::args::{Args, Users};
use crate::conn::bad;
use crate::crew;
use crate::imap::Imap;
use crate::msg::{Seen, check};
use crate::pop3::Pop;
use crate::stats::{Errors, Json};
use std::collections::{HashMap, HashSet};
use std::io::Result;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

type Key = (String, u64, u64);

struct Job {
    target: String,
    imap: bool,
    limit: Duration,
    users: Users,
    read: AtomicU64,
    corrupt: AtomicU64,
    trimmed: AtomicU64,
    foreign: AtomicU64,
    found: Mutex<HashMap<Key, u64>>,
    /// Mailboxes read to their end: only of these can a message be called lost.
    whole: Mutex<HashSet<u64>>,
    errors: Errors,
    stop: Instant,
}

impl Job {
    fn take(&self, n: u64, message: &[u8]) {
        self.read.fetch_add(1, Relaxed);
        let seen = check(message);
        self.trimmed.fetch_add(u64::from(matches!(seen, Seen::Trimmed(..))), Relaxed);
        match seen {
            Seen::Good(run, id) | Seen::Trimmed(run, id) => {
                *self.found.lock().unwrap().entry((run, id, n)).or_default() += 1
            }
            Seen::Corrupt => drop(self.corrupt.fetch_add(1, Relaxed)),
            Seen::NotOurs => drop(self.foreign.fetch_add(1, Relaxed)),
        }
    }
}

async fn by_pop3(job: &Job, n: u64) -> Result<()> {
    let mut pop = Pop::open(&job.target, job.limit).await?;
    pop.login(&job.users.login(n), &job.users.pass).await?;
    let mut message = Vec::new();
    for k in 1..=pop.stat().await? {
        message.clear();
        pop.multi(&format!("RETR {k}"), &mut message).await?;
        job.take(n, &message);
    }
    pop.cmd("QUIT").await.map(drop)
}

async fn by_imap(job: &Job, n: u64) -> Result<()> {
    let mut c = Imap::open(&job.target, job.limit).await?;
    c.login(&job.users.login(n), &job.users.pass).await?;
    let count = c.select("INBOX").await?;
    for first in (1..=count).step_by(50) {
        let all = c.cmd(&format!("FETCH {first}:{} (BODY.PEEK[])", count.min(first + 49))).await?;
        for r in &all {
            if let (Some((from, to)), Some(_)) = (r.literals.first(), r.number("FETCH")) {
                job.take(n, &r.bytes[*from..*to]);
            }
        }
    }
    c.logout().await;
    Ok(())
}

/// What a ledger says: one line a message, `RUN ID USER,USER...`. A last line without its end was never acknowledged
/// as far as the ledger knows, and does not count.
fn expected(ledger: &str) -> Result<HashSet<Key>> {
    let mut expected = HashSet::new();
    for line in ledger.split_inclusive('\n').filter_map(|l| l.strip_suffix('\n')) {
        let mut w = line.split(' ');
        if let (Some(run), Some(id), Some(who)) = (w.next(), w.next(), w.next()) {
            for n in who.split(',') {
                let number = |text: &str| text.parse().map_err(|_| bad(line));
                expected.insert((run.to_string(), number(id)?, number(n)?));
            }
        }
    }
    Ok(expected)
}

/// Reads every mailbox and compares it with the ledger.
pub(crate) async fn run(args: &Args, out: &mut Json) -> Result<()> {
    let acked = std::fs::read_to_string(args.get("acked").ok_or(bad("verify needs --acked FILE"))?)?;
    let expected = expected(&acked)?;
    let imap = args.get("imap").is_some();
    let job = Arc::new(Job {
        target: args.text(if imap { "imap" } else { "pop3" }, "2110"),
        imap,
        limit: Duration::from_secs(args.num("timeout", 60)),
        users: Users::from(args),
        read: AtomicU64::new(0),
        corrupt: AtomicU64::new(0),
        trimmed: AtomicU64::new(0),
        foreign: AtomicU64::new(0),
        found: Mutex::default(),
        whole: Mutex::default(),
        errors: Errors::default(),
        stop: Instant::now() + Duration::from_secs(args.num("limit", 300)),
    });
    let shared = job.clone();
    crew::run(args.num("conns", 4), job.users.count, job.stop, move |k| {
        let job = shared.clone();
        async move { mailbox(&job, job.users.nth(k)).await }
    })
    .await;
    report(&job, &expected, out);
    Ok(())
}

async fn mailbox(job: &Job, n: u64) {
    let got = if job.imap { by_imap(job, n).await } else { by_pop3(job, n).await };
    match got {
        Ok(()) => drop(job.whole.lock().unwrap().insert(n)),
        Err(e) => job.errors.add("mailbox", e),
    }
}

fn report(job: &Job, expected: &HashSet<Key>, out: &mut Json) {
    let found = job.found.lock().unwrap();
    let whole = job.whole.lock().unwrap();
    let missing = || expected.iter().filter(|k| !found.contains_key(*k));
    let lost = missing().filter(|k| whole.contains(&k.2)).count();
    let unread = missing().count() - lost;
    let duplicated = found.iter().filter(|(_, n)| **n > 1).count();
    let unacknowledged = found.keys().filter(|k| !expected.contains(*k)).count();
    out.num("expected", expected.len() as f64);
    out.num("read", job.read.load(Relaxed) as f64);
    out.num("lost", lost as f64);
    out.num("unread", unread as f64);
    out.num("mailboxes_read", whole.len() as f64);
    out.num("duplicated", duplicated as f64);
    out.num("corrupt", job.corrupt.load(Relaxed) as f64);
    out.num("trimmed", job.trimmed.load(Relaxed) as f64);
    out.num("unacknowledged", unacknowledged as f64);
    out.num("foreign", job.foreign.load(Relaxed) as f64);
    job.errors.report(out);
    let clean = lost + duplicated == 0 && job.corrupt.load(Relaxed) == 0 && job.errors.total() == 0;
    let verdict = match (clean, unread) {
        (true, 0) => "clean",
        (true, _) => "INCOMPLETE",
        _ => "NOT CLEAN",
    };
    out.text("verdict", verdict);
}
