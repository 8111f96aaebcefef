//! A copy of the copy, for another host (`imcachecopy`): made from files that nobody changes, while they are in use.

use super::build::sync_folder;
use super::manifest::{Manifest, delta_path};
use super::reader::Reader;
use super::{ReplicaError, failed, generation_folder};
use std::fs::File;
use std::path::{Path, PathBuf};

/// How often it is begun again where the writer changes tables over meanwhile.
const TRIES: u32 = 5;

impl Reader {
    /// Copies what this reader's folder holds to another one and reads all of it back. What is in the target stays as
    /// it is until all is there, and then goes. Returns how many bytes. Blocks.
    ///
    /// # Errors
    /// Where the target cannot be written (ITS 25765): source and target are as before.
    pub fn copy_to(&self, target: &Path) -> Result<u64, ReplicaError> {
        let made = beside(target, "copying");
        let mut tries = 0;
        let copied = loop {
            remove(&made)?;
            let manifest = Manifest::read(self.folder())?;
            let copied = copy(self.folder(), &manifest, &made);
            let moved_on = Manifest::read(self.folder())? != manifest;
            match copied {
                Err(_) if moved_on && tries < TRIES => tries += 1,
                done => break done,
            }
        };
        let verified = copied.and_then(|bytes| {
            Reader::open(&made)?.each(|_, _| Ok::<_, ReplicaError>(()))?;
            Ok(bytes)
        });
        let put = verified.and_then(|bytes| replace(target, &made).map(|()| bytes));
        if put.is_err() {
            let _ = remove(&made);
        }
        put
    }
}

fn copy(from: &Path, manifest: &Manifest, to: &Path) -> Result<u64, ReplicaError> {
    use std::os::unix::fs::DirBuilderExt as _;
    let make = |folder: &Path| std::fs::DirBuilder::new().mode(0o700).create(folder).map_err(failed(folder));
    make(to)?;
    let mut bytes = 0;
    for &table in &manifest.tables {
        let (source, target) = (generation_folder(from, table), generation_folder(to, table));
        make(&target)?;
        for entry in std::fs::read_dir(&source).map_err(failed(&source))? {
            let entry = entry.map_err(failed(&source))?;
            bytes += copy_file(&entry.path(), &target.join(entry.file_name()))?;
        }
        sync_folder(&target)?;
    }
    for &delta in &manifest.deltas {
        // What is appended meanwhile may be cut in the middle of a frame: that one does not count.
        bytes += copy_file(&delta_path(from, delta), &delta_path(to, delta))?;
    }
    manifest.write(to)?;
    Ok(bytes)
}

fn copy_file(from: &Path, to: &Path) -> Result<u64, ReplicaError> {
    let bytes = std::fs::copy(from, to).map_err(failed(to))?;
    File::open(to).and_then(|file| file.sync_all()).map_err(failed(to))?;
    Ok(bytes)
}

fn replace(target: &Path, made: &Path) -> Result<(), ReplicaError> {
    let before = beside(target, "before");
    remove(&before)?;
    if target.exists() {
        std::fs::rename(target, &before).map_err(failed(target))?;
    }
    if let Err(error) = std::fs::rename(made, target) {
        let _ = std::fs::rename(&before, target);
        return Err(failed(target)(error));
    }
    remove(&before)
}

fn remove(folder: &Path) -> Result<(), ReplicaError> {
    match std::fs::remove_dir_all(folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(failed(folder)(error)),
        _ => Ok(()),
    }
}

fn beside(target: &Path, word: &str) -> PathBuf {
    let mut name = target.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{word}"));
    target.with_file_name(name)
}
