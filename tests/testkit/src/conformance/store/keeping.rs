//! Lists of mailboxes, attributes, warnings of the quota, and the age of mail.

use super::*;
use mail::attribute::AttributeName;
use mail::flags::FlagAction;
use roles::store::{Expire, Expired, FlagsChange, Run, Unread, Warning};
use std::sync::Arc;

pub(super) async fn all(store: &dyn MessageStore, fresh: &mut Fresh) {
    mailboxes_are_listed_in_pages(store, fresh).await;
    attributes_are_kept_and_go_with_the_mailbox(store, fresh).await;
    a_user_is_warned_once_for_each_crossing(store, fresh).await;
    every_way_in_can_cross(store, fresh).await;
    old_mail_goes_and_new_mail_stays(store, fresh).await;
}

async fn mailboxes_are_listed_in_pages(store: &dyn MessageStore, fresh: &mut Fresh) {
    let clients =
        [Client::new(store, fresh).await, Client::new(store, fresh).await, Client::new(store, fresh).await];
    clients[1].append("INBOX", "12345", &[]).await;
    let ids: Vec<_> = clients.iter().map(|c| c.mailbox).collect();
    let (mut found, mut after) = (Vec::new(), None);
    loop {
        let page = store.mailbox_list(&call(1), after, 2).await.unwrap();
        assert!(page.len() <= 2);
        let Some(last) = page.last() else { break };
        after = Some(last.mailbox);
        found.extend(page);
    }
    assert!(found.is_sorted_by(|a, b| a.mailbox < b.mailbox), "each once and in order");
    let usage =
        |id| found.iter().find(|line| line.mailbox == id).map(|line| (line.usage.messages, line.usage.bytes));
    assert_eq!([usage(ids[0]), usage(ids[1])], [Some((0, 0)), Some((1, 5))]);
    store.mailbox_delete(&call(1), ids[2]).await.unwrap();
    let page = store.mailbox_list(&call(1), Some(ids[1]), 1000).await.unwrap();
    assert!(page.iter().all(|line| line.mailbox != ids[2]));
}

async fn attributes_are_kept_and_go_with_the_mailbox(store: &dyn MessageStore, fresh: &mut Fresh) {
    let mailbox = Client::new(store, fresh).await.mailbox;
    let name = |text| AttributeName::parse(text).unwrap();
    let get = |text| async move { store.attribute_get(&call(1), mailbox, name(text)).await.unwrap() };
    let set = |text, value: Option<Vec<u8>>| async move {
        store.attribute_set(&call(1), mailbox, name(text), value.map(Into::into)).await
    };
    assert_eq!(get("autoreplytxt").await, None);
    set("autoreplytxt", Some(b"I am away.\0".to_vec())).await.unwrap();
    set("addressbook", Some(vec![7; 300_000])).await.unwrap();
    assert_eq!(get("autoreplytxt").await.as_deref(), Some(b"I am away.\0".as_slice()));
    assert_eq!(get("addressbook").await.unwrap().len(), 300_000);
    let list = store.attribute_list(&call(1), mailbox).await.unwrap();
    let list: Vec<_> = list.iter().map(|line| (line.name.as_str(), line.bytes)).collect();
    assert_eq!(list, [("addressbook", 300_000), ("autoreplytxt", 11)]);
    let refused = set("autoreplytxt", Some(vec![b'x'; (32 << 10) + 1])).await;
    assert!(matches!(refused, Err(StoreError::Limit(_))), "{refused:?}");
    assert_eq!(get("autoreplytxt").await.unwrap().len(), 11, "what is refused changes nothing");
    set("addressbook", None).await.unwrap();
    assert_eq!(get("addressbook").await, None);
    store.mailbox_delete(&call(1), mailbox).await.unwrap();
    let gone = store.attribute_get(&call(1), mailbox, name("autoreplytxt")).await;
    assert_eq!(gone, Err(StoreError::NoMailbox));
    store.mailbox_create(&call(1), mailbox).await.unwrap();
    assert!(store.attribute_list(&call(1), mailbox).await.unwrap().is_empty());
}

const MESSAGE: &str = "Subject: x\r\n\r\n0123456789012345678901234567890123456789\r\n";

fn limited(messages: u64) -> Quota {
    let (to, from, text) = ("a@b.test".into(), "postmaster@b.test".into(), "Nearly full".into());
    Quota { messages, warning: Some(Arc::new(Warning { percent: 50, to, from, text })), ..NO_LIMIT }
}

impl Client<'_> {
    async fn deliver(&self, request: u128, quota: &Quota) -> Placed {
        let to = vec![DeliverTo {
            mailbox: self.mailbox,
            folder: None,
            quota: quota.clone(),
            flags: Flags::default(),
        }];
        let body = Body::from_bytes(MESSAGE);
        let deliver = Deliver { to, body, received: date(), repeatable: Repeatable::Yes };
        let mut placed = self.store.message_deliver(&call(request), deliver).await.unwrap();
        placed.remove(0).unwrap()
    }

    /// UIDs of the warnings.
    async fn warnings(&self) -> Vec<u32> {
        let mut found = Vec::new();
        for message in self.read(INBOX, NumberSet::all(), Need::Body).await {
            let text = message.body.unwrap().read(0, 4096).await.unwrap();
            let text = String::from_utf8(text.to_vec()).unwrap();
            if text.contains("Auto-Submitted: auto-generated\r\n") {
                assert!(text.contains("\r\nNearly full\r\n") && text.contains("To: a@b.test\r\n"), "{text}");
                found.push(message.uid.0);
            }
        }
        found
    }
}

async fn a_user_is_warned_once_for_each_crossing(store: &dyn MessageStore, fresh: &mut Fresh) {
    let client = Client::new(store, fresh).await;
    let quota = limited(10);
    for n in 0..4 {
        client.deliver(100 + n, &quota).await;
    }
    assert!(client.warnings().await.is_empty());
    client.deliver(104, &quota).await;
    assert_eq!(client.warnings().await, [6], "the fifth of ten crosses 50 %");
    // A repeat of the request that crossed, and further mail above the threshold, warn nobody again.
    client.deliver(104, &quota).await;
    client.deliver(105, &quota).await;
    assert_eq!(client.warnings().await, [6]);
    assert_eq!(client.usage().await.0, 7, "the warning counts");
    store.message_delete(&call(1), client.mailbox, INBOX, set(&[1, 2, 3, 6])).await.unwrap();
    client.deliver(106, &quota).await;
    assert!(client.warnings().await.is_empty(), "four are still below");
    client.deliver(107, &quota).await;
    assert_eq!(client.warnings().await.len(), 1, "it was below in between");
}

async fn every_way_in_can_cross(store: &dyn MessageStore, fresh: &mut Fresh) {
    let client = Client::new(store, fresh).await;
    client.create("Sent").await;
    client.try_append("Sent", "x", &[], limited(4)).await.unwrap();
    assert!(client.warnings().await.is_empty());
    client.try_append("Sent", "y", &[], limited(4)).await.unwrap();
    assert_eq!(client.warnings().await, [1], "by APPEND, and the warning is in the Inbox");
    let client = Client::new(store, fresh).await;
    client.append("INBOX", "x", &[]).await;
    let copied = store
        .message_copy(&call(1), client.mailbox, INBOX, NumberSet::all(), "INBOX".into(), limited(4))
        .await
        .unwrap();
    assert_eq!((copied.to, client.warnings().await), (vec![Uid(2)], vec![3]), "by COPY");
    // Where the warning would not fit, there is none: the limit holds.
    let client = Client::new(store, fresh).await;
    client.deliver(200, &limited(1)).await;
    assert_eq!((client.warnings().await, client.usage().await.0), (vec![], 1));
}

async fn old_mail_goes_and_new_mail_stays(store: &dyn MessageStore, fresh: &mut Fresh) {
    let client = Client::new(store, fresh).await;
    let mailbox = client.mailbox;
    for (n, day) in [(300, 1), (301, 5), (302, 9)] {
        let to = vec![DeliverTo { mailbox, folder: None, quota: NO_LIMIT, flags: Flags::default() }];
        let received = Timestamp::from_secs(day * 86_400);
        let deliver = Deliver { to, body: Body::from_bytes("12345"), received, repeatable: Repeatable::No };
        store.message_deliver(&call(n), deliver).await.unwrap();
    }
    let change = FlagsChange {
        mailbox,
        folder: INBOX,
        uids: set(&[1]),
        action: FlagAction::Add,
        flags: flags(&["\\Seen"]),
        unchanged_since: None,
    };
    store.flags_change(&call(1), change).await.unwrap();
    let expire = |unread, run| {
        let before = Timestamp::from_secs(9 * 86_400);
        let expire = Expire { mailbox, folder: INBOX, before, unread, run };
        async move { store.message_expire(&call(1), expire).await.unwrap() }
    };
    let two = Expired { messages: 2, bytes: 10, protected: 0 };
    assert_eq!(expire(Unread::Goes, Run::Dry).await, two);
    assert_eq!(client.usage().await, (3, 15), "a dry run removes nothing");
    let last = || async move { store.attribute_get(&call(1), mailbox, AttributeName::last_expired()).await };
    let noted = last().await.unwrap();
    assert_eq!(noted, None);
    assert_eq!(expire(Unread::Stays, Run::Real).await, Expired { messages: 1, bytes: 5, protected: 1 });
    assert!(last().await.unwrap().is_some(), "the time of the last run is kept");
    assert_eq!(expire(Unread::Goes, Run::Real).await, Expired { messages: 1, bytes: 5, protected: 0 });
    assert_eq!(client.usage().await, (1, 5));
    assert_eq!(expire(Unread::Goes, Run::Real).await, Expired::default());
}
