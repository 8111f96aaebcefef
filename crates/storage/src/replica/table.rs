//! A table: entries that nobody changes any more, and where they are.
//!
//! One table is one or more files (`numUserDbFiles`), so that building one and copying one never needs all of it at once. A file
//! is a header, entries one after the other, and slots: open addressing by the key's hash, in which a slot is a hash and a
//! place, so that a look-up touches one slot and the first stretch of one entry, in most cases one line of the cache each. An
//! account stands in the slots under its id and
//! under each of its names.
//!
//! ```text
//! header (4096)  magic, format, number and count of files, seed, where slots begin, how many, entries, sum
//! entry          lengths of its two stretches u32 u32, their crc32c u32 u32, their bytes
//! slot           hash u64, file u16 | offset u48; all zero: free
//! ```

use super::entry::{KeyRef, Raw, Seed, stands_under};
use super::map::Mapped;
use super::{FORMAT, ReplicaError, failed};
use std::fs::File;
use std::path::{Path, PathBuf};

/// Bytes before the first entry.
pub(super) const HEADER: u64 = 4096;
/// Bytes of a slot.
pub(super) const SLOT: u64 = 16;
/// Bytes before an entry's own.
pub(super) const ENTRY_HEAD: usize = 16;
const MAGIC: &[u8; 8] = b"imdircch";
const OFFSET_BITS: u32 = 48;

/// What the header of a file says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) file: u32,
    pub(super) files: u32,
    pub(super) seed: Seed,
    /// Where the slots begin: the end of the entries, rounded up.
    pub(super) slots_at: u64,
    pub(super) slots: u64,
    /// The end of the last entry.
    pub(super) entries_end: u64,
    pub(super) entries: u64,
}

impl Header {
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(HEADER as usize);
        out.extend_from_slice(MAGIC);
        for n in [FORMAT, self.file, self.files, 0] {
            out.extend_from_slice(&n.to_le_bytes());
        }
        for n in [self.seed.0, self.seed.1, self.slots_at, self.slots, self.entries_end, self.entries] {
            out.extend_from_slice(&n.to_le_bytes());
        }
        let sum = crc32c::crc32c(&out);
        out.extend_from_slice(&sum.to_le_bytes());
        out.resize(HEADER as usize, 0);
        out
    }

    /// Reads the header of a file of this length; everything in it has been compared with everything else.
    fn decode(bytes: &[u8], len: u64) -> Result<Self, ReplicaError> {
        let damaged = |what: &str| ReplicaError::Damaged(what.to_owned());
        let (said, rest) = bytes.split_at_checked(72).ok_or_else(|| damaged("it is cut short"))?;
        if said[..8] != *MAGIC {
            return Err(damaged("it is not a table of a directory cache"));
        }
        let word = |at: usize| u32::from_le_bytes([said[at], said[at + 1], said[at + 2], said[at + 3]]);
        let long = |at: usize| u64::from(word(at)) | u64::from(word(at + 4)) << 32;
        if word(8) != FORMAT {
            return Err(ReplicaError::Format { found: word(8), known: FORMAT });
        }
        if rest.get(..4) != Some(&crc32c::crc32c(said).to_le_bytes()) {
            return Err(damaged("the sum of its header is wrong"));
        }
        let header = Self {
            file: word(12),
            files: word(16),
            seed: Seed(long(24), long(32)),
            slots_at: long(40),
            slots: long(48),
            entries_end: long(56),
            entries: long(64),
        };
        let end = header.slots.checked_mul(SLOT).and_then(|bytes| bytes.checked_add(header.slots_at));
        let fits = header.entries_end <= header.slots_at && header.slots > 0 && end == Some(len);
        if fits { Ok(header) } else { Err(damaged("it is cut short")) }
    }
}

/// Where an entry is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place(u64);

impl Place {
    pub(super) fn new(file: usize, offset: u64) -> Self {
        Self((file as u64) << OFFSET_BITS | offset)
    }

    fn file(self) -> usize {
        (self.0 >> OFFSET_BITS) as usize
    }

    fn offset(self) -> u64 {
        self.0 & ((1 << OFFSET_BITS) - 1)
    }

    pub(super) fn number(self) -> u64 {
        self.0
    }
}

/// The file in which a key has its slot.
pub(super) fn file_of(hash: u64, files: usize) -> usize {
    (hash % files.max(1) as u64) as usize
}

/// The slot with which the search for a hash begins.
pub(super) fn first_slot(hash: u64, slots: u64) -> u64 {
    ((u128::from(hash) * u128::from(slots)) >> 64) as u64
}

/// The name of a file of a table.
pub(super) fn file_name(number: usize) -> String {
    format!("users-{number:04}.db")
}

/// An open table.
#[derive(Debug)]
pub(super) struct Table {
    files: Vec<TableFile>,
    seed: Seed,
}

#[derive(Debug)]
struct TableFile {
    path: PathBuf,
    map: Mapped,
    header: Header,
}

impl Table {
    /// Opens the files in a folder. Looks at their headers, not at every entry.
    pub(super) fn open(folder: &Path) -> Result<Self, ReplicaError> {
        let first = TableFile::open(folder, 0)?;
        let (count, seed) = (first.header.files as usize, first.header.seed);
        let mut files = vec![first];
        for number in 1..count {
            files.push(TableFile::open(folder, number)?);
        }
        if files.iter().enumerate().any(|(n, f)| {
            let header = f.header;
            (header.file as usize, header.files as usize, header.seed) != (n, count, seed)
        }) {
            let what = format!("the files in {} do not belong together", folder.display());
            return Err(ReplicaError::Damaged(what));
        }
        Ok(Self { files, seed })
    }

    /// What its hashes begin with.
    pub(super) fn seed(&self) -> Seed {
        self.seed
    }

    /// The entry under a key, of which this is the hash by the seed of the table; the sum of its first stretch is right.
    pub(super) fn find(&self, key: KeyRef<'_>, hash: u64) -> Result<Option<Raw<'_>>, ReplicaError> {
        let of_slots = &self.files[file_of(hash, self.files.len())];
        let slots = of_slots.header.slots;
        let mut slot = first_slot(hash, slots);
        for _ in 0..slots {
            let Some((found, place)) = of_slots.slot(slot) else { return Ok(None) };
            if found == hash {
                let raw = self.entry(place)?;
                if stands_under(raw, key) {
                    return Ok(Some(raw));
                }
            }
            slot = if slot + 1 == slots { 0 } else { slot + 1 };
        }
        Ok(None)
    }

    fn entry(&self, place: Place) -> Result<Raw<'_>, ReplicaError> {
        let file = self.files.get(place.file()).ok_or_else(|| {
            ReplicaError::Damaged(format!("{}: a slot names a file that is not there", self.files[0].name()))
        })?;
        file.entry(place.offset()).map(|(raw, _)| raw)
    }

    /// All entries, in no order that means something, until the closure returns an error.
    pub(super) fn each<E: From<ReplicaError>>(
        &self,
        mut see: impl FnMut(Raw<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        for file in &self.files {
            let mut at = HEADER;
            for _ in 0..file.header.entries {
                let (raw, next) = file.entry(at)?;
                see(raw)?;
                at = next;
            }
            if at != file.header.entries_end {
                let what = format!("{} has other entries than it says", file.name());
                return Err(ReplicaError::Damaged(what).into());
            }
        }
        Ok(())
    }

    /// How many entries it has.
    pub(super) fn entries(&self) -> u64 {
        self.files.iter().map(|f| f.header.entries).sum()
    }

    /// Bytes of its files.
    pub(super) fn bytes(&self) -> u64 {
        self.files.iter().map(|f| f.map.len() as u64).sum()
    }

    /// How many files it has.
    pub(super) fn files(&self) -> usize {
        self.files.len()
    }
}

impl TableFile {
    fn open(folder: &Path, number: usize) -> Result<Self, ReplicaError> {
        let path = folder.join(file_name(number));
        let named = |error: ReplicaError| match error {
            ReplicaError::Damaged(what) => ReplicaError::Damaged(format!("{}: {what}", path.display())),
            other => other,
        };
        let file = File::open(&path).map_err(failed(&path))?;
        let len = file.metadata().map_err(failed(&path))?.len();
        let mut head = [0; 76];
        let read = std::os::unix::fs::FileExt::read_at(&file, &mut head, 0).map_err(failed(&path))?;
        let header = Header::decode(&head[..read], len).map_err(named)?;
        let map = Mapped::new(&file).map_err(failed(&path))?;
        if map.len() as u64 != len {
            return Err(named(ReplicaError::Damaged("it changes while it is opened".into())));
        }
        Ok(Self { path, map, header })
    }

    fn slot(&self, number: u64) -> Option<(u64, Place)> {
        let at = (self.header.slots_at + number * SLOT) as usize;
        let bytes = self.map.get(at..at + SLOT as usize)?;
        let (hash, place) = bytes.split_first_chunk::<8>()?;
        let place = u64::from_le_bytes(place.try_into().ok()?);
        (place != 0).then_some((u64::from_le_bytes(*hash), Place(place)))
    }

    /// An entry and where the next one begins.
    fn entry(&self, at: u64) -> Result<(Raw<'_>, u64), ReplicaError> {
        let damaged = || {
            ReplicaError::Damaged(format!("{}: the sum of the entry at {at} is wrong", self.path.display()))
        };
        let end = self.header.entries_end as usize;
        let all = self.map.get(..end).ok_or_else(damaged)?;
        let from = all.get(at as usize..).filter(|_| at >= HEADER).ok_or_else(damaged)?;
        let (head, rest) = from.split_first_chunk::<ENTRY_HEAD>().ok_or_else(damaged)?;
        let [front, back, sum, sum_of_back] = words(head);
        let (bytes, rest) = rest.split_at_checked(front as usize).ok_or_else(damaged)?;
        if sum_of(bytes) != sum {
            return Err(damaged());
        }
        let behind = rest.get(..back as usize).ok_or_else(damaged)?;
        let next = at + (ENTRY_HEAD + bytes.len() + behind.len()) as u64;
        Ok((Raw::unchecked(bytes, behind, sum_of_back), next))
    }

    fn name(&self) -> String {
        self.path.display().to_string()
    }
}

/// What stands before the bytes of an entry.
pub(super) fn head(front: &[u8], back: &[u8]) -> [u8; ENTRY_HEAD] {
    let length = |bytes: &[u8]| u32::try_from(bytes.len()).unwrap_or(u32::MAX);
    let mut head = [0; ENTRY_HEAD];
    let words = [length(front), length(back), sum_of(front), sum_of(back)];
    for (at, word) in head.chunks_exact_mut(4).zip(words) {
        at.copy_from_slice(&word.to_le_bytes());
    }
    head
}

fn words(head: &[u8; ENTRY_HEAD]) -> [u32; 4] {
    let (words, _) = head.as_chunks::<4>();
    std::array::from_fn(|n| words.get(n).map_or(0, |word| u32::from_le_bytes(*word)))
}

/// The sum of a stretch: of its bytes and their number, so that an empty stretch of zeros is no entry.
pub(super) fn sum_of(bytes: &[u8]) -> u32 {
    crc32c::crc32c_append(bytes.len() as u32, bytes)
}
