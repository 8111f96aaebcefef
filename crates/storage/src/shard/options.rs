//! How large and how patient a shard is. The defaults suit a process with a few shards and 300 MB of memory.

use super::fence::Holder;

/// Sizes and limits of a shard; set once when it is opened.
#[derive(Debug, Clone)]
pub struct ShardOptions {
    /// A segment that has reached this many bytes takes no further group. 1 MiB to 1 GiB.
    pub segment_bytes: u64,
    /// A group of commits takes no further task once its bodies and rows have this many bytes. Also the most that
    /// is held in memory before it is written.
    pub group_bytes: usize,
    /// Most commits that wait; the next one waits outside the line, without a place in memory for its body.
    pub waiting: usize,
    /// Reader threads.
    pub readers: usize,
    /// Most reads that wait for a reader thread.
    pub reads_waiting: usize,
    /// Bytes of index blocks kept in memory.
    pub index_cache: u64,
    /// Bytes of changed rows kept in memory before they are written to a table of the index (about three such may
    /// be in memory at once).
    pub index_memtable: u64,
    /// Bytes of disk that stay free for the index to finish what it does; below, commits are refused as
    /// [`Full`](super::ShardError::Full). On a small file system at most a sixteenth of it.
    pub reserve: u64,
    /// By what right the process has it; `None`: by the lock on its folder alone, as nobody else can come to have it.
    pub holder: Option<Holder>,
}

impl Default for ShardOptions {
    fn default() -> Self {
        Self {
            segment_bytes: 64 << 20,
            group_bytes: 4 << 20,
            waiting: 1024,
            readers: 2,
            reads_waiting: 1024,
            index_cache: 24 << 20,
            index_memtable: 8 << 20,
            reserve: 64 << 20,
            holder: None,
        }
    }
}
