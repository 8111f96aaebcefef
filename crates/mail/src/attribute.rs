//! Names of mailbox attributes: texts that are kept beside the mail of a mailbox and go with it.
//!
//! Which attributes there are is not decided here: an attribute is a name and bytes. The two that the house itself
//! reads are named.

use std::fmt;

/// Longest name, in bytes.
pub const MAX_NAME: usize = 64;
/// Longest value, in bytes: an address book of many thousand entries.
pub const MAX_VALUE: usize = 1 << 20;
/// Most attributes of a mailbox.
pub const MAX_COUNT: usize = 256;

/// The text that is sent back while the user is away.
pub const AUTOREPLY: &str = "autoreplytxt";
/// When old mail was last removed from the mailbox, as in RFC 3339.
pub const LAST_EXPIRED: &str = "lastExpired";

/// The name of an attribute: 1 to [`MAX_NAME`] ASCII letters, digits, `.`, `-`, `_` and `/`; compared exactly.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AttributeName(Box<str>);

/// What is no name of an attribute.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the name of an attribute has 1 to 64 letters, digits, dots, dashes, underscores or slashes")]
pub struct BadAttributeName;

impl AttributeName {
    /// Parses a name.
    ///
    /// # Errors
    /// [`BadAttributeName`].
    pub fn parse(text: &str) -> Result<Self, BadAttributeName> {
        let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_' | b'/');
        let fits = !text.is_empty() && text.len() <= MAX_NAME && text.bytes().all(allowed);
        fits.then(|| Self(text.into())).ok_or(BadAttributeName)
    }

    /// The attribute that holds the autoreply: [`AUTOREPLY`].
    pub fn autoreply() -> Self {
        Self(AUTOREPLY.into())
    }

    /// The attribute that says when old mail was last removed: [`LAST_EXPIRED`].
    pub fn last_expired() -> Self {
        Self(LAST_EXPIRED.into())
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for AttributeName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_short_plain_words() {
        for good in [AUTOREPLY, LAST_EXPIRED, "addressbook/1", "a.b-c_d"] {
            assert_eq!(AttributeName::parse(good).unwrap().as_str(), good);
        }
        for bad in ["", "a b", "ä", "a\0", &"x".repeat(MAX_NAME + 1)] {
            assert_eq!(AttributeName::parse(bad), Err(BadAttributeName), "{bad:?}");
        }
        assert_eq!(AttributeName::autoreply(), AttributeName::parse(AUTOREPLY).unwrap());
        assert_eq!(AttributeName::last_expired(), AttributeName::parse(LAST_EXPIRED).unwrap());
    }
}
