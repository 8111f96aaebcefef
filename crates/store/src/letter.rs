//! Mail of the store itself: the welcome and the warning of the quota. Text only; pure.
//!
//! RFC 3834 5: such mail says that nobody has written it, so that nobody's autoreply answers.

use mail::time::Timestamp;
use std::fmt::Write as _;

/// Columns at which a line is broken. RFC 5322 2.1.1.
const COLUMNS: usize = 76;
/// Octets of a line. RFC 5322 2.1.1.
const MAX_LINE: usize = 998;

/// What stands in a message of the store.
pub(crate) struct Letter<'a> {
    /// The sender's address.
    pub(crate) from: &'a str,
    /// The recipient's address; empty: it is not named.
    pub(crate) to: &'a str,
    pub(crate) subject: &'a str,
    /// Lines; each may be of any length.
    pub(crate) text: &'a [String],
    /// What makes its Message-ID unique on this host: no blanks and nothing but ASCII.
    pub(crate) id: String,
    pub(crate) host: &'a str,
    pub(crate) now: Timestamp,
}

impl Letter<'_> {
    /// The message with the header lines of its delivery.
    pub(crate) fn write(&self) -> Vec<u8> {
        let one_line = |text: &str| text.replace(char::is_control, " ");
        let mut out = String::with_capacity(1024);
        // A group without members: RFC 5322 3.4.
        let to = if self.to.is_empty() { "undisclosed-recipients:;".into() } else { one_line(self.to) };
        let _ = write!(out, "Return-Path: <>\r\nDate: {}\r\n", self.now.rfc5322());
        let _ = write!(out, "From: {}\r\nTo: {to}\r\n", one_line(self.from));
        let _ = write!(out, "Subject: {}\r\n", one_line(self.subject));
        let _ = write!(out, "Message-ID: <{}@{}>\r\n", self.id, self.host);
        out.push_str("Auto-Submitted: auto-generated\r\nMIME-Version: 1.0\r\n");
        out.push_str("Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n");
        self.text.iter().for_each(|line| wrap(&one_line(line), &mut out));
        out.into_bytes()
    }
}

/// Appends a text as lines of at most [`COLUMNS`] characters, where its words allow.
fn wrap(text: &str, out: &mut String) {
    let (mut column, mut octets) = (0, 0);
    for word in text.split(' ') {
        if column > 0 && column + 1 + word.chars().count() > COLUMNS {
            out.push_str("\r\n");
            (column, octets) = (0, 0);
        } else if column > 0 {
            out.push(' ');
            (column, octets) = (column + 1, octets + 1);
        }
        for c in word.chars() {
            if octets + c.len_utf8() > MAX_LINE {
                out.push_str("\r\n");
                (column, octets) = (0, 0);
            }
            out.push(c);
            (column, octets) = (column + 1, octets + c.len_utf8());
        }
    }
    out.push_str("\r\n");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_letter_is_a_whole_message() {
        let text = ["Hello".to_owned(), String::new(), "Grüße".to_owned()];
        let (from, to, subject) = ("postmaster@example.org", "a@example.org", "A\r\nBcc: x");
        let letter = Letter {
            from,
            to,
            subject,
            text: &text,
            id: "welcome.7".into(),
            host: "venus",
            now: Timestamp::from_secs(0),
        };
        let text = String::from_utf8(letter.write()).unwrap();
        assert!(text.contains("\r\nSubject: A  Bcc: x\r\n"), "{text}");
        assert!(text.contains("\r\nMessage-ID: <welcome.7@venus>\r\nAuto-Submitted: auto-generated\r\n"));
        assert!(text.ends_with("\r\n\r\nHello\r\n\r\nGrüße\r\n"), "{text}");
        let text = String::from_utf8(Letter { to: "", ..letter }.write()).unwrap();
        assert!(text.contains("\r\nTo: undisclosed-recipients:;\r\n"));
    }

    #[test]
    fn long_lines_are_broken_at_words_and_else_anywhere() {
        let mut out = String::new();
        wrap(&"word ".repeat(40), &mut out);
        wrap(&"ä".repeat(2000), &mut out);
        assert!(out.split("\r\n").all(|line| line.len() <= MAX_LINE));
        assert!(out.starts_with(&"word ".repeat(15)[..74]));
        assert_eq!(out.chars().filter(|c| *c == 'ä').count(), 2000);
        assert_eq!(out.matches("word").count(), 40);
    }
}
