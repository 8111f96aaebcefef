//! The decoder of IMAP commands takes any bytes, in two pieces, and ends.
#![no_main]

use bytes::BytesMut;
use libfuzzer_sys::fuzz_target;
use wire::imap::Limits;
use wire::imap::decoder::{Decoder, Event};
use wire::imap::name::NameForm;

fuzz_target!(|input: (u16, &[u8])| {
    let (cut, bytes) = input;
    let (first, rest) = bytes.split_at(usize::from(cut).min(bytes.len()));
    let mut decoder = Decoder::new(Limits::default());
    let mut buffer = BytesMut::from(first);
    for piece in [rest, &[]] {
        // Every event takes something from the buffer, but the two that end the loop.
        for _ in 0..=bytes.len() {
            match decoder.next(&mut buffer, NameForm::Utf7) {
                Event::NeedMore => break,
                Event::Fatal(_) => return,
                _ => {}
            }
        }
        buffer.extend_from_slice(piece);
    }
});
