//! Folder names in IMAP's modified UTF-7. RFC 3501 5.1.3; still what IMAP4rev1 clients speak (RFC 9051 A).
//!
//! Strict both ways: every name has exactly one encoding, and any other is refused, so that two spellings
//! never name one folder.

/// Why octets are no modified UTF-7.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadUtf7 {
    /// An octet outside of printable ASCII.
    #[error("only printable ASCII may stand in modified UTF-7")]
    NotAscii,
    /// A shift that does not end, is not needed, or follows another directly.
    #[error("the name is not in the one form that modified UTF-7 gives it")]
    NotCanonical,
    /// Not BASE64, or half a character.
    #[error("the BASE64 in the name is broken")]
    BadBase64,
}

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+,";

/// The modified UTF-7 of a name.
pub fn encode(name: &str) -> String {
    let mut out = String::with_capacity(name.len() + 8);
    let mut rest = name;
    while let Some(c) = rest.chars().next() {
        let run = rest.find(is_direct).unwrap_or(rest.len());
        if run == 0 {
            out.push_str(if c == '&' { "&-" } else { &rest[..c.len_utf8()] });
            rest = &rest[c.len_utf8()..];
        } else {
            out.push('&');
            shift(&rest[..run], &mut out);
            out.push('-');
            rest = &rest[run..];
        }
    }
    out
}

/// The name that modified UTF-7 stands for.
///
/// # Errors
/// Where it is not the encoding of a name.
pub fn decode(encoded: &[u8]) -> Result<String, BadUtf7> {
    let mut out = String::with_capacity(encoded.len());
    let mut rest = encoded;
    let mut after_shift = false;
    while let Some((&byte, tail)) = rest.split_first() {
        if !is_direct(char::from(byte)) {
            return Err(BadUtf7::NotAscii);
        }
        rest = tail;
        if byte != b'&' {
            out.push(char::from(byte));
            after_shift = false;
            continue;
        }
        let end = memchr::memchr(b'-', rest).ok_or(BadUtf7::NotCanonical)?;
        if end == 0 {
            out.push('&');
        } else if after_shift {
            // RFC 3501 5.1.3: two runs of BASE64 side by side would be one.
            return Err(BadUtf7::NotCanonical);
        } else {
            unshift(&rest[..end], &mut out)?;
        }
        after_shift = end > 0;
        rest = &rest[end + 1..];
    }
    Ok(out)
}

/// RFC 3501 5.1.3: printable US-ASCII stands for itself, `&` alone is special.
fn is_direct(c: char) -> bool {
    matches!(c, ' '..='~')
}

/// UTF-16 in BASE64 without padding.
fn shift(run: &str, out: &mut String) {
    let (mut bits, mut held) = (0u32, 0u32);
    let mut put = |value: u32| out.push(char::from(ALPHABET[usize::try_from(value & 63).unwrap_or(0)]));
    for unit in run.encode_utf16() {
        bits = bits << 16 | u32::from(unit);
        held += 16;
        while held >= 6 {
            held -= 6;
            put(bits >> held);
        }
        bits &= (1 << held) - 1;
    }
    if held > 0 {
        put(bits << (6 - held));
    }
}

fn unshift(run: &[u8], out: &mut String) -> Result<(), BadUtf7> {
    let (mut bits, mut held) = (0u32, 0u32);
    let mut units = Vec::with_capacity(run.len() * 3 / 8 + 1);
    for &byte in run {
        let value = ALPHABET.iter().position(|c| *c == byte).and_then(|n| u32::try_from(n).ok());
        bits = bits << 6 | value.ok_or(BadUtf7::BadBase64)?;
        held += 6;
        if held >= 16 {
            held -= 16;
            units.push(u16::try_from(bits >> held & 0xffff).unwrap_or(0));
            bits &= (1 << held) - 1;
        }
    }
    // What is left over must be less than one digit, and zero.
    if held >= 6 || bits != 0 {
        return Err(BadUtf7::BadBase64);
    }
    for c in char::decode_utf16(units) {
        let c = c.map_err(|_| BadUtf7::BadBase64)?;
        if is_direct(c) {
            return Err(BadUtf7::NotCanonical);
        }
        out.push(c);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_example_of_rfc_3501() {
        let name = "~peter/mail/\u{53f0}\u{5317}/\u{65e5}\u{672c}\u{8a9e}";
        assert_eq!(encode(name), "~peter/mail/&U,BTFw-/&ZeVnLIqe-");
        assert_eq!(decode(b"~peter/mail/&U,BTFw-/&ZeVnLIqe-").as_deref(), Ok(name));
        assert_eq!(encode("A & B"), "A &- B");
        assert_eq!(decode(b"&Jjo-!").as_deref(), Ok("\u{263a}!"));
        assert_eq!(encode("\u{1f600}"), "&2D3eAA-");
    }

    #[test]
    fn only_the_one_right_form_is_taken() {
        let cases: [(&[u8], BadUtf7); 8] = [
            (b"&Jjo!", BadUtf7::NotCanonical),
            (b"&U,BTFw-&ZeVnLIqe-", BadUtf7::NotCanonical),
            (b"&AGE-", BadUtf7::NotCanonical),
            (b"&AA-", BadUtf7::BadBase64),
            (b"&Jjp-", BadUtf7::BadBase64),
            (b"&2D0-", BadUtf7::BadBase64),
            (b"&Jj/-", BadUtf7::BadBase64),
            (b"\xc3\xa9", BadUtf7::NotAscii),
        ];
        for (bad, why) in cases {
            assert_eq!(decode(bad), Err(why), "{}", String::from_utf8_lossy(bad));
        }
    }

    proptest! {
        #[test]
        fn every_name_comes_back(name in "\\PC{0,40}|[a-z&\u{0}\u{e9}\u{1f600}-]{0,20}") {
            let encoded = encode(&name);
            prop_assert!(encoded.bytes().all(|b| matches!(b, b' '..=b'~')));
            prop_assert_eq!(decode(encoded.as_bytes()), Ok(name));
        }

        #[test]
        fn what_is_taken_is_the_encoding_of_its_name(encoded in "[&A-Za,+0-9-]{0,24}") {
            if let Ok(name) = decode(encoded.as_bytes()) {
                prop_assert_eq!(encode(&name), encoded);
            }
        }
    }
}
