//! Answers of a POP3 server, written straight into the buffer that goes out.
//!
//! Nothing here allocates. A message goes through a [`Stuffer`] piece by piece, so that it never stands in
//! memory as a whole; a [`TopLimit`] in front of it lets the header and some lines of the body through.

use bytes::{BufMut, BytesMut};
use memchr::memmem;

/// Response codes in brackets. RFC 2449 8, RFC 3206.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Code {
    /// The mailbox is held by another session.
    InUse,
    /// Name or password is wrong.
    Auth,
    /// Our fault or the operator's: try later.
    SysTemp,
    /// Trying again is no use until somebody changes something.
    SysPerm,
}

impl Code {
    /// As it stands between the brackets.
    pub const fn name(self) -> &'static str {
        match self {
            Self::InUse => "IN-USE",
            Self::Auth => "AUTH",
            Self::SysTemp => "SYS/TEMP",
            Self::SysPerm => "SYS/PERM",
        }
    }
}

/// `+OK text`.
pub fn ok(out: &mut BytesMut, text: &str) {
    out.put_slice(b"+OK ");
    line(out, text);
}

/// `+OK number text`.
pub fn ok_number(out: &mut BytesMut, number: u64, text: &str) {
    out.put_slice(b"+OK ");
    put_number(out, number);
    out.put_u8(b' ');
    line(out, text);
}

/// `+OK a b`: the answers to STAT and to LIST of one message.
pub fn ok_pair(out: &mut BytesMut, a: u64, b: u64) {
    out.put_slice(b"+OK ");
    pair(out, a, b);
}

/// `a b`: a line of LIST.
pub fn pair(out: &mut BytesMut, a: u64, b: u64) {
    put_number(out, a);
    out.put_u8(b' ');
    put_number(out, b);
    out.put_slice(b"\r\n");
}

/// `-ERR text`.
pub fn err(out: &mut BytesMut, text: &str) {
    out.put_slice(b"-ERR ");
    line(out, text);
}

/// `-ERR [code] text`.
pub fn err_code(out: &mut BytesMut, code: Code, text: &str) {
    out.put_slice(b"-ERR [");
    out.put_slice(code.name().as_bytes());
    out.put_slice(b"] ");
    line(out, text);
}

/// `+ challenge`, the challenge in base64. RFC 5034 4.
pub fn challenge(out: &mut BytesMut, challenge: &[u8]) {
    out.put_slice(b"+ ");
    line(out, &crate::sasl::encode(challenge));
}

/// One line of a longer answer. What would end the line or the answer early is left out.
pub fn line(out: &mut BytesMut, text: &str) {
    if text.bytes().any(|b| b.is_ascii_control()) {
        text.bytes().filter(|b| !b.is_ascii_control()).for_each(|b| out.put_u8(b));
    } else {
        out.put_slice(text.as_bytes());
    }
    out.put_slice(b"\r\n");
}

/// The end of an answer of several lines.
pub fn end(out: &mut BytesMut) {
    out.put_slice(b".\r\n");
}

/// `number id`: a line of UIDL. The id is made of the folder's UID epoch and the message's UID, 16 hexadecimal
/// digits: the same for as long as the message lives, and never that of another (RFC 1939 7).
pub fn unique_id(out: &mut BytesMut, number: u64, uid_validity: u32, uid: u32) {
    put_number(out, number);
    out.put_u8(b' ');
    let id = u64::from(uid_validity) << 32 | u64::from(uid);
    for shift in (0..16).rev() {
        let digit = usize::try_from(id >> (shift * 4) & 0xf).unwrap_or(0);
        out.put_u8(b"0123456789abcdef"[digit]);
    }
    out.put_slice(b"\r\n");
}

fn put_number(out: &mut BytesMut, number: u64) {
    out.put_slice(itoa::Buffer::new().format(number).as_bytes());
}

/// Doubles the dot at the start of a line and ends the message. RFC 1939 3.
///
/// A line is taken to begin after every LF, with or without a CR before it: clients that look at LF alone
/// would otherwise see the end of the message where it is not.
#[derive(Debug)]
pub struct Stuffer {
    /// The last octets: what stands before the next piece.
    last: [u8; 2],
}

impl Default for Stuffer {
    fn default() -> Self {
        Self { last: *b"\r\n" }
    }
}

impl Stuffer {
    /// Writes the next piece.
    pub fn push(&mut self, piece: &[u8], out: &mut BytesMut) {
        let Some(&first) = piece.first() else { return };
        out.reserve(piece.len() + 64);
        if self.last[1] == b'\n' && first == b'.' {
            out.put_u8(b'.');
        }
        let mut written = 0;
        for at in memmem::find_iter(piece, b"\n.") {
            out.put_slice(&piece[written..=at]);
            out.put_u8(b'.');
            written = at + 1;
        }
        out.put_slice(&piece[written..]);
        self.last = match piece {
            [.., a, b] => [*a, *b],
            _ => [self.last[1], first],
        };
    }

    /// Ends the message: a line that is not ended gets its end.
    pub fn finish(self, out: &mut BytesMut) {
        if self.last != *b"\r\n" {
            out.put_slice(b"\r\n");
        }
        end(out);
    }
}

/// Lets through the header, the empty line, and this many lines of the body. RFC 1939 7: TOP.
#[derive(Debug)]
pub struct TopLimit {
    in_header: bool,
    lines: u64,
    /// Octets of the current header line, its CR not counted: none means that it is empty.
    line: usize,
}

impl TopLimit {
    /// For so many lines of the body.
    pub fn new(lines: u64) -> Self {
        Self { in_header: true, lines, line: 0 }
    }

    /// How much of the next piece belongs to the answer; less than all of it where the rest does not.
    pub fn take(&mut self, piece: &[u8]) -> usize {
        let mut taken = 0;
        while taken < piece.len() {
            if self.is_over() {
                return taken;
            }
            let rest = &piece[taken..];
            let line = memchr::memchr(b'\n', rest).map_or(rest, |at| &rest[..=at]);
            taken += line.len();
            let is_ended = line.last() == Some(&b'\n');
            if self.in_header {
                self.line += line.iter().filter(|b| !matches!(b, b'\r' | b'\n')).count();
                if is_ended {
                    self.in_header = std::mem::take(&mut self.line) > 0;
                }
            } else {
                self.lines -= u64::from(is_ended);
            }
        }
        taken
    }

    /// Whether nothing more belongs to the answer.
    pub fn is_over(&self) -> bool {
        !self.in_header && self.lines == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn written(write: impl FnOnce(&mut BytesMut)) -> String {
        let mut out = BytesMut::new();
        write(&mut out);
        String::from_utf8_lossy(&out).into_owned()
    }

    #[test]
    fn answers_as_rfc_1939_has_them() {
        assert_eq!(written(|o| ok_pair(o, 2, 320)), "+OK 2 320\r\n");
        assert_eq!(written(|o| ok_number(o, 120, "octets")), "+OK 120 octets\r\n");
        assert_eq!(written(|o| err_code(o, Code::InUse, "busy")), "-ERR [IN-USE] busy\r\n");
        assert_eq!(written(|o| ok(o, "a\r\n-ERR b")), "+OK a-ERR b\r\n");
        assert_eq!(written(|o| unique_id(o, 1, 0x1234, u32::MAX)), "1 00001234ffffffff\r\n");
        assert_eq!(written(|o| challenge(o, b"Username:")), "+ VXNlcm5hbWU6\r\n");
    }

    fn stuffed(message: &[u8], size: usize) -> Vec<u8> {
        let mut out = BytesMut::new();
        let mut stuffer = Stuffer::default();
        message.chunks(size).for_each(|piece| stuffer.push(piece, &mut out));
        stuffer.finish(&mut out);
        out.to_vec()
    }

    /// What a client makes of an answer: lines up to the lone dot, one dot less where there is one.
    fn unstuffed(mut answer: &[u8]) -> Vec<u8> {
        let mut message = Vec::new();
        loop {
            let end = memchr::memchr(b'\n', answer).unwrap() + 1;
            let (line, rest) = answer.split_at(end);
            if line == b".\r\n" {
                assert!(rest.is_empty());
                return message;
            }
            message.extend_from_slice(line.strip_prefix(b".").unwrap_or(line));
            answer = rest;
        }
    }

    #[test]
    fn dots_are_doubled_and_the_end_is_whole() {
        assert_eq!(stuffed(b".a\r\n..\r\nb.\r\n", 1), b"..a\r\n...\r\nb.\r\n.\r\n");
        assert_eq!(stuffed(b"", 1), b".\r\n");
        assert_eq!(stuffed(b"no end", 2), b"no end\r\n.\r\n");
        assert_eq!(stuffed(b"lf\n.\n", 2), b"lf\n..\n\r\n.\r\n");
    }

    #[test]
    fn top_lets_the_header_and_some_lines_through() {
        let message = b"A: b\r\n c\r\n\r\none\r\ntwo\r\n\r\nlast";
        for (lines, expected) in [(0, 12), (1, 17), (2, 22), (3, 24), (4, 28), (u64::MAX, 28)] {
            for size in 1..30 {
                let mut limit = TopLimit::new(lines);
                let taken: usize = message.chunks(size).map(|piece| limit.take(piece)).sum();
                assert_eq!(taken, expected, "{lines} lines in pieces of {size}");
            }
        }
    }

    proptest! {
        #[test]
        fn every_message_comes_back(
            message in proptest::collection::vec(prop_oneof![Just(b'.'), Just(b'\r'), Just(b'\n'), Just(b'x')], 0..60),
            size in 1usize..9,
        ) {
            let answer = stuffed(&message, size);
            prop_assert_eq!(&answer, &stuffed(&message, 1000));
            let mut expected = message;
            if !expected.is_empty() && !expected.ends_with(b"\r\n") {
                expected.extend_from_slice(b"\r\n");
            }
            prop_assert_eq!(unstuffed(&answer), expected);
        }

        #[test]
        fn top_is_a_start_of_the_message(message in "[a:\r\n.]{0,60}", lines in 0u64..5, size in 1usize..9) {
            let message = message.into_bytes();
            let mut limit = TopLimit::new(lines);
            let taken: usize = message.chunks(size).map(|piece| limit.take(piece)).sum();
            prop_assert_eq!(taken, TopLimit::new(lines).take(&message));
            prop_assert!(message[..taken].iter().filter(|b| **b == b'\n').count() >= usize::try_from(lines).unwrap().min(
                message.iter().filter(|b| **b == b'\n').count()));
        }
    }
}
