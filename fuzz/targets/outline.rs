//! Stored outlines that were damaged are refused or read, never more.
#![no_main]

use libfuzzer_sys::fuzz_target;
use mail::message::{Head, Outline};

fuzz_target!(|bytes: &[u8]| {
    let _ = Head::decode(bytes);
    if let Ok(outline) = Outline::decode(bytes) {
        let _ = (outline.root().body(), outline.envelope(), outline.part_count());
    }
});
