//! A SQL database embedded in the process: SQLite, one file, one writer thread, a few readers.
//!
//! Promised: [`Database::write`] answers only after the change is on disk (WAL with a full sync); writes that wait at the same
//! moment share one sync, each in its own savepoint, so that one that fails takes back its own changes alone. A write
//! that has begun finishes even where its caller is gone. Lines in front of the threads are bounded.
//!
//! Left to others: what the statements are (`directory`), and the second engine, PostgreSQL, for which statements keep to
//! the common subset: TEXT, BIGINT, BLOB, `ON CONFLICT`, `RETURNING`, booleans as SMALLINT, times as microseconds.

pub mod migrate;
mod threads;

use mail::time::Timestamp;
use migrate::Plan;
use rusqlite::{Connection, OpenFlags};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{SyncSender, TrySendError};
use std::time::Duration;
use threads::{ReadJob, WriteJob};
use tokio::sync::oneshot;

/// Why the database did not do it.
#[derive(Debug, Clone, thiserror::Error)]
pub enum SqlError {
    /// Too many wait, or another process holds the database: try again.
    #[error("the database has too much to do")]
    Busy,
    /// No space on the disk. Nothing was changed.
    #[error("the disk of the database is full")]
    Full,
    /// Reading or writing failed, or the threads are gone. The change may or may not have happened.
    #[error("the database is out of reach: {0}")]
    Unavailable(String),
    /// The file was made by a program that this one does not understand.
    #[error("the database has schema version {found}; this program works with {oldest} to {newest}")]
    Version {
        /// The version of the file.
        found: i64,
        /// The oldest this program can bring up to date.
        oldest: i64,
        /// The newest this program knows.
        newest: i64,
    },
    /// A statement that does not work, or damage: a bug or a broken disk.
    #[error("the database is broken: {0}")]
    Broken(String),
}

impl From<rusqlite::Error> for SqlError {
    fn from(error: rusqlite::Error) -> Self {
        use rusqlite::ErrorCode;
        match error.sqlite_error_code() {
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => Self::Busy,
            Some(ErrorCode::DiskFull) => Self::Full,
            Some(ErrorCode::SystemIoFailure | ErrorCode::CannotOpen | ErrorCode::ReadOnly) => {
                Self::Unavailable(error.to_string())
            }
            _ => Self::Broken(error.to_string()),
        }
    }
}

/// An open database. Clones share the threads, which end with the last clone.
#[derive(Clone)]
pub struct Database {
    shared: Arc<Shared>,
}

struct Shared {
    source: Source,
    writes: SyncSender<WriteJob>,
    reads: SyncSender<ReadJob>,
}

impl Database {
    /// Opens the file, or makes it readable for its owner alone, and brings its schema up to date.
    ///
    /// # Errors
    /// Where the file cannot be opened, is damaged, or has a schema that this program does not know.
    pub fn open(path: &Path, plan: &Plan, now: Timestamp) -> Result<Self, SqlError> {
        make_private(path)?;
        let source = Source { path: path.to_owned() };
        let mut connection = source.connect(Access::Write)?;
        migrate::run(&mut connection, plan, now)?;
        let shared = Shared {
            writes: threads::start_writer(source.clone(), connection, WAITING_WRITES)?,
            reads: threads::start_readers(&source, READERS, WAITING_READS)?,
            source,
        };
        Ok(Self { shared: Arc::new(shared) })
    }

    /// Writes the database as it is now to a new file, while it is in use; the caller makes that durable. Blocks for as
    /// long as that takes, on a connection of its own: neither writer nor readers wait for it.
    ///
    /// # Errors
    /// Where the file is there already or cannot be written.
    pub fn copy_to(&self, path: &Path) -> Result<(), SqlError> {
        let text = path.to_str().ok_or_else(|| SqlError::Unavailable("the path is not UTF-8".into()))?;
        if path.exists() {
            return Err(SqlError::Unavailable(format!("{text} exists")));
        }
        make_private(path)?;
        let connection = self.shared.source.connect(Access::Write)?;
        connection.execute("VACUUM INTO ?1", [text]).map(|_| ()).map_err(SqlError::from)
    }

    /// Runs the closure on a reader, in one snapshot.
    ///
    /// # Errors
    /// What the closure returns, or why it could not run.
    pub async fn read<T, E, F>(&self, job: F) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<SqlError> + Send + 'static,
        F: FnOnce(&Connection) -> Result<T, E> + Send + 'static,
    {
        let (answer, wait) = oneshot::channel();
        let job: ReadJob = Box::new(move |connection| {
            let _ = answer.send(threads::in_snapshot(connection, job));
        });
        send(&self.shared.reads, job)?;
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
        F: FnOnce(&Connection) -> Result<T, E> + Send + 'static,
    {
        let (answer, wait) = oneshot::channel();
        send(&self.shared.writes, threads::write_job(job, answer))?;
        wait.await.unwrap_or_else(|_| Err(lost().into()))
    }
}

/// Reads a database file that nobody uses from end to end; what is wrong with it, where something is.
///
/// # Errors
/// Where it cannot be opened at all.
pub fn check_file(path: &Path) -> Result<Option<String>, SqlError> {
    let connection = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    let check = || {
        let said = |row: &rusqlite::Row<'_>| row.get::<_, String>(0);
        let said = connection.query_row("PRAGMA integrity_check(1)", [], said)?;
        Ok((said != "ok").then_some(said))
    };
    check().or_else(|e: rusqlite::Error| Ok(Some(e.to_string())))
}

/// Most writes that wait for the writer.
const WAITING_WRITES: usize = 1024;
/// Most reads that wait for a reader.
const WAITING_READS: usize = 1024;
/// Reader threads: a look-up takes tens of microseconds, so two serve more than the hashing pool lets through.
const READERS: usize = 2;
/// How long a statement waits for another process before it gives up.
const LOCK_WAIT: Duration = Duration::from_secs(5);
/// Prepared statements kept by each connection.
const STATEMENTS: usize = 128;

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

/// Password hashes are in the file: nobody but its owner reads it. The files beside it inherit the mode.
fn make_private(path: &Path) -> Result<(), SqlError> {
    use std::os::unix::fs::OpenOptionsExt as _;
    let made = std::fs::OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(path);
    made.map(|_| ()).map_err(|e| SqlError::Unavailable(format!("{}: {e}", path.display())))
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Access {
    Read,
    Write,
}

/// Where connections come from.
#[derive(Clone)]
struct Source {
    path: PathBuf,
}

impl Source {
    fn connect(&self, access: Access) -> Result<Connection, SqlError> {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(&self.path, flags)?;
        connection.busy_timeout(LOCK_WAIT)?;
        connection.set_prepared_statement_cache_capacity(STATEMENTS);
        connection.pragma_update(None, "journal_mode", "wal")?;
        connection.pragma_update(None, "synchronous", "full")?;
        connection.pragma_update(None, "foreign_keys", "on")?;
        connection.pragma_update(None, "trusted_schema", "off")?;
        if access == Access::Read {
            connection.pragma_update(None, "query_only", "on")?;
        }
        Ok(connection)
    }
}

#[cfg(test)]
mod tests;
