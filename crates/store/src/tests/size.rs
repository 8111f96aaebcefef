//! What requests cost in large mailboxes and beside many of them: rows read, files made, bytes left alone. Nothing here
//! looks at a clock.

use super::*;
use bytes::Bytes;
use mail::flags::{FlagAction, Flags, SystemFlags};
use mail::id::{FolderId, ModSeq, Uid};
use mail::search::{Criterion, Needle, Place};
use mail::sequence::NumberSet;
use mail::time::Timestamp;
use roles::Body;
use roles::store::{Append, Deliver, DeliverTo, FlagsChange, Message, Need, Quota, Read, Repeatable};

const SMALL: MailboxId = MailboxId(2);
const LARGE: MailboxId = MailboxId(4);
/// Messages in the large one.
const MANY: u32 = 12_000;

pub(super) fn to(mailbox: MailboxId) -> DeliverTo {
    DeliverTo { mailbox, folder: None, quota: Quota::default(), flags: Flags::system(SystemFlags::SEEN) }
}

pub(super) async fn deliver(store: &Store, to: Vec<DeliverTo>, body: impl Into<Bytes>) {
    let body = Body::from_bytes(body);
    let deliver = Deliver { to, body, received: Timestamp::default(), repeatable: Repeatable::No };
    let placed = store.message_deliver(&call(1), deliver).await.unwrap();
    assert!(placed.iter().all(Result::is_ok));
}

/// A store with a small mailbox and a large one, ten messages and many.
async fn grown(path: &Path) -> Store {
    let store = open(path, 1).unwrap();
    deliver(&store, vec![to(SMALL); 10], "Subject: x\r\n\r\nsmall\r\n").await;
    for _ in 0..MANY / 4000 {
        deliver(&store, vec![to(LARGE); 4000], "Subject: x\r\n\r\nlarge\r\n").await;
    }
    store
}

/// Rows that were read while the work was done.
pub(super) async fn rows<T>(store: &Store, work: impl Future<Output = T>) -> (u64, T) {
    let read = || store.inner().shards.iter().map(|s| s.status().rows_read).sum::<u64>();
    let before = read();
    let done = work.await;
    // A commit of nothing: what came before it is counted by then.
    let last = store.inner().shards[0].commit(|_| Ok::<_, storage::shard::ShardError>(())).await;
    last.unwrap();
    (read() - before, done)
}

async fn read(
    store: &Store,
    mailbox: MailboxId,
    (first, last): (u32, u32),
    since: Option<ModSeq>,
) -> Vec<Message> {
    let mut uids = NumberSet::new();
    uids.insert_range(first..=last);
    let folder = FolderId::INBOX;
    let read = Read { mailbox, folder, uids, need: Need::Flags, changed_since: since, limit: 1000 };
    store.message_read(&call(1), read).await.unwrap().messages
}

pub(super) async fn search(store: &Store, mailbox: MailboxId, criterion: Criterion) -> NumberSet {
    store.message_search(&call(1), mailbox, FolderId::INBOX, criterion).await.unwrap()
}

async fn flag(store: &Store, mailbox: MailboxId, uid: u32, flags: SystemFlags) -> ModSeq {
    let change = FlagsChange {
        mailbox,
        folder: FolderId::INBOX,
        uids: NumberSet::one(uid),
        action: FlagAction::Replace,
        flags: Flags::system(flags),
        unchanged_since: None,
    };
    store.flags_change(&call(1), change).await.unwrap().now[0].2
}

#[tokio::test]
async fn its_22211_a_folder_is_opened_without_a_look_at_its_messages() {
    let dir = tempfile::tempdir().unwrap();
    let store = grown(dir.path()).await;
    flag(&store, LARGE, MANY - 1, SystemFlags::NONE).await;
    let (small, _) = rows(&store, store.folder_open(&call(1), SMALL, "INBOX".into())).await;
    let (large, opened) = rows(&store, store.folder_open(&call(1), LARGE, "INBOX".into())).await;
    let opened = opened.unwrap();
    assert_eq!((opened.uids.len(), opened.first_unseen), (u64::from(MANY), Some(Uid(MANY - 1))));
    // One row for 2,048 messages, twice: all of them, and the first that is unseen.
    assert!(large <= small + 12, "{small} rows for ten messages, {large} for {MANY}");
    store.close().await;
}

#[tokio::test]
async fn its_14014_a_message_comes_and_goes_at_the_same_cost_in_a_large_folder() {
    let dir = tempfile::tempdir().unwrap();
    let store = grown(dir.path()).await;
    let mut costs = Vec::new();
    for (mailbox, uid) in [(SMALL, 11), (LARGE, MANY + 1)] {
        let (came, ()) = rows(&store, deliver(&store, vec![to(mailbox)], "Subject: x\r\n\r\nnew\r\n")).await;
        let (flagged, _) =
            rows(&store, flag(&store, mailbox, uid, SystemFlags::SEEN.union(SystemFlags::DELETED))).await;
        let uids = NumberSet::one(uid);
        let (removed, gone) =
            rows(&store, store.message_delete(&call(1), mailbox, FolderId::INBOX, uids)).await;
        assert_eq!(gone.unwrap().len(), 1);
        costs.push([came, flagged, removed]);
    }
    assert_eq!(costs[0], costs[1]);
    assert!(costs[1].iter().all(|rows| *rows < 20), "{costs:?}");
    store.close().await;
}

#[tokio::test]
async fn its_21728_what_clients_ask_of_a_large_folder_costs_what_it_answers() {
    let dir = tempfile::tempdir().unwrap();
    let store = grown(dir.path()).await;
    let before = store.folder_status(&call(1), LARGE, "INBOX".into()).await.unwrap().highest_modseq;
    let changed = flag(&store, LARGE, 77, SystemFlags::FLAGGED).await;
    let last = flag(&store, LARGE, 9999, SystemFlags::SEEN.union(SystemFlags::DELETED)).await;
    let flags = |flags| Criterion::Flags(flags);
    let unseen = Criterion::Not(Box::new(flags(SystemFlags::SEEN)));
    let text = Criterion::Text(Place::Body, Needle::new("large").unwrap());
    let searches = [
        (Criterion::every(), u64::from(MANY)),
        (unseen.clone(), 1),
        (flags(SystemFlags::FLAGGED), 1),
        (flags(SystemFlags::DELETED), 1),
        (Criterion::ChangedSince(changed), 2),
        (Criterion::All(vec![text, unseen]), 1),
        (Criterion::All(vec![Criterion::Larger(1), Criterion::Uids(NumberSet::one(5))]), 1),
    ];
    for (criterion, count) in searches {
        let (rows, found) = rows(&store, search(&store, LARGE, criterion.clone())).await;
        assert_eq!(found.len(), count, "{criterion:?}");
        assert!(rows <= 40, "{rows} rows for {criterion:?}");
    }
    let (newest, messages) = rows(&store, read(&store, LARGE, (MANY - 49, MANY), None)).await;
    assert!(messages.len() == 50 && newest <= 60, "{newest} rows");
    let (since, messages) = rows(&store, read(&store, LARGE, (1, u32::MAX), Some(before))).await;
    assert!(messages.len() == 2 && since <= 80, "{since} rows");
    let (news, changes) = rows(&store, store.folder_changes(&call(1), LARGE, FolderId::INBOX, before)).await;
    assert!(changes.unwrap().up_to == last && news <= 20, "{news} rows");
    let call = call(1);
    let expunge = store.message_expunge(&call, LARGE, FolderId::INBOX, NumberSet::all());
    let (expunged, gone) = rows(&store, expunge).await;
    assert!(gone.unwrap() == NumberSet::one(9999) && expunged <= 40, "{expunged} rows");
    let (status, _) = rows(&store, store.folder_status(&call, LARGE, "INBOX".into())).await;
    assert!(status <= 4, "{status} rows");
    store.close().await;
}

#[tokio::test]
async fn what_went_longer_ago_than_is_remembered_costs_no_look_at_the_messages_either() {
    let dir = tempfile::tempdir().unwrap();
    let store = grown(dir.path()).await;
    let before = store.folder_status(&call(1), LARGE, "INBOX".into()).await.unwrap().highest_modseq;
    for uid in 1..=600 {
        store.message_delete(&call(1), LARGE, FolderId::INBOX, NumberSet::one(uid)).await.unwrap();
    }
    let (rows, changes) = rows(&store, store.folder_changes(&call(1), LARGE, FolderId::INBOX, before)).await;
    let vanished = changes.unwrap().vanished;
    assert_eq!((vanished.first(), vanished.last(), vanished.len()), (Some(1), Some(600), 600));
    assert!(rows <= 20, "{rows} rows");
    store.close().await;
}

#[tokio::test]
async fn its_21949_a_large_message_is_not_read_for_what_is_asked_of_others() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path(), 1).unwrap();
    let header = "Subject: large\r\n\r\n";
    deliver(&store, vec![to(SMALL)], [header.as_bytes(), &vec![b'l'; 8 << 20]].concat()).await;
    store.close().await;
    spoil(&dir.path().join("shard-000/log"));
    let store = open(dir.path(), 1).unwrap();
    deliver(&store, vec![to(SMALL)], "Subject: small\r\n\r\nsmall\r\n").await;
    flag(&store, SMALL, 1, SystemFlags::FLAGGED).await;
    let (folder, mut uids) = (FolderId::INBOX, NumberSet::new());
    uids.insert_range(1..=2);
    store.folder_create(&call(1), SMALL, "copies".into(), None).await.unwrap();
    let (call, quota) = (call(1), Quota::default());
    store.message_copy(&call, SMALL, folder, uids.clone(), "copies".into(), quota).await.unwrap();
    let read = Read { mailbox: SMALL, folder, uids, need: Need::Body, changed_since: None, limit: 10 };
    let page = store.message_read(&call, read).await.unwrap();
    let subject = Criterion::Text(Place::Header("subject".into()), Needle::new("").unwrap());
    assert_eq!(search(&store, SMALL, subject).await.len(), 2);
    assert!(page.messages.iter().all(|m| m.outline.is_some()));
    let [large, small] = [0, 1].map(|n: usize| page.messages[n].body.clone().unwrap());
    assert_eq!(small.read(0, 100).await.unwrap(), "Subject: small\r\n\r\nsmall\r\n");
    // The damage is there: only who asks for these bytes hears of it.
    assert!(large.read(0, 10 << 20).await.is_err() || large.read(4 << 20, 1 << 20).await.is_err());
    store.close().await;
}

/// Alters bytes in the middle of the large body.
fn spoil(log: &Path) {
    use std::os::unix::fs::FileExt as _;
    let files = std::fs::read_dir(log).unwrap().map(|e| e.unwrap().path());
    let largest = files.max_by_key(|p| p.metadata().unwrap().len()).unwrap();
    let file = std::fs::File::options().write(true).open(largest).unwrap();
    file.write_all_at(&[b'x'; 4096], 4 << 20).unwrap();
}

#[tokio::test]
async fn its_22096_mailboxes_are_as_many_as_there_are() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path(), 2).unwrap();
    for part in 0..3i64 {
        let all = (0..7000).map(|n| to(MailboxId(part * 7000 + n))).collect();
        deliver(&store, all, "Subject: x\r\n\r\nto all\r\n").await;
    }
    for mailbox in [0, 9_999, 10_000, 10_001, 20_999].map(MailboxId) {
        assert_eq!(store.mailbox_usage(&call(1), mailbox).await.unwrap().messages, 1);
    }
    store.close().await;
    // Whoever opens it does not load them.
    let store = open(dir.path(), 2).unwrap();
    let (rows, usage) = rows(&store, store.mailbox_usage(&call(1), MailboxId(20_000))).await;
    assert!(usage.unwrap().messages == 1 && rows < 10, "{rows} rows");
    store.close().await;
}

#[tokio::test]
async fn its_11837_messages_make_no_files() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path(), 1).unwrap();
    deliver(&store, vec![to(SMALL)], "Subject: x\r\n\r\nx\r\n").await;
    let files = || std::fs::read_dir(dir.path().join("shard-000/log")).unwrap().count();
    let before = files();
    for _ in 0..400 {
        let append = Append {
            mailbox: SMALL,
            folder: "INBOX".into(),
            flags: Flags::default(),
            received: Timestamp::default(),
            body: Body::from_bytes("Subject: x\r\n\r\nx\r\n"),
            quota: Quota::default(),
        };
        store.message_append(&call(1), append).await.unwrap();
    }
    assert_eq!(files(), before);
    store.close().await;
}
