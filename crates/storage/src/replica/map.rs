//! The one place that maps files into memory.

use std::fs::File;
use std::io;
use std::ops::Deref;

/// The bytes of a file that nobody changes any more.
#[derive(Debug)]
pub(super) struct Mapped(memmap2::Mmap);

impl Mapped {
    /// Maps a whole file.
    ///
    /// # Errors
    /// What the system said.
    pub(super) fn new(file: &File) -> io::Result<Self> {
        // SAFETY: a mapping is sound as long as nobody changes the file. A table is written under another name, synced,
        // renamed to its own, and never opened for writing again; it is removed by its name only, which leaves
        // the mapping whole; its folder is the service user's alone. The length was checked against the header
        // by the caller before any entry is looked at.
        #[expect(unsafe_code, reason = "the reviewed corner: see the comment above")]
        let map = unsafe { memmap2::Mmap::map(file)? };
        // In large pages, and read in such pieces where it is not in memory yet: see `pieces`. A system that has none maps it
        // as it is.
        let _ = map.advise(memmap2::Advice::HugePage);
        Ok(Self(map))
    }
}

impl Deref for Mapped {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}
