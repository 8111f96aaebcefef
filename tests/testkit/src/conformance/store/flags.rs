//! Flags, ModSeqs and the change log.

use super::*;
use mail::flags::FlagAction;
use roles::store::{FlagsChange, FlagsChanged};

pub(super) async fn all(store: &dyn MessageStore, fresh: &mut Fresh) {
    flags_are_added_removed_and_replaced(store, fresh).await;
    a_change_that_others_overtook_is_refused(store, fresh).await;
    expunge_takes_what_is_marked(store, fresh).await;
    changes_are_told_once_and_in_order(store, fresh).await;
    counters_follow(store, fresh).await;
    large_sets_are_done_whole(store, fresh).await;
}

impl Client<'_> {
    async fn store_flags(&self, uids: &[u32], action: FlagAction, names: &[&str]) -> FlagsChanged {
        self.store_since(uids, action, names, None).await
    }

    async fn store_since(
        &self,
        uids: &[u32],
        action: FlagAction,
        names: &[&str],
        unchanged_since: Option<ModSeq>,
    ) -> FlagsChanged {
        let change = FlagsChange {
            mailbox: self.mailbox,
            folder: INBOX,
            uids: set(uids),
            action,
            flags: flags(names),
            unchanged_since,
        };
        self.store.flags_change(&call(1), change).await.expect("flags can be changed")
    }
}

async fn flags_are_added_removed_and_replaced(store: &dyn MessageStore, fresh: &mut Fresh) {
    let client = Client::new(store, fresh).await;
    for _ in 0..3 {
        client.append("INBOX", "x", &["\\Seen", "a"]).await;
    }
    client.store_flags(&[1], FlagAction::Add, &["\\Flagged", "b"]).await;
    client.store_flags(&[2], FlagAction::Remove, &["\\Seen", "A", "c"]).await;
    let done = client.store_flags(&[3, 9], FlagAction::Replace, &["d"]).await;
    assert_eq!(done.now.len(), 1, "a message that is not there is passed over");
    let expected = [(1, "\\Flagged \\Seen a b"), (2, ""), (3, "d")];
    assert_eq!(client.flags(INBOX).await, expected.map(|(uid, flags)| (uid, flags.to_owned())));
    let before = client.modseq(INBOX).await;
    let same = client.store_flags(&[3], FlagAction::Add, &["D"]).await;
    assert_eq!(same.now.len(), 1, "what was asked for is answered, changed or not");
    assert_eq!(client.modseq(INBOX).await, before, "nothing has changed");
    let opened = store.folder_open(&call(1), client.mailbox, "inbox".into()).await.unwrap();
    assert!(["a", "b", "d"].iter().all(|k| opened.keywords.iter().any(|name| name == k)));
    assert_eq!(opened.first_unseen, Some(Uid(2)));
}

async fn a_change_that_others_overtook_is_refused(store: &dyn MessageStore, fresh: &mut Fresh) {
    let client = Client::new(store, fresh).await;
    for _ in 0..3 {
        client.append("INBOX", "x", &[]).await;
    }
    let seen = client.modseq(INBOX).await;
    client.store_flags(&[2], FlagAction::Add, &["\\Seen"]).await;
    let done = client.store_since(&[1, 2, 3], FlagAction::Add, &["\\Flagged"], Some(seen)).await;
    assert_eq!(done.modified, set(&[2]));
    assert_eq!(done.now.iter().map(|n| n.0.0).collect::<Vec<_>>(), [1, 3]);
    assert!(done.now.iter().all(|n| n.2 > seen));
    let expected = [(1, "\\Flagged"), (2, "\\Seen"), (3, "\\Flagged")];
    assert_eq!(client.flags(INBOX).await, expected.map(|(uid, flags)| (uid, flags.to_owned())));
}

async fn expunge_takes_what_is_marked(store: &dyn MessageStore, fresh: &mut Fresh) {
    let client = Client::new(store, fresh).await;
    for _ in 0..4 {
        client.append("INBOX", "x", &[]).await;
    }
    let none = store.message_expunge(&call(1), client.mailbox, INBOX, NumberSet::all()).await.unwrap();
    assert!(none.is_empty());
    client.store_flags(&[1, 2, 4], FlagAction::Add, &["\\Deleted"]).await;
    let gone = store.message_expunge(&call(1), client.mailbox, INBOX, set(&[2, 3, 4])).await.unwrap();
    assert_eq!(gone, set(&[2, 4]));
    let gone = store.message_delete(&call(1), client.mailbox, INBOX, set(&[2, 3])).await.unwrap();
    assert_eq!(gone, set(&[3]));
    assert_eq!(client.flags(INBOX).await, [(1, "\\Deleted".to_owned())]);
}

async fn changes_are_told_once_and_in_order(store: &dyn MessageStore, fresh: &mut Fresh) {
    let client = Client::new(store, fresh).await;
    let changes = |since| async move {
        store.folder_changes(&call(1), client.mailbox, INBOX, since).await.expect("changes can be asked")
    };
    let start = client.modseq(INBOX).await;
    for _ in 0..4 {
        client.append("INBOX", "x", &[]).await;
    }
    let news = changes(start).await;
    assert_eq!(news.changed.iter().map(|c| c.0.0).collect::<Vec<_>>(), [1, 2, 3, 4]);
    assert!(news.changed.is_sorted_by(|a, b| a.2 < b.2), "each delivery has its own ModSeq");
    assert_eq!(news.folder.as_ref().map(|f| (f.messages, f.uid_next)), Some((4, Uid(5))));
    let quiet = changes(news.up_to).await;
    assert!(quiet.changed.is_empty() && quiet.vanished.is_empty());
    assert_eq!(quiet.up_to, news.up_to);
    client.store_flags(&[3, 1], FlagAction::Add, &["\\Seen"]).await;
    store.message_delete(&call(1), client.mailbox, INBOX, set(&[1, 2])).await.unwrap();
    let more = changes(news.up_to).await;
    assert_eq!(more.changed.iter().map(|c| c.0.0).collect::<Vec<_>>(), [3]);
    assert_eq!(more.changed[0].1, flags(&["\\Seen"]));
    assert_eq!(more.vanished, set(&[1, 2]));
    let all = changes(ModSeq::ZERO).await;
    assert_eq!(all.changed.iter().map(|c| c.0.0).collect::<Vec<_>>(), [4, 3]);
    let gone = store.folder_changes(&call(1), client.mailbox, FolderId(77), start).await.unwrap();
    assert!(gone.folder.is_none());
}

async fn counters_follow(store: &dyn MessageStore, fresh: &mut Fresh) {
    let client = Client::new(store, fresh).await;
    client.append("INBOX", "12345", &[]).await;
    client.append("INBOX", "12345", &["\\Seen"]).await;
    client.append("INBOX", "12345", &["\\Deleted"]).await;
    let status = || async {
        let folder = store.folder_status(&call(1), client.mailbox, "INBOX".into()).await.unwrap();
        (folder.messages, folder.unseen, folder.deleted, folder.bytes)
    };
    assert_eq!(status().await, (3, 2, 1, 15));
    client.store_flags(&[1, 2], FlagAction::Replace, &["\\Seen", "\\Deleted"]).await;
    assert_eq!(status().await, (3, 1, 3, 15));
    store.message_expunge(&call(1), client.mailbox, INBOX, set(&[1, 3])).await.unwrap();
    assert_eq!(status().await, (1, 0, 1, 5));
}

async fn large_sets_are_done_whole(store: &dyn MessageStore, fresh: &mut Fresh) {
    const COUNT: u32 = 9000;
    let client = Client::new(store, fresh).await;
    let mailbox = client.mailbox;
    client.create("copy").await;
    // Doubled by copying into itself, which is much faster than to append.
    client.append("INBOX", "x", &[]).await;
    let mut have = 1;
    while have < COUNT {
        let first: NumberSet = (1..=have.min(COUNT - have)).collect();
        store.message_copy(&call(1), mailbox, INBOX, first, "INBOX".into(), NO_LIMIT).await.unwrap();
        have = client.usage().await.0 as u32;
    }
    let every: Vec<u32> = (1..=COUNT).collect();
    let done = client.store_flags(&every, FlagAction::Add, &["\\Deleted"]).await;
    assert_eq!(done.now.len(), COUNT as usize);
    let moved = store.message_move(&call(1), mailbox, INBOX, NumberSet::all(), "copy".into()).await.unwrap();
    assert_eq!((moved.from.len(), moved.to.len()), (COUNT as usize, COUNT as usize));
    let opened = store.folder_open(&call(1), mailbox, "copy".into()).await.unwrap();
    assert_eq!((opened.uids.len(), opened.folder.deleted), (u64::from(COUNT), COUNT));
    let gone = store.message_expunge(&call(1), mailbox, opened.folder.id, NumberSet::all()).await.unwrap();
    assert_eq!(gone.len(), u64::from(COUNT));
    assert_eq!(client.usage().await, (0, 0));
}
