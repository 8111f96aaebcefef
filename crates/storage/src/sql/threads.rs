//! The threads behind a [`Database`](super::Database): one that writes in groups, a few that read.

use super::{Access, Source, SqlError};
use rusqlite::Connection;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::oneshot;

/// Most writes that share one sync.
const GROUP: usize = 256;

pub(super) type ReadJob = Box<dyn FnOnce(&Connection) + Send>;
/// Runs within a transaction, or hears why there is none.
pub(super) type WriteJob = Box<dyn FnOnce(Result<&Connection, SqlError>) -> Done + Send>;
/// Tells the caller, once it is known whether the group stands.
type Tell = Box<dyn FnOnce(Result<(), SqlError>) + Send>;

/// What a write has done.
pub(super) struct Done {
    keep: Keep,
    tell: Tell,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Keep {
    Changes,
    Nothing,
}

pub(super) fn write_job<T, E, F>(job: F, answer: oneshot::Sender<Result<T, E>>) -> WriteJob
where
    T: Send + 'static,
    E: From<SqlError> + Send + 'static,
    F: FnOnce(&Connection) -> Result<T, E> + Send + 'static,
{
    Box::new(move |connection| {
        let result = connection.map_err(E::from).and_then(job);
        let keep = if result.is_ok() { Keep::Changes } else { Keep::Nothing };
        let tell: Tell = Box::new(move |stands| {
            let _ = answer.send(match (result, stands) {
                (Ok(_), Err(e)) => Err(e.into()),
                (result, _) => result,
            });
        });
        Done { keep, tell }
    })
}

/// Runs a read in one snapshot, so that what it finds in several statements belongs together.
pub(super) fn in_snapshot<T, E: From<SqlError>>(
    connection: &Connection,
    job: impl FnOnce(&Connection) -> Result<T, E>,
) -> Result<T, E> {
    execute(connection, "BEGIN")?;
    let result = job(connection);
    execute(connection, "COMMIT")?;
    result
}

pub(super) fn start_writer(
    source: Source,
    connection: Connection,
    waiting: usize,
) -> Result<SyncSender<WriteJob>, SqlError> {
    let (line, jobs) = sync_channel(waiting);
    start("db-writer", move || write_all(&source, connection, &jobs))?;
    Ok(line)
}

pub(super) fn start_readers(
    source: &Source,
    count: usize,
    waiting: usize,
) -> Result<SyncSender<ReadJob>, SqlError> {
    let (line, jobs) = sync_channel(waiting);
    let jobs = Arc::new(Mutex::new(jobs));
    for _ in 0..count {
        let (source, jobs, connection) = (source.clone(), Arc::clone(&jobs), source.connect(Access::Read)?);
        start("db-reader", move || read_all(&source, connection, &jobs))?;
    }
    Ok(line)
}

fn start(name: &str, work: impl FnOnce() + Send + 'static) -> Result<(), SqlError> {
    let thread = std::thread::Builder::new().name(name.into()).spawn(work);
    thread.map(|_| ()).map_err(|e| SqlError::Unavailable(format!("no thread for the database: {e}")))
}

fn read_all(source: &Source, mut connection: Connection, jobs: &Mutex<Receiver<ReadJob>>) {
    loop {
        let next = jobs.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(job) = next else { return };
        // A job that panics loses its answer, which its caller hears; the thread goes on.
        let _ = catch_unwind(AssertUnwindSafe(|| job(&connection)));
        if !connection.is_autocommit() {
            renew(source, &mut connection, Access::Read);
        }
    }
}

fn write_all(source: &Source, mut connection: Connection, jobs: &Receiver<WriteJob>) {
    while let Ok(first) = jobs.recv() {
        let group = std::iter::once(first).chain(jobs.try_iter()).take(GROUP);
        if let Err(SqlError::Unavailable(_) | SqlError::Broken(_)) = write_group(&connection, group) {
            // After a failed sync nothing that this connection believes about the file can be trusted.
            renew(source, &mut connection, Access::Write);
        }
    }
}

/// Runs a group in one transaction and tells every caller how it ended.
fn write_group(connection: &Connection, jobs: impl Iterator<Item = WriteJob>) -> Result<(), SqlError> {
    if let Err(e) = execute(connection, "BEGIN IMMEDIATE") {
        for job in jobs {
            (job(Err(e.clone())).tell)(Err(e.clone()));
        }
        return Err(e);
    }
    let mut tells = Vec::new();
    let mut outcome = Ok(());
    for job in jobs {
        let (tell, done) = in_savepoint(connection, job);
        tells.extend(tell);
        outcome = done;
        if outcome.is_err() {
            break;
        }
    }
    let outcome = outcome.and_then(|()| execute(connection, "COMMIT"));
    if outcome.is_err() && !connection.is_autocommit() {
        let _ = execute(connection, "ROLLBACK");
    }
    for tell in tells {
        tell(outcome.clone());
    }
    outcome
}

/// One write: how to tell its caller (`None` where it panicked and its answer is lost), and whether the transaction
/// can go on.
fn in_savepoint(connection: &Connection, job: WriteJob) -> (Option<Tell>, Result<(), SqlError>) {
    if let Err(e) = execute(connection, "SAVEPOINT one") {
        return (Some(job(Err(e.clone())).tell), Err(e));
    }
    let done = catch_unwind(AssertUnwindSafe(|| job(Ok(connection)))).ok();
    if connection.is_autocommit() {
        // On a full disk and the like the engine takes the whole transaction back by itself.
        let reason = SqlError::Unavailable("the transaction was taken back by the engine".into());
        return (done.map(|d| d.tell), Err(reason));
    }
    let nothing = done.as_ref().is_none_or(|d| d.keep == Keep::Nothing);
    let back = if nothing { execute(connection, "ROLLBACK TO one") } else { Ok(()) };
    (done.map(|d| d.tell), back.and_then(|()| execute(connection, "RELEASE one")))
}

fn execute(connection: &Connection, statement: &str) -> Result<(), SqlError> {
    connection.prepare_cached(statement)?.execute([]).map(|_| ()).map_err(SqlError::from)
}

/// A new connection in place of one that cannot be trusted; where none is to be had, the old one goes on failing.
fn renew(source: &Source, connection: &mut Connection, access: Access) {
    if let Ok(new) = source.connect(access) {
        *connection = new;
    }
}
