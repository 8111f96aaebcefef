//! Replies: a code, an enhanced code, lines of text. RFC 5321 4.2, RFC 2034, RFC 3463.
//!
//! [`Reply::write`] is the server's side, [`Decoder`] the client's, which believes nothing: not the number of
//! lines, not their length, not that the codes of the lines agree. Which reply an error deserves is decided
//! by the server that gives it.

use crate::Progress;
use crate::line::{BadLine, Lines, Scan};
use bytes::{Buf as _, BytesMut};
use std::borrow::Cow;
use std::fmt::{self, Write as _};

/// Octets of text on one line: with code, enhanced code and CRLF below RFC 5321 4.5.3.1.5's 512.
const MAX_TEXT: usize = 480;
/// Lines of one reply that a client takes.
const MAX_LINES: usize = 128;
/// Octets of text in one reply that a client keeps.
const MAX_REPLY: usize = 16 * 1024;

/// RFC 3463 2: class, subject, detail.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Enhanced(pub u8, pub u16, pub u16);

impl Enhanced {
    /// From `5.1.1`, with nothing before or behind it; each number has at most three digits.
    pub fn parse(text: &str) -> Option<Self> {
        let mut numbers = text.split('.').map(|n| {
            let plain = (1..=3).contains(&n.len()) && n.bytes().all(|b| b.is_ascii_digit());
            if plain { n.parse::<u16>().ok() } else { None }
        });
        let (class, subject, detail) = (numbers.next()??, numbers.next()??, numbers.next()??);
        let fits = matches!(class, 2 | 4 | 5) && numbers.next().is_none();
        fits.then_some(Self(u8::try_from(class).ok()?, subject, detail))
    }
}

impl fmt::Display for Enhanced {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.0, self.1, self.2)
    }
}

/// What the first digit says. RFC 5321 4.2.1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Class {
    /// 2: done.
    Done,
    /// 3: go on.
    GoOn,
    /// 4: try again later.
    Later,
    /// 5: do not try again.
    Never,
}

/// A reply.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Reply {
    /// 200 to 599.
    pub code: u16,
    /// Where one is given.
    pub enhanced: Option<Enhanced>,
    /// The lines, divided by LF.
    pub text: Cow<'static, str>,
}

impl Reply {
    /// A reply with an enhanced code, given as its three numbers.
    pub const fn new(code: u16, enhanced: (u8, u16, u16), text: &'static str) -> Self {
        let (class, subject, detail) = enhanced;
        Self { code, enhanced: Some(Enhanced(class, subject, detail)), text: Cow::Borrowed(text) }
    }

    /// A reply without an enhanced code, as greeting and EHLO have it. RFC 2034 3.
    pub const fn plain(code: u16, text: Cow<'static, str>) -> Self {
        Self { code, enhanced: None, text }
    }

    /// The same with another text.
    #[must_use]
    pub fn text(self, text: impl Into<Cow<'static, str>>) -> Self {
        Self { text: text.into(), ..self }
    }

    /// What the code says. An odd code is one to try again after.
    pub const fn class(&self) -> Class {
        match self.code / 100 {
            2 => Class::Done,
            3 => Class::GoOn,
            5 => Class::Never,
            _ => Class::Later,
        }
    }

    /// Appends the reply as it travels. A control character becomes `?`; a long line is cut.
    pub fn write(&self, out: &mut BytesMut) {
        let mut lines = self.text.split('\n').peekable();
        while let Some(line) = lines.next() {
            let mark = if lines.peek().is_some() { '-' } else { ' ' };
            let _ = write!(out, "{}{mark}", self.code);
            if let Some(enhanced) = self.enhanced {
                let _ = write!(out, "{enhanced} ");
            }
            let line = cut(line);
            match line.contains(char::is_control) {
                false => out.extend_from_slice(line.as_bytes()),
                true => out.extend_from_slice(line.replace(char::is_control, "?").as_bytes()),
            }
            out.extend_from_slice(b"\r\n");
        }
    }
}

impl fmt::Display for Reply {
    /// On one line, as logs and reports want it: `550 5.1.1 No such user`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.code)?;
        if let Some(enhanced) = self.enhanced {
            write!(f, " {enhanced}")?;
        }
        self.text.split('\n').try_for_each(|line| write!(f, " {line}"))
    }
}

fn cut(line: &str) -> &str {
    if line.len() <= MAX_TEXT { line } else { &line[..line.floor_char_boundary(MAX_TEXT)] }
}

/// Why what a server sent is no reply. The connection is of no further use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadReply {
    /// A line that is no line.
    #[error("{0}")]
    Line(BadLine),
    /// No code, an impossible one, or one that changes within the reply.
    #[error("the reply has no valid code")]
    Code,
    /// More lines or text than any reply has.
    #[error("the reply is too long")]
    TooLong,
}

/// Reads the replies of one connection.
#[derive(Debug)]
pub struct Decoder {
    lines: Lines,
    code: Option<u16>,
    text: String,
    count: usize,
}

impl Decoder {
    /// Replies with lines of at most `line_limit` octets.
    pub fn new(line_limit: usize) -> Self {
        Self { lines: Lines::new(line_limit), code: None, text: String::new(), count: 0 }
    }

    /// Takes lines from the front of `input` until a reply is complete.
    pub fn push(&mut self, input: &mut BytesMut) -> Progress<Reply, BadReply> {
        loop {
            let (line, consumed) = match self.lines.next(input) {
                Scan::Line { text, consumed } => (text, consumed),
                Scan::Refused { why, .. } => return Progress::Refused(BadReply::Line(why)),
                Scan::NeedMore { consumed: 0 } => return Progress::NeedMore,
                Scan::NeedMore { .. } => return Progress::Refused(BadReply::Line(BadLine::TooLong)),
            };
            let taken = take_line(line, &mut self.code, &mut self.text);
            input.advance(consumed);
            self.count += 1;
            match taken {
                Err(why) => return Progress::Refused(why),
                Ok(_) if self.count > MAX_LINES || self.text.len() > MAX_REPLY => {
                    return Progress::Refused(BadReply::TooLong);
                }
                Ok(true) => return Progress::Value(self.finish()),
                Ok(false) => self.text.push('\n'),
            }
        }
    }

    fn finish(&mut self) -> Reply {
        let (text, code) = (std::mem::take(&mut self.text), self.code.take().unwrap_or_default());
        self.count = 0;
        let word = text.split([' ', '\n']).next().unwrap_or_default();
        let enhanced = Enhanced::parse(word).filter(|e| u16::from(e.0) == code / 100);
        if enhanced.is_none() {
            return Reply::plain(code, Cow::Owned(text));
        }
        let bare = |line: &str| {
            line.strip_prefix(word).map_or_else(|| line.to_owned(), |l| l.trim_start().to_owned())
        };
        let text = text.split('\n').map(bare).collect::<Vec<_>>().join("\n");
        Reply { code, enhanced, text: Cow::Owned(text) }
    }
}

/// Adds a line's text; whether it is the last one.
fn take_line(line: &[u8], code: &mut Option<u16>, text: &mut String) -> Result<bool, BadReply> {
    let (digits, rest) = line.split_at_checked(3).ok_or(BadReply::Code)?;
    let number = std::str::from_utf8(digits).ok().filter(|d| d.bytes().all(|b| b.is_ascii_digit()));
    let number: u16 = number.and_then(|d| d.parse().ok()).ok_or(BadReply::Code)?;
    if !(200..600).contains(&number) || code.is_some_and(|c| c != number) {
        return Err(BadReply::Code);
    }
    *code = Some(number);
    let (last, words) = match rest.split_first() {
        None => (true, rest),
        Some((b' ', words)) => (true, words),
        Some((b'-', words)) => (false, words),
        Some(_) => return Err(BadReply::Code),
    };
    text.push_str(&String::from_utf8_lossy(words).replace(|c: char| c.is_control() && c != '\t', "?"));
    Ok(last)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn written(reply: &Reply) -> String {
        let mut out = BytesMut::new();
        reply.write(&mut out);
        String::from_utf8(out.to_vec()).unwrap()
    }

    fn read(text: &str) -> Progress<Reply, BadReply> {
        Decoder::new(1000).push(&mut BytesMut::from(text))
    }

    #[test]
    fn replies_are_written_line_by_line() {
        assert_eq!(written(&Reply::new(250, (2, 0, 0), "Ok")), "250 2.0.0 Ok\r\n");
        let ehlo = Reply::plain(250, "a.example\nPIPELINING\nHELP".into());
        assert_eq!(written(&ehlo), "250-a.example\r\n250-PIPELINING\r\n250 HELP\r\n");
        let forged = Reply::new(550, (5, 1, 1), "").text("no <a\r250 x>");
        assert_eq!(written(&forged), "550 5.1.1 no <a?250 x>\r\n");
        assert!(written(&Reply::plain(250, "ä".repeat(600).into())).len() < 512);
    }

    #[test]
    fn replies_are_read() {
        assert_eq!(read("250 2.1.5 Ok\r\n"), Progress::Value(Reply::new(250, (2, 1, 5), "Ok")));
        assert_eq!(read("250\r\n"), Progress::Value(Reply::plain(250, "".into())));
        let two = Reply::new(550, (5, 7, 1), "Go\naway");
        assert_eq!(read("550-5.7.1 Go\r\n550 5.7.1 away\r\n"), Progress::Value(two));
        assert_eq!(read("250 5.1.1 x\r\n"), Progress::Value(Reply::plain(250, "5.1.1 x".into())));
        assert_eq!(read("250-a\r\n250-b\r\n"), Progress::NeedMore);
    }

    #[test]
    fn what_is_no_reply_is_refused() {
        for bad in
            ["25\r\n", "abc x\r\n", "250x\r\n", "199 x\r\n", "600 x\r\n", "250-a\r\n251 b\r\n", "+50 x\r\n"]
        {
            assert_eq!(read(bad), Progress::Refused(BadReply::Code), "{bad}");
        }
        assert_eq!(read("250 a\n"), Progress::Refused(BadReply::Line(BadLine::BareLf)));
        assert_eq!(read(&"2".repeat(2000)), Progress::Refused(BadReply::Line(BadLine::TooLong)));
        assert_eq!(read(&"250-x\r\n".repeat(200)), Progress::Refused(BadReply::TooLong));
        assert_eq!(
            read(&format!("250-{}\r\n", "x".repeat(900)).repeat(20)),
            Progress::Refused(BadReply::TooLong)
        );
    }

    proptest! {
        #[test]
        fn what_is_written_comes_back(code in 200_u16..600, lines in proptest::collection::vec("[a-z][a-z ]{0,30}", 1..5)) {
            let reply = Reply::plain(code, lines.join("\n").into());
            prop_assert_eq!(read(&written(&reply)), Progress::Value(reply));
        }

        #[test]
        fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let (mut decoder, mut input) = (Decoder::new(50), BytesMut::from(&bytes[..]));
            while let Progress::Value(_) = decoder.push(&mut input) {}
        }
    }
}
