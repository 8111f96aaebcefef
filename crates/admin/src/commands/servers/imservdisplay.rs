//! `imservdisplay`: a table of the servers (ITS 18494).

use super::status;
use crate::command::{Command, Example, Exit, Grammar, Group, Outcome, Place};
use crate::context::Context;

/// The row.
pub const COMMAND: Command = Command {
    name: "imservdisplay",
    aliases: &[],
    group: Group::Servers,
    summary: "Shows every server with its state, process, ports and uptime",
    about: "Prints a line for every server of this host. Where the site is not running, the servers that its \
            configuration asks for are shown as stopped.",
    usage: &["[-json]"],
    options: &[],
    words: &[],
    examples: &[
        Example { line: "imservdisplay", does: "Shows all servers" },
        Example { line: "imservdisplay -json", does: "The same for a program" },
    ],
    exits: &[],
    place: Place::Daemon,
    unavailable: Exit::FAILED,
    grammar: Grammar::Mixed,
    run: |context| Box::pin(run(context)),
};

async fn run(context: &mut Context) -> Outcome {
    let all = status::servers(context).await?;
    let site = context.site()?;
    status::print(&mut context.console, site.host().as_str(), all).await?;
    Ok(Exit::OK)
}
