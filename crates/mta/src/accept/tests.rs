use super::*;
use crate::testing::Site;
use mail::envelope::Sender;
use roles::directory::Route;

/// A message for these addresses, each planned by what the directory says of it.
async fn incoming(site: &Site, to: &[&str], answers: Answers) -> Incoming {
    let call = Call::new(site.env.random.request_id(), TraceId::new("T"));
    let mut accepted = Vec::new();
    for address in to {
        let address = Address::parse(address).unwrap();
        let route = site.mta.directory.address_route(&call, address.clone()).await.unwrap();
        let plan = recipient::judge(route, Relay::Allowed, Verify::Later).unwrap();
        accepted.push(Accepted { recipient: address.into(), plan });
    }
    Incoming {
        origin: Origin {
            sender: Sender::from(Address::parse("from@far.example").unwrap()),
            ..Origin::default()
        },
        to: accepted,
        body: Body::from_bytes("Return-Path: <x>\r\nSubject: y\r\n\r\n"),
        return_path: 18,
        trace: TraceId::new("T1"),
        arrived: Timestamp::from_secs(1),
        peer: "192.0.2.1".parse().unwrap(),
        answers,
    }
}

async fn together(site: &Site, to: &[&str]) -> Vec<Fate> {
    take_responsibility(&site.mta, incoming(site, to, Answers::Together).await).await
}

fn queued(site: &Site) -> Vec<Vec<String>> {
    site.queue.items().iter().map(|i| i.to.iter().map(|r| r.address.to_string()).collect()).collect()
}

#[tokio::test]
async fn all_recipients_of_a_home_share_one_call_and_one_body() {
    let site = Site::new();
    let (a, b) = (site.directory.account("a@here", "x"), site.directory.account("b@here", "x"));
    site.directory.local("alias@here", Some(a.clone()), &[]);
    let mut elsewhere = site.directory.account("c@here", "x");
    elsewhere.home = mail::id::HostName::new("home2");
    site.directory.local("c@here", Some(elsewhere.clone()), &[]);
    assert_eq!(together(&site, &["a@here", "b@here", "alias@here", "c@here"]).await, [Fate::Taken; 4]);
    let drops = site.store.drops();
    assert_eq!(drops.len(), 2, "one call for each home");
    assert_eq!(drops[0].to, [(a.mailbox, None), (b.mailbox, None)], "a mailbox gets one copy");
    assert_eq!(drops[1].to, [(elsewhere.mailbox, None)]);
    assert_eq!(drops[0].request, drops[1].request);
    assert_eq!(drops[0].request, crate::ids::delivery_request(&TraceId::new("T1")));
    assert!(queued(&site).is_empty());
}

#[tokio::test]
async fn a_store_that_is_away_costs_its_own_recipients_only() {
    let site = Site::new();
    let here = site.directory.account("a@here", "x");
    let mut away = site.directory.account("b@here", "x");
    away.home = mail::id::HostName::new("away");
    site.directory.local("b@here", Some(away), &[]);
    assert_eq!(together(&site, &["a@here", "b@here"]).await, [Fate::Taken; 2]);
    assert_eq!(site.store.drops().len(), 1);
    assert_eq!(site.store.drops()[0].to, [(here.mailbox, None)]);
    assert_eq!(queued(&site), [["b@here"]], "the other waits for its store");
}

#[tokio::test]
async fn what_is_for_elsewhere_is_queued_without_its_return_path() {
    let site = Site::new();
    site.directory.account("a@here", "x");
    assert_eq!(together(&site, &["a@here", "b@far", "c@far", "B@far"]).await, [Fate::Taken; 4]);
    assert_eq!(queued(&site), [["b@far", "c@far"]]);
    assert_eq!(site.queue.items()[0].body.in_memory().unwrap(), "Subject: y\r\n\r\n");
}

#[tokio::test]
async fn a_store_that_cannot_take_it_now_leaves_it_to_the_queue() {
    for error in
        [StoreError::Unavailable, StoreError::Busy, StoreError::NoSpace, StoreError::Broken("x".into())]
    {
        let site = Site::new();
        let (a, _) = (site.directory.account("a@here", "x"), site.directory.account("b@here", "x"));
        site.store.fail(a.mailbox, error);
        assert_eq!(together(&site, &["a@here", "b@here"]).await, [Fate::Taken; 2]);
        assert_eq!(queued(&site), [["a@here"]]);
    }
}

#[tokio::test]
async fn nobody_takes_it() {
    let site = Site::new();
    site.directory.account("a@here", "x");
    site.store.fail_all(Some(StoreError::NoSpace));
    site.queue.fail(Some(QueueError::NoSpace));
    assert_eq!(together(&site, &["a@here"]).await, [Fate::NoSpace]);
    site.queue.fail(Some(QueueError::Unavailable));
    assert_eq!(together(&site, &["a@here", "b@far"]).await, [Fate::Trouble; 2]);
    assert!(!site.env.log.lines().iter().any(|l| l.contains("MtaMessageReceived")));
}

#[tokio::test]
async fn a_full_mailbox_is_refused_if_nobody_else_has_the_message() {
    let site = Site::new();
    let (a, _) = (site.directory.account("a@here", "x"), site.directory.account("b@here", "x"));
    site.store.fail(a.mailbox, StoreError::OverQuota);
    assert_eq!(together(&site, &["a@here"]).await, [Fate::Full(OverQuota::Refuse)]);
    assert!(queued(&site).is_empty());
    assert_eq!(together(&site, &["a@here", "b@here"]).await, [Fate::Taken; 2]);
    assert_eq!(queued(&site), [["a@here"]], "the sender is told by mail");
    let each = incoming(&site, &["a@here", "b@here"], Answers::Each).await;
    let fates = take_responsibility(&site.mta, each).await;
    assert_eq!(fates, [Fate::Full(OverQuota::Refuse), Fate::Taken], "LMTP can tell of each");
}

#[tokio::test]
async fn forwards_are_followed_once_the_mailbox_has_its_copy() {
    let site = Site::new();
    let a = site.directory.account("a@here", "x");
    let b = site.directory.account("b@here", "x");
    site.directory.local("a@here", Some(a.clone()), &["b@here", "c@far"]);
    assert_eq!(together(&site, &["a@here"]).await, [Fate::Taken]);
    let mailboxes: Vec<_> = site.store.drops().iter().flat_map(|d| d.to.clone()).collect();
    assert_eq!(mailboxes, [(a.mailbox, None), (b.mailbox, None)]);
    assert_eq!(queued(&site), [["c@far"]]);
    let site = Site::new();
    let a = site.directory.account("a@here", "x");
    site.directory.local("a@here", Some(a.clone()), &["c@far"]);
    site.store.fail(a.mailbox, StoreError::OverQuota);
    assert_eq!(together(&site, &["a@here"]).await, [Fate::Taken]);
    assert_eq!(queued(&site), [["a@here"]], "later, the mailbox first");
}

#[tokio::test]
async fn two_recipients_may_forward_to_the_same_address() {
    let site = Site::new();
    let c = site.directory.account("c@here", "x");
    site.directory.local("a@here", None, &["c@here"]);
    site.directory.local("b@here", None, &["c@here"]);
    assert_eq!(together(&site, &["a@here", "b@here"]).await, [Fate::Taken; 2]);
    assert_eq!(site.store.drops()[0].to, [(c.mailbox, None)]);
}

#[tokio::test]
async fn forwards_in_a_circle_end() {
    let site = Site::new();
    site.directory.local("a@here", None, &["b@here"]);
    site.directory.local("b@here", None, &["a@here"]);
    assert_eq!(together(&site, &["a@here"]).await, [Fate::Loop]);
    let c = site.directory.account("c@here", "x");
    site.directory.local("c@here", Some(c), &["a@here"]);
    assert_eq!(together(&site, &["c@here"]).await, [Fate::Taken], "a mailbox has it");
    for n in 0..20 {
        site.directory.local(&format!("long{n}@here"), None, &[&format!("long{}@here", n + 1)]);
    }
    assert_eq!(together(&site, &["long0@here"]).await, [Fate::Loop]);
}

#[tokio::test]
async fn a_forward_that_is_refused_is_reported_by_the_queue() {
    let site = Site::new();
    let b = site.directory.account("b@here", "x");
    site.directory.local("a@here", None, &["b@here", "gone@here", "off@here"]);
    site.directory.route("off@here", Route::Disabled);
    site.store.fail(b.mailbox, StoreError::OverQuota);
    assert_eq!(together(&site, &["a@here"]).await, [Fate::Taken]);
    let mut all = queued(&site).concat();
    all.sort();
    assert_eq!(all, ["b@here", "gone@here", "off@here"]);
}
