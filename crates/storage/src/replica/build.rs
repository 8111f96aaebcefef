//! Building a table, entry by entry, in memory that does not grow with it: entries go to their file as they come, and where
//! they are to a scratch file, from which the slots are made at the end, one file after the other.

use super::entry::{self, Entry, Key, Raw, Seed};
use super::pieces::{self, Pieces};
use super::table::{HEADER, Header, Place, SLOT, file_name, file_of, first_slot, head};
use super::{MAX_FILES, ReplicaError, failed};
use std::fs::{File, OpenOptions};
use std::io::{BufReader, BufWriter, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

/// Of ten slots so many are taken at most: searches stay within a cache line or two.
const FULL_TENTHS: u64 = 7;
/// Bytes that are gathered before they are written.
const BUFFER: usize = 256 << 10;

/// A table that is being built.
pub struct Builder {
    folder: PathBuf,
    files: Vec<Part>,
    seed: Seed,
}

/// One file of it.
struct Part {
    path: PathBuf,
    entries: Pieces,
    count: u64,
    scratch: BufWriter<File>,
    scratch_path: PathBuf,
    slots: u64,
}

impl Builder {
    /// Begins a table of `files` files (1 to [`MAX_FILES`]) in a folder that is made and must not be there. `seed` is
    /// chance.
    ///
    /// # Errors
    /// Where the folder cannot be made.
    pub fn new(folder: &Path, files: usize, seed: (u64, u64)) -> Result<Self, ReplicaError> {
        std::fs::create_dir(folder).map_err(failed(folder))?;
        let count = files.clamp(1, MAX_FILES);
        let files =
            (0..count).map(|n| Part::new(folder, n, pieces::size(count))).collect::<Result<Vec<_>, _>>()?;
        Ok(Self { folder: folder.to_owned(), files, seed: Seed(seed.0, seed.1) })
    }

    /// Adds an entry; no key is added twice.
    ///
    /// # Errors
    /// Where it cannot be written.
    pub fn add(&mut self, key: &Key, entry: &Entry) -> Result<(), ReplicaError> {
        self.add_bytes(entry::encode(key, entry).raw(), &entry::keys_of(key, entry))
    }

    /// Adds an entry by its bytes, to be found under these keys, of which the first is its own.
    pub(super) fn add_bytes(&mut self, raw: Raw<'_>, keys: &[Key]) -> Result<(), ReplicaError> {
        let Some(own) = keys.first() else { return Ok(()) };
        let count = self.files.len();
        let of = |key: &Key| {
            let hash = key.as_ref().hash(self.seed);
            (hash, file_of(hash, count))
        };
        let (_, home) = of(own);
        let place = Place::new(home, self.files[home].entries.written());
        let slots: Vec<_> = keys.iter().map(of).collect();
        self.files[home].put(raw)?;
        slots.into_iter().try_for_each(|(hash, file)| self.files[file].note(hash, place))
    }

    /// Makes the slots, writes everything to the disk, and returns the folder.
    ///
    /// # Errors
    /// Where it cannot be written.
    pub fn finish(self) -> Result<PathBuf, ReplicaError> {
        let count = self.files.len() as u32;
        for (number, part) in (0..).zip(self.files) {
            part.finish(number, count, self.seed)?;
        }
        sync_folder(&self.folder)?;
        Ok(self.folder)
    }
}

impl Part {
    fn new(folder: &Path, number: usize, piece: usize) -> Result<Self, ReplicaError> {
        let path = folder.join(file_name(number));
        let scratch_path = path.with_extension("scratch");
        let open = |path: &Path| {
            let mut options = OpenOptions::new();
            options.read(true).write(true).create_new(true).mode(0o600);
            options.open(path).map_err(failed(path))
        };
        let mut entries = Pieces::new(open(&path)?, piece);
        let scratch = BufWriter::with_capacity(BUFFER, open(&scratch_path)?);
        entries.put(&[0; HEADER as usize]).map_err(failed(&path))?;
        Ok(Self { path, entries, count: 0, scratch, scratch_path, slots: 0 })
    }

    fn put(&mut self, raw: Raw<'_>) -> Result<(), ReplicaError> {
        let damaged = || ReplicaError::Damaged("the sum of an entry is wrong".into());
        let back = raw.back().ok_or_else(damaged)?;
        let parts = [&head(raw.front, back)[..], raw.front, back];
        parts.iter().try_for_each(|part| self.entries.put(part)).map_err(failed(&self.path))?;
        self.count += 1;
        Ok(())
    }

    fn note(&mut self, hash: u64, place: Place) -> Result<(), ReplicaError> {
        self.slots += 1;
        let parts = [hash.to_le_bytes(), place.number().to_le_bytes()];
        parts.iter().try_for_each(|part| self.scratch.write_all(part)).map_err(failed(&self.scratch_path))
    }

    fn finish(self, number: u32, files: u32, seed: Seed) -> Result<(), ReplicaError> {
        let wrong = failed(&self.path);
        let end = self.entries.written();
        let mut file = self.entries.finish().map_err(&wrong)?;
        let scratch = self.scratch.into_inner().map_err(|e| wrong(e.into_error()))?;
        let slots = (self.slots * 10 / FULL_TENTHS + 1).max(8);
        let header = Header {
            file: number,
            files,
            seed,
            slots_at: end.next_multiple_of(64),
            slots,
            entries_end: end,
            entries: self.count,
        };
        let table = fill(scratch, self.slots, slots).map_err(&wrong)?;
        let write = |file: &mut File| {
            file.seek(SeekFrom::Start(header.slots_at))?;
            file.write_all(&table)?;
            file.seek(SeekFrom::Start(0))?;
            file.write_all(&header.encode())?;
            file.sync_all()?;
            std::fs::remove_file(&self.scratch_path)
        };
        write(&mut file).map_err(&wrong)
    }
}

/// The slots of a file, from what was noted of them.
fn fill(mut noted: File, count: u64, slots: u64) -> std::io::Result<Vec<u8>> {
    let mut table = vec![0u8; (slots * SLOT) as usize];
    noted.seek(SeekFrom::Start(0))?;
    let mut noted = BufReader::with_capacity(BUFFER, noted);
    let mut one = [0; SLOT as usize];
    for _ in 0..count {
        noted.read_exact(&mut one)?;
        let hash = one.first_chunk::<8>().map_or(0, |hash| u64::from_le_bytes(*hash));
        let mut slot = first_slot(hash, slots);
        // There are more slots than entries: the search ends.
        loop {
            let at = (slot * SLOT) as usize..((slot + 1) * SLOT) as usize;
            if table[at.start + 8..at.end].iter().all(|&b| b == 0) {
                table[at].copy_from_slice(&one);
                break;
            }
            slot = if slot + 1 == slots { 0 } else { slot + 1 };
        }
    }
    Ok(table)
}

/// Makes the names in a folder durable.
pub(super) fn sync_folder(folder: &Path) -> Result<(), ReplicaError> {
    File::open(folder).and_then(|f| f.sync_all()).map_err(failed(folder))
}
