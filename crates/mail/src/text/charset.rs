//! Charsets by the names that mail gives them.
//!
//! The WHATWG table of `encoding_rs` knows most labels. What it does not know is here: names that real mail
//! has and no table lists, names for "no idea", and US-ASCII, which the web reads as windows-1252 and which
//! in mail as often holds UTF-8.

use encoding_rs::{Encoding, UTF_8, WINDOWS_1252};
use std::borrow::Cow;

/// How octets of a label are to be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Charset {
    /// As the label says.
    Known(&'static Encoding),
    /// The label says nothing of use (`us-ascii`, `unknown-8bit`, misspelt): UTF-8 where it is valid,
    /// windows-1252 where not.
    Guess,
}

/// Labels of real mail that WHATWG does not list. Names that only say "eight bits" are left to the guess.
const ALIASES: &[(&str, &str)] = &[
    ("chinesebig5", "big5"),
    ("cp932", "shift_jis"),
    ("cp936", "gbk"),
    ("cp949", "euc-kr"),
    ("cp950", "big5"),
    ("gb-2312", "gbk"),
    ("iso-10646-ucs-2", "utf-16be"),
    ("iso_8859_1", "iso-8859-1"),
    ("iso8859_1", "iso-8859-1"),
    ("iso-8859-1-windows-3.1-latin-1", "windows-1252"),
    ("ks_c_5601", "euc-kr"),
    ("latin-1", "iso-8859-1"),
    ("utf8mb4", "utf-8"),
    ("utf_8", "utf-8"),
    ("windows-874-2000", "windows-874"),
    ("windows-932", "shift_jis"),
    ("windows-936", "gbk"),
    ("windows-949", "euc-kr"),
    ("x-mac-roman", "macintosh"),
    ("x-windows-949", "euc-kr"),
];

/// Labels that WHATWG maps to something, and mail uses for "not said".
const SAYS_NOTHING: &[&str] = &["us-ascii", "ascii", "ansi_x3.4-1968", "iso-ir-6", "default", "unknown-8bit"];

impl Charset {
    /// What a label means: in any case, quotes and white space around it ignored, an RFC 2231 language tag
    /// cut off. Anything unknown is a guess.
    pub fn of(label: &[u8]) -> Self {
        let label = label.split(|b| *b == b'*').next().unwrap_or_default();
        let label = label.trim_ascii();
        let label = label.strip_prefix(b"\"").unwrap_or(label);
        let label = label.strip_suffix(b"\"").unwrap_or(label).trim_ascii();
        let is = |name: &&str| name.as_bytes().eq_ignore_ascii_case(label);
        if SAYS_NOTHING.iter().any(is) {
            return Self::Guess;
        }
        let alias = ALIASES.iter().find(|(name, _)| is(name)).map(|(_, known)| known.as_bytes());
        // The replacement encoding (ISO-2022-CN and its kind) would show nothing at all.
        let known = Encoding::for_label_no_replacement(alias.unwrap_or(label));
        known.map_or(Self::Guess, Self::Known)
    }

    /// The characters; what is no character becomes U+FFFD.
    pub fn decode(self, octets: &[u8]) -> Cow<'_, str> {
        match self {
            Self::Known(encoding) => encoding.decode_without_bom_handling(octets).0,
            Self::Guess => match std::str::from_utf8(octets) {
                Ok(text) => Cow::Borrowed(text),
                Err(_) => WINDOWS_1252.decode_without_bom_handling(octets).0,
            },
        }
    }

    /// A decoder for octets that come in pieces.
    pub fn decoder(self) -> Decoder {
        match self {
            Self::Known(encoding) => {
                Decoder { inner: encoding.new_decoder_without_bom_handling(), guess: None }
            }
            Self::Guess => Decoder {
                inner: UTF_8.new_decoder_without_bom_handling(),
                guess: Some(Vec::with_capacity(4)),
            },
        }
    }
}

/// Decodes octets in pieces. A guess holds to UTF-8 until the first octets that are not.
pub struct Decoder {
    inner: encoding_rs::Decoder,
    /// While guessing: the octets of a character that is not complete yet.
    guess: Option<Vec<u8>>,
}

impl Decoder {
    /// Appends the characters of the next octets; a character cut by the end of a piece comes with the next.
    pub fn push(&mut self, octets: &[u8], out: &mut String) {
        if let Some(held) = &mut self.guess {
            held.extend_from_slice(octets);
            match std::str::from_utf8(held) {
                Ok(text) => {
                    out.push_str(text);
                    held.clear();
                    return;
                }
                Err(bad) => {
                    let valid = held.drain(..bad.valid_up_to()).collect::<Vec<u8>>();
                    out.push_str(&String::from_utf8_lossy(&valid));
                    if bad.error_len().is_none() {
                        return;
                    }
                }
            }
            let rest = self.guess.take().unwrap_or_default();
            self.inner = WINDOWS_1252.new_decoder_without_bom_handling();
            return self.feed(&rest, out, Last::No);
        }
        self.feed(octets, out, Last::No);
    }

    /// The octets are complete: appends what an unfinished character becomes.
    pub fn finish(mut self, out: &mut String) {
        if let Some(held) = self.guess.take().filter(|held| !held.is_empty()) {
            self.inner = WINDOWS_1252.new_decoder_without_bom_handling();
            return self.feed(&held, out, Last::Yes);
        }
        self.feed(&[], out, Last::Yes);
    }

    fn feed(&mut self, octets: &[u8], out: &mut String, last: Last) {
        let most = self.inner.max_utf8_buffer_length(octets.len()).unwrap_or(octets.len() * 3 + 16);
        out.reserve(most);
        // There is room for the worst case, so one call takes everything.
        let _ = self.inner.decode_to_string(octets, out, matches!(last, Last::Yes));
    }
}

#[derive(Clone, Copy)]
enum Last {
    No,
    Yes,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_of_real_mail() {
        let name = |label: &str| match Charset::of(label.as_bytes()) {
            Charset::Known(encoding) => encoding.name(),
            Charset::Guess => "?",
        };
        let cases = [
            ("UTF-8", "UTF-8"),
            (" \"iso-8859-1\" ", "windows-1252"),
            ("ks_c_5601-1987", "EUC-KR"),
            ("CHINESEBIG5", "Big5"),
            ("gb2312", "GBK"),
            ("utf-8*en", "UTF-8"),
            ("us-ascii", "?"),
            ("default", "?"),
            ("unknown-8bit", "?"),
            ("x-unknown", "?"),
            ("iso-2022-cn", "?"),
            ("", "?"),
        ];
        for (label, expected) in cases {
            assert_eq!(name(label), expected, "{label}");
        }
        for (alias, known) in ALIASES {
            assert!(Encoding::for_label(known.as_bytes()).is_some(), "{alias}");
        }
    }

    #[test]
    fn a_guess_is_utf8_where_it_can_be() {
        assert_eq!(Charset::Guess.decode("gr\u{fc}n".as_bytes()), "gr\u{fc}n");
        assert_eq!(Charset::Guess.decode(b"gr\xfcn"), "gr\u{fc}n");
    }

    #[test]
    fn pieces_give_what_the_whole_gives() {
        let cases: [(&str, &[u8]); 5] = [
            ("utf-8", "\u{20ac} and \u{1f600} and \u{e9}".as_bytes()),
            ("us-ascii", "\u{20ac} and \u{1f600}".as_bytes()),
            ("us-ascii", b"plain \xfc and \xe9 and \x80"),
            ("iso-2022-jp", b"\x1b$B$3$s\x1b(B x"),
            ("utf-8", b"bad \xff end \xe2\x82"),
        ];
        for (label, octets) in cases {
            let charset = Charset::of(label.as_bytes());
            for size in 1..6 {
                let mut out = String::new();
                let mut decoder = charset.decoder();
                octets.chunks(size).for_each(|piece| decoder.push(piece, &mut out));
                decoder.finish(&mut out);
                assert_eq!(out, charset.decode(octets), "{label} in pieces of {size}");
            }
        }
    }
}
