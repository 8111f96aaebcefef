use super::*;
use catalog::cos::{Rule, Type};
use roles::directory::provision::{Confirmation, Place, Source};

on_both! {
    its_14144_an_unknown_class_is_named_and_nothing_is_created,
    its_21672_an_account_without_a_class_gets_the_default_one,
    its_25760_names_that_differ_by_case_are_one,
    its_46403_users_are_counted_right_after_a_move,
    its_19485_class_names_may_have_apostrophes,
    its_13201_its_14443_its_23485_values_of_every_type_are_checked_set_and_cleared,
    its_13430_its_13611_its_23491_an_account_shows_its_effective_values,
    its_15368_to_define_an_attribute_again_in_the_same_way_is_no_error,
    its_11814_a_new_directory_has_its_class_with_every_attribute,
    its_24762_c_06_deleting_an_attribute_is_guarded_and_logged,
    its_14604_the_last_forward_goes_also_where_local_delivery_is_off,
    limits_of_the_class_hold,
    domains_are_made_for_accounts_unless_that_is_off,
    its_13776_requests_of_one_call_do_not_touch_each_other,
    the_same_call_again_has_no_second_effect,
    its_16706_the_first_change_after_a_number,
    mailboxes_are_not_shared_and_may_be_negative,
    a_removed_account_leaves_all_its_names_free,
    a_call_has_a_limit,
}

fn text(result: Result<Reply, DirectoryError>) -> String {
    result.unwrap_err().to_string()
}

fn set(cos: &str, name: &str, value: &str) -> Request {
    Request::SetAttribute(Holder::Cos(cos.into()), name.into(), Some(value.into()))
}

fn create_domain(name: &str) -> Request {
    Request::CreateDomain(domain(name), DomainKind::Local, None)
}

async fn users(site: &Site, cos: &str) -> u64 {
    match site.ask(Request::ShowCos(cos.into())).await {
        Ok(Reply::Class(view, _)) => view.users,
        other => panic!("{other:?}"),
    }
}

async fn its_14144_an_unknown_class_is_named_and_nothing_is_created() {
    let site = Site::new().await;
    let new = NewAccount { cos: Some("gold".into()), ..new_account("bob@a.test") };
    let refused = site.ask(Request::CreateAccount(Box::new(new))).await;
    assert_eq!(text(refused), "there is no class of service \"gold\": create it first (CreateCos)");
    assert_eq!(site.route("bob@a.test").await, Route::Remote);
    assert_eq!(users(&site, "default").await, 0);
}

async fn its_21672_an_account_without_a_class_gets_the_default_one() {
    let site = Site::new().await;
    site.create("bob@a.test").await;
    assert_eq!(site.show("bob@a.test").await.line.cos, "default");
}

async fn its_25760_names_that_differ_by_case_are_one() {
    let site = Site::new().await;
    site.create("Bob@a.test").await;
    let again = site.ask(Request::CreateAccount(Box::new(new_account("bOB@A.TEST")))).await;
    assert_eq!(text(again), "the login name bob@a.test is taken by bob@a.test");
    assert_eq!(site.show("BOB@a.test").await.line.user.name, "Bob");
}

async fn its_46403_users_are_counted_right_after_a_move() {
    let site = Site::new().await;
    site.create("bob@a.test").await;
    assert_eq!(site.ask(Request::CreateCos("Gold".into())).await, Ok(Reply::Done));
    site.change("bob@a.test", AccountChange::Cos("GOLD".into())).await;
    assert_eq!((users(&site, "default").await, users(&site, "gold").await), (0, 1));
    assert!(text(site.ask(Request::DeleteCos("gold".into())).await).starts_with("1 accounts have"));
    assert!(text(site.ask(set("gold", "numusers", "7")).await).contains("counted by the system"));
    assert_eq!(site.ask(Request::DeleteAccount(user("bob@a.test"))).await, Ok(Reply::Done));
    assert_eq!(site.ask(Request::DeleteCos("gold".into())).await, Ok(Reply::Done));
}

async fn its_19485_class_names_may_have_apostrophes() {
    let site = Site::new().await;
    assert_eq!(site.ask(Request::CreateCos("O'Neil's; DROP TABLE".into())).await, Ok(Reply::Done));
    assert_eq!(users(&site, "o'neil's; drop table").await, 0);
}

async fn its_13201_its_14443_its_23485_values_of_every_type_are_checked_set_and_cleared() {
    let site = Site::new().await;
    for (name, kind, good, bad) in [
        ("text", Type::Text, "a b", "a\nb"),
        ("count", Type::Number, "7", "-7"),
        ("flag", Type::Flag, "YES", "1"),
    ] {
        let define = Request::CreateAttribute(name.into(), Rule::Account, kind, None);
        assert_eq!(site.ask(define).await, Ok(Reply::Done));
        assert_eq!(site.ask(set("default", name, good)).await, Ok(Reply::Done));
        assert!(text(site.ask(set("default", name, bad)).await).contains("expected"));
        let value = async || match site.ask(Request::ShowCos("default".into())).await {
            Ok(Reply::Class(_, all)) => all.into_iter().find(|a| a.name == name).unwrap(),
            other => panic!("{other:?}"),
        };
        assert_eq!((value().await.value.as_str(), value().await.source), (good, Source::Cos));
        let clear = Request::SetAttribute(Holder::Cos("default".into()), name.into(), None);
        assert_eq!(site.ask(clear).await, Ok(Reply::Done));
        assert_eq!(value().await.source, Source::Default);
    }
    assert!(
        text(site.ask(set("default", "quotathreshold", "101")).await).ends_with("a number from 0 to 100")
    );
    assert!(text(site.ask(set("default", "colour", "red")).await).contains("no attribute \"colour\""));
}

async fn its_13430_its_13611_its_23491_an_account_shows_its_effective_values() {
    let site = Site::new().await;
    site.create("bob@a.test").await;
    site.set("bob@a.test", "totalmsgquota", "5").await;
    assert_eq!(site.ask(set("default", "totalBytes", "9")).await, Ok(Reply::Done));
    let view = site.show("bob@a.test").await;
    let of =
        |name: &str| view.attributes.iter().find(|a| a.name == name).map(|a| (a.value.as_str(), a.source));
    assert_eq!(of("totalMsgQuota"), Some(("5", Source::Account)));
    assert_eq!(of("totalBytes"), Some(("9", Source::Cos)));
    assert_eq!(of("pref_imapsslaccess"), Some(("all", Source::Default)));
}

async fn its_11814_a_new_directory_has_its_class_with_every_attribute() {
    let site = Site::new().await;
    assert_eq!(users(&site, "default").await, 0);
    let Ok(Reply::Class(_, all)) = site.ask(Request::ShowCos("default".into())).await else {
        panic!("no class")
    };
    let names: Vec<_> = catalog::cos::ATTRIBUTES.iter().map(|a| (a.name, a.default)).collect();
    assert!(all.iter().all(|a| a.source == Source::Default));
    assert_eq!(all.iter().map(|a| (a.name.as_str(), a.value.as_str())).collect::<Vec<_>>(), names);
}

async fn its_15368_to_define_an_attribute_again_in_the_same_way_is_no_error() {
    let site = Site::new().await;
    let define = |rule| Request::CreateAttribute("PREF_imapsslaccess".into(), rule, Type::Text, None);
    assert!(matches!(site.ask(define(Rule::Account)).await, Ok(Reply::Already(_))));
    assert!(text(site.ask(define(Rule::Class)).await).contains("is there already, as A S"));
    assert_eq!(site.ask(set("default", "pref_imapsslaccess", "none")).await, Ok(Reply::Done));
}

async fn its_24762_c_06_deleting_an_attribute_is_guarded_and_logged() {
    let site = Site::new().await;
    site.create("bob@a.test").await;
    let define = Request::CreateAttribute("colour".into(), Rule::Account, Type::Text, Some("red".into()));
    assert_eq!(site.ask(define).await, Ok(Reply::Done));
    site.set("bob@a.test", "colour", "blue").await;
    let delete = |name: &str, confirmed| Request::DeleteAttribute(name.into(), confirmed);
    assert!(text(site.ask(delete("colour", Confirmation::Missing)).await).contains("confirm"));
    assert!(text(site.ask(delete("colour", Confirmation::Given)).await).contains("bob@a.test has a value"));
    assert!(text(site.ask(delete("totalBytes", Confirmation::Given)).await).contains("built in"));
    let clear = Request::SetAttribute(Holder::Account(user("bob@a.test")), "colour".into(), None);
    assert_eq!(site.ask(clear).await, Ok(Reply::Done));
    assert_eq!(site.ask(delete("colour", Confirmation::Given)).await, Ok(Reply::Done));
    assert!(site.env.log.lines().iter().any(|l| l.contains("DeleteCosAttribute") && l.contains("colour")));
}

async fn its_14604_the_last_forward_goes_also_where_local_delivery_is_off() {
    let site = Site::new().await;
    site.create("bob@a.test").await;
    let forward = |to: &str| Request::CreateForward(user("bob@a.test"), Place::Remote, address(to));
    assert_eq!(site.ask(forward("x@far.test")).await, Ok(Reply::Done));
    assert!(matches!(site.ask(forward("X@far.test")).await, Ok(Reply::Already(_))));
    site.set("bob@a.test", "pref_localdelivery", "no").await;
    let delete = || Request::DeleteForward(user("bob@a.test"), Place::Remote, address("x@far.test"));
    assert_eq!(site.ask(delete()).await, Ok(Reply::Done));
    assert!(text(site.ask(delete()).await).contains("no such forward"));
    assert!(text(site.ask(forward("bob@a.test")).await).contains("CreateLocalForward"));
    let itself = Request::CreateForward(user("bob@a.test"), Place::Local, address("bob@a.test"));
    assert!(text(site.ask(itself).await).contains("in a circle"));
}

async fn limits_of_the_class_hold() {
    let site = Site::new().await;
    site.create("bob@a.test").await;
    site.set("bob@a.test", "maxForwards", "1").await;
    site.set("bob@a.test", "maxAliases", "1").await;
    let forward = |to: &str| Request::CreateForward(user("bob@a.test"), Place::Remote, address(to));
    let alias = |to: &str| Request::CreateAlias(user("bob@a.test"), address(to));
    let answers = site
        .all(vec![forward("1@f.test"), forward("2@f.test"), alias("b1@a.test"), alias("b2@a.test")])
        .await;
    assert_eq!(answers.iter().map(Result::is_ok).collect::<Vec<_>>(), [true, false, true, false]);
    let view = site.show("bob@a.test").await;
    assert_eq!((view.forwards.len(), view.addresses.len()), (1, 2));
}

async fn domains_are_made_for_accounts_unless_that_is_off() {
    let site = Site::with("/*/imdircacheserv/createMissingDomains: [off]").await;
    let new = || Request::CreateAccount(Box::new(new_account("bob@a.test")));
    assert_eq!(
        text(site.ask(new()).await),
        "there is no domain a.test: create it first (CreateDomain a.test local)"
    );
    assert_eq!(site.ask(create_domain("a.test")).await, Ok(Reply::Done));
    assert!(site.ask(new()).await.is_ok());
    assert!(text(site.ask(Request::DeleteDomain(domain("a.test"))).await).contains("bob"));
    let relay = Request::ChangeDomain(domain("a.test"), DomainKind::Relay, None);
    assert!(text(site.ask(relay).await).contains("no more mail"));
    let other = Request::CreateDomain(domain("a.test"), DomainKind::Relay, None);
    assert!(text(site.ask(other).await).contains("as a local domain"));
    assert!(matches!(site.ask(create_domain("a.test")).await, Ok(Reply::Already(_))));
}

async fn its_13776_requests_of_one_call_do_not_touch_each_other() {
    let site = Site::new().await;
    let create = |name: &str| Request::CreateAccount(Box::new(new_account(name)));
    let answers = site
        .all(vec![
            create("a@a.test"),
            create("a@a.test"),
            create("b!c@a.test"),
            create("b@a.test"),
            Request::ListAccounts(domain("a.test"), String::new()),
        ])
        .await;
    assert_eq!(answers.iter().map(Result::is_ok).collect::<Vec<_>>(), [true, false, false, true, true]);
    let Ok(Reply::Accounts(lines)) = &answers[4] else { panic!() };
    assert_eq!(lines.iter().map(|l| l.user.name.as_str()).collect::<Vec<_>>(), ["a", "b"]);
}

async fn the_same_call_again_has_no_second_effect() {
    let site = Site::new().await;
    let call = site.call();
    let requests = || {
        vec![
            Request::CreateAccount(Box::new(new_account("a@a.test"))),
            Request::CreateAlias(user("a@a.test"), address("b@a.test")),
        ]
    };
    let first = site.directory.provision(&call, requests()).await.unwrap();
    let again = site.directory.provision(&call, requests()).await.unwrap();
    assert!(first.iter().chain(&again).all(Result::is_ok));
    let lines = [&first[0], &again[0]].map(|r| match r {
        Ok(Reply::Created(line, _)) => line.clone(),
        other => panic!("{other:?}"),
    });
    assert_eq!(lines[0], lines[1]);
    assert_eq!(users(&site, "default").await, 1);
}

async fn its_16706_the_first_change_after_a_number() {
    let site = Site::new().await;
    site.create("bob@a.test").await;
    let first = async |after| match site.ask(Request::FirstModified(after)).await {
        Ok(Reply::Change(change)) => change.map(|c| (c.id, c.what)),
        other => panic!("{other:?}"),
    };
    assert_eq!(first(0).await, Some((1, "domain a.test".into())));
    assert_eq!(first(1).await, Some((2, "login bob@a.test".into())));
    assert_eq!(first(1000).await, None);
}

async fn mailboxes_are_not_shared_and_may_be_negative() {
    let site = Site::new().await;
    let with = |name: &str, id| {
        let new = NewAccount { mailbox: Some(MailboxId(id)), ..new_account(name) };
        Request::CreateAccount(Box::new(new))
    };
    assert!(site.ask(with("a@a.test", -16_877)).await.is_ok());
    assert!(text(site.ask(with("b@a.test", -16_877)).await).contains("belongs to a@a.test"));
}

async fn a_removed_account_leaves_all_its_names_free() {
    let site = Site::new().await;
    site.create("bob@a.test").await;
    assert!(site.ask(Request::CreateAlias(user("bob@a.test"), address("b@a.test"))).await.is_ok());
    assert!(site.login("bob@a.test", "secret").await.is_ok());
    assert!(matches!(site.route("b@a.test").await, Route::Local(_)));
    assert_eq!(site.ask(Request::DeleteAccount(user("bob@a.test"))).await, Ok(Reply::Done));
    assert_eq!(site.route("b@a.test").await, Route::Unknown);
    assert_eq!(site.login("bob@a.test", "secret").await, Err(DirectoryError::BadCredentials));
    let gone = site.ask(Request::ShowAccount(user("bob@a.test"))).await;
    assert_eq!(text(gone), "there is no account bob@a.test: see ListAccounts a.test");
    site.create("b@a.test").await;
}

async fn a_call_has_a_limit() {
    let site = Site::new().await;
    let many = vec![Request::ListAttributes; roles::directory::provision::MAX_REQUESTS + 1];
    assert!(site.directory.provision(&site.call(), many).await.is_err());
}
