//! Status responses and their codes. RFC 9051 7.1, RFC 5530.

use super::super::command::Tag;
use super::{Put, put_range};
use bytes::BytesMut;
use mail::id::{ModSeq, Uid, UidValidity};
use mail::sequence::NumberSet;

/// The words of a status response.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// Done, or information.
    Ok,
    /// Not done.
    No,
    /// Not understood, or not legal now.
    Bad,
    /// The connection ends.
    Bye,
}

impl Status {
    fn word(self) -> &'static str {
        match self {
            Self::Ok => "OK ",
            Self::No => "NO ",
            Self::Bad => "BAD ",
            Self::Bye => "BYE ",
        }
    }
}

/// Response codes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Code<'a> {
    /// What is to be created is there. RFC 5530 3.
    AlreadyExists,
    /// Where an APPEND went. RFC 9051 7.1.
    AppendUid(UidValidity, Uid),
    /// Name or password is wrong.
    AuthenticationFailed,
    /// The login is right, what it asks for is not allowed.
    AuthorizationFailed,
    /// The charsets that are supported.
    BadCharset,
    /// It can never be done.
    Cannot,
    /// The capabilities, with spaces between them.
    Capability(&'a str),
    /// The selected mailbox has been left. RFC 9051 7.1.
    Closed,
    /// Something that is stored cannot be read. RFC 5530 3.
    Corruption,
    /// Where messages went: epoch, from, to; as many on each side and in the same order.
    CopyUid(UidValidity, &'a [Uid], &'a [Uid]),
    /// The mailbox has mailboxes below it. RFC 9051 7.1.
    HasChildren,
    /// The highest modification sequence. RFC 7162 3.1.2.1.
    HighestModSeq(ModSeq),
    /// Somebody else uses it.
    InUse,
    /// A limit of the server.
    Limit,
    /// Which messages failed a conditional STORE. RFC 7162 3.1.3.
    Modified(&'a NumberSet),
    /// It is not there.
    NonExistent,
    /// Access is not allowed.
    NoPerm,
    /// The quota is used up. RFC 9208 5.
    OverQuota,
    /// Flags that may be set for good.
    PermanentFlags(&'a [u8]),
    /// Use TLS first.
    PrivacyRequired,
    /// The mailbox may not be changed.
    ReadOnly,
    /// The mailbox may be changed.
    ReadWrite,
    /// Something is broken here.
    ServerBug,
    /// Larger than allowed. RFC 7888 6.
    TooBig,
    /// Create the mailbox first.
    TryCreate,
    /// The next UID.
    UidNext(Uid),
    /// The UIDs' epoch.
    UidValidity(UidValidity),
    /// Not for now.
    Unavailable,
    /// The part's encoding cannot be undone. RFC 9051 7.1.
    UnknownCte,
    /// The number of the first message without `\Seen`. RFC 3501 7.1.
    Unseen(u32),
    /// The special use cannot be had. RFC 6154 3.
    UseAttr,
}

/// A tagged status response.
pub fn tagged(out: &mut BytesMut, tag: &Tag, status: Status, code: Option<Code<'_>>, text: &str) {
    out.raw(tag.as_str()).raw(" ");
    rest(out, status, code, text);
}

/// An untagged status response.
pub fn untagged(out: &mut BytesMut, status: Status, code: Option<Code<'_>>, text: &str) {
    out.raw("* ");
    rest(out, status, code, text);
}

/// What tells the client to go on. RFC 9051 7.6.
pub fn continuation(out: &mut BytesMut, text: &str) {
    out.raw("+ ").raw(text).crlf();
}

fn rest(out: &mut BytesMut, status: Status, code: Option<Code<'_>>, text: &str) {
    out.raw(status.word());
    if let Some(code) = code {
        out.raw("[");
        code.put(out);
        out.raw("] ");
    }
    // A text comes from error values too: it must never end the line.
    for piece in text.split(|c: char| c.is_control()) {
        out.raw(piece);
    }
    out.crlf();
}

impl Code<'_> {
    fn put(self, out: &mut BytesMut) {
        out.raw(self.word());
        match self {
            Self::AppendUid(epoch, uid) => {
                out.number(epoch.0).raw(" ").number(uid.0);
            }
            Self::Capability(list) => {
                out.raw(list);
            }
            Self::CopyUid(epoch, from, to) => {
                out.number(epoch.0).raw(" ");
                uid_list(out, from);
                out.raw(" ");
                uid_list(out, to);
            }
            Self::HighestModSeq(n) => {
                out.number(n.0);
            }
            Self::Modified(set) => {
                out.set(set);
            }
            Self::PermanentFlags(flags) => {
                out.raw("(").raw(flags).raw(")");
            }
            Self::UidNext(Uid(n)) | Self::UidValidity(UidValidity(n)) | Self::Unseen(n) => {
                out.number(n);
            }
            _ => {}
        }
    }

    /// The name, with a space after it where something follows.
    fn word(self) -> &'static str {
        match self {
            Self::AlreadyExists => "ALREADYEXISTS",
            Self::AuthenticationFailed => "AUTHENTICATIONFAILED",
            Self::AuthorizationFailed => "AUTHORIZATIONFAILED",
            Self::BadCharset => "BADCHARSET (US-ASCII UTF-8)",
            Self::Cannot => "CANNOT",
            Self::Closed => "CLOSED",
            Self::Corruption => "CORRUPTION",
            Self::HasChildren => "HASCHILDREN",
            Self::InUse => "INUSE",
            Self::Limit => "LIMIT",
            Self::NonExistent => "NONEXISTENT",
            Self::NoPerm => "NOPERM",
            Self::OverQuota => "OVERQUOTA",
            Self::PrivacyRequired => "PRIVACYREQUIRED",
            Self::ReadOnly => "READ-ONLY",
            Self::ReadWrite => "READ-WRITE",
            Self::ServerBug => "SERVERBUG",
            Self::TooBig => "TOOBIG",
            Self::TryCreate => "TRYCREATE",
            Self::Unavailable => "UNAVAILABLE",
            Self::UnknownCte => "UNKNOWN-CTE",
            Self::UseAttr => "USEATTR",
            Self::AppendUid(..) => "APPENDUID ",
            Self::Capability(_) => "CAPABILITY ",
            Self::CopyUid(..) => "COPYUID ",
            Self::HighestModSeq(_) => "HIGHESTMODSEQ ",
            Self::Modified(_) => "MODIFIED ",
            Self::PermanentFlags(_) => "PERMANENTFLAGS ",
            Self::UidNext(_) => "UIDNEXT ",
            Self::UidValidity(_) => "UIDVALIDITY ",
            Self::Unseen(_) => "UNSEEN ",
        }
    }
}

/// UIDs in the order given: which one became which is read from their places. RFC 9051 7.1, COPYUID.
fn uid_list(out: &mut BytesMut, uids: &[Uid]) {
    let mut rest = uids;
    while let Some(&Uid(first)) = rest.first() {
        let run = rest.iter().zip(first..).take_while(|(uid, n)| uid.0 == *n).count();
        if rest.len() < uids.len() {
            out.raw(",");
        }
        put_range(out, first, first + u32::try_from(run - 1).unwrap_or(0));
        rest = &rest[run..];
    }
}
