//! `imservping`: asks servers for a sign of life.

use super::status;
use crate::command::{Command, Count, Example, Exit, Grammar, Group, Outcome, Place, Word};
use crate::context::{Context, Failure};
use crate::output::{Column, Format, Layout, Listing, Tint};
use futures_util::future::join_all;
use roles::Call;
use std::time::Duration;

/// The row.
pub const COMMAND: Command = Command {
    name: "imservping",
    aliases: &[],
    group: Group::Servers,
    summary: "Asks servers for a sign of life",
    about: "Probes the named servers, or all that the configuration wants on this host: a protocol server by a \
            connection to its own port, others by a question to their storage. Prints a line for each.",
    usage: &["[-json] [SERVER...]"],
    options: &[],
    words: &[Word { name: "SERVER", count: Count::Any, help: "The servers to probe" }],
    examples: &[
        Example { line: "imservping", does: "Probes all servers" },
        Example { line: "imservping mta popserv", does: "Probes two of them" },
    ],
    exits: &[(1, "one server did not respond; in general, the number of those that did not, at most 125")],
    place: Place::Daemon,
    unavailable: Exit::FAILED,
    grammar: Grammar::Mixed,
    run: |context| Box::pin(run(context)),
};

/// How long a server may take: who asks hears of one that hangs within 5 s, however many hang.
const PATIENCE: Duration = Duration::from_secs(4);
/// Exit codes above this one have a meaning to shells.
const MOST: usize = 125;

const COLUMNS: &[Column] =
    &[Column { title: "Server", key: "server" }, Column { title: "Failure", key: "failure" }];

async fn run(context: &mut Context) -> Outcome {
    let names: Vec<&str> = match context.arguments.words() {
        [] => status::configured(&*context.site()?)?.into_iter().map(|server| server.name).collect(),
        words => words.iter().map(|w| status::known(w).map(|s| s.name)).collect::<Result<_, _>>()?,
    };
    let mut failures = 0;
    let mut listing = Listing::new(COLUMNS, Layout::Table);
    for (name, failure) in probe_all(context, &names).await {
        failures += usize::from(failure.is_some());
        match context.console.format() {
            Format::Json => listing.row(&mut context.console, [name.into(), failure.into()]).await?,
            Format::Text => say(context, name, failure).await?,
        }
    }
    if context.console.format() == Format::Json {
        listing.end(&mut context.console).await?;
    }
    Ok(Exit(u8::try_from(failures.min(MOST)).unwrap_or(u8::MAX)))
}

/// Asks all of them at the same time; why each did not respond, `None`: it did.
async fn probe_all<'a>(context: &Context, names: &[&'a str]) -> Vec<(&'a str, Option<String>)> {
    let Some(manager) = &context.manager else {
        return names.iter().map(|name| (*name, Some("the site is not running".to_owned()))).collect();
    };
    let probe = |name: &'a str| async move {
        let call = Call { deadline: PATIENCE, ..context.call() };
        let answer = manager.server_probe(&call, name.to_owned()).await;
        (name, answer.err().map(|error| error.to_string()))
    };
    join_all(names.iter().map(|name| probe(name))).await
}

async fn say(context: &mut Context, name: &str, failure: Option<String>) -> Result<(), Failure> {
    let console = &mut context.console;
    let line = match failure {
        None => format!("imservping: (Info) {name} responded"),
        Some(why) => {
            let alarm = console.tinted(Tint::Red, "(Alarm)");
            format!("imservping: {alarm} server {name} did not respond: {why}")
        }
    };
    console.line(line).await
}
