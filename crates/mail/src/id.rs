//! Names of things: one type for each, so that one is never taken for another.

use std::fmt;

macro_rules! number_id {
    ($(#[$doc:meta])* $name:ident($inner:ty)) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
        pub struct $name(pub $inner);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl From<$inner> for $name {
            fn from(value: $inner) -> Self {
                Self(value)
            }
        }
    };
}

number_id! {
    /// An account in the directory.
    AccountId(i64)
}
number_id! {
    /// The internal mailbox id of an account: the key of everything it has in the store.
    /// May be negative (ITS 16877).
    MailboxId(i64)
}
number_id! {
    /// A folder within a mailbox. `FolderId(1)` is always the Inbox; ids are never reused.
    FolderId(u32)
}
number_id! {
    /// A message within a folder. Grows, is never reused. RFC 9051 2.3.1.1. Never zero.
    Uid(u32)
}
number_id! {
    /// The epoch of a folder's UIDs. RFC 9051 2.3.1.1. Never zero.
    UidValidity(u32)
}
number_id! {
    /// The modification sequence of a mailbox: every change takes the next one. RFC 7162.
    ModSeq(u64)
}
number_id! {
    /// An item of the mail queue. Grows with time within one queue.
    QueueId(u64)
}
number_id! {
    /// Makes a changing request repeatable: the same id twice has the effect of once.
    RequestId(u128)
}

impl FolderId {
    /// The folder that every mailbox has.
    pub const INBOX: Self = Self(1);
}

impl ModSeq {
    /// Before every change.
    pub const ZERO: Self = Self(0);

    /// The next one.
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

/// Follows one message through the house and its log: shown in the Received header and in events.
/// ASCII letters, digits, dots and hyphens, at most 64 of them.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct TraceId(Box<str>);

impl TraceId {
    /// Takes the text as it is, cut to the allowed characters and length.
    pub fn new(text: &str) -> Self {
        let kept = text.chars().filter(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-')).take(64);
        Self(kept.collect::<String>().into_boxed_str())
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for TraceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The logical name of a host of the site (`config/hostname`), lower case: never what the system calls itself.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct HostName(Box<str>);

impl HostName {
    /// Lower-cases the name. An empty name becomes `localhost`.
    pub fn new(name: &str) -> Self {
        let name = name.trim().to_ascii_lowercase();
        Self(if name.is_empty() { "localhost".into() } else { name.into_boxed_str() })
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for HostName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trace_id_keeps_only_what_may_stand_in_a_header() {
        assert_eq!(TraceId::new("2026.AB-1\r\nX: y").as_str(), "2026.AB-1Xy");
    }

    #[test]
    fn host_name_is_lower_case() {
        assert_eq!(HostName::new(" Venus ").as_str(), "venus");
        assert_eq!(HostName::new("").as_str(), "localhost");
    }
}
