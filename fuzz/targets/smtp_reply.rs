//! Replies of other servers are read within limits, whatever they send.
#![no_main]

use bytes::BytesMut;
use libfuzzer_sys::fuzz_target;
use wire::Progress;
use wire::smtp::reply::Decoder;

fuzz_target!(|bytes: &[u8]| {
    let mut decoder = Decoder::new(8192);
    let mut input = BytesMut::from(bytes);
    while let Progress::Value(_) = decoder.push(&mut input) {}
});
