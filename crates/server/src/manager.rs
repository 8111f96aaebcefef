//! The servers of this process, as `imservctrl`, `imservping` and `imservdisplay` see them.
//!
//! All servers share this process. Those with ports (mta, popserv, imapserv) are started and stopped one by one: stopping
//! closes the ports and drains the sessions, restarting hands the ports over to the new server before the old one drains.
//! The directory, the store and the queue are what the others stand on: they start and stop with the process, and say
//! so. The configuration server has no ports, and no other server waits for it.

use crate::here::Share;
use crate::ports::{self, Held, ServerPorts};
use crate::surroundings::Surroundings;
use crate::wiring::{Servers, Speaker};
use admin::site::Site;
use catalog::events::proc::{ProcServerStarted, ProcServerStopped};
use catalog::keys::common::LISTEN_ADDRESSES;
use catalog::servers::{self, SERVERS, Server};
use control::configuration::InForce;
use control::probe::ProcessProbe;
use control::rollout::RolloutServer;
use env::Env;
use env::clock::Moment;
use env::tasks::Tasks;
use mail::id::MailboxId;
use roles::directory::{Directory as _, DirectoryError};
use roles::manager::{Manager, ManagerError, Reloaded, ServerState, ServerStatus};
use roles::probe::{Host, Hosts, Probe, Process};
use roles::queue::MailQueue as _;
use roles::rollout::Rollout as _;
use roles::store::MessageStore as _;
use roles::{Answer, Call};
use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpStream;

/// How long a server that is stopped alone may take.
const STOP_WITHIN: Duration = Duration::from_secs(8);
/// The configuration server.
const CONFIGURATION: &str = "imconfserv";
/// More of a greeting is not read.
const LONGEST_GREETING: usize = 512;
/// How greetings begin that send a client away: SMTP 4xx and 5xx, POP3 `-ERR`, IMAP `* BYE`.
const REFUSALS: [&[u8]; 4] = [b"4", b"5", b"-", b"* B"];
const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Starts, stops and answers for the servers of this process.
#[derive(Clone)]
pub(crate) struct SiteManager(Arc<Inner>);

struct Inner {
    site: Arc<Site>,
    env: Env,
    configuration: Arc<InForce>,
    servers: Arc<Servers>,
    rollout: RolloutServer,
    probe: Arc<dyn Probe>,
    running: Mutex<HashMap<&'static str, Running>>,
}

/// The hosts that the configuration server can ask: this one.
struct ThisHost {
    manager: Weak<Inner>,
    probe: Arc<dyn Probe>,
}

impl ThisHost {
    /// With the servers in processes of their own, their manager and each of them is asked; else this process.
    fn seen_from(&self, inner: Arc<Inner>) -> Host {
        let name = inner.site.host().as_str().to_owned();
        if inner.servers.here().parts.share != Share::Managed {
            let process = Process { server: None, probe: Arc::clone(&self.probe) };
            return Host { name, manager: Arc::new(SiteManager(inner)), processes: vec![process] };
        }
        let partners = inner.servers.partners();
        let processes = partners
            .processes(&inner.env)
            .into_iter()
            .map(|(server, remote)| Process { server: Some(server.to_owned()), probe: Arc::new(remote) });
        Host { name, manager: Arc::new(partners.own_manager()), processes: processes.collect() }
    }
}

impl Hosts for ThisHost {
    fn hosts(&self) -> Vec<Host> {
        self.manager.upgrade().map(|inner| self.seen_from(inner)).into_iter().collect()
    }
}

struct Running {
    tasks: Tasks,
    ports: Vec<u16>,
    /// Its sockets, for a restart.
    held: Held,
    state: ServerState,
    since: Moment,
}

impl SiteManager {
    /// With no server running yet.
    pub(crate) fn new(site: Arc<Site>, surroundings: &Surroundings, servers: Arc<Servers>) -> Self {
        let (env, configuration) = (surroundings.env.clone(), Arc::clone(&surroundings.configuration));
        let page = servers.page(&env);
        let probe: Arc<dyn Probe> =
            Arc::new(ProcessProbe::new(env.clone(), Arc::clone(&configuration), page, VERSION));
        Self(Arc::new_cyclic(|manager| {
            let hosts = ThisHost { manager: manager.clone(), probe: Arc::clone(&probe) };
            let rollout = RolloutServer::new(site.configuration_files(), Arc::new(hosts));
            Inner { site, env, configuration, servers, rollout, probe, running: Mutex::default() }
        }))
    }

    /// What this process says of itself.
    pub(crate) fn prober(&self) -> Arc<dyn Probe> {
        Arc::clone(&self.0.probe)
    }

    /// The configuration server of this process.
    pub(crate) fn rollout(&self) -> &RolloutServer {
        &self.0.rollout
    }

    /// Starts a server on ports that are open already.
    pub(crate) fn start_bound(&self, server: &'static Server, ports: ServerPorts) {
        let tasks = Tasks::new();
        let env = Env { tasks: tasks.clone(), ..self.0.env.for_server(server.name) };
        let numbers = ports.bound.iter().map(|b| b.port).collect();
        let held = Held::of(&ports);
        if let Some(speaker) = self.0.servers.speaker(&env, &ports.tls) {
            for bound in ports.bound {
                let protocol = speaker.protocol(bound.service, bound.port);
                env.tasks.spawn(bound.listener.run(env.clone(), protocol));
            }
            if let Speaker::Mta(mta) = &speaker {
                self.0.servers.start_outbound(&env, mta);
            }
        }
        if server.name == CONFIGURATION {
            self.0.rollout.serve(&env);
        }
        self.0.configuration.begun(server.name);
        env.log.emit(&ProcServerStarted { server: server.name, version: VERSION });
        let (state, since) = (ServerState::Running, env.clock.moment());
        let running = Running { tasks, ports: numbers, held, state, since };
        self.running().insert(server.name, running);
    }

    /// Stops all servers, in the opposite of their start order, within this time together.
    pub(crate) async fn stop_all(&self, within: Duration) {
        let until = self.0.env.clock.moment() + within;
        let names: Vec<_> = self.running().keys().copied().collect();
        names.iter().for_each(|name| self.begin_stop(name));
        for server in SERVERS.iter().rev().filter(|s| names.contains(&s.name)) {
            let left = until.saturating_duration_since(self.0.env.clock.moment());
            self.end_stop(server, left).await;
        }
    }

    fn running(&self) -> MutexGuard<'_, HashMap<&'static str, Running>> {
        self.0.running.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn begin_stop(&self, name: &str) {
        if let Some(running) = self.running().get_mut(name) {
            running.state = ServerState::Stopping;
            running.held = Held::default();
            running.tasks.stop();
        }
    }

    async fn end_stop(&self, server: &'static Server, within: Duration) {
        let tasks = self.running().get(server.name).map(|r| r.tasks.clone());
        if let Some(tasks) = tasks {
            tasks.drain(within).await;
            self.running().remove(server.name);
            self.0.configuration.ended(server.name);
            self.0.env.for_server(server.name).log.emit(&ProcServerStopped { server: server.name });
        }
    }

    fn status(&self, server: &'static Server) -> ServerStatus {
        let running = self.running();
        let found = running.get(server.name);
        ServerStatus {
            name: server.name.to_owned(),
            state: found.map_or(ServerState::Stopped, |r| r.state),
            pid: found.map(|_| std::process::id()),
            ports: found.map(|r| r.ports.clone()).unwrap_or_default(),
            version: VERSION.to_owned(),
            since: found.map_or(Duration::ZERO, |r| r.since.elapsed()),
        }
    }

    async fn probe(&self, call: &Call, name: &str) -> Result<(), ManagerError> {
        let server = known(name)?;
        let status = self.status(server);
        if status.state != ServerState::Running {
            return Err(ManagerError::Failed(format!("server {name} is not running")));
        }
        let answer = tokio::time::timeout(call.deadline, async {
            match status.ports.first() {
                Some(port) => greeting(self.address(server), *port).await,
                None => self.probe_inside(call, server.name).await,
            }
        });
        answer.await.map_err(|_| ManagerError::TimedOut)?
    }

    /// Where a server is reached from here: its own address, where it does not listen on all of them.
    fn address(&self, server: &'static Server) -> IpAddr {
        let configured = self.0.env.settings.for_server(server.name).get(LISTEN_ADDRESSES);
        let listed = ports::addresses(&configured).unwrap_or_default();
        let one = listed.into_iter().find(|ip| !ip.is_unspecified());
        one.unwrap_or(Ipv4Addr::LOCALHOST.into())
    }

    /// A question that a server without ports answers from its database.
    async fn probe_inside(&self, call: &Call, name: &str) -> Result<(), ManagerError> {
        let failed = |error: String| ManagerError::Failed(error);
        let here = self.0.servers.here();
        match (name, &here.stores, &here.queue, &here.directory) {
            // A store that is another host's now does not make this server sick.
            ("mss", Some(stores), ..) => match (stores.own(), stores.trouble_with_own()) {
                (Some(store), _) => {
                    let usage = store.mailbox_usage(call, MailboxId(0)).await;
                    usage.map(|_| ()).map_err(|e| failed(e.to_string()))
                }
                (None, Some(reason)) => Err(failed(reason)),
                (None, None) => Ok(()),
            },
            ("imqueueserv", _, Some(queue), _) => {
                queue.counts(call).await.map(|_| ()).map_err(|e| failed(e.to_string()))
            }
            ("imdircacheserv", .., Some(directory)) => {
                match directory.account_find(call, "postmaster".into()).await {
                    Ok(_) | Err(DirectoryError::Missing(_)) => Ok(()),
                    Err(error) => Err(failed(error.to_string())),
                }
            }
            (CONFIGURATION, ..) => {
                let shown = self.0.rollout.trial_show(call).await;
                shown.map(|_| ()).map_err(|e| failed(e.to_string()))
            }
            _ => Err(ManagerError::NoServer(name.to_owned())),
        }
    }

    async fn start(&self, name: &str) -> Result<(), ManagerError> {
        let server = known(name)?;
        if self.status(server).state != ServerState::Stopped {
            return Ok(());
        }
        let ports = self.bind(server, Held::default())?;
        self.start_bound(server, ports);
        Ok(())
    }

    fn bind(&self, server: &'static Server, held: Held) -> Result<ServerPorts, ManagerError> {
        ports::bind(&self.0.site, &self.0.env.settings, server, held).map_err(|error| {
            error.tell(&self.0.env.for_server(server.name).log);
            ManagerError::Failed(error.to_string())
        })
    }

    /// The new server accepts before the old one stops to; where it cannot begin, the old one goes on.
    async fn restart(&self, name: &str) -> Result<(), ManagerError> {
        let server = can_stop(name)?;
        let held = self.running().get(server.name).map(|running| running.held.share());
        let Some(held) = held else { return self.start(name).await };
        let ports = self.bind(server, held)?;
        let old = self.running().remove(server.name);
        self.start_bound(server, ports);
        if let Some(old) = old {
            old.tasks.drain(STOP_WITHIN).await;
            self.0.env.for_server(server.name).log.emit(&ProcServerStopped { server: server.name });
        }
        Ok(())
    }

    async fn stop(&self, name: &str) -> Result<(), ManagerError> {
        let server = can_stop(name)?;
        self.begin_stop(server.name);
        self.end_stop(server, STOP_WITHIN).await;
        Ok(())
    }
}

fn known(name: &str) -> Result<&'static Server, ManagerError> {
    servers::find(name).ok_or_else(|| ManagerError::NoServer(name.to_owned()))
}

/// The server of this name, if the others can do without it.
fn can_stop(name: &str) -> Result<&'static Server, ManagerError> {
    let server = known(name)?;
    match server.ports.is_empty() && server.name != CONFIGURATION {
        false => Ok(server),
        true => Err(ManagerError::Failed(format!(
            "{name} shares its process with the servers that stand on it: stop the whole site"
        ))),
    }
}

/// Connects to the server's own port and waits for its greeting, which must not be one that sends us away.
async fn greeting(ip: IpAddr, port: u16) -> Result<(), ManagerError> {
    let failed = |error: std::io::Error| ManagerError::Failed(format!("port {port}: {error}"));
    let mut socket = TcpStream::connect((ip, port)).await.map_err(failed)?;
    let mut line = Vec::new();
    while line.len() < LONGEST_GREETING && !line.contains(&b'\n') {
        let mut piece = [0u8; 64];
        match socket.read(&mut piece).await.map_err(failed)? {
            0 if line.is_empty() => {
                return Err(ManagerError::Failed(format!("port {port}: closed without a greeting")));
            }
            0 => break,
            count => line.extend_from_slice(&piece[..count]),
        }
    }
    match REFUSALS.iter().any(|refusal| line.starts_with(refusal)) {
        true => {
            let said = String::from_utf8_lossy(&line);
            Err(ManagerError::Failed(format!("port {port}: {}", said.lines().next().unwrap_or_default())))
        }
        false => Ok(()),
    }
}

impl Manager for SiteManager {
    fn server_list<'a>(&'a self, _call: &'a Call) -> Answer<'a, Vec<ServerStatus>, ManagerError> {
        Box::pin(async { Ok(SERVERS.iter().map(|s| self.status(s)).collect()) })
    }

    fn server_probe<'a>(&'a self, call: &'a Call, name: String) -> Answer<'a, (), ManagerError> {
        Box::pin(async move { self.probe(call, &name).await })
    }

    fn server_start<'a>(&'a self, _call: &'a Call, name: String) -> Answer<'a, (), ManagerError> {
        Box::pin(async move { self.start(&name).await })
    }

    fn server_stop<'a>(&'a self, _call: &'a Call, name: String) -> Answer<'a, (), ManagerError> {
        Box::pin(async move { self.stop(&name).await })
    }

    fn server_restart<'a>(&'a self, _call: &'a Call, name: String) -> Answer<'a, (), ManagerError> {
        Box::pin(async move { self.restart(&name).await })
    }

    fn configuration_reload<'a>(&'a self, _call: &'a Call) -> Answer<'a, Reloaded, ManagerError> {
        let reloaded = self.0.configuration.reload();
        Box::pin(async { reloaded.map_err(|error| ManagerError::BadConfiguration(error.to_string())) })
    }
}
