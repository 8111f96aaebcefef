//! The manager of a host as commands, servers and other hosts see it: what its processes are doing, and having it changed.

use catalog::servers::{self, SERVERS, Server};
use control::configuration::InForce;
use control::manager::host::Host;
use control::manager::unit::{Order, Seen, Unit};
use env::Env;
use roles::manager::{Manager, ManagerError, Reloaded, ServerState, ServerStatus};
use roles::{Answer, Call};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::timeout;

/// See the module. Clones mean the same host.
#[derive(Clone)]
pub(crate) struct HostManager {
    host: Host,
    env: Env,
    configuration: Arc<InForce>,
}

impl HostManager {
    /// Of these processes; each has the name of its server.
    pub(crate) fn new(host: Host, env: Env, configuration: Arc<InForce>) -> Self {
        Self { host, env, configuration }
    }

    /// What a server is doing.
    pub(crate) fn state(&self, name: &str) -> ServerState {
        self.unit(name).map_or(ServerState::Stopped, |unit| unit.seen().state)
    }

    /// The process of a server, whose name may be in any case of letters.
    fn unit(&self, name: &str) -> Result<&Unit, ManagerError> {
        let unit = servers::find(name).and_then(|server| self.host.unit(server.name));
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
        self.unit(name)?.order(order).await.map_err(ManagerError::Failed)
    }
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
