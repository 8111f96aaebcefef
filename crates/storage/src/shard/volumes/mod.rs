//! Segments of one shard on several volumes.
//!
//! A volume is a folder, as a rule on a file system of its own, with a folder for each shard. The first volume is the
//! shard's own log folder; it always counts. A segment is on one volume, whichever; a new one comes to that with the most
//! room, and so does the log when the one that it is on is nearly full or is being emptied.
//!
//! A full segment can be moved while the shard works (`moving`): for a moment it is on two volumes, and both are good.
//! Whatever ends a move early leaves a copy without a name, or one segment twice; opening removes either. Which folders are
//! volumes of which store is said in files of their own (`mark`).

mod mark;
mod moving;

pub use mark::{Absent, Claimed, VolumeError, check, claim, forget, left};
pub use moving::{Amount, MoveEnd, MoveSegments, MovedSegments, VolumeUse};

use super::disk::{Disk, Folder, SegmentFile, Space};
use super::segments::{file_name, number_of};
use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::sync::Mutex;

/// What a copy is called until it is whole, behind its name.
const UNFINISHED: &str = ".moving";
/// A volume with less room is left for one that has more.
const CROWDED: u64 = 256 << 20;
/// How often a file is looked for that may just be changing its volume.
const LOOKS: usize = 3;
/// No volume.
const NONE: usize = usize::MAX;

/// One volume as a shard has it.
struct Volume {
    /// Its name for the operator: where the folder of the shard is.
    path: PathBuf,
    disk: Arc<dyn Disk>,
}

/// The volumes of one shard: the first is its own folder.
pub struct Volumes {
    all: Vec<Volume>,
    /// The one with the newest segment.
    newest: AtomicUsize,
    /// The one that is being emptied.
    leaving: AtomicUsize,
    /// Held while a segment moves.
    moving: Arc<Mutex<()>>,
}

impl Volumes {
    /// Opens them, made where they are not there, and ends what an interrupted move has left.
    ///
    /// # Errors
    /// Of the system; `InvalidData` where a segment is twice and not the same.
    pub fn new(own: &Path, others: &[PathBuf]) -> io::Result<Self> {
        let paths = std::iter::once(own).chain(others.iter().map(PathBuf::as_path));
        let disks = paths.map(|path| Ok((path.to_path_buf(), Arc::new(Folder::new(path)?) as Arc<dyn Disk>)));
        Self::on(disks.collect::<io::Result<_>>()?)
    }

    /// As [`Volumes::new`], on disks that are there already, with a name for each.
    ///
    /// # Errors
    /// As [`Volumes::new`].
    pub fn on(disks: Vec<(PathBuf, Arc<dyn Disk>)>) -> io::Result<Self> {
        let all: Vec<_> = disks.into_iter().map(|(path, disk)| Volume { path, disk }).collect();
        let found = tidy(&all)?;
        let newest = found.last_key_value().map_or(0, |(_, at)| *at);
        Ok(Self {
            all,
            newest: AtomicUsize::new(newest),
            leaving: AtomicUsize::new(NONE),
            moving: Arc::default(),
        })
    }

    /// The number of the volume on which the shard has this folder.
    fn position(&self, path: &Path) -> Option<usize> {
        self.all.iter().position(|volume| volume.path == path)
    }

    fn newest(&self) -> usize {
        self.newest.load(Ordering::Acquire).min(self.all.len() - 1)
    }

    /// Where a new segment goes.
    fn next(&self) -> io::Result<usize> {
        let spaces: Vec<Space> =
            self.all.iter().map(|volume| volume.disk.space()).collect::<io::Result<_>>()?;
        Ok(roomiest(&spaces, self.leaving.load(Ordering::Acquire)))
    }

    /// Asks each volume in turn until one has the file.
    fn first<T>(&self, ask: impl Fn(&dyn Disk) -> io::Result<T>) -> io::Result<T> {
        for _ in 0..LOOKS {
            for volume in &self.all {
                match ask(&*volume.disk) {
                    Err(e) if e.kind() == io::ErrorKind::NotFound => {}
                    other => return other,
                }
            }
        }
        Err(io::ErrorKind::NotFound.into())
    }
}

/// The volume with the most room; the one that is being emptied only where the others are nearly full.
fn roomiest(spaces: &[Space], leaving: usize) -> usize {
    let numbered = || spaces.iter().enumerate();
    let others = numbered().filter(|(at, space)| *at != leaving && !is_crowded(**space));
    let best = others.max_by_key(|(_, space)| space.free);
    best.or_else(|| numbered().max_by_key(|(_, space)| space.free)).map_or(0, |(at, _)| at)
}

/// Whether the log should go on elsewhere, if there is room.
fn is_crowded(space: Space) -> bool {
    space.free < CROWDED.min(space.total / 8)
}

/// Whether another volume has so much more room that the log does not come back at once.
fn is_worth_it(here: Space, there: Space) -> bool {
    there.free / 4 > here.free
}

/// Removes copies without a name and all but one of those with the same; returns where each segment is.
fn tidy(volumes: &[Volume]) -> io::Result<BTreeMap<u32, usize>> {
    let mut found: BTreeMap<u32, usize> = BTreeMap::new();
    for (at, volume) in volumes.iter().enumerate() {
        for name in volume.disk.names()? {
            if name.strip_suffix(UNFINISHED).and_then(number_of).is_some() {
                volume.disk.remove(&name)?;
            }
            let Some(number) = number_of(&name) else { continue };
            if let Some(before) = found.insert(number, at) {
                keep_one(volume, &volumes[before], &name)?;
            }
        }
        volume.disk.sync_folder()?;
    }
    Ok(found)
}

/// Removes a segment from one of two volumes that have it.
fn keep_one(keeps: &Volume, loses: &Volume, name: &str) -> io::Result<()> {
    if keeps.disk.open(name)?.len()? != loses.disk.open(name)?.len()? {
        let (keeps, loses) = (keeps.path.display(), loses.path.display());
        let text = format!("{name} is in {keeps} and in {loses}, and not the same");
        return Err(io::Error::new(io::ErrorKind::InvalidData, text));
    }
    // Who gave it its name may have ended before that was durable.
    keeps.disk.sync_folder()?;
    loses.disk.remove(name)?;
    loses.disk.sync_folder()
}

impl Disk for Volumes {
    fn create(&self, name: &str) -> io::Result<Arc<dyn SegmentFile>> {
        if self.first(|disk| disk.open(name)).is_ok() {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        let at = self.next()?;
        let file = self.all[at].disk.create(name)?;
        self.newest.store(at, Ordering::Release);
        Ok(file)
    }

    fn open(&self, name: &str) -> io::Result<Arc<dyn SegmentFile>> {
        self.first(|disk| disk.open(name))
    }

    fn names(&self) -> io::Result<Vec<String>> {
        // Twice, because a file may change from one that is still to be read to one that has been.
        let mut names = Vec::new();
        for volume in self.all.iter().chain(&self.all) {
            names.extend(volume.disk.names()?);
        }
        names.retain(|name| !name.ends_with(UNFINISHED));
        names.sort_unstable();
        names.dedup();
        Ok(names)
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        let mut removed = Err(io::ErrorKind::NotFound.into());
        for volume in &self.all {
            match volume.disk.remove(name) {
                Err(e) if e.kind() == io::ErrorKind::NotFound => {}
                other => removed = other,
            }
        }
        removed
    }

    fn sync_folder(&self) -> io::Result<()> {
        self.all.iter().try_for_each(|volume| volume.disk.sync_folder())
    }

    /// Of the volume that is written, or of that with the index where it has less.
    fn space(&self) -> io::Result<Space> {
        let (log, own) = (self.all[self.newest()].disk.space()?, self.all[0].disk.space()?);
        Ok(if log.free < own.free { log } else { own })
    }

    fn wants_new_file(&self) -> bool {
        let newest = self.newest();
        let leaves = newest == self.leaving.load(Ordering::Acquire);
        let Ok(here) = self.all[newest].disk.space() else { return false };
        if !leaves && !is_crowded(here) {
            return false;
        }
        let better = |at: usize| {
            at != newest && (leaves || self.all[at].disk.space().is_ok_and(|there| is_worth_it(here, there)))
        };
        self.next().is_ok_and(better)
    }

    fn volumes(&self) -> Option<&Volumes> {
        Some(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn space(free: u64, total: u64) -> Space {
        Space { free: free << 20, total: total << 20 }
    }

    #[test]
    fn the_log_leaves_a_crowded_volume_for_one_with_much_more_room() {
        assert!(is_crowded(space(255, 10_000)) && !is_crowded(space(257, 10_000)));
        assert!(is_crowded(space(9, 80)) && !is_crowded(space(11, 80)));
        assert!(is_worth_it(space(100, 10_000), space(500, 10_000)));
        assert!(!is_worth_it(space(100, 10_000), space(300, 10_000)));
    }

    #[test]
    fn a_volume_that_is_emptied_gets_new_files_only_where_all_others_are_full() {
        let spaces = [space(900, 10_000), space(700, 10_000), space(800, 10_000)];
        assert_eq!(roomiest(&spaces, NONE), 0);
        assert_eq!(roomiest(&spaces, 0), 2);
        let spaces = [space(900, 10_000), space(70, 10_000), space(80, 10_000)];
        assert_eq!(roomiest(&spaces, 0), 0);
        let spaces = [space(60, 10_000), space(70, 10_000), space(80, 10_000)];
        assert_eq!(roomiest(&spaces, NONE), 2);
    }

    #[test]
    fn a_segment_twice_is_once_again_and_copies_without_a_name_go() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        let others = [at("b"), at("c")];
        Volumes::new(&at("a"), &others).unwrap();
        let (twice, unfinished) = ("0000000003.seg", "0000000004.seg.moving");
        for path in [at("a").join(twice), at("c").join(twice), at("b").join(unfinished)] {
            fs::write(path, "same").unwrap();
        }
        fs::write(at("b/0000000002.seg"), "alone").unwrap();
        let volumes = Volumes::new(&at("a"), &others).unwrap();
        assert_eq!(volumes.names().unwrap(), ["0000000002.seg", twice]);
        assert!(!at("a").join(twice).exists() && at("c").join(twice).exists());
        assert!(!at("b").join(unfinished).exists());
        assert_eq!(volumes.newest(), 2);
        fs::write(at("b").join(twice), "not the same").unwrap();
        assert_eq!(Volumes::new(&at("a"), &others).err().unwrap().kind(), io::ErrorKind::InvalidData);
    }
}
