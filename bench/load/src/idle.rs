//! Opens K connections that IDLE, and reads what the server's memory grew by.
use crate::args::{Args, Users};
use crate::crew;
use crate::imap::Imap;
use crate::stats::{Errors, Json, Lat, Server};
use std::io::Result;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

struct Job {
    target: String,
    users: Users,
    limit: Duration,
    opened: Mutex<Vec<Imap>>,
    lat: Lat,
    errors: Errors,
}

impl Job {
    /// Opens the connection of slot `k`, up to its IDLE.
    async fn open(&self, k: u64) -> Result<Imap> {
        let n = self.users.nth(k);
        let mut c = Imap::open(&self.target, self.limit).await?;
        c.login(&self.users.login(n), &self.users.pass).await?;
        c.select("INBOX").await?;
        c.idle().await?;
        Ok(c)
    }

    async fn one(&self, k: u64) {
        if self.errors.total() > 100 {
            return;
        }
        let start = Instant::now();
        match self.open(k).await {
            Ok(c) => {
                self.lat.add(start.elapsed());
                self.opened.lock().unwrap().push(c);
            }
            Err(e) => self.errors.add("open", e),
        }
    }

    /// Of a sample of about fifty: how many were tried, how many still answer.
    async fn sample(&self, conns: &mut [Imap]) -> (usize, usize) {
        let step = (conns.len() / 50).max(1);
        let (mut tried, mut alive) = (0, 0);
        for c in conns.iter_mut().step_by(step) {
            c.set_limit(Duration::from_secs(10));
            tried += 1;
            match c.done().await {
                Ok(()) => alive += 1,
                Err(e) => self.errors.add("done", e),
            }
        }
        (tried, alive)
    }
}

/// Opens `--conns` connections, holds them for `--hold` seconds, and tells what they cost.
pub(crate) async fn run(args: &Args, out: &mut Json) -> Result<()> {
    let wanted = args.num("conns", 1000);
    let server = Server::from(args);
    let job = Arc::new(Job {
        target: args.text("target", "2143"),
        users: Users::from(args),
        limit: Duration::from_secs(args.num("timeout", 60)),
        opened: Mutex::default(),
        lat: Lat::default(),
        errors: Errors::default(),
    });
    let before = server.memory();
    let start = Instant::now();
    let stop = start + Duration::from_secs(args.num("limit", 240));
    let shared = job.clone();
    crew::run(args.num("openers", 16), wanted, stop, move |k| {
        let job = shared.clone();
        async move { job.one(k).await }
    })
    .await;
    let open_s = start.elapsed().as_secs_f64();
    tokio::time::sleep(Duration::from_secs(args.num("hold", 5))).await;
    let held = server.memory();
    let mut conns = std::mem::take(&mut *job.opened.lock().unwrap());
    let got = conns.len() as f64;
    let (tried, alive) = job.sample(&mut conns).await;
    drop(conns);
    out.num("wanted", wanted as f64);
    out.num("opened", got);
    out.num("open_s", open_s);
    out.num("alive_of_sample", alive as f64);
    out.num("sample", tried as f64);
    job.lat.report("open", out);
    let per = |a: u64, b: u64| (b.saturating_sub(a)) as f64 / got.max(1.0);
    out.num("procs_before", before.procs as f64);
    out.num("procs_held", held.procs as f64);
    out.num("rss_mb_held", (held.rss_kb / 1024) as f64);
    out.num("pss_mb_before", (before.pss_kb / 1024) as f64);
    out.num("pss_mb_held", (held.pss_kb / 1024) as f64);
    out.num("pss_kb_per_conn", per(before.pss_kb, held.pss_kb));
    out.num("anon_kb_per_conn", per(before.anon_kb, held.anon_kb));
    job.errors.report(out);
    Ok(())
}
