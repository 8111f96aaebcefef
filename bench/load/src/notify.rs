//! IDLE latency: from a delivery's acknowledgement to the untagged EXISTS.
use crate::args::{Args, Users};
use crate::imap::Imap;
use crate::msg::Pool;
use crate::send::Sender;
use crate::stats::{Errors, Json, Lat};
use std::io::Result;
use std::time::{Duration, Instant};

/// A client that idles in its Inbox, and how many messages are there.
async fn open(target: &str, users: &Users, n: u64, limit: Duration) -> Result<(Imap, u64)> {
    let mut c = Imap::open(target, limit).await?;
    c.login(&users.login(n), &users.pass).await?;
    let count = c.select("INBOX").await?;
    c.idle().await?;
    tokio::time::sleep(Duration::from_millis(30)).await;
    Ok((c, count))
}

/// When the client hears of more messages than there were.
async fn watch(mut c: Imap, count: u64) -> Result<Instant> {
    let seen = loop {
        match c.response().await {
            Ok(r) if r.number("EXISTS").is_some_and(|now| now > count) => break Ok(Instant::now()),
            Ok(_) => {}
            Err(e) => break Err(e),
        }
    };
    let _ = c.done().await;
    c.logout().await;
    seen
}

/// Delivers to idling clients, one after the other.
pub(crate) async fn run(args: &Args, out: &mut Json) -> Result<()> {
    let users = Users::from(args);
    let limit = Duration::from_secs(args.num("timeout", 30));
    let (target, deliver) = (args.text("target", "2143"), args.text("deliver", "2025"));
    let pool = Pool::new(&args.text("run", "notify"), Some(4096));
    let (from_mail, from_ack, errors) = (Lat::default(), Lat::default(), Errors::default());
    let rounds = args.num("messages", 100);
    let stop = Instant::now() + Duration::from_secs(args.num("limit", 120));
    let mut sender = Sender::open(&deliver, args.flag("lmtp"), true, limit).await?;
    let mut before_ack = 0u64;
    let mut done = 0u64;
    for k in 0..rounds {
        if Instant::now() > stop || errors.total() > 10 {
            break;
        }
        let n = users.nth(k % users.count.min(20));
        let (c, count) = open(&target, &users, n, limit).await?;
        let to = users.addr(n);
        let wire = pool.wire(k, &to);
        let watcher = tokio::spawn(watch(c, count));
        let start = Instant::now();
        let replies = sender.deliver("sender@remote.test", &[to], &wire).await?;
        let acked = Instant::now();
        if replies[0].code != 250 {
            errors.add("refused", &replies[0].text);
            watcher.abort();
        }
        match watcher.await {
            Ok(Ok(seen)) => {
                done += 1;
                from_mail.add(seen - start);
                from_ack.add(seen.saturating_duration_since(acked));
                before_ack += u64::from(seen < acked);
            }
            Ok(Err(e)) => errors.add("idle", e),
            Err(e) => errors.add("idle", e),
        }
    }
    sender.quit().await;
    out.num("messages", rounds as f64);
    out.num("notified", done as f64);
    out.num("seen_before_ack", before_ack as f64);
    from_mail.report("mail_to_exists", out);
    from_ack.report("ack_to_exists", out);
    errors.report(out);
    Ok(())
}
