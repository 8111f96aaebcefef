//! The lexical tokens that structured fields share. RFC 5322 3.2.
//!
//! A cursor over an unfolded value; it never fails: what is not closed ends with the value. Comments nest
//! by counting, not by calling, so that a thousand open brackets cost nothing.

use std::borrow::Cow;

/// A place in a value.
#[derive(Debug, Clone)]
pub(super) struct Cursor<'a> {
    text: &'a [u8],
    at: usize,
}

impl<'a> Cursor<'a> {
    pub(super) fn new(text: &'a [u8]) -> Self {
        Self { text, at: 0 }
    }

    pub(super) fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    pub(super) fn is_at_end(&self) -> bool {
        self.at >= self.text.len()
    }

    /// Moves past one octet.
    pub(super) fn bump(&mut self) {
        self.at += 1;
    }

    /// Moves past this octet, if it is next.
    pub(super) fn eat(&mut self, byte: u8) -> bool {
        let found = self.peek() == Some(byte);
        self.at += usize::from(found);
        found
    }

    /// Everything up to the first octet that does not fit.
    pub(super) fn take_while(&mut self, fits: impl Fn(u8) -> bool) -> &'a [u8] {
        let rest = &self.text[self.at.min(self.text.len())..];
        let len = rest.iter().position(|b| !fits(*b)).unwrap_or(rest.len());
        self.at += len;
        &rest[..len]
    }

    /// White space and comments. RFC 5322 3.2.2: CFWS.
    pub(super) fn skip_space(&mut self) {
        while self.skip_white() || self.comment().is_some() {}
    }

    /// White space only; whether there was any.
    pub(super) fn skip_white(&mut self) -> bool {
        !self.take_while(is_white).is_empty()
    }

    /// The inside of a comment, with inner comments as they stand, quoted pairs resolved.
    pub(super) fn comment(&mut self) -> Option<Cow<'a, [u8]>> {
        (self.peek() == Some(b'(')).then(|| self.delimited(b'(', b')'))
    }

    /// The inside of a quoted string, quoted pairs resolved.
    pub(super) fn quoted(&mut self) -> Option<Cow<'a, [u8]>> {
        (self.peek() == Some(b'"')).then(|| self.delimited(b'"', b'"'))
    }

    fn delimited(&mut self, open: u8, close: u8) -> Cow<'a, [u8]> {
        self.bump();
        let start = self.at;
        let (mut depth, mut escapes) = (1u32, false);
        while let Some(byte) = self.peek() {
            match byte {
                b'\\' => {
                    escapes = true;
                    self.bump();
                }
                b if b == close => depth -= 1,
                b if b == open => depth = depth.saturating_add(1),
                _ => {}
            }
            self.bump();
            if depth == 0 {
                break;
            }
        }
        self.at = self.at.min(self.text.len());
        let end = self.at - usize::from(depth == 0);
        let inside = &self.text[start.min(end)..end];
        if escapes { Cow::Owned(without_escapes(inside)) } else { Cow::Borrowed(inside) }
    }
}

/// Space, tab, and line ends where a value was not unfolded.
pub(super) fn is_white(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\r' | b'\n')
}

/// RFC 2045 5.1: token.
pub(super) fn is_token(byte: u8) -> bool {
    byte.is_ascii_graphic() && !b"()<>@,;:\\\"/[]?=".contains(&byte)
}

fn without_escapes(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.iter();
    while let Some(&byte) = bytes.next() {
        out.extend(if byte == b'\\' { bytes.next() } else { Some(&byte) });
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_nest_and_quotes_escape() {
        let mut cursor = Cursor::new(br#"(a (b) \) c) "x \"y\"" (open"#);
        assert_eq!(&*cursor.comment().unwrap(), b"a (b) ) c");
        assert!(cursor.skip_white());
        assert_eq!(&*cursor.quoted().unwrap(), br#"x "y""#);
        cursor.skip_space();
        assert!(cursor.is_at_end());
    }

    #[test]
    fn a_backslash_at_the_very_end_is_no_trap() {
        for text in [&b"\"\\"[..], b"(\\", b"\"", b"(", b"((((("] {
            let mut cursor = Cursor::new(text);
            let _ = cursor.quoted().or_else(|| cursor.comment());
            assert!(cursor.is_at_end(), "{text:?}");
        }
    }
}
