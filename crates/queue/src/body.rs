//! Bodies across the border between roles and storage.

use bytes::Bytes;
use roles::{Body, BodySource};
use std::future::Future;
use std::io;
use std::pin::Pin;
use storage::shard::{Blob, BlobSource, Shard};

/// A body on its way into the shard.
pub(crate) struct Incoming(pub(crate) Body);

impl BlobSource for Incoming {
    fn len(&self) -> u64 {
        self.0.len()
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        self.0.fill_blocking(offset, buffer)
    }
}

/// A body in the shard. It stays readable when its item is removed meanwhile.
pub(crate) struct Stored {
    pub(crate) shard: Shard,
    pub(crate) blob: Blob,
}

impl BodySource for Stored {
    fn len(&self) -> u64 {
        self.blob.len()
    }

    fn in_memory(&self) -> Option<Bytes> {
        None
    }

    fn read_blocking(&self, offset: u64, at_most: usize) -> io::Result<Bytes> {
        self.blob.body(offset..offset.saturating_add(at_most as u64)).map_err(io::Error::from)
    }

    fn read<'a>(
        &'a self,
        offset: u64,
        at_most: usize,
    ) -> Pin<Box<dyn Future<Output = io::Result<Bytes>> + Send + 'a>> {
        let range = offset..offset.saturating_add(at_most as u64);
        Box::pin(async move { self.shard.blob_body(&self.blob, range).await.map_err(io::Error::from) })
    }
}
