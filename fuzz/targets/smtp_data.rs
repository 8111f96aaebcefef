//! What the stuffer sends, the decoder of DATA gives back, and it ends nowhere but at the end.
#![no_main]

use bytes::BytesMut;
use libfuzzer_sys::fuzz_target;
use wire::smtp::data::{Decoder, Piece, Stuffer};

fuzz_target!(|content: &[u8]| {
    let mut sent = BytesMut::new();
    let mut stuffer = Stuffer::new();
    stuffer.push(content, &mut sent);
    stuffer.finish(&mut sent);
    let (mut decoder, mut got, mut input) = (Decoder::new(), Vec::new(), &sent[..]);
    loop {
        match decoder.next(input) {
            Piece::NeedMore => panic!("no end in {sent:?}"),
            Piece::Content { skip, keep } => {
                got.extend_from_slice(&input[skip..skip + keep]);
                input = &input[skip + keep..];
            }
            Piece::End { skip, .. } => {
                assert_eq!(input.len(), skip);
                break;
            }
        }
    }
    assert!(got.starts_with(content.strip_suffix(b"\r").unwrap_or(content)));
});
