use super::*;
use roles::directory::provision::{Forwarding, Place};
use roles::directory::{Local, OverQuota};

on_both! {
    an_address_leads_to_its_mailbox_in_any_case,
    states_decide_what_becomes_of_mail,
    details_name_folders_unless_the_whole_is_an_address,
    its_17065_and_17231_forwards_and_local_delivery,
    domains_relay_rewrite_and_fall_through,
    a_circle_of_domains_waits_for_somebody_to_look,
    postmaster_is_known_in_every_local_domain,
    its_17586_and_17587_every_legal_character_and_no_quotes,
    senders_are_their_own_addresses,
    its_18197_changes_of_other_processes_are_seen_when_the_log_is_read,
}

fn local(route: Route) -> Local {
    match route {
        Route::Local(local) => *local,
        other => panic!("{other:?}"),
    }
}

async fn with_bob(configuration: &str) -> Site {
    let site = Site::with(configuration).await;
    site.create("bob@a.test").await;
    site
}

async fn make_domain(site: &Site, name: &str, kind: DomainKind, target: Option<&str>) {
    let request = Request::CreateDomain(domain(name), kind, target.map(Into::into));
    assert_eq!(site.ask(request).await, Ok(Reply::Done));
}

async fn an_address_leads_to_its_mailbox_in_any_case() {
    let site = with_bob("").await;
    site.set("bob@a.test", "totalBytes", "1000").await;
    site.set("bob@a.test", "quotaAction", "defer").await;
    let found = local(site.route("BOB@A.test").await);
    let account = found.account.unwrap();
    assert_eq!((account.login.as_str(), account.home.as_str()), ("bob@a.test", "venus"));
    assert_eq!((account.quota.bytes, found.over_quota), (1000, OverQuota::Defer));
    assert_eq!(site.route("nobody@a.test").await, Route::Unknown);
    assert_eq!(site.route("bob@elsewhere.test").await, Route::Remote);
    assert_eq!(site.route("bob@[192.0.2.1]").await, Route::Remote);
}

async fn states_decide_what_becomes_of_mail() {
    let site = with_bob("").await;
    let cases = [
        (Status::Maintenance, Route::Deferred),
        (Status::Locked, Route::Disabled),
        (Status::Deleted, Route::Unknown),
        (Status::Proxied, Route::Relay(Some(("venus".into(), 25)))),
    ];
    for (status, route) in cases {
        site.change("bob@a.test", AccountChange::Status(status)).await;
        assert_eq!(site.route("bob@a.test").await, route, "{status}");
    }
    site.change("bob@a.test", AccountChange::Status(Status::Suspended)).await;
    assert!(local(site.route("bob@a.test").await).account.is_some());
}

async fn details_name_folders_unless_the_whole_is_an_address() {
    let site = with_bob("").await;
    assert_eq!(local(site.route("bob+lists+rust@a.test").await).detail.as_deref(), Some("lists+rust"));
    let whole = Request::CreateAlias(user("bob@a.test"), address("bob+lists@a.test"));
    assert_eq!(site.ask(whole).await, Ok(Reply::Done));
    assert_eq!(local(site.route("bob+lists@a.test").await).detail, None);
    let off = with_bob("/*/imdircacheserv/subaddressSeparator: []").await;
    assert_eq!(off.route("bob+x@a.test").await, Route::Unknown);
}

async fn its_17065_and_17231_forwards_and_local_delivery() {
    let site = with_bob("").await;
    let remote = Request::CreateForward(user("bob@a.test"), Place::Remote, address("Bob@far.test"));
    assert_eq!(site.ask(remote).await, Ok(Reply::Done));
    let both = local(site.route("bob@a.test").await);
    assert!(both.account.is_some());
    assert_eq!(both.forwards, [address("Bob@far.test")]);
    site.set("bob@a.test", "pref_localdelivery", "NO").await;
    assert!(local(site.route("bob@a.test").await).account.is_none());
    // Forwards that are not followed must not leave the mail without a place.
    site.change("bob@a.test", AccountChange::Forwarding(Forwarding::Off)).await;
    let kept = local(site.route("bob@a.test").await);
    assert!(kept.account.is_some() && kept.forwards.is_empty());
    assert_eq!(site.logged("AcctForwardInfoMissing"), 1);
    site.change("bob@a.test", AccountChange::Forwarding(Forwarding::On)).await;
    site.set("bob@a.test", "perm_forward", "no").await;
    assert!(local(site.route("bob@a.test").await).account.is_some());
}

async fn domains_relay_rewrite_and_fall_through() {
    let site = with_bob("").await;
    make_domain(&site, "relay.test", DomainKind::Relay, Some("mx.far.test:2525")).await;
    make_domain(&site, "mx.test", DomainKind::Relay, None).await;
    make_domain(&site, "alias.test", DomainKind::Rewrite, Some("A.test")).await;
    make_domain(&site, "half.test", DomainKind::NonAuthoritative, Some("old.far.test")).await;
    site.create("here@half.test").await;
    assert_eq!(site.route("x@relay.test").await, Route::Relay(Some(("mx.far.test".into(), 2525))));
    assert_eq!(site.route("x@mx.test").await, Route::Relay(None));
    assert_eq!(local(site.route("Bob@alias.test").await).account.unwrap().login, "bob@a.test");
    assert!(local(site.route("here@half.test").await).account.is_some());
    assert_eq!(site.route("there@half.test").await, Route::Relay(Some(("old.far.test".into(), 25))));
}

async fn a_circle_of_domains_waits_for_somebody_to_look() {
    let site = Site::new().await;
    make_domain(&site, "one.test", DomainKind::Rewrite, Some("two.test")).await;
    make_domain(&site, "two.test", DomainKind::Rewrite, Some("one.test")).await;
    assert_eq!(site.route("x@one.test").await, Route::Deferred);
}

async fn postmaster_is_known_in_every_local_domain() {
    let site = with_bob("/*/common/defaultDomain: [a.test]").await;
    make_domain(&site, "b.test", DomainKind::Local, None).await;
    assert_eq!(site.route("postmaster@b.test").await, Route::Unknown);
    let alias = Request::CreateAlias(user("bob@a.test"), address("postmaster@a.test"));
    assert_eq!(site.ask(alias).await, Ok(Reply::Done));
    assert_eq!(local(site.route("PostMaster@b.test").await).account.unwrap().login, "bob@a.test");
    let named = with_bob("/*/imdircacheserv/postmasterAddress: [bob@a.test]").await;
    make_domain(&named, "b.test", DomainKind::Local, None).await;
    assert!(local(named.route("postmaster@b.test").await).account.is_some());
}

async fn its_17586_and_17587_every_legal_character_and_no_quotes() {
    let site = with_bob("").await;
    for text in ["o'neil&co/x=y{z}|~!#$%*?^`@a.test", r#""a b"@a.test"#, r#""semi;colon,comma"@a.test"#] {
        let alias = Request::CreateAlias(user("bob@a.test"), address(text));
        assert_eq!(site.ask(alias).await, Ok(Reply::Done), "{text}");
        assert!(local(site.route(text).await).account.is_some(), "{text}");
        assert!(site.directory.account_find(&site.call(), text.into()).await.is_ok(), "{text}");
    }
    assert!(local(site.route(r#""bob"@a.test"#).await).account.is_some());
}

async fn senders_are_their_own_addresses() {
    let site = with_bob("").await;
    site.create("eve@a.test").await;
    let bob = site.directory.account_find(&site.call(), "bob@a.test".into()).await.unwrap();
    let may = async |sender: &str| {
        site.directory.sender_allowed(&site.call(), bob.id, address(sender)).await.unwrap()
    };
    assert!(may("Bob@A.test").await && may("bob+x@a.test").await);
    assert!(!may("eve@a.test").await && !may("bob@b.test").await);
}

/// Another process changes what this one has cached; a change through this one is seen at once in any case.
async fn its_18197_changes_of_other_processes_are_seen_when_the_log_is_read() {
    let site = with_bob("").await;
    assert!(local(site.route("bob@a.test").await).account.is_some());
    let other = site.other().await;
    let locked = AccountChange::Status(Status::Locked);
    let done = other.provision(&site.call(), vec![Request::ChangeAccount(user("bob@a.test"), locked)]).await;
    assert_eq!(done, Ok(vec![Ok(Reply::Done)]));
    site.directory.shared.catch_up().await.unwrap();
    assert_eq!(site.route("bob@a.test").await, Route::Disabled);
    // A log that no longer has what was missed: everything is read anew.
    let active = AccountChange::Status(Status::Active);
    let done = other.provision(&site.call(), vec![Request::ChangeAccount(user("bob@a.test"), active)]).await;
    assert_eq!(done, Ok(vec![Ok(Reply::Done)]));
    let later = site.env.clock.now().plus(std::time::Duration::from_secs(1));
    let purge = move |e: &storage::directory::Edit<'_>| e.purge_changes(later);
    other.shared.tables().unwrap().write(later, String::new(), purge).await.unwrap();
    site.directory.shared.catch_up().await.unwrap();
    assert!(matches!(site.route("bob@a.test").await, Route::Local(_)));
}
