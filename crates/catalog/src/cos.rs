//! Attributes of classes of service that every site has. A site may define more (`CreateCosAttribute`).
//!
//! Rows, and which texts are names and values: how account, class and default combine is `directory`'s business.

use std::fmt;

/// Longest name of a class or an attribute, in bytes.
pub const MAX_NAME: usize = 64;
/// Longest value of an attribute, in bytes.
pub const MAX_VALUE: usize = 4096;

/// How the value of an account and that of its class combine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rule {
    /// The account's own value, else the class's.
    Account,
    /// The class's value only.
    Class,
    /// The smaller of both.
    Least,
    /// The greater of both.
    Greatest,
}

impl Rule {
    /// All of them.
    pub const ALL: &[Self] = &[Self::Account, Self::Class, Self::Least, Self::Greatest];

    /// The letter in `imdbcontrol cca`.
    pub const fn letter(self) -> char {
        match self {
            Self::Account => 'A',
            Self::Class => 'C',
            Self::Least => 'L',
            Self::Greatest => 'G',
        }
    }

    /// By its letter, in either case.
    pub fn parse(letter: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|r| is_letter(letter, r.letter()))
    }
}

fn is_letter(text: &str, letter: char) -> bool {
    text.eq_ignore_ascii_case(letter.encode_utf8(&mut [0; 4]))
}

/// What the values of an attribute are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Type {
    /// A text, compared without regard to case where `values` names the words.
    Text,
    /// A whole number from 0 up.
    Number,
    /// `yes` or `no`.
    Flag,
}

impl Type {
    /// All of them.
    pub const ALL: &[Self] = &[Self::Text, Self::Number, Self::Flag];

    /// The letter in `imdbcontrol cca`.
    pub const fn letter(self) -> char {
        match self {
            Self::Text => 'S',
            Self::Number => 'N',
            Self::Flag => 'B',
        }
    }

    /// By its letter, in either case.
    pub fn parse(letter: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|t| is_letter(letter, t.letter()))
    }

    /// Whether a text is a value of this type.
    pub fn allows(self, value: &str) -> bool {
        match self {
            Self::Text => value.len() <= MAX_VALUE && !value.chars().any(char::is_control),
            Self::Number => value.parse::<u64>().is_ok(),
            Self::Flag => is_word(FLAG, value),
        }
    }
}

impl fmt::Display for Type {
    /// As in an error message: what values are expected.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Text => "one line of at most 4096 bytes",
            Self::Number => "a whole number from 0 up",
            Self::Flag => "yes or no",
        })
    }
}

fn is_word(words: &[&str], value: &str) -> bool {
    words.iter().any(|w| w.eq_ignore_ascii_case(value))
}

/// One attribute.
#[derive(Debug)]
pub struct Attribute {
    /// Its name, compared without regard to case.
    pub name: &'static str,
    /// What its values are.
    pub kind: Type,
    /// How account and class combine.
    pub rule: Rule,
    /// The words allowed; empty: any value of the type.
    pub values: &'static [&'static str],
    /// The greatest number allowed, where it is a number.
    pub most: u64,
    /// What holds where neither account nor class says anything (ITS 13431, 20488).
    pub default: &'static str,
    /// One or two sentences for the manual.
    pub doc: &'static str,
}

impl Attribute {
    /// Whether a text may be its value.
    pub fn allows(&self, value: &str) -> bool {
        let listed = self.values.is_empty() || is_word(self.values, value);
        let small = self.kind != Type::Number || value.parse().is_ok_and(|n: u64| n <= self.most);
        listed && small && self.kind.allows(value)
    }

    /// What values are expected, as in an error message: `none, trusted or all`, `a number from 0 to 100`.
    pub fn expected(&self) -> String {
        match (self.values, self.kind) {
            ([first @ .., last], _) => format!("{} or {last}", first.join(", ")),
            (_, Type::Number) => format!("a number from 0 to {}", self.most),
            (_, kind) => kind.to_string(),
        }
    }
}

/// The attribute of that name, in whatever case.
pub fn find(name: &str) -> Option<&'static Attribute> {
    ATTRIBUTES.iter().find(|a| a.name.eq_ignore_ascii_case(name))
}

/// Access by POP3 without TLS.
pub const POP_ACCESS: &str = "pref_popaccess";
/// Access by POP3 with TLS.
pub const POP_SSL_ACCESS: &str = "pref_popsslaccess";
/// Access by IMAP without TLS.
pub const IMAP_ACCESS: &str = "pref_imapaccess";
/// Access by IMAP with TLS.
pub const IMAP_SSL_ACCESS: &str = "pref_imapsslaccess";
/// Sending without TLS.
pub const SMTP_ACCESS: &str = "pref_smtpaccess";
/// Sending with TLS.
pub const SMTP_SSL_ACCESS: &str = "pref_smtpsslaccess";
/// Access by web applications.
pub const WEB_ACCESS: &str = "pref_webaccess";
/// Keeping mail that is forwarded.
pub const LOCAL_DELIVERY: &str = "pref_localdelivery";
/// Permission to forward.
pub const FORWARDING: &str = "perm_forward";
/// Most forwards.
pub const MAX_FORWARDS: &str = "maxForwards";
/// Most aliases.
pub const MAX_ALIASES: &str = "maxAliases";
/// Byte quota.
pub const QUOTA_BYTES: &str = "totalBytes";
/// Message quota.
pub const QUOTA_MESSAGES: &str = "totalMsgQuota";
/// Largest message, in KB.
pub const MAX_MESSAGE_SIZE: &str = "maxMessageSize";
/// Warning level.
pub const QUOTA_THRESHOLD: &str = "quotaThreshold";
/// What the warning says.
pub const QUOTA_TEXT: &str = "quota_msg";
/// Who warns.
pub const QUOTA_SENDER: &str = "quota_msg_by";
/// Age of mail in the Trash, in days.
pub const EXPIRE_TRASH: &str = "expireTrashDays";
/// Age of mail in the Junk folder, in days.
pub const EXPIRE_JUNK: &str = "expireJunkDays";
/// Age of mail in all other folders, in days.
pub const EXPIRE_MAIL: &str = "expireMailDays";
/// Whether unread mail goes for its age, too.
pub const EXPIRE_UNREAD: &str = "expireUnread";
/// What becomes of mail for a full mailbox.
pub const QUOTA_ACTION: &str = "quotaAction";

/// Where a user may come from.
pub const ACCESS: &[&str] = &["none", "trusted", "all"];
/// What becomes of mail that would exceed a quota.
pub const OVER_QUOTA: &[&str] = &["bounce", "defer"];
const FLAG: &[&str] = &["yes", "no"];
/// A hundred years.
const MAX_DAYS: u64 = 36_500;

const fn text(name: &'static str, doc: &'static str) -> Attribute {
    Attribute { name, kind: Type::Text, rule: Rule::Account, values: &[], most: 0, default: "", doc }
}

const fn access(name: &'static str, doc: &'static str) -> Attribute {
    Attribute { name, kind: Type::Text, rule: Rule::Account, values: ACCESS, most: 0, default: "all", doc }
}

const fn flag(name: &'static str, default: &'static str, doc: &'static str) -> Attribute {
    Attribute { name, kind: Type::Flag, rule: Rule::Account, values: FLAG, most: 0, default, doc }
}

const fn number(name: &'static str, most: u64, default: &'static str, doc: &'static str) -> Attribute {
    Attribute { name, kind: Type::Number, rule: Rule::Account, values: &[], most, default, doc }
}

/// The attributes of every site.
pub const ATTRIBUTES: &[Attribute] = &[
    access(POP_ACCESS, "POP3 without TLS: from nowhere, through trusted interfaces, from everywhere."),
    access(POP_SSL_ACCESS, "POP3 with TLS, likewise."),
    access(IMAP_ACCESS, "IMAP without TLS, likewise."),
    access(IMAP_SSL_ACCESS, "IMAP with TLS, likewise."),
    access(SMTP_ACCESS, "Sending by submission without TLS, likewise."),
    access(SMTP_SSL_ACCESS, "Sending by submission with TLS, likewise."),
    access(WEB_ACCESS, "Web applications, likewise."),
    flag(LOCAL_DELIVERY, "yes", "Whether mail is kept in the mailbox when the account forwards."),
    flag(FORWARDING, "yes", "Whether the account's forwards are followed."),
    number(MAX_FORWARDS, 1_000, "20", "Most forwards of an account."),
    number(MAX_ALIASES, 10_000, "100", "Most addresses of an account besides its first."),
    number(QUOTA_BYTES, 1 << 50, "0", "Most bytes in the mailbox; 0: no limit."),
    number(QUOTA_MESSAGES, 1 << 32, "0", "Most messages in the mailbox; 0: no limit."),
    number(
        MAX_MESSAGE_SIZE,
        1 << 31,
        "0",
        "Largest message for the account, in KB; 0: the MTA's maxMessageSize alone.",
    ),
    number(QUOTA_THRESHOLD, 100, "90", "Percentage of a quota from which on the user is warned; 0: never."),
    text(
        QUOTA_TEXT,
        "What the warning of quotaThreshold says, in one line; empty: the store's own words. The numbers follow in any case.",
    ),
    text(
        QUOTA_SENDER,
        "The address from which the warning of quotaThreshold comes; empty: the postmaster of the account's domain.",
    ),
    number(
        EXPIRE_TRASH,
        MAX_DAYS,
        "0",
        "Days after which mail in the Trash and below it is removed; 0: never.",
    ),
    number(
        EXPIRE_JUNK,
        MAX_DAYS,
        "0",
        "Days after which mail in the Junk folder and below it is removed; 0: never.",
    ),
    number(EXPIRE_MAIL, MAX_DAYS, "0", "Days after which mail in all other folders is removed; 0: never."),
    flag(EXPIRE_UNREAD, "no", "Whether mail that has not been read is removed for its age, too."),
    Attribute {
        name: QUOTA_ACTION,
        kind: Type::Text,
        rule: Rule::Account,
        values: OVER_QUOTA,
        most: 0,
        default: "bounce",
        doc: "What becomes of mail that would exceed a quota: refused for good, or kept by the sender for later.",
    },
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn its_23305_every_default_is_a_value_of_its_attribute() {
        for a in ATTRIBUTES {
            assert!(a.allows(a.default), "{}", a.name);
            let of_name = ATTRIBUTES.iter().filter(|o| o.name.eq_ignore_ascii_case(a.name));
            assert_eq!(of_name.count(), 1, "{}", a.name);
        }
    }

    #[test]
    fn letters_and_back() {
        for rule in Rule::ALL {
            assert_eq!(Rule::parse(&rule.letter().to_lowercase().to_string()), Some(*rule));
        }
        for kind in Type::ALL {
            assert_eq!(Type::parse(&kind.letter().to_string()), Some(*kind));
        }
        assert_eq!((Rule::parse("AB"), Type::parse(""), Rule::parse("X")), (None, None, None));
    }

    #[test]
    fn its_13201_values_outside_their_limits_are_refused() {
        let threshold = find(QUOTA_THRESHOLD).unwrap();
        assert!(threshold.allows("100"));
        for bad in ["101", "-1", "9x", ""] {
            assert!(!threshold.allows(bad), "{bad}");
        }
        assert_eq!(threshold.expected(), "a number from 0 to 100");
        assert_eq!(find(POP_ACCESS).unwrap().expected(), "none, trusted or all");
    }

    #[test]
    fn names_are_found_in_any_case() {
        assert_eq!(find("PREF_LocalDelivery").map(|a| a.default), Some("yes"));
        assert!(find("pref_pop").is_none());
    }
}
