//! The fields that the scanner knows, and how their values come apart. RFC 2045 5, RFC 2183.
//!
//! Tolerant in the ways that real mail needs: values without quotes that should have some, stray
//! semicolons, comments. RFC 2231's continued and encoded parameters are not put together here: IMAP shows
//! them as they stand.

use super::lex::{Cursor, is_token};
use super::outline::text_at;
use std::borrow::Cow;

/// Longest boundary that is honoured; RFC 2046 5.1.1 allows 70.
pub(super) const MAX_BOUNDARY: usize = 256;
/// RFC 6838 4.2: octets of a type or subtype name.
const MAX_TYPE: usize = 127;
/// Parameters kept of one field.
const MAX_PARAMS: usize = 64;

/// What the value of a field becomes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FieldId {
    /// The field of an envelope with this index.
    Envelope(u8),
    ContentType,
    Encoding,
    Disposition,
    /// Kept as it is, at this index of a part's texts.
    Plain(u8),
}

impl FieldId {
    /// One bit for each, to see which came before.
    pub(super) fn bit(self) -> u32 {
        1 << match self {
            Self::Envelope(n) => u32::from(n),
            Self::ContentType => 16,
            Self::Encoding => 17,
            Self::Disposition => 18,
            Self::Plain(n) => 20 + u32::from(n),
        }
    }

    /// Whether the value is a list of addresses: From to Bcc.
    pub(super) fn is_address_list(self) -> bool {
        matches!(self, Self::Envelope(2..=7))
    }
}

/// Names of an envelope's fields, in the order of its spans.
const ENVELOPE_NAMES: [&[u8]; 10] = [
    b"date",
    b"subject",
    b"from",
    b"sender",
    b"reply-to",
    b"to",
    b"cc",
    b"bcc",
    b"in-reply-to",
    b"message-id",
];

/// Which field this is in the header of a message.
pub(super) fn message_field(name: &[u8]) -> Option<FieldId> {
    let at = ENVELOPE_NAMES.iter().position(|n| n.eq_ignore_ascii_case(name));
    at.and_then(|n| u8::try_from(n).ok()).map(FieldId::Envelope).or_else(|| part_field(name))
}

/// Which field this is in the header of a part.
pub(super) fn part_field(name: &[u8]) -> Option<FieldId> {
    let (prefix, rest) = name.split_at_checked(8)?;
    if !prefix.eq_ignore_ascii_case(b"content-") {
        return None;
    }
    let plain = |n: usize| u8::try_from(n).ok().map(FieldId::Plain);
    match rest.to_ascii_lowercase().as_slice() {
        b"type" => Some(FieldId::ContentType),
        b"transfer-encoding" => Some(FieldId::Encoding),
        b"disposition" => Some(FieldId::Disposition),
        b"id" => plain(text_at::ID),
        b"description" => plain(text_at::DESCRIPTION),
        b"md5" => plain(text_at::MD5),
        b"language" => plain(text_at::LANGUAGE),
        b"location" => plain(text_at::LOCATION),
        _ => None,
    }
}

/// Type, subtype and parameters; `None` where there are not both names. RFC 2045 5.1.
pub(super) fn media_type(value: &[u8]) -> Option<(&[u8], &[u8], Params<'_>)> {
    let mut cursor = Cursor::new(value);
    let kind = token(&mut cursor)?;
    cursor.skip_space();
    let subtype = cursor.eat(b'/').then(|| token(&mut cursor))??;
    Some((kind, subtype, Params { cursor, left: MAX_PARAMS }))
}

/// One word and its parameters. RFC 2183 2.
pub(super) fn word_and_params(value: &[u8]) -> Option<(&[u8], Params<'_>)> {
    let mut cursor = Cursor::new(value);
    let word = token(&mut cursor)?;
    Some((word, Params { cursor, left: MAX_PARAMS }))
}

fn token<'a>(cursor: &mut Cursor<'a>) -> Option<&'a [u8]> {
    cursor.skip_space();
    let word = cursor.take_while(is_token);
    (1..=MAX_TYPE).contains(&word.len()).then_some(word)
}

/// `; name=value` again and again. What is no parameter is passed over.
#[derive(Debug, Clone)]
pub(super) struct Params<'a> {
    cursor: Cursor<'a>,
    left: usize,
}

impl<'a> Iterator for Params<'a> {
    type Item = (&'a [u8], Cow<'a, [u8]>);

    fn next(&mut self) -> Option<Self::Item> {
        self.left = self.left.checked_sub(1)?;
        loop {
            self.cursor.take_while(|b| b != b';');
            if self.cursor.is_at_end() {
                return None;
            }
            self.cursor.bump();
            self.cursor.skip_space();
            let name = self.cursor.take_while(|b| b != b'=' && is_token(b));
            self.cursor.skip_space();
            if name.is_empty() || !self.cursor.eat(b'=') {
                continue;
            }
            self.cursor.skip_space();
            let value = self.cursor.quoted().unwrap_or_else(|| Cow::Borrowed(bare_value(&mut self.cursor)));
            return Some((name, value));
        }
    }
}

/// A value without quotes: up to the semicolon, a comment after it left out.
fn bare_value<'a>(cursor: &mut Cursor<'a>) -> &'a [u8] {
    let all = cursor.take_while(|b| b != b';');
    let comment = memchr::memmem::find(all, b" (").unwrap_or(all.len());
    all[..comment].trim_ascii()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn params(value: &str) -> Vec<(String, String)> {
        let text = |b: &[u8]| String::from_utf8_lossy(b).into_owned();
        let (_, _, params) = media_type(value.as_bytes()).unwrap();
        params.map(|(n, v)| (text(n), text(&v))).collect()
    }

    fn pair(name: &str, value: &str) -> (String, String) {
        (name.into(), value.into())
    }

    #[test]
    fn parameters_as_real_mail_has_them() {
        let found = params("text/plain; charset=us-ascii (Plain); ; format = flowed;junk; name=my file.txt");
        let expected = [pair("charset", "us-ascii"), pair("format", "flowed"), pair("name", "my file.txt")];
        assert_eq!(found, expected);
        let found = params(r#"multipart/mixed (x); boundary="a;b \"c\"" ; x=y"#);
        assert_eq!(found, [pair("boundary", "a;b \"c\""), pair("x", "y")]);
        assert_eq!(params("text/html; boundary==_x/y:z="), [pair("boundary", "=_x/y:z=")]);
        assert_eq!(params("a/b; filename*0*=utf-8''a%20"), [pair("filename*0*", "utf-8''a%20")]);
    }

    #[test]
    fn what_is_no_media_type_is_none() {
        for bad in ["", "text", "/plain", "text/", "text plain", ";charset=x"] {
            assert!(media_type(bad.as_bytes()).is_none(), "{bad}");
        }
    }

    #[test]
    fn field_names_are_known_in_any_case() {
        assert_eq!(message_field(b"MESSAGE-id"), Some(FieldId::Envelope(9)));
        assert_eq!(part_field(b"Message-Id"), None);
        assert_eq!(part_field(b"CONTENT-TYPE"), Some(FieldId::ContentType));
        assert_eq!(part_field(b"Content-\xc3\xa9"), None);
    }
}
