//! Which folders are volumes of which store.
//!
//! Promises: a volume that is not mounted is never taken for an empty one, nor one of another store for ours, nor one
//! folder for two; and a store is not opened without one of its volumes, because the end of its log may be there. Each
//! volume has a file that says of which store it is and which of its volumes; the store has the list of them.

use env::random::Random;
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

/// The file of a store with the list of its volumes.
const STORE_MARK: &str = "volumes";
const STORE_TITLE: &str = "intermail volumes 1";
/// The file of a volume that says whose it is.
const VOLUME_MARK: &str = "volume";
const VOLUME_TITLE: &str = "intermail volume 1";

/// Why folders are not the volumes of a store.
#[derive(Debug, thiserror::Error)]
pub enum VolumeError {
    /// Nothing says that it is one: it may not be mounted.
    #[error("{0} is no volume of the message store: is it mounted? imbucketscreate makes it one")]
    Unclaimed(PathBuf),
    /// It has files that are not of this store.
    #[error("{0} is not empty and no volume of this message store")]
    Foreign(PathBuf),
    /// It was named under another name already.
    #[error("{0} is a volume that messageFileDir names twice")]
    Twice(PathBuf),
    /// The store has it, but it was not named.
    #[error(
        "{0} is a volume of the message store and not in messageFileDir: put it back, or empty it with immovmsgfiles and \
         run imbucketscreate"
    )]
    Unnamed(PathBuf),
    /// It cannot be forgotten, because it holds message files.
    #[error("{0} still has message files: put it back into messageFileDir and move them with immovmsgfiles")]
    NotEmpty(PathBuf),
    /// It is no absolute path, or lies in the store's own folder.
    #[error("{0} cannot be a volume: it must be an absolute path outside of the store's own folder")]
    Path(PathBuf),
    /// One of the files that say all this is damaged.
    #[error("{0} cannot be understood")]
    Mark(PathBuf),
    /// It could not be read or written.
    #[error("{path}: {source}")]
    Io {
        /// What.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

/// What [`claim`] has found or done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Claimed {
    /// It was a volume of this store already.
    Before,
    /// It is one now.
    Now,
}

/// What becomes of a volume that is not there to be looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Absent {
    /// It is not forgotten: messages may be on it.
    Refuse,
    /// It is forgotten, and what was on it is lost.
    GiveUp,
}

/// Makes a folder a volume of the store in `store`, durably: one that is not there, or is empty but for what file systems
/// put into their top folder (ITS 25146).
///
/// # Errors
/// [`VolumeError`]; nothing has changed then but that the folder may be there.
pub fn claim(store: &Path, volume: &Path, random: &Random) -> Result<Claimed, VolumeError> {
    let plain = volume.to_str().is_some_and(|path| !path.contains('\n'));
    if !volume.is_absolute() || volume.starts_with(store) || !plain {
        return Err(VolumeError::Path(volume.into()));
    }
    let mut mark = match StoreMark::read(store)? {
        Some(mark) => mark,
        None => {
            // Durable before anything names it.
            let mark = StoreMark { id: random.number(), volumes: BTreeMap::new() };
            mark.write(store)?;
            mark
        }
    };
    let number = match read_label(volume)? {
        Some(label) if label.store != mark.id => return Err(VolumeError::Foreign(volume.into())),
        Some(label) if mark.volumes.contains_key(&label.volume) => return Ok(Claimed::Before),
        // Whoever made it one has ended before the store knew, or the store was told to forget it.
        Some(_) if has_segments(volume)? => return Err(VolumeError::Foreign(volume.into())),
        Some(label) => label.volume,
        None => {
            let label = Label { store: mark.id, volume: random.number() };
            make_volume(volume, &label)?;
            label.volume
        }
    };
    mark.volumes.insert(number, volume.to_path_buf());
    mark.write(store)?;
    Ok(Claimed::Now)
}

/// Whether these folders are the volumes of the store in `store`, each once and all of them.
///
/// # Errors
/// [`VolumeError`].
pub fn check(store: &Path, volumes: &[PathBuf]) -> Result<(), VolumeError> {
    let mark = StoreMark::read(store)?;
    let (id, known) = mark.map_or((None, BTreeMap::new()), |mark| (Some(mark.id), mark.volumes));
    let mut missing = known.clone();
    for volume in volumes {
        let label = read_label(volume)?.ok_or_else(|| VolumeError::Unclaimed(volume.clone()))?;
        if Some(label.store) != id || !known.contains_key(&label.volume) {
            return Err(VolumeError::Foreign(volume.clone()));
        }
        if missing.remove(&label.volume).is_none() {
            return Err(VolumeError::Twice(volume.clone()));
        }
    }
    missing.into_values().next().map_or(Ok(()), |path| Err(VolumeError::Unnamed(path)))
}

/// The volumes of the store that are none of these folders any more.
///
/// # Errors
/// Where a file cannot be read.
pub fn left(store: &Path, volumes: &[PathBuf]) -> Result<Vec<PathBuf>, VolumeError> {
    let Some(mut mark) = StoreMark::read(store)? else { return Ok(Vec::new()) };
    mark.remove(volumes)?;
    Ok(mark.volumes.into_values().collect())
}

/// Takes a volume off the list of the store. It must have no message files.
///
/// # Errors
/// [`VolumeError::NotEmpty`]; [`VolumeError::Unclaimed`] where it is not there, unless that is to be accepted.
pub fn forget(store: &Path, volume: &Path, absent: Absent) -> Result<(), VolumeError> {
    let mut mark = StoreMark::read(store)?.ok_or_else(|| VolumeError::Foreign(volume.into()))?;
    let listed = mark.volumes.iter().find(|(_, path)| *path == volume).map(|(number, _)| *number);
    let number = listed.ok_or_else(|| VolumeError::Foreign(volume.into()))?;
    let there = read_label(volume)?.is_some_and(|label| label.volume == number);
    match (there, absent) {
        (false, Absent::Refuse) => return Err(VolumeError::Unclaimed(volume.into())),
        (false, Absent::GiveUp) => {}
        (true, _) if has_segments(volume)? => return Err(VolumeError::NotEmpty(volume.into())),
        (true, _) => {}
    }
    mark.volumes.remove(&number);
    mark.write(store)?;
    if there {
        let path = volume.join(VOLUME_MARK);
        fs::remove_file(&path).map_err(io_of(&path))?;
    }
    Ok(())
}

/// What a store knows of its volumes.
struct StoreMark {
    id: u64,
    /// By number; the paths are where they were when they were made.
    volumes: BTreeMap<u64, PathBuf>,
}

impl StoreMark {
    fn read(store: &Path) -> Result<Option<Self>, VolumeError> {
        let path = store.join(STORE_MARK);
        let Some(text) = read_text(&path)? else { return Ok(None) };
        Self::parse(&text).map(Some).ok_or(VolumeError::Mark(path))
    }

    fn parse(text: &str) -> Option<Self> {
        let mut lines = text.strip_prefix(STORE_TITLE)?.strip_prefix('\n')?.lines();
        let id = number(lines.next()?.strip_prefix("store ")?)?;
        let volume = |line: &str| {
            let (of, path) = line.strip_prefix("volume ")?.split_once(' ')?;
            Some((number(of)?, PathBuf::from(path)))
        };
        Some(Self { id, volumes: lines.map(volume).collect::<Option<_>>()? })
    }

    fn write(&self, store: &Path) -> Result<(), VolumeError> {
        let mut text = format!("{STORE_TITLE}\nstore {:016x}\n", self.id);
        for (number, path) in &self.volumes {
            text += &format!("volume {number:016x} {}\n", path.display());
        }
        write_text(store, STORE_MARK, &text)
    }

    /// Leaves those that are none of these folders.
    fn remove(&mut self, volumes: &[PathBuf]) -> Result<(), VolumeError> {
        for volume in volumes {
            if let Some(label) = read_label(volume)?.filter(|label| label.store == self.id) {
                self.volumes.remove(&label.volume);
            }
        }
        Ok(())
    }
}

/// What a volume says of itself.
struct Label {
    store: u64,
    volume: u64,
}

fn read_label(volume: &Path) -> Result<Option<Label>, VolumeError> {
    let path = volume.join(VOLUME_MARK);
    let Some(text) = read_text(&path)? else { return Ok(None) };
    let parse = || {
        let mut lines = text.strip_prefix(VOLUME_TITLE)?.strip_prefix('\n')?.lines();
        let store = number(lines.next()?.strip_prefix("store ")?)?;
        Some(Label { store, volume: number(lines.next()?.strip_prefix("volume ")?)? })
    };
    parse().map(Some).ok_or(VolumeError::Mark(path))
}

fn number(text: &str) -> Option<u64> {
    u64::from_str_radix(text, 16).ok()
}

fn make_volume(volume: &Path, label: &Label) -> Result<(), VolumeError> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(volume).map_err(io_of(volume))?;
    let unfinished = unfinished(VOLUME_MARK);
    for entry in fs::read_dir(volume).map_err(io_of(volume))? {
        let name = entry.map_err(io_of(volume))?.file_name();
        if name != "lost+found" && name != unfinished.as_str() {
            return Err(VolumeError::Foreign(volume.into()));
        }
    }
    let text = format!("{VOLUME_TITLE}\nstore {:016x}\nvolume {:016x}\n", label.store, label.volume);
    write_text(volume, VOLUME_MARK, &text)
}

/// Whether any shard has a file on a volume.
fn has_segments(volume: &Path) -> Result<bool, VolumeError> {
    for entry in fs::read_dir(volume).map_err(io_of(volume))? {
        let folder = entry.map_err(io_of(volume))?.path();
        let is_shard = folder.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"shard-"));
        if is_shard && fs::read_dir(&folder).map_err(io_of(&folder))?.next().is_some() {
            return Ok(true);
        }
    }
    Ok(false)
}

fn read_text(path: &Path) -> Result<Option<String>, VolumeError> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(io_of(path)(e)),
    }
}

/// What a file is called until it is whole.
fn unfinished(name: &str) -> String {
    format!("{name}.new")
}

fn write_text(folder: &Path, name: &str, text: &str) -> Result<(), VolumeError> {
    let (new, path) = (folder.join(unfinished(name)), folder.join(name));
    let write = || {
        let mut file = File::options().write(true).create(true).truncate(true).mode(0o600).open(&new)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        fs::rename(&new, &path)?;
        File::open(folder)?.sync_all()
    };
    write().map_err(io_of(&path))
}

fn io_of(path: &Path) -> impl FnOnce(io::Error) -> VolumeError {
    let path = path.to_path_buf();
    move |source| VolumeError::Io { path, source }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Scene(tempfile::TempDir);

    impl Scene {
        fn new() -> Self {
            let scene = Self(tempfile::tempdir().unwrap());
            for store in ["one", "another"] {
                fs::create_dir(scene.at(store)).unwrap();
            }
            scene
        }

        fn at(&self, name: &str) -> PathBuf {
            self.0.path().join(name)
        }

        fn claim(&self, store: &str, volume: &str) -> Result<Claimed, VolumeError> {
            claim(
                &self.at(store),
                &self.at(volume),
                &Random::seeded((store.len() * 100 + volume.len()) as u64),
            )
        }

        fn check(&self, store: &str, volumes: &[&str]) -> Result<(), VolumeError> {
            check(&self.at(store), &volumes.iter().map(|v| self.at(v)).collect::<Vec<_>>())
        }
    }

    #[test]
    fn its_25146_a_volume_is_of_one_store_and_begins_empty() {
        let scene = Scene::new();
        scene.check("one", &[]).unwrap();
        assert!(matches!(scene.check("one", &["volume"]), Err(VolumeError::Unclaimed(_))));
        fs::create_dir_all(scene.at("volume/lost+found")).unwrap();
        assert_eq!(scene.claim("one", "volume").unwrap(), Claimed::Now);
        assert_eq!(scene.claim("one", "volume").unwrap(), Claimed::Before);
        assert_eq!(scene.claim("one", "made").unwrap(), Claimed::Now);
        scene.check("one", &["volume", "made"]).unwrap();
        // Not of another store, not where other files are, not in the store's own folder.
        assert!(matches!(scene.check("another", &["volume"]), Err(VolumeError::Foreign(_))));
        assert!(matches!(scene.claim("another", "volume"), Err(VolumeError::Foreign(_))));
        fs::create_dir_all(scene.at("used/files")).unwrap();
        assert!(matches!(scene.claim("one", "used"), Err(VolumeError::Foreign(_))));
        assert!(matches!(scene.claim("one", "one/inside"), Err(VolumeError::Path(_))));
        assert!(matches!(
            claim(&scene.at("one"), Path::new("relative"), &Random::seeded(1)),
            Err(VolumeError::Path(_))
        ));
    }

    #[test]
    fn all_volumes_are_named_and_none_twice() {
        let scene = Scene::new();
        for volume in ["a", "bb"] {
            scene.claim("one", volume).unwrap();
        }
        assert!(
            matches!(scene.check("one", &["a"]), Err(VolumeError::Unnamed(path)) if path == scene.at("bb"))
        );
        std::os::unix::fs::symlink(scene.at("a"), scene.at("link")).unwrap();
        assert!(matches!(scene.check("one", &["a", "link"]), Err(VolumeError::Twice(_))));
        // Mounted elsewhere it is the same.
        fs::rename(scene.at("a"), scene.at("moved")).unwrap();
        scene.check("one", &["moved", "bb"]).unwrap();
        // A mark that is cut short is not taken for none.
        fs::write(scene.at("one/volumes"), "intermail volumes 1\nstore").unwrap();
        assert!(matches!(scene.check("one", &["moved", "bb"]), Err(VolumeError::Mark(_))));
    }

    #[test]
    fn a_volume_is_forgotten_when_nothing_is_left_on_it() {
        let scene = Scene::new();
        for volume in ["a", "bb", "ccc"] {
            scene.claim("one", volume).unwrap();
        }
        let (store, a, bb) = (scene.at("one"), scene.at("a"), scene.at("bb"));
        assert_eq!(left(&store, &[scene.at("ccc")]).unwrap().len(), 2);
        fs::create_dir(scene.at("a/shard-000")).unwrap();
        fs::write(scene.at("a/shard-000/0000000001.seg"), "mail").unwrap();
        assert!(matches!(forget(&store, &a, Absent::GiveUp), Err(VolumeError::NotEmpty(_))));
        fs::remove_file(scene.at("a/shard-000/0000000001.seg")).unwrap();
        forget(&store, &a, Absent::Refuse).unwrap();
        assert!(matches!(scene.check("one", &["a", "bb", "ccc"]), Err(VolumeError::Unclaimed(_))));
        // One that is away is only forgotten by who says that it is lost, and is not ours when it comes back.
        fs::rename(&bb, scene.at("away")).unwrap();
        assert!(matches!(forget(&store, &bb, Absent::Refuse), Err(VolumeError::Unclaimed(_))));
        forget(&store, &bb, Absent::GiveUp).unwrap();
        scene.check("one", &["ccc"]).unwrap();
        fs::rename(scene.at("away"), &bb).unwrap();
        assert!(matches!(scene.check("one", &["bb", "ccc"]), Err(VolumeError::Foreign(_))));
        assert_eq!(scene.claim("one", "bb").unwrap(), Claimed::Now, "it was empty");
    }
}
