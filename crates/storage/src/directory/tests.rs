use super::*;
use catalog::account::{DomainKind, Status};
use catalog::cos::{Rule, Type};
use mail::id::{AccountId, MailboxId};

type Result<T> = std::result::Result<T, SqlError>;

fn open(folder: &tempfile::TempDir) -> DirectoryTables {
    DirectoryTables::open(&folder.path().join("directory.db"), Timestamp::from_secs(1)).unwrap()
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

#[tokio::test]
async fn an_account_is_found_by_its_name_in_any_case_and_its_class_counts_it() {
    let folder = tempfile::tempdir().unwrap();
    let tables = open(&folder);
    let (id, mailbox) = with_account(&tables).await;
    let key = NameKey::new("TESTMAN", "Software.COM");
    let row = look(&tables, move |r| r.account_of_name(&key)).await.unwrap();
    assert_eq!((row.id, row.mailbox, row.name.as_str(), row.version), (id, mailbox, "Testman", 1));
    assert_eq!(look(&tables, |r| r.class("default")).await.unwrap().users, 1);
    assert_eq!(look(&tables, move |r| r.account_of_mailbox(mailbox)).await, Some(row));
}

#[tokio::test]
async fn its_46403_users_are_counted_where_they_are_after_a_move() {
    let folder = tempfile::tempdir().unwrap();
    let tables = open(&folder);
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

#[tokio::test]
async fn every_change_is_in_the_log_in_order_with_its_request() {
    let folder = tempfile::tempdir().unwrap();
    let tables = open(&folder);
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

#[tokio::test]
async fn a_failing_edit_leaves_no_trace_in_the_log() {
    let folder = tempfile::tempdir().unwrap();
    let tables = open(&folder);
    with_account(&tables).await;
    let before = look(&tables, |r| r.last_change()).await;
    let twice = edit(&tables, |e| e.add_account(&account("TESTMAN"))).await;
    assert!(matches!(twice, Err(SqlError::Broken(_))));
    assert_eq!(look(&tables, |r| r.last_change()).await, before);
    assert_eq!(look(&tables, |r| Ok(r.class("default")?.unwrap().users)).await, 1);
}

#[tokio::test]
async fn removing_an_account_removes_all_its_names_and_logs_each() {
    let folder = tempfile::tempdir().unwrap();
    let tables = open(&folder);
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

#[tokio::test]
async fn mailboxes_given_by_hand_and_by_the_system_never_meet() {
    let folder = tempfile::tempdir().unwrap();
    let tables = open(&folder);
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

#[tokio::test]
async fn attributes_in_use_are_known() {
    let folder = tempfile::tempdir().unwrap();
    let tables = open(&folder);
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

#[tokio::test]
async fn old_changes_are_forgotten() {
    let folder = tempfile::tempdir().unwrap();
    let tables = open(&folder);
    with_account(&tables).await;
    let gone = edit(&tables, |e| Ok((e.purge_changes(Timestamp::from_secs(6))?, e.oldest_change()?))).await;
    assert_eq!(gone.unwrap(), (3, None));
    assert_eq!(look(&tables, |r| r.last_change()).await, 3);
}

/// ITS 44395: at a million accounts a statement that walks a table is an outage.
#[tokio::test]
async fn its_44395_no_statement_scans_a_table() {
    let folder = tempfile::tempdir().unwrap();
    let tables = open(&folder);
    let plans = look(&tables, |r| {
        let mut plans = Vec::new();
        for (name, sql) in statements::ALL {
            let mut statement = r.connection.prepare(&format!("EXPLAIN QUERY PLAN {sql}"))?;
            let nothing = vec![rusqlite::types::Null; statement.parameter_count()];
            let rows =
                statement.query_map(rusqlite::params_from_iter(nothing), |row| row.get::<_, String>(3))?;
            for step in rows {
                plans.push((*name, step?));
            }
        }
        Ok(plans)
    })
    .await;
    assert!(plans.len() > 30);
    let constant = |step: &str| step.contains("CONSTANT ROW") || step.starts_with("SCALAR SUBQUERY");
    let scans: Vec<_> =
        plans.iter().filter(|(_, step)| step.starts_with("SCAN") && !constant(step)).collect();
    assert!(scans.is_empty(), "{scans:?}");
}
