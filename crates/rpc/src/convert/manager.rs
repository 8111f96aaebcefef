//! The servers of a host.

use super::proto as p;
use super::{Bad, at_most};
use roles::manager as r;
use std::time::Duration;

/// Most servers of a host, and most ports of a server: far above what there are.
const MAX_SERVERS: usize = 1000;

/// Whole milliseconds of a span, for the wire.
pub(crate) fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

impl From<r::ServerState> for p::ServerState {
    fn from(state: r::ServerState) -> Self {
        match state {
            r::ServerState::Running => Self::ServerRunning,
            r::ServerState::Starting => Self::ServerStarting,
            r::ServerState::Stopping => Self::ServerStopping,
            r::ServerState::Stopped => Self::ServerStopped,
        }
    }
}

impl From<p::ServerState> for r::ServerState {
    fn from(state: p::ServerState) -> Self {
        match state {
            p::ServerState::ServerRunning => Self::Running,
            p::ServerState::ServerStarting => Self::Starting,
            p::ServerState::ServerStopping => Self::Stopping,
            p::ServerState::ServerStopped => Self::Stopped,
        }
    }
}

impl From<r::ServerStatus> for p::ServerStatus {
    fn from(status: r::ServerStatus) -> Self {
        Self {
            name: status.name,
            state: p::ServerState::from(status.state).into(),
            pid: status.pid,
            ports: status.ports.into_iter().map(u32::from).collect(),
            version: status.version,
            since_ms: millis(status.since),
        }
    }
}

impl TryFrom<p::ServerStatus> for r::ServerStatus {
    type Error = Bad;

    fn try_from(status: p::ServerStatus) -> Result<Self, Bad> {
        let state = status.state().into();
        if status.ports.len() > MAX_SERVERS {
            return Err(Bad("ports"));
        }
        let port = |port: u32| u16::try_from(port).map_err(|_| Bad("port"));
        Ok(Self {
            name: status.name,
            state,
            pid: status.pid,
            ports: status.ports.into_iter().map(port).collect::<Result<_, _>>()?,
            version: status.version,
            since: Duration::from_millis(status.since_ms),
        })
    }
}

/// All servers of a host.
pub(crate) fn statuses(list: p::ServerStatuses) -> Result<Vec<r::ServerStatus>, Bad> {
    at_most(list.servers, MAX_SERVERS, "servers")
}

impl From<r::Reloaded> for p::Reloaded {
    fn from(reloaded: r::Reloaded) -> Self {
        Self { applied: reloaded.applied, at_restart: reloaded.at_restart }
    }
}

impl From<p::Reloaded> for r::Reloaded {
    fn from(reloaded: p::Reloaded) -> Self {
        Self { applied: reloaded.applied, at_restart: reloaded.at_restart }
    }
}
