//! Taking a mailbox from one shard to another, or a copy of it to another mailbox, while it is in use.
//!
//! The rows of the source are read a piece at a time ([`read`]) and made true of the target ([`apply`]): rows that differ
//! are written, rows that are too many go, bodies that the target has not yet are stored there. Repeated, each pass costs
//! what has changed in writing and all rows in reading; a pass over rows that nobody changes meanwhile makes both equal.
//! Nothing is known here of single kinds of rows, except which of them refer to a body.
//!
//! Rows beside the mailbox's own say how far a transfer is, so that a crash leaves the mailbox in exactly one place
//! ([`Departure`], [`Arrival`]); when to write which is the store's business.

use super::history::{self, BodyOf, Entry};
use super::keys;
use super::rows::MessageRow;
use crate::codec::{Reader, put_number};
use crate::shard::{Blob, BlobRef, KeyRange, Row, Rows, ShardError, Transaction, View};
use mail::id::{MailboxId, Uid};
use mail::time::Timestamp;
use std::collections::BTreeMap;
use std::ops::ControlFlow;

/// Most rows of one piece.
const PIECE_ROWS: usize = 2000;
/// A piece ends after this many bytes of bodies.
const PIECE_BYTES: u64 = 2 << 20;
/// Most rows that one step of [`clear`] takes away.
const CLEAR_STEP: usize = 2000;

/// A row without the mailbox's prefix, with the body that it refers to.
struct Item {
    value: Vec<u8>,
    body: Option<Reference>,
}

/// How a row refers to a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Reference {
    blob: BlobRef,
    /// Whether the row counts as a reference. History of flags leaves that to the message.
    counts: bool,
}

/// Some rows of a mailbox, complete between two keys.
pub struct Piece {
    from: Vec<u8>,
    /// Where the next piece begins; `None`: this is the last.
    next: Option<Vec<u8>>,
    items: BTreeMap<Vec<u8>, Item>,
    bodies: BTreeMap<BlobRef, Blob>,
}

impl Piece {
    /// Where the next piece begins; `None`: this was the last one.
    pub fn next(&self) -> Option<Vec<u8>> {
        self.next.clone()
    }
}

/// What one piece changed in the target.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Applied {
    /// Rows that were written or taken away.
    pub rows: u64,
    /// Bodies that were stored.
    pub bodies: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// Reads the rows of a mailbox from a key on (first the empty one).
///
/// # Errors
/// Where the index or a body cannot be opened.
pub fn read(view: &View<'_>, id: MailboxId, from: Vec<u8>) -> Result<Piece, ShardError> {
    let prefix = keys::mailbox_prefix(id);
    let mut piece = Piece { from: from.clone(), next: None, items: BTreeMap::new(), bodies: BTreeMap::new() };
    let (mut bytes, mut failed) = (0, None);
    let start = [prefix.as_slice(), &from].concat();
    view.scan(KeyRange::prefix_from(&prefix, start), &mut |key, value| {
        if piece.items.len() == PIECE_ROWS || bytes >= PIECE_BYTES {
            piece.next = Some(key[prefix.len()..].to_vec());
            return ControlFlow::Break(());
        }
        let item = reference(key, value).and_then(|body| {
            if let Some(Reference { blob, .. }) = body
                && !piece.bodies.contains_key(&blob)
            {
                bytes += blob.body_len();
                piece.bodies.insert(blob, view.blob(&blob)?);
            }
            Ok(Item { value: value.to_vec(), body })
        });
        match item {
            Ok(item) => drop(piece.items.insert(key[prefix.len()..].to_vec(), item)),
            Err(error) => failed = Some(error),
        }
        if failed.is_some() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    })?;
    failed.map_or(Ok(piece), Err)
}

/// Makes the rows of a piece true of a mailbox of this shard. What requests have delivered is remembered until
/// `remember`.
///
/// # Errors
/// Where the index cannot be read, a body cannot be stored, or the change is too large.
pub fn apply(
    tx: &mut Transaction<'_>,
    id: MailboxId,
    mut piece: Piece,
    remember: Timestamp,
) -> Result<Applied, ShardError> {
    let prefix = keys::mailbox_prefix(id);
    let mut applied = Applied::default();
    for (key, value) in rows_between(tx, &prefix, &piece)? {
        let rest = key[prefix.len()..].to_vec();
        let wanted = piece.items.remove(&rest);
        let wanted = wanted.map(|item| translate(tx, id, &piece.bodies, item, &mut applied)).transpose()?;
        if wanted.as_ref().is_some_and(|item| item.value == value) {
            continue;
        }
        applied.rows += 1;
        let had = reference(&key, &value)?;
        match wanted {
            Some(item) => put(tx, &key, item)?,
            None => tx.delete(&key)?,
        }
        if let Some(Reference { blob, counts: true }) = had {
            tx.release(&blob)?;
        }
    }
    for (rest, item) in std::mem::take(&mut piece.items) {
        let key = [prefix.as_slice(), &rest].concat();
        let item = translate(tx, id, &piece.bodies, item, &mut applied)?;
        applied.rows += 1;
        put(tx, &key, item)?;
        beside(tx, id, &key, remember)?;
    }
    Ok(applied)
}

/// The rows that the target has where the piece is complete.
fn rows_between(tx: &Transaction<'_>, prefix: &[u8], piece: &Piece) -> Result<Vec<Row>, ShardError> {
    let from = [prefix, &piece.from].concat();
    let range = match &piece.next {
        Some(next) => KeyRange::new(from, [prefix, next].concat()),
        None => KeyRange::prefix_from(prefix, from),
    };
    let mut rows = Vec::new();
    tx.scan(range, &mut |key, value| {
        rows.push((key.to_vec(), value.to_vec()));
        ControlFlow::Continue(())
    })?;
    Ok(rows)
}

/// The row as it is in the target: with the body's name there. A body that is not there yet is stored.
fn translate(
    tx: &mut Transaction<'_>,
    id: MailboxId,
    bodies: &BTreeMap<BlobRef, Blob>,
    item: Item,
    applied: &mut Applied,
) -> Result<Item, ShardError> {
    let Some(Reference { blob, counts }) = item.body else { return Ok(item) };
    let key = keys::staged(id, &blob);
    let there = match tx.get(&key)? {
        Some(row) => BlobRef::decode(&row).ok_or_else(|| ShardError::corrupt("the row of a staged body"))?.0,
        None => {
            let body = bodies.get(&blob).ok_or(ShardError::Gone)?;
            let there = tx.store(&body.meta()?, body)?;
            applied.bodies += 1;
            applied.bytes += blob.body_len();
            let mut row = Vec::new();
            there.encode(&mut row);
            tx.put(&key, &row)?;
            there
        }
    };
    let mut value = item.value;
    let tail = {
        let mut name = Vec::new();
        blob.encode(&mut name);
        value.len() - name.len()
    };
    // The name of the body is the last thing in a message's row.
    value.truncate(tail);
    there.encode(&mut value);
    Ok(Item { value, body: Some(Reference { blob: there, counts }) })
}

fn put(tx: &mut Transaction<'_>, key: &[u8], item: Item) -> Result<(), ShardError> {
    if let Some(Reference { blob, counts: true }) = item.body {
        tx.retain(&blob, 1)?;
    }
    tx.put(key, &item.value)
}

/// The rows that stand elsewhere for a row of the mailbox: where it is found when its time is over.
fn beside(
    tx: &mut Transaction<'_>,
    id: MailboxId,
    key: &[u8],
    remember: Timestamp,
) -> Result<(), ShardError> {
    if let Some(request) = keys::parse_request(key) {
        super::requests::note_end(tx, id, request, remember)?;
    }
    if let Some(at) = keys::parse_history_time(key) {
        history::note(tx, id, at)?;
    }
    Ok(())
}

/// What body a row refers to.
fn reference(key: &[u8], value: &[u8]) -> Result<Option<Reference>, ShardError> {
    match keys::kind(key) {
        Some(b'M') => Ok(Some(Reference { blob: MessageRow::decode(Uid(0), value)?.blob, counts: true })),
        Some(b'H') => Ok(match history::parse(key, value)? {
            Entry::Message(_, row, body) => {
                Some(Reference { blob: row.blob, counts: body == BodyOf::History })
            }
            _ => None,
        }),
        _ => Ok(None),
    }
}

/// Takes away some of all rows of a mailbox with what they hold. `true` where that was all of it.
///
/// # Errors
/// Where the index cannot be read.
pub fn clear(tx: &mut Transaction<'_>, id: MailboxId) -> Result<bool, ShardError> {
    let mut rows = Vec::new();
    tx.scan(KeyRange::prefix(keys::mailbox_prefix(id)), &mut |key, value| {
        rows.push((key.to_vec(), value.to_vec()));
        if rows.len() < CLEAR_STEP { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    })?;
    for (key, value) in &rows {
        if let Some(Reference { blob, counts: true }) = reference(key, value)? {
            tx.release(&blob)?;
        }
        tx.delete(key)?;
    }
    if rows.len() == CLEAR_STEP {
        return Ok(false);
    }
    for (key, _) in super::purge::of(tx, id)? {
        tx.delete(&key)?;
    }
    super::indexed::lapse_all(tx, id)?;
    unstage(tx, id)
}

/// Takes away some of what a transfer has noted of bodies in the target. `true` where that was all of it.
///
/// # Errors
/// Where the index cannot be read.
pub fn unstage(tx: &mut Transaction<'_>, id: MailboxId) -> Result<bool, ShardError> {
    let mut rows = Vec::new();
    tx.scan(KeyRange::prefix(keys::all_staged(id)), &mut |key, value| {
        rows.push((key.to_vec(), value.to_vec()));
        if rows.len() < CLEAR_STEP { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    })?;
    for (key, value) in &rows {
        let (blob, _) =
            BlobRef::decode(value).ok_or_else(|| ShardError::corrupt("the row of a staged body"))?;
        tx.release(&blob)?;
        tx.delete(key)?;
    }
    Ok(rows.len() < CLEAR_STEP)
}

/// How far a mailbox is on its way out of this shard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Departure {
    /// It takes no changes: the last of them are being copied.
    Frozen {
        /// The shard that gets it.
        to: u32,
    },
    /// It is gone; what is left of it here may be cleared.
    Gone {
        /// The shard that has it.
        to: u32,
    },
}

impl Departure {
    fn encode(self) -> Vec<u8> {
        let (gone, to) = match self {
            Self::Frozen { to } => (0, to),
            Self::Gone { to } => (1, to),
        };
        let mut out = vec![gone];
        put_number(&mut out, u64::from(to));
        out
    }

    fn decode(row: &[u8]) -> Option<Self> {
        let mut r = Reader::new(row);
        match (r.byte()?, r.number32()?) {
            (0, to) => Some(Self::Frozen { to }),
            (1, to) => Some(Self::Gone { to }),
            _ => None,
        }
    }
}

/// How far a mailbox is on its way out.
///
/// # Errors
/// Where the index cannot be read.
pub fn departure(rows: &dyn Rows, id: MailboxId) -> Result<Option<Departure>, ShardError> {
    let Some(row) = rows.get(&keys::departure(id))? else { return Ok(None) };
    Departure::decode(&row).map(Some).ok_or_else(|| ShardError::corrupt("the row of a departure"))
}

/// Notes how far a mailbox is on its way out; `None`: it stays, or nothing is left of it.
///
/// # Errors
/// Where the change is too large.
pub fn set_departure(
    tx: &mut Transaction<'_>,
    id: MailboxId,
    departure: Option<Departure>,
) -> Result<(), ShardError> {
    match departure {
        Some(departure) => tx.put(&keys::departure(id), &departure.encode()),
        None => tx.delete(&keys::departure(id)),
    }
}

/// A mailbox that is coming from another shard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Arrival {
    /// The shard that has it until it has arrived.
    pub from: u32,
}

/// Whether a mailbox is still on its way here.
///
/// # Errors
/// Where the index cannot be read.
pub fn arrival(rows: &dyn Rows, id: MailboxId) -> Result<Option<Arrival>, ShardError> {
    let Some(row) = rows.get(&keys::arrival(id))? else { return Ok(None) };
    let from = Reader::new(&row).number32().ok_or_else(|| ShardError::corrupt("the row of an arrival"))?;
    Ok(Some(Arrival { from }))
}

/// Notes that a mailbox is coming; `None`: it is here, or does not come.
///
/// # Errors
/// Where the change is too large.
pub fn set_arrival(
    tx: &mut Transaction<'_>,
    id: MailboxId,
    arrival: Option<Arrival>,
) -> Result<(), ShardError> {
    match arrival {
        Some(Arrival { from }) => {
            let mut row = Vec::with_capacity(2);
            put_number(&mut row, u64::from(from));
            tx.put(&keys::arrival(id), &row)
        }
        None => tx.delete(&keys::arrival(id)),
    }
}

/// Whether a mailbox that has rows here is not on its way here, and has not gone.
///
/// # Errors
/// Where the index cannot be read.
pub fn is_resident(rows: &dyn Rows, id: MailboxId) -> Result<bool, ShardError> {
    Ok(arrival(rows, id)?.is_none() && !matches!(departure(rows, id)?, Some(Departure::Gone { .. })))
}

/// Whether changes to a mailbox must not be made here now: it is frozen, gone, or not here yet.
///
/// # Errors
/// Where the index cannot be read.
pub fn is_away(rows: &dyn Rows, id: MailboxId) -> Result<bool, ShardError> {
    Ok(rows.get(&keys::departure(id))?.is_some() || rows.get(&keys::arrival(id))?.is_some())
}

/// Whether a mailbox lives in this shard though another is its home.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lodging {
    /// It does.
    Here,
    /// It does not, or this is its home.
    Elsewhere,
}

/// Notes that a mailbox lives in this shard though another is its home, or that it does not.
///
/// # Errors
/// Where the change is too large.
pub fn set_lodging(tx: &mut Transaction<'_>, id: MailboxId, lodging: Lodging) -> Result<(), ShardError> {
    match lodging {
        Lodging::Here => tx.put(&keys::lodger(id), &[]),
        Lodging::Elsewhere => tx.delete(&keys::lodger(id)),
    }
}

/// Mailboxes that live here though another shard is their home.
///
/// # Errors
/// Where the index cannot be read.
pub fn lodgers(rows: &dyn Rows) -> Result<Vec<MailboxId>, ShardError> {
    ids(rows, keys::LODGER)
}

/// Mailboxes that are on their way out, or were.
///
/// # Errors
/// Where the index cannot be read.
pub fn departures(rows: &dyn Rows) -> Result<Vec<MailboxId>, ShardError> {
    ids(rows, keys::DEPARTURE)
}

/// Mailboxes that are on their way here.
///
/// # Errors
/// Where the index cannot be read.
pub fn arrivals(rows: &dyn Rows) -> Result<Vec<MailboxId>, ShardError> {
    ids(rows, keys::ARRIVAL)
}

fn ids(rows: &dyn Rows, kind: u8) -> Result<Vec<MailboxId>, ShardError> {
    let mut all = Vec::new();
    rows.scan(KeyRange::prefix([kind]), &mut |key, _| {
        all.extend(keys::parse_mailbox(key));
        ControlFlow::Continue(())
    })?;
    Ok(all)
}

/// Every mailbox that has a row here, removed or not, that is not on its way.
///
/// # Errors
/// Where the index cannot be read.
pub fn residents(rows: &dyn Rows) -> Result<Vec<MailboxId>, ShardError> {
    let (mut all, mut after) = (Vec::new(), None);
    while let Some(id) = super::next_mailbox(rows, after)? {
        if is_resident(rows, id)? {
            all.push(id);
        }
        after = Some(id);
    }
    Ok(all)
}

/// The purges that are to come for a mailbox, as they are noted.
///
/// # Errors
/// Where the index cannot be read.
pub fn purges(rows: &dyn Rows, id: MailboxId) -> Result<Vec<Row>, ShardError> {
    super::purge::of(rows, id)
}

/// Notes them for a mailbox that has come from elsewhere.
///
/// # Errors
/// Where the change is too large.
pub fn set_purges(tx: &mut Transaction<'_>, id: MailboxId, purges: &[Row]) -> Result<(), ShardError> {
    for (key, value) in purges {
        let (due, _, volume) =
            keys::parse_purge(key).ok_or_else(|| ShardError::corrupt("the key of a purge"))?;
        tx.put(&keys::purge(due, id, volume), value)?;
    }
    Ok(())
}
