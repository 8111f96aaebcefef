//! The threads behind a [`Database`](super::Database): one that writes in groups, a few that read.

use super::keeper::Keeper;
use super::{Session, SqlError, State};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::oneshot;

/// Most writes that share one sync.
const GROUP: usize = 256;

/// Runs within a snapshot, or hears why there is none.
pub(super) type ReadJob = Box<dyn FnOnce(Result<&Session, SqlError>) -> Result<(), SqlError> + Send>;
/// Runs within a transaction, or hears why there is none.
pub(super) type WriteJob = Box<dyn FnOnce(Result<&Session, SqlError>) -> Done + Send>;
/// Tells the caller, once it is known whether the group stands.
type Tell = Box<dyn FnOnce(Result<(), SqlError>) + Send>;
/// How to tell a caller, and what became of its write alone.
type Outcome = (Tell, Result<(), SqlError>);

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
    F: FnOnce(&Session) -> Result<T, E> + Send + 'static,
{
    Box::new(move |session| {
        let result = session.map_err(E::from).and_then(job);
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

/// Runs in one snapshot, so that what is found in several statements belongs together.
pub(super) fn read_job<T, E, F>(job: F, answer: oneshot::Sender<Result<T, E>>) -> ReadJob
where
    T: Send + 'static,
    E: From<SqlError> + Send + 'static,
    F: FnOnce(&Session) -> Result<T, E> + Send + 'static,
{
    Box::new(move |session| {
        let (result, ended) = match session {
            Ok(session) => {
                let result = job(session);
                let ended = match &result {
                    Ok(_) => session.end_reading(),
                    Err(_) => session.roll_back(),
                };
                (result, ended)
            }
            Err(e) => (Err(e.into()), Ok(())),
        };
        let _ = answer.send(result);
        ended
    })
}

pub(super) fn start_writer(keeper: Keeper, waiting: usize) -> Result<SyncSender<WriteJob>, SqlError> {
    let (line, jobs) = sync_channel(waiting);
    start("db-writer", move || write_all(keeper, &jobs))?;
    Ok(line)
}

pub(super) fn start_readers(keepers: Vec<Keeper>, waiting: usize) -> Result<SyncSender<ReadJob>, SqlError> {
    let (line, jobs) = sync_channel(waiting);
    let jobs = Arc::new(Mutex::new(jobs));
    for keeper in keepers {
        let jobs = Arc::clone(&jobs);
        start("db-reader", move || read_all(keeper, &jobs))?;
    }
    Ok(line)
}

fn start(name: &str, work: impl FnOnce() + Send + 'static) -> Result<(), SqlError> {
    let thread = std::thread::Builder::new().name(name.into()).spawn(work);
    thread.map(|_| ()).map_err(|e| SqlError::Unavailable(format!("no thread for the database: {e}")))
}

fn read_all(mut keeper: Keeper, jobs: &Mutex<Receiver<ReadJob>>) {
    loop {
        let next = jobs.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(job) = next else { return };
        let session = keeper.begin();
        // A job that panics loses its answer, which its caller hears; the thread goes on, with another connection.
        let ended = catch_unwind(AssertUnwindSafe(|| job(session))).unwrap_or_else(|_| Err(super::lost()));
        keeper.check(&ended);
    }
}

fn write_all(mut keeper: Keeper, jobs: &Receiver<WriteJob>) {
    while let Ok(first) = jobs.recv() {
        let group = std::iter::once(first).chain(jobs.try_iter()).take(GROUP);
        let outcome = match keeper.begin() {
            Ok(session) => write_group(session, group),
            Err(error) => {
                group.for_each(|job| (job(Err(error.clone())).tell)(Err(error.clone())));
                continue;
            }
        };
        keeper.check(&outcome);
    }
}

/// Runs a group in the transaction that has begun and tells every caller how it ended.
fn write_group(session: &Session, jobs: impl Iterator<Item = WriteJob>) -> Result<(), SqlError> {
    let mut tells = Vec::new();
    let mut outcome = Ok(());
    for job in jobs {
        let (tell, group) = one_write(session, job);
        tells.extend(tell);
        outcome = group;
        if outcome.is_err() {
            break;
        }
    }
    let outcome = outcome.and_then(|()| session.commit());
    if outcome.is_err() {
        let _ = session.roll_back();
    }
    for (tell, own) in tells {
        tell(own.and(outcome.clone()));
    }
    outcome
}

/// One write: how to tell its caller (`None` where it panicked and its answer is lost) what became of it alone, and
/// whether the transaction can go on.
fn one_write(session: &Session, job: WriteJob) -> (Option<Outcome>, Result<(), SqlError>) {
    if let Err(e) = session.begin_write() {
        return (Some((job(Err(e.clone())).tell, Err(e.clone()))), Err(e));
    }
    let done = catch_unwind(AssertUnwindSafe(|| job(Ok(session)))).ok();
    let keep = done.as_ref().map_or(Keep::Nothing, |d| d.keep);
    let own = match keep {
        _ if is_gone(session) => Ok(()),
        Keep::Changes => session.keep_write(),
        Keep::Nothing => Ok(()),
    };
    let group = match keep {
        // On a full disk and the like SQLite takes the whole transaction back by itself; a connection may be lost.
        _ if is_gone(session) => {
            let reason = SqlError::Unavailable("the transaction was taken back by the engine".into());
            Err(own.clone().err().unwrap_or(reason))
        }
        Keep::Changes if own.is_ok() => Ok(()),
        Keep::Changes | Keep::Nothing => session.undo_write(),
    };
    (done.map(|d| (d.tell, own)), group)
}

fn is_gone(session: &Session) -> bool {
    matches!(session.state(), State::Idle | State::Lost)
}
