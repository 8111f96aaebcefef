//! Recorded items: faults of former releases that must not come back.

use super::*;
use bytes::Bytes;
use futures_util::future::join_all;
use mail::attribute::AttributeName;
use mail::flags::Flags;
use mail::id::{FolderId, Uid};
use mail::sequence::NumberSet;
use mail::time::Timestamp;
use roles::Body;
use roles::store::{
    Append, Deliver, DeliverTo, Need, Placed, Quota, Read, Repeatable, StoreError, Usage, Warning,
};
use std::sync::Arc;
use std::time::Duration;
use storage::mailboxes::counted;
use storage::shard::{ShardError, View};

const BOX: MailboxId = MailboxId(40);
const TEXT: &str = "Message-ID: <1@x>\r\nSubject: x\r\n\r\nbody\r\n";

fn to(mailbox: MailboxId) -> DeliverTo {
    DeliverTo { mailbox, folder: None, quota: Quota::default(), flags: Flags::default() }
}

/// Delivers; a request below 1,000 is one that may be repeated.
async fn deliver(store: &Store, request: u128, to: Vec<DeliverTo>, text: impl Into<Bytes>) -> Vec<Placed> {
    let (body, received) = (Body::from_bytes(text.into()), Timestamp::default());
    let repeatable = if request < 1000 { Repeatable::Yes } else { Repeatable::No };
    let deliver = Deliver { to, body, received, repeatable };
    let placed = store.message_deliver(&call(request), deliver).await.unwrap();
    placed.into_iter().map(Result::unwrap).collect()
}

/// UIDs and bodies of a folder.
async fn messages(store: &Store, mailbox: MailboxId, folder: FolderId) -> Vec<(u32, Bytes)> {
    let (mut all, mut uids) = (Vec::new(), NumberSet::all());
    loop {
        let read = Read { mailbox, folder, uids, need: Need::Body, changed_since: None, limit: 1000 };
        let page = store.message_read(&call(1), read).await.unwrap();
        for message in page.messages {
            let (body, mut text) = (message.body.unwrap(), Vec::new());
            while (text.len() as u64) < body.len() {
                text.extend_from_slice(&body.read(text.len() as u64, 1 << 16).await.unwrap());
            }
            all.push((message.uid.0, Bytes::from(text)));
        }
        let Some(next) = page.next else { return all };
        uids = NumberSet::new();
        uids.insert_range(next.0..=u32::MAX);
    }
}

async fn folder(store: &Store, mailbox: MailboxId, name: &str) -> FolderId {
    match store.folder_status(&call(1), mailbox, name.into()).await {
        Ok(folder) => folder.id,
        Err(_) => store.folder_create(&call(1), mailbox, name.into(), None).await.unwrap(),
    }
}

/// Every counter, index and log of changes of the mailbox says what its messages say.
async fn is_consistent(store: &Store, mailbox: MailboxId) {
    let job = move |view: &View<'_>| Ok::<_, ShardError>(counted(view, mailbox)?.unwrap());
    let (folders, should) = store.inner().shard(mailbox).read(job).await.unwrap();
    for folder in &folders {
        assert!(folder.is_right(), "{}: {}", folder.is.name, folder.differences());
    }
    let usage = store.mailbox_usage(&call(1), mailbox).await.unwrap();
    assert_eq!(usage, Usage { bytes: should.bytes, messages: should.messages });
}

/// Waits until nothing of any body is left.
async fn nothing_is_left(store: &Store) {
    let live = || store.inner().shards.iter().map(|s| s.status().live_bytes).sum::<u64>();
    for _ in 0..5000 {
        if live() == 0 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    panic!("{} bytes are left", live());
}

fn said(store: &Store, event: &str) -> Vec<String> {
    store.inner().env.log.lines().into_iter().filter(|line| line.contains(event)).collect()
}

#[tokio::test]
async fn its_13694_a_new_mailbox_is_welcomed_once_and_the_log_says_so() {
    let dir = tempfile::tempdir().unwrap();
    let keys = "/*/mss/welcomeText: [Dear user,][welcome.]\n/*/mss/welcomeSubject: [Hello]\n\
                /*/common/defaultDomain: [example.org]\n";
    let store = open_with(dir.path(), 1, keys).unwrap();
    store.mailbox_create(&call(1), BOX).await.unwrap();
    store.mailbox_create(&call(2), BOX).await.unwrap();
    let other = MailboxId(41);
    deliver(&store, 3, vec![to(other)], TEXT).await;
    let (first, second) =
        (messages(&store, BOX, FolderId::INBOX).await, messages(&store, other, FolderId::INBOX).await);
    assert_eq!((first.len(), second.len()), (1, 2));
    let text = String::from_utf8(first[0].1.to_vec()).unwrap();
    assert!(
        text.contains("From: postmaster@example.org\r\n") && text.contains("Subject: Hello\r\n"),
        "{text}"
    );
    assert!(text.ends_with("\r\n\r\nDear user,\r\nwelcome.\r\n"), "{text}");
    assert_eq!(second[0].1.len(), first[0].1.len(), "the welcome comes before the first mail");
    let lines = said(&store, "MsWelcomeDelivered");
    assert_eq!(lines.len(), 2);
    assert!(
        lines[0].contains(" Note ") && lines[0].contains("mailbox=40") && lines[0].contains("uid=1"),
        "{lines:?}"
    );
    is_consistent(&store, BOX).await;
    store.close().await;
}

#[tokio::test]
async fn its_24071_without_detection_a_repeat_counts_and_all_else_works() {
    let dir = tempfile::tempdir().unwrap();
    let store = open_with(dir.path(), 1, "/*/mss/dupMessageDetect: [false]\n").unwrap();
    for _ in 0..2 {
        deliver(&store, 7, vec![to(BOX), to(MailboxId(41))], TEXT).await;
    }
    let all = messages(&store, BOX, FolderId::INBOX).await;
    assert_eq!(all.iter().map(|(uid, _)| *uid).collect::<Vec<_>>(), [1, 2]);
    assert!(all.iter().all(|(_, text)| text == TEXT.as_bytes()));
    let gone = store.message_delete(&call(8), BOX, FolderId::INBOX, NumberSet::one(1)).await.unwrap();
    assert_eq!(gone.len(), 1);
    is_consistent(&store, BOX).await;
    store.close().await;
    let store = open(dir.path(), 1).unwrap();
    for _ in 0..2 {
        deliver(&store, 9, vec![to(BOX)], TEXT).await;
    }
    assert_eq!(messages(&store, BOX, FolderId::INBOX).await.len(), 2, "switched on again, it knows repeats");
    store.close().await;
}

#[tokio::test]
async fn its_16460_the_same_message_sent_again_is_a_new_message() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path(), 1).unwrap();
    for request in 0..3 {
        deliver(&store, request, vec![to(BOX)], TEXT).await;
    }
    assert_eq!(messages(&store, BOX, FolderId::INBOX).await.len(), 3);
    store.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn its_14911_many_who_make_one_mailbox_make_one() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path(), 2).unwrap();
    let makes = (0..40_u128).map(|n| {
        let store = &store;
        async move {
            if n % 2 == 0 {
                store.mailbox_create(&call(n), BOX).await.unwrap();
            } else {
                deliver(store, n, vec![to(BOX)], TEXT).await;
            }
        }
    });
    join_all(makes).await;
    assert_eq!(said(&store, "MsMailboxCreated").len(), 1);
    let uids: Vec<_> = messages(&store, BOX, FolderId::INBOX).await.into_iter().map(|(uid, _)| uid).collect();
    assert_eq!(uids, (1..=20).collect::<Vec<_>>());
    is_consistent(&store, BOX).await;
    store.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn its_13771_everybody_finds_their_own_mailbox_or_hears_that_there_is_none() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path(), 4).unwrap();
    let works = (0..60_i64).map(|n| {
        let (store, mailbox) = (&store, MailboxId(n * 7 - 200));
        async move {
            let missing = store.folder_status(&call(1), mailbox, "INBOX".into()).await;
            assert_eq!(missing.unwrap_err(), StoreError::NoMailbox);
            deliver(store, 2, vec![to(mailbox)], format!("{n}")).await;
            let found = messages(store, mailbox, FolderId::INBOX).await;
            assert_eq!(found, [(1, Bytes::from(format!("{n}")))]);
        }
    });
    join_all(works).await;
    store.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn its_14739_delivery_expunge_and_reading_do_not_race() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path(), 1).unwrap();
    store.mailbox_create(&call(1), BOX).await.unwrap();
    let delivers = async {
        for n in 0..150 {
            deliver(&store, 100 + n, vec![to(BOX)], format!("Subject: {n}\r\n\r\n{n}\r\n")).await;
        }
    };
    let deletes = async {
        let mut gone = 0;
        while gone < 100 {
            let opened = store.folder_open(&call(2), BOX, "INBOX".into()).await.unwrap();
            let half: NumberSet = opened.uids.iter().filter(|uid| uid % 3 != 0).collect();
            gone += store.message_delete(&call(3), BOX, FolderId::INBOX, half).await.unwrap().len();
        }
        gone
    };
    let reads = async {
        for _ in 0..60 {
            let opened = store.folder_open(&call(4), BOX, "INBOX".into()).await.unwrap();
            assert_eq!(u64::from(opened.folder.messages), opened.uids.len());
            for (_, text) in messages(&store, BOX, FolderId::INBOX).await {
                assert!(text.starts_with(b"Subject: ") && text.ends_with(b"\r\n"));
            }
        }
    };
    let ((), gone, ()) = tokio::join!(delivers, deletes, reads);
    assert_eq!(messages(&store, BOX, FolderId::INBOX).await.len() as u64, 150 - gone);
    is_consistent(&store, BOX).await;
    store.close().await;
}

#[tokio::test]
async fn its_15777_its_22350_its_23506_nothing_is_left_of_thousands_moved_and_deleted_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path(), 1).unwrap();
    deliver(&store, 1001, vec![to(BOX); 4500], TEXT).await;
    deliver(&store, 1002, vec![to(BOX); 4500], TEXT).await;
    let target = folder(&store, BOX, "Archive").await;
    let all = NumberSet::all();
    let moved =
        store.message_move(&call(3), BOX, FolderId::INBOX, all.clone(), "Archive".into()).await.unwrap();
    assert_eq!((moved.from.len(), moved.to.last()), (9000, Some(&Uid(9000))));
    is_consistent(&store, BOX).await;
    let gone = store.message_delete(&call(4), BOX, target, all).await.unwrap();
    assert_eq!(gone.len(), 9000);
    is_consistent(&store, BOX).await;
    let usage = store.mailbox_usage(&call(5), BOX).await.unwrap();
    assert_eq!(usage, Usage::default());
    nothing_is_left(&store).await;
    store.close().await;
}

#[tokio::test]
async fn its_16025_a_shared_body_lives_as_long_as_its_last_message() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path(), 1).unwrap();
    let boxes: Vec<_> = (0..10).map(MailboxId).collect();
    deliver(&store, 1, boxes.iter().copied().map(to).collect(), TEXT).await;
    let once = store.inner().shards[0].status().live_bytes;
    let trash = folder(&store, boxes[0], "Trash").await;
    store.message_move(&call(2), boxes[0], FolderId::INBOX, NumberSet::all(), "Trash".into()).await.unwrap();
    store
        .message_copy(&call(3), boxes[0], trash, NumberSet::all(), "Trash".into(), Quota::default())
        .await
        .unwrap();
    for mailbox in &boxes[1..9] {
        store.message_delete(&call(4), *mailbox, FolderId::INBOX, NumberSet::all()).await.unwrap();
    }
    store.mailbox_delete(&call(5), boxes[9]).await.unwrap();
    store.close().await;
    let store = open(dir.path(), 1).unwrap();
    let left = messages(&store, boxes[0], trash).await;
    assert!(left.len() == 2 && left.iter().all(|(_, text)| text == TEXT.as_bytes()));
    assert_eq!(store.inner().shards[0].status().live_bytes, once, "one body for all, all the time");
    store.message_delete(&call(6), boxes[0], trash, NumberSet::all()).await.unwrap();
    nothing_is_left(&store).await;
    store.close().await;
}

#[tokio::test]
async fn its_17653_a_store_ends_although_a_mailbox_with_shared_messages_has_just_gone() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path(), 2).unwrap();
    for n in 0..20 {
        deliver(&store, n, (0..50).map(|n| to(MailboxId(n))).collect(), TEXT).await;
    }
    for mailbox in 0..50 {
        store.mailbox_delete(&call(99), MailboxId(mailbox)).await.unwrap();
    }
    tokio::time::timeout(Duration::from_secs(20), store.close()).await.expect("it ends");
}

#[tokio::test(flavor = "multi_thread")]
async fn its_18414_a_folder_is_opened_by_many_while_it_changes() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path(), 1).unwrap();
    store.mailbox_create(&call(1), BOX).await.unwrap();
    folder(&store, BOX, "a").await;
    let changes = async {
        for n in 0..60_u32 {
            let append = Append {
                mailbox: BOX,
                folder: if n % 2 == 0 { "a".into() } else { "b".into() },
                flags: Flags::default(),
                received: Timestamp::default(),
                body: Body::from_bytes(format!("{n}")),
                quota: Quota::default(),
            };
            store.message_append(&call(2), append).await.unwrap();
            let (from, to) = if n % 2 == 0 { ("a", "b") } else { ("b", "a") };
            store.folder_rename(&call(3), BOX, from.into(), to.into()).await.unwrap();
        }
    };
    let opens = (0..8).map(|n| {
        let (store, name) = (&store, if n % 2 == 0 { "a" } else { "b" });
        async move {
            let mut last = 0;
            for _ in 0..60 {
                match store.folder_open(&call(4), BOX, name.into()).await {
                    Ok(opened) => {
                        assert_eq!(u64::from(opened.folder.messages), opened.uids.len());
                        // ITS 13916: each name that it had is another epoch.
                        assert!(opened.folder.uid_validity.0 >= last);
                        last = opened.folder.uid_validity.0;
                    }
                    Err(error) => assert_eq!(error, StoreError::NoFolder),
                }
            }
        }
    });
    tokio::join!(changes, join_all(opens));
    assert_eq!(store.folder_status(&call(5), BOX, "a".into()).await.unwrap().messages, 60);
    is_consistent(&store, BOX).await;
    store.close().await;
}

#[tokio::test]
async fn its_19890_a_message_moved_to_where_its_twin_is_stays_beside_it() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path(), 1).unwrap();
    let target = folder_after_delivery(&store).await;
    let (again, all) = (call(2), NumberSet::all());
    store.message_copy(&again, BOX, FolderId::INBOX, all, "a".into(), Quota::default()).await.unwrap();
    let moved =
        store.message_move(&call(3), BOX, FolderId::INBOX, NumberSet::all(), "a".into()).await.unwrap();
    assert_eq!((moved.from, moved.to), (vec![Uid(1)], vec![Uid(2)]));
    let again = store.message_move(&call(4), BOX, target, NumberSet::one(1), "a".into()).await.unwrap();
    assert_eq!(again.to, [Uid(3)], "also within the folder");
    let all = messages(&store, BOX, target).await;
    assert_eq!(all.iter().map(|(uid, _)| *uid).collect::<Vec<_>>(), [2, 3]);
    assert!(all.iter().all(|(_, text)| text == TEXT.as_bytes()));
    is_consistent(&store, BOX).await;
    store.close().await;
}

async fn folder_after_delivery(store: &Store) -> FolderId {
    deliver(store, 1, vec![to(BOX)], TEXT).await;
    folder(store, BOX, "a").await
}

#[tokio::test]
async fn its_22598_a_message_of_nothing_but_nul_is_kept_as_it_is() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path(), 1).unwrap();
    let (header, body) = (vec![0; 300_000], [b"Subject: x\r\n\r\n".to_vec(), vec![0; 300_000]].concat());
    deliver(&store, 1, vec![to(BOX)], header.clone()).await;
    deliver(&store, 2, vec![to(BOX)], body.clone()).await;
    let all = messages(&store, BOX, FolderId::INBOX).await;
    assert!(all == [(1, header.into()), (2, body.into())], "every byte of them");
    store.close().await;
}

#[tokio::test]
async fn its_19926_a_large_attribute_comes_back_whole_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path(), 1).unwrap();
    store.mailbox_create(&call(1), BOX).await.unwrap();
    let name = |text| AttributeName::parse(text).unwrap();
    let value: Bytes = (0..1 << 20).map(|n: u32| n.to_le_bytes()[n as usize % 3]).collect();
    for n in 0..5 {
        let name = name(["a", "b", "c", "d", "addressbook"][n]);
        store.attribute_set(&call(2), BOX, name, Some(value.clone())).await.unwrap();
    }
    store.close().await;
    let store = open(dir.path(), 1).unwrap();
    assert_eq!(store.attribute_get(&call(3), BOX, name("addressbook")).await.unwrap(), Some(value));
    assert_eq!(store.attribute_list(&call(4), BOX).await.unwrap().len(), 5);
    store.close().await;
}

#[tokio::test]
async fn its_13997_the_warning_is_logged_with_its_class_and_survives_a_repeat_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let warning =
        Warning { percent: 60, to: "a@b.test".into(), from: "c@b.test".into(), text: String::new() };
    let quota = Quota { bytes: 5000, messages: 0, warning: Some(Arc::new(warning)) };
    let to = || vec![DeliverTo { quota: quota.clone(), ..to(BOX) }];
    let store = open(dir.path(), 1).unwrap();
    deliver(&store, 1, to(), vec![b'x'; 3000]).await;
    let lines = said(&store, "RunMssQuotaThreshold");
    assert!(lines.len() == 1 && lines[0].contains("percent=60") && lines[0].contains("uid=2"), "{lines:?}");
    store.close().await;
    let store = open(dir.path(), 1).unwrap();
    assert_eq!(deliver(&store, 1, to(), vec![b'x'; 3000]).await[0].uid, Uid(1));
    let all = messages(&store, BOX, FolderId::INBOX).await;
    let text = String::from_utf8(all[1].1.to_vec()).unwrap();
    assert!(all.len() == 2 && text.contains("It holds 3000 of 5000 bytes.\r\n"), "{text}");
    assert!(said(&store, "RunMssQuotaThreshold").is_empty());
    is_consistent(&store, BOX).await;
    store.close().await;
}

#[tokio::test]
async fn its_46285_every_way_to_delete_is_logged_when_tracing_is_on() {
    let dir = tempfile::tempdir().unwrap();
    let keys = "/*/mss/messageTracing: [true]\n/*/mss/restoreWindowInMinutes: [0]\n";
    let store = open_with(dir.path(), 1, keys).unwrap();
    deliver(&store, 1001, vec![to(BOX); 4], TEXT).await;
    let kept = folder(&store, BOX, "a").await;
    store.message_move(&call(2), BOX, FolderId::INBOX, NumberSet::one(1), "a".into()).await.unwrap();
    store.message_delete(&call(3), BOX, FolderId::INBOX, NumberSet::one(2)).await.unwrap();
    let expire = roles::store::Expire {
        mailbox: BOX,
        folder: kept,
        before: Timestamp::from_micros(i64::MAX),
        unread: roles::store::Unread::Goes,
        run: roles::store::Run::Real,
    };
    store.message_expire(&call(4), expire).await.unwrap();
    store.mailbox_delete(&call(5), BOX).await.unwrap();
    nothing_is_left(&store).await;
    let by = |way| said(&store, "MsMsgDeleted").iter().filter(|line| line.contains(way)).count();
    for _ in 0..1000 {
        if by("by=folder") == 2 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    assert_eq!([by("by=move"), by("by=delete"), by("by=age"), by("by=folder")], [1, 1, 1, 2]);
    assert_eq!(said(&store, "event=delivered").len(), 4);
    store.close().await;
}

#[tokio::test]
async fn limits_of_folders_are_refused_before_any_is_made() {
    let dir = tempfile::tempdir().unwrap();
    let store = open_with(dir.path(), 1, "/*/mss/maxFolders: [5]\n/*/mss/maxFolderDepth: [3]\n").unwrap();
    store.mailbox_create(&call(1), BOX).await.unwrap();
    let create = |name: &'static str| {
        let store = &store;
        async move { store.folder_create(&call(2), BOX, name.into(), None).await.map(drop) }
    };
    let limit = |text: &str| Err(StoreError::Limit(text.into()));
    assert_eq!(create("a/b/c/d").await, limit("a folder may have at most 3 levels"));
    create("a/b").await.unwrap();
    assert_eq!(create("x/y/z").await, limit("a mailbox may have at most 5 folders"), "parents count");
    create("x/y").await.unwrap();
    assert_eq!(create("z").await, limit("a mailbox may have at most 5 folders"));
    let rename = |from: &'static str, to: &'static str| {
        let store = &store;
        async move { store.folder_rename(&call(3), BOX, from.into(), to.into()).await }
    };
    assert_eq!(rename("a", "x/y/a").await, limit("a folder may have at most 3 levels"), "so do those below");
    assert_eq!(rename("a/b", "new/b").await, limit("a mailbox may have at most 5 folders"));
    rename("a", "x/a").await.unwrap();
    let names = store.folder_list(&call(4), BOX).await.unwrap().folders;
    let names: Vec<_> = names.iter().map(|f| f.name.as_str()).collect();
    assert_eq!(names, ["INBOX", "x", "x/a", "x/a/b", "x/y"]);
    store.close().await;
}
