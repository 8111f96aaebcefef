use super::both::{Place, on_both};
use super::migrate::{Step, Work};
use super::*;
use std::sync::mpsc::sync_channel;

const ONE: Step = Step {
    version: 1,
    name: "numbers",
    statements: "CREATE TABLE numbers (n BIGINT PRIMARY KEY); INSERT INTO numbers VALUES (0);",
    compatible: 1,
    work: Work::Expand,
};
const TWO: Step = Step {
    version: 2,
    name: "squares",
    statements: "ALTER TABLE numbers ADD COLUMN square BIGINT NOT NULL DEFAULT 0;",
    compatible: 1,
    work: Work::Expand,
};
const THREE: Step = Step {
    version: 3,
    name: "rename",
    statements: "ALTER TABLE numbers RENAME TO figures;",
    compatible: 3,
    work: Work::Expand,
};

const BROKEN: Step =
    Step { statements: "CREATE TABLE squares (n BIGINT); CREATE TABLE numbers (n BIGINT);", ..TWO };
const MENDED: Step = Step { statements: "CREATE TABLE squares (n BIGINT);", ..TWO };

on_both! {
    what_was_written_is_there_after_opening_again,
    one_of_a_group_that_fails_takes_back_only_its_own_changes,
    a_writer_whose_caller_is_gone_finishes,
    a_reader_does_not_write,
    its_11758_the_schema_version_is_recorded_and_a_newer_one_is_refused,
    a_step_that_fails_leaves_nothing_behind,
}

fn open(place: &Place, plan: &'static Plan) -> Result<Database, SqlError> {
    Database::open(&place.location, plan, &Env::for_test("test"))
}

async fn insert(database: &Database, n: i64) -> Result<(), SqlError> {
    let job = move |s: &Session| s.change("INSERT INTO numbers (n) VALUES (?1)", params![n]).map(|_| ());
    database.write(job).await
}

async fn numbers(database: &Database) -> Vec<i64> {
    let read = |s: &Session| s.many("SELECT n FROM numbers ORDER BY n", &[], |row| row.get(0));
    database.read(read).await.unwrap()
}

async fn what_was_written_is_there_after_opening_again(place: Place) {
    let database = open(&place, &[ONE]).unwrap();
    insert(&database, 7).await.unwrap();
    assert_eq!(numbers(&database).await, [0, 7]);
    drop(database);
    assert_eq!(numbers(&open(&place, &[ONE]).unwrap()).await, [0, 7]);
}

/// Three writes wait while the writer is held, so that they run as one group: the failing one and the panicking
/// one cost the others nothing.
async fn one_of_a_group_that_fails_takes_back_only_its_own_changes(place: Place) {
    let database = open(&place, &[ONE]).unwrap();
    let (go, held) = sync_channel::<()>(0);
    let first = database.write(move |_| {
        let _ = held.recv();
        Ok::<(), SqlError>(())
    });
    let failing = database.write(|s: &Session| {
        s.change("INSERT INTO numbers (n) VALUES (2)", &[])?;
        Err::<(), _>(SqlError::Full)
    });
    let panicking = database.write(|s: &Session| -> Result<(), SqlError> {
        s.change("INSERT INTO numbers (n) VALUES (3)", &[])?;
        panic!("on purpose")
    });
    let release = async move { go.send(()).unwrap() };
    let (a, b, c, d, e, ()) =
        tokio::join!(first, insert(&database, 1), failing, panicking, insert(&database, 4), release);
    assert!(a.is_ok() && b.is_ok() && e.is_ok());
    assert!(matches!(c, Err(SqlError::Full)));
    assert!(matches!(d, Err(SqlError::Unavailable(_))));
    assert_eq!(numbers(&database).await, [0, 1, 4]);
}

async fn a_writer_whose_caller_is_gone_finishes(place: Place) {
    let database = open(&place, &[ONE]).unwrap();
    let mut gone = Box::pin(insert(&database, 9));
    let polled = std::future::poll_fn(|cx| std::task::Poll::Ready(gone.as_mut().poll(cx))).await;
    assert!(polled.is_pending());
    drop(gone);
    insert(&database, 10).await.unwrap();
    assert_eq!(numbers(&database).await, [0, 9, 10]);
}

async fn a_reader_does_not_write(place: Place) {
    let database = open(&place, &[ONE]).unwrap();
    let write = |s: &Session| s.change("DELETE FROM numbers", &[]);
    assert!(database.read(write).await.is_err());
    assert_eq!(numbers(&database).await, [0]);
}

async fn its_11758_the_schema_version_is_recorded_and_a_newer_one_is_refused(place: Place) {
    drop(open(&place, &[ONE]).unwrap());
    drop(open(&place, &[ONE, TWO]).unwrap());
    // A program of the release before still works: step 2 says that it may.
    insert(&open(&place, &[ONE]).unwrap(), 5).await.unwrap();
    drop(open(&place, &[ONE, TWO, THREE]).unwrap());
    let refused = open(&place, &[ONE, TWO]).err().unwrap();
    assert_eq!(refused.to_string(), "the database has schema version 3; this program works with 0 to 2");
}

async fn a_step_that_fails_leaves_nothing_behind(place: Place) {
    assert!(open(&place, &[ONE, BROKEN]).is_err());
    assert!(open(&place, &[ONE, MENDED]).is_ok());
}

#[test]
fn the_file_is_for_its_owner_alone() {
    use std::os::unix::fs::PermissionsExt as _;
    let place = Place::sqlite();
    let _database = open(&place, &[ONE]).unwrap();
    let folder = place.folder.as_ref().unwrap();
    for name in ["test.db", "test.db-wal"] {
        let mode = std::fs::metadata(folder.path().join(name)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{name}");
    }
}
