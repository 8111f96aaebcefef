//! Keys, in big-endian so that their order is the order of what they name. All rows of a mailbox are neighbours.
//!
//! ```text
//! d mailbox volume uid              a message that is damaged
//! m mailbox A n name                the length of an attribute
//! m mailbox A v name                an attribute
//! m mailbox B                       the mailbox
//! m mailbox C volume modseq uid     a message and its last change
//! m mailbox F folder                a folder
//! m mailbox H time kind a b         what was before a change
//! m mailbox K                       the names of keywords
//! m mailbox M volume uid            a message
//! m mailbox N name                  a folder's id by name
//! m mailbox R request               what a request delivered
//! m mailbox S name                  a subscription
//! m mailbox U volume chunk          which UIDs there are
//! m mailbox V volume modseq         messages that are gone
//! a mailbox                         it is on its way here
//! g mailbox                         it is on its way out, or was
//! i mailbox volume                  how far the text index has come
//! l mailbox                         it lives here, though another shard is its home
//! n period mailbox                  history was written in this period
//! o segment offset                  when an orphan was seen first
//! p time mailbox volume             a dead volume, and when it may go
//! t mailbox segment offset          where a body of its old shard is now, while it moves
//! w                                 how far the background check is
//! x second mailbox request          when a request is forgotten
//! z                                 which text index there is
//! ```

use super::rows::Volume;
use crate::shard::{BlobRef, KeyRange};
use mail::id::{FolderId, MailboxId, ModSeq, RequestId, Uid};
use mail::time::Timestamp;

pub(super) const ARRIVAL: u8 = b'a';
const DAMAGED: u8 = b'd';
pub(super) const DEPARTURE: u8 = b'g';
const INDEXED: u8 = b'i';
pub(super) const LODGER: u8 = b'l';
const MAILBOX: u8 = b'm';
const NOTED: u8 = b'n';
const ORPHAN: u8 = b'o';
const PURGE: u8 = b'p';
const SCRUB: u8 = b'w';
const STAGED: u8 = b't';
const EXPIRY: u8 = b'x';
const TEXT: u8 = b'z';
/// Length of `m mailbox kind`.
const KIND_LEN: usize = 10;

fn of(mailbox: MailboxId, kind: u8, rest: usize) -> Vec<u8> {
    let mut key = Vec::with_capacity(KIND_LEN + rest);
    key.push(MAILBOX);
    key.extend_from_slice(&ordered(mailbox));
    key.push(kind);
    key
}

/// The front of all keys of a mailbox.
pub(super) fn mailbox_prefix(id: MailboxId) -> Vec<u8> {
    single(MAILBOX, id)
}

pub(super) fn arrival(id: MailboxId) -> Vec<u8> {
    single(ARRIVAL, id)
}

pub(super) fn departure(id: MailboxId) -> Vec<u8> {
    single(DEPARTURE, id)
}

pub(super) fn lodger(id: MailboxId) -> Vec<u8> {
    single(LODGER, id)
}

pub(super) fn text() -> Vec<u8> {
    vec![TEXT]
}

pub(super) fn all_indexed() -> Vec<u8> {
    vec![INDEXED]
}

/// The front of [`indexed`] for all volumes of a mailbox.
pub(super) fn indexed_of(id: MailboxId) -> Vec<u8> {
    single(INDEXED, id)
}

pub(super) fn indexed(id: MailboxId, volume: Volume) -> Vec<u8> {
    let mut key = indexed_of(id);
    key.extend_from_slice(&volume.0.to_be_bytes());
    key
}

/// The mailbox and the volume of a key of [`indexed`].
pub(super) fn parse_indexed(key: &[u8]) -> Option<(MailboxId, Volume)> {
    let (mailbox, volume) = key.get(1..)?.split_first_chunk::<8>()?;
    Some((unordered(*mailbox), Volume(u32::from_be_bytes(volume.try_into().ok()?))))
}

pub(super) fn all_bodies_staged() -> Vec<u8> {
    vec![STAGED]
}

pub(super) fn all_staged(id: MailboxId) -> Vec<u8> {
    single(STAGED, id)
}

/// The row of a body that came from another shard, by its name there.
pub(super) fn staged(id: MailboxId, blob: &BlobRef) -> Vec<u8> {
    let mut key = all_staged(id);
    blob.encode(&mut key);
    key
}

fn single(kind: u8, id: MailboxId) -> Vec<u8> {
    let mut key = Vec::with_capacity(24);
    key.push(kind);
    key.extend_from_slice(&ordered(id));
    key
}

/// The kind of a row of a mailbox.
pub(super) fn kind(key: &[u8]) -> Option<u8> {
    key.get(KIND_LEN - 1).copied()
}

/// The request of a key of [`request`]; `None` for other kinds.
pub(super) fn parse_request(key: &[u8]) -> Option<RequestId> {
    let rest = key.get(KIND_LEN..).filter(|_| kind(key) == Some(b'R'))?;
    Some(RequestId(u128::from_be_bytes(rest.try_into().ok()?)))
}

/// The time of a key of [`change_at`]; `None` for other kinds.
pub(super) fn parse_history_time(key: &[u8]) -> Option<Timestamp> {
    let rest = key.get(KIND_LEN..).filter(|_| kind(key) == Some(b'H'))?;
    Some(time(*rest.first_chunk::<8>()?))
}

/// Negative ids come before the others.
fn ordered(mailbox: MailboxId) -> [u8; 8] {
    (mailbox.0.cast_unsigned() ^ (1 << 63)).to_be_bytes()
}

/// The keys of all mailboxes behind this one; `None` where there can be none.
pub(super) fn mailboxes_after(after: Option<MailboxId>) -> Option<KeyRange> {
    let from = match after {
        None => vec![MAILBOX],
        Some(id) => {
            let mut key = vec![MAILBOX];
            key.extend_from_slice(&ordered(MailboxId(id.0.checked_add(1)?)));
            key
        }
    };
    Some(KeyRange::prefix_from(&[MAILBOX], from))
}

/// The mailbox of any key of a mailbox.
pub(super) fn parse_mailbox(key: &[u8]) -> Option<MailboxId> {
    Some(unordered(*key.get(1..)?.first_chunk::<8>()?))
}

/// The messages of all folders of a mailbox.
pub(super) fn all_messages(id: MailboxId) -> Vec<u8> {
    of(id, b'M', 0)
}

pub(super) fn mailbox(id: MailboxId) -> Vec<u8> {
    of(id, b'B', 0)
}

/// Lengths of attributes. They lie apart from the values, so that a list does not read those.
pub(super) fn attribute_lengths(id: MailboxId) -> Vec<u8> {
    let mut key = of(id, b'A', 1);
    key.push(b'n');
    key
}

pub(super) fn attribute_length(id: MailboxId, name: &str) -> Vec<u8> {
    let mut key = attribute_lengths(id);
    key.extend_from_slice(name.as_bytes());
    key
}

pub(super) fn attribute(id: MailboxId, name: &str) -> Vec<u8> {
    let mut key = of(id, b'A', 1 + name.len());
    key.push(b'v');
    key.extend_from_slice(name.as_bytes());
    key
}

/// The name in a key of [`attribute_length`].
pub(super) fn parse_attribute(key: &[u8]) -> Option<&str> {
    std::str::from_utf8(key.get(KIND_LEN + 1..)?).ok()
}

pub(super) fn keywords(id: MailboxId) -> Vec<u8> {
    of(id, b'K', 0)
}

pub(super) fn folders(id: MailboxId) -> Vec<u8> {
    of(id, b'F', 4)
}

pub(super) fn folder(id: MailboxId, folder: FolderId) -> Vec<u8> {
    let mut key = folders(id);
    key.extend_from_slice(&folder.0.to_be_bytes());
    key
}

pub(super) fn name(id: MailboxId, name: &str) -> Vec<u8> {
    let mut key = of(id, b'N', name.len());
    key.extend_from_slice(name.as_bytes());
    key
}

pub(super) fn subscriptions(id: MailboxId) -> Vec<u8> {
    of(id, b'S', 0)
}

pub(super) fn subscription(id: MailboxId, name: &str) -> Vec<u8> {
    let mut key = of(id, b'S', name.len());
    key.extend_from_slice(name.as_bytes());
    key
}

fn in_volume(id: MailboxId, kind: u8, volume: Volume, rest: usize) -> Vec<u8> {
    let mut key = of(id, kind, 4 + rest);
    key.extend_from_slice(&volume.0.to_be_bytes());
    key
}

pub(super) fn messages(id: MailboxId, volume: Volume) -> Vec<u8> {
    in_volume(id, b'M', volume, 4)
}

pub(super) fn message(id: MailboxId, volume: Volume, uid: Uid) -> Vec<u8> {
    let mut key = messages(id, volume);
    key.extend_from_slice(&uid.0.to_be_bytes());
    key
}

pub(super) fn chunks(id: MailboxId, volume: Volume) -> Vec<u8> {
    in_volume(id, b'U', volume, 4)
}

pub(super) fn chunk(id: MailboxId, volume: Volume, number: u32) -> Vec<u8> {
    let mut key = chunks(id, volume);
    key.extend_from_slice(&number.to_be_bytes());
    key
}

pub(super) fn changes(id: MailboxId, volume: Volume) -> Vec<u8> {
    in_volume(id, b'C', volume, 12)
}

pub(super) fn changes_from(id: MailboxId, volume: Volume, from: ModSeq) -> Vec<u8> {
    let mut key = changes(id, volume);
    key.extend_from_slice(&from.0.to_be_bytes());
    key
}

pub(super) fn change(id: MailboxId, volume: Volume, modseq: ModSeq, uid: Uid) -> Vec<u8> {
    let mut key = changes_from(id, volume, modseq);
    key.extend_from_slice(&uid.0.to_be_bytes());
    key
}

/// ModSeq and UID of a key of [`change`].
pub(super) fn parse_change(key: &[u8]) -> Option<(ModSeq, Uid)> {
    let (modseq, uid) = key.get(KIND_LEN + 4..)?.split_first_chunk::<8>()?;
    Some((ModSeq(u64::from_be_bytes(*modseq)), Uid(u32::from_be_bytes(uid.try_into().ok()?))))
}

pub(super) fn vanished(id: MailboxId, volume: Volume) -> Vec<u8> {
    in_volume(id, b'V', volume, 8)
}

pub(super) fn vanished_at(id: MailboxId, volume: Volume, modseq: ModSeq) -> Vec<u8> {
    let mut key = vanished(id, volume);
    key.extend_from_slice(&modseq.0.to_be_bytes());
    key
}

/// The ModSeq of a key of [`vanished_at`].
pub(super) fn parse_vanished(key: &[u8]) -> Option<ModSeq> {
    Some(ModSeq(u64::from_be_bytes(key.get(KIND_LEN + 4..)?.try_into().ok()?)))
}

/// The UID of a key of [`message`], or the number of one of [`chunk`].
pub(super) fn parse_uid(key: &[u8]) -> Option<Uid> {
    Some(Uid(u32::from_be_bytes(key.get(KIND_LEN + 4..)?.try_into().ok()?)))
}

/// The name in a key of [`subscription`].
pub(super) fn parse_name(key: &[u8]) -> Option<&str> {
    std::str::from_utf8(key.get(KIND_LEN..)?).ok()
}

pub(super) fn requests(id: MailboxId) -> Vec<u8> {
    of(id, b'R', 16)
}

pub(super) fn request(id: MailboxId, request: RequestId) -> Vec<u8> {
    let mut key = requests(id);
    key.extend_from_slice(&request.0.to_be_bytes());
    key
}

/// All damaged messages, or those of a mailbox.
pub(super) fn damaged_in(id: Option<MailboxId>) -> Vec<u8> {
    let mut key = vec![DAMAGED];
    key.extend(id.map(ordered).into_iter().flatten());
    key
}

pub(super) fn damaged(id: MailboxId, volume: Volume, uid: Uid) -> Vec<u8> {
    let mut key = damaged_in(Some(id));
    key.extend_from_slice(&volume.0.to_be_bytes());
    key.extend_from_slice(&uid.0.to_be_bytes());
    key
}

/// The mailbox, the volume and the UID of a key of [`damaged`].
pub(super) fn parse_damaged(key: &[u8]) -> Option<(MailboxId, Volume, Uid)> {
    let (mailbox, rest) = key.get(1..)?.split_first_chunk::<8>()?;
    let (volume, uid) = rest.split_first_chunk::<4>()?;
    let uid = Uid(u32::from_be_bytes(uid.try_into().ok()?));
    Some((unordered(*mailbox), Volume(u32::from_be_bytes(*volume)), uid))
}

pub(super) fn orphans() -> Vec<u8> {
    vec![ORPHAN]
}

pub(super) fn orphan(segment: u32, offset: u64) -> Vec<u8> {
    let mut key = orphans();
    key.extend_from_slice(&segment.to_be_bytes());
    key.extend_from_slice(&offset.to_be_bytes());
    key
}

pub(super) fn scrub() -> Vec<u8> {
    vec![SCRUB]
}

pub(super) fn expiries() -> Vec<u8> {
    vec![EXPIRY]
}

pub(super) fn expiry(second: u32, id: MailboxId, request: RequestId) -> Vec<u8> {
    let mut key = Vec::with_capacity(29);
    key.push(EXPIRY);
    key.extend_from_slice(&second.to_be_bytes());
    key.extend_from_slice(&ordered(id));
    key.extend_from_slice(&request.0.to_be_bytes());
    key
}

/// The second, the mailbox and the request of a key of [`expiry`].
pub(super) fn parse_expiry(key: &[u8]) -> Option<(u32, MailboxId, RequestId)> {
    let (second, rest) = key.get(1..)?.split_first_chunk::<4>()?;
    let (mailbox, request) = rest.split_first_chunk::<8>()?;
    let request = RequestId(u128::from_be_bytes(request.try_into().ok()?));
    Some((u32::from_be_bytes(*second), unordered(*mailbox), request))
}

pub(super) fn purges() -> Vec<u8> {
    vec![PURGE]
}

pub(super) fn purge(due: Timestamp, id: MailboxId, volume: Volume) -> Vec<u8> {
    let mut key = Vec::with_capacity(21);
    key.push(PURGE);
    key.extend_from_slice(&ordered_time(due));
    key.extend_from_slice(&ordered(id));
    key.extend_from_slice(&volume.0.to_be_bytes());
    key
}

/// When it may go, the mailbox and the volume of a key of [`purge`].
pub(super) fn parse_purge(key: &[u8]) -> Option<(Timestamp, MailboxId, Volume)> {
    let (due, rest) = key.get(1..)?.split_first_chunk::<8>()?;
    let (mailbox, volume) = rest.split_first_chunk::<8>()?;
    Some((time(*due), unordered(*mailbox), Volume(u32::from_be_bytes(volume.try_into().ok()?))))
}

/// What a row of history is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Change {
    Message(Volume, Uid),
    Folder(FolderId),
    Subscription(u32),
    Keywords,
}

pub(super) fn history(id: MailboxId) -> Vec<u8> {
    of(id, b'H', 17)
}

pub(super) fn history_from(id: MailboxId, at: Timestamp) -> Vec<u8> {
    let mut key = history(id);
    key.extend_from_slice(&ordered_time(at));
    key
}

pub(super) fn change_at(id: MailboxId, at: Timestamp, change: Change) -> Vec<u8> {
    let mut key = history_from(id, at);
    let (kind, a, b) = match change {
        Change::Message(volume, uid) => (b'M', volume.0, uid.0),
        Change::Folder(folder) => (b'F', folder.0, 0),
        Change::Subscription(number) => (b'S', number, 0),
        Change::Keywords => (b'K', 0, 0),
    };
    key.push(kind);
    key.extend_from_slice(&a.to_be_bytes());
    key.extend_from_slice(&b.to_be_bytes());
    key
}

/// What a key of [`change_at`] is about.
pub(super) fn parse_change_at(key: &[u8]) -> Option<Change> {
    let (&kind, rest) = key.get(KIND_LEN + 8..)?.split_first()?;
    let (a, b) = rest.split_first_chunk::<4>()?;
    let (a, b) = (u32::from_be_bytes(*a), u32::from_be_bytes(b.try_into().ok()?));
    match kind {
        b'M' => Some(Change::Message(Volume(a), Uid(b))),
        b'F' => Some(Change::Folder(FolderId(a))),
        b'S' => Some(Change::Subscription(a)),
        b'K' => Some(Change::Keywords),
        _ => None,
    }
}

pub(super) fn all_noted() -> Vec<u8> {
    vec![NOTED]
}

pub(super) fn noted(period: u32, id: MailboxId) -> Vec<u8> {
    let mut key = Vec::with_capacity(13);
    key.push(NOTED);
    key.extend_from_slice(&period.to_be_bytes());
    key.extend_from_slice(&ordered(id));
    key
}

/// The period and the mailbox of a key of [`noted`].
pub(super) fn parse_noted(key: &[u8]) -> Option<(u32, MailboxId)> {
    let (period, mailbox) = key.get(1..)?.split_first_chunk::<4>()?;
    Some((u32::from_be_bytes(*period), unordered(mailbox.try_into().ok()?)))
}

/// Times before 1970 come before the others.
fn ordered_time(at: Timestamp) -> [u8; 8] {
    (at.as_micros().cast_unsigned() ^ (1 << 63)).to_be_bytes()
}

fn time(bytes: [u8; 8]) -> Timestamp {
    Timestamp::from_micros((u64::from_be_bytes(bytes) ^ (1 << 63)).cast_signed())
}

fn unordered(bytes: [u8; 8]) -> MailboxId {
    MailboxId((u64::from_be_bytes(bytes) ^ (1 << 63)).cast_signed())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_in_the_order_of_what_they_name() {
        let ids = [i64::MIN, -5, -1, 0, 1, 300, i64::MAX].map(MailboxId);
        assert!(ids.map(mailbox).is_sorted());
        for pair in ids.windows(2) {
            let after = mailboxes_after(Some(pair[0])).unwrap().from;
            assert!(vanished(pair[0], Volume(9)) < after && after < attribute(pair[1], "a"));
        }
        let id = ids[1];
        assert!(message(id, Volume(1), Uid(255)) < message(id, Volume(1), Uid(256)));
        assert!(message(id, Volume(1), Uid(u32::MAX)) < message(id, Volume(2), Uid(1)));
    }

    #[test]
    fn keys_are_read_back() {
        for id in [-7, 0, 9].map(MailboxId) {
            let v = Volume(3);
            assert_eq!(parse_change(&change(id, v, ModSeq(8), Uid(9))), Some((ModSeq(8), Uid(9))));
            assert_eq!(parse_vanished(&vanished_at(id, v, ModSeq(8))), Some(ModSeq(8)));
            assert_eq!(parse_uid(&message(id, v, Uid(9))), Some(Uid(9)));
            assert_eq!(parse_mailbox(&message(id, v, Uid(9))), Some(id));
            assert!(mailboxes_after(Some(id)).unwrap().from > message(id, v, Uid(9)));
            assert_eq!(parse_name(&subscription(id, "ä/b")), Some("ä/b"));
            assert_eq!(parse_indexed(&indexed(id, v)), Some((id, v)));
            assert_eq!(parse_damaged(&damaged(id, v, Uid(9))), Some((id, v, Uid(9))));
            let at = Timestamp::from_micros(-5);
            assert_eq!(parse_purge(&purge(at, id, v)), Some((at, id, v)));
            assert_eq!(parse_noted(&noted(8, id)), Some((8, id)));
            let changes = [
                Change::Message(v, Uid(1)),
                Change::Folder(FolderId(2)),
                Change::Subscription(3),
                Change::Keywords,
            ];
            for change in changes {
                let key = change_at(id, at, change);
                assert_eq!(parse_change_at(&key), Some(change));
                assert!(key > history_from(id, at) && key < history_from(id, Timestamp::from_micros(0)));
            }
            assert_eq!(parse_attribute(&attribute_length(id, "a/b")), Some("a/b"));
            let request = RequestId(1 << 100);
            assert_eq!(parse_expiry(&expiry(77, id, request)), Some((77, id, request)));
        }
    }
}
