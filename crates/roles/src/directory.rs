//! The directory: who somebody is, where mail for an address goes, what an account may do.
//!
//! Provisioning (creating and changing accounts, domains, classes) is in `directory::provision`.

pub mod cache;
pub mod provision;

use crate::store::Quota;
use crate::{Answer, Call, Kind};
use mail::address::Address;
use mail::id::{AccountId, HostName, MailboxId};
use mail::secret::Secret;
use std::net::IpAddr;
use std::time::Duration;

/// Why the directory did not do it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DirectoryError {
    /// Name or password is wrong: never says which.
    #[error("the name or the password is wrong")]
    BadCredentials,
    /// The account's class does not allow this protocol, or not from this place.
    #[error("this account may not use {0}")]
    NotAllowed(String),
    /// The account is being moved or maintained: try again later.
    #[error("the account is under maintenance, try again later")]
    Maintenance,
    /// The account is suspended or locked.
    #[error("the account is not active")]
    NotActive,
    /// Nothing of this name; says what.
    #[error("{0}")]
    Missing(String),
    /// Something of this name is there already, or in use; says what.
    #[error("{0}")]
    Conflict(String),
    /// An argument is not valid; says which and what is expected.
    #[error("{0}")]
    Invalid(String),
    /// Too many password checks wait: try again.
    #[error("too busy to check passwords, try again")]
    Busy,
    /// Out of reach.
    #[error("the directory is not available")]
    Unavailable,
    /// Damage or a bug; already logged.
    #[error("the directory is broken: {0}")]
    Broken(String),
}

impl DirectoryError {
    /// What it means for the caller.
    pub fn kind(&self) -> Kind {
        match self {
            Self::BadCredentials | Self::NotAllowed(_) | Self::NotActive | Self::Invalid(_) => Kind::Refused,
            Self::Missing(_) => Kind::Missing,
            Self::Conflict(_) => Kind::Conflict,
            Self::Busy | Self::Maintenance => Kind::Busy(Duration::from_secs(5)),
            Self::Unavailable => Kind::Unavailable,
            Self::Broken(_) => Kind::Broken,
        }
    }
}

/// What somebody wants to log in to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Protocol {
    /// POP3.
    Pop,
    /// IMAP.
    Imap,
    /// Sending mail.
    Smtp,
    /// Web applications.
    Web,
}

/// How the connection is protected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Transport {
    /// Not at all.
    Plain,
    /// By TLS, from the start or after STARTTLS.
    Tls,
}

/// Where a login comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Origin {
    /// What for.
    pub protocol: Protocol,
    /// Over what.
    pub transport: Transport,
    /// The client.
    pub peer: IpAddr,
    /// Our address that the client connected to: decides default domain and trust.
    pub local: IpAddr,
}

/// How somebody proves who they are.
#[derive(Debug, Clone)]
pub enum Proof {
    /// By the password itself.
    Password(Secret),
    /// The caller has verified it with the keys of [`Directory::scram_keys`].
    Scram,
}

/// A login.
#[derive(Debug, Clone)]
pub struct Login {
    /// As typed: a login name, an alias, an address, with or without domain; at most 320 bytes.
    pub name: String,
    /// The proof.
    pub proof: Proof,
    /// Whence.
    pub origin: Origin,
}

/// SCRAM-SHA-256 keys of an account. RFC 5802 3.
#[derive(Debug, Clone)]
pub struct ScramKeys {
    /// The salt.
    pub salt: Vec<u8>,
    /// PBKDF2 rounds.
    pub iterations: u32,
    /// H(ClientKey).
    pub stored_key: Vec<u8>,
    /// HMAC(SaltedPassword, "Server Key").
    pub server_key: Secret,
}

/// An account that has logged in, or is to get mail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// Its id.
    pub id: AccountId,
    /// Its login name with domain, as the log and IMAP show it.
    pub login: String,
    /// Its mailbox.
    pub mailbox: MailboxId,
    /// The store host that has the mailbox.
    pub home: HostName,
    /// How much the mailbox may hold.
    pub quota: Quota,
    /// Largest message it may send, in bytes; 0: the server's limit.
    pub max_message: u64,
}

/// What is to happen with mail that does not fit into the mailbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OverQuota {
    /// Refuse it for good: 552 5.2.2.
    Refuse,
    /// Ask the sender to try again later: 452 4.2.2.
    Defer,
}

/// Where mail for a local address goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Local {
    /// The mailbox that gets a copy; `None` where the address only forwards.
    pub account: Option<Account>,
    /// The folder for `user+folder@…`, where that is allowed.
    pub detail: Option<String>,
    /// What to do when the mailbox is full.
    pub over_quota: OverQuota,
    /// Addresses that get a copy, at most 1,000.
    pub forwards: Vec<Address>,
}

/// Where mail for an address goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Route {
    /// Into mailboxes and to forwards of this site.
    Local(Box<Local>),
    /// The domain is not ours.
    Remote,
    /// The domain is ours to relay: to this host and port, or by MX.
    Relay(Option<(String, u16)>),
    /// The domain is ours and has no such address.
    Unknown,
    /// The address is known but takes no mail now: 450.
    Deferred,
    /// The address is known but takes no mail: 550 5.2.1.
    Disabled,
}

/// Who, where to, may he.
pub trait Directory: Send + Sync {
    /// Checks a login: proof, status, class and place. Costs the same time for unknown names.
    fn authenticate<'a>(&'a self, call: &'a Call, login: Login) -> Answer<'a, Account, DirectoryError>;

    /// The SCRAM keys behind a name; for unknown names and accounts without keys made-up ones, always the same.
    fn scram_keys<'a>(
        &'a self,
        call: &'a Call,
        name: String,
        origin: Origin,
    ) -> Answer<'a, ScramKeys, DirectoryError>;

    /// Where mail for an address goes.
    fn address_route<'a>(&'a self, call: &'a Call, address: Address) -> Answer<'a, Route, DirectoryError>;

    /// The account of a login name, alias or address: for administration and for delivery tools.
    fn account_find<'a>(&'a self, call: &'a Call, name: String) -> Answer<'a, Account, DirectoryError>;

    /// Whether this account may send as this address: its own addresses, in any case of letters.
    fn sender_allowed<'a>(
        &'a self,
        call: &'a Call,
        account: AccountId,
        sender: Address,
    ) -> Answer<'a, bool, DirectoryError>;
}
