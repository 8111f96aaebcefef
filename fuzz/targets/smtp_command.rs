//! Any line is an SMTP command or is refused.
#![no_main]

use libfuzzer_sys::fuzz_target;
use wire::smtp::command::Command;

fuzz_target!(|line: &[u8]| {
    let _ = Command::parse(line);
});
