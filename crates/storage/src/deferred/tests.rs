use super::*;
use bytes::Bytes;
use mail::address::{Address, Domain};
use mail::envelope::Recipient;
use std::collections::{BTreeMap, HashSet};

struct Place {
    folder: tempfile::TempDir,
    env: Env,
}

impl Place {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap(), env: Env::for_test("imqueueserv") }
    }

    fn open(&self) -> Deferred {
        let options = ShardOptions { reserve: 0, ..ShardOptions::default() };
        Deferred::open(self.folder.path(), options, &self.env).unwrap()
    }
}

fn at(secs: i64) -> Timestamp {
    Timestamp::from_secs(secs)
}

fn domain(name: &str) -> DomainKey {
    DomainKey::of(&Domain::parse(name).unwrap())
}

fn group(domain_name: &str, users: &[&str], due: i64) -> GroupRow {
    let recipient = |user: &&str| RecipientRow {
        recipient: Recipient::from(Address::parse(&format!("{user}@{domain_name}")).unwrap()),
        attempts: 0,
        next: at(due),
        warned: false,
        last_reply: None,
    };
    GroupRow { domain: domain(domain_name), recipients: users.iter().map(recipient).collect() }
}

fn item(id: u64, groups: Vec<GroupRow>) -> NewItem {
    NewItem {
        id: QueueId(id),
        origin: Origin::default(),
        trace: TraceId::new("t"),
        arrived: at(0),
        groups,
        body: Arc::new(Bytes::from(format!("body of {id}"))),
    }
}

fn key(id: u64, number: u16) -> GroupKey {
    GroupKey { item: QueueId(id), number }
}

async fn due_keys(queue: &Deferred, now: i64) -> Vec<GroupKey> {
    let domains = queue.domains().await.unwrap().into_iter().map(|(d, _)| (d, 100)).collect();
    let due = queue.due(domains, at(now), 100, |_| false).await.unwrap();
    due.found.iter().map(|f| f.key).collect()
}

async fn body_of(queue: &Deferred, found: &Found) -> Bytes {
    let blob = queue.body(&found.item).await.unwrap();
    queue.shard().blob_body(&blob, 0..blob.len()).await.unwrap()
}

#[tokio::test]
async fn what_is_stored_is_found_when_due_and_survives_a_crash() {
    let place = Place::new();
    let queue = place.open();
    queue
        .store(item(1, vec![group("a.example", &["x", "y"], 10), group("b.example", &["z"], 20)]))
        .await
        .unwrap();
    assert_eq!(due_keys(&queue, 9).await, []);
    assert_eq!(due_keys(&queue, 10).await, [key(1, 0)]);
    // No farewell: what was acknowledged must be there without one.
    drop(queue);
    let queue = reopen(&place).await;
    assert_eq!(queue.last_id().await.unwrap(), Some(QueueId(1)));
    let mut domains = queue.domains().await.unwrap();
    domains.sort_by_key(|(_, due)| *due);
    assert_eq!(domains, [(domain("a.example"), at(10)), (domain("b.example"), at(20))]);
    let share = vec![(domain("a.example"), 9), (domain("b.example"), 9)];
    let due = queue.due(share, at(15), 9, |_| false).await.unwrap();
    assert_eq!(due.more, [(domain("b.example"), at(20))]);
    assert_eq!(due.found[0].group, group("a.example", &["x", "y"], 10));
    assert_eq!(body_of(&queue, &due.found[0]).await, "body of 1");
}

/// The lock of a shard that was dropped goes when its thread has ended.
async fn reopen(place: &Place) -> Deferred {
    let options = ShardOptions { reserve: 0, ..ShardOptions::default() };
    for _ in 0..1000 {
        match Deferred::open(place.folder.path(), options.clone(), &place.env) {
            Ok(queue) => return queue,
            Err(ShardError::Locked) => place.env.clock.sleep(std::time::Duration::from_millis(2)).await,
            Err(other) => panic!("{other}"),
        }
    }
    panic!("still locked");
}

#[tokio::test]
async fn shares_and_claims_bound_what_is_found() {
    let place = Place::new();
    let queue = place.open();
    for id in 1..=5 {
        queue.store(item(id, vec![group("a.example", &["x"], id.cast_signed())])).await.unwrap();
    }
    let claimed: HashSet<_> = [key(1, 0)].into();
    let due =
        queue.due(vec![(domain("a.example"), 2)], at(9), 9, move |k| claimed.contains(k)).await.unwrap();
    assert_eq!(due.found.iter().map(|f| f.key).collect::<Vec<_>>(), [key(2, 0), key(3, 0)]);
    assert_eq!(due.more, [(domain("a.example"), at(4))]);
    let due = queue.due(vec![(domain("a.example"), 9)], at(9), 1, |_| false).await.unwrap();
    assert_eq!((due.found.len(), due.more.len()), (1, 1));
}

#[tokio::test]
async fn the_last_recipient_takes_item_and_body_with_it() {
    let place = Place::new();
    let queue = place.open();
    queue
        .store(item(1, vec![group("a.example", &["x", "y"], 1), group("b.example", &["z"], 1)]))
        .await
        .unwrap();
    let later = |_: &ItemRow, g: &mut GroupRow| {
        g.recipients.retain(|r| r.recipient.address.local() == "x");
        g.recipients[0].next = at(50);
        g.recipients[0].last_reply = Some("451 later".into());
    };
    let ((), left) = queue.change(key(1, 0), later).await.unwrap().unwrap();
    assert_eq!(left, Left { domain: domain("a.example"), recipients: 1, due: Some(at(50)) });
    assert_eq!(due_keys(&queue, 49).await, [key(1, 1)]);
    for number in [0, 1] {
        let done = queue.change(key(1, number), |_, g| g.recipients.clear()).await.unwrap();
        assert_eq!(done.unwrap().1.due, None);
    }
    assert!(queue.change(key(1, 0), |_, _| ()).await.unwrap().is_none());
    assert_eq!(queue.counts(at(99)).await.unwrap(), (0, 0));
    assert_eq!(queue.last_id().await.unwrap(), None);
    assert_eq!(queue.domains().await.unwrap(), []);
}

#[tokio::test]
async fn held_items_are_not_due_until_released() {
    let place = Place::new();
    let queue = place.open();
    queue.store(item(1, vec![group("a.example", &["x"], 1)])).await.unwrap();
    let domains = queue.reschedule(QueueId(1), Held::Yes, at(1)).await.unwrap();
    assert_eq!(domains, Some(vec![domain("a.example")]));
    assert_eq!(due_keys(&queue, 9).await, []);
    // A worker that had it when it was held does not make it due again.
    let ((), left) = queue.change(key(1, 0), |_, g| g.recipients[0].next = at(5)).await.unwrap().unwrap();
    assert_eq!((left.due, due_keys(&queue, 9).await), (None, vec![]));
    let list = queue.list(None, 9).await.unwrap();
    assert_eq!((list.len(), list[0].1.held), (1, Held::Yes));
    queue.reschedule(QueueId(1), Held::No, at(7)).await.unwrap();
    assert_eq!((due_keys(&queue, 6).await, due_keys(&queue, 7).await), (vec![], vec![key(1, 0)]));
    assert_eq!(queue.reschedule(QueueId(2), Held::No, at(7)).await.unwrap(), None);
}

#[tokio::test]
async fn a_domain_is_started_a_page_is_listed_an_item_is_removed() {
    let place = Place::new();
    let queue = place.open();
    for id in 1..=4 {
        let name = if id == 4 { "b.example" } else { "a.example" };
        queue.store(item(id, vec![group(name, &["x"], 100 + id.cast_signed())])).await.unwrap();
    }
    assert_eq!(queue.start_domain(domain("a.example"), at(50)).await.unwrap(), 3);
    assert_eq!(queue.start_domain(domain("a.example"), at(50)).await.unwrap(), 0);
    assert_eq!(due_keys(&queue, 50).await.len(), 3);
    let ids =
        |list: Vec<(QueueId, ItemRow, Vec<GroupRow>)>| list.into_iter().map(|l| l.0.0).collect::<Vec<_>>();
    assert_eq!(ids(queue.list(None, 2).await.unwrap()), [1, 2]);
    assert_eq!(ids(queue.list(Some(QueueId(2)), 9).await.unwrap()), [3, 4]);
    assert!(queue.remove(QueueId(2)).await.unwrap().is_some());
    assert!(queue.remove(QueueId(2)).await.unwrap().is_none());
    assert_eq!(queue.counts(at(50)).await.unwrap(), (3, 2));
}

#[tokio::test]
async fn its_22223_a_damaged_row_is_set_aside_and_blocks_nobody() {
    let place = Place::new();
    let queue = place.open();
    queue.store(item(1, vec![group("a.example", &["x"], 1)])).await.unwrap();
    queue.store(item(2, vec![group("a.example", &["x"], 2)])).await.unwrap();
    let damage = |tx: &mut Transaction<'_>| tx.put(&rows::group_key(key(1, 0)), b"\xff");
    queue.shard().commit::<_, ShardError, _>(damage).await.unwrap();
    let due = queue.due(vec![(domain("a.example"), 9)], at(9), 9, |_| false).await.unwrap();
    assert_eq!((due.damaged, due.found.len()), (vec![key(1, 0)], 1));
    assert_eq!(due_keys(&queue, 9).await, [key(2, 0)]);
    assert!(queue.remove(QueueId(1)).await.unwrap().is_some());
    assert_eq!(queue.counts(at(9)).await.unwrap(), (1, 1));
}

/// A few hundred steps by chance against a map, with a reopening now and then: what is due is always the same.
#[tokio::test]
async fn agrees_with_a_map_over_many_steps() {
    let place = Place::new();
    let mut queue = place.open();
    let mut model: BTreeMap<GroupKey, (DomainKey, i64)> = BTreeMap::new();
    let random = &place.env.random;
    let names = ["a.example", "b.example", "c.example"];
    for step in 1..=400u64 {
        let when = random.below(50).cast_signed();
        let some =
            model.keys().nth(usize::try_from(random.below(model.len().max(1) as u64)).unwrap()).copied();
        match (random.below(5), some) {
            (0 | 1, _) | (_, None) => {
                let name = names[usize::try_from(random.below(3)).unwrap()];
                queue.store(item(step, vec![group(name, &["x"], when); 2])).await.unwrap();
                model.extend([0, 1].map(|n| (key(step, n), (domain(name), when))));
            }
            (2 | 3, Some(key)) => {
                queue.change(key, move |_, g| g.recipients[0].next = at(when)).await.unwrap().unwrap();
                model.get_mut(&key).unwrap().1 = when;
            }
            (_, Some(key)) => {
                queue.change(key, |_, g| g.recipients.clear()).await.unwrap().unwrap();
                model.remove(&key);
            }
        }
        if step % 100 == 0 {
            drop(queue);
            queue = reopen(&place).await;
        }
        let now = random.below(50).cast_signed();
        let domains = queue.domains().await.unwrap().into_iter().map(|(d, _)| (d, 1000)).collect();
        let due = queue.due(domains, at(now), 1000, |_| false).await.unwrap();
        let found: HashSet<_> = due.found.iter().map(|f| f.key).collect();
        let expected: HashSet<_> =
            model.iter().filter(|(_, (_, due))| *due <= now).map(|(k, _)| *k).collect();
        assert_eq!(found, expected, "step {step}");
    }
}

#[tokio::test]
async fn whatever_happens_to_items_their_bodies_add_up() {
    let place = Place::new();
    let queue = place.open();
    for id in 1..20 {
        let groups = vec![group("a.example", &["x", "y"], 10), group("b.example", &["z"], 10)];
        queue.store(item(id, groups)).await.unwrap();
    }
    for id in 1..8 {
        queue.change(key(id, 0), |_, group| group.recipients.clear()).await.unwrap();
    }
    for id in 5..10 {
        queue.change(key(id, 1), |_, group| group.recipients.clear()).await.unwrap();
    }
    queue.remove(QueueId(12)).await.unwrap();
    let audit = queue.audit().await.unwrap();
    assert!(audit.is_clean() && audit.live_bytes > 0, "{audit:?}");
    let left = queue.list(None, 100).await.unwrap();
    assert_eq!(left.len(), 19 - 3 - 1);
    for (id, ..) in left {
        queue.remove(id).await.unwrap();
    }
    assert_eq!(queue.audit().await.unwrap().live_bytes, 0);
}
