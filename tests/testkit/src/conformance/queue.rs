//! The promises of [`MailQueue`].

use super::call;
use mail::address::{Address, Domain};
use mail::envelope::{Origin, Recipient};
use mail::id::{QueueId, TraceId};
use mail::time::Timestamp;
use roles::Body;
use roles::queue::{Claimed, Handling, MailQueue, NewItem, Outcome, QueueError};
use std::time::Duration;

/// How long a claim holds: longer than the checks take.
const LEASE: Duration = Duration::from_secs(3600);

/// Runs every check on an empty queue; `now` is the time of its clock, or a little before.
pub async fn all(queue: &dyn MailQueue, now: Timestamp) {
    let worker = Worker { queue, now };
    an_item_is_there_until_it_is_delivered(&worker).await;
    the_same_request_stores_once(&worker).await;
    a_claim_proves_itself(&worker).await;
    what_is_deferred_stays_with_its_reply(&worker).await;
    an_administrator_is_obeyed(&worker).await;
    waiting_ends(&worker).await;
}

struct Worker<'a> {
    queue: &'a dyn MailQueue,
    now: Timestamp,
}

fn address(text: &str) -> Address {
    Address::parse(text).expect("an address")
}

impl Worker<'_> {
    fn item(&self, to: &[&str], body: &Body) -> NewItem {
        NewItem {
            origin: Origin { sender: address("from@here.example").into(), ..Origin::default() },
            to: to.iter().map(|to| Recipient::from(address(to))).collect(),
            body: body.clone(),
            trace: TraceId::new("conformance"),
            arrived: self.now,
            not_before: self.now,
        }
    }

    async fn store(&self, number: u128, to: &[&str], text: &str) -> QueueId {
        let item = self.item(to, &Body::from_bytes(text.to_owned()));
        self.queue.item_store(&call(number), item).await.expect("it takes the item")
    }

    /// All that is due, by recipients of the same domain.
    async fn claim(&self, number: u128) -> Vec<Claimed> {
        self.queue.item_claim(&call(number), 10, LEASE).await.expect("items are given out")
    }

    async fn settle(&self, claimed: &Claimed, outcome: &Outcome) -> Result<u32, QueueError> {
        let outcomes = claimed.to.iter().map(|p| (p.recipient.address.clone(), outcome.clone())).collect();
        let settled = self.queue.item_settle(&call(500), claimed.id, claimed.claim, outcomes).await;
        settled.map(|settled| settled.left)
    }

    async fn items(&self) -> u64 {
        self.queue.counts(&call(501)).await.expect("it counts").items
    }
}

fn delivered() -> Outcome {
    Outcome::Delivered { reply: "250 ok".into() }
}

async fn an_item_is_there_until_it_is_delivered(worker: &Worker<'_>) {
    let text = "Subject: x\r\n\r\n".to_owned() + &"0123456789".repeat(60_000);
    let id = worker.store(1, &["a@one.example", "b@two.example"], &text).await;
    let claimed = worker.claim(2).await;
    assert_eq!(claimed.len(), 2, "one for each destination");
    assert!(worker.claim(3).await.is_empty(), "nobody else gets them");
    let mut left: Vec<u32> = Vec::new();
    for item in &claimed {
        assert_eq!((item.id, item.trace.as_str(), item.body.len()), (id, "conformance", text.len() as u64));
        let (begin, end) = (item.body.read(0, 10).await, item.body.read(text.len() as u64 - 10, 10).await);
        assert_eq!(
            (&*begin.expect("its body"), &*end.expect("all of it")),
            (&b"Subject: x"[..], &b"0123456789"[..])
        );
        left.push(worker.settle(item, &delivered()).await.expect("it is settled"));
    }
    assert_eq!((left[1], worker.items().await), (0, 0));
}

async fn the_same_request_stores_once(worker: &Worker<'_>) {
    let ids =
        [worker.store(10, &["a@one.example"], "x").await, worker.store(10, &["a@one.example"], "x").await];
    assert_eq!((ids[0], worker.items().await), (ids[1], 1));
    let other = worker.store(11, &["a@one.example"], "x").await;
    assert_ne!(other, ids[0]);
    for item in worker.claim(12).await {
        worker.settle(&item, &delivered()).await.expect("it is settled");
    }
    assert_eq!(worker.items().await, 0);
}

async fn a_claim_proves_itself(worker: &Worker<'_>) {
    let id = worker.store(20, &["a@one.example"], "x").await;
    let item = worker.claim(21).await.remove(0);
    let forged = worker.queue.item_settle(&call(22), id, item.claim ^ 1, Vec::new()).await;
    assert_eq!(forged.err(), Some(QueueError::NotClaimed));
    worker.settle(&item, &delivered()).await.expect("the right one does");
    assert!(worker.settle(&item, &delivered()).await.is_err(), "once");
}

async fn what_is_deferred_stays_with_its_reply(worker: &Worker<'_>) {
    let id = worker.store(30, &["a@one.example"], "x").await;
    let item = worker.claim(31).await.remove(0);
    let reply = "451 4.3.0 later: ä".to_owned();
    assert_eq!(worker.settle(&item, &Outcome::Deferred { reply: reply.clone() }).await, Ok(1));
    let listed = worker.queue.item_list(&call(32), None, 10).await.expect("a list");
    assert_eq!(listed.iter().map(|item| item.id).collect::<Vec<_>>(), [id]);
    assert_eq!((listed[0].to[0].last_reply.as_ref(), listed[0].to[0].attempts), (Some(&reply), 1));
    assert!(listed[0].next > worker.now && !listed[0].held);
    assert!(worker.claim(33).await.is_empty(), "it is not due");
    let after = worker.queue.item_list(&call(34), Some(id), 10).await.expect("a list");
    assert!(after.is_empty());
    let started = worker.queue.domain_start(&call(35), Domain::parse("one.example").expect("a domain")).await;
    assert_eq!(started, Ok(1));
    let item = worker.claim(36).await.remove(0);
    worker.settle(&item, &delivered()).await.expect("it is settled");
}

async fn an_administrator_is_obeyed(worker: &Worker<'_>) {
    let id = worker.store(40, &["a@one.example"], "x").await;
    let handle = |handling| async move { worker.queue.item_handle(&call(41), id, handling).await };
    handle(Handling::Hold).await.expect("it is held");
    assert!(worker.claim(42).await.is_empty(), "what is held is not tried");
    handle(Handling::Release).await.expect("it is released");
    handle(Handling::RetryNow).await.expect("and tried now");
    assert_eq!(worker.claim(43).await.len(), 1);
    handle(Handling::Remove).await.expect("it is removed");
    assert_eq!((handle(Handling::Remove).await, worker.items().await), (Err(QueueError::NoItem), 0));
}

async fn waiting_ends(worker: &Worker<'_>) {
    worker.queue.wait_due(&call(50), Duration::from_millis(20)).await.expect("at the end of its time");
    let long = call(51);
    let (waited, stored) = tokio::join!(
        worker.queue.wait_due(&long, Duration::from_secs(3000)),
        worker.store(52, &["a@one.example"], "x")
    );
    waited.expect("at a new item");
    worker.queue.item_handle(&call(53), stored, Handling::Remove).await.expect("it is removed");
}
