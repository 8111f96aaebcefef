//! SMTP and LMTP delivery: one transaction a message, timed from MAIL to the last reply.
use crate::args::{Args, Users};
use crate::conn::{Conn, bad};
use crate::msg::{Pool, splitmix};
use crate::stats::{Errors, Json, Lat, Meter};
use std::fs::File;
use std::io::{Result, Write as _};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

pub(crate) struct Sender {
    conn: Conn,
    lmtp: bool,
    pipelining: bool,
}

pub(crate) struct Reply {
    pub(crate) code: u16,
    pub(crate) text: String,
}

impl Sender {
    pub(crate) async fn open(target: &str, lmtp: bool, pipelining: bool, limit: Duration) -> Result<Sender> {
        let mut s = Sender { conn: Conn::open(target, limit).await?, lmtp, pipelining };
        s.want(220).await?;
        s.conn.send(if lmtp { b"LHLO bench.client.test\r\n" } else { b"EHLO bench.client.test\r\n" }).await?;
        s.want(250).await?;
        Ok(s)
    }

    async fn reply(&mut self) -> Result<Reply> {
        let mut text = Vec::new();
        loop {
            let at = text.len();
            self.conn.line(&mut text).await?;
            let line = &text[at..];
            if line.len() >= 4 && line[3] != b'-' {
                let code = std::str::from_utf8(&line[..3]).ok().and_then(|c| c.parse().ok());
                let text = String::from_utf8_lossy(&text).trim_end().to_string();
                return code.map(|code| Reply { code, text: text.clone() }).ok_or(bad(text));
            }
        }
    }

    async fn want(&mut self, code: u16) -> Result<()> {
        let r = self.reply().await?;
        if r.code == code { Ok(()) } else { Err(bad(r.text)) }
    }

    /// Sends one message. `Ok(list)` has the final reply for each recipient.
    pub(crate) async fn deliver(&mut self, from: &str, to: &[String], wire: &[u8]) -> Result<Vec<Reply>> {
        let mut commands = vec![format!("MAIL FROM:<{from}>\r\n")];
        commands.extend(to.iter().map(|a| format!("RCPT TO:<{a}>\r\n")));
        commands.push("DATA\r\n".to_string());
        if self.pipelining {
            self.conn.send(commands.concat().as_bytes()).await?;
        }
        let mut refused = None;
        let mut accepted = 0;
        let last = commands.len() - 1;
        for (k, command) in commands.iter().enumerate() {
            if !self.pipelining {
                self.conn.send(command.as_bytes()).await?;
            }
            let r = self.reply().await?;
            if r.code == if k == last { 354 } else { 250 } {
                accepted += u32::from(k > 0 && k < last);
            } else {
                refused = Some(r);
                if !self.pipelining {
                    break;
                }
            }
        }
        if let Some(r) = refused {
            // A server that took DATA all the same waits for the dot.
            if self.pipelining && accepted > 0 {
                return Err(bad(format!("part of the recipients refused: {}", r.text)));
            }
            self.conn.send(b"RSET\r\n").await?;
            self.want(250).await?;
            return Ok(vec![r]);
        }
        self.conn.send(wire).await?;
        let mut replies = Vec::new();
        for _ in 0..if self.lmtp { to.len() } else { 1 } {
            replies.push(self.reply().await?);
        }
        if !self.lmtp {
            let (code, text) = (replies[0].code, replies[0].text.clone());
            replies.extend((1..to.len()).map(|_| Reply { code, text: text.clone() }));
        }
        Ok(replies)
    }

    pub(crate) async fn quit(mut self) {
        let _ = self.conn.send(b"QUIT\r\n").await;
        let _ = self.reply().await;
    }
}

struct Job {
    target: String,
    lmtp: bool,
    pipelining: bool,
    limit: Duration,
    total: u64,
    per_session: u64,
    rcpts: u64,
    users: Users,
    pool: Pool,
    run: String,
    next: AtomicU64,
    bytes: AtomicU64,
    deferred: AtomicU64,
    unsure: AtomicU64,
    ledger: Mutex<Option<File>>,
    acks: AtomicU64,
    lat: Lat,
    errors: Errors,
    stop: Instant,
}

impl Job {
    /// Puts an acknowledged message into the ledger, at once: the server may be killed in the next moment.
    fn note(&self, id: u64, who: &[u64]) -> Result<()> {
        let list: Vec<String> = who.iter().map(u64::to_string).collect();
        let line = format!("{} {id} {}\n", self.run, list.join(","));
        self.ledger.lock().unwrap().as_mut().map_or(Ok(()), |file| file.write_all(line.as_bytes()))
    }
}

async fn worker(job: Arc<Job>) {
    let mut failures = 0;
    while failures < 20 && Instant::now() < job.stop && job.next.load(Relaxed) < job.total {
        let sender = Sender::open(&job.target, job.lmtp, job.pipelining, job.limit).await;
        let mut sender = match sender {
            Ok(s) => s,
            Err(e) => {
                job.errors.add("open", e);
                failures += 1;
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        for _ in 0..job.per_session {
            let id = job.next.fetch_add(1, Relaxed);
            if id >= job.total || Instant::now() >= job.stop {
                break;
            }
            if let Err(e) = one(&job, &mut sender, id).await {
                // The end of this message is not known: it may be there once, or not at all.
                job.unsure.fetch_add(1, Relaxed);
                job.errors.add("send", e);
                failures += 1;
                break;
            }
        }
        sender.quit().await;
    }
}

async fn one(job: &Job, sender: &mut Sender, id: u64) -> Result<()> {
    let first = splitmix(id ^ 0x5eed) % job.users.count;
    let who: Vec<u64> = (0..job.rcpts.min(job.users.count)).map(|k| job.users.nth(first + k)).collect();
    let to: Vec<String> = who.iter().map(|n| job.users.addr(*n)).collect();
    let wire = job.pool.wire(id, &to[0]);
    for attempt in 0..5 {
        let start = Instant::now();
        let replies = sender.deliver("sender@remote.test", &to, &wire).await?;
        if replies.iter().all(|r| r.code / 100 == 2) {
            job.lat.add(start.elapsed());
            job.bytes.fetch_add(wire.len() as u64, Relaxed);
            job.acks.fetch_add(1, Relaxed);
            return job.note(id, &who);
        }
        let worst = replies.iter().max_by_key(|r| r.code).unwrap();
        job.errors.add("refused", &worst.text);
        if worst.code / 100 != 4 || attempt == 4 {
            return Ok(());
        }
        job.deferred.fetch_add(1, Relaxed);
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    Ok(())
}

/// Polls `--drain-cmd` until it prints 0: what is accepted but not yet in a mailbox.
async fn drain(command: &str, stop: Instant) -> bool {
    while Instant::now() < stop {
        let run = tokio::process::Command::new("sh").arg("-c").arg(command).kill_on_drop(true).output();
        if let Ok(Ok(out)) = tokio::time::timeout(Duration::from_secs(20), run).await
            && String::from_utf8_lossy(&out.stdout).trim() == "0"
        {
            return true;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    false
}

fn job(args: &Args, lmtp: bool) -> Result<Job> {
    let run = args.text("run", "run");
    let open = |path| File::options().create(true).append(true).open(path);
    Ok(Job {
        target: args.text("target", "2025"),
        lmtp,
        pipelining: !args.flag("no-pipelining"),
        limit: Duration::from_secs(args.num("timeout", 60)),
        total: args.num("messages", 1000),
        per_session: args.num("per-session", u64::MAX),
        rcpts: args.num("rcpts", 1).max(1),
        users: Users::from(args),
        pool: Pool::new(&run, args.get("size").and_then(|s| s.parse().ok())),
        run,
        next: AtomicU64::new(0),
        bytes: AtomicU64::new(0),
        deferred: AtomicU64::new(0),
        unsure: AtomicU64::new(0),
        ledger: Mutex::new(args.get("acked").map(open).transpose()?),
        acks: AtomicU64::new(0),
        lat: Lat::default(),
        errors: Errors::default(),
        stop: Instant::now() + Duration::from_secs(args.num("limit", 300)),
    })
}

/// Sends `--messages` over `--conns` connections.
pub(crate) async fn run(args: &Args, lmtp: bool, out: &mut Json) -> Result<()> {
    let conns = args.num("conns", 1).max(1);
    let job = Arc::new(job(args, lmtp)?);
    let meter = Meter::start(args);
    let start = Instant::now();
    let workers: Vec<_> = (0..conns).map(|_| tokio::spawn(worker(job.clone()))).collect();
    for w in workers {
        let _ = w.await;
    }
    let sent_s = start.elapsed().as_secs_f64();
    let drained = match args.get("drain-cmd") {
        Some(command) => drain(command, job.stop).await,
        None => true,
    };
    let delivered_s = start.elapsed().as_secs_f64();
    let acks = job.acks.load(Relaxed);
    out.num("conns", conns as f64);
    out.num("messages", job.total as f64);
    out.num("acked", acks as f64);
    out.num("deferred_replies", job.deferred.load(Relaxed) as f64);
    out.num("unsure", job.unsure.load(Relaxed) as f64);
    out.num("sent_s", sent_s);
    out.num("accept_per_s", acks as f64 / sent_s);
    out.num("delivered_s", delivered_s);
    out.num("delivered_per_s", acks as f64 / delivered_s);
    out.num("drained", f64::from(u8::from(drained)));
    out.num("mb_per_s", job.bytes.load(Relaxed) as f64 / 1e6 / delivered_s);
    job.lat.report("msg", out);
    meter.report(acks, out);
    job.errors.report(out);
    if acks < job.total || !drained {
        out.num("short", 1.0);
    }
    Ok(())
}
