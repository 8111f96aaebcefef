//! The folder of a shard's index at one moment, in memory.
//!
//! The index is in a real folder. Its tables and lists of tables are written once and never changed, and synced before
//! they count; so a copy of all files is what a crash leaves. Its journals are not synced: a crash may leave what is in
//! them or nothing.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

/// All files of an index.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Image {
    files: Vec<(PathBuf, Vec<u8>)>,
    listing: Listing,
}

/// Names, lengths, and numbers of inodes: a file that is put in another's place may have its name and its length.
type Listing = Vec<(PathBuf, u64, u64)>;

/// What a crash has left of the index's journals.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Journals {
    /// What was in them.
    Kept,
    /// Empty files.
    Lost,
}

/// The index as it is now, where it is another than `before`. Taken again where it changes meanwhile.
pub(crate) fn changed(folder: &Path, before: Option<&Image>) -> Option<Image> {
    let mut listing = Listing::new();
    for _ in 0..MOST_TRIES {
        listing = list(folder);
        if before.is_some_and(|b| b.listing == listing) {
            return None;
        }
        let files = listing.iter().map(|(path, ..)| Some((path.clone(), read(&folder.join(path)).ok()?)));
        let files: Option<Vec<_>> = files.collect();
        if let Some(files) = files.filter(|_| list(folder) == listing) {
            return Some(Image { files, listing });
        }
    }
    panic!("the index in {} never rests: {listing:?}", folder.display());
}

impl Image {
    /// Writes it into a folder.
    pub(crate) fn restore(&self, folder: &Path, journals: Journals) -> io::Result<()> {
        fs::create_dir_all(folder)?;
        for (path, bytes) in &self.files {
            let path = folder.join(path);
            if let Some(above) = path.parent() {
                fs::create_dir_all(above)?;
            }
            let lost = is_journal(&path) && journals == Journals::Lost;
            fs::write(path, if lost { &[][..] } else { bytes })?;
        }
        // Folders that are empty yet.
        for tables in ["keyspaces/0/tables", "keyspaces/1/tables"] {
            if folder.join(tables).parent().is_some_and(Path::exists) {
                fs::create_dir_all(folder.join(tables))?;
            }
        }
        Ok(())
    }
}

fn list(folder: &Path) -> Listing {
    let (mut found, mut folders) = (Listing::new(), vec![folder.to_owned()]);
    while let Some(at) = folders.pop() {
        for entry in fs::read_dir(&at).into_iter().flatten().flatten() {
            let path = entry.path();
            match entry.metadata() {
                Ok(data) if data.is_dir() => folders.push(path),
                Ok(data) => {
                    let name = path.strip_prefix(folder);
                    found.extend(name.map(|name| (name.to_owned(), data.len(), data.ino())));
                }
                // Gone again: the next look sees another folder.
                Err(_) => {}
            }
        }
    }
    found.sort();
    found
}

fn is_journal(path: &Path) -> bool {
    path.extension().is_some_and(|e| e == "jnl")
}

/// A file; of a journal, which is as long as it may ever become, only what was written.
fn read(path: &Path) -> io::Result<Vec<u8>> {
    if !is_journal(path) {
        return fs::read(path);
    }
    let mut file = fs::File::open(path)?;
    let (mut all, mut piece) = (Vec::new(), vec![0; PIECE]);
    loop {
        let read = io::Read::read(&mut file, &mut piece)?;
        if piece[..read].iter().all(|&b| b == 0) {
            return Ok(all);
        }
        all.extend_from_slice(&piece[..read]);
    }
}

const PIECE: usize = 16 << 10;
const MOST_TRIES: usize = 10_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_put_in_the_place_of_one_as_long_is_a_change() {
        let folder = tempfile::tempdir().unwrap();
        let put = |content: &str| {
            fs::write(folder.path().join("new"), content).unwrap();
            fs::rename(folder.path().join("new"), folder.path().join("current")).unwrap();
        };
        put("v11");
        let before = changed(folder.path(), None).unwrap();
        assert_eq!(changed(folder.path(), Some(&before)), None);
        put("v12");
        let after = changed(folder.path(), Some(&before)).unwrap();
        assert_eq!(after.files, [(PathBuf::from("current"), b"v12".to_vec())]);
    }
}
