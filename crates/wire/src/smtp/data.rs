//! How a message travels: lines with dots stuffed and a dot at the end, or counted chunks. RFC 5321 4.5.2,
//! RFC 3030.
//!
//! A message ends at CRLF `.` CRLF and nowhere else. Servers that took other sequences for the end have been
//! used to smuggle a second message past a first server that did not; so a bare CR or a bare LF anywhere in a
//! message makes [`Decoder`] tell of the fault at the true end, where the whole message is refused (RFC 5321
//! 2.3.8). No octet of the common path is touched by more than two vectorised searches.
//!
//! Where the octets go is the caller's business: the decoder says what to drop and what to keep.

use bytes::{BufMut as _, BytesMut};
use memchr::{memchr, memchr_iter};

/// A fault of a message as a whole; RFC 5321 2.3.8.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadData {
    /// An LF with no CR before it.
    #[error("the message has a bare LF")]
    BareLf,
    /// A CR with no LF after it.
    #[error("the message has a bare CR")]
    BareCr,
}

/// What to do with the front of the buffer.
#[derive(Debug, PartialEq, Eq)]
pub enum Piece {
    /// What is left, at most four octets, cannot be understood yet.
    NeedMore,
    /// Drop `skip` octets; the `keep` octets after them are content.
    Content {
        /// Octets of the encoding.
        skip: usize,
        /// Octets of the message.
        keep: usize,
    },
    /// Drop `skip` octets: the message has ended.
    End {
        /// Octets of the encoding.
        skip: usize,
        /// Whether it can be taken.
        fault: Option<BadData>,
    },
}

/// Finds content and end of one message sent with DATA.
#[derive(Debug)]
pub struct Decoder {
    at_line_start: bool,
    fault: Option<BadData>,
}

impl Default for Decoder {
    fn default() -> Self {
        Self { at_line_start: true, fault: None }
    }
}

impl Decoder {
    /// For the octets after the 354.
    pub fn new() -> Self {
        Self::default()
    }

    /// The first fault so far. The message will be refused: its content need not be kept any more.
    pub const fn fault(&self) -> Option<BadData> {
        self.fault
    }

    /// Looks at the front of `input`. Between two calls the caller takes from the front exactly what it was
    /// told to, and may add to the end.
    pub fn next(&mut self, input: &[u8]) -> Piece {
        let skip = match (self.at_line_start, input) {
            (_, []) => return Piece::NeedMore,
            (true, [b'.'] | [b'.', b'\r']) => return Piece::NeedMore,
            (true, [b'.', b'\r', b'\n', ..]) => return Piece::End { skip: 3, fault: self.fault },
            // RFC 5321 4.5.2: the dot that the sender put there.
            (true, [b'.', ..]) => 1,
            _ => 0,
        };
        let rest = input.get(skip..).unwrap_or_default();
        let keep = self.content(rest);
        if skip + keep == 0 {
            return Piece::NeedMore;
        }
        Piece::Content { skip, keep }
    }

    /// How much of `rest` is content up to the next line that begins with a dot; notes faults on the way.
    fn content(&mut self, rest: &[u8]) -> usize {
        // A CR at the end is judged together with what follows it.
        let judged = if rest.last() == Some(&b'\r') { rest.len() - 1 } else { rest.len() };
        let mut ends = 0;
        let mut stop = None;
        for at in memchr_iter(b'\n', rest) {
            if at == 0 || rest.get(at - 1) != Some(&b'\r') {
                self.fault = self.fault.or(Some(BadData::BareLf));
                continue;
            }
            ends += 1;
            if rest.get(at + 1) == Some(&b'.') {
                stop = Some(at + 1);
                break;
            }
        }
        let keep = stop.unwrap_or(judged);
        let kept = rest.get(..keep).unwrap_or_default();
        if memchr_iter(b'\r', kept).count() != ends {
            self.fault = self.fault.or(Some(BadData::BareCr));
        }
        self.at_line_start = if kept.is_empty() { self.at_line_start } else { kept.ends_with(b"\r\n") };
        keep
    }
}

/// Sends a message with DATA: stuffs dots, and ends it.
#[derive(Debug)]
pub struct Stuffer {
    at_line_start: bool,
    after_cr: bool,
}

impl Default for Stuffer {
    fn default() -> Self {
        Self { at_line_start: true, after_cr: false }
    }
}

impl Stuffer {
    /// For one message.
    pub fn new() -> Self {
        Self::default()
    }

    /// Appends `content`, of which more may follow. It must have CRLF line ends only.
    pub fn push(&mut self, content: &[u8], out: &mut BytesMut) {
        let mut rest = content;
        while let Some(first) = rest.first() {
            if self.at_line_start && *first == b'.' {
                out.put_u8(b'.');
            }
            let end = memchr(b'\n', rest).map_or(rest.len(), |at| at + 1);
            let (line, after) = rest.split_at(end);
            let ended = line.ends_with(b"\r\n") || self.after_cr && line == b"\n";
            self.after_cr = line.ends_with(b"\r");
            self.at_line_start = ended;
            out.extend_from_slice(line);
            rest = after;
        }
    }

    /// Ends the message, and its last line where that is open.
    pub fn finish(self, out: &mut BytesMut) {
        out.extend_from_slice(if self.at_line_start { b".\r\n" } else { b"\r\n.\r\n" });
    }
}

/// Counts the octets of one BDAT chunk and looks for the faults of a message sent in chunks.
#[derive(Debug)]
pub struct Chunk {
    left: u64,
}

impl Chunk {
    /// A chunk of this many octets.
    pub const fn new(size: u64) -> Self {
        Self { left: size }
    }

    /// How much of `available` octets belongs to the chunk; counts them as taken.
    pub fn take(&mut self, available: usize) -> usize {
        let taken = usize::try_from(self.left).map_or(available, |left| left.min(available));
        self.left -= taken as u64;
        taken
    }

    /// Octets that are still to come.
    pub const fn left(&self) -> u64 {
        self.left
    }
}

/// Looks for bare CR and LF in a message that comes in chunks, which has no other encoding.
#[derive(Debug, Default)]
pub struct LineCheck {
    after_cr: bool,
    fault: Option<BadData>,
}

impl LineCheck {
    /// Looks at the next octets of the message.
    pub fn push(&mut self, content: &[u8]) {
        let Some(last) = content.last() else { return };
        let mut ends = 0;
        for at in memchr_iter(b'\n', content) {
            let paired = if at == 0 { self.after_cr } else { content.get(at - 1) == Some(&b'\r') };
            match paired {
                true => ends += 1,
                false => self.fault = self.fault.or(Some(BadData::BareLf)),
            }
        }
        // Each CR has its LF: those of this piece, and the one that was open; the last may be open now.
        let crs = memchr_iter(b'\r', content).count() + usize::from(self.after_cr);
        self.after_cr = *last == b'\r';
        if crs - usize::from(self.after_cr) != ends {
            self.fault = self.fault.or(Some(BadData::BareCr));
        }
    }

    /// The first fault of the message, now that it has ended.
    pub fn finish(self) -> Option<BadData> {
        self.fault.or(self.after_cr.then_some(BadData::BareCr))
    }
}

#[cfg(test)]
mod tests;
