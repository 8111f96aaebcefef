//! The rows as values.

use catalog::account::{DomainKind, Status};
use catalog::cos::{Rule, Type};
use mail::id::{AccountId, MailboxId};
use mail::time::Timestamp;
use std::fmt;

/// A name within a domain, as it is compared: both halves in lower case.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NameKey {
    /// The part before the `@`.
    pub name: String,
    /// The domain.
    pub domain: String,
}

impl NameKey {
    /// Lower-cases both halves.
    pub fn new(name: &str, domain: &str) -> Self {
        Self { name: name.to_lowercase(), domain: domain.to_lowercase() }
    }

    /// From the text that [`fmt::Display`] makes.
    pub fn parse(text: &str) -> Option<Self> {
        let (name, domain) = text.rsplit_once('@')?;
        Some(Self::new(name, domain))
    }
}

impl fmt::Display for NameKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.name, self.domain)
    }
}

/// A domain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DomainRow {
    /// Its name, lower case.
    pub name: String,
    /// What the site does for it.
    pub kind: DomainKind,
    /// Relay: `host` or `host:port`; rewrite: a domain; empty: none.
    pub target: String,
}

/// Whether the forwards of an account are followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Forwarding {
    /// They are.
    On,
    /// They are kept for later.
    Off,
}

/// An account, without what hangs on it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccountRow {
    /// Its id.
    pub id: AccountId,
    /// Its login name as written.
    pub name: String,
    /// Its domain, lower case.
    pub domain: String,
    /// Its mailbox; no two accounts share one.
    pub mailbox: MailboxId,
    /// The store host of the mailbox, lower case.
    pub home: String,
    /// The stored password, in one of the forms of `mail::password`. Never logged.
    pub password: String,
    /// SCRAM keys in RFC 5803's form; empty: none are known.
    pub scram: String,
    /// Its state.
    pub status: Status,
    /// The key of its class of service.
    pub class: String,
    /// Whether forwards are followed.
    pub forwarding: Forwarding,
    /// Grows with every change of the account or of what hangs on it.
    pub version: i64,
}

impl AccountRow {
    /// Its login name with domain, as compared.
    pub fn key(&self) -> NameKey {
        NameKey::new(&self.name, &self.domain)
    }
}

/// What an account begins with.
#[derive(Debug, Clone)]
pub struct NewAccount {
    /// Its login name as written.
    pub name: String,
    /// Its domain, lower case; exists.
    pub domain: String,
    /// Its mailbox; `None`: the next free one.
    pub mailbox: Option<MailboxId>,
    /// The store host of the mailbox, lower case.
    pub home: String,
    /// The stored password.
    pub password: String,
    /// SCRAM keys, or empty.
    pub scram: String,
    /// Its state.
    pub status: Status,
    /// The key of its class; exists.
    pub class: String,
    /// The local part of its first SMTP address, in its domain; `None`: it has none yet.
    pub address: Option<String>,
}

/// What is there already of an account that is to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InTheWay {
    /// Whether the request has made it before.
    pub done: bool,
    /// The name of its class as written; `None`: there is no such class.
    pub class: Option<String>,
    /// What its domain is; `None`: there is none.
    pub domain: Option<DomainKind>,
    /// Who has its login name.
    pub login: Option<AccountId>,
    /// Who has its address.
    pub address: Option<AccountId>,
    /// Who has its mailbox.
    pub mailbox: Option<AccountId>,
}

/// Whether an address is the one that an account sends as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rank {
    /// It is.
    Primary,
    /// It is one more.
    Alias,
}

/// An SMTP address of an account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AddressRow {
    /// The local part as written, without quotes.
    pub local_part: String,
    /// The domain, lower case.
    pub domain: String,
    /// Primary or alias.
    pub rank: Rank,
}

/// Where a forward leads, as it was when it was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ForwardPlace {
    /// To an address of this site.
    Local,
    /// Elsewhere.
    Remote,
}

impl ForwardPlace {
    /// As it stands in the table.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Local => "local",
            Self::Remote => "remote",
        }
    }

    pub(super) fn of_word(word: &str) -> Self {
        if word == "local" { Self::Local } else { Self::Remote }
    }
}

/// A forward of an account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ForwardRow {
    /// The address as written.
    pub address: String,
    /// Where it leads.
    pub place: ForwardPlace,
}

/// Who has a store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoreRow {
    /// The store, lower case.
    pub name: String,
    /// The host that has it, lower case.
    pub owner: String,
    /// The process that has it open; empty: none.
    pub incarnation: String,
    /// Grows whenever another process takes it.
    pub epoch: i64,
    /// When its owner must have renewed it.
    pub expires: Timestamp,
    /// Where the owner finds its files; empty: in its own folder.
    pub folder: String,
    /// The host that gets it, lower case, and where that host finds the files.
    pub successor: Option<(String, String)>,
}

/// A class of service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClassRow {
    /// Its name as written.
    pub name: String,
    /// How many accounts are of this class.
    pub users: i64,
}

/// An attribute that the site has defined.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AttributeRow {
    /// Its name as written.
    pub name: String,
    /// Which value holds.
    pub rule: Rule,
    /// What values look like.
    pub kind: Type,
    /// What holds without one.
    pub fallback: String,
}

/// What a row of the log is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Changed {
    /// An account or what hangs on it.
    Account(AccountId),
    /// A login name or login alias came or went.
    Login(NameKey),
    /// An SMTP address came or went.
    Address(NameKey),
    /// A domain.
    Domain(String),
    /// A class of service or its values.
    Class(String),
    /// The definition of an attribute.
    Attribute(String),
}

/// A row of the log of changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChangeRow {
    /// Grows with every change; no gaps but at the old end.
    pub id: i64,
    /// When.
    pub at: Timestamp,
    /// What.
    pub what: Changed,
}

impl Changed {
    /// The word and the key as they stand in the table.
    pub(super) fn columns(&self) -> (&'static str, String) {
        match self {
            Self::Account(id) => ("account", id.to_string()),
            Self::Login(key) => ("login", key.to_string()),
            Self::Address(key) => ("address", key.to_string()),
            Self::Domain(name) => ("domain", name.clone()),
            Self::Class(key) => ("class", key.clone()),
            Self::Attribute(key) => ("attribute", key.clone()),
        }
    }

    pub(super) fn from_columns(what: &str, entry: &str) -> Option<Self> {
        match what {
            "account" => entry.parse().ok().map(|id| Self::Account(AccountId(id))),
            "login" => NameKey::parse(entry).map(Self::Login),
            "address" => NameKey::parse(entry).map(Self::Address),
            "domain" => Some(Self::Domain(entry.to_owned())),
            "class" => Some(Self::Class(entry.to_owned())),
            "attribute" => Some(Self::Attribute(entry.to_owned())),
            _ => None,
        }
    }
}

impl fmt::Display for Changed {
    /// `account 17`, `address a@b`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (what, entry) = self.columns();
        write!(f, "{what} {entry}")
    }
}
