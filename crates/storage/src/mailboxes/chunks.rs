//! Which UIDs a folder has, and which of them bear a mark: one small row for every [`CHUNK`] UIDs, changed in the commit
//! of the message.
//!
//! So a folder is opened, and its unseen, flagged or deleted messages are found, without a look at the messages: a
//! million of them have 489 such rows, of a dozen bytes each where messages come and stay. What a row says is said by
//! the messages too: `recount` compares both and mends the rows.

use super::keys;
use super::reading::Mailbox;
use super::recount::scan_messages;
use super::rows::{MessageRow, Volume};
use crate::codec::{Reader, put_number};
use crate::shard::{KeyRange, Rows, ShardError, Transaction};
use mail::flags::SystemFlags;
use mail::id::{MailboxId, Uid};
use mail::sequence::NumberSet;
use std::collections::BTreeMap;
use std::ops::{ControlFlow, RangeInclusive};

/// UIDs of one row. The longest row, with all sets scattered, has about a kilobyte.
pub const CHUNK: u32 = 2048;
const WORDS: usize = CHUNK as usize / 64;
const VERSION: u8 = 1;
/// How a set is written.
const RANGES: u8 = 0;
const BITMAP: u8 = 1;

/// What is known of UIDs without a look at their messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mark {
    /// There is such a message.
    There,
    /// It is without `\Seen`.
    Unseen,
    /// It has `\Flagged`.
    Flagged,
    /// It has `\Deleted`.
    Deleted,
}

const MARKS: [Mark; 4] = [Mark::There, Mark::Unseen, Mark::Flagged, Mark::Deleted];

impl Mark {
    /// Whether a message with these flags bears it.
    pub fn is_on(self, flags: SystemFlags) -> bool {
        match self {
            Self::There => true,
            Self::Unseen => !flags.contains(SystemFlags::SEEN),
            Self::Flagged => flags.contains(SystemFlags::FLAGGED),
            Self::Deleted => flags.contains(SystemFlags::DELETED),
        }
    }
}

/// A set of places within a chunk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Bits([u64; WORDS]);

impl Bits {
    const NONE: Self = Self([0; WORDS]);

    fn set(&mut self, place: u32, on: bool) {
        let word = &mut self.0[place as usize / 64 % WORDS];
        let bit = 1 << (place % 64);
        *word = if on { *word | bit } else { *word & !bit };
    }

    fn is_empty(&self) -> bool {
        self.0 == [0; WORDS]
    }

    /// The first place from `from` on whose bit is `on`; [`CHUNK`] where there is none.
    fn next(&self, from: u32, on: bool) -> u32 {
        let mut at = from as usize / 64;
        let mut mask = u64::MAX << (from % 64);
        while let Some(word) = self.0.get(at) {
            let found = if on { *word } else { !*word } & mask;
            if found != 0 {
                return at as u32 * 64 + found.trailing_zeros();
            }
            (at, mask) = (at + 1, u64::MAX);
        }
        CHUNK
    }

    /// The ranges of places, in order.
    fn runs(&self) -> impl Iterator<Item = RangeInclusive<u32>> + '_ {
        let mut from = 0;
        std::iter::from_fn(move || {
            let first = self.next(from, true);
            from = self.next(first, false);
            (first < CHUNK).then(|| first..=from - 1)
        })
    }

    fn encode(&self, out: &mut Vec<u8>) {
        let begin = out.len();
        out.push(RANGES);
        put_number(out, self.runs().count() as u64);
        let mut last = 0;
        for run in self.runs() {
            put_number(out, u64::from(run.start() - last));
            put_number(out, u64::from(run.end() - run.start()));
            last = *run.end();
            if out.len() - begin > WORDS * 8 {
                out.truncate(begin);
                out.push(BITMAP);
                self.0.iter().for_each(|word| out.extend_from_slice(&word.to_le_bytes()));
                return;
            }
        }
    }

    fn decode(r: &mut Reader<'_>) -> Option<Self> {
        let mut bits = Self::NONE;
        match r.byte()? {
            RANGES => {
                let count = r.number().filter(|&n| n <= u64::from(CHUNK))?;
                let mut last = 0u32;
                for _ in 0..count {
                    let first = last.checked_add(r.number32()?)?;
                    last = first.checked_add(r.number32()?).filter(|&n| n < CHUNK)?;
                    (first..=last).for_each(|place| bits.set(place, true));
                }
            }
            BITMAP => {
                for word in &mut bits.0 {
                    *word = u64::from_le_bytes(r.array()?);
                }
            }
            _ => return None,
        }
        Some(bits)
    }
}

/// What the row of a chunk says.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Chunk([Bits; MARKS.len()]);

impl Chunk {
    const EMPTY: Self = Self([Bits::NONE; MARKS.len()]);

    fn put(&mut self, row: &MessageRow) {
        for (bits, mark) in self.0.iter_mut().zip(MARKS) {
            bits.set(row.uid.0 % CHUNK, mark.is_on(row.system));
        }
    }

    fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(24);
        out.push(VERSION);
        self.0.iter().for_each(|bits| bits.encode(&mut out));
        out
    }

    fn decode(row: &[u8]) -> Result<Self, ShardError> {
        let mut r = Reader::new(row);
        let mut decode = || {
            let mut chunk = Self::EMPTY;
            if r.byte()? != VERSION {
                return None;
            }
            for bits in &mut chunk.0 {
                *bits = Bits::decode(&mut r)?;
            }
            r.is_empty().then_some(chunk)
        };
        decode().ok_or_else(|| ShardError::corrupt("a row of UIDs"))
    }
}

/// The chunk that is being changed: written when another is needed, and at the end.
#[derive(Default)]
pub(super) struct Changing(Option<(Volume, u32, Chunk)>);

impl Changing {
    /// Notes a message with its flags.
    pub(super) fn put(
        &mut self,
        tx: &mut Transaction<'_>,
        (id, volume): (MailboxId, Volume),
        row: &MessageRow,
    ) -> Result<(), ShardError> {
        self.chunk(tx, id, volume, row.uid)?.put(row);
        Ok(())
    }

    /// Notes that a message is gone.
    pub(super) fn take(
        &mut self,
        tx: &mut Transaction<'_>,
        (id, volume): (MailboxId, Volume),
        uid: Uid,
    ) -> Result<(), ShardError> {
        let chunk = self.chunk(tx, id, volume, uid)?;
        chunk.0.iter_mut().for_each(|bits| bits.set(uid.0 % CHUNK, false));
        Ok(())
    }

    /// Writes what has changed.
    pub(super) fn save(&mut self, tx: &mut Transaction<'_>, id: MailboxId) -> Result<(), ShardError> {
        let Some((volume, number, chunk)) = self.0.take() else { return Ok(()) };
        let key = keys::chunk(id, volume, number);
        if chunk.0[0].is_empty() { tx.delete(&key) } else { tx.put(&key, &chunk.encode()) }
    }

    fn chunk(
        &mut self,
        tx: &mut Transaction<'_>,
        id: MailboxId,
        volume: Volume,
        uid: Uid,
    ) -> Result<&mut Chunk, ShardError> {
        let number = uid.0 / CHUNK;
        if !matches!(&self.0, Some((v, n, _)) if (*v, *n) == (volume, number)) {
            self.save(tx, id)?;
        }
        let chunk = match self.0.take() {
            Some((_, _, chunk)) => chunk,
            None => match tx.get(&keys::chunk(id, volume, number))? {
                Some(row) => Chunk::decode(&row)?,
                None => Chunk::EMPTY,
            },
        };
        Ok(&mut self.0.insert((volume, number, chunk)).2)
    }
}

impl Mailbox<'_> {
    /// The UIDs with a mark. Costs one small row for each [`CHUNK`] UIDs.
    ///
    /// # Errors
    /// As [`Mailbox::row`].
    pub fn uids(&self, volume: Volume, mark: Mark) -> Result<NumberSet, ShardError> {
        let mut uids = NumberSet::new();
        self.chunks(volume, |first, chunk| {
            let runs = chunk.0[mark as usize].runs();
            runs.for_each(|run| uids.insert_range(first + run.start()..=first + run.end()));
            ControlFlow::Continue(())
        })?;
        Ok(uids)
    }

    /// The smallest UID with a mark.
    ///
    /// # Errors
    /// As [`Mailbox::row`].
    pub fn first_uid(&self, volume: Volume, mark: Mark) -> Result<Option<Uid>, ShardError> {
        let mut found = None;
        self.chunks(volume, |first, chunk| {
            found = chunk.0[mark as usize].runs().next().map(|run| Uid(first + run.start()));
            if found.is_some() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        })?;
        Ok(found)
    }

    /// Each chunk with its first UID.
    fn chunks(
        &self,
        volume: Volume,
        mut each: impl FnMut(u32, Chunk) -> ControlFlow<()>,
    ) -> Result<(), ShardError> {
        let prefix = keys::chunks(self.id(), volume);
        self.each(KeyRange::prefix(prefix), |key, value| {
            let number = keys::parse_uid(key).filter(|n| n.0 <= u32::MAX / CHUNK);
            let number = number.ok_or_else(|| ShardError::corrupt("the key of a row of UIDs"))?;
            Ok(each(number.0 * CHUNK, Chunk::decode(value)?))
        })
    }
}

/// The rows that are not what the messages say, as they should be. Looks at every message.
pub(super) fn wrong(
    rows: &dyn Rows,
    id: MailboxId,
    volume: Volume,
) -> Result<BTreeMap<Vec<u8>, Option<Vec<u8>>>, ShardError> {
    let (mut should, mut open) = (BTreeMap::new(), (0, Chunk::EMPTY));
    let mut close = |(number, chunk): (u32, Chunk)| {
        if !chunk.0[0].is_empty() {
            should.insert(keys::chunk(id, volume, number), Some(chunk.encode()));
        }
    };
    scan_messages(rows, id, volume, &mut |uid, row| {
        let Ok(row) = row else { return };
        if open.0 != uid.0 / CHUNK {
            close(std::mem::replace(&mut open, (uid.0 / CHUNK, Chunk::EMPTY)));
        }
        open.1.put(&row);
    })?;
    close(open);
    rows.scan(KeyRange::prefix(keys::chunks(id, volume)), &mut |key, value| {
        match should.get(key) {
            Some(Some(row)) if row == value => drop(should.remove(key)),
            Some(_) => {}
            None => drop(should.insert(key.to_vec(), None)),
        }
        ControlFlow::Continue(())
    })?;
    Ok(should)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn bits(places: &[u32]) -> Bits {
        let mut bits = Bits::NONE;
        places.iter().for_each(|&place| bits.set(place, true));
        bits
    }

    proptest! {
        #[test]
        fn chunks_are_read_back(sets in prop::collection::vec(prop::collection::vec(0..CHUNK, 0..1500), 4)) {
            let mut chunk = Chunk::EMPTY;
            for (to, places) in chunk.0.iter_mut().zip(&sets) {
                *to = bits(places);
            }
            let row = chunk.encode();
            prop_assert!(row.len() <= 1 + 4 * (1 + WORDS * 8));
            prop_assert_eq!(Chunk::decode(&row).unwrap(), chunk);
        }

        #[test]
        fn runs_are_the_places(places in prop::collection::vec(0..CHUNK, 0..300)) {
            let set: NumberSet = places.iter().copied().collect();
            prop_assert_eq!(bits(&places).runs().collect::<Vec<_>>(), set.ranges().collect::<Vec<_>>());
        }

        #[test]
        fn any_bytes_are_a_chunk_or_corrupt(bytes: Vec<u8>) {
            let _ = Chunk::decode(&bytes);
        }
    }

    #[test]
    fn a_chunk_of_usual_mail_is_short() {
        let mut chunk = Chunk::EMPTY;
        (0..CHUNK).for_each(|place| chunk.0[0].set(place, true));
        (2000..CHUNK).for_each(|place| chunk.0[1].set(place, true));
        assert!(chunk.encode().len() <= 16, "{}", chunk.encode().len());
    }
}
