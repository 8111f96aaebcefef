//! What a server says, written straight into a buffer. RFC 9051 7, RFC 3501 7.
//!
//! No response is built as a value first and nothing is formatted by `fmt`: a writer appends octets, so that
//! tens of thousands of messages a second can be listed on one core. Callers write a bounded amount, flush,
//! and go on; the octets of a message's body do not pass through here at all.

mod envelope;
mod fetch;
mod list;
mod search;
mod status;
mod structure;
#[cfg(test)]
mod tests;

pub use envelope::envelope;
pub use fetch::{FetchWriter, Gap};
pub use list::{
    ListEntry, ListVerb, MailboxAttributes, StatusValues, SubscribedBelow, list, status as mailbox_status,
};
pub use search::{SearchAnswer, esearch, search};
pub use status::{Code, Status, continuation, tagged, untagged};
pub use structure::{body, body_structure};

use super::name::NameForm;
use bytes::{BufMut, BytesMut};
use mail::flags::Flags;
use mail::sequence::NumberSet;
use mail::text::utf7;

/// Longest text that is written between quotes; longer ones become literals.
const MAX_QUOTED: usize = 1024;

/// Words of the grammar, appended.
pub trait Put {
    /// Octets as they are.
    fn raw(&mut self, text: impl AsRef<[u8]>) -> &mut Self;
    /// A number in decimal.
    fn number(&mut self, number: impl Into<u64>) -> &mut Self;
    /// A string: between quotes where it may stand there, else as a literal. RFC 9051 4.3.
    fn string(&mut self, text: &[u8]) -> &mut Self;
    /// A string or NIL.
    fn nstring(&mut self, text: Option<&[u8]>) -> &mut Self;
    /// A mailbox name in the form of this connection.
    fn mailbox(&mut self, name: &str, form: NameForm) -> &mut Self;
    /// Flags, without parentheses.
    fn flags(&mut self, flags: &Flags) -> &mut Self;
    /// A set: `1:3,7`.
    fn set(&mut self, set: &NumberSet) -> &mut Self;
    /// The end of a response.
    fn crlf(&mut self);
}

impl Put for BytesMut {
    fn raw(&mut self, text: impl AsRef<[u8]>) -> &mut Self {
        self.extend_from_slice(text.as_ref());
        self
    }

    fn number(&mut self, number: impl Into<u64>) -> &mut Self {
        self.raw(itoa::Buffer::new().format(number.into()))
    }

    fn string(&mut self, text: &[u8]) -> &mut Self {
        if text.len() > MAX_QUOTED || !text.iter().all(|b| matches!(b, b' '..=b'~')) {
            return literal(self, text);
        }
        self.put_u8(b'"');
        let mut rest = text;
        while let Some(at) = memchr::memchr2(b'"', b'\\', rest) {
            self.raw(&rest[..at]).put_u8(b'\\');
            self.put_u8(rest[at]);
            rest = &rest[at + 1..];
        }
        self.raw(rest).raw("\"")
    }

    fn nstring(&mut self, text: Option<&[u8]>) -> &mut Self {
        match text {
            Some(text) => self.string(text),
            None => self.raw("NIL"),
        }
    }

    fn mailbox(&mut self, name: &str, form: NameForm) -> &mut Self {
        match form {
            NameForm::Utf7 => self.string(utf7::encode(name).as_bytes()),
            NameForm::Utf8 if name.is_ascii() => self.string(name.as_bytes()),
            // RFC 9051 9: QUOTED-CHAR takes UTF-8. Names have no control characters.
            NameForm::Utf8 => {
                let escaped = name.replace('\\', "\\\\").replace('"', "\\\"");
                self.raw("\"").raw(escaped).raw("\"")
            }
        }
    }

    fn flags(&mut self, flags: &Flags) -> &mut Self {
        let mut gap = "";
        for name in flags.system.names() {
            self.raw(gap).raw(name);
            gap = " ";
        }
        for keyword in &flags.keywords {
            self.raw(gap).raw(keyword.as_str());
            gap = " ";
        }
        self
    }

    fn set(&mut self, set: &NumberSet) -> &mut Self {
        for (i, range) in set.ranges().enumerate() {
            if i > 0 {
                self.put_u8(b',');
            }
            put_range(self, *range.start(), *range.end());
        }
        self
    }

    fn crlf(&mut self) {
        self.extend_from_slice(b"\r\n");
    }
}

/// RFC 9051 4.3: a literal takes every octet but NUL, which becomes a question mark.
fn literal<'a>(out: &'a mut BytesMut, text: &[u8]) -> &'a mut BytesMut {
    out.raw("{").number(text.len() as u64).raw("}\r\n");
    if text.contains(&0) {
        out.extend(text.iter().map(|b| if *b == 0 { b'?' } else { *b }));
        return out;
    }
    out.raw(text)
}

fn put_range(out: &mut BytesMut, from: u32, to: u32) {
    out.number(from);
    if from < to {
        out.raw(":").number(to);
    }
}
