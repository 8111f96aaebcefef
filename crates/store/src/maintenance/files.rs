//! Moving message files between volumes: what `immovmsgfiles` asks for (ITS 24422).

use super::Job;
use crate::error::Fail;
use crate::open::{Inner, LOG, shard_name};
use roles::maintenance::{FilesMoved, Mode, MoveFiles, Summary, VolumeSpace};
use roles::store::StoreError;
use std::path::{Path, PathBuf};
use storage::backup::BackupError;
use storage::shard::{Amount, MoveEnd, MoveSegments, Shard, ShardError};

pub(super) async fn perform(store: &Inner, job: &Job, wanted: &MoveFiles) -> Result<Summary, Fail> {
    let volumes = volumes(store).await?;
    let (from, to) = match choose(&volumes, wanted.from.as_deref(), wanted.to.as_deref()) {
        Ok(way) => way,
        // Who only looks is shown what there is.
        Err(_) if wanted.mode == Mode::DryRun && wanted.from.is_none() => {
            return Ok(Summary::FilesMoved(FilesMoved { volumes, ..FilesMoved::default() }));
        }
        Err(why) => return Err(StoreError::Refused(why).into()),
    };
    let mut left = amount(wanted, &volumes[from], &volumes[to]);
    let mut done = FilesMoved {
        from: volumes[from].path.clone(),
        to: volumes[to].path.clone(),
        ..FilesMoved::default()
    };
    job.expect(match left {
        Amount::Bytes(bytes) => volumes[from].movable.min(bytes),
        Amount::All => volumes[from].bytes,
    });
    for (number, shard) in (0..).zip(&store.shards) {
        let which = MoveSegments {
            from: shard_folder(&store.folder, &done.from, number),
            to: shard_folder(&store.folder, &done.to, number),
            amount: left,
        };
        let bytes = match wanted.mode {
            Mode::DryRun => would_move(shard, &which, &mut done).await?,
            Mode::Apply => moved(shard, &which, job, &mut done).await?,
        };
        left = match left {
            Amount::Bytes(most) => Amount::Bytes(most.saturating_sub(bytes)),
            Amount::All => Amount::All,
        };
        if left == Amount::Bytes(0) || done.no_room || job.pace.is_ended() {
            break;
        }
    }
    done.volumes = self::volumes(store).await?;
    Ok(Summary::FilesMoved(done))
}

/// How much is to be moved: everything from a volume that is named, else until both have the same room.
fn amount(wanted: &MoveFiles, from: &VolumeSpace, to: &VolumeSpace) -> Amount {
    match (wanted.at_most, &wanted.from) {
        (0, Some(_)) => Amount::All,
        (0, None) => Amount::Bytes(to.free.saturating_sub(from.free) / 2),
        (bytes, _) => Amount::Bytes(bytes),
    }
}

/// Counts what would be moved of a shard; returns its bytes.
async fn would_move(shard: &Shard, which: &MoveSegments, done: &mut FilesMoved) -> Result<u64, Fail> {
    if which.amount == Amount::Bytes(0) {
        return Ok(0);
    }
    let found = shard.movable(which).await?;
    let bytes = found.iter().map(|(_, bytes)| bytes).sum();
    done.segments += found.len() as u64;
    done.bytes += bytes;
    Ok(bytes)
}

/// Moves what is to be moved of a shard; returns its bytes.
async fn moved(shard: &Shard, which: &MoveSegments, job: &Job, done: &mut FilesMoved) -> Result<u64, Fail> {
    let before = done.bytes;
    match shard.move_segments(which, &job.pace, &|bytes| job.reached(before + bytes)).await {
        Ok(moved) => {
            done.segments += moved.segments;
            done.bytes += moved.bytes;
            done.unreadable += moved.unreadable;
            done.no_room |= moved.end == MoveEnd::NoRoom;
            Ok(moved.bytes)
        }
        Err(BackupError::Shard(error)) => Err(error.into()),
        Err(other) => Err(StoreError::Refused(other.to_string()).into()),
    }
}

/// The volumes of the store, its own folder first.
async fn volumes(store: &Inner) -> Result<Vec<VolumeSpace>, ShardError> {
    let mut all: Vec<VolumeSpace> = Vec::new();
    for (number, shard) in (0..).zip(&store.shards) {
        for (at, found) in shard.volume_uses().await?.into_iter().enumerate() {
            if number == 0 {
                let path = volume_of(&store.folder, &found.path).to_string_lossy().into_owned();
                let (free, total) = (found.space.free, found.space.total);
                all.push(VolumeSpace { path, free, total, ..VolumeSpace::default() });
            }
            if let Some(volume) = all.get_mut(at) {
                volume.segments += found.segments;
                volume.bytes += found.bytes;
                volume.movable += found.full;
            }
        }
    }
    Ok(all)
}

/// From which volume to which: those that are named, else from the one with the least room that has something to move to
/// the one with the most.
fn choose(volumes: &[VolumeSpace], from: Option<&str>, to: Option<&str>) -> Result<(usize, usize), String> {
    let named = |name: &str| {
        let same = |volume: &VolumeSpace| Path::new(&volume.path) == Path::new(name);
        volumes.iter().position(same).ok_or_else(|| format!("{name} is no volume of the message store"))
    };
    if volumes.len() < 2 {
        return Err("the message store has one volume only (messageFileDir)".to_owned());
    }
    let from = from.map(named).transpose()?;
    let room = |at: &usize| volumes[*at].free;
    let to = match to {
        Some(name) => named(name)?,
        None => {
            let others = (0..volumes.len()).filter(|at| Some(*at) != from);
            others.max_by_key(room).ok_or("there is no other volume")?
        }
    };
    let from = match from {
        Some(from) => from,
        None => {
            let others = (0..volumes.len()).filter(|at| *at != to && volumes[*at].movable > 0);
            others.min_by_key(room).ok_or("there is nothing that can be moved")?
        }
    };
    if from == to { Err("from a volume to itself".to_owned()) } else { Ok((from, to)) }
}

/// The folder of a shard on a volume; the store's own is `mss/shard-NNN/log`.
fn shard_folder(store: &Path, volume: &str, number: u32) -> PathBuf {
    let folder = Path::new(volume).join(shard_name(number));
    if Path::new(volume) == store { folder.join(LOG) } else { folder }
}

/// The volume of a folder of the first shard.
fn volume_of(store: &Path, folder: &Path) -> PathBuf {
    match folder.starts_with(store) && folder.ends_with(LOG) {
        true => store.to_path_buf(),
        false => folder.parent().unwrap_or(folder).to_path_buf(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn volumes(of: &[(u64, u64)]) -> Vec<VolumeSpace> {
        let volume = |(at, (free, movable)): (usize, &(u64, u64))| VolumeSpace {
            path: format!("/v{at}"),
            free: *free,
            movable: *movable,
            ..VolumeSpace::default()
        };
        of.iter().enumerate().map(volume).collect()
    }

    #[test]
    fn what_is_not_named_is_chosen_by_room() {
        let three = volumes(&[(10, 5), (30, 5), (20, 5)]);
        assert_eq!(choose(&three, None, None), Ok((0, 1)));
        assert_eq!(choose(&three, Some("/v1"), None), Ok((1, 2)));
        assert_eq!(choose(&three, None, Some("/v0/")), Ok((2, 0)));
        assert_eq!(choose(&three, Some("/v2"), Some("/v0")), Ok((2, 0)));
        // Where nothing can be moved, nothing is.
        assert_eq!(choose(&volumes(&[(10, 0), (30, 0), (20, 5)]), None, None), Ok((2, 1)));
        assert!(choose(&volumes(&[(10, 0), (30, 0)]), None, None).is_err());
        for bad in [(Some("/v1"), Some("/v1")), (Some("/x"), None), (None, Some("/x"))] {
            assert!(choose(&three, bad.0, bad.1).is_err());
        }
        assert!(choose(&three[..1], None, None).unwrap_err().contains("messageFileDir"));
    }

    #[test]
    fn a_volume_that_is_named_is_emptied_and_others_come_to_have_the_same_room() {
        let two = volumes(&[(10, 90), (50, 0)]);
        let wanted = |from: Option<&str>, at_most| MoveFiles {
            mode: Mode::Apply,
            from: from.map(str::to_owned),
            to: None,
            at_most,
            rate: 0,
        };
        assert_eq!(amount(&wanted(Some("/v0"), 0), &two[0], &two[1]), Amount::All);
        assert_eq!(amount(&wanted(Some("/v0"), 7), &two[0], &two[1]), Amount::Bytes(7));
        assert_eq!(amount(&wanted(None, 0), &two[0], &two[1]), Amount::Bytes(20));
        assert_eq!(amount(&wanted(None, 0), &two[1], &two[0]), Amount::Bytes(0));
    }

    #[test]
    fn a_volume_is_known_by_its_folder() {
        let (store, volume) = (Path::new("/site/mss"), "/volume/one");
        for path in ["/site/mss", volume] {
            let folder = shard_folder(store, path, 0);
            assert_eq!(volume_of(store, &folder), Path::new(path));
        }
        assert_eq!(shard_folder(store, volume, 3), Path::new("/volume/one/shard-003"));
    }
}
