//! Keys and rows of the queue, and their encoding.
//!
//! `i` item: what is the same for all recipients, and the body. `g` item number: recipients of one domain, at most
//! [`MAX_GROUP`]. `d` domain due item number: nothing; there for as long as the group may be tried.

use crate::codec::{Reader, put_bytes, put_number, put_signed};
use crate::shard::BlobRef;
use mail::address::{Address, Domain};
use mail::envelope::{BodyKind, Notify, Origin, Recipient, Return, Sender};
use mail::id::{QueueId, TraceId};
use mail::time::Timestamp;

/// Most recipients in one group: a group is one unit of work and one row.
pub const MAX_GROUP: usize = 256;
/// Most bytes kept of what the last attempt said.
pub const MAX_REPLY: usize = 1000;
/// The first byte of every row.
const VERSION: u8 = 1;

/// A destination domain, as far as the queue is concerned: domains that share a key share their turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DomainKey(pub u64);

impl DomainKey {
    /// The key of a domain: FNV-1a of its name, the same in every release.
    pub fn of(domain: &Domain) -> Self {
        let hash = |h: u64, b: u8| (h ^ u64::from(b)).wrapping_mul(0x0100_0000_01b3);
        Self(domain.as_str().bytes().fold(0xcbf2_9ce4_8422_2325, hash))
    }
}

/// A group of recipients of an item.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GroupKey {
    /// The item.
    pub item: QueueId,
    /// Which of its groups.
    pub number: u16,
}

/// Whether an item is tried when it is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Held {
    /// Not until it is released.
    Yes,
    /// Yes, it is tried.
    No,
}

/// An item without its recipients.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ItemRow {
    /// Sender and options.
    pub origin: Origin,
    /// Follows it through the log.
    pub trace: TraceId,
    /// When it came in.
    pub arrived: Timestamp,
    /// Whether an operator holds it back.
    pub held: Held,
    /// Its body.
    pub body: BlobRef,
}

/// A recipient and its history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecipientRow {
    /// Who.
    pub recipient: Recipient,
    /// Attempts so far.
    pub attempts: u32,
    /// Not to be tried before.
    pub next: Timestamp,
    /// Whether the sender has been told that it is late.
    pub warned: bool,
    /// What the last attempt said, at most [`MAX_REPLY`] bytes.
    pub last_reply: Option<String>,
}

/// Recipients of one domain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupRow {
    /// The domain.
    pub domain: DomainKey,
    /// Those that are left, at most [`MAX_GROUP`].
    pub recipients: Vec<RecipientRow>,
}

impl GroupRow {
    /// When the first of them is due; `None` where none is left.
    pub fn due(&self) -> Option<Timestamp> {
        self.recipients.iter().map(|r| r.next).min()
    }
}

pub(super) const ITEMS: u8 = b'i';
pub(super) const GROUPS: u8 = b'g';
pub(super) const DUES: u8 = b'd';

pub(super) fn item_key(id: QueueId) -> Vec<u8> {
    let mut key = vec![ITEMS];
    key.extend_from_slice(&id.0.to_be_bytes());
    key
}

pub(super) fn item_of_key(key: &[u8]) -> Option<QueueId> {
    let id = key.strip_prefix(&[ITEMS])?;
    Some(QueueId(u64::from_be_bytes(id.try_into().ok()?)))
}

/// The prefix of all groups of an item.
pub(super) fn groups_of(id: QueueId) -> Vec<u8> {
    let mut key = vec![GROUPS];
    key.extend_from_slice(&id.0.to_be_bytes());
    key
}

pub(super) fn group_key(group: GroupKey) -> Vec<u8> {
    let mut key = groups_of(group.item);
    key.extend_from_slice(&group.number.to_be_bytes());
    key
}

pub(super) fn group_of_key(key: &[u8]) -> Option<GroupKey> {
    read_group(&mut Reader::new(key.strip_prefix(&[GROUPS])?))
}

/// The prefix of everything due for a domain.
pub(super) fn dues_of(domain: DomainKey) -> Vec<u8> {
    let mut key = vec![DUES];
    key.extend_from_slice(&domain.0.to_be_bytes());
    key
}

pub(super) fn due_key(domain: DomainKey, due: Timestamp, group: GroupKey) -> Vec<u8> {
    let mut key = dues_of(domain);
    // The sign is turned, so that the bytes sort as the times do.
    key.extend_from_slice(&(due.as_micros() ^ i64::MIN).to_be_bytes());
    key.extend_from_slice(&group.item.0.to_be_bytes());
    key.extend_from_slice(&group.number.to_be_bytes());
    key
}

pub(super) fn due_of_key(key: &[u8]) -> Option<(DomainKey, Timestamp, GroupKey)> {
    let mut r = Reader::new(key.strip_prefix(&[DUES])?);
    let domain = DomainKey(u64::from_be_bytes(r.array()?));
    let due = Timestamp::from_micros(i64::from_be_bytes(r.array()?) ^ i64::MIN);
    Some((domain, due, read_group(&mut r)?))
}

fn read_group(r: &mut Reader<'_>) -> Option<GroupKey> {
    let item = QueueId(u64::from_be_bytes(r.array()?));
    let number = u16::from_be_bytes(r.array()?);
    r.is_empty().then_some(GroupKey { item, number })
}

pub(super) fn write_item(item: &ItemRow) -> Vec<u8> {
    let mut out = vec![VERSION];
    item.body.encode(&mut out);
    put_signed(&mut out, item.arrived.as_micros());
    let bits = [
        item.held == Held::Yes,
        item.origin.ret == Return::Full,
        item.origin.body == BodyKind::EightBitMime,
        item.origin.utf8,
        item.origin.sender.0.is_some(),
        item.origin.envelope_id.is_some(),
    ];
    out.push(pack(&bits));
    put_bytes(&mut out, item.trace.as_str().as_bytes());
    if let Some(sender) = &item.origin.sender.0 {
        write_address(&mut out, sender);
    }
    if let Some(id) = &item.origin.envelope_id {
        put_bytes(&mut out, id.as_bytes());
    }
    out
}

pub(super) fn read_item(row: &[u8]) -> Option<ItemRow> {
    let (body, rest) = BlobRef::decode(row.strip_prefix(&[VERSION])?)?;
    let mut r = Reader::new(rest);
    let arrived = Timestamp::from_micros(r.signed()?);
    let bits = r.byte()?;
    let trace = TraceId::new(read_text(&mut r)?);
    let sender = if has(bits, 4) { Some(read_address(&mut r)?) } else { None };
    let envelope_id = if has(bits, 5) { Some(read_text(&mut r)?.into()) } else { None };
    let origin = Origin {
        sender: Sender(sender),
        ret: if has(bits, 1) { Return::Full } else { Return::Headers },
        envelope_id,
        body: if has(bits, 2) { BodyKind::EightBitMime } else { BodyKind::SevenBit },
        utf8: has(bits, 3),
    };
    Some(ItemRow { origin, trace, arrived, held: if has(bits, 0) { Held::Yes } else { Held::No }, body })
}

pub(super) fn write_group(group: &GroupRow) -> Vec<u8> {
    let mut out = vec![VERSION];
    out.extend_from_slice(&group.domain.0.to_be_bytes());
    put_number(&mut out, group.recipients.len() as u64);
    for row in &group.recipients {
        let notify = row.recipient.notify;
        let bits = [
            notify.success,
            notify.failure,
            notify.delay,
            row.warned,
            row.recipient.original.is_some(),
            row.last_reply.is_some(),
        ];
        out.push(pack(&bits));
        write_address(&mut out, &row.recipient.address);
        put_number(&mut out, u64::from(row.attempts));
        put_signed(&mut out, row.next.as_micros());
        if let Some(original) = &row.recipient.original {
            put_bytes(&mut out, original.as_bytes());
        }
        if let Some(reply) = &row.last_reply {
            put_bytes(&mut out, &reply.as_bytes()[..reply.floor_char_boundary(MAX_REPLY)]);
        }
    }
    out
}

pub(super) fn read_group_row(row: &[u8]) -> Option<GroupRow> {
    let mut r = Reader::new(row.strip_prefix(&[VERSION])?);
    let domain = DomainKey(u64::from_be_bytes(r.array()?));
    let count = usize::try_from(r.number()?).ok().filter(|n| *n <= MAX_GROUP)?;
    let recipients = (0..count).map(|_| read_recipient(&mut r)).collect::<Option<_>>()?;
    r.is_empty().then_some(GroupRow { domain, recipients })
}

fn read_recipient(r: &mut Reader<'_>) -> Option<RecipientRow> {
    let bits = r.byte()?;
    let address = read_address(r)?;
    let attempts = r.number32()?;
    let next = Timestamp::from_micros(r.signed()?);
    let original = if has(bits, 4) { Some(read_text(r)?.into()) } else { None };
    let last_reply = if has(bits, 5) { Some(read_text(r)?.to_owned()) } else { None };
    let notify = Notify { success: has(bits, 0), failure: has(bits, 1), delay: has(bits, 2) };
    let recipient = Recipient { address, notify, original };
    Some(RecipientRow { recipient, attempts, next, warned: has(bits, 3), last_reply })
}

fn pack(bits: &[bool]) -> u8 {
    bits.iter().rev().fold(0, |byte, bit| byte << 1 | u8::from(*bit))
}

fn has(bits: u8, at: u8) -> bool {
    bits >> at & 1 == 1
}

fn write_address(out: &mut Vec<u8>, address: &Address) {
    put_bytes(out, address.local().as_bytes());
    put_bytes(out, address.domain().as_str().as_bytes());
}

fn read_address(r: &mut Reader<'_>) -> Option<Address> {
    let (local, domain) = (read_text(r)?, read_text(r)?);
    Address::new(local, Domain::parse(domain).ok()?).ok()
}

fn read_text<'a>(r: &mut Reader<'a>) -> Option<&'a str> {
    std::str::from_utf8(r.bytes()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn recipient(n: u32, text: &str) -> RecipientRow {
        RecipientRow {
            recipient: Recipient {
                address: Address::parse(&format!("u{n}@example.net")).unwrap(),
                notify: Notify { success: n & 1 == 1, failure: n & 2 == 2, delay: n & 4 == 4 },
                original: (n & 8 == 8).then(|| text.into()),
            },
            attempts: n,
            next: Timestamp::from_micros(i64::from(n) - 5),
            warned: n & 16 == 16,
            last_reply: (n & 32 == 32).then(|| text.to_owned()),
        }
    }

    proptest! {
        #[test]
        fn groups_come_back(numbers in prop::collection::vec(0u32..64, 0..20), text in ".{0,40}", domain: u64) {
            let recipients = numbers.iter().map(|n| recipient(*n, &text)).collect();
            let group = GroupRow { domain: DomainKey(domain), recipients };
            prop_assert_eq!(read_group_row(&write_group(&group)), Some(group));
        }

        #[test]
        fn damaged_rows_are_refused_without_a_panic(row: Vec<u8>, cut in 0usize..200) {
            let mut bytes = vec![VERSION];
            bytes.extend_from_slice(&row);
            let _ = (read_group_row(&bytes), read_item(&bytes), due_of_key(&bytes), group_of_key(&bytes));
            let group = GroupRow { domain: DomainKey(1), recipients: vec![recipient(63, "text"); 3] };
            let whole = write_group(&group);
            prop_assert_eq!(read_group_row(&whole[..cut.min(whole.len() - 1)]), None);
        }

        #[test]
        fn due_keys_sort_by_time(a: i64, b: i64) {
            let group = GroupKey { item: QueueId(7), number: 3 };
            let key = |t| due_key(DomainKey(9), Timestamp::from_micros(t), group);
            prop_assert_eq!(key(a).cmp(&key(b)), a.cmp(&b));
            prop_assert_eq!(due_of_key(&key(a)), Some((DomainKey(9), Timestamp::from_micros(a), group)));
        }
    }

    #[test]
    fn items_come_back() {
        let (body, _) = BlobRef::decode(&[1, 2, 3, 4]).unwrap();
        let sender = Sender(Some(Address::parse("\"a b\"@example.org").unwrap()));
        let origin = Origin {
            sender,
            ret: Return::Full,
            envelope_id: Some("x y".into()),
            body: BodyKind::EightBitMime,
            utf8: true,
        };
        let arrived = Timestamp::from_micros(-7);
        let item = ItemRow { origin, trace: TraceId::new("a.1"), arrived, held: Held::Yes, body };
        assert_eq!(read_item(&write_item(&item)), Some(item.clone()));
        let plain = ItemRow { origin: Origin::default(), held: Held::No, ..item };
        assert_eq!(read_item(&write_item(&plain)), Some(plain));
    }

    #[test]
    fn a_long_reply_is_cut_at_a_character() {
        let mut row = recipient(0, "");
        row.last_reply = Some("ä".repeat(MAX_REPLY));
        let group = GroupRow { domain: DomainKey(1), recipients: vec![row] };
        let back = read_group_row(&write_group(&group)).unwrap();
        assert_eq!(back.recipients[0].last_reply.as_ref().unwrap().len(), MAX_REPLY);
    }
}
