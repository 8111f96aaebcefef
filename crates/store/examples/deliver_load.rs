//! Messages per second through `message_deliver`: `cargo run --release -p store --example deliver_load [-- FOLDER]`.
//!
//! 1,000 mailboxes, messages of 8 KiB with usual headers, 1, 8 and 64 callers.

use env::Env;
use mail::flags::Flags;
use mail::id::{MailboxId, TraceId};
use roles::store::{Deliver, DeliverTo, MessageStore, Quota, Repeatable};
use roles::{Body, Call};
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::time::Duration;
use storage::shard::ShardOptions;
use store::Store;

const HEADER: &str = "Return-Path: <sender@example.com>\r\n\
    Received: from mail.example.com (mail.example.com [192.0.2.1]) by localhost with ESMTP id 1; Mon, 23 Nov 2026 12:00:00 +0000\r\n\
    From: \"A Sender\" <sender@example.com>\r\nTo: user@example.org\r\nSubject: A message of usual size\r\n\
    Date: Mon, 23 Nov 2026 11:59:58 +0000\r\nMessage-ID: <0123456789abcdef@example.com>\r\nMIME-Version: 1.0\r\n\
    Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n";

fn main() {
    let folder =
        std::env::args_os().nth(1).map_or_else(std::env::temp_dir, PathBuf::from).join("deliver-load");
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    runtime.expect("a runtime").block_on(async {
        for callers in [1, 8, 64] {
            let _ = std::fs::remove_dir_all(&folder);
            run(&folder, callers).await;
        }
    });
    let _ = std::fs::remove_dir_all(&folder);
}

async fn run(folder: &Path, callers: u64) {
    let mut env = Env::for_test("mss");
    let shards = NonZeroU32::new(2).expect("two");
    let store = Store::open(folder, shards, &ShardOptions::default(), &env).expect("a store");
    env.tasks = env::tasks::Tasks::new();
    let text = HEADER.to_owned()
        + &"A line of text that is as long as lines of text usually are, so so.\r\n".repeat(112);
    let body = Body::from_bytes(text);
    let each = 40_000 / callers.max(16);
    let (begun, cpu) = (env.clock.moment(), cpu_micros());
    for caller in 0..callers {
        let (store, body, env_of) = (store.clone(), body.clone(), env.clone());
        env.tasks.spawn(async move {
            for n in 0..each {
                let mailbox = MailboxId(i64::try_from((caller * 7919 + n * 31) % 1000).unwrap_or(0));
                deliver(&store, &env_of, mailbox, body.clone()).await;
            }
        });
    }
    env.tasks.drain(Duration::from_secs(600)).await;
    let (took, cpu) = (env.clock.moment() - begun, cpu_micros() - cpu);
    let messages = callers * each;
    let rate = messages as f64 / took.as_secs_f64();
    println!(
        "{callers:>3} callers: {rate:>7.0} messages/s, {} us CPU each, {} MB",
        cpu / messages,
        memory_mb()
    );
    store.close().await;
}

async fn deliver(store: &Store, env: &Env, mailbox: MailboxId, body: Body) {
    let to = vec![DeliverTo { mailbox, folder: None, quota: Quota::default(), flags: Flags::default() }];
    let deliver = Deliver { to, body, received: env.clock.now(), repeatable: Repeatable::No };
    let call = Call::new(env.random.request_id(), TraceId::new("load"));
    let placed = store.message_deliver(&call, deliver).await.expect("a delivery");
    assert!(placed.iter().all(Result::is_ok), "{placed:?}");
}

fn cpu_micros() -> u64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let ticks = |n: usize| fields.get(n).and_then(|f| f.parse::<u64>().ok()).unwrap_or(0);
    (ticks(11) + ticks(12)) * 10_000
}

fn memory_mb() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|l| l.starts_with("RssAnon:")).unwrap_or_default();
    line.split_whitespace().nth(1).and_then(|kb| kb.parse::<u64>().ok()).unwrap_or(0) / 1024
}
