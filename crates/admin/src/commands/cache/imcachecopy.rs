//! `imcachecopy`: copies the copy of the directory, for another host.

use crate::command::{Command, Count, Example, Exit, Grammar, Group, Outcome, Place, Word};
use crate::context::{Context, Failure};
use crate::output::Format;
use serde_json::json;
use std::sync::Arc;

/// The row.
pub const COMMAND: Command = Command {
    name: "imcachecopy",
    aliases: &[],
    group: Group::Directory,
    summary: "Copies this host's copy of the directory to a folder, while it is used",
    about: "The copy in the folder is consistent, verified by reading all of it, and belongs to the service user alone. What the \
            folder held is replaced only when all is there; on a full disk source and target stay as they were. A server \
            that starts with it brings in what has changed since, as long as the directory's log of changes goes back so far.",
    usage: &["[-json] FOLDER"],
    options: &[],
    words: &[Word { name: "FOLDER", count: Count::One, help: "Where to; the folder above it must exist" }],
    examples: &[Example { line: "imcachecopy /mnt/new-host/dirCacheDB", does: "Copies it for a new host" }],
    exits: &[(1, "it could not be copied")],
    place: Place::Site,
    unavailable: Exit::FAILED,
    grammar: Grammar::Mixed,
    run: |context| Box::pin(run(context)),
};

async fn run(context: &mut Context) -> Outcome {
    let cache = Arc::clone(&context.roles()?.cache);
    let folder = context.arguments.words().first().cloned().unwrap_or_default();
    let bytes =
        cache.cache_copy(&context.call().for_long_work(), folder.clone()).await.map_err(Failure::because)?;
    match context.console.format() {
        Format::Json => context.console.json(&json!({ "folder": folder, "bytes": bytes })).await?,
        Format::Text => {
            context.console.line(format!("{bytes} bytes copied to {folder} and verified.")).await?
        }
    }
    Ok(Exit::OK)
}
