//! The attributes of classes of service: name, rule, type, default, limits. What follows from a value is decided by
//! the server that reads it; which value holds for an account, by `directory::classes`.

use std::fmt;

/// Which value of an attribute holds for an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Rule {
    /// The account's value, else the class's, else the default.
    Account,
    /// The class's value, else the default; an account has none of its own.
    Class,
    /// The lower of the account's and the class's.
    Lower,
    /// The higher of the account's and the class's.
    Higher,
}

/// What values of an attribute look like.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Type {
    /// One line of text.
    Text,
    /// A whole number from 0 up.
    Number,
    /// `yes` or `no`.
    YesNo,
}

/// Longest value of an attribute in bytes.
pub const MAX_VALUE: usize = 4096;
/// Longest name of a class or an attribute in bytes.
pub const MAX_NAME: usize = 64;

impl Rule {
    const LETTERS: [(char, Self); 4] =
        [('A', Self::Account), ('C', Self::Class), ('L', Self::Lower), ('H', Self::Higher)];

    /// By its letter: `A` account, `C` class, `L` lower, `H` higher; either case.
    pub fn parse(letter: &str) -> Option<Self> {
        let mut chars = letter.chars();
        let (letter, None) = (chars.next()?.to_ascii_uppercase(), chars.next()) else { return None };
        Self::LETTERS.iter().find(|(l, _)| *l == letter).map(|&(_, r)| r)
    }

    /// Its letter.
    pub fn letter(self) -> char {
        Self::LETTERS.iter().find(|(_, r)| *r == self).map_or('A', |&(l, _)| l)
    }
}

impl Type {
    const LETTERS: [(char, Self); 3] = [('S', Self::Text), ('I', Self::Number), ('B', Self::YesNo)];

    /// By its letter: `S` string, `I` integer, `B` boolean; either case.
    pub fn parse(letter: &str) -> Option<Self> {
        let mut chars = letter.chars();
        let (letter, None) = (chars.next()?.to_ascii_uppercase(), chars.next()) else { return None };
        Self::LETTERS.iter().find(|(l, _)| *l == letter).map(|&(_, t)| t)
    }

    /// Its letter.
    pub fn letter(self) -> char {
        Self::LETTERS.iter().find(|(_, t)| *t == self).map_or('S', |&(l, _)| l)
    }
}

/// What values a built-in attribute takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Values {
    /// One of these words, in any case.
    Words(&'static [&'static str]),
    /// A number from 0 to this.
    UpTo(u64),
}

/// An attribute that the servers themselves read.
#[derive(Debug)]
pub struct Attribute {
    /// Its name, found without regard to case.
    pub name: &'static str,
    /// The heading under which it is displayed.
    pub group: &'static str,
    /// Which value holds.
    pub rule: Rule,
    /// What values look like.
    pub kind: Type,
    /// Which of them are taken.
    pub values: Values,
    /// What holds where neither account nor class has a value.
    pub default: &'static str,
    /// One or two sentences for the manual.
    pub doc: &'static str,
}

/// The values of access attributes.
const ACCESS: Values = Values::Words(&["none", "trusted", "all"]);
/// The values of switches.
const YES_NO: Values = Values::Words(&["yes", "no"]);

const fn access(name: &'static str, doc: &'static str) -> Attribute {
    Attribute {
        name,
        group: "access",
        rule: Rule::Account,
        kind: Type::Text,
        values: ACCESS,
        default: "all",
        doc,
    }
}

/// POP3 without TLS.
pub const POP_ACCESS: &Attribute = &access(
    "pref_popaccess",
    "POP3 without TLS: nobody, only through an address of trustedInterfaces, or from everywhere.",
);
/// POP3 over TLS.
pub const POP_SSL_ACCESS: &Attribute = &access("pref_popsslaccess", "POP3 over TLS, likewise.");
/// IMAP without TLS.
pub const IMAP_ACCESS: &Attribute = &access("pref_imapaccess", "IMAP without TLS, likewise.");
/// IMAP over TLS.
pub const IMAP_SSL_ACCESS: &Attribute = &access("pref_imapsslaccess", "IMAP over TLS, likewise.");
/// Sending mail with a login.
pub const SMTP_ACCESS: &Attribute =
    &access("pref_smtpaccess", "SMTP AUTH: sending mail after a login, likewise.");
/// Web applications.
pub const WEB_ACCESS: &Attribute = &access("pref_webaccess", "Web applications, likewise.");
/// Whether mail goes into the mailbox, besides forwards.
pub const LOCAL_DELIVERY: &Attribute = &Attribute {
    name: "pref_localdelivery",
    group: "delivery",
    rule: Rule::Account,
    kind: Type::YesNo,
    values: YES_NO,
    default: "yes",
    doc: "Whether mail goes into the mailbox as well when the account forwards it. Without forwards it always does.",
};
/// Whether the account may forward.
pub const FORWARDING: &Attribute = &Attribute {
    name: "perm_forward",
    group: "delivery",
    rule: Rule::Account,
    kind: Type::YesNo,
    values: YES_NO,
    default: "yes",
    doc: "Whether forwards of the account are followed. With no, its mail goes into the mailbox.",
};
/// Largest message that the account may send.
pub const MAX_MESSAGE: &Attribute = &Attribute {
    name: "maxMessageBytes",
    group: "limits",
    rule: Rule::Account,
    kind: Type::Number,
    values: Values::UpTo(1 << 40),
    default: "0",
    doc: "Largest message that the account may send, in bytes; 0: the limit of the server.",
};
/// Byte quota.
pub const QUOTA_BYTES: &Attribute = &Attribute {
    name: "totalBytes",
    group: "quota",
    rule: Rule::Account,
    kind: Type::Number,
    values: Values::UpTo(1 << 50),
    default: "0",
    doc: "Bytes that the mailbox may hold; 0: no limit.",
};
/// Message quota.
pub const QUOTA_MESSAGES: &Attribute = &Attribute {
    name: "totalMsgQuota",
    group: "quota",
    rule: Rule::Account,
    kind: Type::Number,
    values: Values::UpTo(1 << 32),
    default: "0",
    doc: "Messages that the mailbox may hold; 0: no limit.",
};
/// Warning level.
pub const QUOTA_THRESHOLD: &Attribute = &Attribute {
    name: "quotaThreshold",
    group: "quota",
    rule: Rule::Account,
    kind: Type::Number,
    values: Values::UpTo(100),
    default: "90",
    doc: "Percentage of a quota at which its owner is warned; 0: never.",
};
/// What happens with mail for a full mailbox.
pub const OVER_QUOTA: &Attribute = &Attribute {
    name: "quota_action",
    group: "quota",
    rule: Rule::Account,
    kind: Type::Text,
    values: Values::Words(&["bounce", "defer"]),
    default: "bounce",
    doc: "What a sender hears when the mailbox is full: a final refusal (552) or to try later (452).",
};

/// All built-in attributes, in the order in which they are displayed.
pub const ATTRIBUTES: &[&Attribute] = &[
    POP_ACCESS,
    POP_SSL_ACCESS,
    IMAP_ACCESS,
    IMAP_SSL_ACCESS,
    SMTP_ACCESS,
    WEB_ACCESS,
    LOCAL_DELIVERY,
    FORWARDING,
    MAX_MESSAGE,
    QUOTA_BYTES,
    QUOTA_MESSAGES,
    QUOTA_THRESHOLD,
    OVER_QUOTA,
];

/// The built-in attribute of a name, without regard to case.
pub fn find(name: &str) -> Option<&'static Attribute> {
    ATTRIBUTES.iter().copied().find(|a| a.name.eq_ignore_ascii_case(name))
}

impl Values {
    /// Whether the value is taken.
    pub fn allow(self, value: &str) -> bool {
        match self {
            Self::Words(words) => words.iter().any(|w| w.eq_ignore_ascii_case(value)),
            Self::UpTo(max) => value.parse().is_ok_and(|n: u64| n <= max),
        }
    }
}

impl fmt::Display for Values {
    /// As in an error message: `none, trusted or all`, `a number from 0 to 100`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Words([first @ .., last]) => write!(f, "{} or {last}", first.join(", ")),
            Self::Words([]) => Ok(()),
            Self::UpTo(max) => write!(f, "a number from 0 to {max}"),
        }
    }
}

impl Type {
    /// Whether a value is of this type.
    pub fn allows(self, value: &str) -> bool {
        match self {
            Self::Text => value.len() <= MAX_VALUE && !value.chars().any(char::is_control),
            Self::Number => value.parse::<u64>().is_ok(),
            Self::YesNo => YES_NO.allow(value),
        }
    }
}

impl fmt::Display for Type {
    /// As in an error message.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Text => "one line of at most 4096 bytes",
            Self::Number => "a whole number from 0 up",
            Self::YesNo => "yes or no",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn its_23305_every_default_is_a_value_of_its_attribute() {
        for a in ATTRIBUTES {
            assert!(a.values.allow(a.default) && a.kind.allows(a.default), "{}", a.name);
            let of_name = ATTRIBUTES.iter().filter(|o| o.name.eq_ignore_ascii_case(a.name));
            assert_eq!(of_name.count(), 1, "{}", a.name);
            assert_eq!(find(&a.name.to_uppercase()).unwrap().name, a.name);
        }
    }

    #[test]
    fn letters_and_back() {
        for letter in ["A", "c", "L", "h"] {
            assert_eq!(Rule::parse(letter).unwrap().letter().to_string(), letter.to_uppercase());
        }
        for letter in ["S", "i", "B"] {
            assert_eq!(Type::parse(letter).unwrap().letter().to_string(), letter.to_uppercase());
        }
        assert_eq!((Rule::parse("AB"), Type::parse(""), Rule::parse("X")), (None, None, None));
    }

    #[test]
    fn its_13201_values_outside_their_limits_are_refused() {
        assert!(QUOTA_THRESHOLD.values.allow("100"));
        for bad in ["101", "-1", "9x", ""] {
            assert!(!QUOTA_THRESHOLD.values.allow(bad), "{bad}");
        }
        assert_eq!(QUOTA_THRESHOLD.values.to_string(), "a number from 0 to 100");
        assert_eq!(POP_ACCESS.values.to_string(), "none, trusted or all");
    }
}
