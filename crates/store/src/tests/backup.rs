//! Backups of the store while it is used, and mail back from them.

use super::restore::{Seen, append, expunge, seen, step};
use super::*;
use env::clock::Clock;
use mail::sequence::NumberSet;
use mail::time::Timestamp;
use roles::backup::{BackupError, Recover};
use roles::store::{Need, Quota, Read};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use storage::backup::{Backups, Generation, Kind, Steps, Work};
use storage::pace::{Pace, Rate};

const BOX: MailboxId = MailboxId(9);

fn work() -> Work {
    Work::new(Pace::new(&Clock::system(), || Rate::Unlimited))
}

/// A backup of the mail.
async fn back_up(store: &Store, folder: &Path) -> Generation {
    let backups = Backups::create(folder).unwrap();
    let new = backups.begin(Kind::Messages, "venus", Timestamp::from_secs(5)).unwrap();
    store.back_up(new.folder(), &work()).await.unwrap();
    new.finish().unwrap()
}

async fn assert_whole(generation: &Generation) {
    let generation = generation.clone();
    let verify = move |steps: &Steps| {
        let mut found = Vec::new();
        generation.verify(steps, &mut |finding| found.push(finding))?;
        Ok(found)
    };
    assert_eq!(work().run(verify).await.unwrap(), []);
}

fn recover(folder: &Path, from: MailboxId, below: &str) -> Recover {
    let (folder, below) = (folder.to_str().unwrap().to_owned(), below.to_owned());
    Recover { folder, generation: None, from, into: BOX, below, quota: Quota::default() }
}

/// What stands below a folder, called as if it stood alone.
fn below(seen: &Seen, prefix: &str) -> Seen {
    let strip = |name: &String| Some(name.strip_prefix(prefix)?.strip_prefix('/')?.to_owned());
    seen.iter().filter_map(|(name, messages)| Some((strip(name)?, messages.clone()))).collect()
}

#[tokio::test]
async fn a_mailbox_comes_back_with_folders_flags_and_dates() {
    let dir = tempfile::tempdir().unwrap();
    let (store, folder) = (open(&dir.path().join("mss"), 2).unwrap(), dir.path().join("backups"));
    for number in 0..9 {
        step(&store, number).await;
    }
    let before = seen(&store).await;
    let generation = back_up(&store, &folder).await;
    assert_whole(&generation).await;
    append(&store, "INBOX", "later").await;
    for name in ["Work/Old", "Work"] {
        store.folder_delete(&call(1), BOX, name.into()).await.unwrap();
    }
    let now = seen(&store).await;
    let done = store.recover(&call(1), recover(&folder, BOX, "Restored/Monday")).await.unwrap();
    let messages: usize = before.values().map(Vec::len).sum();
    assert_eq!((done.generation, done.damaged), (1, 0));
    assert_eq!((done.folders, done.messages), (before.len() as u64, messages as u64));
    let after = seen(&store).await;
    assert_eq!(below(&after, "Restored/Monday"), before);
    assert_eq!(after["INBOX"], now["INBOX"]);
    let folders = store.folder_list(&call(1), BOX).await.unwrap().folders;
    let found = folders.iter().find(|f| f.name == "Restored/Monday/INBOX").unwrap();
    let (need, uids) = (Need::Flags, NumberSet::all());
    let read = Read { mailbox: BOX, folder: found.id, uids, need, changed_since: None, limit: 9 };
    let read = store.message_read(&call(1), read).await.unwrap().messages;
    assert!(!read.is_empty() && read.iter().all(|m| m.received == Timestamp::from_secs(77)));
    // Only once below that name; not where it does not fit; not what is not there.
    let again = store.recover(&call(1), recover(&folder, BOX, "Restored/Monday")).await;
    assert!(matches!(again, Err(BackupError::Refused(_))));
    let quota = Quota {
        bytes: 0,
        messages: after.values().map(Vec::len).sum::<usize>() as u64 + 1,
        ..Quota::default()
    };
    let small = Recover { quota, ..recover(&folder, BOX, "More") };
    assert!(
        matches!(store.recover(&call(1), small).await, Err(BackupError::Refused(why)) if why.contains("room"))
    );
    let none = store.recover(&call(1), recover(&folder, MailboxId(77), "More")).await;
    assert!(matches!(none, Err(BackupError::Refused(why)) if why.contains("77")));
    assert_eq!(seen(&store).await, after);
    store.close().await;
}

#[tokio::test]
async fn a_damaged_message_in_a_backup_hides_no_other() {
    let dir = tempfile::tempdir().unwrap();
    let (store, folder) = (open(&dir.path().join("mss"), 1).unwrap(), dir.path().join("backups"));
    step(&store, 0).await;
    for text in ["one", "two-is-damaged", "three"] {
        append(&store, "INBOX", text).await;
    }
    back_up(&store, &folder).await;
    let segments = folder.join("segments/mss/shard-000");
    let segment: PathBuf = std::fs::read_dir(segments).unwrap().next().unwrap().unwrap().path();
    let mut bytes = std::fs::read(&segment).unwrap();
    let at = bytes.windows(14).position(|w| w == b"two-is-damaged").unwrap();
    bytes[at] ^= 1;
    std::fs::write(&segment, bytes).unwrap();
    let done = store.recover(&call(1), recover(&folder, BOX, "Back")).await.unwrap();
    assert_eq!((done.messages, done.damaged), (2, 1));
    assert_eq!(seen(&store).await["Back/INBOX"].len(), 2);
    store.close().await;
}

/// Mailboxes change their shards all the time; in every backup each is once, and whole.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn mailboxes_that_move_are_in_every_backup() {
    let dir = tempfile::tempdir().unwrap();
    let (store, folder) = (open(&dir.path().join("mss"), 3).unwrap(), dir.path().join("backups"));
    step(&store, 0).await;
    for number in 0..40 {
        append(&store, "INBOX", &format!("message {number}")).await;
    }
    let stop = AtomicBool::new(false);
    let moves = async {
        let mut moves = 0u32;
        while !stop.load(Ordering::Relaxed) {
            store.move_mailbox(BOX, moves % 3).await.unwrap();
            moves += 1;
        }
        moves
    };
    let backups = async {
        for number in 0..6 {
            let generation = back_up(&store, &folder).await;
            assert_whole(&generation).await;
            let done = store.recover(&call(1), recover(&folder, BOX, &format!("Back {number}"))).await;
            // A mailbox that is on its way takes its time; the backup has it.
            let done = done.unwrap();
            assert_eq!(done.messages, 40 << number, "backup {number}");
        }
        stop.store(true, Ordering::Relaxed);
    };
    let (moves, ()) = tokio::join!(moves, backups);
    assert!(moves > 0);
    expunge(&store, "INBOX").await;
    store.close().await;
}
