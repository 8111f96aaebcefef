//! All automation of the house: `cargo xtask <command>`.
//!
//! Each command is one file. Nothing here is needed to run the product, and nothing needs a shell.

#![expect(clippy::disallowed_methods, reason = "it runs beside the house and measures it: it has no env")]

mod bench;
mod catalog_use;
mod ci;
mod corpus;
mod debian;
mod docs;
mod its;
mod layers;
mod licences;
mod proto;
mod site;
mod sizes;
mod source;
mod test;
mod torture;
mod workspace;

use anyhow::{Result, bail};
use std::process::ExitCode;
use workspace::Workspace;

/// A command: its word, what it says of itself, what it does with the words behind it.
struct Command {
    name: &'static str,
    about: &'static str,
    run: fn(&Workspace, &[String]) -> Result<()>,
}

const COMMANDS: &[Command] = &[
    Command { name: "ci", about: "everything a change must pass", run: ci::run },
    Command { name: "test", about: "unit, transcript, scenario and real-client tests", run: test::run },
    Command { name: "bench", about: "a load against ours and against Postfix + Dovecot", run: bench::run },
    Command { name: "corpus", about: "every message of the real corpus in and back", run: corpus::run },
    Command { name: "layers", about: "who depends on whom, against layers.toml", run: layers::run },
    Command {
        name: "sizes",
        about: "long files and functions, and what stands in the wrong room",
        run: sizes::run,
    },
    Command {
        name: "catalog",
        about: "keys that nobody reads, events that nobody emits",
        run: catalog_use::run,
    },
    Command { name: "docs", about: "writes docs/reference; --check fails if it is stale", run: docs::run },
    Command { name: "its", about: "recorded items against the tests that cover them", run: its::run },
    Command {
        name: "torture",
        about: "crashes at every sync, kill -9, full disk, failing sync, 50 MB, with a ledger",
        run: torture::run,
    },
    Command {
        name: "site",
        about: "six hosts under a mixed load, each taken away in turn, with a ledger",
        run: site::run,
    },
    Command {
        name: "proto",
        about: "numbers of the wire against proto.lock; --write adds the new ones",
        run: proto::run,
    },
    Command { name: "licences", about: "the licence, ban and source fence of deny.toml", run: licences::run },
];

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    match run(&words) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(words: &[String]) -> Result<()> {
    let name = words.first().map_or("help", String::as_str);
    if let Some(command) = COMMANDS.iter().find(|c| c.name == name) {
        return (command.run)(&Workspace::find()?, &words[1..]);
    }
    println!("cargo xtask <command>\n");
    for command in COMMANDS {
        println!("  {:10}{}", command.name, command.about);
    }
    match name {
        "help" | "--help" | "-h" => Ok(()),
        other => bail!("no command is called {other}"),
    }
}
