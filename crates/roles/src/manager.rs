//! The servers of one host: what they are doing, whether they answer, starting and stopping them, putting a
//! changed configuration in force.

use crate::{Answer, Call, Kind};
use std::time::Duration;

/// Why the manager did not do it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ManagerError {
    /// This host has no such server, or it is not to run here.
    #[error("server {0} does not run on this host")]
    NoServer(String),
    /// It did not start, stop or answer; says why.
    #[error("{0}")]
    Failed(String),
    /// It did not answer in time.
    #[error("no answer in time")]
    TimedOut,
    /// The configuration is not valid; says where. The one before stays in force.
    #[error("{0}")]
    BadConfiguration(String),
}

impl ManagerError {
    /// What it means for the caller.
    pub fn kind(&self) -> Kind {
        match self {
            Self::NoServer(_) => Kind::Missing,
            Self::BadConfiguration(_) => Kind::Refused,
            Self::Failed(_) | Self::TimedOut => Kind::Unavailable,
        }
    }
}

/// What a server is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ServerState {
    /// It serves.
    Running,
    /// It is beginning, and does not serve yet.
    Starting,
    /// It finishes what it has and takes nothing new.
    Stopping,
    /// It is not there.
    Stopped,
}

/// One server of this host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerStatus {
    /// Its name, such as `mta`.
    pub name: String,
    /// What it is doing.
    pub state: ServerState,
    /// The process it runs in, where it runs.
    pub pid: Option<u32>,
    /// The ports it listens on, in order.
    pub ports: Vec<u16>,
    /// The version of its program.
    pub version: String,
    /// How long it has been in this state.
    pub since: Duration,
}

/// What a reload did.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Reloaded {
    /// Paths of changed entries that hold already.
    pub applied: Vec<String>,
    /// Paths of changed entries that hold after a restart of their server.
    pub at_restart: Vec<String>,
}

/// Looks after the servers of its host.
pub trait Manager: Send + Sync {
    /// All servers of this host in their start order, running or not.
    fn server_list<'a>(&'a self, call: &'a Call) -> Answer<'a, Vec<ServerStatus>, ManagerError>;

    /// Asks a server for a sign of life that goes through its working parts (for a protocol server: a connection to
    /// its own port and its greeting). Answers within `call.deadline`.
    fn server_probe<'a>(&'a self, call: &'a Call, name: String) -> Answer<'a, (), ManagerError>;

    /// Starts a server; it serves when this answers. One that runs already is left alone.
    fn server_start<'a>(&'a self, call: &'a Call, name: String) -> Answer<'a, (), ManagerError>;

    /// Stops a server: it takes nothing new and has ended when this answers. One that is stopped is left alone.
    fn server_stop<'a>(&'a self, call: &'a Call, name: String) -> Answer<'a, (), ManagerError>;

    /// Starts a server anew without closing a port that it keeps: the new one accepts before the old one stops to, and
    /// no client is refused. The old one has ended when this answers. One that is stopped is started.
    fn server_restart<'a>(&'a self, call: &'a Call, name: String) -> Answer<'a, (), ManagerError>;

    /// Reads the configuration again and puts it in force as far as that goes without a restart.
    fn configuration_reload<'a>(&'a self, call: &'a Call) -> Answer<'a, Reloaded, ManagerError>;
}
