//! The envelope of a message: who sends it, who is to have it, and what they asked about its fate.

use crate::address::Address;
use std::fmt;

/// MAIL FROM: an address, or nobody for reports. RFC 5321 4.5.5.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct Sender(pub Option<Address>);

impl Sender {
    /// `<>`: never answered with a bounce.
    pub const NULL: Self = Self(None);
}

impl From<Address> for Sender {
    fn from(address: Address) -> Self {
        Self(Some(address))
    }
}

impl fmt::Display for Sender {
    /// Without the angle brackets; nothing for the null sender.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.as_ref().map_or(Ok(()), |a| a.fmt(f))
    }
}

/// When the sender wants to hear of a recipient. RFC 3461 4.1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Notify {
    /// When the message has arrived.
    pub success: bool,
    /// When it cannot arrive.
    pub failure: bool,
    /// When it is late.
    pub delay: bool,
}

impl Notify {
    /// `NOTIFY=NEVER`.
    pub const NEVER: Self = Self { success: false, failure: false, delay: false };
    /// What holds when nothing was asked: failures are reported.
    pub const DEFAULT: Self = Self { success: false, failure: true, delay: false };
}

impl Default for Notify {
    fn default() -> Self {
        Self::DEFAULT
    }
}

/// How much of the message a report brings back. RFC 3461 4.3.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Return {
    /// All of it.
    Full,
    /// Its headers.
    #[default]
    Headers,
}

/// What the content may hold. RFC 6152, RFC 3030.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum BodyKind {
    /// Seven-bit lines.
    #[default]
    SevenBit,
    /// Eight-bit lines.
    EightBitMime,
}

/// One recipient with its wishes.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Recipient {
    /// Where the message goes.
    pub address: Address,
    /// When to report.
    pub notify: Notify,
    /// `ORCPT` as given (`rfc822;a@b`, xtext decoded), at most 500 octets. RFC 3461 4.2.
    pub original: Option<Box<str>>,
}

impl From<Address> for Recipient {
    fn from(address: Address) -> Self {
        Self { address, notify: Notify::default(), original: None }
    }
}

/// What travels beside the recipients and is the same for all.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct Origin {
    /// Who gets the reports.
    pub sender: Sender,
    /// How much they bring back.
    pub ret: Return,
    /// `ENVID`, xtext decoded, at most 100 octets. RFC 3461 4.4.
    pub envelope_id: Option<Box<str>>,
    /// Declared content.
    pub body: BodyKind,
    /// Whether the message needs SMTPUTF8 on its way. RFC 6531.
    pub utf8: bool,
}
