use super::*;
use crate::ready::SHARE;
use catalog::tree::Tree;
use env::clock::Clock;
use mail::envelope::{Notify, Origin, Recipient};
use mail::id::{RequestId, TraceId};
use mail::time::Timestamp;
use roles::Body;
use std::collections::HashSet;
use std::sync::LazyLock;

const START: Timestamp = Timestamp::from_secs(1_795_437_325);
const LEASE: Duration = Duration::from_secs(600);

struct Site {
    folder: tempfile::TempDir,
    env: Env,
    queue: Queue,
}

static CALL: LazyLock<Call> = LazyLock::new(|| Call::new(RequestId(0), TraceId::new("t")));

impl Site {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut env = Env::for_test("imqueueserv");
        env.clock = Clock::fixed(START);
        let queue = Queue::open(folder.path(), options(), &env).await.unwrap();
        Self { folder, env, queue }
    }

    /// As after a crash: nothing was said, all that was in memory is gone.
    async fn crash(mut self) -> Self {
        let Self { folder, env, queue } = self;
        queue.close().await;
        drop(queue);
        self = Self { queue: Queue::open(folder.path(), options(), &env).await.unwrap(), folder, env };
        self.env.clock.advance(Duration::from_secs(10));
        self
    }

    async fn store(&self, to: &[&str]) -> QueueId {
        let to = to.iter().map(|a| Recipient::from(Address::parse(a).unwrap())).collect();
        self.store_for(to).await
    }

    async fn store_for(&self, to: Vec<Recipient>) -> QueueId {
        let now = self.env.clock.now();
        let sender = Address::parse("from@here.example").unwrap();
        let item = NewItem {
            origin: Origin { sender: sender.into(), ..Origin::default() },
            to,
            body: Body::from_bytes("Subject: x\r\n\r\nbody\r\n"),
            trace: TraceId::new("trace"),
            arrived: now,
            not_before: now,
        };
        let call = Call::new(self.env.random.request_id(), TraceId::new("trace"));
        self.queue.item_store(&call, item).await.unwrap()
    }

    async fn claim(&self, limit: usize) -> Vec<Claimed> {
        self.claim_for(limit, LEASE).await
    }

    async fn claim_for(&self, limit: usize, lease: Duration) -> Vec<Claimed> {
        self.queue.item_claim(&CALL, limit, lease).await.unwrap()
    }

    async fn settle(&self, claimed: &Claimed, outcome: Outcome) -> Settled {
        let outcomes = claimed.to.iter().map(|p| (p.recipient.address.clone(), outcome.clone())).collect();
        self.queue.item_settle(&CALL, claimed.id, claimed.claim, outcomes).await.unwrap()
    }
}

fn options() -> ShardOptions {
    ShardOptions { reserve: 0, ..ShardOptions::default() }
}

fn deferred() -> Outcome {
    Outcome::Deferred { reply: "451 4.3.0 later".into() }
}

fn delivered() -> Outcome {
    Outcome::Delivered { reply: "250 ok".into() }
}

fn addresses(claimed: &Claimed) -> Vec<String> {
    claimed.to.iter().map(|p| p.recipient.address.to_string()).collect()
}

#[tokio::test]
async fn an_item_is_claimed_once_and_gone_when_all_is_delivered() {
    let site = Site::new().await;
    let id = site.store(&["a@x.example", "b@x.example", "c@y.example"]).await;
    let mut claimed = site.claim(10).await;
    assert_eq!(site.claim(10).await.len(), 0);
    claimed.sort_by_key(|c| c.to.len());
    assert_eq!(addresses(&claimed[0]), ["c@y.example"]);
    assert_eq!(addresses(&claimed[1]), ["a@x.example", "b@x.example"]);
    let body = claimed[0].body.read(9, 100).await.unwrap();
    assert_eq!((claimed[0].id, &body[..]), (id, &b"x\r\n\r\nbody\r\n"[..]));
    for claim in &claimed {
        assert_eq!(site.settle(claim, delivered()).await.left, 0);
    }
    assert_eq!(site.queue.counts(&CALL).await.unwrap(), QueueCounts::default());
    assert_eq!(site.claim(10).await.len(), 0);
}

#[tokio::test]
async fn its_19342_the_same_request_stores_once() {
    let site = Site::new().await;
    let now = site.env.clock.now();
    let item = || NewItem {
        origin: Origin::default(),
        to: vec![Recipient::from(Address::parse("a@x.example").unwrap())],
        body: Body::from_bytes("x"),
        trace: TraceId::new("t"),
        arrived: now,
        not_before: now,
    };
    let call = Call::new(RequestId(77), TraceId::new("t"));
    let first = site.queue.item_store(&call, item()).await.unwrap();
    assert_eq!(site.queue.item_store(&call, item()).await.unwrap(), first);
    assert_eq!(site.queue.counts(&call).await.unwrap().items, 1);
    let nobody = NewItem { to: vec![], ..item() };
    assert!(site.queue.item_store(&CALL, nobody).await.is_err());
}

#[tokio::test]
async fn deferred_recipients_come_back_when_their_time_comes() {
    let site = Site::new().await;
    site.store(&["a@x.example", "b@x.example"]).await;
    let claimed = site.claim(1).await.remove(0);
    let outcomes = vec![(claimed.to[0].recipient.address.clone(), deferred())];
    let settled = site.queue.item_settle(&CALL, claimed.id, claimed.claim, outcomes).await.unwrap();
    assert_eq!((settled.left, settled.next), (2, Some(START)));
    // The one that was not named is still due, the deferred one is not.
    let again = site.claim(1).await.remove(0);
    assert_eq!(addresses(&again), ["b@x.example"]);
    assert_eq!(site.settle(&again, delivered()).await.left, 1);
    assert_eq!(site.claim(1).await.len(), 0);
    site.env.clock.advance(Duration::from_secs(70));
    let late = site.claim(1).await.remove(0);
    assert_eq!((late.to[0].attempts, late.to[0].last_reply.as_deref()), (1, Some("451 4.3.0 later")));
}

#[tokio::test]
async fn its_19111_a_crash_frees_every_claim_and_loses_nothing() {
    let site = Site::new().await;
    site.store(&["a@x.example"]).await;
    site.store(&["b@y.example"]).await;
    let before = site.claim(10).await;
    site.settle(&before[0], delivered()).await;
    let site = site.crash().await;
    let after = site.claim(10).await;
    assert_eq!(after.iter().map(|c| c.id).collect::<Vec<_>>(), [before[1].id]);
    let old = vec![(before[1].to[0].recipient.address.clone(), delivered())];
    let refused = site.queue.item_settle(&CALL, before[1].id, before[1].claim, old).await;
    assert_eq!(refused, Err(QueueError::NotClaimed));
    assert!(site.store(&["c@z.example"]).await > before[1].id);
}

#[tokio::test]
async fn mail_from_before_the_start_waits_a_little() {
    let site = Site::new().await;
    site.store(&["a@x.example"]).await;
    site.queue.close().await;
    let queue = Queue::open(site.folder.path(), options(), &site.env).await.unwrap();
    let claim = || queue.item_claim(&CALL, 9, LEASE);
    assert_eq!(claim().await.unwrap().len(), 0);
    site.env.clock.advance(Duration::from_secs(10));
    assert_eq!(claim().await.unwrap().len(), 1);
}

#[tokio::test]
async fn its_21867_a_lease_that_ran_out_is_given_to_another() {
    let site = Site::new().await;
    site.store(&["a@x.example"]).await;
    let slow = site.claim(1).await.remove(0);
    site.env.clock.advance(LEASE);
    let quick = site.claim(1).await.remove(0);
    assert_eq!(quick.id, slow.id);
    let outcomes = vec![(slow.to[0].recipient.address.clone(), delivered())];
    let refused = site.queue.item_settle(&CALL, slow.id, slow.claim, outcomes).await;
    assert_eq!(refused, Err(QueueError::NotClaimed));
    site.settle(&quick, delivered()).await;
    let lines = site.env.log.lines();
    for event in ["QsrvLeaseExpired", "QsrvNotLocked"] {
        assert_eq!(lines.iter().filter(|l| l.contains(event)).count(), 1, "{event}");
    }
}

#[tokio::test]
async fn one_destination_does_not_hold_up_the_others() {
    let site = Site::new().await;
    for _ in 0..3 * SHARE {
        site.store(&["a@slow.example"]).await;
    }
    site.env.clock.advance(Duration::from_secs(1));
    site.store(&["b@quick.example"]).await;
    let claimed = site.claim(1000).await;
    let slow = claimed.iter().filter(|c| addresses(c)[0].ends_with("slow.example")).count();
    assert_eq!((slow, claimed.len()), (SHARE, SHARE + 1));
    // One that comes back makes room for one more of the same.
    let one = claimed.iter().find(|c| addresses(c)[0].ends_with("slow.example")).unwrap();
    site.settle(one, deferred()).await;
    assert_eq!(site.claim(1000).await.len(), 1);
}

#[tokio::test]
async fn few_places_are_shared_between_destinations() {
    let site = Site::new().await;
    for n in 0..40 {
        site.store(&[if n < 20 { "a@first.example" } else { "b@second.example" }]).await;
        site.env.clock.advance(Duration::from_millis(1));
    }
    let claimed = site.claim(10).await;
    let first = claimed.iter().filter(|c| addresses(c)[0].ends_with("first.example")).count();
    assert_eq!((first, claimed.len()), (5, 10));
}

#[tokio::test]
async fn expired_recipients_stay_claimed_until_they_are_reported() {
    let site = Site::new().await;
    site.store(&["a@x.example"]).await;
    let claimed = site.claim(1).await.remove(0);
    site.env.clock.advance(120 * HOUR);
    let settled = site.settle(&claimed, deferred()).await;
    assert_eq!(settled.expired.len(), 1);
    assert_eq!(settled.expired[0].last_reply.as_deref(), Some("451 4.3.0 later"));
    // The clock stands where the lease has ended, so the claim is only kept for as long as nobody asks.
    assert_eq!(site.queue.counts(&CALL).await.unwrap().claimed, 1);
    let failed = Outcome::Failed { reply: "expired".into() };
    assert_eq!(site.settle(&claimed, failed).await.left, 0);
    assert_eq!(site.queue.counts(&CALL).await.unwrap(), QueueCounts::default());
}

#[tokio::test]
async fn its_18521_the_times_of_the_mta_hold() {
    let site = Site::new().await;
    let keys = "/*/imqueueserv/maxQueueTimeInHours: [1]\n/*/mta/maxQueueTimeInHours: [3]\n";
    site.env.settings.replace(Tree::parse(keys).unwrap());
    site.store(&["a@x.example"]).await;
    let claimed = site.claim(1).await.remove(0);
    site.env.clock.advance(2 * HOUR);
    assert_eq!(site.settle(&claimed, deferred()).await.expired, []);
}

#[tokio::test]
async fn its_17133_changed_keys_hold_at_once() {
    let site = Site::new().await;
    site.store(&["a@x.example"]).await;
    let claimed = site.claim(1).await.remove(0);
    site.env.clock.advance(2 * HOUR);
    site.env.settings.replace(Tree::parse("/*/mta/maxQueueTimeInHours: [1]\n").unwrap());
    assert_eq!(site.settle(&claimed, deferred()).await.expired.len(), 1);
}

#[tokio::test]
async fn its_21656_a_failure_is_logged_where_it_happens() {
    let site = Site::new().await;
    site.queue.close().await;
    assert!(site.queue.domain_start(&CALL, Domain::parse("x.example").unwrap()).await.is_err());
    assert!(site.env.log.lines().iter().any(|l| l.contains("Erro QsrvOperationFailed op=start")));
}

#[tokio::test]
async fn who_asked_is_warned_once() {
    let site = Site::new().await;
    let asks = |a: &str, delay| Recipient {
        notify: Notify { delay, ..Notify::DEFAULT },
        ..Recipient::from(Address::parse(a).unwrap())
    };
    site.store_for(vec![asks("a@x.example", true), asks("b@x.example", false)]).await;
    let mut warned = Vec::new();
    for _ in 0..5 {
        site.env.clock.advance(2 * HOUR);
        let claimed = site.claim(1).await.remove(0);
        let settled = site.settle(&claimed, deferred()).await;
        warned.push(settled.warn.iter().map(|p| p.recipient.address.local().to_owned()).collect::<Vec<_>>());
    }
    assert_eq!(warned, [vec![], vec!["a".to_owned()], vec![], vec![], vec![]]);
}

#[tokio::test]
async fn an_operator_holds_releases_retries_lists_and_removes() {
    let site = Site::new().await;
    let id = site.store(&["a@x.example"]).await;
    let handle = |handling| site.queue.item_handle(&CALL, id, handling);
    handle(Handling::Hold).await.unwrap();
    assert_eq!(site.claim(1).await.len(), 0);
    let list = site.queue.item_list(&CALL, None, 10).await.unwrap();
    assert_eq!((list.len(), list[0].held, list[0].size), (1, true, 20));
    handle(Handling::Release).await.unwrap();
    let claimed = site.claim(1).await.remove(0);
    site.settle(&claimed, deferred()).await;
    assert_eq!(site.claim(1).await.len(), 0);
    handle(Handling::RetryNow).await.unwrap();
    let claimed = site.claim(1).await.remove(0);
    site.settle(&claimed, deferred()).await;
    assert_eq!(site.queue.domain_start(&CALL, Domain::parse("x.example").unwrap()).await, Ok(1));
    assert_eq!(site.queue.domain_start(&CALL, Domain::parse("y.example").unwrap()).await, Ok(0));
    let claimed = site.claim(1).await.remove(0);
    handle(Handling::Remove).await.unwrap();
    assert_eq!(handle(Handling::Remove).await, Err(QueueError::NoItem));
    let outcomes = vec![(claimed.to[0].recipient.address.clone(), delivered())];
    let late = site.queue.item_settle(&CALL, id, claimed.claim, outcomes).await;
    assert_eq!(late, Err(QueueError::NoItem));
    assert_eq!(site.queue.counts(&CALL).await.unwrap(), QueueCounts::default());
}

#[tokio::test]
async fn waiting_ends_with_new_work() {
    let site = Site::new().await;
    let far = Duration::from_secs(3600);
    let mut wait = std::pin::pin!(site.queue.wait_due(&CALL, far));
    let still = std::future::poll_fn(|cx| std::task::Poll::Ready(wait.as_mut().poll(cx).is_pending())).await;
    assert!(still);
    site.store(&["a@x.example"]).await;
    wait.await.unwrap();
    // And at once where something is due already.
    site.queue.wait_due(&CALL, far).await.unwrap();
}

/// Several workers, many items, failures by chance: every recipient is delivered exactly once.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn its_17527_many_workers_deliver_every_recipient_once() {
    let site = Arc::new(Site::new().await);
    for n in 0..200 {
        let to = [format!("u{n}@d{}.example", n % 7), format!("u{n}@d{}.example", (n + 1) % 7)];
        site.store(&[&to[0], &to[1]]).await;
    }
    let done = Arc::new(Mutex::new(Vec::new()));
    let busy: Vec<_> = (0..4).map(|_| tokio::sync::oneshot::channel::<()>()).collect();
    let mut ends = Vec::new();
    for (tell, end) in busy {
        let (site, done) = (Arc::clone(&site), Arc::clone(&done));
        ends.push(end);
        site.env.tasks.clone().spawn(async move {
            while site.queue.counts(&CALL).await.unwrap().items > 0 {
                for claimed in site.claim_for(5, 1000 * HOUR).await {
                    if site.env.random.below(3) == 0 {
                        site.settle(&claimed, deferred()).await;
                    } else {
                        done.lock().unwrap().extend(addresses(&claimed));
                        site.settle(&claimed, delivered()).await;
                    }
                }
                site.env.clock.advance(Duration::from_secs(10));
                tokio::task::yield_now().await;
            }
            let _ = tell.send(());
        });
    }
    for end in ends {
        end.await.unwrap();
    }
    let done = done.lock().unwrap();
    assert_eq!(done.len(), 400);
    assert_eq!(done.iter().collect::<HashSet<_>>().len(), 400);
}
