//! What commands that write to many have in common: the message as it comes from standard input.

use crate::context::{Context, Failure};
use catalog::keys::common::DEFAULT_DOMAIN;
use env::settings::Settings;
use mail::address::Address;
use mail::message::header;
use mail::time::Timestamp;
use std::fmt::Write as _;

/// Largest message: it is held in memory while it goes out.
const MAX_MESSAGE: usize = 10 << 20;

/// Who sends: as the option says, else the postmaster of the default domain.
pub(super) fn sender(context: &Context, option: &str) -> Result<Address, Failure> {
    let from = match context.arguments.value(option) {
        Some(from) => from.to_owned(),
        None => {
            let site = context.site()?;
            let settings = Settings::new(site.host().as_str(), "common", site.configuration()?);
            format!("postmaster@{}", settings.get(DEFAULT_DOMAIN))
        }
    };
    Address::parse(&from).map_err(|bad| Failure::Usage(format!("{from}: {bad}")))
}

/// The rest of standard input, with the line ends of mail.
pub(super) async fn read_message(context: &mut Context) -> Result<Vec<u8>, Failure> {
    let mut text = Vec::new();
    while let Some(piece) = context.console.read().await? {
        text.extend_from_slice(&piece);
        if text.len() > MAX_MESSAGE {
            return Err(Failure::because("the message is larger than 10 MB"));
        }
    }
    if text.trim_ascii().is_empty() {
        return Err(Failure::because("there is no message on standard input"));
    }
    Ok(mail_lines(&text))
}

/// RFC 5322 2.3: CRLF ends a line.
fn mail_lines(text: &[u8]) -> Vec<u8> {
    let text = text.strip_suffix(b"\n").unwrap_or(text);
    let mut out = Vec::with_capacity(text.len() + text.len() / 32);
    for line in text.split(|byte| *byte == b'\n') {
        out.extend_from_slice(line.strip_suffix(b"\r").unwrap_or(line));
        out.extend_from_slice(b"\r\n");
    }
    out
}

/// The fields that a message must have (RFC 5322 3.6) and does not, for the front of it; with the empty line, where the
/// text has no header at all.
pub(super) fn missing_fields(message: &[u8], from: &Address, id: &str, now: Timestamp) -> String {
    let end = memchr::memmem::find(message, b"\r\n\r\n").map_or(message.len(), |at| at + 2);
    let head = message.get(..end).unwrap_or_default();
    let first = header::fields(head).next();
    let no_header = first.is_none_or(|field| field.name.is_empty());
    let has = |name| !no_header && header::find(head, name).is_some();
    let mut fields = String::new();
    if !has("date") {
        let _ = write!(fields, "Date: {}\r\n", now.rfc5322());
    }
    if !has("from") {
        let _ = write!(fields, "From: {from}\r\n");
    }
    if !has("to") {
        fields.push_str("To: undisclosed-recipients:;\r\n");
    }
    if !has("message-id") {
        let _ = write!(fields, "Message-ID: <{id}@{}>\r\n", from.domain());
    }
    if !has("auto-submitted") {
        // RFC 3834 5: nobody's autoreply is to answer.
        fields.push_str("Auto-Submitted: auto-generated\r\n");
    }
    if no_header && !message.starts_with(b"\r\n") {
        fields.push_str("\r\n");
    }
    fields
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_end_as_in_mail() {
        assert_eq!(mail_lines(b"a\nb\r\n\nc"), b"a\r\nb\r\n\r\nc\r\n");
        assert_eq!(mail_lines(b"a\n"), b"a\r\n");
    }

    #[test]
    fn only_what_is_missing_is_added() {
        let from = Address::parse("postmaster@example.org").unwrap();
        let add = |text: &str| missing_fields(text.as_bytes(), &from, "7", Timestamp::from_secs(0));
        let all = add("Subject: x\r\n\r\nFrom: not a field\r\n");
        assert!(
            all.contains("From: postmaster@example.org\r\n")
                && all.contains("Message-ID: <7@example.org>\r\n")
        );
        assert!(!all.ends_with("\r\n\r\n"));
        let whole = "Date: x\r\nFROM: y\r\nTo: z\r\nMessage-Id: <a>\r\nAuto-Submitted: no\r\n\r\n";
        assert_eq!(add(whole), "");
        assert!(add("Dear all,\r\n").ends_with("\r\n\r\n"), "a text without a header gets one");
    }
}
