//! What the bytes of a segment mean.
//!
//! ```text
//! segment  = header (64) group*
//! group    = ( [name] blob )* commit
//! name     = head (24): the blob that follows is a copy of the one of this name
//! blob     = head (24) [meta crc (4)] { block (64 KiB, the last one shorter) crc (4) } padding to 8
//! commit   = head (32) payload padding to 8
//! ```
//! Numbers are little-endian, sums are CRC-32C. Each sum starts from a seed made of the shard's salt, the segment and
//! the offset, so that bytes that were written for another place, or were copied into a message by its sender, do
//! not pass. Pure functions; who reads and writes the bytes is in `log`, `blob` and `recover`.

use super::places::Location;
use crate::codec::{Reader, put_bytes, put_number};

/// Bytes of a body under one sum.
pub(crate) const BLOCK: u64 = 64 * 1024;
/// Bytes of a sum.
pub(crate) const SUM: u64 = 4;
/// Length of a segment's header.
pub(crate) const SEGMENT_HEADER: u64 = 64;
/// Length of a blob's head.
pub(crate) const BLOB_HEAD: u64 = 24;
/// Length of the record that names a copy.
pub(crate) const NAME_LEN: u64 = BLOB_HEAD;
/// Length of a commit's head.
pub(crate) const COMMIT_HEAD: u64 = 32;
/// Every record begins at a multiple of this.
pub(crate) const ALIGN: u64 = 8;
/// Longest meta of a blob.
pub const MAX_META: usize = 4 << 20;
/// Longest payload of a commit record that is believed.
pub(crate) const MAX_PAYLOAD: u64 = 64 << 20;

const MAGIC: &[u8; 8] = b"IMSHARD\n";
const VERSION: u16 = 1;
const BLOB: &[u8; 4] = b"BLOB";
const NAME: &[u8; 4] = b"NAME";
const COMMIT: &[u8; 4] = b"DONE";

/// Where bytes are: the seed of every sum.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place {
    pub(crate) salt: u64,
    pub(crate) segment: u32,
}

impl Place {
    /// The sum of bytes that stand at `offset`.
    pub(crate) fn sum(self, offset: u64, bytes: &[u8]) -> u32 {
        let mut at = [0; 20];
        at[..8].copy_from_slice(&self.salt.to_le_bytes());
        at[8..12].copy_from_slice(&self.segment.to_le_bytes());
        at[12..].copy_from_slice(&offset.to_le_bytes());
        crc32c::crc32c_append(crc32c::crc32c(&at), bytes)
    }
}

/// The first bytes of a segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SegmentHeader {
    pub(crate) salt: u64,
    pub(crate) segment: u32,
    /// The number that the first group in it has or will have.
    pub(crate) first_group: u64,
}

impl SegmentHeader {
    pub(crate) fn encode(&self) -> [u8; 64] {
        let mut out = [0; 64];
        out[..8].copy_from_slice(MAGIC);
        out[8..10].copy_from_slice(&VERSION.to_le_bytes());
        out[12..16].copy_from_slice(&self.segment.to_le_bytes());
        out[16..24].copy_from_slice(&self.salt.to_le_bytes());
        out[24..32].copy_from_slice(&self.first_group.to_le_bytes());
        let sum = crc32c::crc32c(&out[..60]);
        out[60..].copy_from_slice(&sum.to_le_bytes());
        out
    }

    /// `None` where it is not the header of a segment of this version.
    pub(crate) fn decode(bytes: &[u8; 64]) -> Option<Self> {
        let mut r = Reader::new(bytes);
        let magic = r.array::<8>()?;
        let version = u16::from_le_bytes(r.array()?);
        r.take(2)?;
        let segment = u32::from_le_bytes(r.array()?);
        let salt = u64::from_le_bytes(r.array()?);
        let first_group = u64::from_le_bytes(r.array()?);
        r.take(28)?;
        let sum = u32::from_le_bytes(r.array()?);
        let good = magic == *MAGIC && version == VERSION && sum == crc32c::crc32c(bytes.get(..60)?);
        good.then_some(Self { salt, segment, first_group })
    }
}

/// The head of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Head {
    /// A blob follows.
    Blob { meta_len: u32, body_len: u64 },
    /// The next record is a copy of the blob of this name.
    Name(Location),
    /// The group ends here.
    Commit { group: u64, start: u64, payload_len: u32, payload_sum: u32 },
}

impl Head {
    /// Appends the head that stands at `offset`.
    pub(crate) fn encode(&self, place: Place, offset: u64, out: &mut Vec<u8>) {
        let from = out.len();
        match *self {
            Self::Blob { meta_len, body_len } => {
                out.extend_from_slice(BLOB);
                out.extend_from_slice(&meta_len.to_le_bytes());
                out.extend_from_slice(&body_len.to_le_bytes());
                out.extend_from_slice(&[0; 4]);
            }
            Self::Name(name) => {
                out.extend_from_slice(NAME);
                out.extend_from_slice(&name.segment.to_le_bytes());
                out.extend_from_slice(&name.offset.to_le_bytes());
                out.extend_from_slice(&[0; 4]);
            }
            Self::Commit { group, start, payload_len, payload_sum } => {
                out.extend_from_slice(COMMIT);
                out.extend_from_slice(&payload_len.to_le_bytes());
                out.extend_from_slice(&group.to_le_bytes());
                out.extend_from_slice(&start.to_le_bytes());
                out.extend_from_slice(&payload_sum.to_le_bytes());
            }
        }
        let sum = place.sum(offset, &out[from..]);
        out.extend_from_slice(&sum.to_le_bytes());
    }

    /// The head at `offset`, given at least as many bytes as the longer one has (fewer only at the end of a file).
    /// `None` where none stands there.
    pub(crate) fn decode(place: Place, offset: u64, bytes: &[u8]) -> Option<Self> {
        let mut r = Reader::new(bytes);
        let kind = r.array::<4>()?;
        let short = u32::from_le_bytes(r.array()?);
        let (head, len) = if kind == *BLOB {
            let body_len = u64::from_le_bytes(r.array()?);
            r.take(4)?;
            (Self::Blob { meta_len: short, body_len }, 20)
        } else if kind == *NAME {
            let offset = u64::from_le_bytes(r.array()?);
            r.take(4)?;
            (Self::Name(Location { segment: short, offset }), 20)
        } else if kind == *COMMIT {
            let group = u64::from_le_bytes(r.array()?);
            let start = u64::from_le_bytes(r.array()?);
            let payload_sum = u32::from_le_bytes(r.array()?);
            (Self::Commit { group, start, payload_len: short, payload_sum }, 28)
        } else {
            return None;
        };
        let sum = u32::from_le_bytes(r.array()?);
        (sum == place.sum(offset, bytes.get(..len)?)).then_some(head)
    }

    /// The length of the whole record with its padding; `None` where it is beyond what a record may be.
    pub(crate) fn record_len(&self) -> Option<u64> {
        match *self {
            Self::Blob { meta_len, body_len } => blob_len(meta_len, body_len),
            Self::Name(_) => Some(NAME_LEN),
            Self::Commit { payload_len, .. } => {
                let payload = u64::from(payload_len);
                (payload <= MAX_PAYLOAD).then_some(())?;
                Some(COMMIT_HEAD + payload.next_multiple_of(ALIGN))
            }
        }
    }
}

/// Bytes that a blob takes in a segment.
pub(crate) fn blob_len(meta_len: u32, body_len: u64) -> Option<u64> {
    let body = body_len.checked_add(SUM.checked_mul(body_len.div_ceil(BLOCK))?)?;
    (BLOB_HEAD + meta_part(meta_len)).checked_add(body)?.checked_next_multiple_of(ALIGN)
}

/// Bytes of a meta with its sum; an empty one takes none.
pub(crate) fn meta_part(meta_len: u32) -> u64 {
    if meta_len == 0 { 0 } else { u64::from(meta_len) + SUM }
}

/// One change of the index.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Op<'a> {
    Put { key: &'a [u8], value: &'a [u8] },
    Delete { key: &'a [u8] },
}

impl<'a> Op<'a> {
    /// Appends the change to a commit's payload.
    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Self::Put { key, value } => {
                put_number(out, (key.len() as u64) << 1 | 1);
                out.extend_from_slice(key);
                put_bytes(out, value);
            }
            Self::Delete { key } => {
                put_number(out, (key.len() as u64) << 1);
                out.extend_from_slice(key);
            }
        }
    }

    /// The next change of a payload.
    pub(crate) fn decode(r: &mut Reader<'a>) -> Option<Self> {
        let tag = r.number()?;
        let key = r.take(usize::try_from(tag >> 1).ok()?)?;
        if tag & 1 == 0 {
            return Some(Self::Delete { key });
        }
        Some(Self::Put { key, value: r.bytes()? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const PLACE: Place = Place { salt: 7, segment: 3 };

    #[test]
    fn heads_are_read_back_only_at_their_place() {
        let heads = [
            Head::Blob { meta_len: 5, body_len: 70_000 },
            Head::Name(Location { segment: 7, offset: 1 << 33 }),
            Head::Commit { group: 9, start: 64, payload_len: 12, payload_sum: 99 },
        ];
        for head in heads {
            let mut out = Vec::new();
            head.encode(PLACE, 128, &mut out);
            assert_eq!(Head::decode(PLACE, 128, &out), Some(head));
            assert_eq!(Head::decode(PLACE, 136, &out), None);
            assert_eq!(Head::decode(Place { segment: 4, ..PLACE }, 128, &out), None);
            assert_eq!(Head::decode(Place { salt: 8, ..PLACE }, 128, &out), None);
        }
    }

    #[test]
    fn a_flipped_bit_in_a_header_is_found() {
        let good = SegmentHeader { salt: 1, segment: 2, first_group: 3 }.encode();
        assert_eq!(SegmentHeader::decode(&good).map(|h| h.first_group), Some(3));
        for bit in 0..512 {
            let mut bad = good;
            bad[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(SegmentHeader::decode(&bad), None, "bit {bit}");
        }
    }

    #[test]
    fn a_length_that_would_overflow_is_refused() {
        assert_eq!(blob_len(0, u64::MAX), None);
        assert_eq!(
            Head::Commit { group: 0, start: 0, payload_len: u32::MAX, payload_sum: 0 }.record_len(),
            None
        );
        assert_eq!(blob_len(0, 0), Some(24));
        assert_eq!(blob_len(1, 65_537), Some(24 + 5 + 65_537 + 8 + 2));
    }

    proptest! {
        #[test]
        fn ops_are_read_back(key: Vec<u8>, value: Vec<u8>) {
            let mut out = Vec::new();
            let ops = [Op::Put { key: &key, value: &value }, Op::Delete { key: &key }];
            ops.iter().for_each(|op| op.encode(&mut out));
            let mut r = Reader::new(&out);
            prop_assert_eq!(Op::decode(&mut r).unwrap(), ops[0].clone());
            prop_assert_eq!(Op::decode(&mut r).unwrap(), ops[1].clone());
            prop_assert!(r.is_empty());
        }

        #[test]
        fn any_bytes_are_a_head_or_not(bytes: Vec<u8>) {
            let _ = Head::decode(PLACE, 0, &bytes);
            let _ = Op::decode(&mut Reader::new(&bytes));
        }
    }
}
