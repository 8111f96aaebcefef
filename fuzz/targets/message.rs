//! The scanner finds the same outline however a message is cut, and all ranges lie within it.
#![no_main]

use libfuzzer_sys::fuzz_target;
use mail::message::{Limits, Outline, Scanner};

fuzz_target!(|input: (u16, &[u8])| {
    let (cut, bytes) = input;
    let whole = scan(&[bytes]);
    let (first, rest) = bytes.split_at(usize::from(cut).min(bytes.len()));
    assert_eq!(whole.encode(), scan(&[first, rest]).encode());
    let root = whole.root();
    assert!(root.body().end <= bytes.len() as u64 && root.header().end <= bytes.len() as u64);
    assert!(Outline::decode(&whole.encode()).is_ok());
});

fn scan(pieces: &[&[u8]]) -> Outline {
    let mut scanner = Scanner::new(Limits::default());
    pieces.iter().for_each(|piece| scanner.push(piece));
    scanner.finish()
}
