//! isdload: how the directory over PostgreSQL grows, and what its copy on a host costs and gives.
//! One JSON line per run on standard output; exit 0 when the run completed.
//!
//! It starts a durable server of its own (Debian's package `postgresql`), loads accounts up to 10,000, 100,000 and so on,
//! and at each size creates single accounts through the directory server as `imdbcontrol` in batch mode does: one request
//! one durable transaction, 256 requests a call. Then it builds the copy while accounts are created, looks up random
//! accounts in a process of its own as a front end does, and measures how long a change of another process takes until a
//! front end has it. Passwords come hashed: hashing is measured elsewhere. `cargo xtask bench isd` keeps what it says.
#![expect(clippy::disallowed_methods, reason = "the load comes from outside the house: it has no env")]

mod copy;
mod front;
mod grow;
mod load;
mod meter;

use anyhow::{Context as _, Result, bail};
use std::path::PathBuf;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const HELP: &str = "isdload knows --accounts N, --singles N, --lookups N, --seen N, --engine postgres|sqlite";

/// What to do.
#[derive(Clone)]
pub(crate) struct Options {
    /// Accounts of the largest directory.
    pub(crate) accounts: u64,
    /// Accounts that are created one by one at each size.
    pub(crate) singles: u64,
    /// Look-ups of each kind.
    pub(crate) lookups: u64,
    /// Changes whose way to a front end is timed.
    pub(crate) seen: u64,
    pub(crate) engine: Engine,
    /// What the names of those accounts begin with, in a process that this program has started.
    pub(crate) names: String,
    /// The folder of the copy, likewise.
    pub(crate) folder: PathBuf,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Engine {
    Postgres,
    Sqlite,
}

impl Options {
    fn parse(mut words: impl Iterator<Item = String>) -> Result<Self> {
        let mut options = Self {
            accounts: 200_000,
            singles: 2_560,
            lookups: 2_000_000,
            seen: 40,
            engine: Engine::Postgres,
            names: "seen".to_owned(),
            folder: PathBuf::new(),
        };
        while let Some(word) = words.next() {
            let value = words.next().with_context(|| format!("{word} needs a value"))?;
            match (word.as_str(), value.as_str()) {
                ("--accounts", n) => options.accounts = n.parse()?,
                ("--singles", n) => options.singles = n.parse()?,
                ("--lookups", n) => options.lookups = n.parse()?,
                ("--seen", n) => options.seen = n.parse()?,
                ("--names", text) => options.names = text.to_owned(),
                ("--folder", path) => options.folder = path.into(),
                ("--engine", "sqlite") => options.engine = Engine::Sqlite,
                ("--engine", "postgres") => options.engine = Engine::Postgres,
                _ => bail!("{HELP}; not {word} {value}"),
            }
        }
        Ok(options)
    }
}

/// What a run has to say.
pub(crate) type Said = serde_json::Map<String, serde_json::Value>;

#[tokio::main]
async fn main() -> Result<()> {
    let mut words = std::env::args().skip(1).peekable();
    let child = words.next_if(|word| !word.starts_with('-'));
    let options = Options::parse(words)?;
    let said = match child.as_deref() {
        None => grow::run(&options).await?,
        Some("look") => front::look(&options).await?,
        Some("watch") => front::watch(&options).await?,
        Some(other) => bail!("{HELP}; not {other}"),
    };
    println!("{}", serde_json::Value::Object(said));
    Ok(())
}
