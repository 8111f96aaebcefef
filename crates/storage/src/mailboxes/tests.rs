//! Tests of what rows say after changes; histories against a model are the store's.

use super::*;
use crate::shard::{Rows, Shard, ShardError, ShardOptions, Transaction};
use bytes::Bytes;
use env::Env;
use mail::flags::{Flags, SystemFlags};
use mail::id::{FolderId, MailboxId, ModSeq, RequestId, Uid, UidValidity};
use mail::sequence::NumberSet;
use mail::time::Timestamp;
use std::ops::ControlFlow;

const BOX: MailboxId = MailboxId(-3);

async fn run<T: Send + 'static>(task: fn(&mut Transaction<'_>) -> Result<T, ShardError>) -> T {
    let dir = tempfile::tempdir().unwrap();
    let options = ShardOptions { reserve: 0, ..ShardOptions::default() };
    let shard = Shard::open(dir.path(), options, &Env::for_test("mss")).unwrap();
    let out = shard.commit(task).await.unwrap();
    shard.close().await;
    out
}

fn now() -> Timestamp {
    Timestamp::from_secs(1_000)
}

/// A change that keeps nothing of what it takes away.
fn when() -> When {
    When { now: now(), keep: std::time::Duration::ZERO }
}

fn add(w: &mut Writer<'_, '_>, folder: &mut FolderRow, count: u32) -> Result<(), ShardError> {
    for _ in 0..count {
        let blob = w.transaction().store(b"o", &Bytes::from_static(b"body"))?;
        let (system, keywords, received) = (SystemFlags::NONE, Vec::new(), now());
        let new = NewMessage { system, keywords, received, ages_from: AgesFrom::Received, sent: None, blob };
        let modseq = w.next_modseq();
        w.add(folder, new, modseq)?;
    }
    w.save_folder(folder)
}

fn uids(w: &Writer<'_, '_>, volume: Volume, of: &NumberSet) -> Result<String, ShardError> {
    let mut found = NumberSet::new();
    w.mailbox().messages(volume, of, |m| {
        found.insert(m.uid.0);
        Ok(ControlFlow::Continue(()))
    })?;
    Ok(found.to_string())
}

#[tokio::test]
async fn sparse_sets_find_what_is_there() {
    run(|tx| {
        let mut w = Writer::create(tx, BOX, when())?;
        let mut inbox = w.mailbox().folder(FolderId::INBOX)?.unwrap();
        add(&mut w, &mut inbox, 300)?;
        for set in ["1", "300", "1,2,150,299:301", "50:60,200,4000000000", "301:500", "1:4294967295"] {
            let parts = set.split(',').map(|p| {
                let (a, b) = p.split_once(':').unwrap_or((p, p));
                a.parse::<u32>().unwrap()..=b.parse::<u32>().unwrap()
            });
            let mut wanted = NumberSet::new();
            parts.for_each(|r| wanted.insert_range(r));
            let mut there = NumberSet::new();
            there.insert_range(1..=300);
            let expected = wanted.intersection(&there).to_string();
            assert_eq!(uids(&w, inbox.volume, &wanted)?, expected, "{set}");
        }
        w.save()
    })
    .await;
}

#[tokio::test]
async fn flags_move_counters_and_the_change_log() {
    run(|tx| {
        let mut w = Writer::create(tx, BOX, when())?;
        let mut inbox = w.mailbox().folder(FolderId::INBOX)?.unwrap();
        add(&mut w, &mut inbox, 3)?;
        let before = inbox.highest_modseq;
        let mut flags = Flags::system(SystemFlags::SEEN.union(SystemFlags::DELETED));
        assert!(flags.add_named("Work"));
        let places = w.keyword_places(&flags)?;
        let row = w.mailbox().message(inbox.volume, Uid(2))?.unwrap();
        let modseq = w.next_modseq();
        w.set_flags(&mut inbox, row, (flags.system, places), modseq)?;
        assert_eq!((inbox.messages, inbox.unseen, inbox.deleted), (3, 2, 1));
        let mut log = Vec::new();
        w.mailbox().changed(inbox.volume, before, |at, uid| {
            log.push((at, uid));
            Ok(ControlFlow::Continue(()))
        })?;
        assert_eq!(log, [(modseq, Uid(2))]);
        let row = w.mailbox().message(inbox.volume, Uid(2))?.unwrap();
        let modseq = w.next_modseq();
        w.remove(&mut inbox, &[row], modseq)?;
        assert_eq!((inbox.messages, inbox.unseen, inbox.deleted, inbox.bytes), (2, 2, 0, 8));
        assert_eq!((w.row().messages, w.row().bytes), (2, 8));
        let gone = w.mailbox().vanished(&inbox, before, modseq)?;
        assert_eq!(gone, NumberSet::one(2));
        assert!(w.mailbox().vanished(&inbox, modseq, modseq)?.is_empty());
        w.save()
    })
    .await;
}

#[tokio::test]
async fn what_is_forgotten_of_the_vanished_is_answered_with_all_that_is_missing() {
    run(|tx| {
        let mut w = Writer::create(tx, BOX, when())?;
        let mut inbox = w.mailbox().folder(FolderId::INBOX)?.unwrap();
        add(&mut w, &mut inbox, 700)?;
        let start = inbox.highest_modseq;
        for uid in 1..=600 {
            let row = w.mailbox().message(inbox.volume, Uid(uid))?.unwrap();
            let modseq = w.next_modseq();
            w.remove(&mut inbox, &[row], modseq)?;
        }
        w.save_folder(&inbox)?;
        assert!(inbox.vanished_rows <= 512 && inbox.vanished_floor > start);
        for since in [ModSeq::ZERO, start, inbox.vanished_floor] {
            let gone = w.mailbox().vanished(&inbox, since, inbox.highest_modseq)?;
            assert_eq!(gone.last(), Some(600));
            assert!(since == inbox.vanished_floor || gone.len() == 600);
        }
        w.save()
    })
    .await;
}

#[tokio::test]
async fn a_removed_mailbox_leaves_only_its_numbers() {
    run(|tx| {
        let mut w = Writer::create(tx, BOX, when())?;
        let mut inbox = w.mailbox().folder(FolderId::INBOX)?.unwrap();
        add(&mut w, &mut inbox, 5)?;
        w.subscribe("x")?;
        w.save()?;
        Writer::open(tx, BOX, when())?.unwrap().remove_mailbox()?;
        assert!(Writer::open(tx, BOX, when())?.is_none());
        let w = Writer::create(tx, BOX, when())?;
        let again = w.mailbox().folder(FolderId::INBOX)?.unwrap();
        assert!(again.uid_validity > inbox.uid_validity && again.volume != inbox.volume);
        assert_eq!((again.messages, w.row().messages), (0, 0));
        w.save()?;
        let what = pending(tx, now().plus(std::time::Duration::from_secs(1)))?.unwrap();
        assert_eq!(
            what,
            Purge { mailbox: BOX, volume: inbox.volume, due: what.due, folder: FolderId::INBOX }
        );
        assert!(purge(tx, what)?.done);
        assert_eq!(pending(tx, now().plus(std::time::Duration::from_secs(1)))?, None);
        let left = Mailbox::new(tx, BOX);
        assert_eq!(left.message(inbox.volume, Uid(1))?, None);
        assert!(left.uids(inbox.volume, Mark::There)?.is_empty());
        Ok(())
    })
    .await;
}

#[tokio::test]
async fn requests_are_forgotten_when_their_time_is_over() {
    run(|tx| {
        let what = Earlier { folder: FolderId(1), uid_validity: UidValidity(2), uid: Uid(3) };
        let (a, b) = (RequestId(1), RequestId(u128::MAX));
        remember(tx, BOX, a, what, Timestamp::from_secs(10))?;
        remember(tx, BOX, b, what, Timestamp::from_secs(20))?;
        assert_eq!(earlier(tx, BOX, a)?, Some(what));
        assert_eq!(earlier(tx, MailboxId(4), a)?, None);
        assert!(!expire(tx, Timestamp::from_secs(15))?);
        assert_eq!((earlier(tx, BOX, a)?, earlier(tx, BOX, b)?), (None, Some(what)));
        Ok(())
    })
    .await;
}

#[tokio::test]
async fn what_is_said_of_uids_is_what_the_messages_say() {
    run(|tx| {
        let mut w = Writer::create(tx, BOX, when())?;
        let mut inbox = w.mailbox().folder(FolderId::INBOX)?.unwrap();
        // Over the borders of chunks, with marks that are scattered and come and go.
        add(&mut w, &mut inbox, 3 * CHUNK)?;
        let all = [SystemFlags::SEEN, SystemFlags::FLAGGED, SystemFlags::DELETED];
        for n in 0..6000u32 {
            let uid = n.wrapping_mul(2_654_435_761) % (3 * CHUNK + 5);
            let Some(row) = w.mailbox().message(inbox.volume, Uid(uid))? else { continue };
            let modseq = w.next_modseq();
            if n % 5 == 0 {
                w.remove(&mut inbox, &[row], modseq)?;
            } else {
                w.set_flags(&mut inbox, row, (all[n as usize % 3], Vec::new()), modseq)?;
            }
        }
        w.save_folder(&inbox)?;
        let first = w.mailbox().uids(inbox.volume, Mark::Flagged)?.first().map(Uid);
        assert_eq!(w.mailbox().first_uid(inbox.volume, Mark::Flagged)?, first);
        w.save()?;
        let is_right = |tx: &Transaction<'_>| -> Result<Vec<(bool, u64)>, ShardError> {
            Ok(counted(tx, BOX)?.unwrap().0.iter().map(|f| (f.is_right(), f.uids)).collect())
        };
        assert_eq!(is_right(tx)?, [(true, 0)]);
        // One row is wrong, one is missing, one is too many.
        let row = tx.get(&keys::chunk(BOX, inbox.volume, 1))?.unwrap();
        tx.put(&keys::chunk(BOX, inbox.volume, 0), &row)?;
        tx.put(&keys::chunk(BOX, inbox.volume, 77), &row)?;
        tx.delete(&keys::chunk(BOX, inbox.volume, 1))?;
        assert_eq!(is_right(tx)?, [(false, 3)]);
        assert_eq!(recount(tx, BOX)?, [FolderId::INBOX]);
        assert_eq!(is_right(tx)?, [(true, 0)]);
        Ok(())
    })
    .await;
}

#[tokio::test]
async fn mailboxes_are_listed_in_order_and_removed_ones_are_not() {
    run(|tx| {
        for id in [5, -2, 0, i64::MAX, i64::MIN, 7] {
            Writer::create(tx, MailboxId(id), when())?.save()?;
        }
        Writer::open(tx, MailboxId(0), when())?.unwrap().remove_mailbox()?;
        let ids = |after, limit| {
            let page = mailboxes(tx, after, limit)?;
            Ok::<_, ShardError>(page.into_iter().map(|(id, _)| id.0).collect::<Vec<_>>())
        };
        assert_eq!(ids(None, 100)?, [i64::MIN, -2, 5, 7, i64::MAX]);
        assert_eq!(ids(Some(MailboxId(-2)), 2)?, [5, 7]);
        assert_eq!(ids(Some(MailboxId(6)), 1)?, [7]);
        assert!(ids(Some(MailboxId(i64::MAX)), 1)?.is_empty());
        Ok(())
    })
    .await;
}

#[tokio::test]
async fn attributes_are_listed_without_their_values_and_go_with_the_mailbox() {
    run(|tx| {
        let mut w = Writer::create(tx, BOX, when())?;
        let long = vec![b'x'; 100_000];
        w.set_attribute("b", Some(&long))?;
        w.set_attribute("a", Some(b"12"))?;
        w.set_attribute("c", Some(b""))?;
        w.set_attribute("c", None)?;
        assert_eq!(w.mailbox().attributes()?, [("a".to_owned(), 2), ("b".to_owned(), 100_000)]);
        assert_eq!(w.mailbox().attribute("b")?.as_deref(), Some(long.as_slice()));
        w.save()?;
        Writer::open(tx, BOX, when())?.unwrap().remove_mailbox()?;
        let w = Writer::create(tx, BOX, when())?;
        assert!(w.mailbox().attributes()?.is_empty());
        assert_eq!(w.mailbox().attribute("b")?, None);
        Ok(())
    })
    .await;
}
