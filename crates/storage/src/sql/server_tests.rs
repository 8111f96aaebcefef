//! What only a server can do to its clients: end, come back, turn away, be shared.

use super::both::{Place, remote};
use super::migrate::{Step, Work};
use super::*;
use std::future::Future;
use testkit::postgres::{Care, Postgres};

const NUMBERS: Step = Step {
    version: 1,
    name: "numbers",
    statements: "CREATE TABLE numbers (n BIGINT PRIMARY KEY);
        CREATE TABLE counters (name TEXT PRIMARY KEY, value BIGINT NOT NULL);
        INSERT INTO counters (name, value) VALUES ('n', 0);",
    compatible: 1,
    work: Work::Expand,
};
const PLAN: &Plan = &[NUMBERS];

fn open(location: &Location, env: &Env) -> Database {
    Database::open(location, PLAN, env).unwrap()
}

async fn insert(database: &Database, n: i64) -> Result<(), SqlError> {
    database.write(move |s| s.change("INSERT INTO numbers (n) VALUES (?1)", params![n]).map(|_| ())).await
}

async fn numbers(database: &Database) -> Result<Vec<i64>, SqlError> {
    database.read(|s| s.many("SELECT n FROM numbers ORDER BY n", &[], |row| row.get(0))).await
}

/// Repeats until it works; the deadline is generous because the machine may be busy.
async fn until_ok<T, F: Future<Output = Result<T, SqlError>>>(mut attempt: impl FnMut() -> F) -> T {
    let mut last = None;
    for _ in 0..3_000 {
        match attempt().await {
            Ok(done) => return done,
            Err(e) => last = Some(e),
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("it never worked: {last:?}")
}

fn logged(env: &Env, event: &str) -> usize {
    env.log.lines().iter().filter(|l| l.contains(&format!(" {event} "))).count()
}

#[tokio::test]
async fn its_16525_its_15343_a_restart_of_the_server_needs_none_of_ours() {
    let (server, env) = (Postgres::start(Care::Durable), Env::for_test("test"));
    let database = open(&remote(&server.database()), &env);
    insert(&database, 1).await.unwrap();
    server.stop();
    assert!(matches!(insert(&database, 2).await, Err(SqlError::Unavailable(_))));
    assert!(matches!(numbers(&database).await, Err(SqlError::Unavailable(_))));
    server.start_again();
    until_ok(|| insert(&database, 3)).await;
    assert_eq!(until_ok(|| numbers(&database)).await, [1, 3]);
    assert!(logged(&env, "DbTempDisconnect") >= 2 && logged(&env, "DbRemovingConnection") >= 2);
    // The writer was away; the read may have gone to a reader that had not noticed.
    assert!(logged(&env, "DbDatabaseNote") >= 1);
}

/// ITS 16505: each thread has a connection of its own, and each is replaced by itself.
#[tokio::test]
async fn its_16505_a_connection_that_the_server_has_ended_is_replaced_before_anybody_notices() {
    let (server, env) = (Postgres::shared(), Env::for_test("test"));
    let address = server.database();
    let database = open(&remote(&address), &env);
    let name = address.split(['/', '?']).nth(3).unwrap();
    let end = format!(
        "SELECT count(pg_terminate_backend(pid, 10000)) FROM pg_stat_activity
         WHERE datname = '{name}' AND pid <> pg_backend_pid()"
    );
    let own = 1 + SERVER_READERS;
    assert_eq!(server.run("postgres", &end), own.to_string());
    insert(&database, 1).await.unwrap();
    for _ in 0..20 {
        assert_eq!(numbers(&database).await.unwrap(), [1]);
    }
    assert!(logged(&env, "DbRemovingConnection") >= 2);
    assert_eq!(logged(&env, "DbTempDisconnect"), 0);
}

/// What was acknowledged before `kill -9` is there afterwards, and nothing is there twice.
#[tokio::test]
async fn a_killed_server_loses_nothing_that_was_acknowledged() {
    let (server, env) = (Postgres::start(Care::Durable), Env::for_test("test"));
    let location = remote(&server.database());
    let database = open(&location, &env);
    let mut acknowledged = Vec::new();
    let mut n = 0;
    for round in 0..30 {
        let writes: Vec<_> = (0..20).map(|i| insert(&database, n + i)).collect();
        if round == 15 {
            let kill = async { server.kill() };
            let (results, ()) = tokio::join!(futures_util::future::join_all(writes), kill);
            acknowledged.extend((n..).zip(results).filter(|(_, r)| r.is_ok()).map(|(n, _)| n));
            server.start_again();
            until_ok(|| numbers(&database)).await;
        } else {
            let results = futures_util::future::join_all(writes).await;
            acknowledged.extend((n..).zip(results).filter(|(_, r)| r.is_ok()).map(|(n, _)| n));
        }
        n += 20;
    }
    let found = numbers(&open(&location, &env)).await.unwrap();
    assert!(acknowledged.len() > 200, "{}", acknowledged.len());
    assert!(acknowledged.iter().all(|n| found.contains(n)), "{acknowledged:?} {found:?}");
}

/// Two processes that write: no number is given out twice or left out, and none is seen before a smaller one.
#[tokio::test]
async fn numbers_have_no_gaps_and_come_in_the_order_of_commits() {
    let (place, env) = (Place::postgres(), Env::for_test("test"));
    let databases = [open(&place.location, &env), open(&place.location, &env)];
    let write = |of: usize, fails: bool| {
        databases[of].write(move |s| {
            let n = s.next_numbers("n", 1)?;
            s.change_later("INSERT INTO numbers (n) VALUES (?1)", params![n])?;
            if fails { Err(SqlError::Full) } else { Ok(()) }
        })
    };
    for _ in 0..20 {
        let writes: Vec<_> = (0..20).map(|i| write(i % 2, i % 5 == 0)).collect();
        let look = numbers(&databases[0]);
        let (results, seen) = tokio::join!(futures_util::future::join_all(writes), look);
        assert_eq!(results.iter().filter(|r| r.is_ok()).count(), 16);
        let seen = seen.unwrap();
        assert_eq!(seen, (1..=seen.len() as i64).collect::<Vec<_>>());
    }
    assert_eq!(numbers(&databases[1]).await.unwrap(), (1..=320).collect::<Vec<_>>());
}

/// A statement that nobody waited for fails its own write, and that one alone.
#[tokio::test]
async fn what_fails_later_is_heard_by_whoever_wrote_it() {
    let (place, env) = (Place::postgres(), Env::for_test("test"));
    let database = open(&place.location, &env);
    let twice = |n: i64| {
        database.write(move |s| {
            s.change_later("INSERT INTO numbers (n) VALUES (?1)", params![n])?;
            s.change_later("INSERT INTO numbers (n) VALUES (?1)", params![n])
        })
    };
    let (a, b, c) = tokio::join!(insert(&database, 1), twice(2), insert(&database, 3));
    assert!(a.is_ok() && c.is_ok());
    assert!(matches!(b, Err(SqlError::Broken(reason)) if reason.contains("23505")));
    assert_eq!(numbers(&database).await.unwrap(), [1, 3]);
}

#[tokio::test]
async fn a_password_is_proven_by_scram() {
    let (server, env) = (Postgres::start(Care::Fast), Env::for_test("test"));
    let Location::Server(mut remote) = remote(&server.database()) else { panic!("no server") };
    server.run("postgres", "CREATE ROLE strict LOGIN SUPERUSER PASSWORD 'hunter2'");
    server.ask_password_of("strict");
    remote.server.user = "strict".into();
    let mut try_with = |password: Option<&str>| {
        remote.server.password = password.map(mail::secret::Secret::new);
        Database::open(&Location::Server(remote.clone()), PLAN, &env).err().map(|e| e.to_string())
    };
    assert!(try_with(None).unwrap().contains("wants a password"));
    assert!(try_with(Some("hunter3")).unwrap().contains("28P01"));
    assert_eq!(try_with(Some("hunter2")), None);
}

#[test]
fn where_nobody_listens_the_reason_is_given() {
    let place = remote("postgres://u@/d?host=/nowhere");
    let error = Database::open(&place, PLAN, &Env::for_test("test")).err().unwrap();
    assert!(error.to_string().contains("/nowhere/.s.PGSQL.5432"), "{error}");
}
