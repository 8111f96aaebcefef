//! Moving full segments between the volumes of a shard, while it works.
//!
//! Promises: a copy is durable with its name, and was read back, before the original goes; a move that is ended anywhere,
//! also by a loss of power, loses nothing and leaves nothing that opening the shard does not put right. Who has the
//! original open reads on; who opens it meanwhile gets either. One segment of a shard moves at a time, and while it does no
//! space in any of them is given back.

use super::super::backup::{STEP, write_sparse};
use super::super::disk::SegmentFile;
use super::super::{Shard, ShardError, Shared, Transaction, View, keeper, live};
use super::{Disk, NONE, Path, PathBuf, Space, UNFINISHED, Volumes, file_name, io, is_crowded, number_of};
use crate::backup::{BackupError, Steps, Work};
use crate::pace::Pace;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// What a volume holds of a shard.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VolumeUse {
    /// The shard's folder on it.
    pub path: PathBuf,
    /// Segments.
    pub segments: u64,
    /// Bytes of disk that they take.
    pub bytes: u64,
    /// Of those, in segments that are not written any more.
    pub full: u64,
    /// Room on its file system.
    pub space: Space,
}

/// Which segments are to be moved.
#[derive(Debug, Clone)]
pub struct MoveSegments {
    /// From the shard's folder on this volume.
    pub from: PathBuf,
    /// To its folder on this one.
    pub to: PathBuf,
    /// How many.
    pub amount: Amount,
}

/// How much of a volume is to be moved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Amount {
    /// After so many bytes of disk no further segment is begun.
    Bytes(u64),
    /// Everything: also the segment that is written, which ends by it. No new one comes to the volume until the shard is
    /// opened again.
    All,
}

impl Amount {
    fn bytes(self) -> u64 {
        match self {
            Self::Bytes(bytes) => bytes,
            Self::All => u64::MAX,
        }
    }
}

/// What a move has done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct MovedSegments {
    /// Segments.
    pub segments: u64,
    /// Bytes of disk that they take.
    pub bytes: u64,
    /// Segments that could not be read where they are, and are there still.
    pub unreadable: u64,
    /// Why there were no more.
    pub end: MoveEnd,
}

/// How a move has come to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum MoveEnd {
    /// All is done that was wanted.
    #[default]
    Done,
    /// Its pace was ended.
    Stopped,
    /// The volume would be nearly full.
    NoRoom,
}

impl Shard {
    /// What each volume holds; nothing where the shard knows no volumes.
    ///
    /// # Errors
    /// [`ShardError::Io`], [`ShardError::Closed`].
    pub async fn volume_uses(&self) -> Result<Vec<VolumeUse>, ShardError> {
        let written = self.shared.keeping().applied.segment;
        self.job(move |shared| {
            let volumes = shared.disk.volumes().map_or(&[][..], |volumes| &volumes.all);
            volumes.iter().map(|one| volume_use(&one.path, &*one.disk, written)).collect()
        })
        .await
    }

    /// What [`Shard::move_segments`] would move, oldest first: numbers and bytes of disk.
    ///
    /// # Errors
    /// [`ShardError::Gone`] where one of the folders is none of its volumes, or both are the same; [`ShardError::Io`].
    pub async fn movable(&self, which: &MoveSegments) -> Result<Vec<(u32, u64)>, ShardError> {
        let written = self.shared.keeping().applied.segment;
        let before = if which.amount == Amount::All { written.saturating_add(1) } else { written };
        self.movable_before(before, which).await
    }

    async fn movable_before(&self, before: u32, which: &MoveSegments) -> Result<Vec<(u32, u64)>, ShardError> {
        let (from, _) = way(&self.shared, which)?;
        let most = which.amount.bytes();
        self.read(move |view| movable(view, &*from.disk, before, most)).await
    }

    /// Moves full segments from one volume to another, at this pace, oldest first, and tells how many bytes are done after
    /// each.
    ///
    /// # Errors
    /// As [`Shard::movable`]; [`BackupError::File`] or [`BackupError::Damaged`] where a copy cannot be made: the original
    /// stays where it was.
    pub async fn move_segments(
        &self,
        which: &MoveSegments,
        pace: &Pace,
        progress: &(dyn Fn(u64) + Sync),
    ) -> Result<MovedSegments, BackupError> {
        let (from, to) = way(&self.shared, which)?;
        if which.amount == Amount::Bytes(0) {
            return Ok(MovedSegments::default());
        }
        let leaving = Leaving::begin(&self.shared, from.number, which.amount);
        if which.amount == Amount::All {
            self.write_elsewhere(from.number).await?;
        }
        let mut done = MovedSegments::default();
        let written = self.shared.keeping().applied.segment;
        for (number, bytes) in self.movable_before(written, which).await? {
            let space = to.disk.space().map_err(BackupError::file(&to.path))?;
            if is_crowded(Space { free: space.free.saturating_sub(bytes), ..space }) {
                done.end = MoveEnd::NoRoom;
                return Ok(done);
            }
            match self.move_one(Mover::new(number, &from, &to), pace).await {
                Ok(Copied::Whole) => {
                    done.segments += 1;
                    done.bytes += bytes;
                    progress(done.bytes);
                }
                Ok(Copied::Gone) => {}
                Ok(Copied::Unreadable) => done.unreadable += 1,
                Err(BackupError::Ended) => {
                    done.end = MoveEnd::Stopped;
                    return Ok(done);
                }
                Err(other) => return Err(other),
            }
        }
        leaving.stays();
        self.remove_dead(pace).await?;
        Ok(done)
    }

    /// Lets the log go on in a segment on another volume.
    async fn write_elsewhere(&self, from: usize) -> Result<(), ShardError> {
        let is_there = || self.shared.disk.volumes().is_some_and(|volumes| volumes.newest() == from);
        // A segment without any group is not left: the first commit gives it one, the second leaves it.
        for _ in 0..2 {
            if !is_there() {
                break;
            }
            let count = |tx: &mut Transaction<'_>| {
                tx.count_segment();
                Ok::<_, ShardError>(())
            };
            self.commit(count).await?;
        }
        Ok(())
    }

    async fn move_one(&self, mover: Mover, pace: &Pace) -> Result<Copied, BackupError> {
        let Some(volumes) = self.shared.disk.volumes() else { return Ok(Copied::Gone) };
        let alone = Arc::clone(&volumes.moving).lock_owned().await;
        let hold = self.hold();
        hold.settled().await;
        let shared = Arc::clone(&self.shared);
        let job = move |steps: &Steps| {
            // Kept also where nobody waits for it any more.
            let _kept = (alone, hold);
            mover.run(&shared, steps)
        };
        Work::new(pace.clone()).run(job).await
    }

    /// What has died while segments were held goes now.
    async fn remove_dead(&self, pace: &Pace) -> Result<(), BackupError> {
        let shared = Arc::clone(&self.shared);
        let job = move |_: &Steps| {
            keeper::tend(&shared);
            Ok(())
        };
        Work::new(pace.clone()).run(job).await
    }
}

/// While a volume is being emptied, and after it: no new segment comes to it.
struct Leaving<'a>(Option<&'a Volumes>);

impl<'a> Leaving<'a> {
    fn begin(shared: &'a Shared, from: usize, amount: Amount) -> Self {
        let volumes = shared.disk.volumes().filter(|_| amount == Amount::All);
        if let Some(volumes) = volumes {
            volumes.leaving.store(from, Ordering::Release);
        }
        Self(volumes)
    }

    /// It has been emptied.
    fn stays(mut self) {
        self.0 = None;
    }
}

impl Drop for Leaving<'_> {
    fn drop(&mut self) {
        if let Some(volumes) = self.0 {
            volumes.leaving.store(NONE, Ordering::Release);
        }
    }
}

/// One end of a move.
#[derive(Clone)]
struct Place {
    number: usize,
    path: PathBuf,
    disk: Arc<dyn Disk>,
}

/// From where to where.
fn way(shared: &Shared, which: &MoveSegments) -> Result<(Place, Place), ShardError> {
    let volumes = shared.disk.volumes().ok_or(ShardError::Gone)?;
    let place = |path: &Path| {
        let number = volumes.position(path).ok_or(ShardError::Gone)?;
        let disk = Arc::clone(&volumes.all[number].disk);
        Ok::<_, ShardError>(Place { number, path: path.to_path_buf(), disk })
    };
    let (from, to) = (place(&which.from)?, place(&which.to)?);
    if from.number == to.number { Err(ShardError::Gone) } else { Ok((from, to)) }
}

fn volume_use(path: &Path, disk: &dyn Disk, written: u32) -> Result<VolumeUse, ShardError> {
    let space = disk.space().map_err(ShardError::io)?;
    let mut found = VolumeUse { path: path.to_path_buf(), segments: 0, bytes: 0, full: 0, space };
    for name in disk.names().map_err(ShardError::io)? {
        let Some(number) = number_of(&name) else { continue };
        let Some(bytes) = allocated(disk, &name) else { continue };
        found.segments += 1;
        found.bytes += bytes;
        found.full += if number < written { bytes } else { 0 };
    }
    Ok(found)
}

/// Bytes of disk that a file takes, as far as that can be found out; `None` where it is not there.
fn allocated(disk: &dyn Disk, name: &str) -> Option<u64> {
    match disk.open(name).and_then(|file| file.allocated()) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => None,
        other => Some(other.unwrap_or(0)),
    }
}

fn movable(view: &View<'_>, from: &dyn Disk, before: u32, most: u64) -> Result<Vec<(u32, u64)>, ShardError> {
    let (mut wanted, mut sum) = (Vec::new(), 0);
    for (number, count) in live::load(view)?.range(..before) {
        if sum >= most {
            break;
        }
        // One that has died goes by itself.
        if count.live > 0
            && let Some(bytes) = allocated(from, &file_name(*number))
        {
            sum += bytes;
            wanted.push((*number, bytes));
        }
    }
    Ok(wanted)
}

/// What became of the attempt to move a segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Copied {
    /// It has moved.
    Whole,
    /// It has died, or is elsewhere already.
    Gone,
    /// It cannot be read and stays.
    Unreadable,
}

/// One segment on its way.
struct Mover {
    number: u32,
    from: Place,
    to: Place,
}

impl Mover {
    fn new(number: u32, from: &Place, to: &Place) -> Self {
        Self { number, from: from.clone(), to: to.clone() }
    }

    fn name(&self) -> String {
        file_name(self.number)
    }

    fn run(&self, shared: &Shared, steps: &Steps) -> Result<Copied, BackupError> {
        // What has died before it was held may be about to be removed.
        let row = shared.index().get()?.get(&live::key(self.number))?;
        if row.and_then(|row| live::Live::decode(&row)).unwrap_or_default().live == 0 {
            return Ok(Copied::Gone);
        }
        let copy = self.name() + UNFINISHED;
        let copied = self.copy(&copy, steps);
        if !matches!(copied, Ok(Copied::Whole)) {
            // What does not go now goes when the volumes are opened.
            let _ = self.to.disk.remove(&copy);
            return copied;
        }
        let failed = BackupError::file;
        self.to.disk.rename(&copy, &self.name()).map_err(failed(&self.to.path))?;
        self.to.disk.sync_folder().map_err(failed(&self.to.path))?;
        self.from.disk.remove(&self.name()).map_err(failed(&self.from.path))?;
        shared.segments.forget(self.number);
        self.from.disk.sync_folder().map_err(failed(&self.from.path))?;
        Ok(Copied::Whole)
    }

    /// Makes a copy without its name, durable and read back.
    fn copy(&self, copy: &str, steps: &Steps) -> Result<Copied, BackupError> {
        let opened = self.from.disk.open(&self.name()).and_then(|from| Ok((from.len()?, from)));
        let (len, from) = match opened {
            Ok(opened) => opened,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Copied::Gone),
            Err(_) => return Ok(Copied::Unreadable),
        };
        let failed = |error| BackupError::file(&self.to.path.join(copy))(error);
        match self.to.disk.remove(copy) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(failed(e)),
            _ => {}
        }
        let to = self.to.disk.create(copy).map_err(failed)?;
        let (mut at, mut sum, mut buffer) = (0, 0, vec![0; STEP]);
        while at < len {
            let part = &mut buffer[..(len - at).min(STEP as u64) as usize];
            if from.read_at(part, at).is_err() {
                return Ok(Copied::Unreadable);
            }
            sum = crc32c::crc32c_append(sum, part);
            write_sparse(&*to, part, at).map_err(failed)?;
            at += part.len() as u64;
            steps.step(part.len() as u64)?;
        }
        to.truncate(len).and_then(|()| to.sync_data()).map_err(failed)?;
        if sum_of(&*to, len, steps, failed)? != sum {
            let what = "what was written is not what is read".to_owned();
            return Err(BackupError::Damaged { path: self.to.path.join(copy), what });
        }
        Ok(Copied::Whole)
    }
}

/// The sum of a file of this length.
fn sum_of(
    file: &dyn SegmentFile,
    len: u64,
    steps: &Steps,
    failed: impl Fn(io::Error) -> BackupError,
) -> Result<u32, BackupError> {
    let (mut at, mut sum, mut buffer) = (0, 0, vec![0; STEP]);
    while at < len {
        let part = &mut buffer[..(len - at).min(STEP as u64) as usize];
        file.read_at(part, at).map_err(&failed)?;
        sum = crc32c::crc32c_append(sum, part);
        at += part.len() as u64;
        steps.step(part.len() as u64)?;
    }
    Ok(sum)
}
