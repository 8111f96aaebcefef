//! The one process that writes a copy.

use super::build::{Builder, sync_folder};
use super::delta::Appender;
use super::entry::{self, Entry, Key};
use super::manifest::{Manifest, delta_path};
use super::reader::{Reader, State};
use super::{ReplicaError, failed, generation_folder};
use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Changes above the tables from which on they are folded into a table: they are in the memory of every process.
const FOLD_ENTRIES: u64 = 32_768;
/// The same in bytes.
const FOLD_BYTES: u64 = 32 << 20;
/// What the names of folders begin with in which tables are built.
const SCRATCH: &str = "building-";
/// An upper table that has this part of the entries of the one below is folded into it.
const MERGE_PART: u64 = 8;
/// Upper tables smaller than this are left as they are.
const MERGE_LEAST: u64 = 262_144;

/// The right to write to a copy, and its reader.
pub struct Writer {
    folder: PathBuf,
    reader: Reader,
    changes: Appender,
    _lock: File,
}

impl Writer {
    /// Opens the copy in a folder to write to it.
    ///
    /// # Errors
    /// [`ReplicaError::InUse`] where another process has it; as [`Reader::open`].
    pub fn open(folder: &Path) -> Result<Self, ReplicaError> {
        let lock = take_lock(folder)?;
        remove_strangers(folder, &Manifest::read(folder)?);
        let reader = Reader::open(folder)?;
        let changes = Self::appender(folder, &reader)?;
        Ok(Self { folder: folder.to_owned(), reader, changes, _lock: lock })
    }

    /// Puts a table that was built ([`Builder`], in a folder of [`Writer::scratch`]) in force as the whole copy, as the
    /// directory was at `position`. Makes the folder a copy where it is none. Readers change over by themselves.
    ///
    /// # Errors
    /// Where it cannot be put there; what was there before holds on.
    pub fn install(folder: &Path, built: &Path, position: i64) -> Result<Self, ReplicaError> {
        let lock = take_lock(folder)?;
        let before = match Manifest::read(folder) {
            Ok(before) => Some(before),
            Err(ReplicaError::Unavailable { path, reason }) => {
                return Err(ReplicaError::Unavailable { path, reason });
            }
            // What cannot be read any more is replaced: that is what building anew is for.
            Err(_) => None,
        };
        let number = before.as_ref().map_or(0, newest) + 1;
        let place = generation_folder(folder, number);
        let _ = std::fs::remove_dir_all(&place);
        std::fs::rename(built, &place).map_err(failed(&place))?;
        let delta = delta_path(folder, number);
        drop(Appender::open(delta, 0)?);
        sync_folder(folder)?;
        let epoch = before.as_ref().map_or(0, |m| m.epoch) + 1;
        let manifest = Manifest { epoch, tables: vec![number], deltas: vec![number], position };
        manifest.write(folder)?;
        remove_strangers(folder, &manifest);
        let reader = Reader::open(folder)?;
        let changes = Self::appender(folder, &reader)?;
        Ok(Self { folder: folder.to_owned(), reader, changes, _lock: lock })
    }

    /// Removes what a process before this one was building when it ended. Only before this one builds anything.
    pub(super) fn remove_scratch(&self) {
        let Ok(entries) = std::fs::read_dir(&self.folder) else { return };
        let is_scratch = |name: &std::ffi::OsStr| name.to_str().is_some_and(|name| name.starts_with(SCRATCH));
        for entry in entries.flatten().filter(|entry| is_scratch(&entry.file_name())) {
            // What cannot be removed now is the next time.
            let _ = std::fs::remove_dir_all(entry.path());
        }
    }

    /// A folder in which a table may be built: within the copy's, so that it can be renamed; not there yet.
    ///
    /// # Errors
    /// Where the copy's folder cannot be made.
    pub fn scratch(folder: &Path, name: &str) -> Result<PathBuf, ReplicaError> {
        make_folder(folder)?;
        let scratch = folder.join(format!("{SCRATCH}{name}"));
        match std::fs::remove_dir_all(&scratch) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(failed(&scratch)(e)),
            _ => Ok(scratch),
        }
    }

    fn appender(folder: &Path, reader: &Reader) -> Result<Appender, ReplicaError> {
        let state = reader.state();
        let &number =
            state.manifest.deltas.last().ok_or_else(|| {
                ReplicaError::Damaged(format!("{} has no file of changes", folder.display()))
            })?;
        Appender::open(delta_path(folder, number), reader.taken())
    }

    /// The reader of this process.
    pub fn reader(&self) -> &Reader {
        &self.reader
    }

    /// Appends what has changed up to `position`. Readers of this process see it when this returns. A frame may have no
    /// entries: then only the position moves.
    ///
    /// # Errors
    /// Where it cannot be written: nothing has changed.
    pub fn append(&mut self, position: i64, changes: &[(Key, Entry)]) -> Result<(), ReplicaError> {
        let entries: Vec<_> = changes.iter().map(|(key, entry)| entry::encode(key, entry)).collect();
        self.changes.append(position, &entries)?;
        self.reader.follow().map(|_| ())
    }

    /// What is to be folded, where the changes are so many that it is worth it. While [`Fold::run`] works, changes may go
    /// on; [`Writer::finish_fold`] puts its table in force.
    ///
    /// # Errors
    /// Where the next file of changes cannot be made.
    pub fn begin_fold(&mut self, seed: (u64, u64)) -> Result<Option<Fold>, ReplicaError> {
        let size = self.reader.size();
        if size.above < FOLD_ENTRIES && self.changes.len() < FOLD_BYTES {
            return Ok(None);
        }
        self.fold(seed).map(Some)
    }

    /// As [`Writer::begin_fold`], however few changes there are.
    ///
    /// # Errors
    /// As [`Writer::begin_fold`].
    pub fn fold(&mut self, seed: (u64, u64)) -> Result<Fold, ReplicaError> {
        let state = self.reader.state();
        let position = self.reader.position();
        let number = newest(&state.manifest) + 1;
        let appender = Appender::open(delta_path(&self.folder, number), 0)?;
        let mut manifest = state.manifest.clone();
        manifest.deltas.push(number);
        manifest.write(&self.folder)?;
        self.changes = appender;
        self.reader.follow()?;
        let scratch = Self::scratch(&self.folder, "fold")?;
        let depth = depth(&state);
        Ok(Fold { state, depth, position, scratch, seed, number })
    }

    /// Puts the table of a fold in force.
    ///
    /// # Errors
    /// Where it cannot be put there: the tables of before hold on.
    pub fn finish_fold(&mut self, done: Folded) -> Result<(), ReplicaError> {
        let place = generation_folder(&self.folder, done.number);
        std::fs::rename(&done.built, &place).map_err(failed(&place))?;
        sync_folder(&self.folder)?;
        let now = self.reader.state().manifest.clone();
        let tables = std::iter::once(done.number).chain(now.tables.iter().skip(done.tables).copied());
        let manifest = Manifest {
            epoch: now.epoch,
            tables: tables.collect(),
            deltas: now.deltas.iter().copied().filter(|&n| n >= done.number).collect(),
            position: done.position,
        };
        manifest.write(&self.folder)?;
        self.reader.follow()?;
        remove_strangers(&self.folder, &manifest);
        Ok(())
    }
}

/// A fold that is to be done: changes and upper tables into one. Runs on any thread.
pub struct Fold {
    state: std::sync::Arc<State>,
    /// How many tables go into it.
    depth: usize,
    position: i64,
    scratch: PathBuf,
    seed: (u64, u64),
    number: u64,
}

/// A fold that was done.
pub struct Folded {
    built: PathBuf,
    tables: usize,
    position: i64,
    number: u64,
}

impl Fold {
    /// Builds the table. Blocks as long as that takes: about a second for a million accounts.
    ///
    /// # Errors
    /// Where it cannot be written, or an entry is damaged.
    pub fn run(self) -> Result<Folded, ReplicaError> {
        let whole = self.depth == self.state.tables.len();
        let files = self.state.tables.last().map_or(1, |t| t.files());
        let mut builder = Builder::new(&self.scratch, if whole { files } else { 1 }, self.seed)?;
        let state = &self.state;
        state.each_to(self.depth, |key, raw, depth| {
            let (_, entry) = entry::decode(raw)
                .ok_or_else(|| ReplicaError::Damaged(format!("the entry of {key:?} is of no format")))?;
            // A name that its account says itself needs no entry of its own.
            let needless = match &entry {
                Entry::Gone => whole,
                Entry::Name(id) => state.says(*id, &key, self.depth)?,
                _ => false,
            };
            if needless {
                return Ok(());
            }
            let mut keys = entry::keys_of(&key, &entry);
            if let Entry::Account(record) = &entry {
                let mut names = keys.split_off(1);
                names.retain(
                    |name| !matches!(state.renamed(name, depth), Ok(Some(who)) if who != Some(record.row.id)),
                );
                keys.append(&mut names);
            }
            builder.add_bytes(raw, &keys)
        })?;
        let built = builder.finish()?;
        Ok(Folded { built, tables: self.depth, position: self.position, number: self.number })
    }
}

/// How many tables a fold takes in: the upper ones, and the lowest too where what is above it has grown large.
fn depth(state: &State) -> usize {
    let count = state.tables.len();
    let entries = |table: &std::sync::Arc<super::table::Table>| table.entries();
    let above: u64 =
        state.tables.iter().take(count - 1).map(entries).sum::<u64>() + state.overlay().len() as u64;
    let lowest = state.tables.last().map_or(0, entries);
    if above >= (lowest / MERGE_PART).max(MERGE_LEAST) || lowest < MERGE_LEAST { count } else { count - 1 }
}

fn newest(manifest: &Manifest) -> u64 {
    manifest.tables.iter().chain(&manifest.deltas).copied().max().unwrap_or(0)
}

fn make_folder(folder: &Path) -> Result<(), ReplicaError> {
    use std::os::unix::fs::DirBuilderExt as _;
    let made = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder);
    made.map_err(failed(folder))
}

fn take_lock(folder: &Path) -> Result<File, ReplicaError> {
    use std::os::unix::fs::OpenOptionsExt as _;
    make_folder(folder)?;
    let path = folder.join("lock");
    let mut options = std::fs::OpenOptions::new();
    let file = options.write(true).create(true).truncate(false).mode(0o600).open(&path);
    let file = file.map_err(failed(&path))?;
    let mut left = LOCK_TRIES;
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            // A process that somebody is just beginning has the lock of the writer of before until it is another program.
            Err(TryLockError::WouldBlock) if left > 0 => {
                left -= 1;
                std::thread::sleep(LOCK_PAUSE);
            }
            Err(TryLockError::WouldBlock) => return Err(ReplicaError::InUse(folder.display().to_string())),
            Err(TryLockError::Error(error)) => return Err(failed(&path)(error)),
        }
    }
}

/// How often a lock that is held is tried again, and how long after.
const LOCK_TRIES: u32 = 50;
const LOCK_PAUSE: Duration = Duration::from_millis(5);

/// Removes tables and files of changes that the manifest does not name. What cannot be removed now is the next time.
fn remove_strangers(folder: &Path, manifest: &Manifest) {
    let Ok(entries) = std::fs::read_dir(folder) else { return };
    for path in entries.flatten().map(|entry| entry.path()) {
        let Some(name) = path.file_name().and_then(|name| name.to_str()) else { continue };
        let known = |of: &[u64], make: &dyn Fn(u64) -> PathBuf| of.iter().any(|&n| make(n) == path);
        let strange = if name.starts_with("tables-") {
            !known(&manifest.tables, &|n| generation_folder(folder, n))
        } else if name.starts_with("changes-") {
            !known(&manifest.deltas, &|n| delta_path(folder, n))
        } else {
            // What is being built is not in any manifest, and whoever builds it is at work.
            false
        };
        if strange {
            let _ = if path.is_dir() { std::fs::remove_dir_all(&path) } else { std::fs::remove_file(&path) };
        }
    }
}
