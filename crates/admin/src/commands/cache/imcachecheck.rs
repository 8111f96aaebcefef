//! `imcachecheck`: compares the copy of the directory with the directory.

use crate::command::{Command, Example, Exit, Grammar, Group, Outcome, Place};
use crate::context::Context;
use crate::output::Format;
use serde_json::json;
use std::sync::Arc;

/// The row.
pub const COMMAND: Command = Command {
    name: "imcachecheck",
    aliases: &[],
    group: Group::Directory,
    summary: "Compares this host's copy of the directory with the directory",
    about: "Reads both from end to end: every account with all that hangs on it, every name that leads to it, counts and sums. What \
            differs is looked at a second time, so that changes made meanwhile are no differences.",
    usage: &["[-json]"],
    options: &[],
    words: &[],
    examples: &[Example { line: "imcachecheck", does: "Compares, and lists what differs" }],
    exits: &[(1, "there are differences, or it could not be compared")],
    place: Place::Site,
    unavailable: Exit::FAILED,
    grammar: Grammar::Mixed,
    run: |context| Box::pin(run(context)),
};

async fn run(context: &mut Context) -> Outcome {
    let cache = Arc::clone(&context.roles()?.cache);
    let call = context.call().for_long_work();
    let found = super::follow(context, &*cache, cache.cache_compare(&call)).await?;
    let alike = found.different == 0 && found.sum == found.copied_sum && found.accounts == found.copied;
    match context.console.format() {
        Format::Json => {
            let value = json!({
                "alike": alike, "accounts": found.accounts, "copied": found.copied,
                "sum": format!("{:016x}", found.sum), "copied_sum": format!("{:016x}", found.copied_sum),
                "different": found.different, "differences": found.differences,
            });
            context.console.json(&value).await?;
        }
        Format::Text => {
            for difference in &found.differences {
                context.console.line(difference).await?;
            }
            let text = format!(
                "Directory: {} accounts, sum {:016x}. Copy: {} accounts, sum {:016x}. {} differ.",
                found.accounts, found.sum, found.copied, found.copied_sum, found.different
            );
            context.console.line(text).await?;
        }
    }
    Ok(if alike { Exit::OK } else { Exit::FAILED })
}
