//! storeload: bounded load on the message store itself, and on the engine below it, in one process.
//! One JSON line per run on standard output; exit 0 when the run completed.
//!
//! It promises that every message it counts was acknowledged, that the engine is given the same bodies and as many rows
//! of the same sizes as the store commits for them, and that it stops by itself. `cargo xtask bench store` runs it and
//! keeps what it says.
#![expect(clippy::disallowed_methods, reason = "the load comes from outside the house: it has no env")]
mod args;
mod deliver;
mod engine;
mod fill;
mod grown;
mod meanwhile;
mod messages;
mod meter;
mod pair;
mod reclaim;
mod search;

use serde_json::{Map, Value};
use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const HELP: &str = "storeload pair|fill|grown|reclaim|search --folder FOLDER [--key value]...
pair:  --messages 40000 --callers 64 --mailboxes 1000 --rounds 3: the store and the bare engine in turn, below FOLDER;
       --only store|engine
fill:  --first 1 --mailboxes 1 --each 1000000 --size 600 --callers 256: FOLDER is a store
grown: --big 1 --empty 3 --messages 2000 --callers 64: deliveries into both in turn; FOLDER is a store
reclaim: --messages 40000: 30 % deleted and given back
search: --messages 50000 --size 4000: texts looked for without and with the text index";

fn main() -> ExitCode {
    let mut words = std::env::args().skip(1);
    let command = words.next().unwrap_or_default();
    let outcome = args::Args::parse(words).and_then(|args| run(&command, &args));
    match outcome {
        Ok(said) => {
            println!("{}", Value::Object(said));
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("storeload: {error}\n{HELP}");
            ExitCode::FAILURE
        }
    }
}

/// What a run has to say.
pub(crate) type Said = Map<String, Value>;

fn run(command: &str, args: &args::Args) -> Result<Said, String> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    runtime.map_err(|e| e.to_string())?.block_on(async {
        match command {
            "pair" => pair::run(args).await,
            "fill" => fill::run(args).await,
            "reclaim" => reclaim::run(args).await,
            "search" => search::run(args).await,
            "grown" => grown::run(args).await,
            other => Err(format!("no command '{other}'")),
        }
    })
}
