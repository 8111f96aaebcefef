//! What an MTA must know of a message's header section, found while the message passes by: how long it is,
//! how many hops it has made, and which fields a submission lacks.
//!
//! Nothing is kept but the first octets of the line that is being read, and nothing is changed. What the
//! header says is of no interest here: that is `mail`'s and the store's business.

use memchr::memchr;

/// Received fields past which a message goes round in circles. RFC 5321 6.3 asks for at least 100.
pub const MAX_RECEIVED: usize = 100;
/// Header fields of a message.
pub const MAX_FIELDS: usize = 5_000;
/// Octets of a header section.
pub const MAX_HEADER: usize = 1 << 20;
/// Octets of a line that are looked at. RFC 5322 2.1.1: a line has 78, or up to 998.
const LOOKED_AT: usize = 80;

/// Why a message cannot be taken because of its header section.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadHeader {
    /// More than [`MAX_RECEIVED`] hops.
    #[error("the message has made too many hops")]
    Loop,
    /// More than [`MAX_FIELDS`].
    #[error("the message has too many header fields")]
    TooManyFields,
    /// More than [`MAX_HEADER`] octets.
    #[error("the message's header section is too long")]
    TooLong,
}

/// Reads a header section as it comes.
#[derive(Debug)]
pub struct HeaderScan {
    line: [u8; LOOKED_AT],
    /// Octets of the current line so far, which may be more than are kept.
    line_len: usize,
    len: usize,
    fields: usize,
    received: usize,
    date: bool,
    message_id: bool,
    /// The first line is no field and not empty.
    text_first: bool,
    /// The section has ended.
    ended: bool,
}

impl Default for HeaderScan {
    fn default() -> Self {
        let (line, line_len, len, fields, received) = ([0; LOOKED_AT], 0, 0, 0, 0);
        let (date, message_id, text_first, ended) = (false, false, false, false);
        Self { line, line_len, len, fields, received, date, message_id, text_first, ended }
    }
}

impl HeaderScan {
    /// Before the message's first octet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Looks at the next octets of the message.
    pub fn push(&mut self, content: &[u8]) {
        let mut rest = content;
        while !self.ended && !rest.is_empty() {
            let end = memchr(b'\n', rest).map_or(rest.len(), |at| at + 1);
            let (piece, after) = rest.split_at(end);
            self.hold(piece);
            if piece.ends_with(b"\n") {
                self.end_line();
            }
            rest = after;
        }
        self.ended |= self.fault().is_some();
    }

    /// Whether the section has ended, by an empty line, a line that is no field, or a fault.
    pub const fn ended(&self) -> bool {
        self.ended
    }

    /// Whether the message has no header section, not even the empty line that ends one.
    pub const fn begins_with_text(&self) -> bool {
        self.text_first
    }

    /// Whether there is a Date field.
    pub const fn has_date(&self) -> bool {
        self.date
    }

    /// Whether there is a Message-ID field.
    pub const fn has_message_id(&self) -> bool {
        self.message_id
    }

    /// Why the message cannot be taken.
    pub const fn fault(&self) -> Option<BadHeader> {
        if self.received > MAX_RECEIVED {
            return Some(BadHeader::Loop);
        }
        if self.fields > MAX_FIELDS {
            return Some(BadHeader::TooManyFields);
        }
        if self.len > MAX_HEADER { Some(BadHeader::TooLong) } else { None }
    }

    fn hold(&mut self, piece: &[u8]) {
        if let Some(room) = self.line.get_mut(self.line_len..) {
            room.iter_mut().zip(piece).for_each(|(to, from)| *to = *from);
        }
        self.line_len += piece.len();
        self.len += piece.len();
    }

    fn end_line(&mut self) {
        let len = std::mem::take(&mut self.line_len);
        let line = self.line.get(..len.min(LOOKED_AT)).unwrap_or_default();
        let line = line.strip_suffix(b"\n").unwrap_or(line);
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        match line {
            [] => self.ended = true,
            [b' ' | b'\t', ..] if self.fields > 0 => {}
            line => match field_name(line) {
                Some(name) => self.count(name.len()),
                None if self.fields == 0 => (self.text_first, self.ended) = (true, true),
                None => self.fields += 1,
            },
        }
    }

    fn count(&mut self, name_len: usize) {
        let name = self.line.get(..name_len).unwrap_or_default();
        self.fields += 1;
        if name.eq_ignore_ascii_case(b"received") {
            self.received += 1;
        } else if name.eq_ignore_ascii_case(b"date") {
            self.date = true;
        } else if name.eq_ignore_ascii_case(b"message-id") {
            self.message_id = true;
        }
    }
}

/// RFC 5322 3.6.8 and 4.5: printable characters before a colon, perhaps with white space between.
fn field_name(line: &[u8]) -> Option<&[u8]> {
    let name = line.get(..memchr(b':', line)?)?;
    let name = name.trim_ascii_end();
    (!name.is_empty() && name.iter().all(u8::is_ascii_graphic)).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn scan(text: &str, cut: usize) -> HeaderScan {
        let mut scan = HeaderScan::new();
        let (a, b) = text.as_bytes().split_at(cut.min(text.len()));
        scan.push(a);
        scan.push(b);
        scan
    }

    #[test]
    fn fields_are_found_wherever_the_pieces_end() {
        let text =
            "Subject: a\r\n Date: not a field\r\nDATE : today\r\nmessage-id:<a@b>\r\n\r\nReceived: no\r\n";
        for cut in 0..text.len() {
            let found = scan(text, cut);
            assert!(found.ended() && found.has_date() && found.has_message_id(), "cut at {cut}");
            assert_eq!((found.fields, found.received), (3, 0), "cut at {cut}");
        }
    }

    #[test]
    fn a_message_without_a_header_section() {
        let cases = [("Hello, this is text.", true), ("", false), (" folded", true)];
        for (first, text_first) in cases {
            let found = scan(&format!("{first}\r\nDate: x\r\n"), 3);
            assert!(found.ended() && !found.has_date(), "{first:?}");
            assert_eq!(found.begins_with_text(), text_first, "{first:?}");
        }
        assert!(!scan("Subject: a\r\n", 0).ended());
    }

    #[test]
    fn too_much_is_told() {
        let hops = |n: usize| scan(&"Received: x\r\n".repeat(n), 7).fault();
        assert_eq!((hops(100), hops(101)), (None, Some(BadHeader::Loop)));
        assert_eq!(scan(&"a: b\r\n".repeat(100_000), 9).fault(), Some(BadHeader::TooManyFields));
        assert_eq!(scan(&"x".repeat(2 << 20), 9).fault(), Some(BadHeader::TooLong));
        assert_eq!(scan(&format!("\r\n{}", "x".repeat(2 << 20)), 9).fault(), None, "the text may be long");
    }

    proptest! {
        #[test]
        fn no_message_panics(content in proptest::collection::vec(any::<u8>(), 0..300), cut in 0_usize..300) {
            let mut scan = HeaderScan::new();
            let (a, b) = content.split_at(cut.min(content.len()));
            scan.push(a);
            scan.push(b);
        }
    }
}
