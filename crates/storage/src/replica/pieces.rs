//! Writing a table so that the system keeps it in large pages.
//!
//! A look-up among millions of accounts is two touches of memory that no cache of the processor has, and as long as both
//! take is the finding of their pages. A file that is written in whole aligned pieces of the size of a large page is kept in
//! such pages, where the file system can (ext4 and XFS of today's kernels), and is mapped by one entry of the page table each; where
//! it cannot, nothing is lost.

use std::fs::File;
use std::io::{self, Write as _};

/// The size of a large page.
const LARGE: usize = 2 << 20;
/// Bytes that all files of a table hold in memory together before they are written.
const ALL: usize = 32 << 20;
/// Smallest piece.
const LEAST: usize = 64 << 10;

/// The size of the pieces of each file of a table of so many.
pub(super) fn size(files: usize) -> usize {
    let share = ALL / files.max(1);
    if share >= LARGE { LARGE } else { (share.max(LEAST) + 1).next_power_of_two() / 2 }
}

/// A file that is written from its beginning in whole pieces.
pub(super) struct Pieces {
    file: File,
    held: Vec<u8>,
    piece: usize,
    written: u64,
}

impl Pieces {
    /// An empty file, in pieces of that size.
    pub(super) fn new(file: File, piece: usize) -> Self {
        Self { file, held: Vec::with_capacity(piece), piece, written: 0 }
    }

    /// Bytes so far, those that are held among them.
    pub(super) fn written(&self) -> u64 {
        self.written
    }

    pub(super) fn put(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        self.written += bytes.len() as u64;
        while self.held.len() + bytes.len() >= self.piece {
            let (now, later) = bytes.split_at(self.piece - self.held.len());
            self.held.extend_from_slice(now);
            self.file.write_all(&self.held)?;
            self.held.clear();
            bytes = later;
        }
        self.held.extend_from_slice(bytes);
        Ok(())
    }

    /// Writes what is held; the file.
    pub(super) fn finish(mut self) -> io::Result<File> {
        self.file.write_all(&self.held)?;
        Ok(self.file)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_are_whole_and_all_files_of_a_table_share_their_memory() {
        for files in [1, 2, 16, 17, 255, 256, 1024] {
            let size = size(files);
            assert!(size.is_power_of_two() && (LEAST..=LARGE).contains(&size), "{files}: {size}");
            assert!(size == LEAST || size * files <= ALL, "{files}: {size}");
        }
        assert_eq!((size(1), size(16)), (LARGE, LARGE));
    }

    #[test]
    fn what_is_put_stands_in_the_file_whatever_its_parts() {
        let folder = tempfile::tempdir().unwrap();
        let all: Vec<u8> = (0..1000_u32).map(|n| (n % 251) as u8).collect();
        for part in [1, 7, 64, 65, 200, 1000] {
            let path = folder.path().join(part.to_string());
            let mut pieces = Pieces::new(File::create(&path).unwrap(), 64);
            all.chunks(part).for_each(|bytes| pieces.put(bytes).unwrap());
            assert_eq!(pieces.written(), 1000);
            pieces.finish().unwrap();
            assert_eq!(std::fs::read(&path).unwrap(), all, "{part}");
        }
    }
}
