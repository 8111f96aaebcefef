//! Names of folders: parsed once, in one form from then on.

use std::fmt;

/// Longest name in bytes.
pub const MAX_NAME: usize = 512;
/// Most levels of a name.
pub const MAX_LEVELS: usize = 32;

/// Why a text is no folder name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadName {
    /// Empty, or a level of it is.
    #[error("a level of the folder name is empty")]
    Empty,
    /// Beyond [`MAX_NAME`].
    #[error("the folder name is too long")]
    TooLong,
    /// Beyond [`MAX_LEVELS`].
    #[error("the folder name has too many levels")]
    TooDeep,
    /// Control characters cannot be shown, and wildcards cannot be listed.
    #[error("the folder name has a character that cannot stand in one")]
    BadCharacter,
}

/// A valid name: UTF-8, `/` between levels, no level empty, no control characters or wildcards, its first level
/// `INBOX` in capitals if it is that in any case (RFC 9051 5.1).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FolderName(String);

impl FolderName {
    /// The Inbox.
    pub fn inbox() -> Self {
        Self("INBOX".into())
    }

    /// Parses a name. One `/` at the end is dropped: clients send it for a folder that will have folders below it
    /// (RFC 9051 6.3.4).
    ///
    /// # Errors
    /// [`BadName`].
    pub fn parse(text: &str) -> Result<Self, BadName> {
        let text = text.strip_suffix('/').unwrap_or(text);
        if text.len() > MAX_NAME {
            return Err(BadName::TooLong);
        }
        if text.split('/').any(str::is_empty) {
            return Err(BadName::Empty);
        }
        if text.split('/').count() > MAX_LEVELS {
            return Err(BadName::TooDeep);
        }
        if text.chars().any(|c| c.is_control() || matches!(c, '%' | '*')) {
            return Err(BadName::BadCharacter);
        }
        let (first, rest) = text.split_once('/').map_or((text, None), |(a, b)| (a, Some(b)));
        if !first.eq_ignore_ascii_case("INBOX") {
            return Ok(Self(text.into()));
        }
        Ok(Self(rest.map_or_else(|| "INBOX".into(), |rest| format!("INBOX/{rest}"))))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it is the Inbox itself.
    pub fn is_inbox(&self) -> bool {
        self.0 == "INBOX"
    }

    /// How many levels it has.
    pub fn levels(&self) -> usize {
        self.0.split('/').count()
    }

    /// The folders above it, the highest first.
    pub fn parents(&self) -> impl Iterator<Item = Self> + '_ {
        self.0.match_indices('/').map(|(at, _)| Self(self.0[..at].into()))
    }

    /// Whether it lies below `other`, at any depth.
    pub fn is_below(&self, other: &Self) -> bool {
        self.0.strip_prefix(&other.0).is_some_and(|rest| rest.starts_with('/'))
    }

    /// The same place below `to` as it has below `from`.
    ///
    /// # Errors
    /// Where the new name is too long or too deep.
    pub fn moved(&self, from: &Self, to: &Self) -> Result<Self, BadName> {
        let rest = self.0.strip_prefix(&from.0).unwrap_or_default();
        Self::parse(&format!("{}{rest}", to.0))
    }
}

impl fmt::Display for FolderName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inbox_is_inbox_in_any_case() {
        for (text, name) in [
            ("inbox", "INBOX"),
            ("Inbox/a", "INBOX/a"),
            ("inboxes", "inboxes"),
            ("a/inbox", "a/inbox"),
            ("a/", "a"),
        ] {
            assert_eq!(FolderName::parse(text).unwrap().as_str(), name);
        }
    }

    #[test]
    fn bad_names_are_refused() {
        for (text, why) in [
            ("", BadName::Empty),
            ("/", BadName::Empty),
            ("/a", BadName::Empty),
            ("a//b", BadName::Empty),
            ("a\nb", BadName::BadCharacter),
            ("a*", BadName::BadCharacter),
            ("a%", BadName::BadCharacter),
        ] {
            assert_eq!(FolderName::parse(text), Err(why), "{text:?}");
        }
        assert_eq!(FolderName::parse(&"x".repeat(513)), Err(BadName::TooLong));
        assert_eq!(FolderName::parse(&"x/".repeat(33)), Err(BadName::TooDeep));
    }

    #[test]
    fn families() {
        let name = |t| FolderName::parse(t).unwrap();
        assert_eq!(name("a/b/c").parents().collect::<Vec<_>>(), [name("a"), name("a/b")]);
        assert!(name("a/b").is_below(&name("a")) && !name("ab").is_below(&name("a")));
        assert_eq!(name("a/b/c").moved(&name("a/b"), &name("x")).unwrap(), name("x/c"));
    }
}
