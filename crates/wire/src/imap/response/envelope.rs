//! ENVELOPE. RFC 9051 7.5.2.

use super::Put;
use bytes::BytesMut;
use mail::message::Envelope;
use mail::message::addresses::{self, Entry, Mailbox};

/// Writes the envelope of a message.
pub fn envelope(out: &mut BytesMut, envelope: &Envelope<'_>) {
    let from = envelope.from();
    out.raw("(").nstring(envelope.date()).raw(" ").nstring(envelope.subject());
    // RFC 9051 7.5.2: an absent or empty Sender or Reply-To is shown as From.
    for list in [from, envelope.sender().or_from(from), envelope.reply_to().or_from(from)] {
        out.raw(" ");
        address_list(out, list);
    }
    for list in [envelope.to(), envelope.cc(), envelope.bcc()] {
        out.raw(" ");
        address_list(out, list);
    }
    out.raw(" ").nstring(envelope.in_reply_to()).raw(" ").nstring(envelope.message_id()).raw(")");
}

trait OrFrom {
    fn or_from(self, from: Self) -> Self;
}

impl OrFrom for Option<&[u8]> {
    fn or_from(self, from: Self) -> Self {
        self.filter(|value| addresses::parse(value).next().is_some()).or(from)
    }
}

fn address_list(out: &mut BytesMut, value: Option<&[u8]>) {
    let mut entries = addresses::parse(value.unwrap_or_default()).peekable();
    if entries.peek().is_none() {
        out.raw("NIL");
        return;
    }
    out.raw("(");
    for entry in entries {
        match entry {
            Entry::Mailbox(mailbox) => address(out, &mailbox),
            // RFC 9051 7.5.2: a group begins with an address without host and ends with one without either.
            Entry::GroupStart(name) => _ = out.raw("(NIL NIL ").string(&name).raw(" NIL)"),
            Entry::GroupEnd => _ = out.raw("(NIL NIL NIL NIL)"),
        }
    }
    out.raw(")");
}

fn address(out: &mut BytesMut, mailbox: &Mailbox<'_>) {
    out.raw("(").nstring(mailbox.name.as_deref()).raw(" ").nstring(mailbox.route.as_deref());
    // A host of NIL would make it a group: what has none gets an empty one.
    out.raw(" ").string(&mailbox.local).raw(" ").string(&mailbox.domain).raw(")");
}
