//! `imservping`: asks servers for a sign of life.

use super::status;
use crate::command::{Command, Count, Example, Exit, Grammar, Group, Outcome, Place, Word};
use crate::context::{Context, Failure};
use crate::output::{Column, Format, Layout, Listing, Tint};
use futures_util::future::join_all;
use mail::id::HostName;
use roles::Call;
use roles::manager::ServerState;
use std::time::Duration;

/// The row.
pub const COMMAND: Command = Command {
    name: "imservping",
    aliases: &[],
    group: Group::Servers,
    summary: "Asks servers for a sign of life",
    about: "Probes the named servers, or all that the configuration wants on this host: a protocol server by a \
            connection to its own port, others by a question to their storage. Prints a line for each. With -host the \
            manager of that host does it, for the named servers or all that run there.",
    usage: &["[-json] [-host HOST] [SERVER...]"],
    options: &[status::HOST],
    words: &[Word { name: "SERVER", count: Count::Any, help: "The servers to probe" }],
    examples: &[
        Example { line: "imservping", does: "Probes all servers" },
        Example { line: "imservping mta popserv", does: "Probes two of them" },
        Example { line: "imservping -host mars mss", does: "Probes the store of the host mars" },
    ],
    exits: &[(1, "one server did not respond; in general, the number of those that did not, at most 125")],
    place: Place::Daemon,
    unavailable: Exit::FAILED,
    grammar: Grammar::Mixed,
    run: |context| Box::pin(run(context)),
};

/// How long a server may take: who asks hears of one that hangs within 5 s, however many hang.
const PATIENCE: Duration = Duration::from_secs(4);
/// Who is named where a host does not answer at all.
const MANAGER: &str = "immgrserv";
/// Exit codes above this one have a meaning to shells.
const MOST: usize = 125;

const COLUMNS: &[Column] = &[
    Column { title: "Host", key: "host" },
    Column { title: "Server", key: "server" },
    Column { title: "Failure", key: "failure" },
];

/// What came of one server.
struct Probed {
    host: HostName,
    server: String,
    /// Why it did not respond; `None`: it did.
    failure: Option<String>,
}

async fn run(context: &mut Context) -> Outcome {
    let named = context.arguments.words().iter().map(|word| status::known(word).map(|s| s.name.to_owned()));
    let named = named.collect::<Result<Vec<_>, _>>()?;
    let hosts = context.arguments.value("host").map(str::to_owned);
    let own = context.site()?.host().clone();
    let hosts = hosts.map_or_else(|| Ok(vec![own.clone()]), |hosts| context.hosts_named(&hosts))?;
    let mut failures = 0;
    let mut listing = Listing::new(COLUMNS, Layout::Table);
    let asking: &Context = context;
    let probed = join_all(hosts.iter().map(|host| probe_host(asking, host, &named))).await;
    for Probed { host, server, failure } in probed.into_iter().flatten() {
        failures += usize::from(failure.is_some());
        match context.console.format() {
            Format::Json => {
                let cells = [host.as_str().into(), server.into(), failure.into()];
                listing.row(&mut context.console, cells).await?;
            }
            Format::Text if host == own => say(context, &server, failure).await?,
            Format::Text => say(context, &format!("{server} on {host}"), failure).await?,
        }
    }
    if context.console.format() == Format::Json {
        listing.end(&mut context.console).await?;
    }
    Ok(Exit(u8::try_from(failures.min(MOST)).unwrap_or(u8::MAX)))
}

/// Asks the servers of a host, all at the same time.
async fn probe_host(context: &Context, host: &HostName, named: &[String]) -> Vec<Probed> {
    let failed = |server: &str, why: String| Probed {
        host: host.clone(),
        server: server.to_owned(),
        failure: Some(why),
    };
    let servers = match named {
        [] => wanted(context, host).await,
        named => Ok(named.to_vec()),
    };
    let servers = match servers {
        Ok(servers) => servers,
        Err(why) => return vec![failed(MANAGER, why)],
    };
    let manager = match context.manager_of(host).map_err(status::no_manager) {
        Ok(manager) => manager,
        Err(why) => return servers.iter().map(|server| failed(server, why.to_string())).collect(),
    };
    let probe = |server: String| {
        let manager = &manager;
        async move {
            let call = Call { deadline: PATIENCE, ..context.call() };
            let answer = manager.server_probe(&call, server.clone()).await;
            Probed { host: host.clone(), server, failure: answer.err().map(|error| error.to_string()) }
        }
    };
    join_all(servers.into_iter().map(probe)).await
}

/// What is asked where no server is named: those that are to run on this host, or that do on another one.
async fn wanted(context: &Context, host: &HostName) -> Result<Vec<String>, String> {
    let site = context.site().map_err(|error| error.to_string())?;
    if site.host() == host {
        let configured = status::configured(&site).map_err(|error| error.to_string())?;
        return Ok(configured.into_iter().map(|server| server.name.to_owned()).collect());
    }
    let all = status::of_host(context, host).await.map_err(|error| error.to_string())?;
    let running = all.into_iter().filter(|status| status.state != ServerState::Stopped);
    Ok(running.map(|status| status.name).collect())
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
