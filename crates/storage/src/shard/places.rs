//! Where blobs are now, and which are gone: the shard's own rows about them.
//!
//! The name of a blob ([`BlobRef`]) never changes: it is the place at which the blob was first stored. Reclaiming space
//! may copy it elsewhere; then a row says where. A blob without references leaves a row at the place where it lies, until
//! its segment is removed: what lives in a segment is what was stored there less what these rows say.
//!
//! ```text
//! 0 c segment offset    references of a blob, by name, where there is more than one
//! 0 d segment offset    a dead record, by place: its length
//! 0 i                   which history this is (`backup`): another one after each restore
//! 0 l segment part      what was stored in a segment, once holes were made in it (`layout`)
//! 0 m segment offset    a blob that was copied, by name: the place where it is
//! 0 p                   the position of the log (`index`)
//! 0 s segment           live and total bytes (`live`)
//! 0 v segment           dead bytes when the segment was last looked at
//! ```

use super::blob::BlobRef;
use super::error::ShardError;
use super::rows::{KeyRange, OWN};
use crate::codec::{Reader, put_number};

/// The place of a record in the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Location {
    pub(crate) segment: u32,
    pub(crate) offset: u64,
}

impl Location {
    pub(crate) fn of(blob: &BlobRef) -> Self {
        Self { segment: blob.segment, offset: blob.offset }
    }

    pub(crate) fn encode(self) -> Vec<u8> {
        let mut out = Vec::with_capacity(10);
        put_number(&mut out, u64::from(self.segment));
        put_number(&mut out, self.offset);
        out
    }

    pub(crate) fn decode(row: &[u8]) -> Result<Self, ShardError> {
        let mut r = Reader::new(row);
        let mut read = || Some(Self { segment: r.number32()?, offset: r.number()? });
        read().ok_or_else(|| ShardError::corrupt("the row of a place"))
    }

    fn key(self, kind: u8) -> [u8; 14] {
        let mut key = [OWN; 14];
        key[1] = kind;
        key[2..6].copy_from_slice(&self.segment.to_be_bytes());
        key[6..].copy_from_slice(&self.offset.to_be_bytes());
        key
    }

    /// The row that counts the references of the blob of this name.
    pub(crate) fn count_key(self) -> [u8; 14] {
        self.key(b'c')
    }

    /// The row that says that the record at this place is dead.
    pub(crate) fn dead_key(self) -> [u8; 14] {
        self.key(b'd')
    }

    /// The row that says where the blob of this name was copied to.
    pub(crate) fn moved_key(self) -> [u8; 14] {
        self.key(b'm')
    }

    /// The place in a key of any of these rows.
    pub(crate) fn of_key(key: &[u8]) -> Result<Self, ShardError> {
        let read = || {
            let (segment, offset) = key.get(2..)?.split_first_chunk::<4>()?;
            let offset = u64::from_be_bytes(offset.try_into().ok()?);
            Some(Self { segment: u32::from_be_bytes(*segment), offset })
        };
        read().ok_or_else(|| ShardError::corrupt("the key of a place"))
    }
}

/// The rows of dead records of a segment.
pub(crate) fn dead_in(segment: u32) -> KeyRange {
    of_segment(b'd', segment)
}

/// All rows of dead records from this segment on.
pub(crate) fn dead_from(segment: u32) -> KeyRange {
    let from = of_segment(b'd', segment).from;
    KeyRange::prefix_from(&[OWN, b'd'], from)
}

/// The rows of all copied blobs.
pub(crate) fn all_moved() -> KeyRange {
    KeyRange::prefix([OWN, b'm'])
}

/// The rows of all counts of references.
pub(crate) fn all_counts() -> KeyRange {
    KeyRange::prefix([OWN, b'c'])
}

/// The rows that say what was stored in a segment.
pub(crate) fn layout_in(segment: u32) -> KeyRange {
    of_segment(b'l', segment)
}

/// One of these rows.
pub(crate) fn layout_key(segment: u32, part: u32) -> Vec<u8> {
    let mut key = layout_in(segment).from;
    key.extend_from_slice(&part.to_be_bytes());
    key
}

/// The row that says how much was dead when a segment was last looked at.
pub(crate) fn visited_key(segment: u32) -> Vec<u8> {
    of_segment(b'v', segment).from
}

/// The range with this row alone.
pub(crate) fn visited_in(segment: u32) -> KeyRange {
    of_segment(b'v', segment)
}

fn of_segment(kind: u8, segment: u32) -> KeyRange {
    let mut prefix = vec![OWN, kind];
    prefix.extend_from_slice(&segment.to_be_bytes());
    KeyRange::prefix(prefix)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_read_back_from_keys_and_rows() {
        for (segment, offset) in [(1, 64), (u32::MAX, 1 << 40)] {
            let place = Location { segment, offset };
            assert_eq!(Location::of_key(&place.dead_key()).unwrap(), place);
            assert_eq!(Location::decode(&place.encode()).unwrap(), place);
            let range = dead_in(segment);
            assert!(range.from.as_slice() <= &place.dead_key()[..]);
            assert!(range.to.is_none_or(|to| place.dead_key()[..] < to[..]));
        }
        assert!(Location::of_key(&[0, b'd', 1]).is_err() && Location::decode(&[0x80]).is_err());
    }
}
