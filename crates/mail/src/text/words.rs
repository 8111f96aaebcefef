//! Encoded words in header values. RFC 2047.
//!
//! For SEARCH and display: takes an unfolded value, gives characters. A word that is not well formed stays
//! as it is; octets outside of words are guessed at as [`Charset::Guess`] does. Adjacent words of one charset
//! are joined before their charset is decoded, since real mail cuts characters in two.

use super::charset::Charset;
use super::transfer::{Encoding, Unwrap};

/// RFC 2047 2: an encoded word has at most 75 octets; real mail has longer ones.
const MAX_WORD: usize = 1000;

/// One encoded word.
struct Word<'a> {
    charset: &'a [u8],
    octets: Vec<u8>,
    len: usize,
}

/// The characters of a header value.
pub fn decode(value: &[u8]) -> String {
    let mut out = String::with_capacity(value.len());
    // Octets of words that have the charset, waiting for the next word.
    let mut open: Option<(&[u8], Vec<u8>)> = None;
    let mut rest = value;
    while let Some(start) = memchr::memmem::find(rest, b"=?") {
        let (plain, from) = rest.split_at(start);
        let Some(word) = word(from) else {
            flush(&mut open, &mut out);
            out.push_str(&Charset::Guess.decode(plain));
            out.push_str("=?");
            rest = &from[2..];
            continue;
        };
        // RFC 2047 6.2: white space between two encoded words is not shown.
        let is_adjacent = open.is_some() && plain.trim_ascii().is_empty();
        if !is_adjacent {
            flush(&mut open, &mut out);
            out.push_str(&Charset::Guess.decode(plain));
        }
        rest = &from[word.len..];
        match &mut open {
            Some((charset, octets)) if is_joined(charset, word.charset) => {
                octets.extend_from_slice(&word.octets);
            }
            _ => {
                flush(&mut open, &mut out);
                open = Some((word.charset, word.octets));
            }
        }
    }
    flush(&mut open, &mut out);
    out.push_str(&Charset::Guess.decode(rest));
    out
}

/// Charsets that shift (ISO-2022) begin anew in each word, and two shifts side by side are an error in them.
fn is_joined(charset: &[u8], next: &[u8]) -> bool {
    let shifts = charset.get(..4).is_some_and(|start| start.eq_ignore_ascii_case(b"iso-"))
        && charset.get(4..8).is_some_and(|year| year == b"2022");
    !shifts && charset.eq_ignore_ascii_case(next)
}

fn flush(open: &mut Option<(&[u8], Vec<u8>)>, out: &mut String) {
    if let Some((charset, octets)) = open.take() {
        out.push_str(&Charset::of(charset).decode(&octets));
    }
}

/// The word at the start of `text`. RFC 2047 2: `=?charset?encoding?text?=`.
fn word(text: &[u8]) -> Option<Word<'_>> {
    let text = &text[..text.len().min(MAX_WORD)];
    let inner = text.strip_prefix(b"=?")?;
    let charset_len = memchr::memchr(b'?', inner)?;
    let (charset, rest) = inner.split_at(charset_len);
    if charset.is_empty() || !charset.iter().all(u8::is_ascii_graphic) {
        return None;
    }
    let [_, encoding, b'?', encoded @ ..] = rest else { return None };
    let encoded = &encoded[..memchr::memmem::find(encoded, b"?=")?];
    let mut octets = Vec::with_capacity(encoded.len());
    match encoding.to_ascii_uppercase() {
        b'B' => {
            let mut unwrap = Unwrap::new(Encoding::Base64);
            unwrap.push(encoded, &mut octets);
            unwrap.finish(&mut octets);
        }
        b'Q' => {
            let spaced: Vec<u8> = encoded.iter().map(|b| if *b == b'_' { b' ' } else { *b }).collect();
            let mut unwrap = Unwrap::new(Encoding::QuotedPrintable);
            unwrap.push(&spaced, &mut octets);
            // White space at the end of a line would be dropped, at the end of a word it counts.
            unwrap.push(b"=20", &mut octets);
            octets.pop();
        }
        _ => return None,
    }
    Some(Word { charset, octets, len: 2 + charset_len + 3 + encoded.len() + 2 })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_examples_of_rfc_2047() {
        let cases = [
            ("=?ISO-8859-1?Q?a?=", "a"),
            ("=?ISO-8859-1?Q?a?= b", "a b"),
            ("=?ISO-8859-1?Q?a?= =?ISO-8859-1?Q?b?=", "ab"),
            ("=?ISO-8859-1?Q?a?=    =?ISO-8859-2?Q?_b?=", "a b"),
            ("=?ISO-8859-1?Q?a_b?=", "a b"),
            ("=?US-ASCII?Q?Keith_Moore?= <moore@cs.utk.edu>", "Keith Moore <moore@cs.utk.edu>"),
            ("=?ISO-8859-1?Q?Andr=E9?= Pirard", "Andr\u{e9} Pirard"),
            ("=?ISO-8859-1?B?SWYgeW91IGNhbiByZWFkIHRoaXMgeW8=?=", "If you can read this yo"),
        ];
        for (value, expected) in cases {
            assert_eq!(decode(value.as_bytes()), expected);
        }
    }

    #[test]
    fn what_real_mail_has() {
        let cases: [(&[u8], &str); 8] = [
            (b"=?ISO-2022-JP?B?GyRCJDMbKEI=?= =?iso-2022-jp?B?GyRCJDMbKEI=?=", "\u{3053}\u{3053}"),
            // A character cut in two.
            (b"=?utf-8?Q?=E2=82?= =?utf-8?Q?=AC?=", "\u{20ac}"),
            (b"x =?utf-8?q?end_?=y", "x end y"),
            (b"=?utf-8?x?a?= =?utf-8 =?", "=?utf-8?x?a?= =?utf-8 =?"),
            (b"gr\xfcn =?bogus-1?q?=FC?=", "gr\u{fc}n \u{fc}"),
            ("gr\u{fc}n".as_bytes(), "gr\u{fc}n"),
            (b"=?utf-8*en?q?a?=", "a"),
            (b"=?ks_c_5601-1987?B?sKE=?=", "\u{ac00}"),
        ];
        for (value, expected) in cases {
            assert_eq!(decode(value), expected, "{}", String::from_utf8_lossy(value));
        }
    }

    proptest! {
        #[test]
        fn any_value_has_characters(value in "(=\\?|utf-8|\\?[qQbB]\\?|[ -~]|\\?=|[\u{80}-\u{ff}]){0,40}") {
            prop_assert!(decode(value.as_bytes()).len() <= 3 * value.len());
        }
    }
}
