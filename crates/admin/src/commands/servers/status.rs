//! What is known of the servers of this host, with a daemon or without one.

use crate::command::Opt;
use crate::connect::ask;
use crate::context::{Context, Failure, NoManager};
use crate::output::{Cell, Column, Console, Layout, Listing, Tint};
use crate::site::Site;
use anyhow::Context as _;
use catalog::keys::sysadmin::IMMGRSERV_RUN;
use catalog::servers::{SERVERS, Server};
use env::settings::Settings;
use mail::id::HostName;
use roles::manager::{ManagerError, ServerState, ServerStatus};
use serde::Deserialize;
use std::time::Duration;

pub(super) const COLUMNS: &[Column] = &[
    Column { title: "Host", key: "host" },
    Column { title: "Server", key: "server" },
    Column { title: "State", key: "state" },
    Column { title: "Pid", key: "pid" },
    Column { title: "Ports", key: "ports" },
    Column { title: "Version", key: "version" },
    Column { title: "Uptime", key: "uptime_seconds" },
];

/// The servers that are to run on this host, by its configuration.
pub(crate) fn configured(site: &Site) -> Result<Vec<&'static Server>, Failure> {
    let tree = site.configuration()?;
    let settings = Settings::new(site.host().as_str(), "sysadmin", tree);
    Ok(SERVERS.iter().filter(|server| settings.get(server.run)).collect())
}

/// Whether the servers of this host are to be processes of their own, under a manager.
pub(super) fn managed(site: &Site) -> anyhow::Result<bool> {
    let tree = site.configuration()?;
    Ok(Settings::new(site.host().as_str(), "sysadmin", tree).get(IMMGRSERV_RUN))
}

/// Whether the manager of this host is running now.
pub(super) fn has_manager(site: &Site) -> anyhow::Result<bool> {
    let path = site.manager_pid_file();
    let owner =
        control::lock_file::owner(&path).with_context(|| format!("cannot read {}", path.display()))?;
    Ok(owner.is_some())
}

/// The servers of this host: as the daemon says, or, where none runs, the configured ones as stopped.
pub(super) async fn servers(context: &Context) -> Result<Vec<ServerStatus>, Failure> {
    match &context.manager {
        Some(manager) => manager.server_list(&context.call()).await.map_err(Failure::because),
        None => Ok(configured(&*context.site()?)?.into_iter().map(stopped).collect()),
    }
}

/// A server of which nothing is there.
pub(super) fn stopped(server: &Server) -> ServerStatus {
    ServerStatus {
        name: server.name.to_owned(),
        state: ServerState::Stopped,
        pid: None,
        ports: Vec::new(),
        version: String::new(),
        since: Duration::ZERO,
    }
}

/// Names other hosts.
pub(super) const HOST: Opt = Opt {
    name: "host",
    value: Some("HOST"),
    help: "These hosts, parted by commas, or allhosts, instead of this one",
};

/// The servers of a host, as its manager says.
///
/// # Errors
/// Why it cannot be asked, or what it says.
pub(super) async fn of_host(context: &Context, host: &HostName) -> Result<Vec<ServerStatus>, ManagerError> {
    let manager = context.manager_of(host).map_err(no_manager)?;
    manager.server_list(&context.call()).await
}

/// What is said where there is no manager to ask.
pub(super) fn no_manager(none: NoManager) -> ManagerError {
    ManagerError::Failed(match none {
        NoManager::NotRunning => "the site is not running".to_owned(),
        NoManager::NoHost => "the site has no such host".to_owned(),
    })
}

/// Prints the table.
pub(super) async fn print(
    console: &mut Console,
    hosts: impl IntoIterator<Item = (HostName, Vec<ServerStatus>)>,
) -> Result<(), Failure> {
    let mut listing = Listing::new(COLUMNS, Layout::Table);
    let each = |(host, all): (HostName, Vec<ServerStatus>)| all.into_iter().map(move |s| (host.clone(), s));
    for (host, status) in hosts.into_iter().flat_map(each) {
        let runs = status.state != ServerState::Stopped;
        let cells = [
            host.as_str().into(),
            status.name.into(),
            state(status.state),
            status.pid.into(),
            Cell::Numbers(status.ports.into_iter().map(i64::from).collect()),
            runs.then_some(status.version).into(),
            runs.then_some(status.since).map_or(Cell::Nothing, Cell::Span),
        ];
        listing.row(console, cells).await?;
    }
    listing.end(console).await
}

/// How the states are shown.
const STATES: &[(ServerState, Tint, &str)] = &[
    (ServerState::Running, Tint::Green, "running"),
    (ServerState::Starting, Tint::Yellow, "starting"),
    (ServerState::Stopping, Tint::Yellow, "stopping"),
    (ServerState::Stopped, Tint::Red, "stopped"),
];

fn state(state: ServerState) -> Cell {
    let shown = STATES.iter().find(|(of, _, _)| *of == state);
    shown.map_or(Cell::Nothing, |(_, tint, text)| Cell::Tinted(*tint, (*text).to_owned()))
}

/// A line of the table as it comes in JSON.
#[derive(Deserialize)]
struct Shown {
    server: String,
    state: String,
    pid: Option<u32>,
    ports: Vec<u16>,
    version: Option<String>,
    uptime_seconds: Option<u64>,
}

impl From<Shown> for ServerStatus {
    fn from(shown: Shown) -> Self {
        let state = STATES.iter().find(|(_, _, text)| *text == shown.state);
        Self {
            name: shown.server,
            state: state.map_or(ServerState::Stopped, |(state, _, _)| *state),
            pid: shown.pid,
            ports: shown.ports,
            version: shown.version.unwrap_or_default(),
            since: Duration::from_secs(shown.uptime_seconds.unwrap_or(0)),
        }
    }
}

/// The servers of a running daemon, asked from outside; `None` where none runs.
pub(super) async fn of_daemon(site: &Site) -> anyhow::Result<Option<Vec<ServerStatus>>> {
    let Some(said) = ask(site, "imservdisplay", &["-json"]).await? else { return Ok(None) };
    let shown: Vec<Shown> =
        serde_json::from_slice(&said.output).context("the daemon does not say what its servers do")?;
    Ok(Some(shown.into_iter().map(ServerStatus::from).collect()))
}

/// Whether a server of this name is among these and serves.
pub(super) fn runs(all: &[ServerStatus], name: &str) -> bool {
    all.iter().any(|status| status.name == name && status.state == ServerState::Running)
}

/// The server of this name, in any case of letters.
///
/// # Errors
/// A wrong command line, with the names that there are.
pub(super) fn known(name: &str) -> Result<&'static Server, Failure> {
    let names = || SERVERS.iter().map(|server| server.name).collect::<Vec<_>>().join(", ");
    catalog::servers::find(name)
        .ok_or_else(|| Failure::Usage(format!("there is no server {name}; the servers are {}", names())))
}
