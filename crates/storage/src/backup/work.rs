//! A backup at work: how fast, how far, until when; and why it did not come to its end.

use crate::pace::Pace;
use crate::shard::ShardError;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::runtime::Handle;
use tokio::sync::oneshot;

/// Why a backup, its verification or a restore did not come to its end.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// A database that is copied or made could not do its part.
    #[error(transparent)]
    Shard(#[from] ShardError),
    /// The directory's database could not do its part.
    #[error(transparent)]
    Sql(#[from] crate::sql::SqlError),
    /// A file could not be read or written.
    #[error("{path}: {source}")]
    File {
        /// Which.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// What a backup has kept is not what was written.
    #[error("{path} is damaged: {what}")]
    Damaged {
        /// Which file.
        path: PathBuf,
        /// How.
        what: String,
    },
    /// It is not what was asked for; says why not.
    #[error("{0}")]
    Refused(String),
    /// It was ended before its end. Nothing counts of it.
    #[error("it was ended before it was done")]
    Ended,
}

impl BackupError {
    /// A file failed.
    pub(crate) fn file(path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_path_buf();
        move |source| Self::File { path, source }
    }
}

/// How a backup goes on. Clones share it: one works, others look on and order.
#[derive(Clone)]
pub struct Work {
    pace: Pace,
    counts: Arc<Counts>,
}

#[derive(Default)]
struct Counts {
    done: AtomicU64,
    total: AtomicU64,
    written: AtomicU64,
}

/// How far a work is, in bytes that were looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Progress {
    /// Done.
    pub done: u64,
    /// Of how many, as far as is known by now.
    pub total: u64,
    /// Bytes that were written.
    pub written: u64,
}

impl Work {
    /// Work at this pace.
    pub fn new(pace: Pace) -> Self {
        Self { pace, counts: Arc::default() }
    }

    /// Its pace: to pause it, or to end it.
    pub fn pace(&self) -> &Pace {
        &self.pace
    }

    /// How far it is.
    pub fn progress(&self) -> Progress {
        let read = |n: &AtomicU64| n.load(Ordering::Relaxed);
        let Counts { done, total, written } = &*self.counts;
        Progress { done: read(done), total: read(total), written: read(written) }
    }

    /// So many bytes more will have to be looked at.
    pub(crate) fn expect(&self, bytes: u64) {
        self.counts.total.fetch_add(bytes, Ordering::Relaxed);
    }

    /// So many have been, without any effort.
    pub(crate) fn pass(&self, bytes: u64) {
        self.counts.done.fetch_add(bytes, Ordering::Relaxed);
    }

    /// So many bytes were written.
    pub(crate) fn wrote(&self, bytes: u64) {
        self.counts.written.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Runs the job on a thread of its own, because it reads and writes files for as long as it takes. Where the returned
    /// future is dropped, the job ends at its next step.
    ///
    /// # Errors
    /// What the job returns; [`BackupError::Ended`] where it was ended or panicked.
    ///
    /// # Panics
    /// Outside of a runtime.
    pub async fn run<T, F>(&self, job: F) -> Result<T, BackupError>
    where
        T: Send + 'static,
        F: FnOnce(&Steps) -> Result<T, BackupError> + Send + 'static,
    {
        let steps = Steps { work: self.clone(), runtime: Handle::current() };
        let (answer, wait) = oneshot::channel();
        let run = move || {
            let _ = answer.send(job(&steps));
        };
        let thread = std::thread::Builder::new().name("backup".into()).spawn(run);
        thread.map_err(|e| BackupError::Shard(ShardError::io(e)))?;
        let dropped = EndOnDrop(&self.pace);
        let answer = wait.await.unwrap_or(Err(BackupError::Ended));
        std::mem::forget(dropped);
        answer
    }
}

/// The work of a server that adds its part to one backup at a time.
#[derive(Default)]
pub struct Current(Mutex<Option<Work>>);

impl Current {
    /// Begins work; `None` where some is being done. Ends with the returned guard.
    pub fn begin(&self, pace: Pace) -> Option<(Work, Begun<'_>)> {
        let mut current = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if current.is_some() {
            return None;
        }
        let work = current.insert(Work::new(pace)).clone();
        Some((work, Begun(self)))
    }

    /// How far it is; `None` where nothing is being done.
    pub fn progress(&self) -> Option<Progress> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).as_ref().map(Work::progress)
    }
}

/// See [`Current::begin`].
pub struct Begun<'a>(&'a Current);

impl Drop for Begun<'_> {
    fn drop(&mut self) {
        *self.0.0.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

struct EndOnDrop<'a>(&'a Pace);

impl Drop for EndOnDrop<'_> {
    fn drop(&mut self) {
        self.0.end();
    }
}

/// The work as its own thread has it.
pub struct Steps {
    work: Work,
    runtime: Handle,
}

impl Steps {
    /// After each step of so many bytes: counts them, and waits as long as the pace asks for.
    pub(crate) fn step(&self, bytes: u64) -> Result<(), BackupError> {
        self.work.pass(bytes);
        match self.runtime.block_on(self.work.pace.step(bytes)).is_break() {
            true => Err(BackupError::Ended),
            false => Ok(()),
        }
    }

    /// Whether it was ended.
    pub(crate) fn is_ended(&self) -> bool {
        self.work.pace.is_ended()
    }

    /// What others see of it.
    pub(crate) fn work(&self) -> &Work {
        &self.work
    }
}
