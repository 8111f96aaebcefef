//! Messages per second into the queue and out of it: `cargo run --release -p site --example queue_load [-- FOLDER]`.
//!
//! 64 writers store messages of 8 KB, each durable when its call returns; then the worker of outgoing mail sends
//! all of them to a server on loopback.

use catalog::tree::Tree;
use env::Env;
use mail::address::Address;
use mail::envelope::{Origin, Recipient};
use mail::id::TraceId;
use mta::outbound::Outbound;
use mta::{Mta, Parts};
use net::tls_client::TlsClient;
use queue::Queue;
use roles::queue::{MailQueue, NewItem};
use roles::store::OneStore;
use roles::{Body, Call};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use storage::shard::ShardOptions;
use testkit::directory::ScriptedDirectory;
use testkit::dns::ScriptedDns;
use testkit::smtp_server::{Rules, SmtpServer};
use testkit::store::DropStore;

const WRITERS: u64 = 64;
const EACH: u64 = 150;
const BODY: usize = 8 << 10;
const DOMAINS: u64 = 50;

fn main() {
    let folder = std::env::args_os().nth(1).map_or_else(std::env::temp_dir, PathBuf::from).join("queue-load");
    let _ = std::fs::remove_dir_all(&folder);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    runtime.expect("a runtime").block_on(run(&folder));
    let _ = std::fs::remove_dir_all(&folder);
}

async fn run(folder: &Path) {
    let server = SmtpServer::start(Rules::new().offer("PIPELINING")).await;
    let env = Env::for_test("mta");
    let keys = format!("/*/mta/mailRoutingTable: [*:127.0.0.1#{}]\n", server.address().port());
    env.settings.replace(Tree::parse(&keys).expect("keys"));
    let queue = Queue::open(folder, ShardOptions::default(), &env).await.expect("a queue");
    let all = WRITERS * EACH;
    let begun = env.clock.moment();
    let mut ends = Vec::new();
    for writer in 0..WRITERS {
        let (queue, random) = (queue.clone(), env.random.clone());
        let (tell, end) = tokio::sync::oneshot::channel();
        ends.push(end);
        let clock = env.clock.clone();
        env.tasks.spawn(async move {
            for n in 0..EACH {
                let call = Call::new(random.request_id(), TraceId::new("load"));
                queue.item_store(&call, item(writer * EACH + n, clock.now())).await.expect("stored");
            }
            let _ = tell.send(());
        });
    }
    for end in ends {
        end.await.expect("a writer");
    }
    let rate = all as f64 / begun.elapsed().as_secs_f64();
    let groups = queue.status().groups;
    println!(
        "in:  {rate:>6.0} messages/s, {groups} syncs for {all} messages, {WRITERS} writers, {BODY} bytes"
    );
    let begun = env.clock.moment();
    let parts = Parts {
        directory: Arc::new(ScriptedDirectory::new()),
        stores: Arc::new(OneStore(Arc::new(DropStore::new()))),
        queue: Arc::new(queue.clone()),
        dns: Arc::new(ScriptedDns::new()),
        tls: None,
        run_dir: std::env::temp_dir(),
    };
    let mta = Mta::new(env.clone(), parts);
    let tls = TlsClient::new(rustls::RootCertStore::empty()).expect("TLS");
    env.tasks.spawn(Outbound::new(mta.clone(), mta, tls).run());
    server.wait_taken(usize::try_from(all).unwrap_or(usize::MAX)).await;
    let rate = all as f64 / begun.elapsed().as_secs_f64();
    let connections = server.commands().iter().filter(|c| *c == "CONNECT").count();
    println!("out: {rate:>6.0} messages/s over {connections} connections");
    env.tasks.drain(Duration::from_secs(10)).await;
    queue.close().await;
}

fn item(n: u64, now: mail::time::Timestamp) -> NewItem {
    let address = |text: String| Address::parse(&text).expect("an address");
    let mut text = format!("Subject: message {n}\r\n\r\n").into_bytes();
    while text.len() < BODY {
        text.extend_from_slice(
            b"A line of seventy-two characters, which is about what people write now.\r\n",
        );
    }
    NewItem {
        origin: Origin { sender: address("from@here.example".into()).into(), ..Origin::default() },
        to: vec![Recipient::from(address(format!("u{n}@d{}.example", n % DOMAINS)))],
        body: Body::from_bytes(text),
        trace: TraceId::new("load"),
        arrived: now,
        not_before: now,
    }
}
