//! `imdirupdate`: pushes one entry into the copy of the directory.

use crate::command::{Command, Count, Example, Exit, Grammar, Group, Outcome, Place, Word};
use crate::context::{Context, Failure};
use std::sync::Arc;

/// The row.
pub const COMMAND: Command = Command {
    name: "imdirupdate",
    aliases: &[],
    group: Group::Directory,
    summary: "Pushes one entry of the directory into this host's copy of it",
    about: "Reads the entry from the directory and puts it into the copy now, ahead of its turn in the log of changes: an account by its \
            login name or SMTP address, or domain:NAME, or class:NAME (cosName in former releases).",
    usage: &["NAME..."],
    options: &[],
    words: &[Word { name: "NAME", count: Count::Some, help: "What to push" }],
    examples: &[
        Example { line: "imdirupdate ann@example.org", does: "Pushes an account" },
        Example { line: "imdirupdate class:default", does: "Pushes a class of service" },
    ],
    exits: &[(1, "the directory or the copy could not be used")],
    place: Place::Site,
    unavailable: Exit::FAILED,
    grammar: Grammar::Mixed,
    run: |context| Box::pin(run(context)),
};

async fn run(context: &mut Context) -> Outcome {
    let cache = Arc::clone(&context.roles()?.cache);
    for name in context.arguments.words().to_vec() {
        cache.cache_push(&context.call(), name).await.map_err(Failure::because)?;
    }
    Ok(Exit::OK)
}
