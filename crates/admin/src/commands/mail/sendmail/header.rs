//! The header of a message that is handed in: who is to have it, who sends it, what is left out. Pure.

use mail::address::{Address, BadAddress, Domain};
use mail::message::addresses::{self, Entry, Mailbox};
use mail::message::header;
use std::collections::HashSet;

/// Most recipients of one message.
pub(super) const MAX_RECIPIENTS: usize = 10_000;

/// A header, read.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Header {
    /// Its fields as they are passed on, without Bcc, Return-Path and the line of an mbox file.
    pub(super) kept: Vec<u8>,
    /// What stands where the next field should: the message has no empty line, and its text begins here.
    pub(super) text: Vec<u8>,
    /// Those whom it names (To, Cc, Bcc; of a message sent again the Resent ones).
    pub(super) recipients: Vec<Address>,
    /// The first address of From.
    pub(super) from: Option<Address>,
    /// Whether there is a From field at all.
    pub(super) has_from: bool,
}

/// Why an address cannot be used.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum BadRecipient {
    /// It is none.
    #[error("{0}: {1}")]
    Address(String, BadAddress),
    /// There are more than [`MAX_RECIPIENTS`].
    #[error("more than 10,000 recipients")]
    TooMany,
}

/// Reads a header block, which has no empty line. Addresses without a domain get this one.
pub(super) fn read(block: &[u8], default: &Domain) -> Result<Header, BadRecipient> {
    let mut found = Header::default();
    let mut resent = Vec::new();
    let mut at = 0;
    for (n, field) in header::fields(block).enumerate() {
        at += field.raw.len();
        if n == 0 && field.raw.starts_with(b"From ") {
            continue;
        }
        if field.name.is_empty() {
            found.text = [field.raw, block.get(at..).unwrap_or_default()].concat();
            break;
        }
        let name = field.name.to_ascii_lowercase();
        match name.as_slice() {
            b"to" | b"cc" | b"bcc" => list(&field.text(), default, &mut found.recipients)?,
            b"resent-to" | b"resent-cc" | b"resent-bcc" => list(&field.text(), default, &mut resent)?,
            b"from" => {
                found.has_from = true;
                let mut from = Vec::new();
                // A From that cannot be read is passed on as it is; it only names no sender.
                let _ = list(&field.text(), default, &mut from);
                found.from = found.from.or(from.into_iter().next());
            }
            _ => {}
        }
        if !matches!(name.as_slice(), b"bcc" | b"resent-bcc" | b"return-path") {
            found.kept.extend_from_slice(field.raw);
        }
    }
    if !resent.is_empty() {
        found.recipients = resent;
    }
    Ok(found)
}

/// Leaves each address once, in the order in which they were named.
pub(super) fn unique(recipients: &mut Vec<Address>) {
    let mut seen = HashSet::with_capacity(recipients.len());
    recipients.retain(|address| seen.insert(address.key()));
}

/// Adds the addresses of a list.
pub(super) fn list(value: &[u8], default: &Domain, into: &mut Vec<Address>) -> Result<(), BadRecipient> {
    for entry in addresses::parse(value) {
        let Entry::Mailbox(mailbox) = entry else { continue };
        let address = address(&mailbox, default).map_err(|bad| {
            BadRecipient::Address(format!("{}@{}", lossy(&mailbox.local), lossy(&mailbox.domain)), bad)
        })?;
        if into.len() == MAX_RECIPIENTS {
            return Err(BadRecipient::TooMany);
        }
        into.push(address);
    }
    Ok(())
}

fn address(mailbox: &Mailbox<'_>, default: &Domain) -> Result<Address, BadAddress> {
    let local = std::str::from_utf8(&mailbox.local).map_err(|_| BadAddress::BadLocalPart)?;
    let domain = std::str::from_utf8(&mailbox.domain).map_err(|_| BadAddress::BadDomain)?;
    let domain = if domain.is_empty() { default.clone() } else { Domain::parse(domain)? };
    Address::new(local, domain)
}

fn lossy(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).replace(char::is_control, "?")
}

/// A From field for a message that has none.
pub(super) fn from_field(name: Option<&str>, sender: &Address) -> String {
    let clean = |name: &str| name.replace(char::is_control, " ").replace('\\', "\\\\").replace('"', "\\\"");
    match name {
        Some(name) if !name.trim().is_empty() => format!("From: \"{}\" <{sender}>\r\n", clean(name.trim())),
        _ => format!("From: {sender}\r\n"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_text(text: &str) -> Header {
        read(text.as_bytes(), &Domain::parse("example.org").unwrap()).unwrap()
    }

    fn texts(all: &[Address]) -> Vec<String> {
        all.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn recipients_are_those_of_the_header_and_bcc_is_left_out() {
        let found = read_text(
            "From me@x Mon Nov 23 12:00:00 2026\r\nTo: Joe <joe@a.net>, root\r\nSubject: x\r\nCC: g: b@c.net,\r\n \
             joe@a.net;\r\nBcc: s@d.net\r\nReturn-Path: <q@e.net>\r\nFrom: Me <me@x.net>\r\n",
        );
        let mut recipients = found.recipients;
        unique(&mut recipients);
        assert_eq!(texts(&recipients), ["joe@a.net", "root@example.org", "b@c.net", "s@d.net"]);
        assert_eq!(found.from.unwrap().to_string(), "me@x.net");
        let kept = String::from_utf8(found.kept).unwrap();
        assert!(
            kept.starts_with("To: Joe") && !kept.contains("s@d.net") && !kept.contains("Return-Path"),
            "{kept}"
        );
        assert!(found.text.is_empty() && found.has_from);
    }

    #[test]
    fn a_message_sent_again_goes_to_the_resent_ones() {
        let found = read_text("To: a@b.net\r\nResent-To: c@d.net\r\n");
        assert_eq!(texts(&found.recipients), ["c@d.net"]);
    }

    #[test]
    fn text_without_a_header_stays_text() {
        let found = read_text("Hello world\r\nTo: a@b.net\r\n");
        assert_eq!(found.text, b"Hello world\r\nTo: a@b.net\r\n");
        assert!(found.kept.is_empty() && found.recipients.is_empty());
        let found = read_text("Subject: x\r\nHello world\r\n");
        assert_eq!(
            (found.kept.as_slice(), found.text.as_slice()),
            (&b"Subject: x\r\n"[..], &b"Hello world\r\n"[..])
        );
    }

    #[test]
    fn bad_addresses_are_named_and_numbers_limited() {
        let default = Domain::parse("example.org").unwrap();
        let bad = read(b"To: a@b c@-x-\r\n", &default).unwrap_err();
        assert!(matches!(&bad, BadRecipient::Address(_, _)), "{bad}");
        let many: String = (0..=MAX_RECIPIENTS).map(|n| format!("u{n},")).collect();
        assert_eq!(list(many.as_bytes(), &default, &mut Vec::new()), Err(BadRecipient::TooMany));
    }

    #[test]
    fn a_made_from_field_cannot_be_abused() {
        let sender = Address::parse("me@x.net").unwrap();
        assert_eq!(from_field(None, &sender), "From: me@x.net\r\n");
        let field = from_field(Some("A \"B\"\r\nX: y"), &sender);
        assert_eq!(field, "From: \"A \\\"B\\\"  X: y\" <me@x.net>\r\n");
    }
}
