//! LIST, LSUB and STATUS responses. RFC 9051 7.3, RFC 3501 7.2, RFC 5258, RFC 6154.

use super::super::command::{SpecialUse, StatusItems};
use super::super::name::NameForm;
use super::Put;
use bytes::{BufMut, BytesMut};
use mail::id::{ModSeq, Uid, UidValidity};

/// Which command is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ListVerb {
    /// `LIST`
    List,
    /// `LSUB`
    Lsub,
}

/// What LIST says of a name, as a set. RFC 9051 7.3.1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct MailboxAttributes(u8);

impl MailboxAttributes {
    /// No mailbox of this name exists.
    pub const NON_EXISTENT: Self = Self(1);
    /// The name cannot be selected.
    pub const NO_SELECT: Self = Self(2);
    /// There are mailboxes below it.
    pub const HAS_CHILDREN: Self = Self(4);
    /// There are none.
    pub const HAS_NO_CHILDREN: Self = Self(8);
    /// It is subscribed.
    pub const SUBSCRIBED: Self = Self(16);

    const NAMED: [(Self, &'static str); 5] = [
        (Self::NON_EXISTENT, "\\NonExistent"),
        (Self::NO_SELECT, "\\Noselect"),
        (Self::HAS_CHILDREN, "\\HasChildren"),
        (Self::HAS_NO_CHILDREN, "\\HasNoChildren"),
        (Self::SUBSCRIBED, "\\Subscribed"),
    ];

    /// Both together.
    #[must_use]
    pub fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    fn names(self) -> impl Iterator<Item = &'static str> {
        Self::NAMED.into_iter().filter(move |(a, _)| self.0 & a.0 != 0).map(|(_, n)| n)
    }
}

/// One line of a LIST or LSUB answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ListEntry<'a> {
    /// Which command is answered.
    pub verb: ListVerb,
    /// Its attributes.
    pub attributes: MailboxAttributes,
    /// Its special use, where that is to be told.
    pub special_use: Option<SpecialUse>,
    /// The name.
    pub name: &'a str,
    /// What it was called before. RFC 9051 6.3.9.7.
    pub old_name: Option<&'a str>,
    /// Whether subscribed names lie below it: `CHILDINFO`. RFC 9051 6.3.9.6.
    pub child_info: Option<SubscribedBelow>,
}

/// Names below match a `SUBSCRIBED` selection that the name itself does not match.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SubscribedBelow;

/// Writes one line.
pub fn list(out: &mut BytesMut, entry: &ListEntry<'_>, form: NameForm) {
    out.raw(match entry.verb {
        ListVerb::List => "* LIST (",
        ListVerb::Lsub => "* LSUB (",
    });
    let names = entry.attributes.names().chain(entry.special_use.map(SpecialUse::name));
    for (i, name) in names.enumerate() {
        if i > 0 {
            out.put_u8(b' ');
        }
        out.raw(name);
    }
    out.raw(") \"/\" ").mailbox(entry.name, form);
    match (entry.child_info, entry.old_name) {
        (Some(SubscribedBelow), _) => {
            out.raw(" (\"CHILDINFO\" (\"SUBSCRIBED\"))");
        }
        (None, Some(old)) => {
            out.raw(" (\"OLDNAME\" (").mailbox(old, form).raw("))");
        }
        (None, None) => {}
    }
    out.crlf();
}

/// The numbers of a STATUS response.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StatusValues {
    /// Number of messages.
    pub messages: u32,
    /// The UID that comes next.
    pub uid_next: Uid,
    /// The UIDs' epoch.
    pub uid_validity: UidValidity,
    /// Messages without `\Seen`.
    pub unseen: u32,
    /// Messages with `\Deleted`.
    pub deleted: u32,
    /// Octets of all messages.
    pub size: u64,
    /// The highest modification sequence.
    pub highest_modseq: ModSeq,
}

/// Writes a STATUS response with the items asked for. RFC 9051 7.3.4.
pub fn status(out: &mut BytesMut, name: &str, form: NameForm, items: StatusItems, values: &StatusValues) {
    out.raw("* STATUS ").mailbox(name, form).raw(" (");
    for (i, (item, word)) in items.names().enumerate() {
        if i > 0 {
            out.put_u8(b' ');
        }
        let number: u64 = match item {
            StatusItems::MESSAGES => values.messages.into(),
            StatusItems::UIDNEXT => values.uid_next.0.into(),
            StatusItems::UIDVALIDITY => values.uid_validity.0.into(),
            StatusItems::UNSEEN => values.unseen.into(),
            StatusItems::DELETED => values.deleted.into(),
            StatusItems::SIZE => values.size,
            StatusItems::HIGHESTMODSEQ => values.highest_modseq.0,
            // RECENT: no message is.
            _ => 0,
        };
        out.raw(word).raw(" ").number(number);
    }
    out.raw(")").crlf();
}
