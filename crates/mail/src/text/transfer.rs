//! Transfer encodings undone, in pieces. RFC 2045 6.7 and 6.8.
//!
//! Tolerant as readers are: what is no BASE64 is passed over, padding in the middle ends nothing, a final
//! quantum without padding counts; a broken `=` of quoted-printable stays as it is. [`BodyText`] goes on to
//! characters: what SEARCH TEXT compares.

use super::charset::{Charset, Decoder};

/// Content-Transfer-Encoding. What is not known counts as [`Encoding::Identity`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoding {
    /// 7bit, 8bit, binary.
    Identity,
    /// base64.
    Base64,
    /// quoted-printable.
    QuotedPrintable,
}

impl Encoding {
    /// By its name in any case.
    pub fn of(name: &[u8]) -> Self {
        let name = name.trim_ascii();
        if name.eq_ignore_ascii_case(b"base64") {
            Self::Base64
        } else if name.eq_ignore_ascii_case(b"quoted-printable") {
            Self::QuotedPrintable
        } else {
            Self::Identity
        }
    }
}

/// Undoes one encoding. Holds a few octets between pieces, and trailing white space of one line up to
/// [`MAX_HELD`].
#[derive(Debug)]
pub struct Unwrap {
    encoding: Encoding,
    /// BASE64: bits and how many of them. Quoted-printable: nothing.
    bits: u32,
    held_bits: u32,
    /// Quoted-printable: an escape that is not complete, or white space that may end a line.
    held: Vec<u8>,
}

/// White space at a line's end that is held back; a longer run is content.
const MAX_HELD: usize = 1000;

impl Unwrap {
    /// Before the first octet.
    pub fn new(encoding: Encoding) -> Self {
        Self { encoding, bits: 0, held_bits: 0, held: Vec::new() }
    }

    /// Appends what the next octets stand for: never more than they are, plus what was held.
    pub fn push(&mut self, octets: &[u8], out: &mut Vec<u8>) {
        match self.encoding {
            Encoding::Identity => out.extend_from_slice(octets),
            Encoding::Base64 => octets.iter().for_each(|octet| self.base64(*octet, out)),
            Encoding::QuotedPrintable => octets.iter().for_each(|octet| self.quoted(*octet, out)),
        }
    }

    /// The octets are complete: appends what an unfinished escape is.
    pub fn finish(mut self, out: &mut Vec<u8>) {
        // White space at the end of the last line was added in transport; a lone `=` was a soft break.
        if self.held.first() == Some(&b'=') && self.held.len() > 1 && !is_break(&self.held) {
            out.append(&mut self.held);
        }
    }

    fn base64(&mut self, octet: u8, out: &mut Vec<u8>) {
        let value = match octet {
            b'A'..=b'Z' => octet - b'A',
            b'a'..=b'z' => octet - b'a' + 26,
            b'0'..=b'9' => octet - b'0' + 52,
            b'+' | b'-' => 62,
            b'/' | b'_' => 63,
            b'=' => {
                // The bits left over are padding; another BASE64 text may follow.
                (self.bits, self.held_bits) = (0, 0);
                return;
            }
            _ => return,
        };
        self.bits = self.bits << 6 | u32::from(value);
        self.held_bits += 6;
        if self.held_bits >= 8 {
            self.held_bits -= 8;
            out.push(u8::try_from(self.bits >> self.held_bits & 0xff).unwrap_or(0));
            self.bits &= (1 << self.held_bits) - 1;
        }
    }

    fn quoted(&mut self, octet: u8, out: &mut Vec<u8>) {
        match (self.held.first(), octet) {
            (Some(b'='), _) => self.escape(octet, out),
            (_, b'=') => {
                out.append(&mut self.held);
                self.held.push(b'=');
            }
            (_, b' ' | b'\t') if self.held.len() < MAX_HELD => self.held.push(octet),
            (_, b'\n') => {
                // RFC 2045 6.7 (3): white space at the end of a line is not the writer's.
                let end: &[u8] = if self.held.last() == Some(&b'\r') { b"\r\n" } else { b"\n" };
                self.held.clear();
                out.extend_from_slice(end);
            }
            (_, b'\r') if self.held.last() != Some(&b'\r') => self.held.push(b'\r'),
            _ => {
                out.append(&mut self.held);
                out.push(octet);
            }
        }
    }

    /// After `=`: two hexadecimal digits, or white space and a line end.
    fn escape(&mut self, octet: u8, out: &mut Vec<u8>) {
        self.held.push(octet);
        match self.held.as_slice() {
            [_, .., b'\n'] if is_break(&self.held) => self.held.clear(),
            [_, high, low] if hex(*high).is_some() && hex(*low).is_some() => {
                out.push(hex(*high).unwrap_or(0) << 4 | hex(*low).unwrap_or(0));
                self.held.clear();
            }
            [_, high] if hex(*high).is_some() => {}
            held if is_break(held) && held.len() < MAX_HELD => {}
            _ => {
                // No escape: all but the last octet is content, and that one is looked at afresh.
                self.held.pop();
                out.append(&mut self.held);
                self.quoted(octet, out);
            }
        }
    }
}

/// Whether this is `=` and then nothing but white space and line ends.
fn is_break(held: &[u8]) -> bool {
    held.iter().skip(1).all(|b| matches!(b, b' ' | b'\t' | b'\r' | b'\n'))
}

fn hex(octet: u8) -> Option<u8> {
    char::from(octet).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}

/// A body in pieces to characters: transfer encoding, then charset. Memory: a few times the piece.
pub struct BodyText {
    unwrap: Unwrap,
    decoder: Decoder,
    octets: Vec<u8>,
}

impl BodyText {
    /// For a part with this Content-Transfer-Encoding and charset parameter.
    pub fn new(encoding: Encoding, charset: Charset) -> Self {
        Self { unwrap: Unwrap::new(encoding), decoder: charset.decoder(), octets: Vec::new() }
    }

    /// Appends the characters of the next octets.
    pub fn push(&mut self, octets: &[u8], out: &mut String) {
        self.octets.clear();
        self.unwrap.push(octets, &mut self.octets);
        self.decoder.push(&self.octets, out);
    }

    /// The body is complete.
    pub fn finish(mut self, out: &mut String) {
        self.octets.clear();
        self.unwrap.finish(&mut self.octets);
        self.decoder.push(&self.octets, out);
        self.decoder.finish(out);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn undone(encoding: Encoding, octets: &[u8], size: usize) -> Vec<u8> {
        let mut out = Vec::new();
        let mut unwrap = Unwrap::new(encoding);
        octets.chunks(size).for_each(|piece| unwrap.push(piece, &mut out));
        unwrap.finish(&mut out);
        out
    }

    #[test]
    fn base64_as_real_mail_has_it() {
        let cases: [(&[u8], &[u8]); 5] = [
            (b"aGVsbG8=\r\n", b"hello"),
            (b"aGVs\r\nbG8", b"hello"),
            (b"aGVsbG8=aGVsbG8=", b"hellohello"),
            (b"aG!Vs bG8=\r\n-- \r\n", b"hello"),
            (b"", b""),
        ];
        for (octets, expected) in cases {
            let found = undone(Encoding::Base64, octets, 3);
            assert!(found.starts_with(expected), "{found:?}");
        }
    }

    #[test]
    fn quoted_printable_as_real_mail_has_it() {
        let cases: [(&[u8], &[u8]); 9] = [
            (b"a=3Db=20\r\n", b"a=b \r\n"),
            (b"soft=\r\nbreak", b"softbreak"),
            (b"soft= \t\r\nbreak", b"softbreak"),
            (b"trailing \t\r\nx", b"trailing\r\nx"),
            (b"a  b\rc", b"a  b\rc"),
            (b"bad =XY == =3", b"bad =XY == =3"),
            (b"lower =c3=a9", b"lower \xc3\xa9"),
            (b"end=", b"end"),
            (b"lf \n=\nx", b"lf\nx"),
        ];
        for (octets, expected) in cases {
            for size in [1, 2, 100] {
                let found = undone(Encoding::QuotedPrintable, octets, size);
                assert_eq!(String::from_utf8_lossy(&found), String::from_utf8_lossy(expected), "{octets:?}");
            }
        }
    }

    #[test]
    fn a_body_becomes_characters() {
        let mut out = String::new();
        let mut body = BodyText::new(Encoding::of(b"Quoted-Printable"), Charset::of(b"utf-8"));
        body.push(b"caf=C3", &mut out);
        body.push(b"=A9 =E2=82=", &mut out);
        body.push(b"\r\n=AC", &mut out);
        body.finish(&mut out);
        assert_eq!(out, "caf\u{e9} \u{20ac}");
    }

    proptest! {
        #[test]
        fn pieces_change_nothing_and_nothing_grows(octets in "[=0-9A-Fa-f \t\r\nxyz]{0,80}", size in 1usize..9) {
            for encoding in [Encoding::Base64, Encoding::QuotedPrintable, Encoding::Identity] {
                let whole = undone(encoding, octets.as_bytes(), 1000);
                prop_assert_eq!(&undone(encoding, octets.as_bytes(), size), &whole);
                prop_assert!(whole.len() <= octets.len());
            }
        }
    }
}
