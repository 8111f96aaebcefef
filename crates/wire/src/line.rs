//! Lines of a text protocol, ended by CRLF and nothing else.
//!
//! [`Lines::next`] looks at the front of a buffer and never copies. It tells apart the ways in which a line
//! can be bad, because some are a typing error at a terminal and some are the tools of an attack. A line
//! over the limit is thrown away piece by piece while it arrives and reported once, at its end: the peer gets
//! one answer for one line, and the buffer need never hold more than the limit.
//!
//! What a line means is left to the protocol's own parser, as is the answer to a bad one.

use memchr::{memchr, memchr2};

/// Why a line is refused. RFC 5321 2.3.8: CR and LF occur in a line only together, as its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadLine {
    /// More octets than the limit before the CRLF.
    #[error("the line is too long")]
    TooLong,
    /// An LF with no CR before it.
    #[error("a line must end in CR LF")]
    BareLf,
    /// A CR with no LF after it.
    #[error("a CR stands within the line")]
    BareCr,
    /// A NUL.
    #[error("a NUL stands within the line")]
    Nul,
}

/// What stands at the front of the buffer.
#[derive(Debug, PartialEq, Eq)]
pub enum Scan<'a> {
    /// The line has not ended yet. The first `consumed` octets belong to a line that is too long already:
    /// drop them, keep the rest, read more.
    NeedMore {
        /// Octets to drop from the buffer's front.
        consumed: usize,
    },
    /// A line.
    Line {
        /// Without its CRLF.
        text: &'a [u8],
        /// Octets to drop from the buffer's front once the text has been used.
        consumed: usize,
    },
    /// A line that is refused as a whole.
    Refused {
        /// The first fault found.
        why: BadLine,
        /// Octets to drop from the buffer's front.
        consumed: usize,
    },
}

/// Finds the lines of one connection.
#[derive(Debug, Clone)]
pub struct Lines {
    /// Octets before the CRLF that are allowed.
    limit: usize,
    /// Octets at the buffer's front that are known to hold no LF.
    searched: usize,
    /// Within a line that is too long already.
    skipping: bool,
}

impl Lines {
    /// Lines of at most `limit` octets before their CRLF.
    pub const fn new(limit: usize) -> Self {
        Self { limit, searched: 0, skipping: false }
    }

    /// Looks at what stands at the front of `buffer`. Between two calls the caller drops from the front
    /// exactly what it was told to, and may add to the end.
    pub fn next<'a>(&mut self, buffer: &'a [u8]) -> Scan<'a> {
        let fresh = buffer.get(self.searched..).unwrap_or_default();
        let Some(at) = memchr(b'\n', fresh) else { return self.unfinished(buffer) };
        let end = self.searched + at;
        self.searched = 0;
        let consumed = end + 1;
        if std::mem::take(&mut self.skipping) {
            return Scan::Refused { why: BadLine::TooLong, consumed };
        }
        match judge(buffer.get(..end).unwrap_or_default(), self.limit) {
            Ok(text) => Scan::Line { text, consumed },
            Err(why) => Scan::Refused { why, consumed },
        }
    }

    fn unfinished(&mut self, buffer: &[u8]) -> Scan<'static> {
        // The limit and its CR may stand in the buffer before it is certain that the line is too long.
        if self.skipping || buffer.len() > self.limit + 1 {
            self.skipping = true;
            self.searched = 0;
            return Scan::NeedMore { consumed: buffer.len() };
        }
        self.searched = buffer.len();
        Scan::NeedMore { consumed: 0 }
    }
}

/// The text of a line, given all that stands before its LF.
fn judge(before_lf: &[u8], limit: usize) -> Result<&[u8], BadLine> {
    let Some((b'\r', text)) = before_lf.split_last().map(|(last, rest)| (*last, rest)) else {
        return Err(if before_lf.len() > limit { BadLine::TooLong } else { BadLine::BareLf });
    };
    if text.len() > limit {
        return Err(BadLine::TooLong);
    }
    match memchr2(b'\r', 0, text).and_then(|at| text.get(at)) {
        None => Ok(text),
        Some(0) => Err(BadLine::Nul),
        Some(_) => Err(BadLine::BareCr),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// All that comes out when `input` arrives in pieces that end at `cuts`.
    fn read(limit: usize, input: &[u8], cuts: &[usize]) -> Vec<Result<Vec<u8>, BadLine>> {
        let (mut lines, mut buffer, mut found) = (Lines::new(limit), Vec::new(), Vec::new());
        let mut cuts: Vec<usize> =
            cuts.iter().map(|c| c % (input.len() + 1)).chain([0, input.len()]).collect();
        cuts.sort_unstable();
        for piece in cuts.windows(2) {
            buffer.extend_from_slice(&input[piece[0]..piece[1]]);
            loop {
                let (item, consumed) = match lines.next(&buffer) {
                    Scan::NeedMore { consumed } => (None, consumed),
                    Scan::Line { text, consumed } => (Some(Ok(text.to_vec())), consumed),
                    Scan::Refused { why, consumed } => (Some(Err(why)), consumed),
                };
                buffer.drain(..consumed);
                match item {
                    Some(item) => found.push(item),
                    None => break,
                }
            }
            assert!(buffer.len() <= limit + 1, "more kept than the limit");
        }
        found
    }

    #[test]
    fn lines_come_without_their_end() {
        let found = read(10, b"NOOP\r\n\r\nQUIT\r\nmore", &[]);
        assert_eq!(found, [Ok(b"NOOP".to_vec()), Ok(vec![]), Ok(b"QUIT".to_vec())]);
    }

    #[test]
    fn each_fault_has_its_name() {
        assert_eq!(read(10, b"a\nb\r\n", &[]), [Err(BadLine::BareLf), Ok(b"b".to_vec())]);
        assert_eq!(read(10, b"a\rb\r\n", &[]), [Err(BadLine::BareCr)]);
        assert_eq!(read(10, b"a\r\r\n", &[]), [Err(BadLine::BareCr)]);
        assert_eq!(read(10, b"a\0b\r\n", &[]), [Err(BadLine::Nul)]);
        assert_eq!(read(3, b"abcd\r\nx\r\n", &[]), [Err(BadLine::TooLong), Ok(b"x".to_vec())]);
    }

    #[test]
    fn the_limit_itself_is_allowed_however_it_arrives() {
        for cut in 0..7 {
            assert_eq!(read(4, b"abcd\r\n", &[cut]), [Ok(b"abcd".to_vec())], "cut at {cut}");
        }
    }

    #[test]
    fn a_line_without_end_is_dropped_as_it_comes() {
        let (mut lines, piece) = (Lines::new(100), vec![b'x'; 5000]);
        for _ in 0..1000 {
            assert_eq!(lines.next(&piece), Scan::NeedMore { consumed: 5000 });
        }
        assert_eq!(lines.next(b"\r\n"), Scan::Refused { why: BadLine::TooLong, consumed: 2 });
        assert_eq!(lines.next(b"a\r\n"), Scan::Line { text: b"a", consumed: 3 });
    }

    proptest! {
        #[test]
        fn the_pieces_do_not_matter(
            input in proptest::collection::vec(prop_oneof![Just(b'\r'), Just(b'\n'), Just(0), Just(b'a'), any::<u8>()], 0..200),
            cuts in proptest::collection::vec(any::<usize>(), 0..20),
            limit in 0_usize..40,
        ) {
            prop_assert_eq!(read(limit, &input, &cuts), read(limit, &input, &[]));
        }
    }
}
