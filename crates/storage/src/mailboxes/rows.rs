//! The values of rows. Each begins with its version; a version that is not known here is corruption, not a guess.

use crate::codec::{Reader, put_bytes, put_number, put_signed};
use crate::shard::{BlobRef, ShardError};
use mail::flags::{Flags, Keyword, MAX_KEYWORDS, SystemFlags};
use mail::id::{FolderId, ModSeq, Uid, UidValidity};
use mail::search::Day;
use mail::sequence::NumberSet;
use mail::time::Timestamp;
use std::collections::BTreeSet;

/// Most different keywords of one mailbox.
pub const MAX_MAILBOX_KEYWORDS: usize = 1000;
const VERSION: u8 = 1;
/// Bits of the first byte of a message row beside the five system flags.
const HAS_KEYWORDS: u8 = 1 << 5;
const HAS_SENT: u8 = 1 << 6;
const AGES_FROM_RECEIVED: u8 = 1 << 7;

/// Where the messages of a folder lie; never used twice in a mailbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Volume(pub u32);

/// A mailbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MailboxRow {
    /// Whether it has been removed: the row stays, so that its numbers go on growing.
    pub removed: bool,
    /// Of its last change.
    pub modseq: ModSeq,
    /// The id of the next folder.
    pub next_folder: u32,
    /// The volume of the next folder.
    pub next_volume: u32,
    /// The UID epoch of the next folder, unless the clock says more.
    pub next_validity: u32,
    /// Bytes of all messages.
    pub bytes: u64,
    /// Number of messages.
    pub messages: u64,
    /// The time of its last change; grows with every change.
    pub changed: Timestamp,
    /// The period in which history was last written.
    pub noted: u32,
}

impl MailboxRow {
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(32);
        out.push(VERSION);
        put_number(&mut out, u64::from(self.removed));
        put_number(&mut out, self.modseq.0);
        for n in [self.next_folder, self.next_volume, self.next_validity] {
            put_number(&mut out, u64::from(n));
        }
        put_number(&mut out, self.bytes);
        put_number(&mut out, self.messages);
        put_signed(&mut out, self.changed.as_micros());
        put_number(&mut out, u64::from(self.noted));
        out
    }

    pub(super) fn decode(row: &[u8]) -> Result<Self, ShardError> {
        let mut r = Reader::new(row);
        let mut decode = || {
            version(&mut r)?;
            Some(Self {
                removed: r.number()? != 0,
                modseq: ModSeq(r.number()?),
                next_folder: r.number32()?,
                next_volume: r.number32()?,
                next_validity: r.number32()?,
                bytes: r.number()?,
                messages: r.number()?,
                changed: Timestamp::from_micros(r.signed()?),
                noted: r.number32()?,
            })
        };
        decode().ok_or_else(|| ShardError::corrupt("the row of a mailbox"))
    }
}

/// A folder with its counters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FolderRow {
    /// Its id; not in the value.
    pub id: FolderId,
    /// Where its messages lie.
    pub volume: Volume,
    /// Its full name.
    pub name: String,
    /// UID epoch.
    pub uid_validity: UidValidity,
    /// The UID of the next message.
    pub uid_next: Uid,
    /// Of its last change.
    pub highest_modseq: ModSeq,
    /// Messages.
    pub messages: u32,
    /// Messages without `\Seen`.
    pub unseen: u32,
    /// Messages with `\Deleted`.
    pub deleted: u32,
    /// Bytes of its messages.
    pub bytes: u64,
    /// A number for its special use; 0 is none. What the numbers mean is the store's business.
    pub special_use: u8,
    /// Rows that say which messages are gone.
    pub vanished_rows: u32,
    /// What was gone at this ModSeq is no longer said by rows.
    pub vanished_floor: ModSeq,
}

impl FolderRow {
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(40 + self.name.len());
        out.push(VERSION);
        put_bytes(&mut out, self.name.as_bytes());
        put_number(&mut out, u64::from(self.volume.0));
        put_number(&mut out, u64::from(self.uid_validity.0));
        put_number(&mut out, u64::from(self.uid_next.0));
        put_number(&mut out, self.highest_modseq.0);
        for n in [self.messages, self.unseen, self.deleted] {
            put_number(&mut out, u64::from(n));
        }
        put_number(&mut out, self.bytes);
        out.push(self.special_use);
        put_number(&mut out, u64::from(self.vanished_rows));
        put_number(&mut out, self.vanished_floor.0);
        out
    }

    pub(super) fn decode(id: FolderId, row: &[u8]) -> Result<Self, ShardError> {
        let mut r = Reader::new(row);
        let mut decode = || {
            version(&mut r)?;
            let name = std::str::from_utf8(r.bytes()?).ok()?.to_owned();
            Some(Self {
                id,
                name,
                volume: Volume(r.number32()?),
                uid_validity: UidValidity(r.number32()?),
                uid_next: Uid(r.number32()?),
                highest_modseq: ModSeq(r.number()?),
                messages: r.number32()?,
                unseen: r.number32()?,
                deleted: r.number32()?,
                bytes: r.number()?,
                special_use: r.byte()?,
                vanished_rows: r.number32()?,
                vanished_floor: ModSeq(r.number()?),
            })
        };
        decode().ok_or_else(|| ShardError::corrupt("the row of a folder"))
    }
}

/// What the age of a message is counted from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AgesFrom {
    /// From INTERNALDATE: it was delivered.
    Received,
    /// From when it was put into its folder: its INTERNALDATE is what a client says.
    Added,
}

/// A message: about 25 bytes without keywords.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MessageRow {
    /// Its UID; not in the value.
    pub uid: Uid,
    /// System flags.
    pub system: SystemFlags,
    /// Places of its keywords in the mailbox's [`Keywords`], ascending.
    pub keywords: Vec<u32>,
    /// Its last change.
    pub modseq: ModSeq,
    /// INTERNALDATE.
    pub received: Timestamp,
    /// When it was put into its folder.
    pub added: Timestamp,
    /// What its age is counted from.
    pub ages_from: AgesFrom,
    /// The day in its Date header.
    pub sent: Option<Day>,
    /// Its outline and body.
    pub blob: BlobRef,
}

impl MessageRow {
    /// The time that its age is counted from.
    pub fn ages_from(&self) -> Timestamp {
        match self.ages_from {
            AgesFrom::Received => self.received,
            AgesFrom::Added => self.added,
        }
    }

    /// Its size in bytes.
    pub fn size(&self) -> u64 {
        self.blob.body_len()
    }

    pub(super) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(40);
        let flag = |set: bool, bit: u8| if set { bit } else { 0 };
        let has_keywords = flag(!self.keywords.is_empty(), HAS_KEYWORDS);
        let ages = flag(self.ages_from == AgesFrom::Received, AGES_FROM_RECEIVED);
        out.push(self.system.bits() | has_keywords | flag(self.sent.is_some(), HAS_SENT) | ages);
        put_number(&mut out, self.modseq.0);
        put_signed(&mut out, self.received.as_micros());
        put_signed(&mut out, self.added.as_micros().saturating_sub(self.received.as_micros()));
        if let Some(sent) = self.sent {
            // Most mail arrives on the day on which it was sent.
            put_signed(&mut out, days(sent.start()) - days(self.received));
        }
        if !self.keywords.is_empty() {
            put_number(&mut out, self.keywords.len() as u64);
            self.keywords.iter().for_each(|&k| put_number(&mut out, u64::from(k)));
        }
        self.blob.encode(&mut out);
        out
    }

    pub(super) fn decode(uid: Uid, row: &[u8]) -> Result<Self, ShardError> {
        let mut r = Reader::new(row);
        let mut decode = || {
            let first = r.byte()?;
            let ages_from = match first & AGES_FROM_RECEIVED {
                0 => AgesFrom::Added,
                _ => AgesFrom::Received,
            };
            let modseq = ModSeq(r.number()?);
            let received = Timestamp::from_micros(r.signed()?);
            let added = Timestamp::from_micros(received.as_micros().checked_add(r.signed()?)?);
            let sent = match first & HAS_SENT {
                0 => None,
                _ => {
                    let day = r.signed()?.checked_add(days(received))?;
                    Day::of(Timestamp::from_secs(day.checked_mul(86_400)?))
                }
            };
            let mut keywords = Vec::new();
            if first & HAS_KEYWORDS != 0 {
                let count = r.number().filter(|&n| n <= MAX_KEYWORDS as u64)?;
                for _ in 0..count {
                    keywords.push(r.number32()?);
                }
            }
            let (blob, _) = BlobRef::decode(r.rest())?;
            Some(Self {
                uid,
                system: SystemFlags::from_bits(first),
                keywords,
                modseq,
                received,
                added,
                ages_from,
                sent,
                blob,
            })
        };
        decode().ok_or_else(|| ShardError::corrupt("the row of a message"))
    }
}

fn days(at: Timestamp) -> i64 {
    at.as_secs().div_euclid(86_400)
}

fn version(r: &mut Reader<'_>) -> Option<()> {
    (r.byte()? == VERSION).then_some(())
}

/// The names of the keywords of a mailbox. A name keeps its place for ever.
#[derive(Debug, Clone, Default)]
pub struct Keywords(Vec<Keyword>);

impl Keywords {
    /// The names, in the order of their places.
    pub fn names(&self) -> &[Keyword] {
        &self.0
    }

    /// The place of a name.
    pub fn place(&self, name: &Keyword) -> Option<u32> {
        self.0.iter().position(|k| k == name).and_then(|n| u32::try_from(n).ok())
    }

    /// All flags of a message.
    pub fn flags(&self, row: &MessageRow) -> Flags {
        let named = row.keywords.iter().filter_map(|&k| self.0.get(k as usize)).cloned();
        Flags { system: row.system, keywords: named.collect::<BTreeSet<_>>() }
    }

    /// Gives a name a place; `None` where [`MAX_MAILBOX_KEYWORDS`] have one.
    pub(super) fn add(&mut self, name: &Keyword) -> Option<u32> {
        if self.0.len() >= MAX_MAILBOX_KEYWORDS {
            return None;
        }
        self.0.push(name.clone());
        u32::try_from(self.0.len() - 1).ok()
    }

    pub(super) fn encode(&self) -> Vec<u8> {
        let mut out = vec![VERSION];
        put_number(&mut out, self.0.len() as u64);
        self.0.iter().for_each(|k| put_bytes(&mut out, k.as_str().as_bytes()));
        out
    }

    pub(super) fn decode(row: &[u8]) -> Result<Self, ShardError> {
        let mut r = Reader::new(row);
        let mut decode = || {
            version(&mut r)?;
            let count = r.number().filter(|&n| n <= MAX_MAILBOX_KEYWORDS as u64)?;
            (0..count)
                .map(|_| Keyword::new(std::str::from_utf8(r.bytes()?).ok()?))
                .collect::<Option<Vec<_>>>()
        };
        decode().map(Self).ok_or_else(|| ShardError::corrupt("the row of keywords"))
    }
}

/// Ranges as distances, so that a long list of neighbours is short.
pub(super) fn encode_set(set: &NumberSet) -> Vec<u8> {
    let mut out = vec![VERSION];
    let mut last = 0;
    for range in set.ranges() {
        put_number(&mut out, u64::from(range.start() - last));
        put_number(&mut out, u64::from(range.end() - range.start()));
        last = *range.end();
    }
    out
}

pub(super) fn decode_set(row: &[u8]) -> Result<NumberSet, ShardError> {
    let mut r = Reader::new(row);
    let mut decode = || {
        version(&mut r)?;
        let (mut set, mut last) = (NumberSet::new(), 0u32);
        while !r.is_empty() {
            let start = last.checked_add(r.number32()?)?;
            last = start.checked_add(r.number32()?)?;
            set.insert_range(start..=last);
        }
        Some(set)
    };
    decode().ok_or_else(|| ShardError::corrupt("a row of messages that are gone"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn messages_are_read_back(
            bits in 0..32u8, keywords in prop::collection::vec(any::<u32>(), 0..MAX_KEYWORDS),
            modseq: u64, micros in -4_000_000_000_000_000..4_000_000_000_000_000i64, added in 0..4_000_000_000_000_000i64,
            day in prop::option::of((1..3000i32, 1..12u8)), place in (any::<u32>(), any::<u32>(), 0..1_000_000u32, 0..1u64 << 50),
        ) {
            let mut blob = Vec::new();
            for n in [u64::from(place.0), u64::from(place.1), u64::from(place.2), place.3] {
                put_number(&mut blob, n);
            }
            let row = MessageRow {
                uid: Uid(4),
                system: SystemFlags::from_bits(bits),
                keywords,
                modseq: ModSeq(modseq),
                received: Timestamp::from_micros(micros),
                added: Timestamp::from_micros(added),
                ages_from: if bits % 2 == 0 { AgesFrom::Added } else { AgesFrom::Received },
                sent: day.and_then(|(y, m)| Day::new(y, m, 17)),
                blob: BlobRef::decode(&blob).unwrap().0,
            };
            prop_assert_eq!(MessageRow::decode(Uid(4), &row.encode()).unwrap(), row);
        }

        #[test]
        fn any_bytes_are_a_row_or_corrupt(bytes: Vec<u8>) {
            let _ = MessageRow::decode(Uid(1), &bytes);
            let _ = FolderRow::decode(FolderId(1), &bytes);
            let _ = MailboxRow::decode(&bytes);
            let _ = Keywords::decode(&bytes);
            let _ = decode_set(&bytes);
        }

        #[test]
        fn sets_are_read_back(numbers in prop::collection::vec(1..u32::MAX, 0..50)) {
            let set: NumberSet = numbers.into_iter().collect();
            prop_assert_eq!(decode_set(&encode_set(&set)).unwrap(), set);
        }
    }
}
