//! The letters and words by which operators name what an account or a domain is.

use std::fmt;

/// The state of an account, by its letter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Status {
    /// `A`: all services.
    Active,
    /// `M`: the mailbox is frozen; mail waits, logins are told to come back.
    Maintenance,
    /// `S`: no logins, mail is taken.
    Suspended,
    /// `L`: no logins, mail is refused.
    Locked,
    /// `D`: as if it did not exist.
    Deleted,
    /// `P`: lives in another mail system, at its host: mail is relayed there, logins are not served here.
    Proxied,
}

impl Status {
    /// All of them: letter, word, value.
    pub const ALL: [(char, &'static str, Self); 6] = [
        ('A', "active", Self::Active),
        ('M', "maintenance", Self::Maintenance),
        ('S', "suspended", Self::Suspended),
        ('L', "locked", Self::Locked),
        ('D', "deleted", Self::Deleted),
        ('P', "proxied", Self::Proxied),
    ];

    /// By its letter or its word, in any case.
    pub fn parse(text: &str) -> Option<Self> {
        let fits = |letter: char, word: &str| {
            text.eq_ignore_ascii_case(word) || text.eq_ignore_ascii_case(letter.encode_utf8(&mut [0; 4]))
        };
        Self::ALL.iter().find(|(letter, word, _)| fits(*letter, word)).map(|&(_, _, s)| s)
    }

    /// Its letter.
    pub fn letter(self) -> char {
        Self::ALL.iter().find(|(_, _, s)| *s == self).map_or('A', |&(l, _, _)| l)
    }
}

impl fmt::Display for Status {
    /// The letter.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.letter())
    }
}

/// What this site does for a domain, by its word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DomainKind {
    /// `local`: its addresses are all here.
    Local,
    /// `nonauth`: addresses that are not here are relayed to the target, or by MX.
    NonAuthoritative,
    /// `relay`: all its mail is relayed to the target, or by MX.
    Relay,
    /// `rewrite`: another name of the target domain.
    Rewrite,
}

impl DomainKind {
    /// All of them with their words.
    pub const ALL: [(&'static str, Self); 4] = [
        ("local", Self::Local),
        ("nonauth", Self::NonAuthoritative),
        ("relay", Self::Relay),
        ("rewrite", Self::Rewrite),
    ];

    /// By its word, in any case.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.iter().find(|(w, _)| w.eq_ignore_ascii_case(word)).map(|&(_, k)| k)
    }

    /// Its word.
    pub fn word(self) -> &'static str {
        Self::ALL.iter().find(|(_, k)| *k == self).map_or("", |&(w, _)| w)
    }
}

impl fmt::Display for DomainKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_and_words_in_any_case() {
        for (letter, word, status) in Status::ALL {
            assert_eq!(Status::parse(&letter.to_lowercase().to_string()), Some(status));
            assert_eq!(Status::parse(&word.to_uppercase()), Some(status));
            assert_eq!(status.to_string(), letter.to_string());
        }
        assert_eq!((Status::parse(""), Status::parse("AA"), DomainKind::parse("x")), (None, None, None));
        for (word, kind) in DomainKind::ALL {
            assert_eq!(DomainKind::parse(&kind.to_string()), Some(kind), "{word}");
        }
    }
}
