//! What the roles promise holds over the wire.

use super::{call, remote, said};
use crate::serve::Served;
use env::Env;
use mail::address::Address;
use mail::envelope::Recipient;
use mail::flags::Flags;
use mail::id::{FolderId, MailboxId, TraceId};
use mail::sequence::NumberSet;
use mail::time::Timestamp;
use roles::Body;
use roles::directory::{Directory as _, Route};
use roles::queue::{MailQueue as _, NewItem, Outcome};
use roles::store::{Append, Deliver, DeliverTo, MessageStore, Need, Quota, Read, Repeatable, StoreError};
use std::sync::Arc;
use std::time::Duration;
use testkit::conformance;
use testkit::memory_store::MemoryStore;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_behind_the_wire_keeps_all_promises_of_a_store() {
    let env = Env::for_test("mss");
    let served = Served { store: Some(Arc::new(MemoryStore::new())), ..Served::default() };
    let (store, ..) = remote(&env, served);
    testkit::conformance::store::all(&store, MailboxId(100)).await;
    testkit::conformance::store::all(&store, MailboxId(-900)).await;
}

async fn read_all(body: &Body) -> std::io::Result<Vec<u8>> {
    let mut all = Vec::new();
    while (all.len() as u64) < body.len() {
        all.extend_from_slice(&body.read(all.len() as u64, 100_000).await?);
    }
    Ok(all)
}

fn read(mailbox: MailboxId) -> Read {
    let (folder, uids, need) = (FolderId::INBOX, NumberSet::all(), Need::Body);
    Read { mailbox, folder, uids, need, changed_since: None, limit: 10 }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn its_24296_large_bodies_go_in_chunks_and_come_by_range_until_they_are_gone() {
    let env = Env::for_test("mss");
    let served = Served { store: Some(Arc::new(MemoryStore::new())), ..Served::default() };
    let (store, pipes, _) = remote(&env, served);
    let text: Vec<u8> = (0..3_000_000_u32).map(|n| b'a' + (n % 23) as u8).collect();
    let mailbox = MailboxId(1);
    store.mailbox_create(&call(1), mailbox).await.unwrap();
    let to = DeliverTo { mailbox, folder: None, quota: Quota::default(), flags: Flags::default() };
    let deliver = Deliver {
        to: vec![to],
        body: Body::from_bytes(text.clone()),
        received: Timestamp::from_secs(5),
        repeatable: Repeatable::Yes,
    };
    for _ in 0..2 {
        assert!(store.message_deliver(&call(9), deliver.clone()).await.unwrap()[0].is_ok());
    }
    let page = store.message_read(&call(2), read(mailbox)).await.unwrap();
    assert_eq!(page.messages.len(), 1, "the same request is the same message");
    let body = page.messages[0].body.clone().unwrap();
    assert!(read_all(&body).await.unwrap() == text);
    // As the thread of a store would read it.
    let blocking = std::thread::spawn({
        let body = body.clone();
        move || body.read_blocking(2_000_000, 1000)
    });
    let stretch = tokio::task::block_in_place(|| blocking.join()).unwrap().unwrap();
    assert_eq!(stretch, text[2_000_000..2_001_000]);
    store.message_delete(&call(3), mailbox, FolderId::INBOX, NumberSet::all()).await.unwrap();
    assert!(body.read(2_000_000, 10).await.is_ok(), "what was begun can be read on");
    pipes.restart();
    let mut gone = body.read(2_000_000, 10).await.unwrap_err();
    for _ in 0..500 {
        // Each connection of before has to be found broken first: until then the store is out of reach.
        if gone.kind() == std::io::ErrorKind::NotFound {
            break;
        }
        env.clock.sleep(Duration::from_millis(10)).await;
        gone = body.read(2_000_000, 10).await.unwrap_err();
    }
    assert_eq!(gone.kind(), std::io::ErrorKind::NotFound);
    assert!(said(&env, "RmeStaleRef") == 1);
}

#[tokio::test]
async fn an_append_beyond_the_quota_is_refused_by_its_name() {
    let env = Env::for_test("mss");
    let served = Served { store: Some(Arc::new(MemoryStore::new())), ..Served::default() };
    let (store, ..) = remote(&env, served);
    let mailbox = MailboxId(1);
    store.mailbox_create(&call(1), mailbox).await.unwrap();
    let append = Append {
        mailbox,
        folder: "INBOX".into(),
        flags: Flags::default(),
        received: Timestamp::from_secs(5),
        body: Body::from_bytes(vec![b'x'; 400_000]),
        quota: Quota { bytes: 10, messages: 0, warning: None },
    };
    assert_eq!(store.message_append(&call(2), append).await.unwrap_err(), StoreError::OverQuota);
}

#[tokio::test]
async fn a_manager_behind_the_wire_keeps_all_promises_of_a_manager() {
    let scripted = Arc::new(testkit::manager::ScriptedManager::new(&["mta", "popserv"]));
    conformance::manager::all(&*scripted, "mta").await;
    let env = Env::for_test("immgrserv");
    let (manager, ..) = remote(&env, Served { manager: Some(scripted), ..Served::default() });
    conformance::manager::all(&manager, "popserv").await;
}

#[tokio::test]
async fn a_directory_behind_the_wire_keeps_all_promises_of_a_directory() {
    let scripted = testkit::directory::ScriptedDirectory::new();
    scripted.account("anna@example.com", "secret");
    let scripted = Arc::new(scripted);
    conformance::directory::all(&*scripted, "anna@example.com", "secret").await;
    let env = Env::for_test("imdircacheserv");
    let (directory, ..) = remote(&env, Served { directory: Some(scripted), ..Served::default() });
    conformance::directory::all(&directory, "anna@example.com", "secret").await;
}

#[tokio::test]
async fn a_directory_behind_the_wire_answers_as_it_does_here() {
    let env = Env::for_test("imdircacheserv");
    let scripted = testkit::directory::ScriptedDirectory::new();
    let account = scripted.account("anna@example.com", "secret");
    scripted.local("team@example.com", Some(account.clone()), &["x@elsewhere.example"]);
    scripted.route("mx@relayed.example", Route::Relay(Some(("mx.example".into(), 2525))));
    let scripted = Arc::new(scripted);
    let (directory, ..) = remote(&env, Served { directory: Some(scripted.clone()), ..Served::default() });
    let address = |text: &str| text.parse::<Address>().unwrap();
    for name in ["anna@example.com", "team@example.com", "mx@relayed.example", "nobody@example.com"] {
        let here = scripted.address_route(&call(1), address(name)).await;
        assert_eq!(directory.address_route(&call(1), address(name)).await, here, "{name}");
    }
    let origin = roles::directory::Origin {
        protocol: roles::directory::Protocol::Imap,
        transport: roles::directory::Transport::Tls,
        peer: "192.0.2.1".parse().unwrap(),
        local: "::1".parse().unwrap(),
    };
    for password in ["secret", "wrong"] {
        let proof = || roles::directory::Proof::Password(mail::secret::Secret::new(password));
        let login = || roles::directory::Login { name: "anna@example.com".into(), proof: proof(), origin };
        let here = scripted.authenticate(&call(1), login()).await;
        assert_eq!(directory.authenticate(&call(1), login()).await, here);
    }
    let found = directory.account_find(&call(1), "anna@example.com".into()).await;
    assert_eq!(found, scripted.account_find(&call(1), "anna@example.com".into()).await);
}

#[tokio::test]
async fn a_queue_behind_the_wire_takes_items_whole() {
    let env = Env::for_test("imqueueserv");
    let scripted = Arc::new(testkit::queue::ScriptedQueue::new());
    let (queue, ..) = remote(&env, Served { queue: Some(scripted.clone()), ..Served::default() });
    let item = NewItem {
        origin: mail::envelope::Origin::default(),
        to: vec![Recipient::from("b@example.org".parse::<Address>().unwrap())],
        body: Body::from_bytes(vec![b'q'; 700_000]),
        trace: TraceId::new("t1"),
        arrived: Timestamp::from_micros(77),
        not_before: Timestamp::from_micros(78),
    };
    queue.item_store(&call(1), item.clone()).await.unwrap();
    let stored = scripted.items();
    assert_eq!((stored[0].to.clone(), stored[0].arrived), (item.to, item.arrived));
    assert!(read_all(&stored[0].body).await.unwrap() == vec![b'q'; 700_000]);
    scripted.fail(Some(roles::queue::QueueError::NoSpace));
    let outcome = vec![("b@example.org".parse().unwrap(), Outcome::Delivered { reply: "ok".into() })];
    let settled = queue.item_settle(&call(2), mail::id::QueueId(1), 1, outcome).await;
    assert_eq!(settled.err(), scripted.item_settle(&call(2), mail::id::QueueId(1), 1, vec![]).await.err());
    let _ = queue.wait_due(&call(3), Duration::from_millis(1)).await;
}
