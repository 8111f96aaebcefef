//! Message flags: the five system flags as bits, keywords by name.

use std::collections::BTreeSet;
use std::fmt;

/// System flags of RFC 9051 2.3.2, as a set. `\Recent` is gone with IMAP4rev2 and is not stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Hash)]
pub struct SystemFlags(u8);

impl SystemFlags {
    /// No flag.
    pub const NONE: Self = Self(0);
    /// The message has been read.
    pub const SEEN: Self = Self(1);
    /// The message has been answered.
    pub const ANSWERED: Self = Self(2);
    /// Wants attention.
    pub const FLAGGED: Self = Self(4);
    /// Goes at the next expunge.
    pub const DELETED: Self = Self(8);
    /// Not finished.
    pub const DRAFT: Self = Self(16);

    const NAMED: [(Self, &'static str); 5] = [
        (Self::ANSWERED, "\\Answered"),
        (Self::FLAGGED, "\\Flagged"),
        (Self::DELETED, "\\Deleted"),
        (Self::SEEN, "\\Seen"),
        (Self::DRAFT, "\\Draft"),
    ];

    /// From stored bits; unknown bits are dropped.
    pub fn from_bits(bits: u8) -> Self {
        Self(bits & 31)
    }

    /// The bits to store.
    pub fn bits(self) -> u8 {
        self.0
    }

    /// The flag of this name (with its backslash), in any case.
    pub fn named(name: &str) -> Option<Self> {
        Self::NAMED.iter().find(|(_, n)| n.eq_ignore_ascii_case(name)).map(|(f, _)| *f)
    }

    /// Whether all of `other` is in here.
    pub fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// Both together.
    #[must_use]
    pub fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Without those of `other`.
    #[must_use]
    pub fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// The names, in the usual order.
    pub fn names(self) -> impl Iterator<Item = &'static str> {
        Self::NAMED.into_iter().filter(move |(f, _)| self.contains(*f)).map(|(_, n)| n)
    }
}

/// Longest keyword in bytes.
pub const MAX_KEYWORD_LEN: usize = 64;
/// Most keywords on one message.
pub const MAX_KEYWORDS: usize = 64;

/// A keyword: an IMAP atom of at most [`MAX_KEYWORD_LEN`] bytes. Compares without case, keeps its case.
#[derive(Debug, Clone)]
pub struct Keyword(Box<str>);

impl Keyword {
    /// The keyword, if it is an atom of allowed length that does not begin with a backslash.
    pub fn new(text: &str) -> Option<Self> {
        let atom = |b: u8| b.is_ascii_graphic() && !b"(){%*\"\\]".contains(&b);
        let ok = !text.is_empty() && text.len() <= MAX_KEYWORD_LEN && text.bytes().all(atom);
        ok.then(|| Self(text.into()))
    }

    /// As it was given.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl PartialEq for Keyword {
    fn eq(&self, other: &Self) -> bool {
        self.0.eq_ignore_ascii_case(&other.0)
    }
}

impl Eq for Keyword {}

impl Ord for Keyword {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        let lower = |b: u8| b.to_ascii_lowercase();
        self.0.bytes().map(lower).cmp(other.0.bytes().map(lower))
    }
}

impl PartialOrd for Keyword {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

/// All flags of one message.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Flags {
    /// The system flags.
    pub system: SystemFlags,
    /// The keywords, at most [`MAX_KEYWORDS`].
    pub keywords: BTreeSet<Keyword>,
}

impl Flags {
    /// System flags only.
    pub fn system(system: SystemFlags) -> Self {
        Self { system, keywords: BTreeSet::new() }
    }

    /// Whether no flag is set.
    pub fn is_empty(&self) -> bool {
        self.system == SystemFlags::NONE && self.keywords.is_empty()
    }

    /// Adds the flag of this name: a system flag with backslash, else a keyword.
    /// `false` where the name is neither, or one keyword too many; `\Recent` is ignored (`true`).
    pub fn add_named(&mut self, name: &str) -> bool {
        if let Some(flag) = SystemFlags::named(name) {
            self.system = self.system.union(flag);
            return true;
        }
        if name.eq_ignore_ascii_case("\\Recent") {
            return true;
        }
        match Keyword::new(name) {
            Some(k) if self.keywords.contains(&k) => true,
            Some(k) if self.keywords.len() < MAX_KEYWORDS => self.keywords.insert(k),
            _ => false,
        }
    }
}

impl fmt::Display for Flags {
    /// As in a FETCH response, without the parentheses.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut gap = "";
        let mut write = |name: &str| {
            write!(f, "{gap}{name}")?;
            gap = " ";
            Ok(())
        };
        self.system.names().try_for_each(&mut write)?;
        self.keywords.iter().map(Keyword::as_str).try_for_each(write)
    }
}

/// What STORE asks for. RFC 9051 6.4.6.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FlagAction {
    /// `+FLAGS`
    Add,
    /// `-FLAGS`
    Remove,
    /// `FLAGS`
    Replace,
}

impl FlagAction {
    /// The flags after the action on `before`.
    pub fn apply(self, before: &Flags, with: &Flags) -> Flags {
        let mut after = before.clone();
        match self {
            Self::Add => {
                after.system = after.system.union(with.system);
                let room = MAX_KEYWORDS.saturating_sub(after.keywords.len());
                let new: Vec<_> = with.keywords.difference(&before.keywords).take(room).cloned().collect();
                after.keywords.extend(new);
            }
            Self::Remove => {
                after.system = after.system.without(with.system);
                after.keywords.retain(|k| !with.keywords.contains(k));
            }
            Self::Replace => after = with.clone(),
        }
        after
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flags(names: &[&str]) -> Flags {
        let mut f = Flags::default();
        for n in names {
            assert!(f.add_named(n), "{n}");
        }
        f
    }

    #[test]
    fn names_are_found_in_any_case_and_print_in_order() {
        assert_eq!(flags(&["\\seen", "$Label1", "\\ANSWERED"]).to_string(), "\\Answered \\Seen $Label1");
    }

    #[test]
    fn keywords_compare_without_case() {
        assert_eq!(flags(&["Work", "WORK"]).keywords.len(), 1);
    }

    #[test]
    fn bad_keywords_are_refused() {
        for bad in ["", "a b", "\\Unknown", "a(b", &"x".repeat(65)] {
            assert!(!Flags::default().add_named(bad), "{bad}");
        }
    }

    #[test]
    fn actions() {
        let before = flags(&["\\Seen", "a"]);
        let with = flags(&["\\Flagged", "a", "b"]);
        assert_eq!(FlagAction::Add.apply(&before, &with), flags(&["\\Seen", "\\Flagged", "a", "b"]));
        assert_eq!(FlagAction::Remove.apply(&before, &with), flags(&["\\Seen"]));
        assert_eq!(FlagAction::Replace.apply(&before, &with), with);
    }
}
