//! Several peers with one role, queues of several hosts, limits.

use super::{Pipes, call, remote, said};
use crate::client::{Failover, QueueHost, Queues};
use crate::serve::Served;
use catalog::tree::Tree;
use env::Env;
use env::settings::Settings;
use mail::address::Address;
use mail::envelope::{Origin, Recipient};
use mail::id::{HostName, MailboxId, QueueId, TraceId};
use mail::time::Timestamp;
use roles::directory::{Directory as _, DirectoryError};
use roles::queue::{MailQueue, NewItem, QueueError};
use roles::store::{MessageStore as _, StoreError};
use roles::{Body, Call};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use testkit::directory::{Down, ScriptedDirectory};
use testkit::memory_store::MemoryStore;
use testkit::queue::ScriptedQueue;

fn a_directory() -> (Arc<ScriptedDirectory>, Served) {
    let scripted = ScriptedDirectory::new();
    scripted.account("anna@example.com", "secret");
    let scripted = Arc::new(scripted);
    (scripted.clone(), Served { directory: Some(scripted), ..Served::default() })
}

#[tokio::test]
async fn a_directory_is_unavailable_only_when_all_peers_are() {
    let env = Env::for_test("imapserv");
    let ((first, of_first), (_, of_second)) = (a_directory(), a_directory());
    let (_, one, peer_one) = remote(&env, of_first);
    let (_, two, peer_two) = remote(&env, of_second);
    let directory = Failover::over(vec![peer_one, peer_two]);
    let find = || async { directory.account_find(&call(1), "anna@example.com".into()).await.map(drop) };
    assert_eq!(
        (find().await, two.made.load(Ordering::Acquire)),
        (Ok(()), 0),
        "the preferred one alone is asked"
    );
    // Its database is away; then it is there again and says that it knows nobody of that name.
    first.set_down(Down::Yes);
    assert_eq!(find().await, Ok(()));
    first.set_down(Down::No);
    let missing = directory.account_find(&call(2), "nobody".into()).await;
    assert!(matches!(missing, Err(DirectoryError::Missing(_))));
    // The host itself goes.
    one.open.store(false, Ordering::Release);
    one.restart();
    for _ in 0..200 {
        assert_eq!(find().await, Ok(()));
    }
    assert!(one.made.load(Ordering::Acquire) < 20, "it is passed over, not asked by every call");
    two.open.store(false, Ordering::Release);
    two.restart();
    assert_eq!(find().await, Err(DirectoryError::Unavailable));
    // The preferred one comes back, found without a caller that waits for it.
    one.open.store(true, Ordering::Release);
    let back = async {
        while find().await.is_err() {
            env.clock.sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), back).await.expect("it is found again");
}

#[tokio::test]
async fn a_role_that_no_peer_serves_is_refused_and_one_that_is_away_may_have_it() {
    let env = Env::for_test("imapserv");
    let (_, _, without) = remote(&env, Served::default());
    let (_, away, absent) = remote(&env, Served::default());
    let find =
        |directory: Failover| async move { directory.account_find(&call(1), "x".into()).await.map(drop) };
    let refused = find(Failover::over(vec![without.clone()])).await;
    assert!(matches!(refused, Err(DirectoryError::Invalid(_))), "{refused:?}");
    away.open.store(false, Ordering::Release);
    assert_eq!(find(Failover::over(vec![without, absent])).await, Err(DirectoryError::Unavailable));
}

#[tokio::test]
async fn a_call_that_never_went_out_goes_by_another_connection_although_it_changes_something() {
    let env = Env::for_test("mta");
    let served = Served { store: Some(Arc::new(MemoryStore::new())), ..Served::default() };
    let (store, pipes, _) = remote(&env, served);
    let mailbox = MailboxId(1);
    for number in 1..=6 {
        store.mailbox_create(&call(number), mailbox).await.expect("it can be made");
    }
    pipes.restart();
    // Both connections end; each is noticed by a call of its own at the latest.
    let gone = async {
        while said(&env, "NioConnectReadFail") == 0 {
            let _ = store.mailbox_delete(&call(9), mailbox).await;
            env.clock.sleep(Duration::from_millis(2)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), gone).await.expect("it is noticed");
    for number in 10..20 {
        assert_eq!(store.mailbox_delete(&call(number), mailbox).await.or_else(no_mailbox), Ok(()));
    }
}

fn no_mailbox(error: StoreError) -> Result<(), StoreError> {
    if error == StoreError::NoMailbox { Ok(()) } else { Err(error) }
}

fn item() -> NewItem {
    NewItem {
        origin: Origin::default(),
        to: vec![Recipient::from("b@example.org".parse::<Address>().expect("an address"))],
        body: Body::from_bytes("Subject: x\r\n\r\n"),
        trace: TraceId::new("t1"),
        arrived: Timestamp::from_micros(77),
        not_before: Timestamp::from_micros(78),
    }
}

/// Two queue hosts behind pipes and the two as one, in the order of their names.
fn two_queues(env: &Env) -> ([Arc<ScriptedQueue>; 2], [Arc<Pipes>; 2], Queues) {
    let queues = [(); 2].map(|()| Arc::new(ScriptedQueue::new()));
    let there = |at: usize| {
        let served = Served { queue: Some(queues[at].clone()), ..Served::default() };
        remote(env, served)
    };
    let ((one, pipes_one, _), (two, pipes_two, _)) = (there(0), there(1));
    let names = ["alpha", "beta"].map(HostName::new);
    let hosts = names.iter().cloned().zip([one, two].map(QueueHost::There)).collect();
    let all = Queues::new(env.clone(), hosts, &names, &names).expect("the names are those of the hosts");
    (queues, [pipes_one, pipes_two], all)
}

#[tokio::test]
async fn mail_goes_to_the_next_queue_only_when_the_first_certainly_has_not_got_it() {
    let env = Env::for_test("mta");
    let (queues, pipes, all) = two_queues(&env);
    let counts = || (queues[0].items().len(), queues[1].items().len());
    let mut ids = vec![all.item_store(&call(1), item()).await.expect("the first takes it")];
    assert_eq!(counts(), (1, 0));
    queues[0].fail(Some(QueueError::NoSpace));
    ids.push(all.item_store(&call(2), item()).await.expect("the second takes it"));
    assert_eq!(counts(), (1, 1));
    // In doubt: whoever sent it comes again.
    queues[0].fail(Some(QueueError::Unavailable));
    assert_eq!(all.item_store(&call(3), item()).await, Err(QueueError::Unavailable));
    assert_eq!(counts(), (1, 1));
    pipes[0].open.store(false, Ordering::Release);
    pipes[0].restart();
    // Until an end of a connection is noticed, an item is in doubt.
    let over = async {
        loop {
            if let Ok(id) = all.item_store(&call(5), item()).await {
                return id;
            }
        }
    };
    ids.push(tokio::time::timeout(Duration::from_secs(20), over).await.expect("the second takes it"));
    assert_eq!(counts(), (1, 2));
    assert_eq!(all.item_claim(&call(6), 10, Duration::from_secs(9)).await.map(|c| c.len()), Ok(0));
    assert_eq!(
        ids.iter().map(|id| id.0 & 0xffff).collect::<Vec<_>>(),
        [1, 1, 2],
        "each host counts by itself"
    );
    ids.dedup();
    assert_eq!(ids.len(), 3, "and no two ids are the same");
    let nobody = all.item_handle(&call(7), QueueId(1), roles::queue::Handling::Hold).await;
    assert_eq!(nobody, Err(QueueError::NoItem));
}

#[tokio::test]
async fn waiting_for_mail_goes_on_while_one_queue_is_away() {
    let env = Env::for_test("mta");
    let (_, pipes, all) = two_queues(&env);
    pipes[0].open.store(false, Ordering::Release);
    assert_eq!(all.wait_due(&call(1), Duration::from_millis(20)).await, Ok(()));
    pipes[1].open.store(false, Ordering::Release);
    pipes[1].restart();
    let both = async { while all.wait_due(&call(2), Duration::from_millis(1)).await.is_ok() {} };
    tokio::time::timeout(Duration::from_secs(20), both).await.expect("all are away");
    let names = [HostName::new("gamma")];
    assert!(Queues::new(env, BTreeMap::new(), &names, &[]).is_err());
}

#[tokio::test]
async fn its_22357_more_requests_than_a_store_host_may_have_are_told_that_it_is_busy() {
    let mut env = Env::for_test("imapserv");
    let tree = Tree::parse(
        "/*/imapserv/maxMSSRetrieveConnectionList: [pluto:9][mars:1]\n\
         /*/imapserv/maxMSSRetrieveConnectionTimeout: [0]\n",
    );
    env.settings = Settings::new("venus", "imapserv", tree.expect("a tree"));
    let queue = Arc::new(ScriptedQueue::new());
    let served =
        Served { queue: Some(queue), store: Some(Arc::new(MemoryStore::new())), ..Served::default() };
    let (host, ..) = remote(&env, served);
    let usage = || host.mailbox_usage(&BRIEF, MailboxId(1));
    assert!(usage().await.is_ok(), "one at a time");
    let mut holding = host.wait_due(&BRIEF, Duration::from_secs(600));
    assert!(futures_util::poll!(&mut holding).is_pending());
    assert_eq!(usage().await, Err(StoreError::Busy));
    drop(holding);
    assert!(usage().await.is_ok(), "its place is free again");
}

static BRIEF: std::sync::LazyLock<Call> = std::sync::LazyLock::new(|| call(1));
