//! `imcmdlist`: lists the commands, all of them (ITS 20460), because it is made from their table.

use crate::command::{Command, Example, Exit, Grammar, Group, Opt, Outcome, Place};
use crate::commands::ALL;
use crate::context::{Context, Failure};
use crate::output::{Column, Layout, Listing};
use crate::render;

/// The row.
pub const COMMAND: Command = Command {
    name: "imcmdlist",
    aliases: &[],
    group: Group::General,
    summary: "Lists all administrative commands",
    about: "Prints each command with one line about it. With an option, prints the manual page of one command, the \
            completion script for bash, or the chapter of the reference.",
    usage: &["[-json]", "-man COMMAND", "-completion", "-markdown"],
    options: &[
        Opt { name: "man", value: Some("COMMAND"), help: "Print the manual page of a command, in roff" },
        Opt { name: "completion", value: None, help: "Print a completion script for bash" },
        Opt { name: "markdown", value: None, help: "Print the reference of all commands in Markdown" },
    ],
    words: &[],
    examples: &[
        Example { line: "imcmdlist", does: "Lists all commands" },
        Example { line: "imcmdlist -man imconfget | man -l -", does: "Shows the manual page of imconfget" },
    ],
    exits: &[],
    place: Place::Here,
    unavailable: Exit::FAILED,
    grammar: Grammar::Mixed,
    run: |context| Box::pin(run(context)),
};

const COLUMNS: &[Column] = &[
    Column { title: "Command", key: "command" },
    Column { title: "Group", key: "group" },
    Column { title: "Summary", key: "summary" },
];

async fn run(context: &mut Context) -> Outcome {
    let Context { arguments, console, .. } = context;
    let rows = render::by_group(ALL);
    if let Some(name) = arguments.value("man") {
        let row = super::super::find(name)
            .ok_or_else(|| Failure::because(format!("there is no command {name}")))?;
        console.bytes(render::man(row).as_bytes()).await?;
    } else if arguments.has("completion") {
        console.bytes(render::completion(&rows).as_bytes()).await?;
    } else if arguments.has("markdown") {
        console.bytes(render::markdown(&rows).as_bytes()).await?;
    } else {
        let mut listing = Listing::new(COLUMNS, Layout::Table);
        for row in rows {
            let cells = [row.name.into(), row.group.title().into(), row.summary.into()];
            listing.row(console, cells).await?;
        }
        listing.end(console).await?;
    }
    Ok(Exit::OK)
}
