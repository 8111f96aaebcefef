//! Doubles for devices, from one seed.
//!
//! [`SimDisk`] keeps files in memory and knows what of them is durable: a crash loses, keeps or tears whatever was
//! not synced. It can be full, it can stop for good ([`Fuse`]), and its syncs can fail, after which it behaves as systems
//! do: the bytes are there for who reads them now, and gone after the next crash. For tests of this crate and of whoever
//! stands on it.

use crate::shard::{Disk, SegmentFile, Space};
use env::random::Random;
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Bytes that a device writes all or not at all.
const SECTOR: usize = 512;
/// Bytes that a file system gives out or takes back at once.
const PAGE: usize = 4096;

/// A disk in memory. Clones share it.
#[derive(Clone, Default)]
pub struct SimDisk(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    files: BTreeMap<String, Content>,
    /// Names that survive a crash.
    durable_names: BTreeMap<String, Content>,
    capacity: Option<u64>,
    /// Syncs until one fails; `None`: none does.
    sync_fails_in: Option<u64>,
    write_fails_in: Option<u64>,
    fuse: Fuse,
}

/// Stops devices after so many changes, all that have it at the same moment: everything after that fails. Clones share
/// it.
#[derive(Clone, Default)]
pub struct Fuse(Arc<Mutex<Left>>);

/// How many changes a fuse still lets pass.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Left {
    #[default]
    All,
    Some(u64),
    Blown,
}

impl Fuse {
    /// The change after this many is the first that fails.
    pub fn set(&self, changes: u64) {
        *self.lock() = Left::Some(changes);
    }

    /// Whether something has failed by it.
    pub fn has_blown(&self) -> bool {
        *self.lock() == Left::Blown
    }

    fn change(&self) -> io::Result<()> {
        let mut left = self.lock();
        *left = match *left {
            Left::All => Left::All,
            Left::Some(0) | Left::Blown => Left::Blown,
            Left::Some(n) => Left::Some(n - 1),
        };
        match *left {
            Left::Blown => Err(io::Error::other("a device that has stopped on purpose")),
            Left::All | Left::Some(_) => Ok(()),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Left> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

type Content = Arc<Mutex<Bytes>>;

#[derive(Default, Clone)]
struct Bytes {
    /// What a reader sees.
    now: Vec<u8>,
    /// What a crash leaves for certain.
    durable: Vec<u8>,
    /// What a crash may or may not have taken to the device.
    pending: Vec<Pending>,
    /// Pages without space.
    holes: BTreeSet<usize>,
}

#[derive(Clone)]
enum Pending {
    Write(usize, Vec<u8>),
    Truncate(usize),
    Punch(usize, usize),
}

impl SimDisk {
    /// An empty disk without end.
    pub fn new() -> Self {
        Self::default()
    }

    /// Limits all files together; `None`: no limit.
    pub fn set_capacity(&self, bytes: Option<u64>) {
        self.state().capacity = bytes;
    }

    /// Lets the sync after this many fail, once.
    pub fn fail_sync_after(&self, syncs: u64) {
        self.state().sync_fails_in = Some(syncs);
    }

    /// Lets the write after this many fail with an error of the device, once.
    pub fn fail_write_after(&self, writes: u64) {
        self.state().write_fails_in = Some(writes);
    }

    /// Lets all changes fail from the moment at which the fuse blows.
    pub fn set_fuse(&self, fuse: &Fuse) {
        self.state().fuse = fuse.clone();
    }

    /// Bytes that all files take.
    pub fn used(&self) -> u64 {
        self.state().files.values().map(|f| lock(f).allocated() as u64).sum()
    }

    /// What a reader sees of a file.
    pub fn content(&self, name: &str) -> Option<Vec<u8>> {
        Some(lock(self.state().files.get(name)?).now.clone())
    }

    /// Replaces a file, durably: for damage on purpose.
    pub fn set_content(&self, name: &str, content: Vec<u8>) {
        let file = Bytes { now: content.clone(), durable: content, ..Bytes::default() };
        let file = Arc::new(Mutex::new(file));
        let mut state = self.state();
        state.files.insert(name.into(), Arc::clone(&file));
        state.durable_names.insert(name.into(), file);
    }

    /// The disk as it is found after a loss of power at this moment. Of what was not synced, each sector is there or
    /// not by chance, and so is each name.
    #[must_use]
    pub fn after_power_loss(&self, chance: &Random) -> Self {
        let state = self.state();
        let after = Self::new();
        let mut names: BTreeMap<&String, &Content> = state.durable_names.iter().collect();
        for (name, file) in &state.files {
            if chance.below(2) == 0 {
                names.insert(name, file);
            }
        }
        names.retain(|name, _| state.files.contains_key(*name) || chance.below(2) == 0);
        for (name, file) in names {
            after.set_content(name, lock(file).after_power_loss(chance));
        }
        after
    }

    /// The disk as the next process finds it after this one was killed: nothing is lost.
    #[must_use]
    pub fn after_kill(&self) -> Self {
        let after = Self::new();
        let state = self.state();
        let copy = |files: &BTreeMap<String, Content>| {
            files.iter().map(|(n, f)| (n.clone(), Arc::new(Mutex::new(lock(f).clone())))).collect()
        };
        let files: BTreeMap<String, Content> = copy(&state.files);
        let durable = state.durable_names.keys();
        let durable_names =
            durable.filter_map(|n| files.get(n).map(|f| (n.clone(), Arc::clone(f)))).collect();
        *after.state() = State { files, durable_names, capacity: state.capacity, ..State::default() };
        after
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Bytes {
    fn allocated(&self) -> usize {
        self.now.len().saturating_sub(self.holes.len() * PAGE)
    }

    fn after_power_loss(&self, chance: &Random) -> Vec<u8> {
        let mut out = self.durable.clone();
        for pending in &self.pending {
            match pending {
                Pending::Truncate(len) => {
                    if chance.below(2) == 0 {
                        out.resize(*len, 0);
                    }
                }
                Pending::Punch(from, to) => {
                    if chance.below(2) == 0 {
                        erase(&mut out, *from..*to);
                    }
                }
                Pending::Write(offset, bytes) => write_some(&mut out, *offset, bytes, chance),
            }
        }
        out
    }
}

/// Makes zero of a range.
fn erase(out: &mut [u8], range: Range<usize>) {
    let end = range.end.min(out.len());
    if let Some(part) = out.get_mut(range.start..end) {
        part.fill(0);
    }
}

/// Writes each sector of a write, or does not.
fn write_some(out: &mut Vec<u8>, offset: usize, bytes: &[u8], chance: &Random) {
    // Half of all crashes lose or keep a write as a whole; the others tear it.
    let all = [Some(true), Some(false), None, None][chance.below(4) as usize];
    let mut at = 0;
    while at < bytes.len() {
        let end = bytes.len().min((offset + at) / SECTOR * SECTOR + SECTOR - offset);
        if all.unwrap_or_else(|| chance.below(2) == 0) {
            put(out, offset + at, &bytes[at..end]);
        }
        at = end;
    }
}

fn put(out: &mut Vec<u8>, offset: usize, bytes: &[u8]) {
    if out.len() < offset + bytes.len() {
        out.resize(offset + bytes.len(), 0);
    }
    out[offset..offset + bytes.len()].copy_from_slice(bytes);
}

fn lock(content: &Content) -> MutexGuard<'_, Bytes> {
    content.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Counts down to a failure; `true` when it is due.
fn due(countdown: &mut Option<u64>) -> bool {
    match countdown {
        Some(0) => {
            *countdown = None;
            true
        }
        Some(n) => {
            *n -= 1;
            false
        }
        None => false,
    }
}

struct SimFile {
    disk: SimDisk,
    content: Content,
}

impl Disk for SimDisk {
    fn create(&self, name: &str) -> io::Result<Arc<dyn SegmentFile>> {
        let mut state = self.state();
        state.fuse.change()?;
        if state.files.contains_key(name) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        let content = Content::default();
        state.files.insert(name.into(), Arc::clone(&content));
        Ok(Arc::new(SimFile { disk: self.clone(), content }))
    }

    fn open(&self, name: &str) -> io::Result<Arc<dyn SegmentFile>> {
        let content = self.state().files.get(name).cloned().ok_or(io::ErrorKind::NotFound)?;
        Ok(Arc::new(SimFile { disk: self.clone(), content }))
    }

    fn names(&self) -> io::Result<Vec<String>> {
        Ok(self.state().files.keys().cloned().collect())
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        let mut state = self.state();
        state.fuse.change()?;
        state.files.remove(name).map(|_| ()).ok_or(io::ErrorKind::NotFound.into())
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let mut state = self.state();
        state.fuse.change()?;
        let file = state.files.remove(from).ok_or(io::ErrorKind::NotFound)?;
        state.files.insert(to.into(), file);
        Ok(())
    }

    fn sync_folder(&self) -> io::Result<()> {
        let mut state = self.state();
        state.fuse.change()?;
        state.durable_names = state.files.clone();
        Ok(())
    }

    fn space(&self) -> io::Result<Space> {
        let total = self.state().capacity.unwrap_or(u64::MAX);
        Ok(Space { free: total.saturating_sub(self.used()), total })
    }
}

impl SegmentFile for SimFile {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        let content = lock(&self.content);
        let from = content.now.get(offset as usize..).and_then(|rest| rest.get(..buffer.len()));
        buffer.copy_from_slice(from.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        let used = self.disk.used();
        let mut state = self.disk.state();
        state.fuse.change()?;
        if due(&mut state.write_fails_in) {
            return Err(io::Error::other("a device that fails on purpose"));
        }
        let mut content = lock(&self.content);
        let grows = (offset as usize + bytes.len()).saturating_sub(content.now.len()) as u64;
        let missing = state.capacity.map_or(0, |c| (used + grows).saturating_sub(c)) as usize;
        // A full disk takes what still fits.
        let fits = &bytes[..bytes.len().saturating_sub(missing)];
        put(&mut content.now, offset as usize, fits);
        let pages = offset as usize / PAGE..=(offset as usize + fits.len()) / PAGE;
        content.holes.retain(|page| !pages.contains(page));
        content.pending.push(Pending::Write(offset as usize, fits.to_vec()));
        if missing > 0 { Err(io::ErrorKind::StorageFull.into()) } else { Ok(()) }
    }

    fn sync_data(&self) -> io::Result<()> {
        let fails = {
            let mut state = self.disk.state();
            state.fuse.change()?;
            due(&mut state.sync_fails_in)
        };
        let mut content = lock(&self.content);
        // After a failure the system takes the pages for written all the same.
        content.pending.clear();
        if fails {
            return Err(io::Error::other("a sync that fails on purpose"));
        }
        content.durable = content.now.clone();
        Ok(())
    }

    fn truncate(&self, len: u64) -> io::Result<()> {
        self.disk.state().fuse.change()?;
        let mut content = lock(&self.content);
        content.now.resize(len as usize, 0);
        content.pending.push(Pending::Truncate(len as usize));
        Ok(())
    }

    fn len(&self) -> io::Result<u64> {
        Ok(lock(&self.content).now.len() as u64)
    }

    fn punch(&self, offset: u64, len: u64) -> io::Result<()> {
        self.disk.state().fuse.change()?;
        let mut content = lock(&self.content);
        let (from, to) = (offset as usize, (offset + len) as usize);
        erase(&mut content.now, from..to);
        content.pending.push(Pending::Punch(from, to));
        content.holes.extend(from.div_ceil(PAGE)..to / PAGE);
        Ok(())
    }

    fn allocated(&self) -> io::Result<u64> {
        Ok(lock(&self.content).allocated() as u64)
    }
}
