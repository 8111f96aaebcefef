//! An address that is read prints as one that reads the same.
#![no_main]

use libfuzzer_sys::fuzz_target;
use mail::address::Address;

fuzz_target!(|text: &str| {
    if let Ok(address) = Address::parse(text) {
        assert_eq!(Address::parse(&address.to_string()).as_ref(), Ok(&address));
    }
});
