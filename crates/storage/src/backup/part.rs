//! What one server has put into a generation: its part, as a text with a sum.
//!
//! ```text
//! shard <name> <salt> <history> <rows> <bytes of rows> <sum of rows>
//! segment <number> <bytes> <sum> <begun>             of the shard above
//! file <mode> <bytes> <sum> <name>
//! sum <sum of all before>
//! ```
//! Numbers are decimal; salt, history and sums hexadecimal, modes octal. Names are paths below the site and below the
//! generation, without anything that leads out of them.

use crate::shard::{SegmentCopy, ShardCopy};
use std::fmt::Write as _;
use std::path::{Component, Path};

/// Longest text that is read.
pub(super) const MAX_TEXT: u64 = 64 << 20;

/// What one server has put into a generation.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Part {
    /// Its shards, by name.
    pub shards: Vec<(Name, ShardCopy)>,
    /// Its files.
    pub files: Vec<FileCopy>,
}

/// A file as it was copied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileCopy {
    /// Its name.
    pub name: Name,
    /// Its permissions.
    pub mode: u32,
    /// Its length in bytes.
    pub bytes: u64,
    /// Its sum.
    pub sum: u32,
}

/// A relative path that leads nowhere else: plain names, parted by `/`, without blanks at the ends or control characters.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name(String);

impl Name {
    /// Longest name in bytes.
    const MAX: usize = 512;

    /// The name, where it is one.
    pub fn parse(text: &str) -> Option<Self> {
        let plain = Path::new(text).components().all(|c| matches!(c, Component::Normal(_)));
        let clean = text == text.trim() && !text.contains(char::is_control) && !text.ends_with('/');
        (plain && clean && !text.is_empty() && text.len() <= Self::MAX).then(|| Self(text.to_owned()))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Part {
    /// The copy of the shard of this name.
    pub fn shard(&self, name: &Name) -> Option<&ShardCopy> {
        self.shards.iter().find(|(n, _)| n == name).map(|(_, copy)| copy)
    }

    pub(super) fn encode(&self) -> String {
        let mut text = String::new();
        for (name, copy) in &self.shards {
            let ShardCopy { salt, history, rows, rows_bytes, rows_sum, segments } = copy;
            let name = name.as_str();
            let _ =
                writeln!(text, "shard {name} {salt:016x} {history:016x} {rows} {rows_bytes} {rows_sum:08x}");
            for SegmentCopy { number, len, sum, begun } in segments {
                let _ = writeln!(text, "segment {number} {len} {sum:08x} {begun}");
            }
        }
        for FileCopy { name, mode, bytes, sum } in &self.files {
            let _ = writeln!(text, "file {mode:o} {bytes} {sum:08x} {}", name.as_str());
        }
        with_sum(text)
    }

    pub(super) fn decode(text: &str) -> Option<Self> {
        let mut part = Self::default();
        for line in without_sum(text)?.lines() {
            let (word, rest) = line.split_once(' ')?;
            match word {
                "shard" => part.shards.push(shard(rest)?),
                "segment" => part.shards.last_mut()?.1.segments.push(segment(rest)?),
                "file" => part.files.push(file(rest)?),
                _ => return None,
            }
        }
        Some(part)
    }
}

fn shard(line: &str) -> Option<(Name, ShardCopy)> {
    let mut words = line.split(' ');
    let name = Name::parse(words.next()?)?;
    let copy = ShardCopy {
        salt: u64::from_str_radix(words.next()?, 16).ok()?,
        history: u64::from_str_radix(words.next()?, 16).ok()?,
        rows: words.next()?.parse().ok()?,
        rows_bytes: words.next()?.parse().ok()?,
        rows_sum: u32::from_str_radix(words.next()?, 16).ok()?,
        segments: Vec::new(),
    };
    words.next().is_none().then_some((name, copy))
}

fn segment(line: &str) -> Option<SegmentCopy> {
    let mut words = line.split(' ');
    let copy = SegmentCopy {
        number: words.next()?.parse().ok()?,
        len: words.next()?.parse().ok()?,
        sum: u32::from_str_radix(words.next()?, 16).ok()?,
        begun: words.next()?.parse().ok()?,
    };
    words.next().is_none().then_some(copy)
}

fn file(line: &str) -> Option<FileCopy> {
    let mut words = line.splitn(4, ' ');
    Some(FileCopy {
        mode: u32::from_str_radix(words.next()?, 8).ok().filter(|mode| *mode <= 0o777)?,
        bytes: words.next()?.parse().ok()?,
        sum: u32::from_str_radix(words.next()?, 16).ok()?,
        name: Name::parse(words.next()?)?,
    })
}

/// The text with its sum as the last line.
pub(super) fn with_sum(mut text: String) -> String {
    let sum = crc32c::crc32c(text.as_bytes());
    let _ = writeln!(text, "sum {sum:08x}");
    text
}

/// The text before a sum that is right.
pub(super) fn without_sum(text: &str) -> Option<&str> {
    let at = text.strip_suffix('\n')?.rfind('\n').map_or(0, |at| at + 1);
    let (front, last) = text.split_at_checked(at)?;
    let sum = u32::from_str_radix(last.strip_prefix("sum ")?.strip_suffix('\n')?, 16).ok()?;
    (sum == crc32c::crc32c(front.as_bytes())).then_some(front)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn part() -> Part {
        let segment = |number| SegmentCopy { number, len: 64 << 20, sum: 0xdead, begun: 3 };
        let copy = ShardCopy {
            salt: 7,
            history: u64::MAX,
            rows: 5,
            rows_bytes: 99,
            rows_sum: 1,
            segments: vec![segment(1), segment(4_000_000_000)],
        };
        let name = |text: &str| Name::parse(text).unwrap();
        let file = FileCopy { name: name("config/a file.db"), mode: 0o640, bytes: 3, sum: 8 };
        Part {
            shards: vec![(name("mss/shard-000"), copy), (name("mss/shard-001"), ShardCopy::default())],
            files: vec![file],
        }
    }

    #[test]
    fn parts_are_read_back_and_only_whole() {
        let text = part().encode();
        assert_eq!(Part::decode(&text), Some(part()));
        assert_eq!(Part::decode(&Part::default().encode()), Some(Part::default()));
        for at in 0..text.len() {
            let mut bad = text.clone().into_bytes();
            bad[at] ^= 1;
            assert_eq!(String::from_utf8(bad).ok().and_then(|t| Part::decode(&t)), None, "at {at}");
            assert_eq!(Part::decode(&text[..at]), None);
        }
    }

    #[test]
    fn names_lead_nowhere_else() {
        for good in ["a", "mss/shard-000", "config/a b"] {
            assert_eq!(Name::parse(good).unwrap().as_str(), good);
        }
        for bad in ["", "/a", "../a", "a/../b", "a/", " a", "a\nb", "./a"] {
            assert_eq!(Name::parse(bad), None, "{bad:?}");
        }
        assert_eq!(Name::parse(&"a".repeat(600)), None);
    }

    proptest! {
        #[test]
        fn any_text_is_a_part_or_not(text in ".{0,200}") {
            let _ = Part::decode(&with_sum(text.clone()));
            let _ = Part::decode(&text);
        }
    }
}
