//! How much of each segment is still referred to: one row a segment, changed in the commit that changes it.

use super::error::ShardError;
use super::rows::{KeyRange, OWN, OwnRows};
use crate::codec::{Reader, put_number};
use std::collections::BTreeMap;
use std::ops::ControlFlow;

/// Bytes of blobs in one segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Live {
    /// Of blobs that are referred to.
    pub(crate) live: u64,
    /// Of all that were stored.
    pub(crate) total: u64,
}

impl Live {
    pub(crate) fn encode(self) -> Vec<u8> {
        let mut out = Vec::with_capacity(10);
        put_number(&mut out, self.live);
        put_number(&mut out, self.total);
        out
    }

    pub(crate) fn decode(row: &[u8]) -> Option<Self> {
        let mut r = Reader::new(row);
        Some(Self { live: r.number()?, total: r.number()? })
    }
}

/// The key of a segment's row.
pub(crate) fn key(segment: u32) -> [u8; 6] {
    let [a, b, c, d] = segment.to_be_bytes();
    [OWN, b's', a, b, c, d]
}

/// The rows of all segments.
pub(crate) fn load(rows: &dyn OwnRows) -> Result<BTreeMap<u32, Live>, ShardError> {
    let (mut all, mut bad) = (BTreeMap::new(), false);
    rows.scan_own(KeyRange::prefix([OWN, b's']), &mut |key, value| {
        let segment = key.get(2..).and_then(|n| n.try_into().ok()).map(u32::from_be_bytes);
        match (segment, Live::decode(value)) {
            (Some(segment), Some(live)) => drop(all.insert(segment, live)),
            _ => bad = true,
        }
        ControlFlow::Continue(())
    })?;
    if bad { Err(ShardError::corrupt("the row of a segment")) } else { Ok(all) }
}
