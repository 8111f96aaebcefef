//! `config.db` in its own grammar, and how a value is found in it.
//!
//! One entry a line, `/<host>/<server>/<key>: [value]`, several values as `[v1][v2]`, `*` for any host or
//! any server, `#` begins a comment line. `\]` and `\\` inside a value stand for themselves. Resolution takes the
//! nearest of five: host and server, host and `common`, any host and server, any host and `common`, the row's default.
//!
//! `check` judges a whole tree against the rows, `edit` changes one entry of the text and nothing else.

pub mod check;
pub mod edit;

use crate::key::{Key, Row, Value};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// Longest line in bytes.
pub const MAX_LINE: usize = 65_536;
/// Most entries of a tree.
pub const MAX_ENTRIES: usize = 1_000_000;

/// Where an entry stands: host (or `*`), server (or `common`), key.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Path {
    /// Logical host name, or `*`.
    pub host: String,
    /// Server name, or `common`.
    pub server: String,
    /// The key's own name.
    pub key: String,
}

impl Path {
    /// From `/host/server/key`.
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = text.trim().strip_prefix('/')?.split('/');
        let (host, server, key) = (parts.next()?, parts.next()?, parts.next()?);
        let word =
            |w: &str| !w.is_empty() && !w.contains(|c: char| c.is_whitespace() || c.is_control() || c == ':');
        let fine = parts.next().is_none() && [host, server, key].iter().all(|w| word(w));
        fine.then(|| Self { host: host.to_ascii_lowercase(), server: server.to_owned(), key: key.to_owned() })
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "/{}/{}/{}", self.host, self.server, self.key)
    }
}

/// A line that is not in the grammar.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadLine {
    /// Counted from 1.
    pub line: usize,
    /// The path, as far as it could be read.
    pub key: String,
    /// What is wrong.
    pub reason: String,
}

impl fmt::Display for BadLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}: {}", self.line, self.key, self.reason)
    }
}

impl std::error::Error for BadLine {}

/// The entries of one `config.db`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tree {
    entries: BTreeMap<Path, (usize, Vec<String>)>,
    repeated: Vec<(Path, usize)>,
}

impl Tree {
    /// Reads a whole file.
    ///
    /// # Errors
    /// The first line that is not in the grammar, or the entry that is one too many.
    pub fn parse(text: &str) -> Result<Self, BadLine> {
        let mut tree = Self::default();
        for (at, line) in text.lines().enumerate() {
            let bad =
                |key: &str, reason: &str| BadLine { line: at + 1, key: key.into(), reason: reason.into() };
            if line.len() > MAX_LINE || tree.entries.len() >= MAX_ENTRIES {
                return Err(bad("", "the line is too long or the file has too many entries"));
            }
            if line.trim().is_empty() || line.trim_start().starts_with('#') {
                continue;
            }
            let (path, values) =
                line.split_once(':').ok_or_else(|| bad(line.trim(), "no colon after the key"))?;
            let parsed =
                Path::parse(path).ok_or_else(|| bad(path.trim(), "not of the form /host/server/key"))?;
            let values = parse_values(values)
                .ok_or_else(|| bad(path.trim(), "values must stand in brackets: [value]"))?;
            if let Some((earlier, _)) = tree.entries.insert(parsed.clone(), (at + 1, values)) {
                tree.repeated.push((parsed, earlier));
            }
        }
        Ok(tree)
    }

    /// Sets an entry.
    pub fn set(&mut self, path: Path, values: Vec<String>) {
        self.entries.insert(path, (0, values));
    }

    /// The entries in order of their paths, with the line each came from (0: none).
    pub fn entries(&self) -> impl Iterator<Item = (&Path, usize, &[String])> {
        self.entries.iter().map(|(p, (line, v))| (p, *line, v.as_slice()))
    }

    /// Entries that a later line of the same path has replaced, with the line of the one that lost.
    pub fn repeated(&self) -> &[(Path, usize)] {
        &self.repeated
    }

    /// The values of one entry, as they stand.
    pub fn get(&self, path: &Path) -> Option<&[String]> {
        self.entries.get(path).map(|(_, v)| v.as_slice())
    }

    /// The hosts of the site by name: those of which it is said which servers they run.
    pub fn hosts(&self) -> BTreeSet<&str> {
        let says_what_runs = |path: &&Path| path.server == "sysadmin" && path.key.ends_with("_run");
        let named = self.entries.keys().filter(says_what_runs).map(|path| path.host.as_str());
        named.filter(|host| *host != "*").collect()
    }

    /// The values that hold for `server` on `host`, by the first four of the five steps.
    pub fn resolve(&self, host: &str, server: &str, key: &str) -> Option<&[String]> {
        let steps = [(host, server), (host, "common"), ("*", server), ("*", "common")];
        steps.into_iter().find_map(|(h, s)| {
            self.get(&Path { host: h.to_ascii_lowercase(), server: s.to_owned(), key: key.to_owned() })
        })
    }

    /// The typed value that holds, with the default as the fifth step. A value that does not fit counts as none.
    pub fn value<T: Value>(&self, host: &str, server: &str, key: Key<T>) -> T {
        let found = self.resolve(host, server, key.row.name).filter(|v| key.row.kind.check(v).is_ok());
        found.and_then(T::read).unwrap_or_else(|| default_of(key))
    }
}

/// The default of a key. That it is in its own range is checked by a test over all rows.
fn default_of<T: Value>(key: Key<T>) -> T {
    T::read(&default_values(key.row))
        .unwrap_or_else(|| unreachable!("the default of {} does not read", key.row.name))
}

/// The default of a row, as values of a tree.
pub fn default_values(row: &Row) -> Vec<String> {
    row.default.iter().map(ToString::to_string).collect()
}

/// `[a][b]` as two values; `None` where it is anything else.
pub fn parse_values(text: &str) -> Option<Vec<String>> {
    let mut values = Vec::new();
    let mut rest = text.trim();
    while let Some(inner) = rest.strip_prefix('[') {
        let mut value = String::new();
        let mut chars = inner.char_indices();
        let end = loop {
            match chars.next()? {
                (at, ']') => break at,
                (_, '\\') => value.push(chars.next()?.1),
                (_, c) => value.push(c),
            }
        };
        values.push(value);
        rest = inner[end + 1..].trim_start();
    }
    rest.is_empty().then_some(values)
}

/// The values as they stand in a file.
pub fn write_values(values: &[String]) -> String {
    values.iter().map(|v| format!("[{}]", v.replace('\\', "\\\\").replace(']', "\\]"))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys;

    #[test]
    fn the_nearest_of_five_wins() {
        let steps = [
            ("", 51_200),
            ("/*/common/maxMessageSize: [1]", 1),
            ("/*/mta/maxMessageSize: [2]", 2),
            ("/venus/common/maxMessageSize: [3]", 3),
            ("/venus/mta/maxMessageSize: [4]", 4),
        ];
        let mut text = String::new();
        for (line, expected) in steps {
            text = format!("{line}\n{text}");
            let tree = Tree::parse(&text).unwrap();
            assert_eq!(tree.value("Venus", "mta", keys::mta::MAX_MESSAGE_SIZE), expected);
        }
    }

    #[test]
    fn a_bad_line_is_named() {
        let bad = Tree::parse("# fine\n/*/mta/maxMessageSize [2]\n").unwrap_err();
        assert_eq!((bad.line, bad.reason.as_str()), (2, "no colon after the key"));
        let bad = Tree::parse("/*/mta/maxMessageSize: 2\n").unwrap_err();
        assert_eq!(bad.to_string(), "line 1: /*/mta/maxMessageSize: values must stand in brackets: [value]");
        assert!(Tree::parse("/*/a: [x]").is_err());
    }

    #[test]
    fn values_with_brackets_come_back() {
        let values = vec!["a]b\\c".to_owned(), String::new()];
        assert_eq!(parse_values(&write_values(&values)), Some(values));
    }

    #[test]
    fn every_default_is_in_its_own_range() {
        for row in keys::rows() {
            assert_eq!(row.kind.check(&default_values(row)), Ok(()), "{}", row.name);
        }
    }
}
