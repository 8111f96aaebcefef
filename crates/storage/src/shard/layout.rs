//! What was stored in a segment, record by record.
//!
//! Read from the heads in the segment as long as it is whole. Before the first hole is made in it, the answer is written
//! down in rows, because heads go with the holes.

use super::error::ShardError;
use super::places;
use super::record::{COMMIT_HEAD, Head, NAME_LEN, SEGMENT_HEADER};
use super::rows::OwnRows;
use super::segments::Segment;
use crate::codec::{Reader, put_number};
use std::ops::ControlFlow;

/// Records in one row.
const PART: usize = 16 * 1024;

/// A stored blob: its record with what belongs to it, in one piece.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stored {
    /// Where the piece begins: at the blob's head, or at the name in front of it where the blob is a copy.
    pub(crate) offset: u64,
    /// Bytes of the piece.
    pub(crate) len: u64,
    /// Whether it is a copy.
    pub(crate) copy: bool,
}

impl Stored {
    /// Where the head of the blob is.
    pub(crate) fn head(&self) -> u64 {
        if self.copy { self.offset + NAME_LEN } else { self.offset }
    }

    /// Where the piece ends.
    pub(crate) fn end(&self) -> u64 {
        self.offset + self.len
    }
}

/// What the rows of a segment say; `None` where there are none.
pub(crate) fn read(rows: &dyn OwnRows, segment: u32) -> Result<Option<Vec<Stored>>, ShardError> {
    let (mut all, mut bad, mut any) = (Vec::new(), false, false);
    rows.scan_own(places::layout_in(segment), &mut |_, value| {
        any = true;
        bad = decode(value, &mut all).is_none();
        if bad { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    })?;
    if bad {
        return Err(ShardError::corrupt(format!("the layout of segment {segment}")));
    }
    Ok(any.then_some(all))
}

/// Rows that say this, with their keys.
pub(crate) fn encode(segment: u32, stored: &[Stored]) -> Vec<(Vec<u8>, Vec<u8>)> {
    let parts = stored.chunks(PART).enumerate();
    let mut rows: Vec<_> = parts
        .map(|(number, part)| {
            (places::layout_key(segment, u32::try_from(number).unwrap_or(u32::MAX)), encode_part(part))
        })
        .collect();
    if rows.is_empty() {
        rows.push((places::layout_key(segment, 0), Vec::new()));
    }
    rows
}

fn encode_part(part: &[Stored]) -> Vec<u8> {
    let mut out = Vec::with_capacity(part.len() * 4);
    let mut at = 0;
    for one in part {
        put_number(&mut out, (one.offset - at) << 1 | u64::from(one.copy));
        put_number(&mut out, one.len);
        at = one.end();
    }
    out
}

fn decode(row: &[u8], all: &mut Vec<Stored>) -> Option<()> {
    let (mut r, mut at) = (Reader::new(row), 0u64);
    while !r.is_empty() {
        let gap = r.number()?;
        let len = r.number()?;
        let one = Stored { offset: at.checked_add(gap >> 1)?, len, copy: gap & 1 == 1 };
        at = one.offset.checked_add(len)?;
        all.push(one);
    }
    Some(())
}

/// Walks the heads of a segment without holes from record to record, up to `end`.
pub(crate) fn scan(segment: &Segment, end: u64) -> Result<Vec<Stored>, ShardError> {
    let (mut all, mut offset, mut name_at) = (Vec::new(), SEGMENT_HEADER, None);
    while offset < end {
        let head = head(segment, offset, end)?;
        let next = head.record_len().and_then(|len| offset.checked_add(len)).filter(|&next| next <= end);
        let next = next.ok_or_else(|| damaged(segment, offset))?;
        match head {
            Head::Name(_) => name_at = Some(offset),
            Head::Blob { .. } => {
                let from = name_at.take().unwrap_or(offset);
                all.push(Stored { offset: from, len: next - from, copy: from != offset });
            }
            Head::Commit { .. } => {}
        }
        offset = next;
    }
    Ok(all)
}

/// The head at an offset.
pub(crate) fn head(segment: &Segment, offset: u64, end: u64) -> Result<Head, ShardError> {
    let len = end.saturating_sub(offset).min(COMMIT_HEAD);
    let mut bytes = [0; COMMIT_HEAD as usize];
    let bytes = &mut bytes[..len as usize];
    segment.file.read_at(bytes, offset).map_err(ShardError::io)?;
    Head::decode(segment.place(), offset, bytes).ok_or_else(|| damaged(segment, offset))
}

fn damaged(segment: &Segment, offset: u64) -> ShardError {
    ShardError::corrupt(format!("segment {} has no record at offset {offset}", segment.header.segment))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_is_written_is_read(pieces in prop::collection::vec((0..1u64 << 30, 1..1u64 << 30, any::<bool>()), 0..50)) {
            let (mut stored, mut at) = (Vec::new(), 0);
            for (gap, len, copy) in pieces {
                stored.push(Stored { offset: at + gap, len, copy });
                at += gap + len;
            }
            let mut read = Vec::new();
            decode(&encode_part(&stored), &mut read).unwrap();
            prop_assert_eq!(read, stored);
        }

        #[test]
        fn any_bytes_are_a_layout_or_not(bytes: Vec<u8>) {
            let _ = decode(&bytes, &mut Vec::new());
        }
    }

    #[test]
    fn many_records_take_several_rows_and_none_take_one() {
        let stored: Vec<_> = (0..40_000).map(|n| Stored { offset: n * 8, len: 8, copy: false }).collect();
        assert_eq!(encode(1, &stored).len(), 3);
        assert_eq!(encode(1, &[]).len(), 1);
    }
}
