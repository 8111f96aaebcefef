//! The real queue with the real worker: retry, crash, expiry, bounces, between a scripted directory and store on
//! one side and a scripted server on the other.

use catalog::tree::Tree;
use env::Env;
use env::clock::Clock;
use mail::address::Address;
use mail::envelope::{Origin, Recipient};
use mail::id::{RequestId, TraceId};
use mail::time::Timestamp;
use mta::outbound::Outbound;
use mta::{Mta, Parts};
use net::tls_client::TlsClient;
use queue::Queue;
use roles::queue::{Handling, MailQueue, NewItem, QueueCounts};
use roles::store::OneStore;
use roles::{Body, Call};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use storage::shard::ShardOptions;
use testkit::directory::ScriptedDirectory;
use testkit::dns::ScriptedDns;
use testkit::smtp_server::{Reaction, Rules, SmtpServer};
use testkit::store::DropStore;

const START: Timestamp = Timestamp::from_secs(1_795_437_325);
const HOUR: Duration = Duration::from_secs(3600);

/// A site from its start to its end, or to its crash.
struct Site {
    env: Env,
    store: Arc<DropStore>,
    queue: Queue,
}

fn call() -> Call {
    Call::new(RequestId(1), TraceId::new("test"))
}

impl Site {
    /// With a mailbox `from@here.example`; all other mail goes to `server`.
    async fn start(folder: &Path, server: &SmtpServer, now: Timestamp) -> Self {
        let mut env = Env::for_test("mta");
        env.clock = Clock::fixed(now);
        let keys = format!(
            "/*/mta/mailRoutingTable: [*:127.0.0.1#{}]\n/*/mta/outboundDeferProcessInitialWait: [0]\n",
            server.address().port()
        );
        env.settings.replace(Tree::parse(&keys).unwrap());
        let options = ShardOptions { reserve: 0, ..ShardOptions::default() };
        let queue = Queue::open(folder, options, &env).await.unwrap();
        let (directory, store) = (Arc::new(ScriptedDirectory::new()), Arc::new(DropStore::new()));
        directory.account("from@here.example", "secret");
        directory.local("forward@here.example", None, &["nobody@here.example"]);
        let parts = Parts {
            directory,
            stores: Arc::new(OneStore(store.clone())),
            queue: Arc::new(queue.clone()),
            dns: Arc::new(ScriptedDns::new()),
            tls: None,
            run_dir: std::env::temp_dir(),
        };
        let mta = Mta::new(env.clone(), parts);
        let tls = TlsClient::new(rustls::RootCertStore::empty()).unwrap();
        env.tasks.spawn(Outbound::new(mta.clone(), mta, tls).run());
        Self { env, store, queue }
    }

    async fn send(&self, to: &[&str]) {
        let now = self.env.clock.now();
        let item = NewItem {
            origin: Origin {
                sender: Address::parse("from@here.example").unwrap().into(),
                ..Origin::default()
            },
            to: to.iter().map(|a| Recipient::from(Address::parse(a).unwrap())).collect(),
            body: Body::from_bytes("Subject: hello\r\n\r\nbody\r\n"),
            trace: TraceId::new("T1"),
            arrived: now,
            not_before: now,
        };
        let call = Call::new(self.env.random.request_id(), TraceId::new("T1"));
        self.queue.item_store(&call, item).await.unwrap();
    }

    async fn counts(&self) -> QueueCounts {
        self.queue.counts(&call()).await.unwrap()
    }

    /// Waits until no attempt is going on and nothing is due.
    async fn rest(&self) -> QueueCounts {
        for _ in 0..2000 {
            let counts = self.counts().await;
            if counts.claimed == 0 && counts.due == 0 {
                return counts;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        panic!("the queue does not come to rest: {:?}", self.env.log.lines());
    }

    /// Time passes, and an operator's wish brings the worker out of its sleep.
    async fn later(&self, span: Duration) {
        self.env.clock.advance(span);
        for item in self.queue.item_list(&call(), None, 100).await.unwrap() {
            self.queue.item_handle(&call(), item.id, Handling::RetryNow).await.unwrap();
        }
    }

    /// Everything in memory is gone; tasks that run are never heard of again.
    async fn crash(self) {
        self.env.tasks.stop();
        self.queue.close().await;
    }

    fn logged(&self, event: &str) -> usize {
        self.env.log.lines().iter().filter(|l| l.contains(event)).count()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn its_13197_what_is_deferred_is_tried_again_and_delivered() {
    let folder = tempfile::tempdir().unwrap();
    let rules = Rules::new().reply("MAIL", "451 4.3.2 not now").reply("MAIL", "250 ok");
    let server = SmtpServer::start(rules).await;
    let site = Site::start(folder.path(), &server, START).await;
    site.send(&["a@x.example"]).await;
    server.wait_commands("MAIL", 1).await;
    assert_eq!(site.rest().await.items, 1);
    site.later(Duration::from_secs(70)).await;
    assert_eq!(server.wait_taken(1).await.len(), 1);
    assert_eq!(site.rest().await, QueueCounts::default());
    assert_eq!((site.logged("MtaMessageDeferred"), site.logged("MtaMessageRelayed")), (1, 1));
    assert_eq!(site.store.drops().len(), 0, "nobody has to hear of it");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crash_in_the_middle_of_an_attempt_repeats_it() {
    let folder = tempfile::tempdir().unwrap();
    let server = SmtpServer::start(Rules::new().on("DATA", Reaction::Silence)).await;
    let site = Site::start(folder.path(), &server, START).await;
    site.send(&["a@x.example", "b@x.example"]).await;
    server.wait_commands("DATA", 1).await;
    assert_eq!(site.counts().await.claimed, 1);
    site.crash().await;
    server.set_rules(Rules::new());
    let site = Site::start(folder.path(), &server, START.plus(HOUR)).await;
    let taken = server.wait_taken(1).await;
    assert_eq!(taken[0].to.len(), 2);
    assert_eq!(site.rest().await, QueueCounts::default());
    assert_eq!(server.taken().len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_5xx_becomes_one_bounce_in_the_senders_mailbox() {
    let folder = tempfile::tempdir().unwrap();
    let server = SmtpServer::start(Rules::new().reply("RCPT TO:<BAD", "550 5.1.1 who?")).await;
    let site = Site::start(folder.path(), &server, START).await;
    site.send(&["bad@x.example", "good@y.example"]).await;
    server.wait_taken(1).await;
    assert_eq!(site.rest().await, QueueCounts::default());
    let drops = site.store.drops();
    assert_eq!(drops.len(), 1);
    let bounce = String::from_utf8(drops[0].text.clone()).unwrap();
    assert!(bounce.starts_with("Return-Path: <>\r\nReceived: "), "{bounce}");
    assert!(bounce.contains("Final-Recipient: rfc822; bad@x.example\r\nAction: failed\r\nStatus: 5.1.1\r\n"));
    assert!(!bounce.contains("good@y.example"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_in_the_queue_too_long_is_returned() {
    let folder = tempfile::tempdir().unwrap();
    let server = SmtpServer::start(Rules::new().reply("RCPT", "450 4.2.1 busy")).await;
    let site = Site::start(folder.path(), &server, START).await;
    site.send(&["a@x.example"]).await;
    server.wait_commands("RCPT", 1).await;
    assert_eq!(site.rest().await.items, 1);
    site.later(121 * HOUR).await;
    server.wait_commands("RCPT", 2).await;
    assert_eq!(site.rest().await, QueueCounts::default());
    let drops = site.store.drops();
    assert_eq!(drops.len(), 1);
    let bounce = String::from_utf8(drops[0].text.clone()).unwrap();
    assert!(
        bounce.contains("Action: failed\r\nStatus: 4.4.7\r\n") && bounce.contains("450 4.2.1 busy"),
        "{bounce}"
    );
    assert_eq!(site.logged("MtaMessageBounced"), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn its_17784_a_forward_to_nobody_comes_back_to_the_sender() {
    let folder = tempfile::tempdir().unwrap();
    let server = SmtpServer::start(Rules::new()).await;
    let site = Site::start(folder.path(), &server, START).await;
    site.send(&["forward@here.example"]).await;
    assert_eq!(site.rest().await, QueueCounts::default());
    let drops = site.store.drops();
    assert_eq!(drops.len(), 1);
    let bounce = String::from_utf8(drops[0].text.clone()).unwrap();
    assert!(
        bounce.contains("Final-Recipient: rfc822; nobody@here.example\r\nAction: failed\r\n"),
        "{bounce}"
    );
}
