//! The one program of the house: the daemon and every `im*` command.
//!
//! Started under the name of a command (a link to it), or with the name as its first word, it is that command;
//! otherwise it is the daemon's own command line (`serve`, `try`).

use std::ffi::OsString;
use std::path::Path;
use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let line: Vec<OsString> = std::env::args_os().collect();
    let own_name = line.first().and_then(|n| Path::new(n).file_name()).and_then(|n| n.to_str());
    if let Some(name) = own_name.filter(|n| admin::commands::find(n).is_some()) {
        return admin::main(name, line[1..].to_vec(), &server::SiteOpener);
    }
    match line.get(1).and_then(|n| n.to_str()).filter(|n| admin::commands::find(n).is_some()) {
        Some(name) => admin::main(name, line[2..].to_vec(), &server::SiteOpener),
        None => server::main(line),
    }
}
