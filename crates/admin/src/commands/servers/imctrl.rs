//! `imctrl`: starts and stops servers through the manager of their host: `immgrserv`, or the one in the daemon.

use super::status;
use crate::command::{Command, Count, Example, Exit, Grammar, Group, Outcome, Place, Word};
use crate::context::{Context, Failure, NoManager};
use crate::output::{Column, Format, Layout, Listing};
use mail::id::HostName;
use roles::Call;
use roles::manager::ManagerError;
use std::time::Duration;

/// The row.
pub const COMMAND: Command = Command {
    name: "imctrl",
    aliases: &[],
    group: Group::Servers,
    summary: "Starts and stops servers of a running daemon",
    about: "Asks the manager of each host to start, stop or restart the servers, and prints what came of each. The \
            verbs are those of imservctrl; startStop and stopStart mean restart. A host that runs no manager cannot \
            be reached: on the host itself, imservctrl start starts everything.",
    usage: &["[-json] HOST VERB SERVER..."],
    options: &[],
    words: &[
        Word { name: "HOST", count: Count::One, help: "A host, several parted by commas, or allhosts" },
        Word { name: "VERB", count: Count::One, help: "start, stop, restart, startStop or stopStart" },
        Word { name: "SERVER", count: Count::Some, help: "The servers" },
    ],
    examples: &[
        Example { line: "imctrl venus stop popserv", does: "Stops the POP server of the host venus" },
        Example { line: "imctrl allhosts restart mta imapserv", does: "Restarts two servers everywhere" },
    ],
    exits: &[],
    place: Place::Daemon,
    unavailable: Exit::FAILED,
    grammar: Grammar::Mixed,
    run: |context| Box::pin(run(context)),
};

pub(super) const COLUMNS: &[Column] = &[
    Column { title: "Host", key: "host" },
    Column { title: "Server", key: "server" },
    Column { title: "Done", key: "done" },
    Column { title: "Failure", key: "failure" },
];

/// How long a host may take: its server drains, and the next process recovers what there is to recover.
const DONE_WITHIN: Duration = Duration::from_secs(90);

/// What is to be done with a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verb {
    Start,
    Stop,
    Restart,
}

impl Verb {
    /// The verb of this name, in any case of letters.
    pub(super) fn named(name: &str) -> Option<Self> {
        match name.to_ascii_lowercase().as_str() {
            "start" => Some(Self::Start),
            "stop" => Some(Self::Stop),
            "restart" | "startstop" | "stopstart" => Some(Self::Restart),
            _ => None,
        }
    }

    /// What has been done.
    pub(super) fn done(self) -> &'static str {
        match self {
            Self::Start => "started",
            Self::Stop => "stopped",
            Self::Restart => "restarted",
        }
    }
}

async fn run(context: &mut Context) -> Outcome {
    let words = context.arguments.words();
    let [hosts, verb, servers @ ..] = words else { return Err(Failure::Usage("VERB is missing".into())) };
    let verb = Verb::named(verb).ok_or_else(|| Failure::Usage(format!("there is no verb {verb}")))?;
    let servers: Vec<_> = servers.iter().map(|name| status::known(name)).collect::<Result<_, _>>()?;
    let hosts = context.hosts_named(hosts)?;
    let mut listing = Listing::new(COLUMNS, Layout::Table);
    let mut exit = Exit::OK;
    for host in hosts {
        for server in &servers {
            let done = act(context, &host, verb, server.name).await;
            if done.is_err() {
                exit = Exit::FAILED;
            }
            match context.console.format() {
                Format::Text => say(context, &host, server.name, verb, done).await?,
                Format::Json => {
                    let failure = done.as_ref().err().map(ToString::to_string);
                    let done = done.is_ok().then(|| verb.done());
                    let cells = [host.as_str().into(), server.name.into(), done.into(), failure.into()];
                    listing.row(&mut context.console, cells).await?;
                }
            }
        }
    }
    if context.console.format() == Format::Json {
        listing.end(&mut context.console).await?;
    }
    Ok(exit)
}

async fn act(context: &Context, host: &HostName, verb: Verb, server: &str) -> Result<(), ManagerError> {
    let manager = context.manager_of(host).map_err(|none| match none {
        NoManager::NoHost => ManagerError::NoServer(server.to_owned()),
        none => status::no_manager(none),
    })?;
    let call = Call { deadline: DONE_WITHIN, ..context.call() };
    let server = server.to_owned();
    match verb {
        Verb::Start => manager.server_start(&call, server).await,
        Verb::Stop => manager.server_stop(&call, server).await,
        Verb::Restart => manager.server_restart(&call, server).await,
    }
}

async fn say(
    context: &mut Context,
    host: &HostName,
    server: &str,
    verb: Verb,
    done: Result<(), ManagerError>,
) -> Result<(), Failure> {
    match done {
        Ok(()) => context.console.line(format!("imctrl: {server} {} on {host}", verb.done())).await,
        Err(ManagerError::NoServer(_)) => {
            context.console.error(format!("*** SERVER {server} does not run on HOST(S) {host} ***")).await
        }
        Err(error) => context.console.error(format!("{server} not {} on {host}: {error}", verb.done())).await,
    }
}
