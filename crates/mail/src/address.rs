//! Mail addresses of the envelope: local part, domain or address literal.
//!
//! RFC 5321 4.1.2 and 4.5.3.1, RFC 6531 for UTF-8. Compared and looked up by [`Address::key`]: without
//! case, which is our rule for local users; what goes out keeps the case it came with.

use std::fmt;
use std::net::IpAddr;

/// RFC 5321 4.5.3.1.1: octets of a local part.
pub const MAX_LOCAL_PART: usize = 64;
/// RFC 5321 4.5.3.1.2: octets of a domain.
pub const MAX_DOMAIN: usize = 255;
/// RFC 1035 2.3.4: octets of one label.
const MAX_LABEL: usize = 63;

/// Why a text is no address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadAddress {
    /// Nothing before the `@`.
    #[error("the local part is empty")]
    EmptyLocalPart,
    /// More than [`MAX_LOCAL_PART`] octets.
    #[error("the local part is longer than 64 octets")]
    LongLocalPart,
    /// A character that needs quotes, or a control character.
    #[error("the local part has a character that may not stand there")]
    BadLocalPart,
    /// No `@`.
    #[error("there is no domain")]
    NoDomain,
    /// Not a host name and not an address literal.
    #[error("the domain is not valid")]
    BadDomain,
}

/// A domain name in lower case (ASCII part), or an address literal such as `[192.0.2.1]`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Domain(Box<str>);

impl Domain {
    /// Checks and lower-cases; a final dot is dropped.
    ///
    /// # Errors
    /// [`BadAddress::BadDomain`] where it is neither a name nor a literal.
    pub fn parse(text: &str) -> Result<Self, BadAddress> {
        if let Some(inner) = text.strip_prefix('[').and_then(|t| t.strip_suffix(']')) {
            return parse_literal(inner).map(|ip| Self(literal_text(ip).into())).ok_or(BadAddress::BadDomain);
        }
        let name = text.strip_suffix('.').unwrap_or(text);
        let ok = !name.is_empty() && name.len() <= MAX_DOMAIN && name.split('.').all(is_label);
        if ok { Ok(Self(name.to_lowercase().into())) } else { Err(BadAddress::BadDomain) }
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The address, where the domain is a literal.
    pub fn literal(&self) -> Option<IpAddr> {
        parse_literal(self.0.strip_prefix('[')?.strip_suffix(']')?)
    }
}

impl fmt::Display for Domain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn is_label(label: &str) -> bool {
    let inner =
        |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_' || !c.is_ascii() && c.is_alphanumeric();
    !label.is_empty()
        && label.len() <= MAX_LABEL
        && !label.starts_with('-')
        && !label.ends_with('-')
        && label.chars().all(inner)
}

fn parse_literal(inner: &str) -> Option<IpAddr> {
    match inner.get(..5) {
        Some(tag) if tag.eq_ignore_ascii_case("IPv6:") => inner[5..].parse().ok().map(IpAddr::V6),
        _ => inner.parse().ok().map(IpAddr::V4),
    }
}

fn literal_text(ip: IpAddr) -> String {
    match ip {
        IpAddr::V4(v4) => format!("[{v4}]"),
        IpAddr::V6(v6) => format!("[IPv6:{v6}]"),
    }
}

/// A full address. The local part is kept unquoted, as it was written.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Address {
    local: Box<str>,
    domain: Domain,
}

impl Address {
    /// From an unquoted local part and a domain.
    ///
    /// # Errors
    /// Where either is too long or has a character that no form can carry.
    pub fn new(local: &str, domain: Domain) -> Result<Self, BadAddress> {
        if local.is_empty() {
            return Err(BadAddress::EmptyLocalPart);
        }
        if local.len() > MAX_LOCAL_PART {
            return Err(BadAddress::LongLocalPart);
        }
        if local.chars().any(char::is_control) {
            return Err(BadAddress::BadLocalPart);
        }
        Ok(Self { local: local.into(), domain })
    }

    /// Parses `local@domain`, with a dot-string or a quoted string before the `@`.
    ///
    /// # Errors
    /// Says which half is bad.
    pub fn parse(text: &str) -> Result<Self, BadAddress> {
        if text.starts_with('"') {
            let (local, rest) = unquote(text)?;
            let domain = rest.strip_prefix('@').ok_or(BadAddress::NoDomain)?;
            return Self::new(&local, Domain::parse(domain)?);
        }
        let (local, domain) = text.rsplit_once('@').ok_or(BadAddress::NoDomain)?;
        if local.is_empty() {
            return Err(BadAddress::EmptyLocalPart);
        }
        if !is_dot_string(local) {
            return Err(BadAddress::BadLocalPart);
        }
        Self::new(local, Domain::parse(domain)?)
    }

    /// The local part, unquoted.
    pub fn local(&self) -> &str {
        &self.local
    }

    /// The domain.
    pub fn domain(&self) -> &Domain {
        &self.domain
    }

    /// What the directory looks up: everything in lower case.
    pub fn key(&self) -> String {
        let mut key = self.local.to_lowercase();
        key.push('@');
        key.push_str(self.domain.as_str());
        key
    }

    /// Whether a peer must offer SMTPUTF8 to take this address.
    pub fn needs_utf8(&self) -> bool {
        !self.local.is_ascii() || !self.domain.as_str().is_ascii()
    }
}

impl fmt::Display for Address {
    /// With quotes where the local part needs them.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if is_dot_string(&self.local) {
            return write!(f, "{}@{}", self.local, self.domain);
        }
        f.write_str("\"")?;
        for c in self.local.chars() {
            if matches!(c, '"' | '\\') {
                f.write_str("\\")?;
            }
            write!(f, "{c}")?;
        }
        write!(f, "\"@{}", self.domain)
    }
}

impl std::str::FromStr for Address {
    type Err = BadAddress;

    fn from_str(text: &str) -> Result<Self, BadAddress> {
        Self::parse(text)
    }
}

/// RFC 5321 4.1.2 Dot-string, with RFC 6531's UTF-8.
fn is_dot_string(local: &str) -> bool {
    let atext = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-/=?^_`{|}~".contains(c) || !c.is_ascii();
    local.split('.').all(|atom| !atom.is_empty() && atom.chars().all(atext))
}

/// The inside of a quoted string at the start of `text`, and what follows it.
fn unquote(text: &str) -> Result<(String, &str), BadAddress> {
    let mut local = String::new();
    let mut chars = text.char_indices().skip(1);
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return Ok((local, &text[at + 1..])),
            '\\' => local.push(chars.next().ok_or(BadAddress::BadLocalPart)?.1),
            c if c.is_control() => return Err(BadAddress::BadLocalPart),
            c => local.push(c),
        }
    }
    Err(BadAddress::BadLocalPart)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_addresses_keep_their_case_and_compare_without_it() {
        let a = Address::parse("John.Doe+x@Example.ORG.").unwrap();
        assert_eq!(a.to_string(), "John.Doe+x@example.org");
        assert_eq!(a.key(), "john.doe+x@example.org");
    }

    #[test]
    fn quoted_local_parts_come_back_quoted() {
        let a = Address::parse(r#""a \"b\"@c"@example.org"#).unwrap();
        assert_eq!(a.local(), r#"a "b"@c"#);
        assert_eq!(Address::parse(&a.to_string()), Ok(a));
    }

    #[test]
    fn literals() {
        assert_eq!(Address::parse("a@[127.0.0.1]").unwrap().domain().literal(), "127.0.0.1".parse().ok());
        assert_eq!(Domain::parse("[ipv6:::1]").unwrap().as_str(), "[IPv6:::1]");
        assert!(Domain::parse("[300.1.1.1]").is_err());
    }

    #[test]
    fn bad_addresses_say_why() {
        let long = format!("{}@a", "x".repeat(65));
        let cases = [
            ("a", BadAddress::NoDomain),
            ("@a", BadAddress::EmptyLocalPart),
            ("a..b@c", BadAddress::BadLocalPart),
            ("a b@c", BadAddress::BadLocalPart),
            ("a@-c", BadAddress::BadDomain),
            ("a@b..c", BadAddress::BadDomain),
            ("a@", BadAddress::BadDomain),
            ("\"a\nb\"@c", BadAddress::BadLocalPart),
            ("\"ab", BadAddress::BadLocalPart),
            (long.as_str(), BadAddress::LongLocalPart),
        ];
        for (text, why) in cases {
            assert_eq!(Address::parse(text), Err(why), "{text}");
        }
    }

    #[test]
    fn utf8_is_noticed() {
        assert!(Address::parse("jürgen@example.org").unwrap().needs_utf8());
        assert!(Address::parse("j@exämple.org").unwrap().needs_utf8());
        assert!(!Address::parse("j@example.org").unwrap().needs_utf8());
    }
}
