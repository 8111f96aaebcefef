//! Text from a program as lines of mail: every line end becomes CRLF, whatever it was, and a line with a single dot
//! may end the message. Pure, for pieces of any size.

use super::options::Dot;

/// Rewrites text piece by piece.
pub(super) struct Lines {
    dot: Dot,
    at: At,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum At {
    LineStart,
    /// A dot stands at the start of the line and has not been given out.
    Dot,
    Inside,
    /// A CR has been read and not been given out. The flag of a line with a single dot is kept.
    Cr,
    DotCr,
    End,
}

/// Whether more is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum More {
    Wanted,
    /// The message has ended by a dot.
    Ended,
}

const CRLF: &[u8] = b"\r\n";

impl Lines {
    pub(super) fn new(dot: Dot) -> Self {
        Self { dot, at: At::LineStart }
    }

    /// Rewrites a piece.
    pub(super) fn push(&mut self, piece: &[u8], out: &mut Vec<u8>) -> More {
        let mut rest = piece;
        while let Some((&byte, tail)) = rest.split_first() {
            if self.at == At::Inside {
                let run = memchr::memchr2(b'\r', b'\n', rest).unwrap_or(rest.len());
                out.extend_from_slice(&rest[..run]);
                rest = &rest[run..];
                if !rest.is_empty() {
                    self.at = if rest[0] == b'\r' { At::Cr } else { end_line(out) };
                    rest = &rest[1..];
                }
                continue;
            }
            match self.step(byte, out) {
                Step::Taken => rest = tail,
                Step::Again => {}
            }
            if self.at == At::End {
                return More::Ended;
            }
        }
        More::Wanted
    }

    /// Completes the last line.
    pub(super) fn finish(self, out: &mut Vec<u8>) {
        if matches!(self.at, At::Inside | At::Cr) {
            out.extend_from_slice(CRLF);
        }
    }

    fn step(&mut self, byte: u8, out: &mut Vec<u8>) -> Step {
        self.at = match (self.at, byte) {
            (At::LineStart, b'.') if self.dot == Dot::Ends => At::Dot,
            (At::LineStart | At::Inside, b'\r') => At::Cr,
            (At::LineStart | At::Inside, b'\n') => end_line(out),
            (At::LineStart | At::Inside, _) => {
                self.at = At::Inside;
                return Step::Again;
            }
            (At::Dot, b'\n') => At::End,
            (At::Dot, b'\r') => At::DotCr,
            (At::Dot, _) => {
                out.push(b'.');
                self.at = At::Inside;
                return Step::Again;
            }
            (At::DotCr | At::End, _) => At::End,
            (At::Cr, b'\n') => end_line(out),
            // A CR alone ends a line here and nowhere behind: nothing can hide behind one.
            (At::Cr, _) => {
                self.at = end_line(out);
                return Step::Again;
            }
        };
        Step::Taken
    }
}

enum Step {
    Taken,
    Again,
}

fn end_line(out: &mut Vec<u8>) -> At {
    out.extend_from_slice(CRLF);
    At::LineStart
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rewrite(text: &str, dot: Dot, size: usize) -> (String, More) {
        let (mut lines, mut out) = (Lines::new(dot), Vec::new());
        for piece in text.as_bytes().chunks(size) {
            if lines.push(piece, &mut out) == More::Ended {
                return (String::from_utf8(out).unwrap(), More::Ended);
            }
        }
        lines.finish(&mut out);
        (String::from_utf8(out).unwrap(), More::Wanted)
    }

    #[test]
    fn every_line_end_becomes_crlf_however_the_text_is_cut() {
        let text = "a\nb\r\nc\rd\n\n\r\r\n.x\n..\nlast";
        let expected = "a\r\nb\r\nc\r\nd\r\n\r\n\r\n\r\n.x\r\n..\r\nlast\r\n";
        for size in 1..=text.len() {
            assert_eq!(rewrite(text, Dot::Ends, size), (expected.to_owned(), More::Wanted), "{size}");
        }
    }

    #[test]
    fn a_single_dot_ends_or_is_text() {
        for text in ["a\n.\nrest", "a\n.\r\nrest"] {
            for size in 1..=text.len() {
                assert_eq!(rewrite(text, Dot::Ends, size), ("a\r\n".to_owned(), More::Ended));
                assert_eq!(rewrite(text, Dot::Text, size), ("a\r\n.\r\nrest\r\n".to_owned(), More::Wanted));
            }
        }
        assert_eq!(rewrite("a\n.", Dot::Ends, 9), ("a\r\n".to_owned(), More::Wanted));
    }
}
