//! One partition of the mail: an append-only log that is both write-ahead log and body store, and an ordered index.
//!
//! A shard is a folder: `LOCK`, `FENCE`, `log/NNNNNNNNNN.seg`, `index/`. One process owns it, one thread commits to it.
//! Promises:
//! - [`Shard::commit`] returns `Ok` only when all that the task did is on the disk and visible to readers; all of it
//!   or nothing, in one order for all tasks; one sync for all tasks that waited together.
//! - after any crash, [`Shard::open`] finds everything that was acknowledged, or refuses to open;
//! - what is read is what was written: all bytes are under checksums.
//!
//! It knows nothing of mail: keys, rows and what a task decides are `storage::mailboxes`' and `storage::deferred`'s
//! business.
//!
//! The path goes on in `commit` (groups), `log` and `record` (bytes), `index` and `places` (rows), `recover`, `keeper`,
//! `reclaim` (space) and `collect` (which space, when), `audit` (does it all add up), `backup` (a copy while it works),
//! `copied` and `table` (what can be done with one), `volumes` (where segments are), `fence` (who may write).

mod audit;
mod backup;
mod blob;
mod collect;
mod commit;
mod copied;
mod damage;
mod disk;
mod error;
mod fence;
mod gather;
mod index;
mod keeper;
mod layout;
mod live;
mod log;
mod options;
mod pins;
mod places;
mod read;
mod reclaim;
mod record;
mod recover;
mod rows;
mod segments;
mod table;
#[cfg(test)]
mod tests;
mod transaction;
mod volumes;

pub use audit::{Audit, Orphan, References};
pub use backup::{CopyFolder, RowsTaken, SegmentCopy, ShardCopy};
pub use blob::{Blob, BlobRef, BlobSource, MAX_RANGE};
pub use collect::{Collectable, Collected, Collecting, keep_collected};
pub(crate) use copied::sum_of;
pub use copied::{CopiedShard, Finding, restore};
pub use damage::Damage;
pub use disk::{Disk, Folder, SegmentFile, Space};
pub use error::ShardError;
pub use fence::{Holder, MAX_NAME as MAX_HOLDER_NAME, Title};
pub use options::ShardOptions;
pub use read::View;
pub use reclaim::{CopiedOut, SegmentUse};
pub use record::MAX_META;
pub use rows::{EachRow, KeyRange, MAX_KEY, MAX_VALUE, Row, Rows, Value};
pub use transaction::{AfterCommit, MAX_TASK_BYTES, Transaction};
pub use volumes::{
    Absent, Amount, Claimed, MoveEnd, MoveSegments, MovedSegments, VolumeError, VolumeUse, Volumes,
    check as check_volumes, claim as claim_volume, forget as forget_volume, left as left_volumes,
};

use bytes::Bytes;
use catalog::events::ms;
use commit::{Committer, Message, Task};
use env::Env;
use env::compute::Compute;
use index::{Index, Position};
use keeper::Keeper;
use read::RowsAt;
use rows::Seen;
use rustix::fs::{FlockOperation, flock};
use segments::Segments;
use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard};
use tokio::sync::{Notify, Semaphore, mpsc, oneshot};

/// An open shard. Clones share it; it is closed by [`Shard::close`], or when the last clone is dropped.
#[derive(Clone)]
pub struct Shard {
    shared: Arc<Shared>,
    line: mpsc::Sender<Message>,
    readers: Compute,
    gate: Arc<Semaphore>,
}

impl Shard {
    /// Opens the shard in a folder, or makes one. Blocks while it reads the end of the log, under a second after a
    /// crash under load.
    ///
    /// # Errors
    /// [`ShardError::Locked`] where it is open already, [`ShardError::Fenced`] where it is another's,
    /// [`ShardError::Corrupt`] where acknowledged data is damaged or
    /// missing, [`ShardError::Io`], [`ShardError::Full`].
    pub fn open(path: &Path, options: ShardOptions, env: &Env) -> Result<Self, ShardError> {
        let disk = Folder::new(&path.join("log")).map_err(ShardError::io)?;
        Self::open_on(Arc::new(disk), path, options, env)
    }

    /// Opens a shard whose segments are on the given disk; lock and index are in the folder.
    ///
    /// # Errors
    /// As [`Shard::open`].
    pub fn open_on(
        disk: Arc<dyn Disk>,
        path: &Path,
        options: ShardOptions,
        env: &Env,
    ) -> Result<Self, ShardError> {
        Self::start(Self::recover(disk, path, options, env)?)
    }

    /// Brings log and index together.
    fn recover(
        disk: Arc<dyn Disk>,
        path: &Path,
        options: ShardOptions,
        env: &Env,
    ) -> Result<Committer, ShardError> {
        let lock = lock(path)?;
        if let Some(holder) = &options.holder {
            holder.take(path)?;
        }
        let index_path = path.join("index");
        let index = Index::open(&index_path, &options)?;
        if recover::is_new(&*disk)? && index.position()?.is_none() {
            recover::create_first(&*disk, env.random.number())?;
        }
        let tail = recover::tail(&*disk, &index, None)?;
        tail.secure(&*disk)?;
        tail.replay(&index)?;
        if tail.len() > 0 {
            env.log.emit(&ms::MsShardRecovered { path: path.display(), groups: tail.len() });
        }
        let live = live::load(&index)?;
        let segments = Arc::new(Segments::new(Arc::clone(&disk), tail.current.header.salt));
        let shared = Arc::new(Shared {
            path: path.to_path_buf(),
            options,
            env: env.clone(),
            disk: Arc::clone(&disk),
            segments: Arc::clone(&segments),
            // Not the end of the log: that may be the beginning of a segment that the index has heard nothing of.
            keeping: Mutex::new(Keeping::new(index.position()?.unwrap_or_default())),
            index: RwLock::new(Held::Open(index)),
            counters: Counters::default(),
            reclaimed: Notify::new(),
            enough_died: Notify::new(),
            lock: Mutex::new(Some(lock)),
        });
        shared.check_segments(&live, tail.end.segment)?;
        let live_bytes = live.values().map(|l| l.live).sum();
        shared.counters.live_bytes.store(live_bytes, Ordering::Relaxed);
        let buffer = shared.options.group_bytes;
        let log = log::Log::resume(disk, segments, tail.current, tail.end, buffer);
        let keeper = Keeper::start(&shared).map_err(ShardError::io)?;
        keeper.nudge();
        Ok(Committer::new(shared, log, live, keeper))
    }

    fn start(committer: Committer) -> Result<Self, ShardError> {
        let shared = Arc::clone(&committer.shared);
        let (line, tasks) = mpsc::channel(shared.options.waiting.max(1));
        let thread = std::thread::Builder::new().name("shard-commit".into());
        thread.spawn(move || committer.run(tasks)).map_err(ShardError::io)?;
        let (threads, waiting) = (shared.options.readers.max(1), shared.options.reads_waiting.max(1));
        let readers = Compute::new(threads, threads + waiting);
        Ok(Self { shared, line, readers, gate: Arc::new(Semaphore::new(waiting)) })
    }

    /// Runs the task on the committer's thread and returns what it returned, once its group is durable. Tasks run one
    /// at a time, in the order in which they came; they must not wait for anything. A task that returns an error
    /// leaves nothing. Dropping the future does not take the task back.
    ///
    /// # Errors
    /// What the task returned; else [`ShardError::Full`], [`ShardError::Broken`], [`ShardError::Unavailable`],
    /// [`ShardError::Closed`], [`ShardError::Panicked`].
    pub async fn commit<T, E, F>(&self, task: F) -> Result<T, E>
    where
        F: FnOnce(&mut Transaction<'_>) -> Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: From<ShardError> + Send + 'static,
    {
        let (task, answer) = Task::new(task);
        let sent = self.line.send(Message::Task(Box::new(task))).await;
        sent.map_err(|_| ShardError::Closed)?;
        answer.await.unwrap_or(Err(ShardError::Unavailable.into()))
    }

    /// Runs the closure on a reader's thread with the rows as they are now. Waits where all readers are busy.
    ///
    /// # Errors
    /// What the closure returned; [`ShardError::Closed`]; [`ShardError::Panicked`].
    pub async fn read<T, E, F>(&self, job: F) -> Result<T, E>
    where
        F: FnOnce(&View<'_>) -> Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: From<ShardError> + Send + 'static,
    {
        let _place = self.gate.acquire().await.map_err(|_| ShardError::Closed)?;
        let shared = Arc::clone(&self.shared);
        let run = move || {
            let held = shared.index();
            let seen = Seen::new(&shared.counters.rows_read);
            job(&View { rows: RowsAt::Index(held.get()?.snapshot()), segments: &shared.segments, seen })
        };
        self.readers.run(run).await.unwrap_or(Err(ShardError::Panicked.into()))
    }

    /// The meta of a blob.
    ///
    /// # Errors
    /// [`ShardError::Gone`], [`ShardError::Corrupt`], [`ShardError::Io`].
    pub async fn blob_meta(&self, blob: &BlobRef) -> Result<Bytes, ShardError> {
        let blob = *blob;
        self.job(move |shared| shared.blob(&blob)?.meta()).await
    }

    /// Opens a blob: [`Shard::blob_body`] then reads on even where its segment is removed meanwhile.
    ///
    /// # Errors
    /// [`ShardError::Gone`], [`ShardError::Corrupt`], [`ShardError::Io`].
    pub async fn blob(&self, blob: &BlobRef) -> Result<Blob, ShardError> {
        let blob = *blob;
        self.job(move |shared| shared.blob(&blob)).await
    }

    /// A range of a body, cut at its end and after [`MAX_RANGE`] bytes.
    ///
    /// # Errors
    /// [`ShardError::Corrupt`], [`ShardError::Io`].
    pub async fn blob_body(&self, blob: &Blob, range: Range<u64>) -> Result<Bytes, ShardError> {
        let blob = blob.clone();
        self.job(move |_| blob.body(range)).await
    }

    /// Runs a job on a reader's thread.
    async fn job<T, F>(&self, job: F) -> Result<T, ShardError>
    where
        T: Send + 'static,
        F: FnOnce(&Shared) -> Result<T, ShardError> + Send + 'static,
    {
        let _place = self.gate.acquire().await.map_err(|_| ShardError::Closed)?;
        let shared = Arc::clone(&self.shared);
        self.readers.run(move || job(&shared)).await.unwrap_or(Err(ShardError::Panicked))
    }

    /// Finishes what waits, makes the index durable and lets go of the folder. Later calls get
    /// [`ShardError::Closed`].
    pub async fn close(&self) {
        let (answer, wait) = oneshot::channel();
        if self.line.send(Message::Close(answer)).await.is_ok() {
            let _ = wait.await;
        }
    }

    /// Its folder.
    pub fn path(&self) -> &Path {
        &self.shared.path
    }

    /// Keeps all segments as they are.
    pub fn hold(&self) -> Hold {
        self.shared.keeping().holds += 1;
        Hold(Arc::clone(&self.shared))
    }

    /// Numbers for the operator.
    pub fn status(&self) -> ShardStatus {
        let keeping = self.shared.keeping();
        let counters = &self.shared.counters;
        ShardStatus {
            groups: counters.groups.load(Ordering::Relaxed),
            slow_applies: counters.slow_applies.load(Ordering::Relaxed),
            refused_full: counters.refused_full.load(Ordering::Relaxed),
            rows_read: counters.rows_read.load(Ordering::Relaxed),
            live_bytes: counters.live_bytes.load(Ordering::Relaxed),
            segment: keeping.applied.segment,
            dead_segments: keeping.dead.len(),
        }
    }
}

/// Numbers of a shard since it was opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ShardStatus {
    /// Groups of commits, each with one sync where it changed anything.
    pub groups: u64,
    /// Groups that the index took longer than a second to apply.
    pub slow_applies: u64,
    /// Groups refused for want of space.
    pub refused_full: u64,
    /// Rows that readers and tasks have looked up or walked over: what a request costs, whatever the machine.
    pub rows_read: u64,
    /// Bytes of blobs that are referred to, with what belongs to them in the log.
    pub live_bytes: u64,
    /// The segment that is written.
    pub segment: u32,
    /// Dead segments that wait to be removed.
    pub dead_segments: usize,
}

/// What committer, keeper and readers share.
pub(crate) struct Shared {
    path: PathBuf,
    options: ShardOptions,
    env: Env,
    disk: Arc<dyn Disk>,
    segments: Arc<Segments>,
    index: RwLock<Held>,
    keeping: Mutex<Keeping>,
    counters: Counters,
    /// Rung when a step of reclaiming has ended.
    reclaimed: Notify,
    /// Rung when so much has died that it is worth collecting.
    enough_died: Notify,
    lock: Mutex<Option<File>>,
}

/// The index, where there is one.
enum Held {
    Open(Index),
    /// It failed and could not be opened again yet.
    Away,
    /// The shard was closed.
    Closed,
}

impl Held {
    fn get(&self) -> Result<&Index, ShardError> {
        match self {
            Self::Open(index) => Ok(index),
            Self::Away => Err(ShardError::Unavailable),
            Self::Closed => Err(ShardError::Closed),
        }
    }
}

#[derive(Default)]
struct Counters {
    groups: AtomicU64,
    slow_applies: AtomicU64,
    refused_full: AtomicU64,
    rows_read: AtomicU64,
    live_bytes: AtomicU64,
    /// Since the bell was rung.
    died_bytes: AtomicU64,
}

/// What committer and keeper tell each other.
struct Keeping {
    applied: Position,
    persisted: Position,
    dead: BTreeSet<u32>,
    removed: Vec<u32>,
    /// How many want all segments to stay as they are.
    holds: usize,
    /// How many steps of reclaiming are being taken.
    reclaiming: usize,
}

/// While it is held no segment is removed and no space in one is given back: for who copies them.
pub struct Hold(Arc<Shared>);

impl Hold {
    /// Waits until what had begun before has ended, too.
    pub async fn settled(&self) {
        loop {
            let ended = self.0.reclaimed.notified();
            if self.0.keeping().reclaiming == 0 {
                return;
            }
            ended.await;
        }
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        self.0.keeping().holds -= 1;
    }
}

impl Keeping {
    fn new(applied: Position) -> Self {
        Self {
            applied,
            persisted: Position::default(),
            dead: BTreeSet::new(),
            removed: Vec::new(),
            holds: 0,
            reclaiming: 0,
        }
    }
}

impl Shared {
    fn path(&self) -> std::path::Display<'_> {
        self.path.display()
    }

    fn index(&self) -> RwLockReadGuard<'_, Held> {
        self.index.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Opens the blob of this name.
    fn blob(&self, name: &BlobRef) -> Result<Blob, ShardError> {
        self.segments.blob(self.index().get()?, name)
    }

    fn keeping(&self) -> MutexGuard<'_, Keeping> {
        self.keeping.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// `true` where this is the first in its segment: the one before can be made needless for a recovery.
    fn set_applied(&self, position: Position) -> bool {
        let before = std::mem::replace(&mut self.keeping().applied, position);
        before.segment != position.segment
    }

    /// The index is durable up to here; where it is further already, that stays.
    fn set_persisted(&self, position: Position) {
        let mut keeping = self.keeping();
        if position.group >= keeping.persisted.group {
            keeping.persisted = position;
        }
    }

    fn dead_segment(&self, segment: u32) {
        self.keeping().dead.insert(segment);
    }

    /// Whether a segment has been filled since the index was persisted.
    fn has_rolled(&self) -> bool {
        let keeping = self.keeping();
        keeping.applied.segment > keeping.persisted.segment
    }

    /// The dead segments that no recovery needs any more; none while somebody holds them.
    fn take_dead(&self) -> Vec<u32> {
        let mut keeping = self.keeping();
        if keeping.holds > 0 {
            return Vec::new();
        }
        let later = keeping.persisted.segment;
        let kept = keeping.dead.split_off(&later);
        std::mem::replace(&mut keeping.dead, kept).into_iter().collect()
    }

    fn segment_removed(&self, segment: u32) {
        self.keeping().removed.push(segment);
    }

    fn take_removed(&self) -> Vec<u32> {
        std::mem::take(&mut self.keeping().removed)
    }

    /// Finds dead segments and says which files with living blobs are missing: those messages cannot be read, all
    /// others can. What recovery needs it has found before.
    fn check_segments(&self, live: &BTreeMap<u32, live::Live>, current: u32) -> Result<(), ShardError> {
        let names = self.disk.names().map_err(ShardError::io)?;
        let there: BTreeSet<u32> = names.iter().filter_map(|n| segments::number_of(n)).collect();
        let mut keeping = self.keeping();
        for (&segment, count) in live {
            match (count.live, there.contains(&segment)) {
                (0, true) if segment < current => drop(keeping.dead.insert(segment)),
                (0, false) => keeping.removed.push(segment),
                (bytes, false) => {
                    self.env.log.emit(&ms::MsSegmentMissing { path: self.path(), segment, bytes });
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Closes the index and opens it again.
    fn reopen<T>(&self, catch_up: impl FnOnce(&Index) -> Result<T, ShardError>) -> Result<T, ShardError> {
        let mut held = self.index.write().unwrap_or_else(PoisonError::into_inner);
        *held = Held::Away;
        let index = Index::open(&self.path.join("index"), &self.options)?;
        let done = catch_up(&index)?;
        *held = Held::Open(index);
        Ok(done)
    }

    /// Persists and closes the index and lets go of the folder.
    fn shut(&self) {
        let mut held = self.index.write().unwrap_or_else(PoisonError::into_inner);
        if let Held::Open(index) = std::mem::replace(&mut *held, Held::Closed) {
            // What does not get written out is in the log; the next start takes it from there.
            let _ = index.write_out(keeper::PATIENCE);
        }
        drop(held);
        self.lock.lock().unwrap_or_else(PoisonError::into_inner).take();
    }
}

/// Takes the folder for this process.
fn lock(path: &Path) -> Result<File, ShardError> {
    std::fs::create_dir_all(path).map_err(ShardError::io)?;
    let file = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(path.join("LOCK"))
        .map_err(ShardError::io)?;
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(file),
        Err(rustix::io::Errno::WOULDBLOCK) => Err(ShardError::Locked),
        Err(e) => Err(ShardError::io(e.into())),
    }
}
