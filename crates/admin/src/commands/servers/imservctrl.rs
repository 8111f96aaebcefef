//! `imservctrl`: starts and stops the servers of this host, and says what is true (ITS 11506, 18712, C-10).
//!
//! The servers of a host share one process, or are processes of their own under a manager (`immgrserv_run`). `start` and
//! `stop` without names start and end the daemon or the manager; with names they ask it. In one process, servers that
//! others stand on (the directory, the store, the queue) cannot be stopped alone, and restarting one of them restarts the
//! process; a manager does both, and restarts one server after the other where none is named.

use super::daemon::{self, Stopped};
use super::imctrl::Verb as Manage;
use super::status;
use crate::command::{Command, Count, Example, Exit, Grammar, Group, Outcome, Place, Word};
use crate::connect::ask;
use crate::context::{Context, Failure};
use crate::output::{Format, Tint};
use crate::site::Site;
use anyhow::Context as _;
use catalog::servers::Server;
use control::process::Tell;
use roles::manager::{ServerState, ServerStatus};
use serde::Deserialize;

/// The row.
pub const COMMAND: Command = Command {
    name: "imservctrl",
    aliases: &[],
    group: Group::Servers,
    summary: "Starts, stops and restarts the servers of this host",
    about: "Starts or stops the named servers, or all that the configuration wants on this host, and prints what is \
            true of each afterwards. Starting waits until they serve, stopping until they have ended. startStop and \
            stopStart mean restart; killStart ends a daemon that does not stop by force and starts it again. status \
            prints a table and exits 0 only where every wanted server runs.\n\n\
            With immgrserv_run on, each server is a process of its own under a manager (immgrserv), which starts it \
            again when it dies; every server can be stopped and restarted alone, and restarting refuses no connection. \
            Without it all servers share one process: the directory, the store and the queue stop with all of it, and \
            restarting one of them restarts everything.",
    usage: &["[-json] start|stop|restart|startStop|killStart|status [SERVER...]"],
    options: &[],
    words: &[
        Word {
            name: "VERB",
            count: Count::One,
            help: "start, stop, restart, startStop, stopStart, killStart or status",
        },
        Word { name: "SERVER", count: Count::Any, help: "The servers; none means all" },
    ],
    examples: &[
        Example {
            line: "imservctrl start",
            does: "Starts all servers of this host and waits until they serve",
        },
        Example { line: "imservctrl restart popserv", does: "Restarts the POP server alone" },
        Example { line: "imservctrl status -json", does: "Shows all servers, for a program" },
    ],
    exits: &[],
    place: Place::Here,
    unavailable: Exit::FAILED,
    grammar: Grammar::Mixed,
    run: |context| Box::pin(run(context)),
};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verb {
    Manage(Manage),
    KillStart,
    Status,
}

impl Verb {
    fn named(name: &str) -> Option<Self> {
        match name.to_ascii_lowercase().as_str() {
            "killstart" => Some(Self::KillStart),
            "status" => Some(Self::Status),
            name => Manage::named(name).map(Self::Manage),
        }
    }
}

/// What came of one server.
#[derive(Debug, Deserialize)]
struct Done {
    server: String,
    done: Option<String>,
    failure: Option<String>,
}

impl Done {
    fn well(server: &str, done: &str) -> Self {
        Self { server: server.to_owned(), done: Some(done.to_owned()), failure: None }
    }

    fn failed(server: &str, failure: &str) -> Self {
        Self { server: server.to_owned(), done: None, failure: Some(failure.to_owned()) }
    }
}

async fn run(context: &mut Context) -> Outcome {
    let word = context.arguments.word(0).unwrap_or_default();
    let verb = Verb::named(word).ok_or_else(|| Failure::Usage(format!("there is no verb {word}")))?;
    let names = context.arguments.words().iter().skip(1);
    let named: Vec<_> = names.map(|name| status::known(name)).collect::<Result<_, _>>()?;
    let site = context.site()?;
    let results = match verb {
        Verb::Status => Vec::new(),
        Verb::KillStart => {
            daemon::stop(&site, Tell::Kill).await?;
            start(&site, &[]).await?
        }
        Verb::Manage(verb) => manage(&site, verb, &named).await?,
    };
    let mut exit = Exit::OK;
    for result in &results {
        if result.failure.is_some() {
            exit = Exit::FAILED;
        }
        say(context, result).await?;
    }
    if verb == Verb::Status || context.console.format() == Format::Json {
        let all_run = show(context, &site, &named).await?;
        if verb == Verb::Status && !all_run {
            exit = Exit::FAILED;
        }
    }
    if context.console.format() == Format::Text {
        let end = if exit == Exit::OK || verb == Verb::Status { "done" } else { "done, with failures" };
        context.console.line(format!("imservctrl: {end}")).await?;
    }
    Ok(exit)
}

async fn manage(site: &Site, verb: Manage, named: &[&'static Server]) -> anyhow::Result<Vec<Done>> {
    // A manager that runs stays, whatever the configuration says: it may be the system's to start and stop.
    let stays = status::has_manager(site)?;
    let whole = !stays && (named.is_empty() || named.iter().any(|server| server.ports.is_empty()));
    let all = status::configured(site).map_err(anyhow::Error::from)?;
    let named = if stays && verb == Manage::Restart && named.is_empty() { &all } else { named };
    match verb {
        Manage::Start => start(site, named).await,
        Manage::Stop if named.is_empty() => {
            let before = status::of_daemon(site).await.ok().flatten().unwrap_or_default();
            let word = match daemon::stop(site, Tell::Terminate).await? {
                Stopped::Now => "stopped",
                Stopped::Before => return Ok(vec![Done::well("the site", "was not running")]),
            };
            let running = before.iter().rev().filter(|status| status.state == ServerState::Running);
            Ok(running.map(|status| Done::well(&status.name, word)).collect())
        }
        Manage::Restart if whole => {
            daemon::stop(site, Tell::Terminate).await?;
            start(site, &[]).await
        }
        Manage::Stop | Manage::Restart => match ask_manager(site, verb, named).await? {
            Some(results) => Ok(results),
            None if verb == Manage::Restart => start(site, named).await,
            None => Ok(named.iter().map(|server| Done::well(server.name, "was not running")).collect()),
        },
    }
}

/// Starts what does not run yet.
async fn start(site: &Site, named: &[&'static Server]) -> anyhow::Result<Vec<Done>> {
    let wanted = match named {
        [] => status::configured(site).map_err(anyhow::Error::from)?,
        named => named.to_vec(),
    };
    if let Some(shown) = status::of_daemon(site).await? {
        let (already, missing): (Vec<_>, Vec<_>) =
            wanted.into_iter().partition(|server| status::runs(&shown, server.name));
        let mut results: Vec<_> =
            already.iter().map(|server| Done::well(server.name, "already running")).collect();
        if !missing.is_empty() {
            let started = ask_manager(site, Manage::Start, &missing).await?;
            results.extend(started.context("the daemon has ended meanwhile")?);
        }
        return Ok(results);
    }
    let names: Vec<_> = named.iter().map(|server| server.name).collect();
    let shown = daemon::start(site, &names).await?;
    let (running, missing): (Vec<_>, Vec<_>) =
        wanted.into_iter().partition(|server| status::runs(&shown, server.name));
    let mut results: Vec<_> =
        running.iter().map(|server| Done::well(server.name, Manage::Start.done())).collect();
    // The manager knows why one did not start: it says so, or has succeeded meanwhile.
    let asked = if missing.is_empty() { None } else { ask_manager(site, Manage::Start, &missing).await? };
    let gone = || missing.iter().map(|server| Done::failed(server.name, "it does not run after the start"));
    results.extend(asked.unwrap_or_else(|| gone().collect()));
    Ok(results)
}

/// Has the manager do it, that of the host or the one in the daemon; `None` where neither runs.
async fn ask_manager(
    site: &Site,
    verb: Manage,
    servers: &[&'static Server],
) -> anyhow::Result<Option<Vec<Done>>> {
    let word = match verb {
        Manage::Start => "start",
        Manage::Stop => "stop",
        Manage::Restart => "restart",
    };
    let mut line = vec!["-json", site.host().as_str(), word];
    line.extend(servers.iter().map(|server| server.name));
    let Some(said) = ask(site, "imctrl", &line).await? else { return Ok(None) };
    let results = serde_json::from_slice(&said.output);
    results.map(Some).with_context(|| format!("the manager said: {}", String::from_utf8_lossy(&said.errors)))
}

async fn say(context: &mut Context, result: &Done) -> Result<(), Failure> {
    let console = &mut context.console;
    let server = &result.server;
    match (&result.failure, result.done.as_deref()) {
        (Some(why), _) => console.error(format!("{server}: {why}")).await,
        (None, Some(done)) if console.format() == Format::Text => {
            let done = console.tinted(Tint::Green, done);
            console.line(format!("imservctrl: {server} {done}")).await
        }
        (None, _) => Ok(()),
    }
}

/// Prints the table of these servers, or of all, and tells whether each of them runs.
async fn show(context: &mut Context, site: &Site, named: &[&'static Server]) -> Result<bool, Failure> {
    let of_daemon = status::of_daemon(site).await?.unwrap_or_default();
    let wanted = if named.is_empty() { status::configured(site)? } else { named.to_vec() };
    let all_run = wanted.iter().all(|server| status::runs(&of_daemon, server.name));
    let is_wanted = |status: &ServerStatus| wanted.iter().any(|server| server.name == status.name);
    let missing = wanted.iter().filter(|server| of_daemon.iter().all(|status| status.name != server.name));
    let mut shown: Vec<_> = missing.map(|server| status::stopped(server)).collect();
    // Without names, servers that run without being wanted are worth seeing, too.
    shown.extend(of_daemon.into_iter().filter(|status| named.is_empty() || is_wanted(status)));
    status::print(&mut context.console, [(site.host().clone(), shown)]).await?;
    Ok(all_run)
}
