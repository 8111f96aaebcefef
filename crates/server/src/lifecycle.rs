//! From the command line to the last goodbye: ports, rights, servers, signals, drain.
//!
//! Order: read the configuration, take the site, open the ports (as root where need be), become the user, open log and
//! databases, start the servers, serve, and on SIGTERM or Ctrl-C drain for at most [`DRAIN`].

use crate::doors;
use crate::folder;
use crate::handover::{self, Managed};
use crate::here::{Parts, Share};
use crate::manager::SiteManager;
use crate::partners::MANAGER;
use crate::ports::{self, Held, ServerPorts};
use crate::retention;
use crate::rights;
use crate::surroundings::Surroundings;
use crate::sysmon;
use crate::wiring::Servers;
use admin::context::Roles;
use admin::control_socket::{self, Served};
use admin::site::Site;
use anyhow::{Context as _, bail};
use catalog::events::proc::{ProcSetuidSucceed, ProcUncaughtCPlusException};
use catalog::servers::{SERVERS, Server};
use control::configuration;
use control::monitor;
use env::Env;
use env::log::Log;
use env::random::Random;
use env::settings::Settings;
use mail::id::TraceId;
use nix::unistd::User;
use roles::Call;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::future::Future;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// How long sessions may take to end.
const DRAIN: Duration = Duration::from_secs(8);
/// Threads that file work of sessions with large messages shares.
const BLOCKING_THREADS: usize = 16;

/// What to serve.
pub(crate) struct Plan {
    /// The site folder.
    pub(crate) site: PathBuf,
    /// Only these servers; all that the configuration asks for where it is empty.
    pub(crate) servers: Vec<String>,
    /// Whether the named servers are all that this process has.
    pub(crate) alone: Alone,
    /// The user to become.
    pub(crate) user: Option<String>,
}

/// Whether a process has nothing but the servers that it was told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Alone {
    /// What they stand on comes with them, where the host has it.
    No,
    /// The rest of the host is in other processes.
    Yes,
}

/// Runs once the servers serve.
pub(crate) type Ready =
    Box<dyn for<'a> FnOnce(&'a Roles) -> Pin<Box<dyn Future<Output = anyhow::Result<()>> + Send + 'a>>>;

/// A call of the house itself, for work that no client asked for.
pub(crate) fn own_call() -> Call {
    let request = Random::system().request_id();
    Call::new(request, TraceId::new(&format!("{:032x}", request.0)))
}

/// Serves until a signal ends it.
///
/// # Errors
/// Where something of the order above fails: says which and why.
pub(crate) fn run(plan: &Plan, mut managed: Option<Managed>, ready: Option<Ready>) -> anyhow::Result<()> {
    let site = folder::create(&plan.site, "localhost")?;
    let lock = match &mut managed {
        None => Some(folder::lock(&site)?),
        Some(managed) => {
            managed.lock(&site)?;
            None
        }
    };
    let tree = configuration::load(&site.configuration_files())?.tree;
    let settings = Settings::new(site.host().as_str(), "common", tree);
    let wanted = wanted(&settings, &plan.servers)?;
    let parts = match (plan.alone, &managed) {
        (Alone::No, _) => Parts::of_host(&settings),
        (Alone::Yes, None) => Parts::only(&plan.servers, Share::Some),
        (Alone::Yes, Some(_)) => Parts::only(&plan.servers, Share::Managed),
    };
    raise_descriptors();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .max_blocking_threads(BLOCKING_THREADS)
        .build()
        .context("cannot start the runtime")?;
    let ended = runtime.block_on(async {
        let bound = wanted.into_iter().map(|server| {
            let held = managed.as_ref().map(|managed| managed.held().share()).unwrap_or_default();
            Ok((server, bind(&site, &settings, server, held)?))
        });
        let ports = bound.collect::<anyhow::Result<Vec<_>>>()?;
        let become_now = |user: &String| rights::become_user(&site, user);
        let user = plan.user.as_ref().map(become_now).transpose()?;
        serve(site, parts, ports, user, (managed, ready)).await
    });
    runtime.shutdown_timeout(Duration::from_secs(1));
    drop(lock);
    ended
}

/// As many open files as the system allows: a connection is one, and a soft limit of 1,024 is usual (ITS 46244).
pub(crate) fn raise_descriptors() {
    let limit = getrlimit(Resource::Nofile);
    // Where it is refused the listeners let connections go in time.
    let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit });
}

/// The servers to start, in their order.
pub(crate) fn wanted(settings: &Settings, named: &[String]) -> anyhow::Result<Vec<&'static Server>> {
    if let Some(unknown) = named.iter().find(|n| catalog::servers::find(n).is_none()) {
        let known: Vec<_> = SERVERS.iter().map(|s| s.name).collect();
        bail!("there is no server {unknown}; the servers are {}", known.join(", "));
    }
    let sysadmin = settings.for_server("sysadmin");
    let asked = |s: &&Server| match named {
        [] => sysadmin.get(s.run),
        named => named.iter().any(|n| n.eq_ignore_ascii_case(s.name)),
    };
    Ok(SERVERS.iter().filter(asked).collect())
}

/// Opens the ports of a server; where that fails the log says so too.
pub(crate) fn bind(
    site: &Site,
    settings: &Settings,
    server: &'static Server,
    held: Held,
) -> anyhow::Result<ServerPorts> {
    ports::bind(site, settings, server, held).map_err(|error| {
        if let Ok(surroundings) = Surroundings::new(site, MANAGER) {
            error.tell(&surroundings.env.for_server(server.name).log);
        }
        error.into()
    })
}

async fn serve(
    site: Site,
    parts: Parts,
    ports: Vec<(&'static Server, ServerPorts)>,
    user: Option<User>,
    (mut managed, ready): (Option<Managed>, Option<Ready>),
) -> anyhow::Result<()> {
    let site = Arc::new(site);
    let surroundings = Surroundings::new(&site, parts.name())?;
    log_panics(&surroundings.env.log);
    if let Some(user) = user {
        surroundings.env.log.emit(&ProcSetuidSucceed { uid: user.uid, gid: user.gid });
    }
    let tasks = surroundings.env.tasks.clone();
    let servers = Arc::new(Servers::open(&site, &surroundings, parts).await?);
    servers.follow(&surroundings.env);
    let followed = configuration::follow(Arc::clone(&surroundings.configuration), surroundings.env.clone());
    tasks.spawn(followed);
    let manager = SiteManager::new(Arc::clone(&site), &surroundings, Arc::clone(&servers));
    let held = managed.as_ref().map(|managed| managed.held().share()).unwrap_or_default();
    let offers = servers.offers(&surroundings.env, &manager);
    doors::open(&surroundings.env, servers.partners(), offers, held).await?;
    for (server, ports) in ports {
        manager.start_bound(server, ports);
    }
    let roles = servers.roles(manager.clone());
    begin_duties(&site, &surroundings.env, &servers, &roles).await;
    let socket = managed.as_ref().map_or_else(|| site.control_socket(), |managed| managed.socket(&site));
    let socket = control_socket::bind(&socket).context("cannot make the control socket")?;
    let commands = admin::commands::ALL;
    let served =
        Served { site: Arc::clone(&site), commands, roles: roles.clone().into(), tasks: tasks.clone() };
    tasks.spawn(control_socket::serve(socket, served));
    // Before anybody is told that we serve: whoever asks for the end then gets an orderly one.
    let mut signals = Signals::listen()?;
    if let Some(ready) = ready {
        ready(&roles).await?;
    }
    let drain = match &mut managed {
        None => {
            signals.wait().await;
            // Whoever asks for the daemon from now on hears that there is none.
            let _ = std::fs::remove_file(site.control_socket());
            DRAIN
        }
        Some(managed) => {
            tokio::select! {
                () = signals.wait() => {}
                () = managed.attend(&site, &manager) => {}
            }
            handover::DRAIN
        }
    };
    manager.stop_all(drain).await;
    tasks.drain(Duration::from_secs(1)).await;
    servers.close().await;
    Ok(())
}

/// Starts what goes on beside requests: once a process, once a store, once a host.
async fn begin_duties(site: &Arc<Site>, env: &Env, servers: &Servers, roles: &Roles) {
    monitor::start(env);
    let here = servers.here();
    if here.parts.share != Share::Managed {
        monitor::show(env, servers.page(env)).await;
    }
    if here.stores.is_some() {
        retention::start(env.for_server("mss"), roles.clone());
    }
    let topology = servers.partners().topology();
    if here.is_whole()
        || best_for_commands(|server| topology.own().runs(server)).is_some_and(|s| here.parts.has(s))
    {
        sysmon::start(env.for_server("sysadmin"), Arc::clone(site), roles.clone());
    }
}

/// Which server of a host runs commands, and what is done once a host: the first of these that is there. Most commands
/// work on mailboxes: where those are, a command has no hop to go.
pub(crate) fn best_for_commands(is_there: impl Fn(&str) -> bool) -> Option<&'static str> {
    const ORDER: [&str; 7] =
        ["mss", "imdircacheserv", "imqueueserv", "mta", "imapserv", "popserv", "imconfserv"];
    ORDER.into_iter().find(|server| is_there(server))
}

/// A fault in the program ends the task it happens in and is logged; the other sessions go on.
pub(crate) fn log_panics(log: &Log) {
    let (log, print) = (log.clone(), std::panic::take_hook());
    std::panic::set_hook(Box::new(move |info| {
        let thread = std::thread::current();
        let text = info.payload_as_str().unwrap_or("a panic without words");
        let location = info.location().map_or_else(String::new, ToString::to_string);
        let name = thread.name().unwrap_or("without name");
        log.emit(&ProcUncaughtCPlusException { thread: name, text, location });
        print(info);
    }));
}

/// The signals that ask for the end.
pub(crate) struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    /// From here on they no longer end the process by themselves.
    pub(crate) fn listen() -> anyhow::Result<Self> {
        let terminate = signal(SignalKind::terminate()).context("cannot listen for SIGTERM")?;
        let interrupt = signal(SignalKind::interrupt()).context("cannot listen for SIGINT")?;
        Ok(Self { terminate, interrupt })
    }

    /// Returns when one has come.
    pub(crate) async fn wait(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use catalog::tree::Tree;

    fn names(tree: &str, named: &[&str]) -> anyhow::Result<Vec<&'static str>> {
        let settings = Settings::new("venus", "common", Tree::parse(tree).unwrap());
        let named: Vec<String> = named.iter().map(ToString::to_string).collect();
        Ok(wanted(&settings, &named)?.iter().map(|s| s.name).collect())
    }

    #[test]
    fn commands_and_what_is_done_once_a_host_have_one_server_on_every_host() {
        assert_eq!(best_for_commands(|_| true), Some("mss"));
        assert_eq!(best_for_commands(|server| server == "mta" || server == "popserv"), Some("mta"));
        assert_eq!(best_for_commands(|_| false), None);
        assert!(SERVERS.iter().all(|server| best_for_commands(|is| is == server.name).is_some()));
    }

    #[test]
    fn the_configuration_or_the_command_line_chooses() {
        let off = "/venus/sysadmin/popserv_run: [off]\n";
        assert!(!names(off, &[]).unwrap().contains(&"popserv"));
        assert_eq!(names(off, &["POPSERV"]).unwrap(), ["popserv"]);
        assert!(names("", &["pop"]).unwrap_err().to_string().contains("there is no server pop"));
    }
}
