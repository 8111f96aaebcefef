//! Steps that an operator starts, while everything goes on.

use super::both::{Place, on_both};
use super::migrate::{Backfill, Batch, Patched, Progress, Step, Until, Work};
use super::*;
use mail::time::Timestamp;

const ROWS: i64 = 5_000;
const ONE: Step = Step {
    version: 1,
    name: "numbers",
    statements: "CREATE TABLE numbers (n BIGINT PRIMARY KEY, old BIGINT NOT NULL DEFAULT 0);",
    compatible: 1,
    work: Work::Expand,
};
const SQUARES: Step = Step {
    version: 2,
    name: "squares",
    statements: "ALTER TABLE numbers ADD COLUMN square BIGINT;",
    compatible: 1,
    work: Work::Backfill(Backfill { batch: fill_squares, count: "SELECT COUNT(*) FROM numbers" }),
};
const NO_OLD: Step = Step {
    version: 3,
    name: "no old",
    statements: "ALTER TABLE numbers DROP COLUMN old;",
    compatible: 3,
    work: Work::Contract,
};
const OLD: &Plan = &[ONE];
const NEW: &Plan = &[ONE, SQUARES, NO_OLD];
const LATER: &Plan = &[ONE, SQUARES, Step { version: 3, work: Work::Expand, ..ONE }];
const NOW: Timestamp = Timestamp::from_secs(1);

on_both! {
    a_backfill_that_is_broken_off_goes_on_where_it_stood_while_others_write,
    what_an_operator_has_to_start_is_not_started_by_itself,
}

fn fill_squares(session: &Session, position: &str, limit: u32) -> Result<Batch, SqlError> {
    let after: i64 = position.parse().unwrap_or(0);
    let next = "SELECT n FROM numbers WHERE n > ?1 ORDER BY n LIMIT ?2";
    let rows: Vec<i64> = session.many(next, params![after, limit], |row| row.get(0))?;
    for n in &rows {
        session.change_later("UPDATE numbers SET square = n * n WHERE n = ?1", params![n])?;
    }
    let next = rows.last().map(i64::to_string);
    Ok(Batch { rows: i64::try_from(rows.len()).unwrap(), next })
}

fn open(place: &Place, plan: &'static Plan) -> Result<(Database, Env), SqlError> {
    let env = Env::for_test("test");
    Ok((Database::open(&place.location, plan, &env)?, env))
}

async fn old_program(place: &Place) -> Database {
    let (database, _) = open(place, OLD).unwrap();
    let fill = |s: &Session| {
        for n in 1..=ROWS {
            s.change_later("INSERT INTO numbers (n) VALUES (?1)", params![n])?;
        }
        Ok::<_, SqlError>(())
    };
    database.write(fill).await.unwrap();
    database
}

async fn count(database: &Database, sql: &'static str) -> i64 {
    database.read(move |s| s.one(sql, &[], |row| row.get(0))).await.unwrap().unwrap()
}

async fn a_backfill_that_is_broken_off_goes_on_where_it_stood_while_others_write(place: Place) {
    let old = old_program(&place).await;
    let (new, env) = open(&place, NEW).unwrap();
    assert!(env.log.lines().iter().any(|l| l.contains("DbFeatureUnavailWithoutSchemaPatch")));
    // Whoever patches dies after three batches.
    let patch = async move { new.patch(NEW, Until::End, NOW, |p: &Progress| assert!(p.rows < 1_500)).await };
    #[expect(clippy::disallowed_methods, reason = "a task that panics, which none of env's may")]
    let died = tokio::spawn(patch).await;
    assert!(died.is_err_and(|e| e.is_panic()));
    // The old program provisions meanwhile, and so does the new one.
    let provision = async {
        for n in 0..100 {
            let add = move |s: &Session| {
                s.change("INSERT INTO numbers (n) VALUES (?1)", params![ROWS + 1 + n]).map(|_| ())
            };
            old.write(add).await.unwrap();
        }
    };
    let (new, _) = open(&place, NEW).unwrap();
    let mut first = None;
    let patch = new.patch(NEW, Until::Contraction, NOW, |p| {
        first.get_or_insert(p.rows);
    });
    let (patched, ()) = tokio::join!(patch, provision);
    assert_eq!(patched.unwrap(), Patched::Done);
    assert_eq!(first, Some(2_000));
    let unfilled = "SELECT COUNT(*) FROM numbers WHERE square IS NULL AND n <= 5000";
    assert_eq!(count(&new, unfilled).await, 0);
    assert_eq!(count(&new, "SELECT COUNT(*) FROM numbers").await, ROWS + 100);
    assert_eq!(count(&old, "SELECT COUNT(*) FROM numbers WHERE old = 0").await, ROWS + 100);
}

async fn what_an_operator_has_to_start_is_not_started_by_itself(place: Place) {
    let (database, _) = open(&place, NEW).unwrap();
    assert_eq!(count(&database, "SELECT COALESCE(MAX(version), 0) FROM schema_steps").await, 1);
    // A program that builds on the step cannot do without it.
    let refused = open(&place, LATER).err().unwrap();
    assert!(matches!(refused, SqlError::Pending("squares")), "{refused}");
    assert_eq!(database.patch(NEW, Until::End, NOW, |_| ()).await.unwrap(), Patched::Done);
    assert_eq!(count(&database, "SELECT COUNT(*) FROM schema_progress").await, 0);
    assert!(matches!(open(&place, OLD), Err(SqlError::Version { found: 3, .. })));
}

#[tokio::test]
async fn nothing_is_taken_away_while_an_older_program_is_connected() {
    let place = Place::postgres();
    let old = old_program(&place).await;
    let (new, _) = open(&place, NEW).unwrap();
    let waits = new.patch(NEW, Until::End, NOW, |_| ()).await.unwrap();
    assert_eq!(waits, Patched::InUse("no old", 1 + SERVER_READERS));
    drop(old);
    // Its threads end a moment later.
    for _ in 0..3_000 {
        if new.patch(NEW, Until::End, NOW, |_| ()).await.unwrap() == Patched::Done {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("the old program is never gone");
}
