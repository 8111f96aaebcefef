//! What a client can say, as values. RFC 9051 6, RFC 3501 6 and the extensions that are announced.
//!
//! Values only: `parse` makes them, `state` says when they are legal, the `imap` server does what they ask.

use super::name::{MailboxName, Pattern};
use mail::flags::{FlagAction, Flags};
use mail::id::ModSeq;
use mail::search::Criterion;
use mail::secret::Secret;
use mail::sequence::NumberSet;
use mail::time::Timestamp;
use std::fmt;
use std::num::NonZeroU32;

/// What the client calls a command; printed in its answer. At most [`super::MAX_TAG_LEN`] octets.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Tag(pub(super) Box<str>);

impl Tag {
    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A tagged command.
#[derive(Debug, Clone, PartialEq)]
pub struct Tagged {
    /// Its tag.
    pub tag: Tag,
    /// What it asks.
    pub command: Command,
}

/// A command. `APPEND` comes as [`Append`], with its literal still to be read.
#[derive(Debug, Clone, PartialEq)]
pub enum Command {
    /// RFC 9051 6.1.1
    Capability,
    /// RFC 9051 6.1.2
    Noop,
    /// RFC 9051 6.1.3
    Logout,
    /// RFC 2971
    Id(Vec<(Box<str>, Option<Box<str>>)>),
    /// RFC 9051 6.2.1
    StartTls,
    /// RFC 9051 6.2.2
    Authenticate(Authenticate),
    /// RFC 9051 6.2.3
    Login(Login),
    /// RFC 9051 6.3.1
    Enable(Vec<Box<str>>),
    /// RFC 9051 6.3.2 and 6.3.3
    Select(Select),
    /// RFC 9051 6.3.4, RFC 6154 3
    Create(MailboxName, Vec<SpecialUse>),
    /// RFC 9051 6.3.5
    Delete(MailboxName),
    /// RFC 9051 6.3.6: from, to
    Rename(MailboxName, MailboxName),
    /// RFC 9051 6.3.7
    Subscribe(MailboxName),
    /// RFC 9051 6.3.8
    Unsubscribe(MailboxName),
    /// RFC 9051 6.3.9, RFC 5258, RFC 5819
    List(List),
    /// RFC 3501 6.3.9: reference, pattern
    Lsub(Pattern, Pattern),
    /// RFC 9051 6.3.10
    Namespace,
    /// RFC 9051 6.3.11
    Status(MailboxName, StatusItems),
    /// RFC 9051 6.3.13
    Idle,
    /// RFC 3501 6.4.1
    Check,
    /// RFC 9051 6.4.1
    Close,
    /// RFC 9051 6.4.2
    Unselect,
    /// RFC 9051 6.4.3
    Expunge,
    /// RFC 9051 6.4.9
    UidExpunge(SequenceSet),
    /// RFC 9051 6.4.4
    Search(Search),
    /// RFC 9051 6.4.5
    Fetch(Fetch),
    /// RFC 9051 6.4.6
    Store(Store),
    /// RFC 9051 6.4.7
    Copy(Transfer),
    /// RFC 9051 6.4.8
    Move(Transfer),
    /// RFC 9208 4.1.2
    GetQuota(Box<str>),
    /// RFC 9208 4.1.3
    GetQuotaRoot(MailboxName),
}

/// `AUTHENTICATE`
#[derive(Debug, Clone, PartialEq)]
pub struct Authenticate {
    /// The mechanism, upper case.
    pub mechanism: Box<str>,
    /// The initial response (RFC 4959), decoded; `=` is an empty one.
    pub initial: Option<Opaque>,
}

/// `LOGIN`
#[derive(Debug, Clone, PartialEq)]
pub struct Login {
    /// The login name, as sent.
    pub user: Box<str>,
    /// The password.
    pub password: Opaque,
}

/// Bytes that may be a secret: never printed.
#[derive(Debug, Clone)]
pub struct Opaque(pub Secret);

impl PartialEq for Opaque {
    fn eq(&self, other: &Self) -> bool {
        self.0.same_as(other.0.expose())
    }
}

/// `SELECT` and `EXAMINE`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Select {
    /// Which mailbox.
    pub mailbox: MailboxName,
    /// Whether it may be changed.
    pub access: Access,
    /// `(CONDSTORE)` was given. RFC 7162 3.1.8.
    pub condstore: bool,
}

/// How a mailbox is opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// `SELECT`
    ReadWrite,
    /// `EXAMINE`
    ReadOnly,
}

/// Special uses of mailboxes. RFC 6154 2, RFC 8457.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SpecialUse {
    /// `\All`
    All,
    /// `\Archive`
    Archive,
    /// `\Drafts`
    Drafts,
    /// `\Flagged`
    Flagged,
    /// `\Important`
    Important,
    /// `\Junk`
    Junk,
    /// `\Sent`
    Sent,
    /// `\Trash`
    Trash,
}

impl SpecialUse {
    const NAMED: [(Self, &'static str); 8] = [
        (Self::All, "\\All"),
        (Self::Archive, "\\Archive"),
        (Self::Drafts, "\\Drafts"),
        (Self::Flagged, "\\Flagged"),
        (Self::Important, "\\Important"),
        (Self::Junk, "\\Junk"),
        (Self::Sent, "\\Sent"),
        (Self::Trash, "\\Trash"),
    ];

    /// The use of this name, with its backslash, in any case.
    pub fn named(name: &str) -> Option<Self> {
        Self::NAMED.iter().find(|(_, n)| n.eq_ignore_ascii_case(name)).map(|(u, _)| *u)
    }

    /// Its name, with the backslash.
    pub fn name(self) -> &'static str {
        Self::NAMED.iter().find(|(u, _)| *u == self).map_or("", |(_, n)| n)
    }
}

/// `LIST`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct List {
    /// The reference, put before each pattern.
    pub reference: Pattern,
    /// The patterns, one at least.
    pub patterns: Vec<Pattern>,
    /// Which mailboxes.
    pub select: ListSelect,
    /// What is told of them.
    pub give: ListReturn,
    /// Whether it was written in the extended form of RFC 5258.
    pub extended: bool,
}

/// Selection options. RFC 9051 6.3.9.1, RFC 6154 5.2.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ListSelect {
    /// Subscribed names, existing or not.
    pub subscribed: bool,
    /// Remote mailboxes too (there are none).
    pub remote: bool,
    /// Also parents of what is selected.
    pub recursive_match: bool,
    /// Only those with a special use.
    pub special_use: bool,
}

/// Return options. RFC 9051 6.3.9.2, RFC 5819.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ListReturn {
    /// `\Subscribed`
    pub subscribed: bool,
    /// `\HasChildren` and `\HasNoChildren`
    pub children: bool,
    /// Special uses.
    pub special_use: bool,
    /// A STATUS response each.
    pub status: Option<StatusItems>,
}

/// What STATUS asks for, as a set. RFC 9051 6.3.11, RFC 3501 6.3.10, RFC 7162 3.1.7.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct StatusItems(u16);

impl StatusItems {
    /// Number of messages.
    pub const MESSAGES: Self = Self(1);
    /// Number of recent messages (RFC 3501 only).
    pub const RECENT: Self = Self(2);
    /// The UID that comes next.
    pub const UIDNEXT: Self = Self(4);
    /// The UID validity.
    pub const UIDVALIDITY: Self = Self(8);
    /// Number of messages without `\Seen`.
    pub const UNSEEN: Self = Self(16);
    /// Number of messages with `\Deleted`.
    pub const DELETED: Self = Self(32);
    /// Octets of all messages.
    pub const SIZE: Self = Self(64);
    /// The highest modification sequence.
    pub const HIGHESTMODSEQ: Self = Self(128);

    const NAMED: [(Self, &'static str); 8] = [
        (Self::MESSAGES, "MESSAGES"),
        (Self::RECENT, "RECENT"),
        (Self::UIDNEXT, "UIDNEXT"),
        (Self::UIDVALIDITY, "UIDVALIDITY"),
        (Self::UNSEEN, "UNSEEN"),
        (Self::DELETED, "DELETED"),
        (Self::SIZE, "SIZE"),
        (Self::HIGHESTMODSEQ, "HIGHESTMODSEQ"),
    ];

    /// The item of this name, in any case.
    pub fn named(name: &[u8]) -> Option<Self> {
        Self::NAMED.iter().find(|(_, n)| n.as_bytes().eq_ignore_ascii_case(name)).map(|(i, _)| *i)
    }

    /// Whether all of `other` is asked for.
    pub fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// Both together.
    #[must_use]
    pub fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Each item asked for and its name, in a fixed order.
    pub fn names(self) -> impl Iterator<Item = (Self, &'static str)> {
        Self::NAMED.into_iter().filter(move |(i, _)| self.contains(*i))
    }
}

/// An APPEND up to its message. RFC 9051 6.3.12.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Append {
    /// Its tag.
    pub tag: Tag,
    /// Where to.
    pub mailbox: MailboxName,
    /// The flags given.
    pub flags: Flags,
    /// The internal date, if one was given.
    pub date: Option<Timestamp>,
    /// Octets of the message, announced and not yet read.
    pub size: u64,
}

/// Message numbers or UIDs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum By {
    /// Message sequence numbers.
    Sequence,
    /// Unique identifiers: the command began with `UID`.
    Uid,
}

/// One end of a range: a number, or `*`, the largest in use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bound {
    /// A number.
    Number(NonZeroU32),
    /// `*`
    Last,
}

/// A set of message numbers as written. RFC 9051 9, `sequence-set`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SequenceSet {
    /// `$`: what the last `SEARCH RETURN (SAVE)` found. RFC 9051 6.4.4.1.
    Saved,
    /// Ranges, in any order, at most [`super::MAX_SET_RANGES`].
    Ranges(Vec<(Bound, Bound)>),
}

impl SequenceSet {
    /// The numbers meant, where `last` is the largest in use (0: none) and `saved` is the saved result.
    ///
    /// RFC 9051 9: `3:1` is `1:3`, and `559:*` always includes the last message, even if 559 is beyond it.
    pub fn resolve(&self, last: u32, saved: &NumberSet) -> NumberSet {
        let Self::Ranges(ranges) = self else { return saved.clone() };
        let number = |bound: &Bound| match bound {
            Bound::Number(n) => Some(n.get()),
            Bound::Last => (last > 0).then_some(last),
        };
        let mut pairs: Vec<(u32, u32)> = ranges
            .iter()
            .filter_map(|(a, b)| Some((number(a)?, number(b)?)))
            .map(|(a, b)| (a.min(b), a.max(b)))
            .collect();
        // In order, so that each range is added at the end of the set.
        pairs.sort_unstable();
        let mut set = NumberSet::new();
        pairs.into_iter().for_each(|(a, b)| set.insert_range(a..=b));
        set
    }

    /// The highest number written; `None` if there is none but `*`.
    pub fn highest_written(&self) -> Option<u32> {
        let Self::Ranges(ranges) = self else { return None };
        let bounds = ranges.iter().flat_map(|(a, b)| [a, b]);
        bounds.filter_map(|b| if let Bound::Number(n) = b { Some(n.get()) } else { None }).max()
    }

    /// Whether `*` is written somewhere.
    pub fn names_last(&self) -> bool {
        let Self::Ranges(ranges) = self else { return false };
        ranges.iter().any(|(a, b)| *a == Bound::Last || *b == Bound::Last)
    }
}

/// `SEARCH`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Search {
    /// What numbers the answer holds.
    pub by: By,
    /// `RETURN (...)`; `None`: the old form of RFC 3501, unless IMAP4rev2 is enabled.
    pub give: Option<SearchReturn>,
    /// What to look for.
    pub key: SearchKey,
}

/// Result options. RFC 9051 6.4.4.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SearchReturn {
    /// The lowest number.
    pub min: bool,
    /// The highest number.
    pub max: bool,
    /// All numbers.
    pub all: bool,
    /// How many.
    pub count: bool,
    /// Keep the result as `$`.
    pub save: bool,
}

/// A search key, with what only the session can resolve.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SearchKey {
    /// All of these.
    All(Vec<SearchKey>),
    /// One of these two.
    Or(Box<(SearchKey, SearchKey)>),
    /// Not this.
    Not(Box<SearchKey>),
    /// Message sequence numbers.
    Numbers(SequenceSet),
    /// Unique identifiers.
    Uids(SequenceSet),
    /// Internal date at least this many seconds ago. RFC 5032.
    Older(NonZeroU32),
    /// Internal date at most this many seconds ago. RFC 5032.
    Younger(NonZeroU32),
    /// Anything that means the same in every session.
    Is(Criterion),
}

/// `FETCH`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fetch {
    /// What the numbers of the set are.
    pub by: By,
    /// Of which messages.
    pub set: SequenceSet,
    /// What of them, in the order asked.
    pub items: Vec<FetchItem>,
    /// Only those changed after this. RFC 7162 3.1.4.1.
    pub changed_since: Option<ModSeq>,
}

/// One thing to fetch. RFC 9051 6.4.5.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FetchItem {
    /// `FLAGS`
    Flags,
    /// `UID`
    Uid,
    /// `INTERNALDATE`
    InternalDate,
    /// `RFC822.SIZE`
    Size,
    /// `ENVELOPE`
    Envelope,
    /// `BODY`
    Body,
    /// `BODYSTRUCTURE`
    BodyStructure,
    /// `MODSEQ`
    ModSeq,
    /// `BODY[...]`, `BODY.PEEK[...]`, `RFC822`, `RFC822.HEADER`, `RFC822.TEXT`
    Section(SectionItem),
    /// `BINARY[...]`, `BINARY.PEEK[...]`
    Binary(BinaryItem),
    /// `BINARY.SIZE[...]`
    BinarySize(PartPath),
}

impl FetchItem {
    /// Whether fetching it sets `\Seen`.
    pub fn marks_seen(&self) -> bool {
        match self {
            Self::Section(s) => s.seen == MarkSeen::Yes,
            Self::Binary(b) => b.seen == MarkSeen::Yes,
            _ => false,
        }
    }
}

/// Whether a fetch sets `\Seen`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MarkSeen {
    /// It does.
    Yes,
    /// `.PEEK`: it does not.
    No,
}

/// Octets of a message to fetch as they are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SectionItem {
    /// Which of them.
    pub section: Section,
    /// Which range of those.
    pub partial: Option<Partial>,
    /// Whether that reads the message.
    pub seen: MarkSeen,
    /// What the answer calls it.
    pub named: SectionName,
}

/// How a section is called in the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SectionName {
    /// `BODY[...]`
    Body,
    /// `RFC822`: the whole. RFC 3501 6.4.5.
    Rfc822,
    /// `RFC822.HEADER`
    Rfc822Header,
    /// `RFC822.TEXT`
    Rfc822Text,
}

/// A decoded part to fetch. RFC 9051 6.4.5, RFC 3516.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BinaryItem {
    /// Which part; empty: the whole message.
    pub part: PartPath,
    /// Which range of its decoded octets.
    pub partial: Option<Partial>,
    /// Whether that reads the message.
    pub seen: MarkSeen,
}

/// Part numbers from outside in, each from 1 up; empty: the message itself.
/// At most [`super::MAX_PART_DEPTH`].
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PartPath(pub Vec<u32>);

/// `[section]`. RFC 9051 6.4.5.1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Section {
    /// Of which part.
    pub part: PartPath,
    /// What of it.
    pub text: SectionText,
}

/// What of a part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SectionText {
    /// All of its body; of the message itself, all of it.
    Whole,
    /// The header of a message.
    Header,
    /// The fields of these names, as written.
    HeaderFields(Vec<Box<str>>),
    /// All fields but those of these names.
    HeaderFieldsNot(Vec<Box<str>>),
    /// The text of a message, without its header.
    Text,
    /// The MIME header of a part.
    Mime,
}

/// `<offset.count>`
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Partial {
    /// First octet, from 0.
    pub offset: u32,
    /// At most this many.
    pub count: NonZeroU32,
}

/// `STORE`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Store {
    /// What the numbers of the set are.
    pub by: By,
    /// Of which messages.
    pub set: SequenceSet,
    /// Only those not changed after this. RFC 7162 3.1.3.
    pub unchanged_since: Option<ModSeq>,
    /// What to do.
    pub action: FlagAction,
    /// Whether the new flags are told.
    pub answer: StoreAnswer,
    /// With which flags.
    pub flags: Flags,
}

/// Whether STORE answers with the new flags.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StoreAnswer {
    /// An untagged FETCH for each message.
    Told,
    /// `.SILENT`
    Silent,
}

/// `COPY` and `MOVE`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transfer {
    /// What the numbers of the set are.
    pub by: By,
    /// Which messages.
    pub set: SequenceSet,
    /// Where to.
    pub to: MailboxName,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(ranges: &[(u32, u32)]) -> SequenceSet {
        let bound = |n: u32| NonZeroU32::new(n).map_or(Bound::Last, Bound::Number);
        SequenceSet::Ranges(ranges.iter().map(|&(a, b)| (bound(a), bound(b))).collect())
    }

    #[test]
    fn star_is_the_last_message_and_order_does_not_matter() {
        let none = NumberSet::new();
        assert_eq!(set(&[(3, 1)]).resolve(9, &none).to_string(), "1:3");
        assert_eq!(set(&[(0, 0)]).resolve(9, &none).to_string(), "9");
        assert_eq!(set(&[(559, 0)]).resolve(9, &none).to_string(), "9:559");
        assert_eq!(set(&[(2, 4), (1, 1), (3, 7)]).resolve(9, &none).to_string(), "1:7");
        assert!(set(&[(1, 0)]).resolve(0, &none).is_empty());
    }

    #[test]
    fn dollar_is_the_saved_result() {
        assert_eq!(SequenceSet::Saved.resolve(9, &NumberSet::one(4)).to_string(), "4");
    }
}
