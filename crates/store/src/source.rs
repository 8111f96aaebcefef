//! Bodies on their way in and out of a shard, and what is noted of them on the way in.

use crate::damage::{Notices, Place};
use bytes::Bytes;
use mail::message::{Limits, Outline, Scanner, date};
use mail::search::Day;
use roles::body::MAX_CHUNK;
use roles::{Body, BodySource};
use std::future::Future;
use std::io;
use std::pin::Pin;
use storage::shard::{Blob, BlobSource, Damage, Shard, ShardError};

/// What is stored beside a body so that it need not be looked at again.
pub(crate) struct Noted {
    /// The encoded outline.
    pub(crate) outline: Vec<u8>,
    /// The day in the Date header.
    pub(crate) sent: Option<Day>,
}

/// Reads a message once, on the caller's side: the committer has better things to do.
pub(crate) async fn note(body: &Body) -> io::Result<Noted> {
    let mut scanner = Scanner::new(Limits::default());
    if let Some(all) = body.in_memory() {
        scanner.push(&all);
    } else {
        let mut at = 0;
        while at < body.len() {
            let piece = body.read(at, MAX_CHUNK).await?;
            if piece.is_empty() {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            scanner.push(&piece);
            at += piece.len() as u64;
        }
    }
    Ok(finish(scanner))
}

/// The same for a short message that is in memory.
pub(crate) fn note_bytes(message: &[u8]) -> Noted {
    let mut scanner = Scanner::new(Limits::default());
    scanner.push(message);
    finish(scanner)
}

fn finish(scanner: Scanner) -> Noted {
    let outline = scanner.finish();
    Noted { outline: outline.encode(), sent: sent(&outline) }
}

/// RFC 9051 6.4.4 SENTON: the day as written, disregarding time and timezone.
fn sent(outline: &Outline) -> Option<Day> {
    let written = date::parse(outline.envelope().date()?)?.local();
    Day::new(written.year, written.month, written.day)
}

/// A body that is to be stored.
pub(crate) struct Incoming(pub(crate) Body);

impl BlobSource for Incoming {
    fn len(&self) -> u64 {
        self.0.len()
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        self.0.fill_blocking(offset, buffer)
    }
}

/// A stored body. Holds its segment open, so that it can be read to its end whatever happens to the message.
pub(crate) struct Stored {
    pub(crate) shard: Shard,
    pub(crate) blob: Blob,
    pub(crate) place: Place,
    pub(crate) notices: Notices,
}

impl Stored {
    /// Says what a failure means for the message.
    fn failed(&self, error: ShardError) -> io::Error {
        if let Some(damage) = Damage::told_by(&error) {
            self.notices.notice(self.place, damage);
        }
        error.into()
    }
}

impl BodySource for Stored {
    fn len(&self) -> u64 {
        self.blob.len()
    }

    fn in_memory(&self) -> Option<Bytes> {
        None
    }

    fn read_blocking(&self, offset: u64, at_most: usize) -> io::Result<Bytes> {
        self.blob.body(offset..offset.saturating_add(at_most as u64)).map_err(|e| self.failed(e))
    }

    fn read<'a>(
        &'a self,
        offset: u64,
        at_most: usize,
    ) -> Pin<Box<dyn Future<Output = io::Result<Bytes>> + Send + 'a>> {
        let range = offset..offset.saturating_add(at_most as u64);
        Box::pin(async move { self.shard.blob_body(&self.blob, range).await.map_err(|e| self.failed(e)) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_day_is_the_one_that_was_written() {
        let text = "Date: Fri, 1 Mar 2024 23:30:00 -0800\r\nSubject: x\r\n\r\nbody\r\n";
        let noted = note(&Body::from_bytes(text)).await.unwrap();
        assert_eq!(noted.sent, Day::new(2024, 3, 1));
        assert_eq!(Outline::decode(&noted.outline).unwrap().size(), text.len() as u64);
        assert_eq!(note(&Body::from_bytes("\r\n")).await.unwrap().sent, None);
    }
}
