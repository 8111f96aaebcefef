//! Messages: delivered, read, removed, copied, moved, searched.

use super::*;
use mail::message::Outline;
use mail::search::{Criterion, Day, Needle, Place};
use std::time::Duration;

const TEXT: &str = "Date: Fri, 1 Mar 2024 23:30:00 -0800\r\nSubject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\r\n\
    Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: base64\r\n\r\naGFsbG8gV2VsdA==\r\n";

pub(super) async fn all(store: &dyn MessageStore, fresh: &mut Fresh) {
    delivered_mail_is_read_back(store, fresh).await;
    one_delivery_reaches_all_of_its_recipients(store, fresh).await;
    a_repeated_request_delivers_once(store, fresh).await;
    quotas_are_kept(store, fresh).await;
    folders_of_deliveries(store, fresh).await;
    pages_follow_each_other(store, fresh).await;
    uids_only_grow(store, fresh).await;
    copies_and_moves(store, fresh).await;
    searches(store, fresh).await;
    the_lock_is_for_one(store, fresh).await;
    watchers_hear_of_every_change(store, fresh).await;
    a_body_outlives_its_message(store, fresh).await;
}

async fn delivered_mail_is_read_back(store: &dyn MessageStore, fresh: &mut Fresh) {
    let mailbox = fresh.next();
    let flagged = DeliverTo { flags: flags(&["\\Flagged", "Junk"]), ..to(mailbox) };
    let placed = store.message_deliver(&call(2), deliver(vec![flagged], TEXT, Repeatable::No)).await.unwrap();
    let placed = placed[0].clone().unwrap();
    assert_eq!((placed.folder, placed.uid), (INBOX, Uid(1)));
    let client = Client { store, mailbox };
    let messages = client.read(INBOX, NumberSet::all(), Need::Body).await;
    assert_eq!(uids(&messages), [1]);
    let message = &messages[0];
    assert_eq!(message.size, TEXT.len() as u64);
    assert_eq!(message.received, date());
    assert_eq!(message.flags, flags(&["\\Flagged", "Junk"]));
    assert_eq!(text_of(message).await, TEXT.as_bytes());
    let outline = Outline::decode(message.outline.as_ref().expect("Body includes Outline")).unwrap();
    assert_eq!((outline.size(), outline.root().lines()), (TEXT.len() as u64, 1));
    let bare = client.read(INBOX, NumberSet::all(), Need::Flags).await;
    assert!(bare[0].outline.is_none() && bare[0].body.is_none());
    assert_eq!(client.usage().await, (1, TEXT.len() as u64));
}

async fn one_delivery_reaches_all_of_its_recipients(store: &dyn MessageStore, fresh: &mut Fresh) {
    let boxes: Vec<MailboxId> = (0..7).map(|_| fresh.next()).collect();
    let to_all = boxes.iter().chain(&boxes[..1]).map(|b| to(*b)).collect();
    let placed = store.message_deliver(&call(3), deliver(to_all, TEXT, Repeatable::No)).await.unwrap();
    let numbers: Vec<u32> = placed.iter().map(|p| uid(p).0).collect();
    assert_eq!(numbers, [1, 1, 1, 1, 1, 1, 1, 2], "answers stand in the order of the request");
    for (n, mailbox) in boxes.iter().enumerate() {
        let client = Client { store, mailbox: *mailbox };
        let messages = client.read(INBOX, NumberSet::all(), Need::Body).await;
        assert_eq!(text_of(&messages[0]).await, TEXT.as_bytes());
        // What one removes, the others keep.
        if n % 2 == 0 {
            store.message_delete(&call(3), *mailbox, INBOX, NumberSet::all()).await.unwrap();
        }
    }
    let last = Client { store, mailbox: boxes[5] };
    let messages = last.read(INBOX, NumberSet::all(), Need::Body).await;
    assert_eq!(text_of(&messages[0]).await, TEXT.as_bytes());
    let nobody = store.message_deliver(&call(3), deliver(Vec::new(), TEXT, Repeatable::No)).await;
    assert!(matches!(nobody, Err(StoreError::Refused(_))));
}

async fn a_repeated_request_delivers_once(store: &dyn MessageStore, fresh: &mut Fresh) {
    let (a, b) = (fresh.next(), fresh.next());
    let request = call(0xfeed_0000 + u128::from(a.0.unsigned_abs()));
    let first = deliver(vec![to(a)], TEXT, Repeatable::Yes);
    let placed = store.message_deliver(&request, first).await.unwrap();
    let again = deliver(vec![to(b), to(a)], TEXT, Repeatable::Yes);
    let repeated = store.message_deliver(&request, again).await.unwrap();
    assert_eq!(repeated[1], placed[0]);
    for mailbox in [a, b] {
        assert_eq!(Client { store, mailbox }.usage().await.0, 1);
    }
    // Without the wish to be remembered, each one counts.
    for _ in 0..2 {
        store.message_deliver(&call(4), deliver(vec![to(a)], TEXT, Repeatable::No)).await.unwrap();
    }
    assert_eq!(Client { store, mailbox: a }.usage().await.0, 3);
}

async fn quotas_are_kept(store: &dyn MessageStore, fresh: &mut Fresh) {
    let client = Client::new(store, fresh).await;
    let mailbox = client.mailbox;
    let size = TEXT.len() as u64;
    let limited =
        |bytes, messages| DeliverTo { quota: Quota { bytes, messages, warning: None }, ..to(mailbox) };
    let two =
        deliver(vec![limited(2 * size, 0), limited(2 * size, 0), limited(2 * size, 0)], TEXT, Repeatable::No);
    let placed = store.message_deliver(&call(5), two).await.unwrap();
    assert_eq!((uid(&placed[0]), uid(&placed[1])), (Uid(1), Uid(2)));
    assert_eq!(placed[2], Err(StoreError::OverQuota));
    let refused = client.try_append("INBOX", "x", &[], Quota { messages: 2, ..NO_LIMIT }).await;
    assert_eq!(refused, Err(StoreError::OverQuota));
    let little = Quota { bytes: 3 * size, ..NO_LIMIT };
    let copy = store.message_copy(&call(5), mailbox, INBOX, NumberSet::all(), "INBOX".into(), little).await;
    assert_eq!(copy.unwrap_err(), StoreError::OverQuota);
    assert_eq!(client.usage().await, (2, 2 * size));
    store.message_delete(&call(5), mailbox, INBOX, set(&[1])).await.unwrap();
    assert_eq!(client.usage().await, (1, size));
}

async fn folders_of_deliveries(store: &dyn MessageStore, fresh: &mut Fresh) {
    let client = Client::new(store, fresh).await;
    let mailbox = client.mailbox;
    let lists = client.create("lists").await;
    let into = |name: &str| DeliverTo { folder: Some(name.into()), ..to(mailbox) };
    let both = deliver(vec![into("lists"), into("gone"), into("in\0valid")], TEXT, Repeatable::No);
    let placed = store.message_deliver(&call(6), both).await.unwrap();
    let folders: Vec<FolderId> = placed.iter().map(|p| p.as_ref().unwrap().folder).collect();
    assert_eq!(folders, [lists, INBOX, INBOX]);
    let missing = client.try_append("gone", TEXT, &[], NO_LIMIT).await;
    assert_eq!(missing, Err(StoreError::NoFolder));
    let nobody = Client { store, mailbox: fresh.next() };
    assert_eq!(nobody.try_append("INBOX", TEXT, &[], NO_LIMIT).await, Err(StoreError::NoMailbox));
    assert_eq!(nobody.usage().await, (0, 0));
}

async fn pages_follow_each_other(store: &dyn MessageStore, fresh: &mut Fresh) {
    let client = Client::new(store, fresh).await;
    for n in 0..10 {
        client.append("INBOX", &"x".repeat(n), &[]).await;
    }
    store.message_delete(&call(1), client.mailbox, INBOX, set(&[4, 9])).await.unwrap();
    let all = client.read(INBOX, NumberSet::all(), Need::Outline).await;
    assert_eq!(uids(&all), [1, 2, 3, 5, 6, 7, 8, 10]);
    assert_eq!(uids(&client.read(INBOX, set(&[2, 4, 8, 77]), Need::Body).await), [2, 8]);
    let (mailbox, since) = (client.mailbox, all[5].modseq);
    let read = Read {
        mailbox,
        folder: INBOX,
        uids: NumberSet::all(),
        need: Need::Flags,
        changed_since: Some(since),
        limit: 9,
    };
    let page = store.message_read(&call(1), read.clone()).await.unwrap();
    assert_eq!((uids(&page.messages), page.next), (vec![8, 10], None));
    let missing = Read { folder: FolderId(99), ..read };
    assert_eq!(store.message_read(&call(1), missing).await.unwrap_err(), StoreError::NoFolder);
}

async fn uids_only_grow(store: &dyn MessageStore, fresh: &mut Fresh) {
    let client = Client::new(store, fresh).await;
    let first = client.append("INBOX", "1", &[]).await;
    store.message_delete(&call(1), client.mailbox, INBOX, NumberSet::all()).await.unwrap();
    let second = client.append("INBOX", "2", &[]).await;
    assert!(second.uid > first.uid && second.uid_validity == first.uid_validity);
    store.mailbox_delete(&call(1), client.mailbox).await.unwrap();
    let gone = store.folder_open(&call(1), client.mailbox, "INBOX".into()).await;
    assert_eq!(gone.unwrap_err(), StoreError::NoMailbox);
    assert_eq!(client.usage().await, (0, 0));
    assert_eq!(store.mailbox_delete(&call(1), client.mailbox).await, Err(StoreError::NoMailbox));
    store.mailbox_create(&call(1), client.mailbox).await.unwrap();
    let third = client.append("INBOX", "3", &[]).await;
    assert!(third.uid_validity > first.uid_validity, "a new mailbox has a new epoch");
    assert_eq!(client.flags(INBOX).await.len(), 1);
}

async fn copies_and_moves(store: &dyn MessageStore, fresh: &mut Fresh) {
    let client = Client::new(store, fresh).await;
    let mailbox = client.mailbox;
    for (text, flag) in [("a", "\\Seen"), ("b", "Work"), ("c", "\\Draft")] {
        client.append("INBOX", text, &[flag]).await;
    }
    let box2 = client.create("box2").await;
    let copied = store
        .message_copy(&call(1), mailbox, INBOX, set(&[1, 2, 50]), "box2".into(), NO_LIMIT)
        .await
        .unwrap();
    assert_eq!((copied.from, copied.to), (vec![Uid(1), Uid(2)], vec![Uid(1), Uid(2)]));
    assert_eq!(client.flags(box2).await, [(1, "\\Seen".into()), (2, "Work".into())]);
    let moved = store.message_move(&call(1), mailbox, INBOX, set(&[2, 3]), "box2".into()).await.unwrap();
    assert_eq!((moved.from, moved.to), (vec![Uid(2), Uid(3)], vec![Uid(3), Uid(4)]));
    assert_eq!(client.flags(INBOX).await, [(1, "\\Seen".into())]);
    assert_eq!(client.usage().await, (5, 5));
    let same = store.message_move(&call(1), mailbox, INBOX, set(&[1]), "inbox".into()).await.unwrap();
    assert_eq!((same.from, same.to), (vec![Uid(1)], vec![Uid(4)]));
    assert_eq!(client.flags(INBOX).await, [(4, "\\Seen".into())]);
    let nowhere = store.message_move(&call(1), mailbox, INBOX, set(&[4]), "none".into()).await;
    assert_eq!(nowhere.unwrap_err(), StoreError::NoFolder);
    let texts = client.read(box2, NumberSet::all(), Need::Body).await;
    let mut bodies = Vec::new();
    for message in &texts {
        bodies.push(text_of(message).await);
    }
    assert_eq!(bodies, [b"a", b"b", b"b", b"c"]);
}

async fn searches(store: &dyn MessageStore, fresh: &mut Fresh) {
    let client = Client::new(store, fresh).await;
    client.append("INBOX", TEXT, &["\\Seen"]).await;
    client.append("INBOX", "Subject: plain\r\n\r\nWorld\r\n", &["Work"]).await;
    client.append("INBOX", "\r\nnothing\r\n", &[]).await;
    let text = |place, needle: &str| Criterion::Text(place, Needle::new(needle).unwrap());
    let subject = || Place::Header("subject".into());
    let day = |d| Day::new(2024, 3, d).unwrap();
    let cases = [
        (Criterion::every(), vec![1, 2, 3]),
        (Criterion::Flags(mail::flags::SystemFlags::SEEN), vec![1]),
        (Criterion::Keyword(mail::flags::Keyword::new("work").unwrap()), vec![2]),
        (Criterion::Larger(100), vec![1]),
        (Criterion::Sent(day(1)..day(2)), vec![1]),
        (Criterion::Received(Timestamp::from_secs(0)..date()), vec![]),
        (text(subject(), "grüsse"), vec![]),
        (text(subject(), "GRÜSSE"), vec![]),
        (text(subject(), "grüße"), vec![1]),
        (text(subject(), ""), vec![1, 2]),
        (text(Place::Body, "hallo WELT"), vec![1]),
        (text(Place::Body, "aGFs"), vec![]),
        (text(Place::Body, "subject"), vec![]),
        (text(Place::Anywhere, "subject"), vec![1, 2]),
        (Criterion::Not(Box::new(text(Place::Anywhere, "w"))), vec![3]),
        (Criterion::All(vec![Criterion::Uids(set(&[2, 3])), text(Place::Body, "o")]), vec![2, 3]),
    ];
    for (criterion, expected) in cases {
        let shown = format!("{criterion:?}");
        // `ß` and `ss` are told apart or not as `Needle` folds; the store adds nothing to it.
        let folds = shown.to_lowercase().contains("grüsse") || shown.contains("GRÜSSE");
        let expected =
            if folds && Needle::new("grüsse").unwrap().occurs_in("grüße") { vec![1] } else { expected };
        let found = store.message_search(&call(1), client.mailbox, INBOX, criterion).await.unwrap();
        assert_eq!(found.iter().collect::<Vec<_>>(), expected, "{shown}");
    }
}

async fn the_lock_is_for_one(store: &dyn MessageStore, fresh: &mut Fresh) {
    let mailbox = fresh.next();
    let (a, b) = (call(10), call(11));
    store.mailbox_lock(&a, mailbox).await.unwrap();
    store.mailbox_lock(&a, mailbox).await.unwrap();
    assert_eq!(store.mailbox_lock(&b, mailbox).await, Err(StoreError::Locked));
    store.mailbox_unlock(&b, mailbox);
    assert_eq!(store.mailbox_lock(&b, mailbox).await, Err(StoreError::Locked));
    store.mailbox_unlock(&a, mailbox);
    store.mailbox_lock(&b, mailbox).await.unwrap();
    store.mailbox_unlock(&b, mailbox);
}

async fn watchers_hear_of_every_change(store: &dyn MessageStore, fresh: &mut Fresh) {
    let client = Client::new(store, fresh).await;
    let mut watch = store.mailbox_watch(&call(1), client.mailbox).await.unwrap();
    let silent = tokio::time::timeout(Duration::from_millis(20), watch.changed()).await;
    assert!(silent.is_err(), "nothing has happened");
    client.append("INBOX", "x", &[]).await;
    watch.changed().await.unwrap();
    store.message_delete(&call(1), client.mailbox, INBOX, NumberSet::all()).await.unwrap();
    watch.changed().await.unwrap();
    client.create("new").await;
    watch.changed().await.unwrap();
    let delivery = deliver(vec![to(client.mailbox)], TEXT, Repeatable::No);
    let one = call(1);
    let (woken, placed) = tokio::join!(watch.changed(), store.message_deliver(&one, delivery));
    woken.unwrap();
    placed.unwrap();
}

async fn a_body_outlives_its_message(store: &dyn MessageStore, fresh: &mut Fresh) {
    let client = Client::new(store, fresh).await;
    let text = "line\r\n".repeat(50_000);
    client.append("INBOX", &text, &[]).await;
    let messages = client.read(INBOX, NumberSet::all(), Need::Body).await;
    store.message_delete(&call(1), client.mailbox, INBOX, NumberSet::all()).await.unwrap();
    let body = messages[0].body.clone().unwrap();
    let end = body.read(body.len() - 6, 100).await.unwrap();
    assert_eq!(end, "line\r\n");
}
