//! Rows in a file: written once in order, read in any, every byte under a checksum.
//!
//! What a backup keeps of an index. Not the index itself, because that is fjall's and of this release; this is ours, and
//! a reader of it needs a few blocks in memory, however many rows there are.
//!
//! ```text
//! file    = title (16) block* fences end (32)
//! block   = length (4) sum (4) { key value }      about 64 KiB
//! fences  = the same, { first key of a block, its offset }
//! end     = rows (8) offset of the fences (8) "IMROWEND" sum (4) zero (4)
//! ```
//! Numbers are little-endian, sums are CRC-32C and begin with the offset at which they stand.

use super::error::ShardError;
use super::rows::{EachRow, KeyRange, OwnRows, Rows, Value};
use crate::codec::{Reader, put_bytes, put_number};
use fjall::Slice;
use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, BufWriter, Write as _};
use std::ops::{ControlFlow, Range};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

const TITLE: &[u8; 16] = b"intermail rows 1";
const END_MARK: &[u8; 8] = b"IMROWEND";
const END: u64 = 32;
/// Length and sum in front of a block.
const BLOCK_HEAD: u64 = 8;
/// A block ends with the row that makes it this long.
const BLOCK: usize = 64 << 10;
/// Longest block that is believed: one with the largest row, or the fences of a file of some terabytes.
const MAX_BLOCK: u32 = 256 << 20;
/// Blocks that a reader keeps.
const KEPT: usize = 8;

/// What stands in a finished file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Written {
    pub(crate) rows: u64,
    pub(crate) bytes: u64,
    /// Of all its bytes.
    pub(crate) sum: u32,
}

/// A file that is being written.
pub(crate) struct TableWriter {
    file: BufWriter<File>,
    block: Vec<u8>,
    first: Vec<u8>,
    last: Vec<u8>,
    fences: Vec<u8>,
    written: Written,
}

impl TableWriter {
    /// Begins a new file, readable for its owner alone. One that is there is an error.
    pub(crate) fn create(path: &Path) -> io::Result<Self> {
        use std::os::unix::fs::OpenOptionsExt as _;
        let file = File::options().write(true).create_new(true).mode(0o600).open(path)?;
        let mut table = Self {
            file: BufWriter::with_capacity(BLOCK, file),
            block: Vec::with_capacity(BLOCK + 4096),
            first: Vec::new(),
            last: Vec::new(),
            fences: Vec::new(),
            written: Written::default(),
        };
        table.put(TITLE)?;
        Ok(table)
    }

    /// Adds a row; its key must be greater than all before it.
    pub(crate) fn add(&mut self, key: &[u8], value: &[u8]) -> io::Result<()> {
        if self.written.rows > 0 && key <= self.last.as_slice() {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "rows out of order"));
        }
        if self.block.is_empty() {
            self.first = key.to_vec();
        }
        self.last.clear();
        self.last.extend_from_slice(key);
        put_bytes(&mut self.block, key);
        put_bytes(&mut self.block, value);
        self.written.rows += 1;
        if self.block.len() >= BLOCK { self.end_block() } else { Ok(()) }
    }

    /// Writes the rest and makes the file durable; its name is the caller's business.
    pub(crate) fn finish(mut self) -> io::Result<Written> {
        if !self.block.is_empty() {
            self.end_block()?;
        }
        let fences_at = self.written.bytes;
        let fences = std::mem::take(&mut self.fences);
        self.put_block(&fences)?;
        let mut end = Vec::with_capacity(32);
        end.extend_from_slice(&self.written.rows.to_le_bytes());
        end.extend_from_slice(&fences_at.to_le_bytes());
        end.extend_from_slice(END_MARK);
        let sum = sum_at(self.written.bytes, &end);
        end.extend_from_slice(&sum.to_le_bytes());
        end.extend_from_slice(&[0; 4]);
        self.put(&end)?;
        self.file.flush()?;
        self.file.get_ref().sync_all()?;
        Ok(self.written)
    }

    fn end_block(&mut self) -> io::Result<()> {
        put_bytes(&mut self.fences, &self.first);
        put_number(&mut self.fences, self.written.bytes);
        let mut block = std::mem::take(&mut self.block);
        self.put_block(&block)?;
        block.clear();
        self.block = block;
        Ok(())
    }

    fn put_block(&mut self, block: &[u8]) -> io::Result<()> {
        let len =
            u32::try_from(block.len()).ok().filter(|&n| n <= MAX_BLOCK).ok_or(io::ErrorKind::FileTooLarge)?;
        let sum = sum_at(self.written.bytes, block);
        self.put(&len.to_le_bytes())?;
        self.put(&sum.to_le_bytes())?;
        self.put(block)
    }

    fn put(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.file.write_all(bytes)?;
        self.written.sum = crc32c::crc32c_append(self.written.sum, bytes);
        self.written.bytes += bytes.len() as u64;
        Ok(())
    }
}

/// The sum of bytes that belong to the block at this offset.
fn sum_at(offset: u64, bytes: &[u8]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(&offset.to_le_bytes()), bytes)
}

/// A finished file, open for reading.
pub(crate) struct Table {
    path: PathBuf,
    file: File,
    rows: u64,
    /// The first key of each block and where the block is.
    fences: Vec<(Box<[u8]>, u64)>,
    kept: Mutex<VecDeque<(usize, Arc<Block>)>>,
}

/// The rows of a block: where key and value of each are.
struct Block {
    bytes: Vec<u8>,
    rows: Vec<(Range<usize>, Range<usize>)>,
}

impl Block {
    fn decode(bytes: Vec<u8>) -> Option<Self> {
        let mut rows = Vec::new();
        let mut r = Reader::new(&bytes);
        while !r.is_empty() {
            let mut range = || {
                let len = r.bytes()?.len();
                let end = bytes.len() - r.rest().len();
                Some(end - len..end)
            };
            rows.push((range()?, range()?));
        }
        Some(Self { bytes, rows })
    }

    fn row(&self, at: usize) -> Option<(&[u8], &[u8])> {
        let (key, value) = self.rows.get(at)?;
        Some((&self.bytes[key.clone()], &self.bytes[value.clone()]))
    }

    /// The first row whose key is not below this one.
    fn find(&self, key: &[u8]) -> usize {
        self.rows.partition_point(|(k, _)| &self.bytes[k.clone()] < key)
    }
}

impl Table {
    /// Opens a file and reads its fences.
    pub(crate) fn open(path: &Path) -> Result<Self, ShardError> {
        let file = File::open(path).map_err(ShardError::io)?;
        let len = file.metadata().map_err(ShardError::io)?.len();
        let mut table = Self { path: path.into(), file, rows: 0, fences: Vec::new(), kept: Mutex::default() };
        let mut title = [0; TITLE.len()];
        table.read(&mut title, 0)?;
        let end_at = len.checked_sub(END).filter(|_| title == *TITLE).ok_or_else(|| table.damaged(0))?;
        let mut end = [0; END as usize];
        table.file.read_exact_at(&mut end, end_at).map_err(ShardError::io)?;
        let fences_at;
        (table.rows, fences_at) = read_end(end_at, &end).ok_or_else(|| table.damaged(end_at))?;
        let fences = table.read_block(fences_at, end_at)?;
        let mut r = Reader::new(&fences);
        while !r.is_empty() {
            let fence = r.bytes().map(Box::from).zip(r.number());
            table.fences.push(fence.ok_or_else(|| table.damaged(fences_at))?);
        }
        Ok(table)
    }

    /// How many rows it has.
    pub(crate) fn len(&self) -> u64 {
        self.rows
    }

    /// Hands every row to the closure, in order. Every sum is verified, and that keys ascend.
    pub(crate) fn walk(
        &self,
        mut each: impl FnMut(&[u8], &[u8]) -> ControlFlow<()>,
    ) -> Result<(), ShardError> {
        let (mut last, mut rows) = (Vec::new(), 0);
        for number in 0..self.fences.len() {
            let block = self.block(number)?;
            for (key, value) in (0..block.rows.len()).filter_map(|at| block.row(at)) {
                if rows > 0 && key <= last.as_slice() {
                    return Err(self.damaged(self.fences[number].1));
                }
                rows += 1;
                last.clear();
                last.extend_from_slice(key);
                if each(key, value).is_break() {
                    return Ok(());
                }
            }
        }
        if rows == self.rows { Ok(()) } else { Err(self.damaged(0)) }
    }

    /// The block with this number: one that is kept, or read.
    fn block(&self, number: usize) -> Result<Arc<Block>, ShardError> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(at) = kept.iter().position(|(n, _)| *n == number) {
            let found = kept.remove(at);
            kept.extend(found);
            return kept.back().map(|(_, block)| Arc::clone(block)).ok_or_else(|| self.damaged(0));
        }
        // Not across the read: two readers may read it twice.
        drop(kept);
        let &(_, offset) = self.fences.get(number).ok_or_else(|| self.damaged(0))?;
        let bytes = self.read_block(offset, u64::MAX)?;
        let block = Arc::new(Block::decode(bytes).ok_or_else(|| self.damaged(offset))?);
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() >= KEPT {
            kept.pop_front();
        }
        kept.push_back((number, Arc::clone(&block)));
        Ok(block)
    }

    fn read_block(&self, offset: u64, end: u64) -> Result<Vec<u8>, ShardError> {
        let mut head = [0; BLOCK_HEAD as usize];
        self.read(&mut head, offset)?;
        let [a, b, c, d, rest @ ..] = head;
        let (len, sum) = (u32::from_le_bytes([a, b, c, d]), u32::from_le_bytes(rest));
        let fits = offset.checked_add(BLOCK_HEAD + u64::from(len)).is_some_and(|to| to <= end);
        if len > MAX_BLOCK || !fits {
            return Err(self.damaged(offset));
        }
        let mut bytes = vec![0; len as usize];
        self.read(&mut bytes, offset + BLOCK_HEAD)?;
        if sum_at(offset, &bytes) == sum { Ok(bytes) } else { Err(self.damaged(offset)) }
    }

    fn read(&self, buffer: &mut [u8], offset: u64) -> Result<(), ShardError> {
        self.file.read_exact_at(buffer, offset).map_err(|e| match e.kind() {
            io::ErrorKind::UnexpectedEof => self.damaged(offset),
            _ => ShardError::io(e),
        })
    }

    fn damaged(&self, offset: u64) -> ShardError {
        ShardError::corrupt(format!("{} is damaged at offset {offset}", self.path.display()))
    }

    /// The number of the block in which this key is, if it is anywhere.
    fn block_of(&self, key: &[u8]) -> usize {
        self.fences.partition_point(|(first, _)| &first[..] <= key).saturating_sub(1)
    }
}

/// How many rows there are and where the fences begin.
fn read_end(at: u64, end: &[u8; END as usize]) -> Option<(u64, u64)> {
    let mut r = Reader::new(end);
    let rows = u64::from_le_bytes(r.array()?);
    let fences = u64::from_le_bytes(r.array()?);
    let mark = r.array::<8>()?;
    let sum = u32::from_le_bytes(r.array()?);
    let good = mark == *END_MARK && sum == sum_at(at, end.get(..24)?) && fences < at;
    good.then_some((rows, fences))
}

impl Rows for Table {
    fn get(&self, key: &[u8]) -> Result<Option<Value>, ShardError> {
        if self.fences.is_empty() {
            return Ok(None);
        }
        let block = self.block(self.block_of(key))?;
        let found = block.row(block.find(key)).filter(|(found, _)| *found == key);
        Ok(found.map(|(_, value)| Value(Slice::from(value))))
    }

    fn scan(&self, range: KeyRange, each: EachRow<'_>) -> Result<(), ShardError> {
        self.scan_own(range.without_own(), each)
    }

    fn scan_back(&self, range: KeyRange, each: EachRow<'_>) -> Result<(), ShardError> {
        let range = range.without_own();
        if range.is_empty() || self.fences.is_empty() {
            return Ok(());
        }
        let first = self.block_of(&range.from);
        let last = range.to.as_deref().map_or(self.fences.len() - 1, |to| self.block_of(to));
        for number in (first..=last).rev() {
            let block = self.block(number)?;
            let end = range.to.as_deref().map_or(block.rows.len(), |to| block.find(to));
            for (key, value) in (0..end).rev().filter_map(|at| block.row(at)) {
                if key < range.from.as_slice() || each(key, value).is_break() {
                    return Ok(());
                }
            }
        }
        Ok(())
    }
}

impl OwnRows for Table {
    fn scan_own(&self, range: KeyRange, each: EachRow<'_>) -> Result<(), ShardError> {
        if range.is_empty() {
            return Ok(());
        }
        for number in self.block_of(&range.from)..self.fences.len() {
            let block = self.block(number)?;
            for at in block.find(&range.from)..block.rows.len() {
                let Some((key, value)) = block.row(at) else { break };
                if range.to.as_deref().is_some_and(|to| key >= to) || each(key, value).is_break() {
                    return Ok(());
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    type Map = BTreeMap<Vec<u8>, Vec<u8>>;

    fn write(path: &Path, rows: &Map) -> Written {
        let mut writer = TableWriter::create(path).unwrap();
        rows.iter().for_each(|(key, value)| writer.add(key, value).unwrap());
        writer.finish().unwrap()
    }

    fn collect(scan: impl FnOnce(EachRow<'_>) -> Result<(), ShardError>) -> Vec<(Vec<u8>, Vec<u8>)> {
        let mut all = Vec::new();
        scan(&mut |key, value| {
            all.push((key.to_vec(), value.to_vec()));
            ControlFlow::Continue(())
        })
        .unwrap();
        all
    }

    /// Rows of several blocks: keys of two bytes from 1 on.
    fn many() -> Map {
        let row = |n: u16| (n.to_be_bytes().to_vec(), vec![n.to_le_bytes()[0]; usize::from(n) * 7]);
        (1..700).step_by(2).map(row).collect()
    }

    #[test]
    fn rows_are_found_in_any_order_and_in_any_range() {
        let dir = tempfile::tempdir().unwrap();
        let (path, rows) = (dir.path().join("rows"), many());
        let written = write(&path, &rows);
        let content = std::fs::read(&path).unwrap();
        assert_eq!((written.bytes, written.sum), (content.len() as u64, crc32c::crc32c(&content)));
        let table = Table::open(&path).unwrap();
        assert!(table.fences.len() > 5 && table.len() == rows.len() as u64);
        for n in 0..=701u16 {
            let key = n.to_be_bytes();
            assert_eq!(table.get(&key).unwrap().map(|v| v.to_vec()), rows.get(&key[..]).cloned(), "{n}");
        }
        for (from, to) in [(0, 701), (1, 2), (2, 2), (3, 600), (255, 257), (699, 800), (800, 900)] {
            let (from, to): (u16, u16) = (from, to);
            let (from, to) = (from.to_be_bytes().to_vec(), to.to_be_bytes().to_vec());
            let range = KeyRange::new(from.clone(), to.clone());
            let mut expected: Vec<_> = rows.range(from..to).map(|(k, v)| (k.clone(), v.clone())).collect();
            assert_eq!(collect(|each| table.scan_own(range.clone(), each)), expected);
            expected.retain(|(key, _)| key[0] > 0);
            assert_eq!(collect(|each| table.scan(range.clone(), each)), expected);
            expected.reverse();
            assert_eq!(collect(|each| table.scan_back(range, each)), expected);
        }
        assert_eq!(collect(|each| table.scan_own(KeyRange::prefix([]), each)).len(), rows.len());
    }

    #[test]
    fn an_empty_file_has_no_rows_and_no_order_is_no_file() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("rows");
        write(&path, &Map::new());
        let table = Table::open(&path).unwrap();
        assert!(
            table.get(b"x").unwrap().is_none()
                && collect(|each| table.scan_back(KeyRange::prefix([]), each)).is_empty()
        );
        assert!(TableWriter::create(&path).is_err());
        let mut writer = TableWriter::create(&dir.path().join("other")).unwrap();
        writer.add(b"b", b"").unwrap();
        assert!(writer.add(b"b", b"").is_err() && writer.add(b"a", b"").is_err());
    }

    #[test]
    fn a_flipped_bit_and_a_lost_end_are_found() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("rows");
        write(&path, &many());
        let good = std::fs::read(&path).unwrap();
        let whole = |bytes: &[u8]| {
            std::fs::write(&path, bytes).unwrap();
            Table::open(&path).and_then(|table| table.walk(|_, _| ControlFlow::Continue(())))
        };
        whole(&good).unwrap();
        for at in (0..good.len() - 4).step_by(good.len() / 97) {
            let mut bad = good.clone();
            bad[at] ^= 4;
            assert!(matches!(whole(&bad), Err(ShardError::Corrupt(_))), "at {at}");
            assert!(matches!(whole(&good[..at]), Err(ShardError::Corrupt(_))), "until {at}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]

        #[test]
        fn what_is_written_is_read(rows in prop::collection::btree_map(any::<Vec<u8>>(), any::<Vec<u8>>(), 0..60)) {
            let dir = tempfile::tempdir().unwrap();
            let path = dir.path().join("rows");
            write(&path, &rows);
            let table = Table::open(&path).unwrap();
            let all = collect(|each| table.scan_own(KeyRange::prefix([]), each));
            prop_assert_eq!(all.into_iter().collect::<Map>(), rows);
        }

        #[test]
        fn any_bytes_are_a_table_or_not(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let dir = tempfile::tempdir().unwrap();
            let path = dir.path().join("rows");
            std::fs::write(&path, bytes).unwrap();
            let _ = Table::open(&path).and_then(|table| table.walk(|_, _| ControlFlow::Continue(())));
        }
    }
}
