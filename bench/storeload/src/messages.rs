//! Messages as they come in: usual headers, bodies of text that no compression makes smaller, sizes as in mail.
use bytes::Bytes;
use mail::message::{Limits, Scanner};
use std::fmt::Write as _;

/// Different messages; each is delivered many times, and no two deliveries share a stored body.
const DIFFERENT: u64 = 512;
/// Median of the sizes.
const MEDIAN: f64 = 8192.0;
/// Of the logarithm of the sizes: the mean is then 13 KB.
const SIGMA: f64 = 0.96;
/// Different words.
const WORDS: u64 = 50_000;
const SMALLEST: f64 = 2048.0;
const LARGEST: f64 = 102_400.0;

/// One message.
pub(crate) struct Message {
    pub(crate) body: Bytes,
    /// What the store keeps beside it.
    pub(crate) outline: Bytes,
}

/// A set of messages.
pub(crate) struct Messages(Vec<Message>);

impl Messages {
    /// Sizes lognormal: median 8 KB, mean 13 KB, 2 to 100 KB.
    pub(crate) fn as_in_mail() -> Self {
        let mut chance = Chance(7);
        let mut size = || (MEDIAN * (SIGMA * chance.normal()).exp()).clamp(SMALLEST, LARGEST) as usize;
        Self((0..DIFFERENT).map(|n| message(n, size())).collect())
    }

    /// All of one size.
    pub(crate) fn of_size(bytes: usize) -> Self {
        Self((0..DIFFERENT).map(|n| message(n, bytes)).collect())
    }

    /// One message of words, as often as such words are used, with one of its own: `needle{n}x`.
    pub(crate) fn of_words(n: u64, bytes: usize) -> Message {
        let mut chance = Chance(n);
        let mut text = header(n);
        let mut line = format!("needle{n}x");
        while text.len() < bytes {
            // A few words are half of all, as in any language.
            let rank = (WORDS as f64).powf(chance.next() as f64 / u64::MAX as f64) as u64;
            line.push(' ');
            line.push_str(&word(rank));
            if line.len() > 70 {
                text.push_str(&line);
                text.push_str("\r\n");
                line.clear();
            }
        }
        noted(text)
    }

    /// The n-th delivery's message.
    pub(crate) fn get(&self, n: u64) -> &Message {
        &self.0[mixed(n) as usize % self.0.len()]
    }
}

/// A message of about this many bytes.
fn message(n: u64, bytes: usize) -> Message {
    let mut text = header(n);
    let mut chance = Chance(n);
    while text.len() < bytes {
        for _ in 0..4 {
            let _ = write!(text, "{:016x}", chance.next());
        }
        text.push_str("\r\n");
    }
    noted(text)
}

fn header(n: u64) -> String {
    format!(
        "Return-Path: <sender{n}@example.com>\r\n\
        Received: from mail.example.com (mail.example.com [192.0.2.1]) by localhost with ESMTP id {n}; Mon, 23 Nov 2026 12:00:00 +0000\r\n\
        From: \"A Sender\" <sender{n}@example.com>\r\nTo: user@example.org\r\nSubject: Message number {n}\r\n\
        Date: Mon, 23 Nov 2026 11:59:58 +0000\r\nMessage-ID: <{n}.0123456789abcdef@example.com>\r\nMIME-Version: 1.0\r\n\
        Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n"
    )
}

fn noted(text: String) -> Message {
    let mut scanner = Scanner::new(Limits::default());
    scanner.push(text.as_bytes());
    Message { outline: scanner.finish().encode().into(), body: text.into() }
}

/// The word of a rank: two to five syllables.
fn word(rank: u64) -> String {
    let mut rest = mixed(rank);
    let mut word = String::new();
    for _ in 0..2 + rank % 4 {
        word.push(char::from(b"bcdfghjklmnprstvwz"[rest as usize % 18]));
        word.push(char::from(b"aeiou"[(rest >> 8) as usize % 5]));
        rest = mixed(rest);
    }
    word
}

/// splitmix64.
struct Chance(u64);

impl Chance {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mixed(self.0)
    }

    /// The sum of twelve even ones.
    fn normal(&mut self) -> f64 {
        (0..12).map(|_| self.next() as f64 / u64::MAX as f64).sum::<f64>() - 6.0
    }
}

pub(crate) fn mixed(n: u64) -> u64 {
    let n = (n ^ (n >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let n = (n ^ (n >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    n ^ (n >> 31)
}
