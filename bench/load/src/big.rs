//! One IMAP session with a mailbox that has grown: each command by itself, over and over.
use crate::args::{Args, Users};
use crate::conn::bad;
use crate::imap::Imap;
use crate::stats::{Json, Lat, Meter};
use std::io::Result;
use std::time::{Duration, Instant};

/// A command, what it is called, and how often it is given.
struct Op {
    name: &'static str,
    times: u64,
    command: fn(u64, u64) -> String,
}

const OPS: &[Op] = &[
    Op { name: "select", times: 30, command: |_, _| "SELECT INBOX".into() },
    Op { name: "status", times: 30, command: |_, _| "STATUS INBOX (MESSAGES UNSEEN SIZE)".into() },
    Op {
        name: "newest",
        times: 30,
        command: |count, _| format!("FETCH {}:{count} (FLAGS)", count.saturating_sub(49).max(1)),
    },
    Op {
        name: "envelopes",
        times: 30,
        command: |count, _| format!("FETCH {}:{count} (ENVELOPE)", count.saturating_sub(49).max(1)),
    },
    Op {
        name: "store",
        times: 30,
        command: |count, n| format!("STORE {} +FLAGS (\\Flagged)", 1 + n * 7919 % count.max(1)),
    },
    Op { name: "search_all", times: 10, command: |_, _| "SEARCH RETURN (COUNT) ALL".into() },
    Op { name: "search_unseen", times: 10, command: |_, _| "SEARCH RETURN (COUNT) UNSEEN".into() },
    Op { name: "search_flagged", times: 10, command: |_, _| "SEARCH RETURN (COUNT) FLAGGED".into() },
    Op { name: "search_large", times: 3, command: |_, _| "SEARCH RETURN (COUNT) LARGER 100000".into() },
    Op { name: "expunge", times: 10, command: |_, _| "EXPUNGE".into() },
];

/// What costs as much as there is: asked for by `--all`.
const WHOLE: &[Op] = &[
    Op { name: "all_flags", times: 1, command: |_, _| "FETCH 1:* (FLAGS)".into() },
    Op {
        name: "search_text",
        times: 3,
        command: |_, n| format!("SEARCH RETURN (COUNT) BODY \"{:x}\"", 0xdead_beef_u64 + n),
    },
    Op {
        name: "search_subject",
        times: 3,
        command: |_, n| format!("SEARCH RETURN (COUNT) SUBJECT \"number {n}77\""),
    },
];

pub(crate) async fn run(args: &Args, out: &mut Json) -> Result<()> {
    let users = Users::from(args);
    let target = args.text("target", "2143");
    let meter = Meter::start(args);
    let mut session = Imap::open(&target, Duration::from_secs(args.num("timeout", 250))).await?;
    session.login(&users.login(users.first), &users.pass).await?;
    let count = session.select("INBOX").await?;
    out.num("messages", count as f64);
    let whole = if args.flag("all") { WHOLE } else { &[] };
    for op in OPS.iter().chain(whole) {
        let times = Lat::default();
        for n in 0..op.times {
            let command = (op.command)(count, n);
            let begun = Instant::now();
            let told = session.cmd(&command).await.map_err(|e| bad(format!("{}: {e}", op.name)))?;
            times.add(begun.elapsed());
            if let Some(found) = told.iter().find_map(|r| found(&r.starts())) {
                out.num(&format!("{}_found", op.name), found);
            }
        }
        times.report(op.name, out);
    }
    session.logout().await;
    meter.report(1, out);
    Ok(())
}

/// The number in an answer to `SEARCH RETURN (COUNT)`.
fn found(response: &str) -> Option<f64> {
    response.strip_prefix("* ESEARCH ")?.rsplit(' ').next()?.parse().ok()
}
