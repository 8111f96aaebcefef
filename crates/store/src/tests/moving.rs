//! Moving mailboxes between shards while they are used, and what a crash leaves of it.

use super::restore::{append, expunge, flag, seen, step};
use super::*;
use mail::flags::Flags;
use mail::id::{FolderId, ModSeq, Uid};
use mail::sequence::NumberSet;
use mail::time::Timestamp;
use roles::Body;
use roles::store::{Deliver, DeliverTo, Need, Quota, Read, Repeatable, StoreError};
use std::collections::BTreeSet;
use std::sync::Arc;
use storage::mailboxes::transfer::{self, Arrival, Departure};

const BOX: MailboxId = MailboxId(9);

async fn deliver(store: &Store, request: u128) -> Result<Uid, StoreError> {
    let to = DeliverTo { mailbox: BOX, folder: None, quota: Quota::default(), flags: Flags::default() };
    let body = Body::from_bytes(format!("Subject: {request}\r\n\r\n"));
    let (received, repeatable) = (Timestamp::from_secs(7), Repeatable::Yes);
    let deliver = Deliver { to: vec![to], body, received, repeatable };
    Ok(store.message_deliver(&call(request), deliver).await?.remove(0)?.uid)
}

/// Everything that a session knows a message by.
async fn identities(store: &Store) -> Vec<(String, u32, Uid, ModSeq, String)> {
    let mut all = Vec::new();
    for folder in store.folder_list(&call(1), BOX).await.unwrap().folders {
        let (need, uids) = (Need::Flags, NumberSet::all());
        let read = Read { mailbox: BOX, folder: folder.id, uids, need, changed_since: None, limit: 1000 };
        for m in store.message_read(&call(1), read).await.unwrap().messages {
            all.push((folder.name.clone(), folder.uid_validity.0, m.uid, m.modseq, m.flags.to_string()));
        }
    }
    all
}

async fn audit(store: &Store) {
    for shard in &store.inner().shards {
        let audit = shard.audit(|view| {
            let (references, unreadable) = storage::mailboxes::references(view)?;
            assert_eq!(unreadable, 0);
            Ok(references)
        });
        let audit = audit.await.unwrap();
        assert!(audit.is_clean(), "{audit:?}");
    }
}

#[tokio::test]
async fn its_22229_25086_a_moved_mailbox_is_the_same_to_its_sessions() {
    let dir = tempfile::tempdir().unwrap();
    let store = open_with(dir.path(), 2, "").unwrap();
    for number in 0..9 {
        step(&store, number).await;
    }
    let (before, known, usage) =
        (seen(&store).await, identities(&store).await, store.mailbox_usage(&call(1), BOX).await.unwrap());
    let mut watch = store.mailbox_watch(&call(1), BOX).await.unwrap();
    assert_eq!(store.shard_of(BOX), 1);
    let moved = store.move_mailbox(BOX, 0).await.unwrap();
    assert_eq!((moved.from, moved.to, store.shard_of(BOX)), (1, 0, 0));
    watch.changed().await.unwrap();
    assert_eq!((seen(&store).await, identities(&store).await), (before.clone(), known.clone()));
    assert_eq!(store.mailbox_usage(&call(1), BOX).await.unwrap(), usage);
    // What came before, came: also to the shard that has it now.
    let uid = deliver(&store, 77).await.unwrap();
    store.move_mailbox(BOX, 1).await.unwrap();
    assert_eq!(deliver(&store, 77).await.unwrap(), uid);
    store.move_mailbox(BOX, 0).await.unwrap();
    audit(&store).await;
    store.close().await;
    let store = open_with(dir.path(), 2, "").unwrap();
    assert_eq!(store.shard_of(BOX), 0);
    let after = seen(&store).await;
    assert_eq!((&after["Work/Old"], after["INBOX"].len()), (&before["Work/Old"], before["INBOX"].len() + 1));
    // What was deleted before the move can still be restored after it.
    let at = store.inner().env.clock.now();
    expunge(&store, "INBOX").await;
    let what = roles::whole::Restore { mailbox: BOX, at, into: roles::whole::RestoreInto::Place };
    store.restore(what).await.unwrap();
    store.close().await;
}

#[tokio::test]
async fn mail_that_comes_during_a_move_is_there_once_and_in_order() {
    let dir = tempfile::tempdir().unwrap();
    let store = Arc::new(open_with(dir.path(), 2, "").unwrap());
    step(&store, 0).await;
    let sender = {
        let store = Arc::clone(&store);
        #[expect(clippy::disallowed_methods, reason = "a test drives two callers")]
        tokio::spawn(async move {
            let mut uids = Vec::new();
            for request in 100..400 {
                uids.push(deliver(&store, request).await.unwrap());
            }
            uids
        })
    };
    for to in [0, 1, 0, 1, 0] {
        store.move_mailbox(BOX, to).await.unwrap();
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    let uids = sender.await.unwrap();
    assert!(uids.is_sorted() && uids.iter().collect::<BTreeSet<_>>().len() == 300);
    let subjects: Vec<_> =
        seen(&store).await["INBOX"].iter().map(|(text, _)| text.trim().to_owned()).collect();
    let expected: Vec<_> = (100..400).map(|n| format!("Subject: {n}")).collect();
    assert_eq!(subjects, expected);
    audit(&store).await;
    store.close().await;
}

#[tokio::test]
async fn its_12182_the_number_of_shards_changes_and_every_mailbox_is_found() {
    let dir = tempfile::tempdir().unwrap();
    let mut expected = Vec::new();
    for shards in [1, 4, 2, 3, 1] {
        let store = open_with(dir.path(), shards, "").unwrap();
        for (id, count) in &expected {
            let usage = store.mailbox_usage(&call(1), MailboxId(*id)).await.unwrap();
            assert_eq!(usage.messages, *count, "{id} with {shards} shards");
        }
        for id in 0..9 {
            let mailbox = MailboxId(id);
            store.mailbox_create(&call(1), mailbox).await.unwrap();
            let to = DeliverTo { mailbox, folder: None, quota: Quota::default(), flags: Flags::default() };
            let (body, received) = (Body::from_bytes("x"), Timestamp::from_secs(7));
            let deliver = Deliver { to: vec![to], body, received, repeatable: Repeatable::No };
            store.message_deliver(&call(1), deliver).await.unwrap().remove(0).unwrap();
        }
        expected = (0..9).map(|id| (id, expected.first().map_or(1, |(_, n)| n + 1))).collect();
        audit(&store).await;
        store.close().await;
    }
}

/// A store with a mailbox in shard 1 and rows of a move to shard 0 that has come this far.
async fn interrupted(dir: &Path, departure: Option<Departure>) -> Store {
    let store = open_with(dir, 2, "").unwrap();
    step(&store, 0).await;
    append(&store, "INBOX", "one").await;
    let (source, target) = (store.inner().shards[1].clone(), store.inner().shards[0].clone());
    let write = target.commit(|tx| transfer::set_arrival(tx, BOX, Some(Arrival { from: 1 })));
    write.await.unwrap();
    let piece = source.read(|view| transfer::read(view, BOX, Vec::new())).await.unwrap();
    let until = Timestamp::from_secs(1 << 40);
    target.commit(move |tx| transfer::apply(tx, BOX, piece, until)).await.unwrap();
    source.commit(move |tx| transfer::set_departure(tx, BOX, departure)).await.unwrap();
    store.close().await;
    open_with(dir, 2, "").unwrap()
}

#[tokio::test]
async fn a_move_that_a_crash_interrupts_has_happened_or_not() {
    let stages = [None, Some(Departure::Frozen { to: 0 }), Some(Departure::Gone { to: 0 })];
    for departure in stages {
        let dir = tempfile::tempdir().unwrap();
        let store = interrupted(dir.path(), departure).await;
        let gone = matches!(departure, Some(Departure::Gone { .. }));
        assert_eq!(store.shard_of(BOX), u32::from(!gone));
        append(&store, "INBOX", "two").await;
        flag(&store, "INBOX", 1, "Work").await;
        assert_eq!(seen(&store).await["INBOX"].len(), 2);
        audit(&store).await;
        store.close().await;
        let store = open_with(dir.path(), 2, "").unwrap();
        assert_eq!(seen(&store).await["INBOX"].len(), 2, "{departure:?}");
        audit(&store).await;
        store.close().await;
    }
}

#[tokio::test]
async fn a_copy_has_all_that_the_mailbox_has_and_goes_its_own_way() {
    let dir = tempfile::tempdir().unwrap();
    let store = open_with(dir.path(), 2, "").unwrap();
    for number in 0..9 {
        step(&store, number).await;
    }
    let before = seen(&store).await;
    let copy = MailboxId(10);
    store.copy_mailbox(BOX, copy).await.unwrap();
    let usage = store.mailbox_usage(&call(1), BOX).await.unwrap();
    assert_eq!(store.mailbox_usage(&call(1), copy).await.unwrap(), usage);
    let again = store.copy_mailbox(BOX, copy).await.unwrap_err();
    assert!(matches!(again, StoreError::Refused(_)));
    let gone = store.message_delete(&call(1), copy, FolderId::INBOX, NumberSet::all()).await.unwrap();
    assert_eq!(gone.len() as usize, before["INBOX"].len());
    assert_eq!(seen(&store).await, before);
    audit(&store).await;
    store.close().await;
}

#[tokio::test]
async fn what_cannot_be_moved_is_said() {
    let dir = tempfile::tempdir().unwrap();
    let store = open_with(dir.path(), 2, "").unwrap();
    assert_eq!(store.move_mailbox(BOX, 0).await.unwrap_err(), StoreError::NoMailbox);
    step(&store, 0).await;
    let nowhere = store.move_mailbox(BOX, 2).await.unwrap_err();
    assert_eq!(nowhere, StoreError::Refused("there are shards 0 to 1".into()));
    store.move_mailbox(BOX, 1).await.unwrap();
    store.close().await;
}
