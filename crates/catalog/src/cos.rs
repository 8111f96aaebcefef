//! Attributes of classes of service that every site has. A site may define more (`CreateCosAttribute`).
//!
//! Rows only: how account, class and default combine is `directory`'s business.

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
    /// What holds where neither account nor class says anything (ITS 13431, 20488).
    pub default: &'static str,
    /// One or two sentences for the manual.
    pub doc: &'static str,
}

/// The attribute of that name, in whatever case.
pub fn find(name: &str) -> Option<&'static Attribute> {
    ATTRIBUTES.iter().find(|a| a.name.eq_ignore_ascii_case(name))
}

/// Where a user may come from.
pub const ACCESS: &[&str] = &["none", "trusted", "all"];
/// What becomes of mail that would exceed a quota.
pub const OVER_QUOTA: &[&str] = &["bounce", "defer"];
const FLAG: &[&str] = &["yes", "no"];

const fn access(name: &'static str, doc: &'static str) -> Attribute {
    Attribute { name, kind: Type::Text, rule: Rule::Account, values: ACCESS, default: "all", doc }
}

const fn flag(name: &'static str, default: &'static str, doc: &'static str) -> Attribute {
    Attribute { name, kind: Type::Flag, rule: Rule::Account, values: FLAG, default, doc }
}

const fn number(name: &'static str, default: &'static str, doc: &'static str) -> Attribute {
    Attribute { name, kind: Type::Number, rule: Rule::Account, values: &[], default, doc }
}

/// The attributes of every site.
pub const ATTRIBUTES: &[Attribute] = &[
    access("pref_popaccess", "POP3 without TLS: from nowhere, through trusted interfaces, from everywhere."),
    access("pref_popsslaccess", "POP3 with TLS, likewise."),
    access("pref_imapaccess", "IMAP without TLS, likewise."),
    access("pref_imapsslaccess", "IMAP with TLS, likewise."),
    access("pref_smtpaccess", "Sending by submission without TLS, likewise."),
    access("pref_smtpsslaccess", "Sending by submission with TLS, likewise."),
    flag("pref_localdelivery", "yes", "Whether mail is kept in the mailbox when the account forwards."),
    flag("perm_forward", "yes", "Whether the account's forwards are followed."),
    number("maxForwards", "20", "Most forwards of an account."),
    number("maxAliases", "100", "Most addresses of an account besides its first."),
    number("totalBytes", "0", "Most bytes in the mailbox; 0: no limit."),
    number("totalMsgQuota", "0", "Most messages in the mailbox; 0: no limit."),
    number(
        "maxMessageSize",
        "0",
        "Largest message for the account, in KB; 0: the MTA's maxMessageSize alone.",
    ),
    number("quotaThreshold", "90", "Percentage of a quota from which on the user is warned; 0: never."),
    Attribute {
        name: "quotaAction",
        kind: Type::Text,
        rule: Rule::Account,
        values: OVER_QUOTA,
        default: "bounce",
        doc: "What becomes of mail that would exceed a quota: refused for good, or kept by the sender for later.",
    },
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_default_is_a_value() {
        for a in ATTRIBUTES {
            let listed = a.values.is_empty() || a.values.contains(&a.default);
            let typed = a.kind != Type::Number || a.default.parse::<u64>().is_ok();
            assert!(listed && typed, "{}", a.name);
        }
    }

    #[test]
    fn names_are_found_in_any_case() {
        assert_eq!(find("PREF_LocalDelivery").map(|a| a.default), Some("yes"));
        assert!(find("pref_pop").is_none());
    }
}
