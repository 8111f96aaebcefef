//! The async door to a copy that this process writes: one thread that appends and changes tables over, one more while a
//! table is built.
//!
//! Folding happens by itself when it is due, beside the appending. A copy may be missing at first: then there is no reader until one
//! was built and installed.

use super::build::Builder;
use super::entry::{Entry, Key};
use super::reader::Reader;
use super::writer::{Folded, Writer};
use super::{MAX_FILES, ReplicaError};
use arc_swap::ArcSwapOption;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};

/// Most jobs that wait.
const WAITING: usize = 64;
/// Most pages that wait to be built in.
const PAGES: usize = 4;
/// How often it is seen whether a fold has ended, where nothing is appended.
const LOOK: Duration = Duration::from_millis(200);

type Job = Box<dyn FnOnce(&mut Desk) + Send>;

/// The writer of a copy. Clones share the thread, which ends with the last one.
#[derive(Clone)]
pub struct Keeper {
    folder: PathBuf,
    seed: (u64, u64),
    line: SyncSender<Job>,
    reader: Arc<ArcSwapOption<Reader>>,
    /// How many builds were begun.
    builds: Arc<AtomicU64>,
}

/// What the thread works at.
struct Desk {
    seed: (u64, u64),
    writer: Option<Writer>,
    reader: Arc<ArcSwapOption<Reader>>,
    folding: Option<JoinHandle<Result<Folded, ReplicaError>>>,
}

impl Keeper {
    /// Opens the copy in a folder; where there is none, or one that this program cannot read, there is no reader
    /// until one was installed, and the second value says why. `seed` is chance.
    ///
    /// # Errors
    /// [`ReplicaError::InUse`] where another process writes to it; where the folder or the thread cannot be had.
    pub fn open(folder: &Path, seed: (u64, u64)) -> Result<(Self, Option<ReplicaError>), ReplicaError> {
        let (writer, why) = match Writer::open(folder) {
            Ok(writer) => {
                writer.remove_scratch();
                (Some(writer), None)
            }
            Err(error @ (ReplicaError::InUse(_) | ReplicaError::Unavailable { .. })) => return Err(error),
            Err(error) => (None, Some(error)),
        };
        let reader = Arc::new(ArcSwapOption::from(writer.as_ref().map(|w| Arc::new(w.reader().clone()))));
        let (line, jobs) = sync_channel(WAITING);
        let desk = Desk { seed, writer, reader: Arc::clone(&reader), folding: None };
        start("dir-cache", move || desk.work(&jobs))?;
        Ok((Self { folder: folder.to_owned(), seed, line, reader, builds: Arc::default() }, why))
    }

    /// The copy, where there is one.
    pub fn reader(&self) -> Option<Reader> {
        self.reader.load().as_deref().cloned()
    }

    /// As [`Writer::append`]; nothing happens where there is no copy.
    ///
    /// # Errors
    /// As [`Writer::append`], or where too much waits.
    pub async fn append(&self, position: i64, changes: Vec<(Key, Entry)>) -> Result<(), ReplicaError> {
        self.run(move |desk| match &mut desk.writer {
            Some(writer) => writer.append(position, &changes),
            None => Ok(()),
        })
        .await
    }

    /// Begins to build a copy anew, of so many files.
    ///
    /// # Errors
    /// Where its folder or its thread cannot be made.
    pub fn build(&self, files: usize) -> Result<Building, ReplicaError> {
        // A name of its own: the thread of a build that was broken off may not have ended yet.
        let number = self.builds.fetch_add(1, Ordering::Relaxed);
        let scratch = Writer::scratch(&self.folder, &format!("copy-{number}"))?;
        let mut builder = Builder::new(&scratch, files.clamp(1, MAX_FILES), self.seed)?;
        let (pages, mut line) = mpsc::channel::<Vec<(Key, Entry)>>(PAGES);
        let (answer, done) = oneshot::channel();
        start("dir-cache-build", move || {
            let mut outcome = Ok(());
            while let Some(page) = line.blocking_recv() {
                outcome = page.iter().try_for_each(|(key, entry)| builder.add(key, entry));
                if outcome.is_err() {
                    break;
                }
            }
            if answer.is_closed() {
                // Broken off: nobody waits for it.
                drop(builder);
                let _ = std::fs::remove_dir_all(&scratch);
                return;
            }
            let _ = answer.send(outcome.and_then(|()| builder.finish()));
        })?;
        Ok(Building { pages, done })
    }

    /// As [`Writer::install`]. Folds that are under way are forgotten.
    ///
    /// # Errors
    /// As [`Writer::install`]; what was there before holds on.
    pub async fn install(&self, built: PathBuf, position: i64) -> Result<(), ReplicaError> {
        let folder = self.folder.clone();
        self.run(move |desk| {
            let _ = desk.folding.take().map(JoinHandle::join);
            // The lock of the writer of before must be free for the one that comes.
            desk.writer = None;
            let installed = Writer::install(&folder, &built, position);
            desk.writer = match installed {
                Ok(writer) => Some(writer),
                Err(error) => {
                    desk.writer = Writer::open(&folder).ok();
                    return Err(error);
                }
            };
            if let Some(writer) = &desk.writer {
                desk.reader.store(Some(Arc::new(writer.reader().clone())));
            }
            Ok(())
        })
        .await
    }

    /// Folds what has changed into a table, however little it is.
    ///
    /// # Errors
    /// Where it cannot be written.
    pub async fn fold(&self) -> Result<(), ReplicaError> {
        self.run(|desk| {
            desk.end_fold(Wait::ForIt)?;
            let Some(writer) = &mut desk.writer else { return Ok(()) };
            let done = writer.fold(desk.seed)?.run()?;
            writer.finish_fold(done)
        })
        .await
    }

    async fn run<F>(&self, job: F) -> Result<(), ReplicaError>
    where
        F: FnOnce(&mut Desk) -> Result<(), ReplicaError> + Send + 'static,
    {
        let (answer, wait) = oneshot::channel();
        let job: Job = Box::new(move |desk| {
            let _ = answer.send(job(desk));
        });
        self.line.try_send(job).map_err(|_| self.lost("too much waits to be written"))?;
        wait.await.unwrap_or_else(|_| Err(self.lost("its thread has ended")))
    }

    fn lost(&self, reason: &str) -> ReplicaError {
        ReplicaError::Unavailable { path: self.folder.display().to_string(), reason: reason.to_owned() }
    }
}

/// A copy that is being built.
pub struct Building {
    pages: mpsc::Sender<Vec<(Key, Entry)>>,
    done: oneshot::Receiver<Result<PathBuf, ReplicaError>>,
}

impl Building {
    /// Adds a page; waits where the disk is slower than who reads the directory. `false`: building has failed, and
    /// [`Building::finish`] says why.
    pub async fn add(&self, page: Vec<(Key, Entry)>) -> bool {
        self.pages.send(page).await.is_ok()
    }

    /// Ends it; returns the folder for [`Keeper::install`].
    ///
    /// # Errors
    /// Why it could not be built.
    pub async fn finish(self) -> Result<PathBuf, ReplicaError> {
        drop(self.pages);
        let ended = ReplicaError::Damaged("building it has ended before its end".into());
        self.done.await.unwrap_or(Err(ended))
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Wait {
    ForIt,
    Not,
}

impl Desk {
    fn work(mut self, jobs: &Receiver<Job>) {
        loop {
            match jobs.recv_timeout(LOOK) {
                Ok(job) => job(&mut self),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
            // Where folding fails the changes stay above the tables, and it is tried again.
            let _ = self.end_fold(Wait::Not).and_then(|()| self.begin_fold());
        }
    }

    fn begin_fold(&mut self) -> Result<(), ReplicaError> {
        if self.folding.is_some() {
            return Ok(());
        }
        let Some(writer) = &mut self.writer else { return Ok(()) };
        if let Some(fold) = writer.begin_fold(self.seed)? {
            self.folding = Some(start("dir-cache-fold", move || fold.run())?);
        }
        Ok(())
    }

    fn end_fold(&mut self, wait: Wait) -> Result<(), ReplicaError> {
        let Some(thread) = self.folding.take_if(|t| wait == Wait::ForIt || t.is_finished()) else {
            return Ok(());
        };
        let (Ok(done), Some(writer)) = (thread.join(), &mut self.writer) else { return Ok(()) };
        writer.finish_fold(done?)
    }
}

fn start<T: Send + 'static>(
    name: &str,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<JoinHandle<T>, ReplicaError> {
    let thread = std::thread::Builder::new().name(name.into()).spawn(work);
    let failed = |e: std::io::Error| ReplicaError::Unavailable { path: name.into(), reason: e.to_string() };
    thread.map_err(failed)
}
