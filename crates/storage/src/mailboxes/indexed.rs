//! What a shard knows of its text index: which one it is and at which commit, and for each volume how far it has come.
//!
//! The index is derived data in files of its own, which can be lost, damaged or put back from another day. So it counts
//! only while its generation and its last commit are the ones noted here. A commit of the index is noted before it is
//! made and again when it is durable, together with what it covers: after a crash the index is in one of two known states.
//!
//! These rows are no rows of a mailbox and do not move with it. What is noted of a volume lapses with the last row of the
//! volume, in the same commit, so that another volume of that number can never be taken for it.

use super::keys;
use super::rows::Volume;
use crate::codec::{Reader, put_number, put_signed};
use crate::shard::{KeyRange, Rows, ShardError, Transaction};
use mail::id::{MailboxId, Uid};
use mail::time::Timestamp;
use std::ops::ControlFlow;

const VERSION: u8 = 1;

/// Which text index a shard has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct TextRow {
    /// A random number of the index; 0: there is none.
    pub generation: u64,
    /// A random number of its last commit; 0: none yet.
    pub commit: u64,
    /// The commit that may have taken its place since.
    pub next: u64,
    /// When what is gone was taken out of it.
    pub swept: Timestamp,
}

impl TextRow {
    /// Whether an index whose last commit is this one has what is noted as covered.
    pub fn may_be_at(&self, commit: u64) -> bool {
        [self.commit, self.next].contains(&commit)
    }
}

/// How far the text index has come in a volume.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Covered {
    /// The index that this is said of: of any other it says nothing.
    pub generation: u64,
    /// A random number: coverage that began anew is not the one before.
    pub epoch: u64,
    /// It has all messages below this UID.
    pub below: Uid,
}

/// Which text index the shard has.
///
/// # Errors
/// Where the index of rows cannot be read.
pub fn text_row(rows: &dyn Rows) -> Result<TextRow, ShardError> {
    let Some(row) = rows.get(&keys::text())? else { return Ok(TextRow::default()) };
    let mut r = Reader::new(&row);
    let mut decode = || {
        r.byte().filter(|v| *v == VERSION)?;
        let (generation, commit, next) = (r.number()?, r.number()?, r.number()?);
        Some(TextRow { generation, commit, next, swept: Timestamp::from_secs(r.signed()?) })
    };
    // What cannot be read is begun anew.
    Ok(decode().unwrap_or_default())
}

/// Notes which text index the shard has.
///
/// # Errors
/// Where the change is too large.
pub fn put_text_row(tx: &mut Transaction<'_>, row: &TextRow) -> Result<(), ShardError> {
    let mut value = vec![VERSION];
    [row.generation, row.commit, row.next].into_iter().for_each(|n| put_number(&mut value, n));
    put_signed(&mut value, row.swept.as_secs());
    tx.put(&keys::text(), &value)
}

/// How far an index of this generation has come in a volume; `None`: nothing that counts.
///
/// # Errors
/// Where the index of rows cannot be read.
pub fn covered(
    rows: &dyn Rows,
    (id, volume): (MailboxId, Volume),
    generation: u64,
) -> Result<Option<Covered>, ShardError> {
    let Some(row) = rows.get(&keys::indexed(id, volume))? else { return Ok(None) };
    let mut r = Reader::new(&row);
    let mut decode = || {
        r.byte().filter(|v| *v == VERSION)?;
        Some(Covered { generation: r.number()?, epoch: r.number()?, below: Uid(r.number32()?) })
    };
    Ok(decode().filter(|covered| covered.generation == generation))
}

/// Notes how far an index has come in a volume.
///
/// # Errors
/// Where the change is too large.
pub fn put_covered(
    tx: &mut Transaction<'_>,
    (id, volume): (MailboxId, Volume),
    covered: &Covered,
) -> Result<(), ShardError> {
    let mut row = vec![VERSION];
    [covered.generation, covered.epoch].into_iter().for_each(|n| put_number(&mut row, n));
    put_number(&mut row, u64::from(covered.below.0));
    tx.put(&keys::indexed(id, volume), &row)
}

/// Notes nothing of a volume any more: the index has forgotten it.
///
/// # Errors
/// Where the change is too large.
pub fn forget_covered(tx: &mut Transaction<'_>, (id, volume): (MailboxId, Volume)) -> Result<(), ShardError> {
    tx.delete(&keys::indexed(id, volume))
}

/// What is noted of a volume counts no longer, and says only that the index has something to forget.
pub(super) fn lapse(tx: &mut Transaction<'_>, (id, volume): (MailboxId, Volume)) -> Result<(), ShardError> {
    let key = keys::indexed(id, volume);
    if tx.get(&key)?.is_some() { tx.put(&key, &[]) } else { Ok(()) }
}

/// As [`lapse`], for all volumes of a mailbox.
pub(super) fn lapse_all(tx: &mut Transaction<'_>, id: MailboxId) -> Result<(), ShardError> {
    let mut noted = Vec::new();
    tx.scan(KeyRange::prefix(keys::indexed_of(id)), &mut |key, _| {
        noted.push(key.to_vec());
        ControlFlow::Continue(())
    })?;
    noted.iter().try_for_each(|key| tx.put(key, &[]))
}

/// Volumes of which something is noted, after `after`, at most `limit`.
///
/// # Errors
/// Where the index of rows cannot be read.
pub fn indexed(
    rows: &dyn Rows,
    after: Option<(MailboxId, Volume)>,
    limit: usize,
) -> Result<Vec<(MailboxId, Volume)>, ShardError> {
    let mut all = Vec::new();
    let from = after.map_or_else(Vec::new, |(id, volume)| [keys::indexed(id, volume), vec![0]].concat());
    rows.scan(KeyRange::prefix_from(&keys::all_indexed(), from), &mut |key, _| {
        all.extend(keys::parse_indexed(key));
        if all.len() < limit { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    })?;
    Ok(all)
}
