//! A message body: its length is known, its bytes are fetched in pieces, it may be larger than memory.

use bytes::Bytes;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;

/// Most bytes that one read gives.
pub const MAX_CHUNK: usize = 256 << 10;

/// Where a body's bytes are: in memory, in a file of the run directory, in a segment of a store, behind a wire.
pub trait BodySource: Send + Sync {
    /// Length in bytes.
    fn len(&self) -> u64;

    /// Whether there are no bytes at all.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// All of it, where it is in memory already.
    fn in_memory(&self) -> Option<Bytes>;

    /// Up to `at_most` bytes from `offset`, fewer only at the end; waits for the disk on the calling thread.
    ///
    /// # Errors
    /// What the disk said, or `InvalidData` where a checksum is wrong.
    fn read_blocking(&self, offset: u64, at_most: usize) -> io::Result<Bytes>;

    /// The same without holding up the calling thread.
    fn read<'a>(
        &'a self,
        offset: u64,
        at_most: usize,
    ) -> Pin<Box<dyn Future<Output = io::Result<Bytes>> + Send + 'a>>;
}

/// A stretch of a source. Cloning shares the source.
#[derive(Clone)]
pub struct Body {
    source: Arc<dyn BodySource>,
    start: u64,
    len: u64,
}

impl Body {
    /// All of a source.
    pub fn new(source: Arc<dyn BodySource>) -> Self {
        let len = source.len();
        Self { source, start: 0, len }
    }

    /// A body in memory.
    pub fn from_bytes(bytes: impl Into<Bytes>) -> Self {
        Self::new(Arc::new(InMemory(bytes.into())))
    }

    /// These one after the other, such as header lines of our own before a message. Copies only what
    /// a read takes from more than one part.
    pub fn joined(parts: Vec<Self>) -> Self {
        Self::new(Arc::new(Joined(parts)))
    }

    /// Length in bytes.
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Whether it has no bytes.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The stretch from `start` with at most `len` bytes, cut at the end of this body.
    #[must_use]
    pub fn slice(&self, start: u64, len: u64) -> Self {
        let start = start.min(self.len);
        let len = len.min(self.len - start);
        Self { source: Arc::clone(&self.source), start: self.start + start, len }
    }

    /// All of it, where it is in memory already.
    pub fn in_memory(&self) -> Option<Bytes> {
        let all = self.source.in_memory()?;
        let start = usize::try_from(self.start).ok()?;
        let end = usize::try_from(self.start + self.len).ok()?;
        (end <= all.len()).then(|| all.slice(start..end))
    }

    /// Up to `at_most` (and [`MAX_CHUNK`]) bytes from `offset`; fewer only at the end, none past it.
    ///
    /// # Errors
    /// What the disk or the wire said.
    pub async fn read(&self, offset: u64, at_most: usize) -> io::Result<Bytes> {
        match self.clamp(offset, at_most) {
            0 => Ok(Bytes::new()),
            n => self.source.read(self.start + offset, n).await,
        }
    }

    /// As [`Body::read`], waiting on the calling thread: for storage threads.
    ///
    /// # Errors
    /// What the disk or the wire said.
    pub fn read_blocking(&self, offset: u64, at_most: usize) -> io::Result<Bytes> {
        match self.clamp(offset, at_most) {
            0 => Ok(Bytes::new()),
            n => self.source.read_blocking(self.start + offset, n),
        }
    }

    /// Fills the buffer with the bytes from `offset` on, waiting on the calling thread.
    ///
    /// # Errors
    /// `UnexpectedEof` where the body ends before, `InvalidData` where the source gives more than it was asked for;
    /// what the disk or the wire said.
    pub fn fill_blocking(&self, mut offset: u64, mut buffer: &mut [u8]) -> io::Result<()> {
        while !buffer.is_empty() {
            let piece = self.read_blocking(offset, buffer.len())?;
            let (now, rest) = buffer.split_at_mut_checked(piece.len()).ok_or(io::ErrorKind::InvalidData)?;
            if now.is_empty() {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            now.copy_from_slice(&piece);
            offset += piece.len() as u64;
            buffer = rest;
        }
        Ok(())
    }

    fn clamp(&self, offset: u64, at_most: usize) -> usize {
        let left = self.len.saturating_sub(offset);
        usize::try_from(left).unwrap_or(usize::MAX).min(at_most).min(MAX_CHUNK)
    }
}

impl std::fmt::Debug for Body {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Body({} bytes)", self.len)
    }
}

struct InMemory(Bytes);

impl InMemory {
    fn piece(&self, offset: u64, at_most: usize) -> Bytes {
        let start = usize::try_from(offset).unwrap_or(usize::MAX).min(self.0.len());
        let end = start.saturating_add(at_most).min(self.0.len());
        self.0.slice(start..end)
    }
}

impl BodySource for InMemory {
    fn len(&self) -> u64 {
        self.0.len() as u64
    }

    fn in_memory(&self) -> Option<Bytes> {
        Some(self.0.clone())
    }

    fn read_blocking(&self, offset: u64, at_most: usize) -> io::Result<Bytes> {
        Ok(self.piece(offset, at_most))
    }

    fn read<'a>(
        &'a self,
        offset: u64,
        at_most: usize,
    ) -> Pin<Box<dyn Future<Output = io::Result<Bytes>> + Send + 'a>> {
        let piece = self.piece(offset, at_most);
        Box::pin(std::future::ready(Ok(piece)))
    }
}

struct Joined(Vec<Body>);

impl Joined {
    /// The part that has the byte at `offset`, and that byte's place in it.
    fn part(&self, mut offset: u64) -> Option<(&Body, u64)> {
        for part in &self.0 {
            if offset < part.len() {
                return Some((part, offset));
            }
            offset -= part.len();
        }
        None
    }
}

impl BodySource for Joined {
    fn len(&self) -> u64 {
        self.0.iter().map(Body::len).sum()
    }

    fn in_memory(&self) -> Option<Bytes> {
        None
    }

    fn read_blocking(&self, offset: u64, at_most: usize) -> io::Result<Bytes> {
        let mut gathered = Gathered::new(at_most);
        while let Some((part, within)) = gathered.next(self, offset) {
            gathered.add(part.read_blocking(within, gathered.wanted())?);
        }
        Ok(gathered.finish())
    }

    fn read<'a>(
        &'a self,
        offset: u64,
        at_most: usize,
    ) -> Pin<Box<dyn Future<Output = io::Result<Bytes>> + Send + 'a>> {
        Box::pin(async move {
            let mut gathered = Gathered::new(at_most);
            while let Some((part, within)) = gathered.next(self, offset) {
                gathered.add(part.read(within, gathered.wanted()).await?);
            }
            Ok(gathered.finish())
        })
    }
}

/// One read over several parts: the first piece as it is, and copied only where another follows.
struct Gathered {
    first: Bytes,
    all: Vec<u8>,
    at_most: usize,
    ended: bool,
}

impl Gathered {
    fn new(at_most: usize) -> Self {
        Self { first: Bytes::new(), all: Vec::new(), at_most, ended: false }
    }

    fn len(&self) -> usize {
        self.first.len().max(self.all.len())
    }

    fn wanted(&self) -> usize {
        self.at_most - self.len()
    }

    /// The part that the read goes on with; none when it has enough, or at the end.
    fn next<'a>(&self, parts: &'a Joined, offset: u64) -> Option<(&'a Body, u64)> {
        if self.wanted() == 0 || self.ended { None } else { parts.part(offset + self.len() as u64) }
    }

    fn add(&mut self, piece: Bytes) {
        self.ended = piece.is_empty();
        if self.len() == 0 {
            self.first = piece;
        } else {
            if self.all.is_empty() {
                self.all = self.first.to_vec();
            }
            self.all.extend_from_slice(&piece);
        }
    }

    fn finish(self) -> Bytes {
        if self.all.is_empty() { self.first } else { self.all.into() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_buffer_is_filled_from_pieces_and_a_body_that_ends_early_is_an_error() {
        let body = Body::joined(["12", "34", "5"].map(Body::from_bytes).to_vec());
        let mut buffer = [0; 3];
        body.fill_blocking(1, &mut buffer).unwrap();
        assert_eq!(&buffer, b"234");
        assert_eq!(body.fill_blocking(3, &mut buffer).unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
    }

    #[test]
    fn joined_parts_read_as_one() {
        let parts = ["Return-Path: <>\r\n", "", "0123456789"].map(Body::from_bytes).to_vec();
        let body = Body::joined(parts).slice(13, 11);
        assert_eq!(body.read_blocking(0, 100).unwrap(), "<>\r\n0123456");
        assert_eq!(body.read_blocking(1, 4).unwrap(), ">\r\n0");
        assert_eq!(body.read_blocking(6, 2).unwrap(), "23");
        assert!(body.read_blocking(11, 5).unwrap().is_empty());
    }

    #[test]
    fn slices_of_slices_stay_inside() {
        let body = Body::from_bytes("0123456789").slice(2, 6);
        assert_eq!(body.read_blocking(1, 3).unwrap(), "345");
        assert_eq!(body.slice(4, 100).in_memory().unwrap(), "67");
        assert_eq!(body.read_blocking(5, 100).unwrap(), "7");
        assert!(body.read_blocking(6, 1).unwrap().is_empty());
        assert!(body.slice(100, 1).is_empty());
    }
}
