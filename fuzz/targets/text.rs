//! Header values and bodies in any encoding become text, whatever they hold.
#![no_main]

use libfuzzer_sys::fuzz_target;
use mail::text::charset::Charset;
use mail::text::transfer::{BodyText, Encoding};
use mail::text::{utf7, words};

fuzz_target!(|input: (&[u8], &[u8], &[u8])| {
    let (encoding, charset, bytes) = input;
    let _ = words::decode(bytes);
    if let Ok(name) = utf7::decode(bytes) {
        assert_eq!(utf7::encode(&name).as_bytes(), bytes);
    }
    let mut text = BodyText::new(Encoding::of(encoding), Charset::of(charset));
    let mut out = String::new();
    text.push(bytes, &mut out);
    text.finish(&mut out);
});
