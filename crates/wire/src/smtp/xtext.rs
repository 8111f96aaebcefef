//! RFC 3461 4: `+2B` for what may not stand in a parameter.

use std::fmt::Write as _;

/// Decodes, with RFC 6533 3's raw UTF-8; `None` where the text is no xtext, decodes to more than `limit`
/// octets, is not UTF-8, or holds a control character, which could forge a header of a report.
pub(super) fn decode(text: &str, limit: usize) -> Option<Box<str>> {
    let mut octets = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(octet) = rest.next() {
        match octet {
            b'+' => octets.push(hex(rest.next()?)? << 4 | hex(rest.next()?)?),
            b'=' | 0..=0x20 | 0x7f => return None,
            plain => octets.push(plain),
        }
    }
    let decoded = String::from_utf8(octets).ok()?;
    (decoded.len() <= limit && !decoded.contains(char::is_control)).then(|| decoded.into_boxed_str())
}

/// Appends the encoded form of `text`; UTF-8 becomes encoded octets, which every peer can take.
pub(super) fn encode(text: &str, out: &mut String) {
    for octet in text.bytes() {
        match octet {
            b'+' | b'=' | 0..=0x20 | 0x7f.. => {
                let _ = write!(out, "+{octet:02X}");
            }
            plain => out.push(char::from(plain)),
        }
    }
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|d| u8::try_from(d).ok())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn only_xtext_is_taken() {
        assert_eq!(decode("a+2Bb+20c", 10).as_deref(), Some("a+b c"));
        for bad in ["a=b", "a b", "a+2", "a+xy", "a+0D+0A", "+FF", "12345678901"] {
            assert_eq!(decode(bad, 10), None, "{bad}");
        }
    }

    proptest! {
        #[test]
        fn what_is_encoded_comes_back(text in "[^\\p{Cc}]{0,60}") {
            let mut encoded = String::new();
            encode(&text, &mut encoded);
            prop_assert!(encoded.bytes().all(|b| (0x21..0x7f).contains(&b)));
            let decoded = decode(&encoded, 1000);
            prop_assert_eq!(decoded.as_deref(), Some(text.as_str()));
        }
    }
}
