//! `immgrserv`, the manager of a host: its servers as processes that are begun, watched and begun again.
//!
//! Promises: it opens all ports first (as root where need be), becomes the user, and only then begins the processes,
//! in start order; which servers share one is [`processes`]'s to say. The sockets stay open here, so that nobody is
//! refused while a server is away. It answers the control socket of the site: commands about servers itself, all
//! others through a server. It has the site as long as it runs, like a daemon with everything in one process, so that
//! the two exclude each other. What keeps the processes running is `control::manager`; what a process does with what
//! it is given is [`crate::handover`].

use crate::folder;
use crate::lifecycle::{self, Plan, Signals};
use crate::notify::{self, State};
use crate::ports::{self, Held};
use crate::rights;
use crate::surroundings::Surroundings;
use admin::control_socket::{self, Behind, Served};
use admin::site::Site;
use anyhow::Context as _;
use catalog::events::proc::ProcSetuidSucceed;
use catalog::keys::common::RUN_DIR;
use catalog::servers::{SERVERS, Server};
use control::configuration::{self, InForce};
use control::lock_file::LockFile;
use control::manager::child::Launch;
use control::manager::host::Host;
use control::manager::unit::{Handing, Order, Recipe, Seen, Unit};
use env::Env;
use env::settings::Settings;
use roles::manager::{Manager, ManagerError, Reloaded, ServerState, ServerStatus};
use roles::{Answer, Call};
use std::collections::HashMap;
use std::ffi::OsString;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::time::timeout;

/// Sockets that were opened before the rights were given up, by server.
type Opened = HashMap<&'static str, Held>;

/// Manages the host until a signal ends it.
///
/// # Errors
/// Where the site is another's, its configuration is not usable, or a port cannot be opened.
pub(crate) fn run(plan: &Plan) -> anyhow::Result<()> {
    let site = folder::create(&plan.site, "localhost")?;
    let lock = folder::lock(&site)?;
    let own_lock =
        LockFile::take(&site.manager_pid_file()).context("cannot write the pid file of the manager")?;
    // Found once: after an upgrade this name means the new program, and that is what is to be begun.
    let program = std::env::current_exe().context("cannot find the program of the servers")?;
    let tree = configuration::load(&site.configuration_files())?.tree;
    let settings = Settings::new(site.host().as_str(), "common", tree);
    let wanted = lifecycle::wanted(&settings, &plan.servers)?;
    lifecycle::raise_descriptors();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .context("cannot start the runtime")?;
    let ended = runtime.block_on(async {
        let open = |server: &&'static Server| {
            let ports = lifecycle::bind(&site, &settings, server, Held::default())?;
            Ok((server.name, Held::of(&ports)))
        };
        let opened = wanted.iter().map(open).collect::<anyhow::Result<Opened>>()?;
        let user = plan.user.as_ref().map(|user| rights::become_user(&site, user)).transpose()?;
        let surroundings = Surroundings::new(&site)?;
        if let Some(user) = user {
            surroundings.env.log.emit(&ProcSetuidSucceed { uid: user.uid, gid: user.gid });
        }
        manage(Arc::new(site), &surroundings, program, (wanted, opened)).await
    });
    runtime.shutdown_timeout(Duration::from_secs(1));
    drop((lock, own_lock));
    ended
}

async fn manage(
    site: Arc<Site>,
    surroundings: &Surroundings,
    program: PathBuf,
    (wanted, mut opened): (Vec<&'static Server>, Opened),
) -> anyhow::Result<()> {
    let env = surroundings.env.for_server("immgrserv");
    let processes = processes(&wanted);
    lifecycle::log_panics(&env.log);
    env.tasks.spawn(configuration::follow(Arc::clone(&surroundings.configuration), env.clone()));
    let unit = |(name, servers): &(&'static str, Vec<&'static Server>)| {
        let held = servers.iter().filter_map(|server| opened.remove(server.name)).collect();
        let (held, servers) = (Mutex::new(held), servers.clone());
        let (site, program, env) = (Arc::clone(&site), program.clone(), env.clone());
        Unit::new(Arc::new(Process { name, servers, site, program, held, env: env.clone() }), &env)
    };
    let host = Host::new(processes.iter().map(unit).collect());
    let mut signals = Signals::listen()?;
    let early = tokio::select! {
        failed = host.start_all() => {
            failed.iter().for_each(|why| eprintln!("immgrserv: {why}"));
            false
        }
        () = signals.wait() => true,
    };
    if !early {
        let socket =
            control_socket::bind(&site.control_socket()).context("cannot make the control socket")?;
        let configuration = Arc::clone(&surroundings.configuration);
        let manager = HostManager { host: host.clone(), processes, env: env.clone(), configuration };
        let roles = behind(&site, manager);
        let (site, commands, tasks) = (Arc::clone(&site), admin::commands::ALL, env.tasks.clone());
        env.tasks.spawn(control_socket::serve(socket, Served { site, roles, commands, tasks }));
        notify::tell(State::Ready);
        signals.wait().await;
    }
    notify::tell(State::Stopping);
    // Whoever asks for the manager from now on hears that there is none.
    let _ = std::fs::remove_file(site.control_socket());
    // A start that is under way ends here; the servers that run do not hear of it.
    env.tasks.stop();
    host.stop_all().await;
    drop(host);
    env.tasks.drain(Duration::from_secs(1)).await;
    Ok(())
}

/// Which servers share a process, under which name, in start order.
///
/// All of them in one: a server finds the directory, the store and the queue in its own process.
fn processes(wanted: &[&'static Server]) -> Vec<(&'static str, Vec<&'static Server>)> {
    vec![(folder::DAEMON, wanted.to_vec())]
}

/// Servers as a process.
struct Process {
    name: &'static str,
    servers: Vec<&'static Server>,
    site: Arc<Site>,
    program: PathBuf,
    /// Sockets, by server in order.
    held: Mutex<Vec<Held>>,
    env: Env,
}

impl Process {
    fn held(&self) -> MutexGuard<'_, Vec<Held>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Recipe for Process {
    fn name(&self) -> &'static str {
        self.name
    }

    fn launch(&self) -> Launch {
        let configured = self.env.settings.for_server(self.name).get(RUN_DIR);
        let folder = folder::run_folder(&self.site, self.name, &configured);
        let folder = if folder.is_dir() { folder } else { self.site.folder().to_owned() };
        let servers: Vec<_> = self.servers.iter().map(|server| server.name).collect();
        let arguments =
            ["serve", "--managed", self.name, "--roles", &servers.join(","), "--site"].map(OsString::from);
        let site = self.site.folder().as_os_str().to_owned();
        Launch {
            program: self.program.clone(),
            name: "intermail".into(),
            arguments: arguments.into_iter().chain([site]).collect(),
            errors: folder.join("stderr"),
            folder,
        }
    }

    fn sockets(&self) -> Result<Vec<OwnedFd>, String> {
        let before: Vec<_> = self.held().iter().map(Held::share).collect();
        let mut before = before.into_iter();
        let mut held = Vec::new();
        for server in &self.servers {
            let before = before.next().unwrap_or_default();
            let ports = ports::bind(&self.site, &self.env.settings, server, before).map_err(|error| {
                error.tell(&self.env.for_server(server.name).log);
                error.to_string()
            })?;
            held.push(Held::of(&ports));
        }
        let given = held.iter().flat_map(|held| held.share().into_sockets()).collect();
        *self.held() = held;
        Ok(given)
    }

    fn handing(&self) -> Handing {
        Handing::After
    }

    fn close(&self) {
        self.held().clear();
    }
}

/// What commands run over: servers are this process's matter, all else is a server's.
fn behind(site: &Arc<Site>, manager: HostManager) -> Behind {
    let (site, manager) = (Arc::clone(site), Arc::new(manager));
    let managed = Arc::clone(&manager);
    let whom = move || {
        // Most commands work on mailboxes: where they are, a command has no hop to go.
        let units = BEST_FOR_COMMANDS.iter().filter_map(|server| managed.unit(server).ok());
        let best = units.into_iter().find(|unit| unit.seen().state == ServerState::Running)?;
        Some(site.server_socket(best.name()))
    };
    Behind::Processes { manager, whom: Arc::new(whom) }
}

/// Which server runs commands: the first of these that runs.
const BEST_FOR_COMMANDS: [&str; 6] = ["mss", "imdircacheserv", "imqueueserv", "mta", "imapserv", "popserv"];

/// The manager as commands see it.
struct HostManager {
    host: Host,
    processes: Vec<(&'static str, Vec<&'static Server>)>,
    env: Env,
    configuration: Arc<InForce>,
}

impl HostManager {
    /// The process that a server is in.
    fn unit(&self, name: &str) -> Result<&Unit, ManagerError> {
        let process = self.processes.iter().find(|(_, servers)| is_among(name, servers));
        let unit = process.and_then(|(process, _)| self.host.unit(process));
        unit.ok_or_else(|| ManagerError::NoServer(name.to_owned()))
    }

    fn status(&self, server: &'static Server) -> ServerStatus {
        let stopped = ServerStatus {
            name: server.name.to_owned(),
            state: ServerState::Stopped,
            pid: None,
            ports: Vec::new(),
            version: String::new(),
            since: Duration::ZERO,
        };
        let Ok(unit) = self.unit(server.name) else { return stopped };
        let Seen { state, pid, ready, since, .. } = unit.seen();
        if state == ServerState::Stopped {
            return stopped;
        }
        let own = ready.servers.into_iter().find(|(name, _)| name == server.name);
        let since = self.env.clock.moment().saturating_duration_since(since);
        let ports = own.map(|(_, ports)| ports).unwrap_or_default();
        ServerStatus { state, pid, ports, version: ready.version, since, ..stopped }
    }

    async fn probe(&self, call: &Call, name: &str) -> Result<(), ManagerError> {
        let Seen { state: ServerState::Running, prober: Some(prober), .. } = self.unit(name)?.seen() else {
            return Err(ManagerError::Failed(format!("server {name} is not running")));
        };
        let answer = timeout(call.deadline, prober.probe(name)).await.map_err(|_| ManagerError::TimedOut)?;
        answer.map_err(ManagerError::Failed)
    }

    async fn order(&self, name: &str, order: Order) -> Result<(), ManagerError> {
        let unit = self.unit(name)?;
        let shares = self.processes.iter().any(|(_, servers)| is_among(name, servers) && servers.len() > 1);
        if order == Order::Stop && shares {
            let why = format!("{name} shares its process with other servers: stop the whole site");
            return Err(ManagerError::Failed(why));
        }
        unit.order(order).await.map_err(ManagerError::Failed)
    }
}

fn is_among(name: &str, servers: &[&'static Server]) -> bool {
    servers.iter().any(|server| server.name.eq_ignore_ascii_case(name))
}

impl Manager for HostManager {
    fn server_list<'a>(&'a self, _call: &'a Call) -> Answer<'a, Vec<ServerStatus>, ManagerError> {
        Box::pin(async { Ok(SERVERS.iter().map(|server| self.status(server)).collect()) })
    }

    fn server_probe<'a>(&'a self, call: &'a Call, name: String) -> Answer<'a, (), ManagerError> {
        Box::pin(async move { self.probe(call, &name).await })
    }

    fn server_start<'a>(&'a self, _call: &'a Call, name: String) -> Answer<'a, (), ManagerError> {
        Box::pin(async move { self.order(&name, Order::Start).await })
    }

    fn server_stop<'a>(&'a self, _call: &'a Call, name: String) -> Answer<'a, (), ManagerError> {
        Box::pin(async move { self.order(&name, Order::Stop).await })
    }

    fn server_restart<'a>(&'a self, _call: &'a Call, name: String) -> Answer<'a, (), ManagerError> {
        Box::pin(async move { self.order(&name, Order::Restart).await })
    }

    fn configuration_reload<'a>(&'a self, _call: &'a Call) -> Answer<'a, Reloaded, ManagerError> {
        // The servers follow the file of the host by themselves.
        let reloaded = self.configuration.reload();
        Box::pin(async { reloaded.map_err(|error| ManagerError::BadConfiguration(error.to_string())) })
    }
}
