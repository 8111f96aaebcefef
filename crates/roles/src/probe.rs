//! What a process says of itself: which program and which configuration it runs with, what waits for a restart, what it
//! has counted. And how whoever watches a site comes to its hosts.

use crate::manager::Manager;
use crate::{Answer, Call, Kind};
use mail::time::Timestamp;
use std::sync::Arc;
use std::time::Duration;

/// Why there is no report.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProbeError {
    /// The process does not answer; says why.
    #[error("{0}")]
    Unavailable(String),
}

impl ProbeError {
    /// What it means for the caller.
    pub fn kind(&self) -> Kind {
        match self {
            Self::Unavailable(_) => Kind::Unavailable,
        }
    }
}

/// A key that has changed since its server began, and holds from the server's next start on.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct WaitingKey {
    /// The server.
    pub server: String,
    /// The key.
    pub key: String,
}

/// The configuration that a process has.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ConfigurationReport {
    /// Checksum of the text in force, as the history of the configuration has them.
    pub in_force: String,
    /// Checksum of the file of its host; another than the one above where the file cannot be used.
    pub file: String,
    /// When the file was changed by hand, where that was the last change.
    pub by_hand: Option<Timestamp>,
    /// What holds only after a restart, in order. At most [`MAX_WAITING`].
    pub waiting: Vec<WaitingKey>,
}

/// Most waiting keys that a report names.
pub const MAX_WAITING: usize = 1000;

/// One process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProcessReport {
    /// The logical name of its host.
    pub host: String,
    /// The process.
    pub pid: u32,
    /// The version of its program.
    pub version: String,
    /// How long it has been there.
    pub up: Duration,
    /// Its configuration.
    pub configuration: ConfigurationReport,
    /// Lines of severity Erro and worse that it has logged since its start.
    pub errors: u64,
    /// Connections that it has refused since its start.
    pub refused: u64,
}

/// Every process answers for itself.
pub trait Probe: Send + Sync {
    /// What it is and has.
    fn process_report<'a>(&'a self, call: &'a Call) -> Answer<'a, ProcessReport, ProbeError>;

    /// What it counts, as a page in the text format of Prometheus. At most [`MAX_PAGE`] bytes.
    fn process_metrics<'a>(&'a self, call: &'a Call) -> Answer<'a, String, ProbeError>;
}

/// Longest page of metrics: many times what all rows of the catalog make.
pub const MAX_PAGE: usize = 4 << 20;

/// A process, as whoever watches its host sees it.
#[derive(Clone)]
pub struct Process {
    /// The server that it is; `None`: all of its host are in it.
    pub server: Option<String>,
    /// Asks it.
    pub probe: Arc<dyn Probe>,
}

/// A host, as whoever watches it sees it.
#[derive(Clone)]
pub struct Host {
    /// Its logical name.
    pub name: String,
    /// Its servers.
    pub manager: Arc<dyn Manager>,
    /// The processes that they run in.
    pub processes: Vec<Process>,
}

/// The hosts of a site: in this process or beyond a wire.
pub trait Hosts: Send + Sync {
    /// Those that can be asked, in order of their names.
    fn hosts(&self) -> Vec<Host>;
}

impl Hosts for Vec<Host> {
    fn hosts(&self) -> Self {
        self.clone()
    }
}
