//! Disks that remember the order of everything that was done to them.
//!
//! All shards of a store write to one [`Tape`], so that one number, the length of the tape, is a moment of the whole
//! store: a crash at that moment leaves what the disks had done by then. [`Player`] makes such disks from a tape. Faults
//! are put in here too: what fails is on the tape as it happened. What a device does with what was not synced is
//! `storage::sim`'s business.

use crate::image::{self, Image};
use env::random::Random;
use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use storage::shard::{Disk, SegmentFile, Space};
use storage::sim::SimDisk;

/// Something that was done to a disk.
#[derive(Debug, Clone)]
pub(crate) enum Action {
    Create(String),
    Remove(String),
    SyncFolder,
    Write(String, u64, Vec<u8>),
    Truncate(String, u64),
    Punch(String, u64, u64),
    Sync(String),
    /// A sync that failed: what it was to save may be lost.
    SyncFailed(String),
}

impl Action {
    /// Whether it is to make something durable.
    pub(crate) fn is_sync(&self) -> bool {
        matches!(self, Self::Sync(_) | Self::SyncFolder | Self::SyncFailed(_))
    }
}

/// What goes wrong, from a moment on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The next sync fails.
    SyncFails,
    /// The next write fails with an error of the device.
    WriteFails,
    /// Only this many bytes more can be written, until [`Tape::make_room`].
    Full(u64),
}

/// Whether syncs do what they say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Syncs {
    Honest,
    /// They say so and do nothing.
    Lying,
}

#[derive(Default)]
struct Reel {
    actions: Vec<(usize, Action)>,
    /// The index of each shard as it was when the tape had this length.
    images: Vec<(usize, usize, Arc<Image>)>,
    armed: Option<(usize, Fault)>,
    /// Bytes that can still be written.
    room: Option<u64>,
}

/// What was done to the disks of a store, in order. Clones share it.
#[derive(Clone)]
pub(crate) struct Tape {
    reel: Arc<Mutex<Reel>>,
    length: Arc<AtomicUsize>,
    /// One read in this many fails; 0: none does.
    read_errors: Arc<AtomicUsize>,
    chance: Random,
    syncs: Syncs,
}

impl Tape {
    pub(crate) fn new(seed: u64, syncs: Syncs) -> Self {
        Self {
            reel: Arc::default(),
            length: Arc::default(),
            read_errors: Arc::default(),
            chance: Random::seeded(seed),
            syncs,
        }
    }

    /// How much was done by now: a moment.
    pub(crate) fn len(&self) -> usize {
        self.length.load(Ordering::SeqCst)
    }

    /// Lets something go wrong once the tape has this length.
    pub(crate) fn arm(&self, at: usize, fault: Fault) {
        self.reel().armed = Some((at, fault));
    }

    /// Whether the disks are full by now.
    pub(crate) fn is_full(&self) -> bool {
        self.reel().room.is_some()
    }

    /// Ends [`Fault::Full`].
    pub(crate) fn make_room(&self) {
        self.reel().room = None;
    }

    /// Lets one read in `n` fail; 0: none.
    pub(crate) fn fail_reads(&self, n: usize) {
        self.read_errors.store(n, Ordering::SeqCst);
    }

    /// What was done, with the number of the shard.
    pub(crate) fn actions(&self) -> Vec<(usize, Action)> {
        self.reel().actions.clone()
    }

    /// The index of a shard at a moment, where it was looked at.
    pub(crate) fn image(&self, shard: usize, at: usize) -> Option<Arc<Image>> {
        let reel = self.reel();
        let found = reel.images.iter().rev().find(|(when, of, _)| *of == shard && *when <= at);
        found.map(|(_, _, image)| Arc::clone(image))
    }

    /// A disk of a shard that is recorded. With the folder of its index, that is looked at before every action.
    pub(crate) fn record(&self, shard: usize, inner: SimDisk, index: Option<PathBuf>) -> TapedDisk {
        TapedDisk { tape: self.clone(), shard, inner, index: index.map(Arc::new) }
    }

    fn reel(&self) -> MutexGuard<'_, Reel> {
        self.reel.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn check_read(&self) -> io::Result<()> {
        let one_in = self.read_errors.load(Ordering::SeqCst);
        if one_in > 0 && self.chance.below(one_in as u64) == 0 {
            return Err(io::Error::from_raw_os_error(EIO));
        }
        Ok(())
    }
}

impl Reel {
    fn armed(&mut self, is: impl Fn(Fault) -> bool) -> Option<Fault> {
        let (at, fault) = self.armed?;
        if self.actions.len() < at || !is(fault) {
            return None;
        }
        self.armed = None;
        Some(fault)
    }

    /// How much of a write goes to the disk, and what its caller hears.
    fn judge_write(&mut self, len: usize) -> (usize, io::Result<()>) {
        if let Some(Fault::Full(room)) = self.armed(|f| matches!(f, Fault::Full(_))) {
            self.room = Some(room);
        }
        if self.armed(|f| f == Fault::WriteFails).is_some() {
            return (len / 2, Err(io::Error::from_raw_os_error(EIO)));
        }
        let Some(room) = &mut self.room else { return (len, Ok(())) };
        let fits = len.min(usize::try_from(*room).unwrap_or(usize::MAX));
        *room -= fits as u64;
        (fits, if fits < len { Err(io::ErrorKind::StorageFull.into()) } else { Ok(()) })
    }
}

/// A disk of which everything is recorded.
#[derive(Clone)]
pub(crate) struct TapedDisk {
    tape: Tape,
    shard: usize,
    inner: SimDisk,
    index: Option<Arc<PathBuf>>,
}

impl TapedDisk {
    /// Does one thing, while nothing else is done to any disk of the tape.
    fn act<T>(&self, action: impl FnOnce(&mut Reel) -> (Option<Action>, io::Result<T>)) -> io::Result<T> {
        let mut reel = self.tape.reel();
        self.look_at_index(&mut reel);
        let (action, outcome) = action(&mut reel);
        if let Some(action) = action {
            reel.actions.push((self.shard, action));
            self.tape.length.store(reel.actions.len(), Ordering::SeqCst);
        }
        outcome
    }

    fn look_at_index(&self, reel: &mut Reel) {
        let Some(folder) = &self.index else { return };
        let before = reel.images.iter().rev().find(|(_, of, _)| *of == self.shard).map(|(_, _, i)| i);
        if let Some(image) = image::changed(folder, before.map(|i| &**i)) {
            let now = reel.actions.len();
            reel.images.push((now, self.shard, Arc::new(image)));
        }
    }

    fn file(&self, name: &str, inner: Arc<dyn SegmentFile>) -> Arc<dyn SegmentFile> {
        Arc::new(TapedFile { disk: self.clone(), name: name.into(), inner })
    }
}

impl Disk for TapedDisk {
    fn create(&self, name: &str) -> io::Result<Arc<dyn SegmentFile>> {
        self.act(|_| match self.inner.create(name) {
            Ok(file) => (Some(Action::Create(name.into())), Ok(self.file(name, file))),
            Err(error) => (None, Err(error)),
        })
    }

    fn open(&self, name: &str) -> io::Result<Arc<dyn SegmentFile>> {
        self.tape.check_read()?;
        Ok(self.file(name, self.inner.open(name)?))
    }

    fn names(&self) -> io::Result<Vec<String>> {
        self.tape.check_read()?;
        self.inner.names()
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.act(|_| (Some(Action::Remove(name.into())), self.inner.remove(name)))
    }

    fn sync_folder(&self) -> io::Result<()> {
        if self.tape.syncs == Syncs::Lying {
            return Ok(());
        }
        self.act(|_| (Some(Action::SyncFolder), self.inner.sync_folder()))
    }

    fn space(&self) -> io::Result<Space> {
        Ok(Space { free: self.tape.reel().room.unwrap_or(TOTAL), total: TOTAL })
    }
}

struct TapedFile {
    disk: TapedDisk,
    name: String,
    inner: Arc<dyn SegmentFile>,
}

impl SegmentFile for TapedFile {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        self.disk.tape.check_read()?;
        self.inner.read_at(buffer, offset)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.disk.act(|reel| {
            let (len, outcome) = reel.judge_write(bytes.len());
            let written = self.inner.write_at(&bytes[..len], offset);
            let action = Action::Write(self.name.clone(), offset, bytes[..len].to_vec());
            (Some(action), written.and(outcome))
        })
    }

    fn sync_data(&self) -> io::Result<()> {
        if self.disk.tape.syncs == Syncs::Lying {
            return Ok(());
        }
        self.disk.act(|reel| {
            if reel.armed(|f| f == Fault::SyncFails).is_some() {
                self.disk.inner.fail_sync_after(0);
                return (Some(Action::SyncFailed(self.name.clone())), self.inner.sync_data());
            }
            (Some(Action::Sync(self.name.clone())), self.inner.sync_data())
        })
    }

    fn truncate(&self, len: u64) -> io::Result<()> {
        self.disk.act(|_| (Some(Action::Truncate(self.name.clone(), len)), self.inner.truncate(len)))
    }

    fn len(&self) -> io::Result<u64> {
        self.inner.len()
    }

    fn punch(&self, offset: u64, len: u64) -> io::Result<()> {
        self.disk
            .act(|_| (Some(Action::Punch(self.name.clone(), offset, len)), self.inner.punch(offset, len)))
    }

    fn allocated(&self) -> io::Result<u64> {
        self.inner.allocated()
    }
}

/// Plays a tape to a moment.
pub(crate) struct Player {
    disks: Vec<SimDisk>,
    at: usize,
}

impl Player {
    /// Begins with copies of these disks, one a shard.
    pub(crate) fn new(disks: &[SimDisk]) -> Self {
        Self { disks: disks.iter().map(SimDisk::after_kill).collect(), at: 0 }
    }

    /// Goes on to where this much was done; never back.
    pub(crate) fn advance(&mut self, actions: &[(usize, Action)], to: usize) -> io::Result<()> {
        for (shard, action) in actions.get(self.at..to).unwrap_or_default() {
            play(&self.disks[*shard], action)?;
        }
        self.at = self.at.max(to);
        Ok(())
    }

    /// The disks as they are at this moment.
    pub(crate) fn disks(&self) -> &[SimDisk] {
        &self.disks
    }
}

fn play(disk: &SimDisk, action: &Action) -> io::Result<()> {
    match action {
        Action::Create(name) => disk.create(name).map(drop),
        Action::Remove(name) => disk.remove(name),
        Action::SyncFolder => disk.sync_folder(),
        Action::Write(name, offset, bytes) => disk.open(name)?.write_at(bytes, *offset),
        Action::Truncate(name, len) => disk.open(name)?.truncate(*len),
        Action::Punch(name, offset, len) => disk.open(name)?.punch(*offset, *len),
        Action::Sync(name) => disk.open(name)?.sync_data(),
        Action::SyncFailed(name) => {
            disk.fail_sync_after(0);
            // It fails, as it did.
            let _ = disk.open(name)?.sync_data();
            Ok(())
        }
    }
}

/// The size of a disk in bytes, as it says.
const TOTAL: u64 = 1 << 40;
/// The error number of a device that fails, on Linux.
const EIO: i32 = 5;
