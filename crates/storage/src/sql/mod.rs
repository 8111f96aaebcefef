//! A SQL database: SQLite, one file of this process, or PostgreSQL, a server that processes and hosts share. One text of
//! every statement serves both.
//!
//! Promised: [`Database::write`] answers only after the change is on disk (SQLite: WAL with a full sync; PostgreSQL:
//! `synchronous_commit`); writes that wait at the same moment share one sync, each in its own savepoint, so that one that
//! fails takes back its own changes alone. A write that has begun finishes even where its caller is gone. Writers of
//! several processes take turns. Lines in front of the threads are bounded. A connection that is lost is replaced; who was
//! on it hears [`SqlError::Unavailable`], and no write whose commit may have happened is repeated.
//!
//! Left to others: what the statements are (`directory`). They keep to the common subset: TEXT, BIGINT, SMALLINT, BLOB,
//! `ON CONFLICT`, `RETURNING`, booleans as SMALLINT, times as microseconds, `?1` for a value.

mod copy;
mod keeper;
pub mod migrate;
mod numbers;
pub mod postgres;
mod session;
mod sqlite;
mod threads;
mod value;

use catalog::events::db::DbFeatureUnavailWithoutSchemaPatch;
use env::Env;
use keeper::Keeper;
use migrate::Plan;
use postgres::{Server, State};
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{SyncSender, TrySendError};
use std::time::Duration;
use threads::{ReadJob, WriteJob};
use tokio::sync::oneshot;

pub use session::Session;
pub use sqlite::check_file;
pub(crate) use value::params;
pub use value::{Column, FromColumn, Row, ToValue, Value};

/// Why the database did not do it.
#[derive(Debug, Clone, thiserror::Error)]
pub enum SqlError {
    /// Too many wait, or another process holds the database: try again.
    #[error("the database has too much to do")]
    Busy,
    /// No space on the disk. Nothing was changed.
    #[error("the disk of the database is full")]
    Full,
    /// Reading or writing failed, the server is away, or the threads are gone. The change may or may not have happened.
    #[error("the database is out of reach: {0}")]
    Unavailable(String),
    /// The database was made by a program that this one does not understand.
    #[error("the database has schema version {found}; this program works with {oldest} to {newest}")]
    Version {
        /// The version of the database.
        found: i64,
        /// The oldest this program can bring up to date.
        oldest: i64,
        /// The newest this program knows.
        newest: i64,
    },
    /// The database needs a step that only an operator starts (`imdirprepatch`, `imdirpatch`): its name.
    #[error("the database needs the step {0:?} first: run imdirprepatch, then imdirpatch")]
    Pending(&'static str),
    /// A statement that does not work, or damage: a bug or a broken disk.
    #[error("the database is broken: {0}")]
    Broken(String),
}

/// Where a database is.
#[derive(Clone)]
pub enum Location {
    /// A file of SQLite.
    File(PathBuf),
    /// A database of a PostgreSQL server.
    Server(Box<Remote>),
}

/// A server, and what happens when it is away.
#[derive(Clone)]
pub struct Remote {
    /// The server.
    pub server: Server,
    /// The longest pause between attempts to connect again.
    pub longest_pause: Duration,
    /// What becomes of a request that finds its connection dead.
    pub retry: Retry,
}

/// What becomes of a request that finds its connection dead before it has begun.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Retry {
    /// It is carried out on a new connection, where one is to be had at once.
    Once,
    /// It fails.
    Never,
}

/// An open database. Clones share the threads, which end with the last clone.
#[derive(Clone)]
pub struct Database {
    shared: Arc<Shared>,
}

struct Shared {
    source: Source,
    env: Env,
    writes: SyncSender<WriteJob>,
    reads: SyncSender<ReadJob>,
}

impl Database {
    /// Opens the database and brings its schema up to date. A file that is not there is made, readable for its owner alone.
    ///
    /// # Errors
    /// Where it cannot be reached or opened, is damaged, or has a schema that this program does not know.
    pub fn open(location: &Location, plan: &'static Plan, env: &Env) -> Result<Self, SqlError> {
        if let Location::File(path) = location {
            sqlite::make_private(path)?;
        }
        let source = Source::of(location, plan);
        source.prepare(env)?;
        let keeper = |access| {
            let mut keeper = Keeper::new(source.clone(), access, env.clone());
            keeper.connect().map(|()| keeper)
        };
        let readers = (0..source.readers()).map(|_| keeper(Access::Read)).collect::<Result<_, _>>()?;
        Self::start(keeper(Access::Write)?, readers, source, env)
    }

    /// As [`Database::open`], for somebody who can go on without it: a database that is out of reach is taken up when it is
    /// there again, and its schema is brought up to date then. Until then everything fails as unavailable. A file is never
    /// made: one that is gone is out of reach.
    ///
    /// # Errors
    /// Where it can be reached, and is damaged or has a schema that this program does not know.
    pub fn open_later(location: &Location, plan: &'static Plan, env: &Env) -> Result<Self, SqlError> {
        let source = Source::of(location, plan);
        match source.prepare(env) {
            // Whoever asks first tries again, and logs it where that fails.
            Ok(()) | Err(SqlError::Unavailable(_) | SqlError::Busy) => {}
            Err(error) => return Err(error),
        }
        let keeper = |access| Keeper::new(source.clone(), access, env.clone());
        let readers = (0..source.readers()).map(|_| keeper(Access::Read)).collect();
        Self::start(keeper(Access::Write), readers, source, env)
    }

    fn start(writer: Keeper, readers: Vec<Keeper>, source: Source, env: &Env) -> Result<Self, SqlError> {
        let shared = Shared {
            writes: threads::start_writer(writer, WAITING_WRITES)?,
            reads: threads::start_readers(readers, WAITING_READS)?,
            source,
            env: env.clone(),
        };
        Ok(Self { shared: Arc::new(shared) })
    }

    /// Writes the database as it is now to a new file, while it is in use; the caller makes that durable. Blocks for as
    /// long as that takes, on a connection of its own: neither writer nor readers wait for it.
    ///
    /// # Errors
    /// Where the file is there already or cannot be written.
    pub fn copy_to(&self, path: &Path) -> Result<(), SqlError> {
        if path.exists() {
            return Err(SqlError::Unavailable(format!("{} exists", path.display())));
        }
        sqlite::make_private(path)?;
        match &self.shared.source.engine {
            Engine::Sqlite(file) => sqlite::copy(file, path),
            Engine::Postgres(_) => copy::to_file(&self.shared.source, &self.shared.env, path),
        }
    }

    /// Runs the closure on a reader, in one snapshot.
    ///
    /// # Errors
    /// What the closure returns, or why it could not run.
    pub async fn read<T, E, F>(&self, job: F) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<SqlError> + Send + 'static,
        F: FnOnce(&Session) -> Result<T, E> + Send + 'static,
    {
        let (answer, wait) = oneshot::channel();
        send(&self.shared.reads, threads::read_job(job, answer))?;
        wait.await.unwrap_or_else(|_| Err(lost().into()))
    }

    /// Runs the closure on the writer. Its changes stand when this returns `Ok`, and are taken back where the
    /// closure returns an error.
    ///
    /// # Errors
    /// What the closure returns, or why its changes could not be made to last.
    pub async fn write<T, E, F>(&self, job: F) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<SqlError> + Send + 'static,
        F: FnOnce(&Session) -> Result<T, E> + Send + 'static,
    {
        let (answer, wait) = oneshot::channel();
        send(&self.shared.writes, threads::write_job(job, answer))?;
        wait.await.unwrap_or_else(|_| Err(lost().into()))
    }
}

/// Most writes that wait for the writer.
const WAITING_WRITES: usize = 1024;
/// Most reads that wait for a reader.
const WAITING_READS: usize = 1024;
/// Reader threads over a file: a look-up takes tens of microseconds, so two serve more than the hashing pool lets through.
const FILE_READERS: usize = 2;
/// Reader threads over a server, where a look-up waits for round trips.
const SERVER_READERS: usize = 4;
/// How long a statement waits for another process before it gives up.
const LOCK_WAIT: Duration = Duration::from_secs(5);

fn send<J>(line: &SyncSender<J>, job: J) -> Result<(), SqlError> {
    line.try_send(job).map_err(|e| match e {
        TrySendError::Full(_) => SqlError::Busy,
        TrySendError::Disconnected(_) => lost(),
    })
}

/// The job panicked or its thread is gone.
fn lost() -> SqlError {
    SqlError::Unavailable("the database thread gave no answer".into())
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Access {
    Read,
    Write,
}

/// Where connections come from.
#[derive(Clone)]
struct Source {
    engine: Engine,
    plan: &'static Plan,
    /// Whether this process has brought the schema up to date.
    prepared: Arc<AtomicBool>,
    /// How often a thread has reached the database again after it was away.
    returns: Arc<AtomicU64>,
}

#[derive(Clone)]
enum Engine {
    Sqlite(Arc<Path>),
    Postgres(Arc<Remote>),
}

impl Source {
    fn of(location: &Location, plan: &'static Plan) -> Self {
        let engine = match location {
            Location::File(path) => Engine::Sqlite(path.as_path().into()),
            Location::Server(remote) => Engine::Postgres(Arc::new(Remote::clone(remote))),
        };
        Self { engine, plan, prepared: Arc::default(), returns: Arc::default() }
    }

    /// Brings the schema up to date.
    fn prepare(&self, env: &Env) -> Result<(), SqlError> {
        if let Some(step) = migrate::run(&self.connect(Access::Write)?, self.plan, env.clock.now())? {
            env.log.emit(&DbFeatureUnavailWithoutSchemaPatch { feature: step.name, needed: step.version });
        }
        self.prepared.store(true, Ordering::Release);
        Ok(())
    }

    fn connect(&self, access: Access) -> Result<Session, SqlError> {
        match &self.engine {
            Engine::Sqlite(path) => sqlite::connect(path, access).map(Session::sqlite),
            Engine::Postgres(remote) => {
                remote.server.connect(access, migrate::newest(self.plan)).map(Session::postgres)
            }
        }
    }

    /// A connection to a database whose schema is as new as this program, and still understood by it: another may have
    /// changed it meanwhile.
    fn connect_checked(&self, access: Access, env: &Env) -> Result<Session, SqlError> {
        if !self.prepared.load(Ordering::Acquire) {
            self.prepare(env)?;
        }
        let session = self.connect(access)?;
        migrate::check(&session, migrate::newest(self.plan))?;
        Ok(session)
    }

    fn readers(&self) -> usize {
        match &self.engine {
            Engine::Sqlite(_) => FILE_READERS,
            Engine::Postgres(_) => SERVER_READERS,
        }
    }

    fn retries(&self) -> bool {
        match &self.engine {
            Engine::Sqlite(_) => true,
            Engine::Postgres(remote) => remote.retry == Retry::Once,
        }
    }

    fn longest_pause(&self) -> Duration {
        match &self.engine {
            Engine::Sqlite(_) => LOCK_WAIT,
            Engine::Postgres(remote) => remote.longest_pause,
        }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.engine {
            Engine::Sqlite(path) => write!(f, "{}", path.display()),
            Engine::Postgres(remote) => write!(f, "{}", remote.server.address),
        }
    }
}

#[cfg(test)]
pub(crate) mod both;
#[cfg(test)]
mod patch_tests;
#[cfg(test)]
mod server_tests;
#[cfg(test)]
mod tests;
