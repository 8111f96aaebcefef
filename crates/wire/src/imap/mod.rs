//! IMAP4rev1 (RFC 3501) and IMAP4rev2 (RFC 9051): bytes to commands, answers to bytes, which command is legal.
//!
//! ```text
//! bytes -> decoder (where does a command end, may this literal come) -> parse -> command
//!                                                      state (is it legal now)
//! answer -> response (writers into a buffer) -> bytes
//! ```
//! It promises that no input makes it panic, recurse without end or hold more than [`Limits`] allow, that a
//! literal is judged *before* the client is told to send it, and that the way the bytes are cut into pieces
//! changes nothing. The message of an APPEND is never collected here: the session takes it piece by piece.
//! It does not know accounts, folders or messages: the `imap` server does, and continues from here.

pub mod command;
pub mod decoder;
pub mod name;
pub mod parse;
pub mod response;
pub mod state;

#[cfg(test)]
mod tests;

/// What a client may make us hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Longest command without its literals, in octets, line end included. RFC 7162 4 asks for 8192 at least.
    pub line: usize,
    /// Largest literal that is collected, in octets (all but the message of an APPEND).
    pub literal: usize,
    /// Longest command with all its literals, in octets.
    pub command: usize,
    /// Largest message of an APPEND, in octets.
    pub message: u64,
    /// Most octets that are read and thrown away to get past something refused; beyond, the connection ends.
    pub skip: u64,
    /// Whether a client may send any literal without waiting (RFC 7888).
    pub unwaited: Unwaited,
}

/// Which literals may come without a continuation. RFC 7888.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unwaited {
    /// `LITERAL+`: all.
    All,
    /// `LITERAL-`: those of at most 4096 octets.
    Small,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            line: 64 << 10,
            literal: 64 << 10,
            command: 256 << 10,
            message: 50 << 20,
            skip: 64 << 20,
            unwaited: Unwaited::All,
        }
    }
}

/// Largest literal of `LITERAL-`. RFC 7888 5.
pub const SMALL_LITERAL: u64 = 4096;
/// Longest tag, in octets.
pub const MAX_TAG_LEN: usize = 128;
/// Most ranges in one sequence set.
pub const MAX_SET_RANGES: usize = 20_000;
/// Most items in one FETCH.
pub const MAX_FETCH_ITEMS: usize = 100;
/// Most header field names in one section.
pub const MAX_FIELD_NAMES: usize = 200;
/// Most part numbers in one section.
pub const MAX_PART_DEPTH: usize = 100;
/// Most patterns in one LIST.
pub const MAX_PATTERNS: usize = 100;
/// Most field and value pairs of an ID. RFC 2971 3.3.
pub const MAX_ID_FIELDS: usize = 30;
/// Longest mailbox name or pattern, in octets of UTF-8.
pub const MAX_NAME_LEN: usize = 1000;
