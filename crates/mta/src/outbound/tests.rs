use super::*;
use crate::Parts;
use crate::ids::delivery_request;
use catalog::tree::Tree;
use env::Env;
use mail::address::Address;
use mail::envelope::{Notify, Origin, Recipient, Sender};
use mail::id::QueueId;
use mail::time::Timestamp;
use net::dns::Lookup;
use roles::queue::{
    Handling, Listed, MailQueue, NewItem, Outcome, Pending, QueueCounts, QueueError, Settled,
};
use roles::store::{OneStore, StoreError};
use roles::submission::{Submit, SubmitError};
use roles::{Answer, Body};
use std::collections::VecDeque;
use std::sync::Mutex;
use testkit::directory::{Down, ScriptedDirectory};
use testkit::dns::ScriptedDns;
use testkit::smtp_server::{Reaction, Rules, SmtpServer};
use testkit::store::DropStore;

const MESSAGE: &str = "Subject: x\r\n\r\n.one\r\n..two\r\nthree\r\n";

/// Gives out what it was given, and writes down what happens, in order.
#[derive(Default)]
struct Journal {
    claims: Mutex<VecDeque<Claimed>>,
    answers: Mutex<VecDeque<Settled>>,
    submit_fails: Mutex<Option<SubmitError>>,
    submitted: Mutex<Vec<Submit>>,
    lines: Mutex<Vec<String>>,
    changed: tokio::sync::Notify,
}

impl Journal {
    fn write(&self, line: String) {
        self.lines.lock().unwrap().push(line);
        self.changed.notify_waiters();
    }

    fn lines(&self) -> Vec<String> {
        self.lines.lock().unwrap().clone()
    }

    async fn wait_lines(&self, count: usize) -> Vec<String> {
        loop {
            let changed = self.changed.notified();
            if self.lines().len() >= count {
                return self.lines();
            }
            changed.await;
        }
    }
}

fn now<'a, T: Send + 'a, E: Send + 'a>(result: Result<T, E>) -> Answer<'a, T, E> {
    Box::pin(std::future::ready(result))
}

impl Submission for Journal {
    fn submit<'a>(&'a self, _: &'a Call, submit: Submit) -> Answer<'a, TraceId, SubmitError> {
        if let Some(error) = self.submit_fails.lock().unwrap().clone() {
            self.write("no report".into());
            return now(Err(error));
        }
        let to: Vec<_> = submit.to.iter().map(|r| r.address.to_string()).collect();
        self.write(format!("report from <{}> to {}", submit.origin.sender, to.join(" ")));
        self.submitted.lock().unwrap().push(submit);
        now(Ok(TraceId::new("report")))
    }
}

impl MailQueue for Journal {
    fn item_store<'a>(&'a self, _: &'a Call, item: NewItem) -> Answer<'a, QueueId, QueueError> {
        let to: Vec<_> = item.to.iter().map(|r| r.address.to_string()).collect();
        self.write(format!("queued {}", to.join(" ")));
        now(Ok(QueueId(99)))
    }

    fn item_claim<'a>(
        &'a self,
        _: &'a Call,
        limit: usize,
        _: Duration,
    ) -> Answer<'a, Vec<Claimed>, QueueError> {
        let mut claims = self.claims.lock().unwrap();
        let some = limit.min(claims.len());
        now(Ok(claims.drain(..some).collect()))
    }

    fn item_settle<'a>(
        &'a self,
        _: &'a Call,
        _: QueueId,
        claim: u64,
        outcomes: Vec<(Address, Outcome)>,
    ) -> Answer<'a, Settled, QueueError> {
        assert_eq!(claim, 7);
        for (address, outcome) in outcomes {
            let (what, reply) = match outcome {
                Outcome::Delivered { reply } => ("delivered", reply),
                Outcome::Deferred { reply } => ("deferred", reply),
                Outcome::Failed { reply } => ("failed", reply),
            };
            self.write(format!("{what} {address}: {reply}"));
        }
        now(Ok(self.answers.lock().unwrap().pop_front().unwrap_or_default()))
    }

    fn item_list<'a>(
        &'a self,
        _: &'a Call,
        _: Option<QueueId>,
        _: usize,
    ) -> Answer<'a, Vec<Listed>, QueueError> {
        now(Ok(Vec::new()))
    }

    fn item_handle<'a>(&'a self, _: &'a Call, _: QueueId, _: Handling) -> Answer<'a, (), QueueError> {
        now(Err(QueueError::NoItem))
    }

    fn domain_start<'a>(&'a self, _: &'a Call, _: Domain) -> Answer<'a, u64, QueueError> {
        now(Ok(0))
    }

    fn counts<'a>(&'a self, _: &'a Call) -> Answer<'a, QueueCounts, QueueError> {
        now(Ok(QueueCounts::default()))
    }

    fn wait_due<'a>(&'a self, _: &'a Call, at_most: Duration) -> Answer<'a, (), QueueError> {
        Box::pin(async move {
            tokio::time::sleep(at_most).await;
            Ok(())
        })
    }
}

struct Site {
    env: Env,
    journal: Arc<Journal>,
    directory: Arc<ScriptedDirectory>,
    store: Arc<DropStore>,
    dns: Arc<ScriptedDns>,
    outbound: Arc<Outbound>,
}

impl Site {
    /// A site that sends everything foreign to this port of 127.0.0.1.
    fn new(port: u16, keys: &str) -> Self {
        let env = Env::for_test("mta");
        let tree = format!("/*/mta/mailRoutingTable: [*:127.0.0.1#{port}]\n{keys}");
        env.settings.replace(Tree::parse(&tree).unwrap());
        let (directory, store) = (Arc::new(ScriptedDirectory::new()), Arc::new(DropStore::new()));
        let (journal, dns) = (Arc::new(Journal::default()), Arc::new(ScriptedDns::new()));
        let parts = Parts {
            directory: directory.clone(),
            stores: Arc::new(OneStore(store.clone())),
            queue: journal.clone(),
            dns: dns.clone(),
            tls: None,
            run_dir: std::env::temp_dir(),
        };
        let mta = Mta::new(env.clone(), parts);
        let tls = TlsClient::new(rustls::RootCertStore::empty()).unwrap();
        let outbound = Outbound::new(mta, journal.clone(), tls);
        Self { env, journal, directory, store, dns, outbound }
    }

    async fn with_server(rules: Rules) -> (Self, SmtpServer) {
        let server = SmtpServer::start(rules).await;
        (Self::new(server.address().port(), ""), server)
    }

    /// One attempt; what was written down during it.
    async fn attempt(&self, claimed: Claimed) -> Vec<String> {
        let before = self.journal.lines().len();
        attempt::attempt(&self.outbound, claimed).await;
        self.journal.lines().split_off(before)
    }

    fn logged(&self, event: &str) -> usize {
        self.env.log.lines().iter().filter(|l| l.contains(event)).count()
    }
}

fn pending(address: &str) -> Pending {
    let recipient = Recipient::from(Address::parse(address).unwrap());
    Pending { recipient, attempts: 0, last_reply: None }
}

fn claimed(to: &[&str]) -> Claimed {
    let sender = Address::parse("from@here.example").unwrap();
    Claimed {
        id: QueueId(1),
        claim: 7,
        origin: Origin { sender: sender.into(), ..Origin::default() },
        to: to.iter().map(|a| pending(a)).collect(),
        body: Body::from_bytes(MESSAGE),
        trace: TraceId::new("T1"),
        arrived: Timestamp::from_secs(1_795_437_325),
    }
}

#[tokio::test]
async fn a_message_is_handed_over_with_its_dots() {
    let (site, server) = Site::with_server(Rules::new().offer("PIPELINING").offer("SIZE 1000")).await;
    let lines = site.attempt(claimed(&["a@x.example", "b@x.example"])).await;
    assert_eq!(lines, ["delivered a@x.example: 250 2.0.0 taken", "delivered b@x.example: 250 2.0.0 taken"]);
    let taken = server.taken();
    assert_eq!(taken.len(), 1);
    assert_eq!(taken[0].from, format!("<from@here.example> SIZE={}", MESSAGE.len()));
    assert_eq!(taken[0].to, ["<a@x.example>", "<b@x.example>"]);
    assert_eq!(taken[0].content, MESSAGE.as_bytes());
    assert!(server.commands().contains(&"EHLO localhost".to_owned()));
    assert_eq!(site.logged("MtaMessageRelayed"), 2);
}

#[tokio::test]
async fn its_13803_every_change_of_state_is_one_line_of_the_log() {
    let rules = Rules::new().reply("RCPT", "451 4.7.1 greylisted").reply("RCPT", "250 ok");
    let (site, server) = Site::with_server(rules).await;
    assert_eq!(site.attempt(claimed(&["a@x.example"])).await, ["deferred a@x.example: 451 4.7.1 greylisted"]);
    assert_eq!(site.attempt(claimed(&["a@x.example"])).await, ["delivered a@x.example: 250 2.0.0 taken"]);
    assert_eq!(
        (server.taken().len(), site.logged("MtaMessageDeferred"), site.logged("MtaMessageRelayed")),
        (1, 1, 1)
    );
}

#[tokio::test]
async fn a_5xx_is_reported_before_it_is_settled() {
    let (site, _server) = Site::with_server(Rules::new().reply("RCPT", "550 5.1.1 who?")).await;
    let lines = site.attempt(claimed(&["a@x.example"])).await;
    assert_eq!(lines, ["report from <> to from@here.example", "failed a@x.example: 550 5.1.1 who?"]);
    let submitted = site.journal.submitted.lock().unwrap().remove(0);
    assert_eq!((submitted.origin.sender, submitted.to[0].notify), (Sender::NULL, Notify::NEVER));
    let report = submitted.body.read(0, 1 << 17).await.unwrap();
    let report = String::from_utf8(report.to_vec()).unwrap();
    assert!(report.contains("Final-Recipient: rfc822; a@x.example\r\nAction: failed\r\nStatus: 5.1.1\r\n"));
    assert!(report.contains("Remote-MTA: dns; [127.0.0.1]\r\nDiagnostic-Code: smtp; 550 5.1.1 who?\r\n"));
    assert!(report.contains("\r\n\r\nSubject: x\r\n\r\n\r\n--=_report_"), "the header comes back: {report}");
    assert!(!report.contains("three"), "the content does not");
    assert_eq!(site.logged("MtaMessageBounced"), 1);
}

#[tokio::test]
async fn its_12756_nobody_is_told_of_a_bounce_that_cannot_be_delivered() {
    let (site, _server) = Site::with_server(Rules::new().reply("RCPT", "550 5.1.1 who?")).await;
    let mut bounce = claimed(&["a@x.example"]);
    bounce.origin.sender = Sender::NULL;
    assert_eq!(site.attempt(bounce).await, ["failed a@x.example: 550 5.1.1 who?"]);
}

#[tokio::test]
async fn its_22516_what_cannot_be_reported_is_not_given_up() {
    let (site, _server) = Site::with_server(Rules::new().reply("MAIL", "554 5.7.1 no")).await;
    *site.journal.submit_fails.lock().unwrap() = Some(SubmitError::TryLater("disk full".into()));
    let lines = site.attempt(claimed(&["a@x.example"])).await;
    assert_eq!(lines[0], "no report");
    assert!(lines[1].starts_with("deferred a@x.example: 554 5.7.1 no (the report could not"), "{lines:?}");
    // A sender who does not exist can never be told.
    *site.journal.submit_fails.lock().unwrap() = Some(SubmitError::Refused("no such sender".into()));
    let lines = site.attempt(claimed(&["a@x.example"])).await;
    assert_eq!(lines, ["no report", "failed a@x.example: 554 5.7.1 no"]);
    assert_eq!(site.logged("MtaReportFailed"), 2);
}

#[tokio::test]
async fn every_recipient_has_its_own_fate() {
    let rules = Rules::new()
        .offer("PIPELINING")
        .reply("RCPT TO:<BAD", "550 5.1.1 no")
        .reply("RCPT TO:<LATER", "450 4.2.1 busy");
    let (site, server) = Site::with_server(rules).await;
    let lines = site.attempt(claimed(&["bad@x.example", "good@x.example", "later@x.example"])).await;
    assert_eq!(
        lines,
        [
            "report from <> to from@here.example",
            "failed bad@x.example: 550 5.1.1 no",
            "delivered good@x.example: 250 2.0.0 taken",
            "deferred later@x.example: 450 4.2.1 busy",
        ]
    );
    assert_eq!(server.taken()[0].to, ["<good@x.example>"]);
}

#[tokio::test]
async fn a_refused_connection_defers() {
    let gone = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let site = Site::new(gone.port(), "");
    let lines = site.attempt(claimed(&["a@x.example"])).await;
    assert_eq!(lines.len(), 1);
    assert!(
        lines[0].starts_with("deferred a@x.example: [127.0.0.1][127.0.0.1]: the connection cannot"),
        "{lines:?}"
    );
}

#[tokio::test]
async fn an_unfriendly_greeting_is_about_the_host_and_not_the_message() {
    let (site, _server) =
        Site::with_server(Rules::new().on("CONNECT", Reaction::ReplyAndClose("554 5.7.1 go away".into())))
            .await;
    assert_eq!(site.attempt(claimed(&["a@x.example"])).await, ["deferred a@x.example: 554 5.7.1 go away"]);
}

#[tokio::test]
async fn tls_is_used_where_it_is_offered_and_works() {
    let (site, server) = Site::with_server(Rules::new().offer("STARTTLS")).await;
    site.attempt(claimed(&["a@x.example"])).await;
    assert!(server.taken()[0].over_tls);
    let (site, server) =
        Site::with_server(Rules::new().offer("STARTTLS").reply("STARTTLS", "454 4.7.0 no")).await;
    site.attempt(claimed(&["a@x.example"])).await;
    assert!(!server.taken()[0].over_tls);
    // Said yes and then closed: the handshake fails, and the message goes without.
    let rules = Rules::new().offer("STARTTLS").on("STARTTLS", Reaction::ReplyAndClose("220 go on".into()));
    let (site, server) = Site::with_server(rules).await;
    site.attempt(claimed(&["a@x.example"])).await;
    assert!(!server.taken()[0].over_tls);
    assert_eq!(site.logged("NioTlsRemoteFailed"), 1);
}

#[tokio::test]
async fn its_24874_a_connection_that_breaks_defers_once() {
    for step in ["DATA", "END", "MAIL", "RCPT"] {
        let (site, server) = Site::with_server(Rules::new().on(step, Reaction::Close)).await;
        let lines = site.attempt(claimed(&["a@x.example"])).await;
        assert_eq!(lines.len(), 1, "{step}");
        assert!(lines[0].starts_with("deferred a@x.example: [127.0.0.1]: "), "{step}: {lines:?}");
        assert_eq!((site.logged("MtaServerSocketClosed"), server.taken().len()), (1, 0), "{step}");
    }
}

#[tokio::test]
async fn a_server_that_says_no_and_hangs_up_is_heard() {
    let rules = Rules::new().on("DATA", Reaction::ReplyAndClose("552 5.3.4 too large".into()));
    let (site, _server) = Site::with_server(rules).await;
    let lines = site.attempt(claimed(&["a@x.example"])).await;
    assert!(lines.last().unwrap().contains("552 5.3.4 too large"), "{lines:?}");
}

#[tokio::test]
async fn its_21613_a_reply_without_end_defers_and_is_logged() {
    let (site, _server) = Site::with_server(Rules::new().reply("MAIL", &"2".repeat(20_000))).await;
    let lines = site.attempt(claimed(&["a@x.example"])).await;
    assert_eq!(lines, ["deferred a@x.example: [127.0.0.1]: the server's reply is too long"]);
    assert_eq!(site.logged("SmtpServerResponseOverflow"), 1);
}

#[tokio::test]
async fn a_session_is_used_again_and_a_dead_one_is_replaced() {
    let (site, server) = Site::with_server(Rules::new()).await;
    for _ in 0..3 {
        site.attempt(claimed(&["a@x.example"])).await;
    }
    let connects = |server: &SmtpServer| server.commands().iter().filter(|c| *c == "CONNECT").count();
    assert_eq!((server.taken().len(), connects(&server)), (3, 1));
    server.set_rules(Rules::new().on("MAIL", Reaction::Close).reply("MAIL", "250 ok"));
    let lines = site.attempt(claimed(&["a@x.example"])).await;
    assert_eq!(lines, ["delivered a@x.example: 250 2.0.0 taken"]);
    assert_eq!((server.taken().len(), connects(&server)), (4, 2));
    let bye = Reaction::ReplyAndClose("421 4.4.2 idle for too long".into());
    server.set_rules(Rules::new().on("MAIL", bye).reply("MAIL", "250 ok"));
    assert_eq!(site.attempt(claimed(&["a@x.example"])).await, ["delivered a@x.example: 250 2.0.0 taken"]);
}

#[tokio::test]
async fn more_recipients_than_a_server_takes_go_in_parts() {
    let (site, server) = Site::with_server(Rules::new().offer("PIPELINING")).await;
    let many: Vec<_> = (0..250).map(|n| format!("u{n}@x.example")).collect();
    let lines = site.attempt(claimed(&many.iter().map(String::as_str).collect::<Vec<_>>())).await;
    assert_eq!(lines.iter().filter(|l| l.starts_with("delivered")).count(), 250);
    assert_eq!(server.taken().iter().map(|t| t.to.len()).collect::<Vec<_>>(), [100, 100, 50]);
}

#[tokio::test]
async fn confirmations_are_sent_where_the_other_side_sends_none() {
    let asks = |claimed: &mut Claimed| {
        claimed.to[0].recipient.notify = Notify { success: true, ..Notify::DEFAULT };
    };
    let (site, _server) = Site::with_server(Rules::new()).await;
    let mut one = claimed(&["a@x.example"]);
    asks(&mut one);
    let lines = site.attempt(one).await;
    assert_eq!(lines.len(), 2);
    assert_eq!(lines[0], "report from <> to from@here.example");
    let (site, server) = Site::with_server(Rules::new().offer("DSN")).await;
    let mut one = claimed(&["a@x.example"]);
    asks(&mut one);
    assert_eq!(site.attempt(one).await, ["delivered a@x.example: 250 2.0.0 taken"]);
    assert!(server.taken()[0].to[0].contains("NOTIFY=SUCCESS,FAILURE"));
}

#[tokio::test]
async fn expired_recipients_are_reported_and_then_settled() {
    let (site, _server) = Site::with_server(Rules::new().reply("RCPT", "451 4.3.0 later")).await;
    let mut late = pending("a@x.example");
    late.last_reply = Some("451 4.3.0 later".into());
    let settled = Settled { expired: vec![late.clone()], left: 1, ..Settled::default() };
    site.journal.answers.lock().unwrap().push_back(settled);
    let lines = site.attempt(claimed(&["a@x.example"])).await;
    assert_eq!(lines[..2], ["deferred a@x.example: 451 4.3.0 later", "report from <> to from@here.example"]);
    assert!(
        lines[2].starts_with("failed a@x.example: the message has been in the queue too long"),
        "{lines:?}"
    );
    // Who asked for it is warned.
    late.recipient.notify = Notify { delay: true, ..Notify::DEFAULT };
    let settled = Settled { warn: vec![late], left: 1, ..Settled::default() };
    site.journal.answers.lock().unwrap().push_back(settled);
    let lines = site.attempt(claimed(&["a@x.example"])).await;
    assert_eq!(lines[1], "report from <> to from@here.example");
    assert_eq!(lines.len(), 2);
    let submitted = site.journal.submitted.lock().unwrap().pop().unwrap();
    let warning = submitted.body.read(0, 1 << 17).await.unwrap();
    let warning = String::from_utf8(warning.to_vec()).unwrap();
    // 120 hours after it came in.
    assert!(warning.contains("Action: delayed\r\n"), "{warning}");
    assert!(warning.contains("Will-Retry-Until: Sat, 28 Nov 2026 12:35:25 +0000\r\n"), "{warning}");
}

#[tokio::test]
async fn an_operator_gets_a_copy_of_bounces() {
    let server = SmtpServer::start(Rules::new().reply("RCPT", "550 5.1.1 who?")).await;
    let site = Site::new(server.address().port(), "/*/mta/bounceNotify: [post@here.example]\n");
    let lines = site.attempt(claimed(&["a@x.example"])).await;
    assert_eq!(lines[..2], ["report from <> to from@here.example", "report from <> to post@here.example"]);
}

#[tokio::test]
async fn mail_for_a_mailbox_waits_for_its_store_and_has_the_first_request_id() {
    let site = Site::new(1, "");
    let account = site.directory.account("u@here.example", "x");
    site.store.fail_all(Some(StoreError::Unavailable));
    let lines = site.attempt(claimed(&["u@here.example"])).await;
    assert_eq!(lines, ["deferred u@here.example: the store is not available"]);
    site.store.fail_all(None);
    assert_eq!(site.attempt(claimed(&["u@here.example"])).await, ["delivered u@here.example: delivered"]);
    let drops = site.store.drops();
    assert_eq!(drops[0].request, delivery_request(&TraceId::new("T1")));
    assert_eq!(drops[0].to, [(account.mailbox, None)]);
    assert_eq!(drops[0].text, format!("Return-Path: <from@here.example>\r\n{MESSAGE}").as_bytes());
}

#[tokio::test]
async fn forwards_are_followed_once_the_mailbox_has_its_copy() {
    let site = Site::new(1, "");
    let account = site.directory.account("u@here.example", "x");
    site.directory.local("u@here.example", Some(account), &["far@x.example"]);
    site.directory.local("only@here.example", None, &["u@here.example"]);
    let lines = site.attempt(claimed(&["only@here.example"])).await;
    assert_eq!(lines, ["queued far@x.example", "delivered only@here.example: delivered"]);
    site.directory.local("loop@here.example", None, &["loop@here.example"]);
    let lines = site.attempt(claimed(&["loop@here.example"])).await;
    assert!(lines.last().unwrap().starts_with("failed loop@here.example: its forwards"), "{lines:?}");
}

#[tokio::test]
async fn what_the_directory_says_is_what_happens() {
    let site = Site::new(1, "");
    site.directory.account("u@here.example", "x");
    let lines = site.attempt(claimed(&["nobody@here.example"])).await;
    assert_eq!(lines[1], "failed nobody@here.example: there is no such address");
    site.directory.set_down(Down::Yes);
    let lines = site.attempt(claimed(&["u@here.example"])).await;
    assert_eq!(lines, ["deferred u@here.example: the directory is not available"]);
}

#[tokio::test]
async fn domains_that_take_no_mail_fail_and_doubt_defers() {
    let site = Site::new(1, "");
    site.env.settings.replace(Tree::default());
    site.dns.set_mx("null.example", Lookup::Found(net::dns::Exchanges::Null));
    site.dns.set_mx("doubt.example", Lookup::TemporaryFailure);
    site.dns.set_hosts("ours.example", &[(10, "localhost")]);
    let outcome = |domain: &'static str| {
        let site = &site;
        async move { site.attempt(claimed(&[&format!("a@{domain}")])).await.pop().unwrap() }
    };
    assert!(
        outcome("null.example").await.starts_with("failed a@null.example: null.example: the domain does not")
    );
    assert!(
        outcome("none.example").await.starts_with("failed a@none.example: none.example: the domain does not")
    );
    assert!(
        outcome("ours.example").await.starts_with("failed a@ours.example: ours.example: the mail exchange")
    );
    assert!(outcome("doubt.example").await.starts_with("deferred a@doubt.example"));
}

#[tokio::test]
async fn the_worker_takes_what_is_due_and_stops_when_told() {
    let (site, server) = Site::with_server(Rules::new()).await;
    site.journal.claims.lock().unwrap().extend((0..20).map(|_| claimed(&["a@x.example"])));
    site.env.tasks.spawn(Arc::clone(&site.outbound).run());
    site.journal.wait_lines(20).await;
    assert_eq!(server.taken().len(), 20);
    assert_eq!(site.env.tasks.drain(Duration::from_secs(10)).await, 0);
}
