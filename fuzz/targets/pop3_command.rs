//! Any line is a POP3 command or is refused.
#![no_main]

use libfuzzer_sys::fuzz_target;
use wire::pop3::command::Command;

fuzz_target!(|line: &[u8]| {
    let _ = Command::parse(line);
});
