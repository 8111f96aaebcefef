//! IMAP sessions as clients have them: list, read, flag, search, append; each kind of command timed apart.
use crate::args::{Args, Users};
use crate::conn::bad;
use crate::crew;
use crate::imap::Imap;
use crate::msg::{Pool, Seen, check, splitmix};
use crate::stats::{Errors, Json, Lat, Meter};
use std::io::Result;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

const OPS: [&str; 10] = [
    "login",
    "select",
    "envelope",
    "structure",
    "body",
    "store",
    "search_flag",
    "search_text",
    "append",
    "expunge",
];

struct Job {
    target: String,
    limit: Duration,
    users: Users,
    bodies: u64,
    appends: u64,
    pool: Pool,
    sessions: AtomicU64,
    listed: AtomicU64,
    read_bytes: AtomicU64,
    corrupt: AtomicU64,
    times: [Lat; 10],
    busy: Mutex<[f64; 10]>,
    errors: Errors,
    stop: Instant,
}

impl Job {
    async fn timed<T>(&self, op: &str, work: impl std::future::Future<Output = Result<T>>) -> Result<T> {
        let k = OPS.iter().position(|o| *o == op).unwrap();
        let start = Instant::now();
        let got = work.await?;
        self.times[k].add(start.elapsed());
        self.busy.lock().unwrap()[k] += start.elapsed().as_secs_f64();
        Ok(got)
    }
}

async fn session(job: &Job, n: u64) -> Result<()> {
    let mut c = Imap::open(&job.target, job.limit).await?;
    job.timed("login", c.login(&job.users.login(n), &job.users.pass)).await?;
    let count = job.timed("select", c.select("INBOX")).await?;
    if count > 0 {
        let all =
            job.timed("envelope", c.cmd("FETCH 1:* (UID FLAGS INTERNALDATE RFC822.SIZE ENVELOPE)")).await?;
        let listed = all.iter().filter(|r| r.number("FETCH").is_some()).count() as u64;
        if listed < count {
            return Err(bad(format!("{count} exist, {listed} fetched")));
        }
        job.listed.fetch_add(listed, Relaxed);
        job.timed("structure", c.cmd("FETCH 1:* (BODYSTRUCTURE)")).await?;
        for k in 0..job.bodies {
            let seq = 1 + splitmix(n * 1000 + k) % count;
            let all = job.timed("body", c.cmd(&format!("FETCH {seq} (BODY.PEEK[])"))).await?;
            let r = all.iter().find(|r| !r.literals.is_empty()).ok_or(bad("no body"))?;
            let message = &r.bytes[r.literals[0].0..r.literals[0].1];
            job.read_bytes.fetch_add(message.len() as u64, Relaxed);
            if !matches!(check(message), Seen::Good(..) | Seen::Trimmed(..)) {
                job.corrupt.fetch_add(1, Relaxed);
            }
        }
        for k in 0..5 {
            let seq = 1 + splitmix(n * 77 + k) % count;
            job.timed("store", c.cmd(&format!("STORE {seq} +FLAGS (\\Flagged \\Seen)"))).await?;
        }
        job.timed("search_flag", c.cmd("SEARCH FLAGGED")).await?;
        job.timed("search_text", c.cmd("SEARCH BODY quarterly")).await?;
    }
    for k in 0..job.appends {
        let id = n * 1000 + k;
        let message = job.pool.plain(id, &job.users.addr(n));
        job.timed("append", c.append("INBOX", &message)).await?;
    }
    c.logout().await;
    job.sessions.fetch_add(1, Relaxed);
    Ok(())
}

fn job(args: &Args) -> Job {
    Job {
        target: args.text("target", "2143"),
        limit: Duration::from_secs(args.num("timeout", 60)),
        users: Users::from(args),
        bodies: args.num("bodies", 5),
        appends: args.num("appends", 0),
        pool: Pool::new(&args.text("run", "imap"), args.get("size").and_then(|s| s.parse().ok())),
        sessions: AtomicU64::new(0),
        listed: AtomicU64::new(0),
        read_bytes: AtomicU64::new(0),
        corrupt: AtomicU64::new(0),
        times: Default::default(),
        busy: Mutex::new([0.0; 10]),
        errors: Errors::default(),
        stop: Instant::now() + Duration::from_secs(args.num("limit", 300)),
    }
}

/// One session a mailbox, by `--conns` connections.
pub(crate) async fn run(args: &Args, out: &mut Json) -> Result<()> {
    let conns = args.num("conns", 4).max(1);
    let job = Arc::new(job(args));
    let meter = Meter::start(args);
    let start = Instant::now();
    let shared = job.clone();
    crew::run(conns, job.users.count, job.stop, move |k| {
        let job = shared.clone();
        async move {
            if let Err(e) = session(&job, job.users.nth(k)).await {
                job.errors.add("session", e);
            }
        }
    })
    .await;
    report(&job, conns, start.elapsed().as_secs_f64(), out);
    meter.report(job.sessions.load(Relaxed), out);
    job.errors.report(out);
    Ok(())
}

fn report(job: &Job, conns: u64, s: f64, out: &mut Json) {
    let listed = job.listed.load(Relaxed);
    out.num("conns", conns as f64);
    out.num("sessions", job.sessions.load(Relaxed) as f64);
    out.num("seconds", s);
    out.num("sessions_per_s", job.sessions.load(Relaxed) as f64 / s);
    out.num("listed", listed as f64);
    out.num("corrupt", job.corrupt.load(Relaxed) as f64);
    // Rates while in that command, over all connections together.
    let busy = *job.busy.lock().unwrap();
    let rate = |n: f64, k: usize| if busy[k] > 0.0 { n / busy[k] * conns as f64 } else { 0.0 };
    out.num("envelopes_per_s", rate(listed as f64, 2));
    out.num("structures_per_s", rate(listed as f64, 3));
    out.num("body_mb_per_s", rate(job.read_bytes.load(Relaxed) as f64 / 1e6, 4));
    for (k, op) in OPS.iter().enumerate() {
        if job.times[k].count() > 0 {
            out.num(&format!("{op}_per_s"), rate(job.times[k].count() as f64, k));
            job.times[k].report(op, out);
        }
    }
}
