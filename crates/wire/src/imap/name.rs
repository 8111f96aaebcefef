//! Mailbox names and the patterns that match them.
//!
//! Inside the house a name is UTF-8 with `/` between levels, and `INBOX` is always upper case. On the wire it
//! is modified UTF-7 (RFC 3501 5.1.3) until the client has enabled IMAP4rev2, and UTF-8 from then on
//! (RFC 9051 5.1). Which names exist or may be created is the server's business.

use super::MAX_NAME_LEN;
use mail::text::utf7;

/// What stands between the levels of a name.
pub const SEPARATOR: char = '/';
/// The one mailbox that every account has.
pub const INBOX: &str = "INBOX";

/// How names are written on this connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum NameForm {
    /// Modified UTF-7. RFC 3501 5.1.3.
    #[default]
    Utf7,
    /// UTF-8, after `ENABLE IMAP4rev2`. RFC 9051 6.3.1.
    Utf8,
}

/// The name of a mailbox: UTF-8, at most [`MAX_NAME_LEN`] octets, without control characters.
/// It may name nothing, and need not be one that could be created.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MailboxName(Box<str>);

impl MailboxName {
    /// The name that this text means: `inbox` in any case is INBOX, as first level too, and separators at
    /// the end are dropped (RFC 9051 6.3.4: they declare an intention only). `None` where it is too long or
    /// has control characters.
    pub fn new(text: &str) -> Option<Self> {
        let text = match text.trim_end_matches(SEPARATOR) {
            "" => text,
            rest => rest,
        };
        plain(text).then(|| Self(canonical(text)))
    }

    /// The name a client sent.
    pub fn decode(bytes: &[u8], form: NameForm) -> Option<Self> {
        Self::new(&decode(bytes, form)?)
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it is the Inbox.
    pub fn is_inbox(&self) -> bool {
        &*self.0 == INBOX
    }
}

/// A name in which `*` stands for anything and `%` for anything within one level. RFC 9051 6.3.9.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pattern(Box<str>);

impl Pattern {
    /// The pattern; `None` where it is too long or has control characters.
    pub fn new(text: &str) -> Option<Self> {
        plain(text).then(|| Self(text.into()))
    }

    /// The pattern a client sent.
    pub fn decode(bytes: &[u8], form: NameForm) -> Option<Self> {
        Self::new(&decode(bytes, form)?)
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The pattern with a reference put before it. RFC 9051 6.3.9: how they are joined is ours to define.
    /// `None` where both together are too long.
    pub fn under(&self, reference: &Pattern) -> Option<Self> {
        Self::new(&format!("{}{}", reference.0, self.0))
    }

    /// Whether it matches the name. The first level INBOX is matched in any case.
    /// Costs at most the product of both lengths.
    pub fn matches(&self, name: &str) -> bool {
        match &*self.0 {
            "*" => return true,
            "%" => return !name.contains(SEPARATOR),
            _ => {}
        }
        let pattern = self.0.as_bytes();
        // reached[i]: the pattern's first i octets can match what has been seen of the name.
        let mut reached = vec![false; pattern.len() + 1];
        reached[0] = true;
        skip_wildcards(pattern, &mut reached);
        let inbox_end = inbox_prefix(name);
        for (at, &octet) in name.as_bytes().iter().enumerate() {
            let mut before = reached[0];
            reached[0] = false;
            for (i, &p) in pattern.iter().enumerate() {
                let same = p == octet || (at < inbox_end && p.eq_ignore_ascii_case(&octet));
                let stays = p == b'*' || (p == b'%' && octet != b'/');
                // A wildcard that takes the octet stays where it is; another octet is taken and passed.
                let take = before && same && !matches!(p, b'*' | b'%');
                if before && stays {
                    reached[i] = true;
                }
                before = std::mem::replace(&mut reached[i + 1], take);
            }
            skip_wildcards(pattern, &mut reached);
        }
        reached.last().copied().unwrap_or(false)
    }
}

/// A wildcard may also match nothing.
fn skip_wildcards(pattern: &[u8], reached: &mut [bool]) {
    for (i, p) in pattern.iter().enumerate() {
        if reached[i] && matches!(p, b'*' | b'%') {
            reached[i + 1] = true;
        }
    }
}

/// How many octets of the name are the first level INBOX.
fn inbox_prefix(name: &str) -> usize {
    let first = name.split(SEPARATOR).next().unwrap_or("");
    if first == INBOX { first.len() } else { 0 }
}

fn plain(text: &str) -> bool {
    text.len() <= MAX_NAME_LEN && !text.chars().any(char::is_control)
}

fn canonical(text: &str) -> Box<str> {
    let (first, rest) = text.split_once(SEPARATOR).map_or((text, None), |(a, b)| (a, Some(b)));
    match rest {
        _ if !first.eq_ignore_ascii_case(INBOX) => text.into(),
        None => INBOX.into(),
        Some(rest) => format!("{INBOX}{SEPARATOR}{rest}").into(),
    }
}

/// UTF-8 of what a client sent. Octets above 127 are taken for UTF-8 in both forms: there are clients that
/// send them and they can mean nothing else.
fn decode(bytes: &[u8], form: NameForm) -> Option<String> {
    if bytes.len() > MAX_NAME_LEN * 4 {
        return None;
    }
    let text = std::str::from_utf8(bytes).ok()?;
    match form {
        NameForm::Utf7 if text.is_ascii() => utf7::decode(bytes).ok(),
        _ => Some(text.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn inbox_is_inbox_in_any_case() {
        for (given, meant) in
            [("inbox", "INBOX"), ("InBox/a", "INBOX/a"), ("inboxes", "inboxes"), ("a/", "a")]
        {
            assert_eq!(MailboxName::new(given).unwrap().as_str(), meant);
        }
        assert!(MailboxName::new("a\rb").is_none());
        assert!(MailboxName::new(&"x".repeat(MAX_NAME_LEN + 1)).is_none());
    }

    #[test]
    fn the_form_decides_what_an_ampersand_means() {
        let name = |form| MailboxName::decode(b"&AOk-", form).unwrap();
        assert_eq!(name(NameForm::Utf7).as_str(), "é");
        assert_eq!(name(NameForm::Utf8).as_str(), "&AOk-");
        assert_eq!(MailboxName::decode("é&".as_bytes(), NameForm::Utf7).unwrap().as_str(), "é&");
        assert!(MailboxName::decode(b"\xff", NameForm::Utf8).is_none());
    }

    #[test]
    fn patterns() {
        let cases = [
            ("*", "a/b", true),
            ("%", "a/b", false),
            ("%", "a", true),
            ("%/%", "a/b", true),
            ("a*c", "a/b/c", true),
            ("a%c", "a/b/c", false),
            ("%a%b", "xa/yab", false),
            ("*%b", "x/yab", true),
            ("inbox", "INBOX", true),
            ("iN%", "INBOX", true),
            ("inbox/A", "INBOX/a", false),
            ("inbox/a", "INBOX/a", true),
            ("", "", true),
            ("", "a", false),
            ("a", "A", false),
            ("a%%b", "ab", true),
        ];
        for (pattern, name, matches) in cases {
            assert_eq!(Pattern::new(pattern).unwrap().matches(name), matches, "{pattern} {name}");
        }
    }

    /// The definition, tried without regard to cost.
    fn naive(p: &[u8], n: &[u8]) -> bool {
        match (p, n) {
            ([], []) => true,
            ([b'*', rest @ ..], _) => naive(rest, n) || (!n.is_empty() && naive(p, &n[1..])),
            ([b'%', rest @ ..], _) => {
                naive(rest, n) || (n.first().is_some_and(|o| *o != b'/') && naive(p, &n[1..]))
            }
            ([a, p @ ..], [b, n @ ..]) => a == b && naive(p, n),
            _ => false,
        }
    }

    proptest! {
        #[test]
        fn patterns_match_as_defined(pattern in "[ab/*%]{0,8}", name in "[ab/]{0,8}") {
            let expected = naive(pattern.as_bytes(), name.as_bytes());
            prop_assert_eq!(Pattern::new(&pattern).unwrap().matches(&name), expected);
        }
    }
}
