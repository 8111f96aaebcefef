//! POP3: login, STAT, UIDL, RETR of everything with its checksum, and DELE on request.
use crate::args::{Args, Users};
use crate::conn::{Conn, bad};
use crate::crew;
use crate::msg::{Seen, check};
use crate::stats::{Errors, Json, Lat, Meter};
use std::io::Result;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

pub(crate) struct Pop {
    conn: Conn,
    line: Vec<u8>,
}

impl Pop {
    pub(crate) async fn open(target: &str, limit: Duration) -> Result<Pop> {
        let mut p = Pop { conn: Conn::open(target, limit).await?, line: Vec::new() };
        p.ok().await?;
        Ok(p)
    }

    async fn ok(&mut self) -> Result<String> {
        self.line.clear();
        self.conn.line(&mut self.line).await?;
        let text = String::from_utf8_lossy(&self.line).trim_end().to_string();
        if text.starts_with("+OK") { Ok(text) } else { Err(bad(text)) }
    }

    pub(crate) async fn cmd(&mut self, command: &str) -> Result<String> {
        self.conn.send(format!("{command}\r\n").as_bytes()).await?;
        self.ok().await
    }

    pub(crate) async fn login(&mut self, user: &str, pass: &str) -> Result<()> {
        self.cmd(&format!("USER {user}")).await?;
        self.cmd(&format!("PASS {pass}")).await?;
        Ok(())
    }

    pub(crate) async fn stat(&mut self) -> Result<u64> {
        let text = self.cmd("STAT").await?;
        text.split(' ').nth(1).and_then(|n| n.parse().ok()).ok_or(bad(text))
    }

    /// A multi-line answer without its dots.
    pub(crate) async fn multi(&mut self, command: &str, out: &mut Vec<u8>) -> Result<()> {
        self.cmd(command).await?;
        loop {
            let at = out.len();
            self.conn.line(out).await?;
            if out[at] == b'.' {
                if &out[at..] == b".\r\n" {
                    out.truncate(at);
                    return Ok(());
                }
                out.remove(at);
            }
        }
    }
}

struct Job {
    target: String,
    limit: Duration,
    users: Users,
    passes: u64,
    dele: bool,
    msgs: AtomicU64,
    bytes: AtomicU64,
    corrupt: AtomicU64,
    foreign: AtomicU64,
    sessions: AtomicU64,
    login: Lat,
    uidl: Lat,
    retr: Lat,
    errors: Errors,
    stop: Instant,
}

async fn session(job: &Job, n: u64) -> Result<()> {
    let start = Instant::now();
    let mut pop = Pop::open(&job.target, job.limit).await?;
    pop.login(&job.users.login(n), &job.users.pass).await?;
    job.login.add(start.elapsed());
    let count = pop.stat().await?;
    let start = Instant::now();
    let mut list = Vec::new();
    pop.multi("UIDL", &mut list).await?;
    job.uidl.add(start.elapsed());
    let listed = list.iter().filter(|b| **b == b'\n').count() as u64;
    if listed != count {
        return Err(bad(format!("STAT says {count}, UIDL lists {listed}")));
    }
    let mut message = Vec::new();
    for k in 1..=count {
        message.clear();
        let start = Instant::now();
        pop.multi(&format!("RETR {k}"), &mut message).await?;
        job.retr.add(start.elapsed());
        job.msgs.fetch_add(1, Relaxed);
        job.bytes.fetch_add(message.len() as u64, Relaxed);
        match check(&message) {
            Seen::Good(..) | Seen::Trimmed(..) => {}
            Seen::Corrupt => drop(job.corrupt.fetch_add(1, Relaxed)),
            Seen::NotOurs => drop(job.foreign.fetch_add(1, Relaxed)),
        }
        if job.dele {
            pop.cmd(&format!("DELE {k}")).await?;
        }
    }
    pop.cmd("QUIT").await?;
    job.sessions.fetch_add(1, Relaxed);
    Ok(())
}

fn job(args: &Args) -> Job {
    Job {
        target: args.text("target", "2110"),
        limit: Duration::from_secs(args.num("timeout", 60)),
        users: Users::from(args),
        passes: args.num("passes", 1),
        dele: args.flag("dele"),
        msgs: AtomicU64::new(0),
        bytes: AtomicU64::new(0),
        corrupt: AtomicU64::new(0),
        foreign: AtomicU64::new(0),
        sessions: AtomicU64::new(0),
        login: Lat::default(),
        uidl: Lat::default(),
        retr: Lat::default(),
        errors: Errors::default(),
        stop: Instant::now() + Duration::from_secs(args.num("limit", 300)),
    }
}

/// Every mailbox `--passes` times, by `--conns` connections.
pub(crate) async fn run(args: &Args, out: &mut Json) -> Result<()> {
    let conns = args.num("conns", 4).max(1);
    let job = Arc::new(job(args));
    let meter = Meter::start(args);
    let start = Instant::now();
    let sessions = job.users.count * job.passes;
    let shared = job.clone();
    crew::run(conns, sessions, job.stop, move |k| {
        let job = shared.clone();
        async move {
            if let Err(e) = session(&job, job.users.nth(k)).await {
                job.errors.add("session", e);
            }
        }
    })
    .await;
    let s = start.elapsed().as_secs_f64();
    let (msgs, bytes) = (job.msgs.load(Relaxed), job.bytes.load(Relaxed));
    out.num("conns", conns as f64);
    out.num("sessions", job.sessions.load(Relaxed) as f64);
    out.num("msgs", msgs as f64);
    out.num("seconds", s);
    out.num("sessions_per_s", job.sessions.load(Relaxed) as f64 / s);
    out.num("msgs_per_s", msgs as f64 / s);
    out.num("mb_per_s", bytes as f64 / 1e6 / s);
    out.num("corrupt", job.corrupt.load(Relaxed) as f64);
    out.num("foreign", job.foreign.load(Relaxed) as f64);
    job.login.report("login", out);
    job.uidl.report("uidl", out);
    job.retr.report("retr", out);
    meter.report(msgs, out);
    job.errors.report(out);
    Ok(())
}
