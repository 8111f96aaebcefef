//! What belongs together: which tables, newest first, and which files of changes above them, oldest first.

use super::build::sync_folder;
use super::{FORMAT, ReplicaError, failed};
use crate::codec::{Reader, put_number, put_signed};
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

const NAME: &str = "current";
const MAGIC: &[u8; 8] = b"imdircur";
/// Most tables or files of changes: far more than there ever are.
const MOST: u64 = 64;

/// See the module.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Manifest {
    /// Grows when the copy is built anew: then nothing that was read before holds.
    pub(super) epoch: u64,
    /// The folders of the tables.
    pub(super) tables: Vec<u64>,
    /// The files of changes.
    pub(super) deltas: Vec<u64>,
    /// The position in the directory's log of changes that the tables stand for.
    pub(super) position: i64,
}

impl Manifest {
    /// The manifest of a folder.
    pub(super) fn read(folder: &Path) -> Result<Self, ReplicaError> {
        let path = folder.join(NAME);
        let bytes = match std::fs::read(&path) {
            Ok(bytes) => bytes,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
                return Err(ReplicaError::Missing(folder.display().to_string()));
            }
            Err(e) => return Err(failed(&path)(e)),
        };
        Self::decode(&bytes).map_err(|error| match error {
            ReplicaError::Damaged(what) => ReplicaError::Damaged(format!("{}: {what}", path.display())),
            other => other,
        })
    }

    /// Puts it in the place of the one before, in one step that survives a crash.
    pub(super) fn write(&self, folder: &Path) -> Result<(), ReplicaError> {
        let (path, made) = (folder.join(NAME), folder.join("current.new"));
        let write = || {
            let mut options = std::fs::OpenOptions::new();
            let mut file = options.write(true).create(true).truncate(true).mode(0o600).open(&made)?;
            file.write_all(&self.encode())?;
            file.sync_all()?;
            std::fs::rename(&made, &path)
        };
        write().map_err(failed(&path))?;
        sync_folder(folder)
    }

    fn encode(&self) -> Vec<u8> {
        let mut out = MAGIC.to_vec();
        out.extend_from_slice(&FORMAT.to_le_bytes());
        put_number(&mut out, self.epoch);
        put_signed(&mut out, self.position);
        for list in [&self.tables, &self.deltas] {
            put_number(&mut out, list.len() as u64);
            list.iter().for_each(|&n| put_number(&mut out, n));
        }
        let sum = crc32c::crc32c(&out);
        out.extend_from_slice(&sum.to_le_bytes());
        out
    }

    fn decode(bytes: &[u8]) -> Result<Self, ReplicaError> {
        let damaged = || ReplicaError::Damaged("its sum is wrong".into());
        let (said, sum) = bytes.split_last_chunk::<4>().ok_or_else(damaged)?;
        let mut reader = Reader::new(said);
        if reader.array::<8>().as_ref() != Some(MAGIC) {
            return Err(ReplicaError::Damaged("it is not of a directory cache".into()));
        }
        let format = reader.array::<4>().map(u32::from_le_bytes).ok_or_else(damaged)?;
        if format != FORMAT {
            return Err(ReplicaError::Format { found: format, known: FORMAT });
        }
        if crc32c::crc32c(said) != u32::from_le_bytes(*sum) {
            return Err(damaged());
        }
        let read = |reader: &mut Reader<'_>| {
            let (epoch, position) = (reader.number()?, reader.signed()?);
            let (tables, deltas) = (list(reader)?, list(reader)?);
            Some(Self { epoch, tables, deltas, position })
        };
        read(&mut reader).ok_or_else(damaged)
    }
}

fn list(reader: &mut Reader<'_>) -> Option<Vec<u64>> {
    let count = reader.number().filter(|&n| n <= MOST)?;
    (0..count).map(|_| reader.number()).collect()
}

/// The file of changes of that number.
pub(super) fn delta_path(folder: &Path, number: u64) -> PathBuf {
    folder.join(format!("changes-{number:010}.log"))
}
