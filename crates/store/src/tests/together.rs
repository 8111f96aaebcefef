//! Many at the same time, large requests, full disks: what a store does under load it does right.

use super::*;
use bytes::Bytes;
use mail::flags::{FlagAction, Flags, SystemFlags};
use mail::id::{FolderId, Uid};
use mail::sequence::NumberSet;
use mail::time::Timestamp;
use roles::store::{
    Append, Deliver, DeliverTo, FlagsChange, Need, Placed, Quota, Read, Repeatable, StoreError,
};
use roles::{Body, BodySource};
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use storage::mailboxes::references;
use storage::sim::SimDisk;
use tokio::task::JoinSet;

/// Longer than anything here may take.
const PATIENCE: Duration = Duration::from_secs(60);

fn delivery(to: &[MailboxId], body: Body) -> Deliver {
    let one = |id: &MailboxId| DeliverTo {
        mailbox: *id,
        folder: None,
        quota: Quota::default(),
        flags: Flags::default(),
    };
    let (to, received) = (to.iter().map(one).collect(), Timestamp::default());
    Deliver { to, body, received, repeatable: Repeatable::No }
}

async fn deliver(store: &Store, to: MailboxId, text: &str) -> Placed {
    let asked = delivery(&[to], Body::from_bytes(text.to_owned()));
    store.message_deliver(&call(1), asked).await.unwrap()[0].clone().unwrap()
}

async fn append(store: &Store, to: MailboxId, folder: &str, text: &str) -> Uid {
    store.mailbox_create(&call(1), to).await.unwrap();
    let append = Append {
        mailbox: to,
        folder: folder.into(),
        flags: Flags::default(),
        received: Timestamp::default(),
        body: Body::from_bytes(text.to_owned()),
        quota: Quota::default(),
    };
    store.message_append(&call(1), append).await.unwrap().uid
}

/// The texts of a folder by UID.
async fn texts(store: &Store, mailbox: MailboxId, folder: FolderId) -> Vec<(u32, String)> {
    let read =
        Read { mailbox, folder, uids: NumberSet::all(), need: Need::Body, changed_since: None, limit: 1000 };
    let mut texts = Vec::new();
    for message in store.message_read(&call(1), read).await.unwrap().messages {
        let body = message.body.unwrap();
        let bytes = body.read(0, usize::MAX).await.unwrap();
        texts.push((message.uid.0, String::from_utf8_lossy(&bytes).into_owned()));
    }
    texts
}

/// Every reference is counted, and nothing is there that nobody refers to.
async fn adds_up(store: &Store) {
    for shard in &store.inner().shards {
        let audit = shard.audit(|view| Ok(references(view)?.0)).await.unwrap();
        assert!(audit.is_clean(), "{audit:?}");
    }
}

/// A body that comes to its middle and waits there.
struct Halting {
    bytes: Bytes,
    there: SyncSender<()>,
    go: Mutex<Receiver<()>>,
}

impl BodySource for Halting {
    fn len(&self) -> u64 {
        self.bytes.len() as u64
    }

    fn in_memory(&self) -> Option<Bytes> {
        None
    }

    fn read_blocking(&self, offset: u64, at_most: usize) -> io::Result<Bytes> {
        let from = offset as usize;
        if from <= self.bytes.len() / 2 && self.bytes.len() / 2 < from + at_most {
            let _ = self.there.send(());
            let _ = self.go.lock().unwrap_or_else(PoisonError::into_inner).recv();
        }
        Ok(self.bytes.slice(from..(from + at_most).min(self.bytes.len())))
    }

    fn read<'a>(
        &'a self,
        offset: u64,
        at_most: usize,
    ) -> Pin<Box<dyn Future<Output = io::Result<Bytes>> + Send + 'a>> {
        let from = offset as usize;
        let piece = self.bytes.slice(from..(from + at_most).min(self.bytes.len()));
        Box::pin(std::future::ready(Ok(piece)))
    }
}

#[tokio::test]
async fn its_13253_a_message_is_seen_whole_or_not_at_all() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path(), 1).unwrap();
    deliver(&store, MailboxId(1), "first").await;
    let ((there, begun), (go, wait)) = (sync_channel(1), sync_channel::<()>(1));
    let bytes = Bytes::from(vec![b'x'; 600_000]);
    let body = Body::new(Arc::new(Halting { bytes: bytes.clone(), there, go: Mutex::new(wait) }));
    let (writing, mut tasks) = (store.clone(), JoinSet::new());
    tasks.spawn(async move {
        writing.message_deliver(&call(2), delivery(&[MailboxId(1)], body)).await.unwrap();
    });
    tasks.spawn_blocking(move || begun.recv().unwrap());
    tasks.join_next().await.unwrap().unwrap();
    // Half of it is in the store now: nobody sees anything of it.
    assert_eq!(texts(&store, MailboxId(1), FolderId::INBOX).await, [(1, "first".to_owned())]);
    assert_eq!(store.mailbox_usage(&call(1), MailboxId(1)).await.unwrap().messages, 1);
    go.send(()).unwrap();
    tasks.join_next().await.unwrap().unwrap();
    let read = Read {
        mailbox: MailboxId(1),
        folder: FolderId::INBOX,
        uids: NumberSet::one(2),
        need: Need::Body,
        changed_since: None,
        limit: 1,
    };
    let page = store.message_read(&call(1), read).await.unwrap();
    let mut whole = vec![0; bytes.len()];
    page.messages[0].body.as_ref().unwrap().fill_blocking(0, &mut whole).unwrap();
    assert_eq!(whole, bytes);
    store.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn its_14911_however_many_make_a_mailbox_there_is_one() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path(), 2).unwrap();
    let mut tasks = JoinSet::new();
    for n in 0..40 {
        let store = store.clone();
        tasks.spawn(async move {
            if n % 2 == 0 {
                store.mailbox_create(&call(n), MailboxId(5)).await.unwrap();
                return None;
            }
            Some(deliver(&store, MailboxId(5), &format!("message {n}")).await)
        });
    }
    let placed: Vec<Placed> = tasks.join_all().await.into_iter().flatten().collect();
    assert!(placed.iter().all(|p| p.uid_validity == placed[0].uid_validity));
    let mut uids: Vec<u32> = placed.iter().map(|p| p.uid.0).collect();
    uids.sort_unstable();
    assert_eq!(uids, (1..=20).collect::<Vec<_>>());
    let list = store.folder_list(&call(1), MailboxId(5)).await.unwrap();
    assert_eq!((list.folders.len(), list.folders[0].messages), (1, 20));
    store.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn its_13771_everybody_finds_his_own_mailbox_or_none() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path(), 3).unwrap();
    let mut tasks = JoinSet::new();
    for n in 0..24 {
        let (store, mailbox) = (store.clone(), MailboxId(n * 7 - 50));
        tasks.spawn(async move {
            for round in 0..6 {
                let text = format!("{} {round}", mailbox.0);
                let none = store.folder_list(&call(1), mailbox).await;
                assert_eq!(none.unwrap_err(), StoreError::NoMailbox);
                deliver(&store, mailbox, &text).await;
                assert_eq!(texts(&store, mailbox, FolderId::INBOX).await, [(1, text)]);
                store.mailbox_delete(&call(1), mailbox).await.unwrap();
            }
        });
    }
    tasks.join_all().await;
    store.close().await;
}

/// One of many who use a mailbox: delivers, marks, removes, opens.
async fn use_mailbox(store: Store, n: u32) -> Vec<(u32, bool)> {
    let mut mine = Vec::new();
    for round in 0..12 {
        let uid = deliver(&store, MailboxId(9), &format!("{n} {round}")).await.uid;
        let goes = (n + round).is_multiple_of(3);
        if goes {
            let change = FlagsChange {
                mailbox: MailboxId(9),
                folder: FolderId::INBOX,
                uids: NumberSet::one(uid.0),
                action: FlagAction::Add,
                flags: Flags::system(SystemFlags::DELETED),
                unchanged_since: None,
            };
            store.flags_change(&call(1), change).await.unwrap();
            let gone = store
                .message_expunge(&call(1), MailboxId(9), FolderId::INBOX, NumberSet::one(uid.0))
                .await
                .unwrap();
            assert_eq!(gone, NumberSet::one(uid.0));
        }
        mine.push((uid.0, !goes));
        let opened = store.folder_open(&call(1), MailboxId(9), "INBOX".into()).await.unwrap();
        assert_eq!(opened.uids.len(), u64::from(opened.folder.messages));
        assert!(mine.iter().all(|(uid, there)| opened.uids.contains(*uid) == *there));
    }
    mine
}

/// MSS 14739: concurrent delivery, expunge and load; 18414: folder select is thread safe; 22350: the rows of messages
/// stay consistent.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn its_14739_deliveries_removals_and_openings_do_not_disturb_each_other() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path(), 2).unwrap();
    let mut tasks = JoinSet::new();
    for n in 0..16 {
        tasks.spawn(use_mailbox(store.clone(), n));
    }
    let mut left: Vec<u32> = tasks
        .join_all()
        .await
        .into_iter()
        .flatten()
        .filter(|(_, there)| *there)
        .map(|(uid, _)| uid)
        .collect();
    left.sort_unstable();
    let found = texts(&store, MailboxId(9), FolderId::INBOX).await;
    assert_eq!(found.iter().map(|(uid, _)| *uid).collect::<Vec<_>>(), left);
    let usage = store.mailbox_usage(&call(1), MailboxId(9)).await.unwrap();
    assert_eq!(usage.messages, left.len() as u64);
    adds_up(&store).await;
    store.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn its_18414_a_folder_that_changes_opens_as_it_was_at_one_moment() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path(), 1).unwrap();
    // Two messages come and go together in one request: nobody may see one of them alone.
    append(&store, MailboxId(1), "INBOX", "1").await;
    append(&store, MailboxId(1), "INBOX", "2").await;
    store.folder_create(&call(1), MailboxId(1), "a".into(), None).await.unwrap();
    let a = store.folder_status(&call(1), MailboxId(1), "a".into()).await.unwrap().id;
    let mut tasks = JoinSet::new();
    for _ in 0..3 {
        let store = store.clone();
        tasks.spawn(async move {
            for _ in 0..200 {
                let opened = store.folder_open(&call(1), MailboxId(1), "a".into()).await.unwrap();
                assert!(opened.uids.len() % 2 == 0, "{:?}", opened.uids);
                assert_eq!(opened.uids.len(), u64::from(opened.folder.messages));
            }
        });
    }
    for _ in 0..60 {
        let (call, all) = (call(1), NumberSet::all());
        let copy =
            store.message_copy(&call, MailboxId(1), FolderId::INBOX, all, "a".into(), Quota::default());
        let to = copy.await.unwrap().to.into_iter().map(|uid| uid.0).collect();
        store.message_delete(&call, MailboxId(1), a, to).await.unwrap();
    }
    tasks.join_all().await;
    store.close().await;
}

#[tokio::test]
async fn its_15777_thousands_of_messages_move_and_go_in_one_request() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path(), 1).unwrap();
    let (mailbox, inbox) = (MailboxId(3), FolderId::INBOX);
    append(&store, mailbox, "INBOX", "one of many").await;
    for name in ["a", "b"] {
        store.folder_create(&call(1), mailbox, name.into(), None).await.unwrap();
    }
    // 2^12 messages: more than one commit takes.
    for _ in 0..12 {
        let all = NumberSet::all();
        store.message_copy(&call(1), mailbox, inbox, all, "INBOX".into(), Quota::default()).await.unwrap();
    }
    let all = NumberSet::all();
    let moved = store.message_move(&call(1), mailbox, inbox, all.clone(), "a".into()).await.unwrap();
    assert_eq!((moved.from.len(), moved.to.len()), (4096, 4096));
    let a = store.folder_status(&call(1), mailbox, "a".into()).await.unwrap();
    let inbox = store.folder_status(&call(1), mailbox, "INBOX".into()).await.unwrap();
    assert_eq!((a.messages, inbox.messages), (4096, 0));
    let gone = store.message_delete(&call(1), mailbox, a.id, all).await.unwrap();
    assert_eq!(gone.len(), 4096);
    assert_eq!(store.mailbox_usage(&call(1), mailbox).await.unwrap().messages, 0);
    adds_up(&store).await;
    store.close().await;
}

#[tokio::test]
async fn its_17653_a_store_ends_after_a_mailbox_with_shared_messages_went() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path(), 2).unwrap();
    let all: Vec<MailboxId> = (0..20).map(MailboxId).collect();
    for _ in 0..5 {
        let body = Body::from_bytes(vec![b's'; 100_000]);
        store.message_deliver(&call(1), delivery(&all, body)).await.unwrap();
    }
    for mailbox in &all[..10] {
        store.mailbox_delete(&call(1), *mailbox).await.unwrap();
    }
    tokio::time::timeout(PATIENCE, store.close()).await.expect("the store does not end");
    let store = open(dir.path(), 2).unwrap();
    assert_eq!(texts(&store, MailboxId(15), FolderId::INBOX).await.len(), 5);
    adds_up(&store).await;
    store.close().await;
}

#[tokio::test]
async fn its_19890_a_message_moves_to_where_it_is_already() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path(), 1).unwrap();
    let (mailbox, inbox, one) = (MailboxId(3), FolderId::INBOX, NumberSet::one(1));
    append(&store, mailbox, "INBOX", "twice").await;
    store.folder_create(&call(1), mailbox, "a".into(), None).await.unwrap();
    store.message_copy(&call(1), mailbox, inbox, one.clone(), "a".into(), Quota::default()).await.unwrap();
    store.message_move(&call(1), mailbox, inbox, one.clone(), "a".into()).await.unwrap();
    let a = store.folder_status(&call(1), mailbox, "a".into()).await.unwrap().id;
    let twice = |uid| (uid, "twice".to_owned());
    assert_eq!(texts(&store, mailbox, a).await, [twice(1), twice(2)]);
    // And within one folder.
    store.message_move(&call(1), mailbox, a, one, "a".into()).await.unwrap();
    assert_eq!(texts(&store, mailbox, a).await, [twice(2), twice(3)]);
    adds_up(&store).await;
    store.message_delete(&call(1), mailbox, a, NumberSet::one(2)).await.unwrap();
    assert_eq!(texts(&store, mailbox, a).await, [twice(3)]);
    adds_up(&store).await;
    store.close().await;
}

#[tokio::test]
async fn its_23506_nothing_is_left_of_messages_that_went() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path(), 1).unwrap();
    let (mailbox, inbox) = (MailboxId(3), FolderId::INBOX);
    for n in 0..30 {
        deliver(&store, mailbox, &format!("message {n}")).await;
    }
    store.folder_create(&call(1), mailbox, "a".into(), None).await.unwrap();
    let some: NumberSet = (1..=10).collect();
    store.message_move(&call(1), mailbox, inbox, some, "a".into()).await.unwrap();
    let a = store.folder_status(&call(1), mailbox, "a".into()).await.unwrap().id;
    store.message_delete(&call(1), mailbox, a, NumberSet::all()).await.unwrap();
    store.message_delete(&call(1), mailbox, inbox, (11..=29).collect()).await.unwrap();
    let left = store.inner().shards[0].read(|view| references(view)).await.unwrap();
    // One message, one row, one body.
    assert_eq!((left.0.len(), left.1), (1, 0));
    assert_eq!(texts(&store, mailbox, inbox).await, [(30, "message 29".to_owned())]);
    adds_up(&store).await;
    store.close().await;
}

#[tokio::test]
async fn its_16460_new_mail_that_looks_like_old_mail_is_delivered() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path(), 1).unwrap();
    let text = "Message-ID: <1@example.test>\r\n\r\nthe same\r\n";
    for n in 1..=3 {
        let asked = Deliver {
            repeatable: Repeatable::Yes,
            ..delivery(&[MailboxId(4)], Body::from_bytes(text.to_owned()))
        };
        let placed = store.message_deliver(&call(n), asked).await.unwrap()[0].clone().unwrap();
        assert_eq!(u128::from(placed.uid.0), n);
    }
    store.close().await;
}

#[tokio::test]
async fn its_22598_a_message_of_nothing_but_zeros_comes_back_as_it_was() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path(), 1).unwrap();
    for (uid, len) in [(1, 1), (2, 70_000), (3, 3 << 20)] {
        let body = Body::from_bytes(vec![0; len]);
        store.message_deliver(&call(1), delivery(&[MailboxId(4)], body)).await.unwrap();
        let read = Read {
            mailbox: MailboxId(4),
            folder: FolderId::INBOX,
            uids: NumberSet::one(uid),
            need: Need::Body,
            changed_since: None,
            limit: 1,
        };
        let message = store.message_read(&call(1), read).await.unwrap().messages.remove(0);
        let mut bytes = vec![1; len];
        message.body.unwrap().fill_blocking(0, &mut bytes).unwrap();
        assert!(bytes.iter().all(|&b| b == 0) && message.size == len as u64);
        // What is noted of it does not grow with it.
        assert!(message.outline.unwrap().len() < 1000);
    }
    store.close().await;
}

#[tokio::test]
async fn its_19363_a_full_disk_refuses_new_mail_for_now_and_nothing_else() {
    let (disk, dir, env) = (SimDisk::new(), tempfile::tempdir().unwrap(), Env::for_test("mss"));
    let options = ShardOptions { segment_bytes: 1 << 20, reserve: 200_000, ..ShardOptions::default() };
    let on = |_| -> Arc<dyn storage::shard::Disk> { Arc::new(disk.clone()) };
    let store = Store::open_on(dir.path(), NonZeroU32::MIN, &options, &env, &on).unwrap();
    let said = |event: &str| env.log.lines().iter().filter(|l| l.contains(event)).count();
    let one = MailboxId(1);
    deliver(&store, one, "here before").await;
    disk.set_capacity(Some(4_000_000));
    let large = || delivery(&[one], Body::from_bytes(vec![b'x'; 300_000]));
    let mut taken = 1;
    let refused = loop {
        match store.message_deliver(&call(1), large()).await {
            Ok(_) => taken += 1,
            Err(error) => break error,
        }
    };
    assert_eq!(refused, StoreError::NoSpace);
    assert!(matches!(refused.kind(), roles::Kind::Unavailable) && taken > 2);
    assert_eq!((said("DbWritesBlocked"), said("DbWritesUnblocked")), (1, 0));
    // Reading, marking and deleting go on.
    let first = store.folder_open(&call(1), one, "INBOX".into()).await.unwrap();
    assert_eq!(first.uids.len(), taken);
    assert_eq!(texts(&store, one, FolderId::INBOX).await[0], (1, "here before".to_owned()));
    store.message_delete(&call(1), one, FolderId::INBOX, NumberSet::one(2)).await.unwrap();
    assert_eq!(store.message_deliver(&call(1), large()).await, Err(StoreError::NoSpace));
    // When there is space again it goes on by itself.
    disk.set_capacity(None);
    store.message_deliver(&call(1), large()).await.unwrap();
    assert_eq!((said("DbWritesBlocked"), said("DbWritesUnblocked")), (1, 1));
    assert_eq!(store.mailbox_usage(&call(1), one).await.unwrap().messages, taken);
    store.close().await;
}
