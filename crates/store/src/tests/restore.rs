//! Restoring a mailbox as it was: every moment of a history, against what was seen at that moment.

use super::*;
use mail::flags::{FlagAction, Flags, SystemFlags};
use mail::sequence::NumberSet;
use mail::time::Timestamp;
use roles::Body;
use roles::store::{Append, FlagsChange, Need, Quota, Read, StoreError, Subscription};
use roles::whole::{Restore, RestoreInto, Restored};
use std::collections::BTreeMap;

const BOX: MailboxId = MailboxId(9);

/// What a client sees of a mailbox: by folder, the text and the flags of each message, in order.
pub(super) type Seen = BTreeMap<String, Vec<(String, String)>>;

pub(super) async fn seen(store: &Store) -> Seen {
    let mut all = Seen::new();
    let Ok(listed) = store.folder_list(&call(1), BOX).await else { return all };
    for folder in listed.folders {
        let read = Read {
            mailbox: BOX,
            folder: folder.id,
            uids: NumberSet::all(),
            need: Need::Body,
            changed_since: None,
            limit: 1000,
        };
        let mut messages = Vec::new();
        for message in store.message_read(&call(1), read).await.unwrap().messages {
            let body = message.body.unwrap();
            let text = body.read(0, body.len() as usize).await.unwrap();
            messages.push((String::from_utf8(text.to_vec()).unwrap(), message.flags.to_string()));
        }
        all.insert(folder.name, messages);
    }
    all
}

pub(super) async fn append(store: &Store, folder: &str, text: &str) {
    let append = Append {
        mailbox: BOX,
        folder: folder.into(),
        flags: Flags::default(),
        received: Timestamp::from_secs(77),
        body: Body::from_bytes(format!("Subject: {text}\r\n\r\n")),
        quota: Quota::default(),
    };
    store.message_append(&call(1), append).await.unwrap();
}

pub(super) async fn flag(store: &Store, folder: &str, uid: u32, keyword: &str) {
    let folder = store.folder_status(&call(1), BOX, folder.into()).await.unwrap().id;
    let mut flags = Flags::system(SystemFlags::DELETED);
    assert!(flags.add_named(keyword));
    let (uids, action) = (NumberSet::one(uid), FlagAction::Add);
    let change = FlagsChange { mailbox: BOX, folder, uids, action, flags, unchanged_since: None };
    store.flags_change(&call(1), change).await.unwrap();
}

pub(super) async fn expunge(store: &Store, folder: &str) {
    let folder = store.folder_status(&call(1), BOX, folder.into()).await.unwrap().id;
    store.message_expunge(&call(1), BOX, folder, NumberSet::all()).await.unwrap();
}

/// One step of the history.
pub(super) async fn step(store: &Store, number: usize) {
    match number {
        0 => store.mailbox_create(&call(1), BOX).await.unwrap(),
        1 => append(store, "INBOX", "one").await,
        2 => append(store, "INBOX", "two").await,
        3 => drop(store.folder_create(&call(1), BOX, "Work/Old".into(), None).await.unwrap()),
        4 => append(store, "Work/Old", "three").await,
        5 => flag(store, "INBOX", 1, "Urgent").await,
        6 => expunge(store, "INBOX").await,
        7 => flag(store, "Work/Old", 1, "Later").await,
        8 => store.folder_subscribe(&call(1), BOX, "Work".into(), Subscription::On).await.unwrap(),
        9 => store.folder_rename(&call(1), BOX, "INBOX".into(), "Kept".into()).await.unwrap(),
        10 => append(store, "INBOX", "four").await,
        11 => store.folder_delete(&call(1), BOX, "Work/Old".into()).await.unwrap(),
        12 => store.folder_rename(&call(1), BOX, "Kept".into(), "Work/Old".into()).await.unwrap(),
        13 => store.mailbox_delete(&call(1), BOX).await.unwrap(),
        14 => store.mailbox_create(&call(1), BOX).await.unwrap(),
        15 => append(store, "INBOX", "five").await,
        _ => unreachable!("the history has no more steps"),
    }
}
const STEPS: usize = 16;

fn restore(at: Timestamp, into: RestoreInto) -> Restore {
    Restore { mailbox: BOX, at, into }
}

#[tokio::test]
async fn a_mailbox_is_restored_as_it_was_at_any_moment_of_its_history() {
    let dir = tempfile::tempdir().unwrap();
    let store = open_with(dir.path(), 1, "").unwrap();
    let mut moments = Vec::new();
    for number in 0..STEPS {
        step(&store, number).await;
        moments.push((store.inner().env.clock.now(), seen(&store).await));
    }
    let now = seen(&store).await;
    for (number, (at, then)) in moments.into_iter().enumerate() {
        let below = format!("r{number}");
        let done = store.restore(restore(at, RestoreInto::Below(below.clone()))).await.unwrap();
        assert_eq!(done.folders as usize, then.len(), "{number}");
        let all = seen(&store).await;
        let prefix = format!("{below}/");
        let restored: Seen =
            all.iter().filter_map(|(n, m)| Some((n.strip_prefix(&prefix)?.to_owned(), m.clone()))).collect();
        // Folders above one that was restored are made, too; they were there then as well.
        assert_eq!(restored, then, "as of step {number}");
    }
    let all = seen(&store).await;
    let rest: Seen = all.into_iter().filter(|(name, _)| !name.starts_with('r')).collect();
    assert_eq!(rest, now, "what was there is as it was");
    store.close().await;
}

#[tokio::test]
async fn what_is_gone_goes_back_into_its_place_and_what_is_there_stays() {
    let dir = tempfile::tempdir().unwrap();
    let store = open_with(dir.path(), 1, "").unwrap();
    for number in 0..6 {
        step(&store, number).await;
    }
    let at = store.inner().env.clock.now();
    let before = seen(&store).await;
    expunge(&store, "INBOX").await;
    store.folder_delete(&call(1), BOX, "Work/Old".into()).await.unwrap();
    append(&store, "INBOX", "new").await;
    let what_if = store.restore(restore(at, RestoreInto::Nowhere)).await.unwrap();
    let done = store.restore(restore(at, RestoreInto::Place)).await.unwrap();
    assert_eq!(what_if, done);
    assert_eq!((done.messages, done.unchanged), (2, 1));
    let after = seen(&store).await;
    assert_eq!(after["Work/Old"], before["Work/Old"]);
    let texts: Vec<_> =
        after["INBOX"].iter().map(|(text, _)| text.trim().trim_start_matches("Subject: ")).collect();
    assert_eq!(texts, ["two", "new", "one"]);
    assert_eq!(after["INBOX"][2], before["INBOX"][0]);
    let again = store.restore(restore(at, RestoreInto::Nowhere)).await.unwrap();
    assert_eq!(
        Restored { folders: done.folders, ..again },
        Restored { messages: 2, bytes: again.bytes, folders: 3, unchanged: 1 }
    );
    store.close().await;
}

#[tokio::test]
async fn only_moments_of_the_window_are_restored() {
    let dir = tempfile::tempdir().unwrap();
    let store = open_with(dir.path(), 1, "").unwrap();
    step(&store, 0).await;
    let now = store.inner().env.clock.now();
    for at in [now.minus(std::time::Duration::from_secs(3601)), now.plus(std::time::Duration::from_secs(60))]
    {
        let refused = store.restore(restore(at, RestoreInto::Nowhere)).await.unwrap_err();
        assert!(matches!(&refused, StoreError::Refused(why) if why.contains("last 60 minutes")), "{refused}");
    }
    store.close().await;
}
