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
    about: "Prints a line for every server of this host, or of those that -host names, as their managers say. Where the \
            site is not running, the servers that its configuration asks for are shown as stopped.",
    usage: &["[-json] [-host HOST]"],
    options: &[status::HOST],
    words: &[],
    examples: &[
        Example { line: "imservdisplay", does: "Shows all servers" },
        Example { line: "imservdisplay -json", does: "The same for a program" },
        Example { line: "imservdisplay -host allhosts", does: "Shows the servers of every host of the site" },
    ],
    exits: &[],
    place: Place::Daemon,
    unavailable: Exit::FAILED,
    grammar: Grammar::Mixed,
    run: |context| Box::pin(run(context)),
};

async fn run(context: &mut Context) -> Outcome {
    let Some(hosts) = context.arguments.value("host").map(str::to_owned) else {
        let all = status::servers(context).await?;
        let host = context.site()?.host().clone();
        status::print(&mut context.console, [(host, all)]).await?;
        return Ok(Exit::OK);
    };
    let (mut shown, mut exit) = (Vec::new(), Exit::OK);
    for host in context.hosts_named(&hosts)? {
        match status::of_host(context, &host).await {
            Ok(all) => shown.push((host, all)),
            Err(why) => {
                exit = Exit::FAILED;
                context.console.error(format!("{host}: {why}")).await?;
            }
        }
    }
    status::print(&mut context.console, shown).await?;
    Ok(exit)
}
