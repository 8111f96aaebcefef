//! `im_version`: the full version of the product (ITS 19419).

use crate::command::{Command, Example, Exit, Grammar, Group, Outcome, Place};
use crate::context::Context;
use crate::frame::REVISION;
use crate::output::Format;
use crate::render::{BUILD, VERSION, version};
use serde_json::json;

/// The row.
pub const COMMAND: Command = Command {
    name: "im_version",
    aliases: &[],
    group: Group::General,
    summary: "Prints the version of the product",
    about: "Prints the product's version, its build and the revision of the protocol between its processes. Every \
            other command does the same for -version.",
    usage: &["[-json]"],
    options: &[],
    words: &[],
    examples: &[Example { line: "im_version", does: "Prints product, version, build and protocol revision" }],
    exits: &[],
    place: Place::Here,
    unavailable: Exit::FAILED,
    grammar: Grammar::Mixed,
    run: |context| Box::pin(run(context)),
};

async fn run(context: &mut Context) -> Outcome {
    match context.console.format() {
        Format::Text => {
            let text = version(context.console.name());
            context.console.bytes(text.as_bytes()).await?;
        }
        Format::Json => {
            let value = json!({ "version": VERSION, "build": BUILD, "rme_revision": REVISION });
            context.console.json(&value).await?;
        }
    }
    Ok(Exit::OK)
}
