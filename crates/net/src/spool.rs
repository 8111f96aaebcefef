//! Collecting a body: in memory first, in a file of the run directory past a limit.
//!
//! The file has no name: it is gone with the last reader, also after a crash.

use bytes::{Bytes, BytesMut};
use env::budget::{Budget, Share};
use roles::{Body, BodySource};
use std::fs::File;
use std::future::Future;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;

/// Memory is taken from the budget in steps of this many bytes.
const STEP: usize = 16 << 10;
/// Bytes gathered before they go to the file.
const WRITE_SIZE: usize = 128 << 10;

/// A body that is being received.
pub struct Spool {
    memory: BytesMut,
    shares: Vec<Share>,
    file: Option<Arc<File>>,
    written: u64,
    limit: usize,
    budget: Budget,
    folder: Arc<PathBuf>,
}

impl Spool {
    /// Keeps up to `limit` bytes in memory, as long as the budget has them; the rest goes to a file in `folder`.
    pub fn new(limit: usize, budget: Budget, folder: Arc<PathBuf>) -> Self {
        Self { memory: BytesMut::new(), shares: Vec::new(), file: None, written: 0, limit, budget, folder }
    }

    /// Bytes so far.
    pub fn len(&self) -> u64 {
        self.written + self.memory.len() as u64
    }

    /// Whether nothing has come yet.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Adds bytes.
    ///
    /// # Errors
    /// What the disk said: the message cannot be taken now.
    pub async fn push(&mut self, bytes: &[u8]) -> io::Result<()> {
        let wanted = self.memory.len() + bytes.len();
        if self.file.is_none() && !(wanted <= self.limit && self.take(wanted)) {
            self.file = Some(Arc::new(self.create().await?));
        }
        self.memory.extend_from_slice(bytes);
        if self.file.is_some() && self.memory.len() >= WRITE_SIZE {
            self.spill().await?;
        }
        Ok(())
    }

    /// All of it, as a body.
    ///
    /// # Errors
    /// What the disk said.
    pub async fn finish(mut self) -> io::Result<Body> {
        if self.file.is_none() {
            let bytes = self.memory.freeze();
            return Ok(Body::new(Arc::new(Held { bytes, _shares: self.shares })));
        }
        self.spill().await?;
        let file = self.file.ok_or_else(|| io::Error::other("the spool file is gone"))?;
        Ok(Body::new(Arc::new(Spooled { file, len: self.written })))
    }

    /// Whether the budget gives shares for this many bytes in all.
    fn take(&mut self, bytes: usize) -> bool {
        while self.shares.len() * STEP < bytes {
            match self.budget.try_take(STEP) {
                Some(share) => self.shares.push(share),
                None => return false,
            }
        }
        true
    }

    async fn create(&self) -> io::Result<File> {
        let folder = Arc::clone(&self.folder);
        blocking(move || tempfile::tempfile_in(folder.as_path())).await
    }

    async fn spill(&mut self) -> io::Result<()> {
        let Some(file) = self.file.clone() else { return Ok(()) };
        let (bytes, offset) = (self.memory.split().freeze(), self.written);
        self.written += bytes.len() as u64;
        blocking(move || file.write_all_at(&bytes, offset)).await
    }
}

/// A body in memory with its share of the budget.
struct Held {
    bytes: Bytes,
    _shares: Vec<Share>,
}

impl BodySource for Held {
    fn len(&self) -> u64 {
        self.bytes.len() as u64
    }

    fn in_memory(&self) -> Option<Bytes> {
        Some(self.bytes.clone())
    }

    fn read_blocking(&self, offset: u64, at_most: usize) -> io::Result<Bytes> {
        let start = usize::try_from(offset).unwrap_or(usize::MAX).min(self.bytes.len());
        Ok(self.bytes.slice(start..start.saturating_add(at_most).min(self.bytes.len())))
    }

    fn read<'a>(
        &'a self,
        offset: u64,
        at_most: usize,
    ) -> Pin<Box<dyn Future<Output = io::Result<Bytes>> + Send + 'a>> {
        let piece = self.read_blocking(offset, at_most);
        Box::pin(std::future::ready(piece))
    }
}

/// A body in a file without a name.
struct Spooled {
    file: Arc<File>,
    len: u64,
}

impl BodySource for Spooled {
    fn len(&self) -> u64 {
        self.len
    }

    fn in_memory(&self) -> Option<Bytes> {
        None
    }

    fn read_blocking(&self, offset: u64, at_most: usize) -> io::Result<Bytes> {
        read_file(&self.file, offset, at_most)
    }

    fn read<'a>(
        &'a self,
        offset: u64,
        at_most: usize,
    ) -> Pin<Box<dyn Future<Output = io::Result<Bytes>> + Send + 'a>> {
        let file = Arc::clone(&self.file);
        Box::pin(blocking(move || read_file(&file, offset, at_most)))
    }
}

fn read_file(file: &File, offset: u64, at_most: usize) -> io::Result<Bytes> {
    let mut buffer = vec![0; at_most];
    let mut filled = 0;
    while filled < at_most {
        match file.read_at(&mut buffer[filled..], offset + filled as u64)? {
            0 => break,
            n => filled += n,
        }
    }
    buffer.truncate(filled);
    Ok(buffer.into())
}

/// Runs file work off the runtime's threads. A session has one such job at a time, so the line is as short as
/// the list of sessions with a large message.
#[expect(
    clippy::disallowed_methods,
    reason = "one job a session at most; the runtime bounds its blocking threads"
)]
async fn blocking<T: Send + 'static>(job: impl FnOnce() -> io::Result<T> + Send + 'static) -> io::Result<T> {
    tokio::task::spawn_blocking(job).await.map_err(io::Error::other)?
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn collect(limit: usize, budget: usize, pieces: &[Vec<u8>]) -> Body {
        let folder = Arc::new(std::env::temp_dir());
        let mut spool = Spool::new(limit, Budget::new(budget), folder);
        for piece in pieces {
            spool.push(piece).await.unwrap();
        }
        spool.finish().await.unwrap()
    }

    #[tokio::test]
    async fn small_bodies_stay_in_memory_and_large_ones_do_not() {
        let pieces: Vec<Vec<u8>> = (0..40u8).map(|n| vec![n; 10_000]).collect();
        let all = pieces.concat();
        for (limit, budget, in_memory) in
            [(1 << 20, 1 << 20, true), (100_000, 1 << 20, false), (1 << 20, 65_536, false)]
        {
            let body = collect(limit, budget, &pieces).await;
            assert_eq!(body.in_memory().is_some(), in_memory);
            let mut read = Vec::new();
            while (read.len() as u64) < body.len() {
                read.extend_from_slice(&body.read(read.len() as u64, 70_000).await.unwrap());
            }
            assert!(read == all);
            assert_eq!(body.slice(10_000, 1).read_blocking(0, 9).unwrap(), [1u8].as_slice());
        }
    }

    #[tokio::test]
    async fn the_budget_comes_back_with_the_body() {
        let budget = Budget::new(1 << 20);
        let mut spool = Spool::new(1 << 20, budget.clone(), Arc::new(std::env::temp_dir()));
        spool.push(&[0; 100_000]).await.unwrap();
        let body = spool.finish().await.unwrap();
        assert!(budget.free() < 1 << 20);
        drop(body);
        assert_eq!(budget.free(), 1 << 20);
    }
}
