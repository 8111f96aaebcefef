//! What checks have found, kept until it is so no longer: damaged messages, orphans, and how far the background check is.
//!
//! Nothing depends on these rows but lists for operators: that a message is damaged is known by reading it.

use super::keys;
use super::rows::Volume;
use crate::codec::{Reader, put_number, put_signed};
use crate::shard::{Damage, KeyRange, Orphan, Rows, ShardError, Transaction};
use mail::id::{MailboxId, Uid};
use mail::time::Timestamp;
use std::collections::BTreeMap;
use std::ops::ControlFlow;

const VERSION: u8 = 1;

/// A message that cannot be read as it was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DamagedRow {
    /// Whose.
    pub mailbox: MailboxId,
    /// Where; which folder that is, its rows say.
    pub volume: Volume,
    /// Which.
    pub uid: Uid,
    /// What is wrong.
    pub damage: Damage,
    /// When that was found first.
    pub found: Timestamp,
}

impl DamagedRow {
    fn decode(key: &[u8], value: &[u8]) -> Option<Self> {
        let (mailbox, volume, uid) = keys::parse_damaged(key)?;
        let mut r = Reader::new(value);
        r.byte().filter(|v| *v == VERSION)?;
        let damage = *Damage::ALL.get(usize::from(r.byte()?))?;
        Some(Self { mailbox, volume, uid, damage, found: Timestamp::from_secs(r.signed()?) })
    }
}

/// Notes that a message is damaged; when it was found first stays.
///
/// # Errors
/// Where the index cannot be read or the change is too large; like all functions here.
pub fn note_damage(tx: &mut Transaction<'_>, row: &DamagedRow) -> Result<(), ShardError> {
    let key = keys::damaged(row.mailbox, row.volume, row.uid);
    let before = tx.get(&key)?.and_then(|value| DamagedRow::decode(&key, &value));
    let mut value = vec![VERSION];
    value
        .push(Damage::ALL.iter().position(|d| *d == row.damage).and_then(|n| n.try_into().ok()).unwrap_or(0));
    put_signed(&mut value, before.map_or(row.found, |b| b.found).as_secs());
    tx.put(&key, &value)
}

/// A message is not damaged, or not there any more.
///
/// # Errors
/// As [`note_damage`].
pub fn forget_damage(
    tx: &mut Transaction<'_>,
    mailbox: MailboxId,
    volume: Volume,
    uid: Uid,
) -> Result<(), ShardError> {
    tx.delete(&keys::damaged(mailbox, volume, uid))
}

/// Up to `limit` damaged messages behind this one, of one mailbox or of all.
///
/// # Errors
/// As [`note_damage`].
pub fn damaged(
    rows: &dyn Rows,
    mailbox: Option<MailboxId>,
    after: Option<(MailboxId, Volume, Uid)>,
    limit: usize,
) -> Result<Vec<DamagedRow>, ShardError> {
    let prefix = keys::damaged_in(mailbox);
    let mut from = after.map_or_else(|| prefix.clone(), |(m, v, u)| keys::damaged(m, v, u));
    if after.is_some() {
        from.push(0);
    }
    let mut found = Vec::new();
    rows.scan(KeyRange::prefix_from(&prefix, from), &mut |key, value| {
        found.extend(DamagedRow::decode(key, value));
        if found.len() < limit { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    })?;
    Ok(found)
}

/// The orphans that are known, by segment and offset, and since when.
///
/// # Errors
/// As [`note_damage`].
pub fn known_orphans(rows: &dyn Rows) -> Result<BTreeMap<(u32, u64), Timestamp>, ShardError> {
    let mut known = BTreeMap::new();
    rows.scan(KeyRange::prefix(keys::orphans()), &mut |key, value| {
        let read = || {
            let (segment, offset) = key.get(1..)?.split_first_chunk::<4>()?;
            let place = (u32::from_be_bytes(*segment), u64::from_be_bytes(offset.try_into().ok()?));
            Some((place, Timestamp::from_secs(Reader::new(value).signed()?)))
        };
        known.extend(read());
        ControlFlow::Continue(())
    })?;
    Ok(known)
}

/// Notes which orphans there are now; those that were known keep their time, those that are gone are forgotten.
///
/// # Errors
/// As [`note_damage`].
pub fn note_orphans(tx: &mut Transaction<'_>, orphans: &[Orphan], now: Timestamp) -> Result<(), ShardError> {
    let mut gone = known_orphans(tx)?;
    for orphan in orphans {
        if gone.remove(&(orphan.segment, orphan.offset)).is_none() {
            let mut value = Vec::with_capacity(8);
            put_signed(&mut value, now.as_secs());
            tx.put(&keys::orphan(orphan.segment, orphan.offset), &value)?;
        }
    }
    gone.into_keys().try_for_each(|(segment, offset)| tx.delete(&keys::orphan(segment, offset)))
}

/// How far the background check of a shard is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ScrubRow {
    /// When this round began.
    pub begun: Timestamp,
    /// The last mailbox that was read in it; `None`: none yet.
    pub last: Option<MailboxId>,
    /// Whether it has come to the end.
    pub done: bool,
    /// Messages that were read.
    pub messages: u64,
    /// Their bytes.
    pub bytes: u64,
    /// How many of them are damaged.
    pub damaged: u64,
}

/// How far the background check is; `None`: it has never run.
///
/// # Errors
/// As [`note_damage`].
pub fn scrub(rows: &dyn Rows) -> Result<Option<ScrubRow>, ShardError> {
    let Some(row) = rows.get(&keys::scrub())? else { return Ok(None) };
    let mut r = Reader::new(&row);
    let mut decode = || {
        r.byte().filter(|v| *v == VERSION)?;
        let bits = r.byte()?;
        let begun = Timestamp::from_secs(r.signed()?);
        let last = MailboxId(r.signed()?);
        Some(ScrubRow {
            begun,
            last: (bits & 1 != 0).then_some(last),
            done: bits & 2 != 0,
            messages: r.number()?,
            bytes: r.number()?,
            damaged: r.number()?,
        })
    };
    // What cannot be read is begun anew.
    Ok(decode())
}

/// Notes how far the background check is.
///
/// # Errors
/// As [`note_damage`].
pub fn put_scrub(tx: &mut Transaction<'_>, row: &ScrubRow) -> Result<(), ShardError> {
    let mut value = vec![VERSION, u8::from(row.last.is_some()) | u8::from(row.done) << 1];
    put_signed(&mut value, row.begun.as_secs());
    put_signed(&mut value, row.last.map_or(0, |id| id.0));
    [row.messages, row.bytes, row.damaged].into_iter().for_each(|n| put_number(&mut value, n));
    tx.put(&keys::scrub(), &value)
}
