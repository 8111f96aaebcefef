//! The servers of a host that has none: they are what a test has told them to be.

use roles::manager::{Manager, ManagerError, Reloaded, ServerState, ServerStatus};
use roles::{Answer, Call};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Servers by name, with a port each; all run at first.
pub struct ScriptedManager(Mutex<Vec<ServerStatus>>);

impl ScriptedManager {
    /// With these servers.
    pub fn new(names: &[&str]) -> Self {
        let servers = (2500..).zip(names).map(|(port, name)| ServerStatus {
            name: (*name).to_owned(),
            state: ServerState::Running,
            pid: Some(4711),
            ports: vec![port],
            version: "1.2.3".to_owned(),
            since: Duration::from_millis(1500),
        });
        Self(Mutex::new(servers.collect()))
    }

    fn lock(&self) -> MutexGuard<'_, Vec<ServerStatus>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn with<T>(&self, name: String, act: impl FnOnce(&mut ServerStatus) -> T) -> Result<T, ManagerError> {
        let mut servers = self.lock();
        let found = servers.iter_mut().find(|server| server.name == name);
        found.map(act).ok_or(ManagerError::NoServer(name))
    }

    fn set(&self, name: String, state: ServerState) -> Result<(), ManagerError> {
        self.with(name, |server| {
            server.state = state;
            server.pid = (state == ServerState::Running).then_some(4711);
        })
    }
}

fn now<'a, T: Send + 'a>(result: Result<T, ManagerError>) -> Answer<'a, T, ManagerError> {
    Box::pin(std::future::ready(result))
}

impl Manager for ScriptedManager {
    fn server_list<'a>(&'a self, _: &'a Call) -> Answer<'a, Vec<ServerStatus>, ManagerError> {
        now(Ok(self.lock().clone()))
    }

    fn server_probe<'a>(&'a self, _: &'a Call, name: String) -> Answer<'a, (), ManagerError> {
        let state = self.with(name, |server| server.state);
        now(state.and_then(|state| match state {
            ServerState::Running => Ok(()),
            _ => Err(ManagerError::Failed("it is not running".to_owned())),
        }))
    }

    fn server_start<'a>(&'a self, _: &'a Call, name: String) -> Answer<'a, (), ManagerError> {
        now(self.set(name, ServerState::Running))
    }

    fn server_stop<'a>(&'a self, _: &'a Call, name: String) -> Answer<'a, (), ManagerError> {
        now(self.set(name, ServerState::Stopped))
    }

    fn server_restart<'a>(&'a self, _: &'a Call, name: String) -> Answer<'a, (), ManagerError> {
        now(self.set(name, ServerState::Running))
    }

    fn configuration_reload<'a>(&'a self, _: &'a Call) -> Answer<'a, Reloaded, ManagerError> {
        now(Ok(Reloaded::default()))
    }
}
