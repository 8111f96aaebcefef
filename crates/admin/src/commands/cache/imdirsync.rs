//! `imdirsync`: builds the copy of the directory anew.

use crate::command::{Command, Example, Exit, Grammar, Group, Outcome, Place};
use crate::context::{Context, Failure};
use crate::output::Format;
use serde_json::json;
use std::sync::Arc;

/// The row.
pub const COMMAND: Command = Command {
    name: "imdirsync",
    aliases: &["imdirsnc", "imdirsycn"],
    group: Group::Directory,
    summary: "Builds this host's copy of the directory anew",
    about: "Reads the whole directory in batches into new files beside those in use, puts them in force in one step, and brings in what \
            was changed meanwhile. Logins, mail and provisioning go on. Another value of numUserDbFiles takes effect by it. It \
            needs no change of logAgeHours: a copy that falls behind the log of changes is built anew by itself. \
            Interrupted, it leaves the old copy in force.",
    usage: &["[-json]"],
    options: &[],
    words: &[],
    examples: &[Example { line: "imdirsync", does: "Builds the copy, with a bar of progress" }],
    exits: &[(1, "it could not be built, or another one is being built; the old copy is in force")],
    place: Place::Site,
    unavailable: Exit::FAILED,
    grammar: Grammar::Mixed,
    run: |context| Box::pin(run(context)),
};

async fn run(context: &mut Context) -> Outcome {
    let cache = Arc::clone(&context.roles()?.cache);
    let call = context.call().for_long_work();
    let built = super::follow(context, &*cache, cache.cache_build(&call)).await?;
    let seconds = built.took.as_secs_f64();
    let a_minute = (built.accounts as f64 * 60.0 / seconds.max(0.001)).round();
    let status = cache.cache_status(&call).await.map_err(Failure::because)?;
    match context.console.format() {
        Format::Json => {
            let value = json!({
                "accounts": built.accounts, "seconds": seconds, "accounts_a_minute": a_minute,
                "position": status.position, "bytes": status.bytes, "files": status.files,
            });
            context.console.json(&value).await?;
        }
        Format::Text => {
            let text = format!(
                "{} accounts in {seconds:.1} s ({a_minute} a minute), {} bytes in {} files. The new copy is in force.",
                built.accounts, status.bytes, status.files
            );
            context.console.line(text).await?;
        }
    }
    Ok(Exit::OK)
}
