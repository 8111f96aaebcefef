use super::*;
use crate::sql::both::{Place, on_both};
use catalog::account::{DomainKind, Status};
use catalog::cos::{Rule, Type};
use mail::id::{AccountId, MailboxId};

type Result<T> = std::result::Result<T, SqlError>;

on_both! {
    an_account_is_found_by_its_name_in_any_case_and_its_class_counts_it,
    its_46403_users_are_counted_where_they_are_after_a_move,
    every_change_is_in_the_log_in_order_with_its_request,
    a_failing_edit_leaves_no_trace_in_the_log,
    removing_an_account_removes_all_its_names_and_logs_each,
    mailboxes_given_by_hand_and_by_the_system_never_meet,
    attributes_in_use_are_known,
    old_changes_are_forgotten,
    pages_come_in_the_order_of_bytes,
    its_14076_its_14099_forwards_and_classes_are_read_and_changed_after_a_lost_connection,
    a_copy_holds_every_row,
    a_store_has_one_row_whatever_becomes_of_it,
}

fn open(place: &Place) -> DirectoryTables {
    DirectoryTables::open(&place.location, &Env::for_test("test")).unwrap()
}

async fn edit<T: Send + 'static>(
    tables: &DirectoryTables,
    job: impl FnOnce(&Edit<'_>) -> Result<T> + Send + 'static,
) -> Result<T> {
    tables.write(Timestamp::from_secs(5), "r1".into(), job).await
}

async fn look<T: Send + 'static>(
    tables: &DirectoryTables,
    job: impl FnOnce(&Rows<'_>) -> Result<T> + Send + 'static,
) -> T {
    tables.read(job).await.unwrap()
}

fn domain(name: &str) -> DomainRow {
    DomainRow { name: name.into(), kind: DomainKind::Local, target: String::new() }
}

fn account(name: &str) -> NewAccount {
    NewAccount {
        name: name.into(),
        domain: "software.com".into(),
        mailbox: None,
        home: "venus".into(),
        password: "{PLAIN}x".into(),
        scram: String::new(),
        status: Status::Active,
        class: "default".into(),
        address: None,
    }
}

async fn with_account(tables: &DirectoryTables) -> (AccountId, MailboxId) {
    edit(tables, |e| {
        e.add_domain(&domain("software.com"))?;
        e.add_account(&account("Testman"))
    })
    .await
    .unwrap()
}

async fn an_account_is_found_by_its_name_in_any_case_and_its_class_counts_it(place: Place) {
    let tables = open(&place);
    let (id, mailbox) = with_account(&tables).await;
    let key = NameKey::new("TESTMAN", "Software.COM");
    let row = look(&tables, move |r| r.account_of_name(&key)).await.unwrap();
    assert_eq!((row.id, row.mailbox, row.name.as_str(), row.version), (id, mailbox, "Testman", 1));
    assert_eq!(look(&tables, |r| r.class("default")).await.unwrap().users, 1);
    assert_eq!(look(&tables, move |r| r.account_of_mailbox(mailbox)).await, Some(row));
}

async fn its_46403_users_are_counted_where_they_are_after_a_move(place: Place) {
    let tables = open(&place);
    let (id, _) = with_account(&tables).await;
    edit(&tables, move |e| {
        e.add_class("gold", "Gold")?;
        let old = e.account(id)?.unwrap();
        e.change_account(&old, &AccountRow { class: "gold".into(), ..old.clone() })
    })
    .await
    .unwrap();
    let count = |key: &'static str| look(&tables, move |r| Ok(r.class(key)?.unwrap().users));
    assert_eq!((count("default").await, count("gold").await), (0, 1));
    edit(&tables, move |e| {
        let row = e.account(id)?.unwrap();
        e.remove_account(&row)
    })
    .await
    .unwrap();
    assert_eq!(count("gold").await, 0);
}

async fn every_change_is_in_the_log_in_order_with_its_request(place: Place) {
    let tables = open(&place);
    let (id, _) = with_account(&tables).await;
    edit(&tables, move |e| {
        e.add_address(
            id,
            &AddressRow { local_part: "T.M".into(), domain: "software.com".into(), rank: Rank::Primary },
        )?;
        e.add_login_alias(id, &NameKey::new("tm", "software.com"))?;
        e.set_override(id, "totalbytes", Some("7"))?;
        e.add_forward(id, "a@b", &ForwardRow { address: "A@b".into(), place: ForwardPlace::Remote })?;
        e.set_class_value("default", "totalbytes", Some("9"))
    })
    .await
    .unwrap();
    let all = look(&tables, |r| r.changes_after(0, 100)).await;
    let text: Vec<String> = all.iter().map(|c| c.what.to_string()).collect();
    let me = format!("account {id}");
    let expected = [
        "domain software.com",
        "login testman@software.com",
        &me,
        "address t.m@software.com",
        &me,
        "login tm@software.com",
        &me,
        &me,
        &me,
        "class default",
    ];
    assert_eq!(text, expected);
    assert_eq!(all.iter().map(|c| c.id).collect::<Vec<_>>(), (1..=10).collect::<Vec<_>>());
    assert_eq!(look(&tables, |r| r.last_change()).await, 10);
    assert!(look(&tables, |r| r.is_done("r1")).await);
    assert!(!look(&tables, |r| r.is_done("")).await);
    assert_eq!(look(&tables, move |r| Ok(r.account(id)?.unwrap().version)).await, 5);
}

async fn a_failing_edit_leaves_no_trace_in_the_log(place: Place) {
    let tables = open(&place);
    with_account(&tables).await;
    let before = look(&tables, |r| r.last_change()).await;
    let twice = edit(&tables, |e| e.add_account(&account("TESTMAN"))).await;
    assert!(matches!(twice, Err(SqlError::Broken(_))));
    assert_eq!(look(&tables, |r| r.last_change()).await, before);
    assert_eq!(look(&tables, |r| Ok(r.class("default")?.unwrap().users)).await, 1);
}

async fn removing_an_account_removes_all_its_names_and_logs_each(place: Place) {
    let tables = open(&place);
    let (id, _) = with_account(&tables).await;
    let key = NameKey::new("t@m", "software.com");
    let (k1, k2) = (key.clone(), key.clone());
    edit(&tables, move |e| {
        e.add_address(
            id,
            &AddressRow { local_part: "t@m".into(), domain: "software.com".into(), rank: Rank::Alias },
        )?;
        e.add_login_alias(id, &k1)?;
        e.add_forward(id, "a@b", &ForwardRow { address: "A@b".into(), place: ForwardPlace::Remote })?;
        let row = e.account(id)?.unwrap();
        e.remove_account(&row)
    })
    .await
    .unwrap();
    assert_eq!(
        look(&tables, move |r| Ok((r.address(&k2)?, r.login(&k2)?, r.account(id)?))).await,
        (None, None, None)
    );
    let log = look(&tables, |r| r.changes_after(0, 100)).await;
    let last: Vec<Changed> = log.into_iter().rev().take(4).map(|c| c.what).collect();
    let me = NameKey::new("testman", "software.com");
    assert_eq!(
        last,
        [Changed::Account(id), Changed::Login(me), Changed::Login(key.clone()), Changed::Address(key)]
    );
}

async fn mailboxes_given_by_hand_and_by_the_system_never_meet(place: Place) {
    let tables = open(&place);
    let ids = edit(&tables, |e| {
        e.add_domain(&domain("software.com"))?;
        let given = |name, id| e.add_account(&NewAccount { mailbox: Some(MailboxId(id)), ..account(name) });
        let a = given("a", 432_234)?.1;
        let b = e.add_account(&account("b"))?.1;
        let c = given("c", -5)?.1;
        let d = e.add_account(&account("d"))?.1;
        Ok([a, b, c, d].map(|m| m.0))
    });
    assert_eq!(ids.await.unwrap(), [432_234, 432_235, -5, 432_236]);
}

async fn attributes_in_use_are_known(place: Place) {
    let tables = open(&place);
    let (id, _) = with_account(&tables).await;
    let row =
        AttributeRow { name: "Colour".into(), rule: Rule::Class, kind: Type::Text, fallback: "red".into() };
    let stored = row.clone();
    let used = edit(&tables, move |e| {
        e.add_attribute("colour", &stored)?;
        e.set_class_value("default", "colour", Some("blue"))?;
        e.set_override(id, "colour", Some("green"))?;
        let used = e.attribute_in_use("colour")?;
        e.set_class_value("default", "colour", None)?;
        e.set_override(id, "colour", None)?;
        Ok((used, e.attribute_in_use("colour")?, e.attribute("colour")?))
    });
    assert_eq!(used.await.unwrap(), ((Some("default".into()), Some(id)), (None, None), Some(row)));
}

/// Text sorts by its bytes whatever the locale of the database is: a page goes on where the last one ended.
async fn pages_come_in_the_order_of_bytes(place: Place) {
    let tables = open(&place);
    let names = ["a-b.test", "a.test", "ab.test", "a_b.test", "b.test", "\u{e4}.test", "z.test", "1.test"];
    edit(&tables, move |e| names.iter().try_for_each(|name| e.add_domain(&domain(name)))).await.unwrap();
    let mut sorted = names.to_vec();
    sorted.sort_unstable();
    let (mut found, mut after) = (Vec::new(), String::new());
    loop {
        let page = look(&tables, move |r| r.domains_after(&after, 3)).await;
        let Some(last) = page.last() else { break };
        after = last.name.clone();
        found.extend(page.into_iter().map(|d| d.name));
    }
    assert_eq!(found, sorted);
}

async fn its_14076_its_14099_forwards_and_classes_are_read_and_changed_after_a_lost_connection(place: Place) {
    let tables = open(&place);
    let (id, _) = with_account(&tables).await;
    if let crate::sql::Location::Server(remote) = &place.location {
        let name = &remote.server.address.database;
        let end =
            format!("SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE datname = '{name}'");
        testkit::postgres::Postgres::shared().run("postgres", &end);
    }
    let forward = ForwardRow { address: "A@b".into(), place: ForwardPlace::Remote };
    let stored = forward.clone();
    assert_eq!(look(&tables, move |r| r.forwards(id)).await, []);
    edit(&tables, move |e| {
        e.add_forward(id, "a@b", &stored)?;
        e.set_class_value("default", "totalbytes", Some("9"))
    })
    .await
    .unwrap();
    assert_eq!(look(&tables, move |r| r.forwards(id)).await, [forward]);
    let values = look(&tables, |r| r.class_values("default")).await;
    assert_eq!(values, [("totalbytes".to_owned(), "9".to_owned())]);
}

/// A copy is a file, whatever it is a copy of.
async fn a_copy_holds_every_row(place: Place) {
    let tables = open(&place);
    let (id, _) = with_account(&tables).await;
    edit(&tables, |e| e.keep_secret("site", &[0, 1, 255])).await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("copy.db");
    tables.copy_to(&file).unwrap();
    assert!(tables.copy_to(&file).is_err());
    assert_eq!(crate::sql::check_file(&file).unwrap(), None);
    let location = crate::sql::Location::File(file);
    let copy = DirectoryTables::open(&location, &Env::for_test("test")).unwrap();
    assert_eq!(look(&copy, move |r| r.account(id)).await, look(&tables, move |r| r.account(id)).await);
    assert_eq!(look(&copy, |r| r.secret("site")).await.unwrap(), [0, 1, 255]);
    let log = look(&copy, |r| r.changes_after(0, 100)).await;
    assert_eq!(log, look(&tables, |r| r.changes_after(0, 100)).await);
    let (next, _) = edit(&copy, |e| e.add_account(&account("next"))).await.unwrap();
    assert_eq!(next.0, id.0 + 1);
}

async fn old_changes_are_forgotten(place: Place) {
    let tables = open(&place);
    with_account(&tables).await;
    let gone = edit(&tables, |e| Ok((e.purge_changes(Timestamp::from_secs(6))?, e.oldest_change()?))).await;
    assert_eq!(gone.unwrap(), (3, None));
    assert_eq!(look(&tables, |r| r.last_change()).await, 3);
}

/// ITS 44395: at a million accounts a statement that walks a table is an outage.
#[tokio::test]
async fn its_44395_no_statement_scans_a_table_of_a_file() {
    let place = Place::sqlite();
    let tables = open(&place);
    let plans = look(&tables, |r| {
        let mut plans = Vec::new();
        for (name, sql) in statements::ALL {
            let nothing = vec![Value::Null; values_of(sql)];
            let sql = format!("EXPLAIN QUERY PLAN {sql}");
            let steps = r.session.many(&sql, &nothing, |row| row.get::<String>(3))?;
            plans.extend(steps.into_iter().map(|step| (*name, step)));
        }
        Ok(plans)
    })
    .await;
    assert!(plans.len() > 30);
    let constant = |step: &str| {
        ["CONSTANT ROW", "VALUES CLAUSE"].iter().any(|word| step.contains(word))
            || step.starts_with("SCALAR SUBQUERY")
    };
    let scans: Vec<_> =
        plans.iter().filter(|(_, step)| step.starts_with("SCAN") && !constant(step)).collect();
    assert!(scans.is_empty(), "{scans:?}");
}

/// How many values a statement takes.
fn values_of(sql: &str) -> usize {
    (1..=12).rev().find(|n| sql.contains(&format!("?{n}"))).unwrap_or(0)
}

/// As the planner of a server decides by itself, with many rows and fresh statistics.
#[tokio::test]
async fn its_44395_no_statement_scans_a_table_of_a_server() {
    let place = Place::postgres();
    let tables = open(&place);
    with_account(&tables).await;
    let plans = edit(&tables, |e| {
        e.session.make(MANY_ROWS)?;
        e.session.make("SET LOCAL enable_seqscan = on")?;
        let mut plans = Vec::new();
        for (name, sql) in statements::ALL {
            let values = values_of(sql);
            e.session.make(&format!("PREPARE {name} AS {}", sql.replace('?', "$")))?;
            let values =
                if values == 0 { String::new() } else { format!("({})", vec!["NULL"; values].join(",")) };
            e.session.each(&format!("EXPLAIN EXECUTE {name}{values}"), &[], |row| {
                plans.push((*name, row.get::<String>(0)?));
                Ok(())
            })?;
        }
        Ok(plans)
    })
    .await
    .unwrap();
    assert!(plans.iter().filter(|(_, step)| step.contains("Index")).count() > 30);
    let scans: Vec<_> = plans.iter().filter(|(_, step)| step.contains("Seq Scan")).collect();
    assert!(scans.is_empty(), "{scans:?}");
}

/// Enough of everything that walking it is dearer than an index.
const MANY_ROWS: &str = "
    INSERT INTO domains SELECT 'd' || n, 'local', '', 0 FROM generate_series(1, 5000) n;
    INSERT INTO classes SELECT 'c' || n, 'c', 0, 0 FROM generate_series(1, 5000) n;
    INSERT INTO attributes SELECT 'a' || n, 'a', 'C', 'T', '' FROM generate_series(1, 5000) n;
    INSERT INTO class_values SELECT 'c' || n, 'a' || n, '' FROM generate_series(1, 5000) n;
    INSERT INTO secrets SELECT 's' || n, '' FROM generate_series(1, 5000) n;
    INSERT INTO stores SELECT 's' || n, 'o', 'p', 1, 0, '', '', '' FROM generate_series(1, 5000) n;
    INSERT INTO accounts SELECT n + 1000, 'd' || n, 'n' || n, 'n', n + 1000, 'h', '', '', 'A', 'c' || n, 1, 1, 0
        FROM generate_series(1, 5000) n;
    INSERT INTO login_aliases SELECT 'd' || n, 'l' || n, n + 1000 FROM generate_series(1, 5000) n;
    INSERT INTO addresses SELECT 'd' || n, 'n' || n, 'n', n + 1000, 1 FROM generate_series(1, 5000) n;
    INSERT INTO overrides SELECT n + 1000, 'a' || n, '' FROM generate_series(1, 5000) n;
    INSERT INTO forwards SELECT n + 1000, 'f', 'f', 'local' FROM generate_series(1, 5000) n;
    INSERT INTO changes SELECT n + 100, n, 'account', '1', 'r' || n FROM generate_series(1, 20000) n;
    ANALYZE";

async fn a_store_has_one_row_whatever_becomes_of_it(place: Place) {
    let tables = open(&place);
    let row = |owner: &str, epoch: i64, successor: Option<&str>| StoreRow {
        name: "mars".into(),
        owner: owner.into(),
        incarnation: format!("process of {owner}"),
        epoch,
        expires: Timestamp::from_secs(epoch),
        folder: "/srv/mars".into(),
        successor: successor.map(|host| (host.to_owned(), String::new())),
    };
    assert_eq!(look(&tables, |r| r.stores(10)).await, []);
    let before = look(&tables, |r| r.last_change()).await;
    for row in [row("mars", 1, None), row("mars", 2, Some("venus")), row("venus", i64::MAX, None)] {
        let kept = row.clone();
        edit(&tables, move |e| e.put_store(&row)).await.unwrap();
        assert_eq!(look(&tables, |r| r.store("mars")).await, Some(kept.clone()));
        assert_eq!(look(&tables, |r| r.stores(10)).await, [kept]);
    }
    edit(&tables, |e| e.put_store(&StoreRow { name: "jove".into(), ..e.store("mars")?.unwrap() }))
        .await
        .unwrap();
    let names = look(&tables, |r| Ok(r.stores(10)?.into_iter().map(|s| s.name).collect::<Vec<_>>())).await;
    assert_eq!(
        (names.as_slice(), look(&tables, |r| r.stores(1)).await.len()),
        (&["jove".into(), "mars".into()][..], 1)
    );
    edit(&tables, |e| e.forget_store("mars")).await.unwrap();
    assert_eq!(look(&tables, |r| r.store("mars")).await, None);
    // Nobody has a copy of it, and a renewal must not cost the log anything.
    assert_eq!(look(&tables, |r| r.last_change()).await, before);
}
