//! The servers of other processes and hosts: who has what by the configuration, asked over the wire.
//!
//! Connections are made when somebody asks, and kept for the life of the process. A host that joins the site is found as
//! soon as the configuration names it. A host without an identity (`lib/rme`) asks nobody: what it does not serve itself
//! is `Unavailable`, which the log says once.

use crate::folder;
use admin::site::Site;
use catalog::events::rme::RmeNoIdentity;
use catalog::servers::{self, Server};
use control::topology::{Host, Topology};
use env::Env;
use env::settings::Live;
use mail::id::HostName;
use rpc::access::Outgoing;
use rpc::client::Remote;
use rpc::identity::Identity;
use rpc::pool::{CONNECTIONS, Dial, Dialling, Peer};
use std::collections::HashMap;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};

/// See the module.
pub(crate) struct Partners {
    env: Env,
    identity: Option<Arc<Identity>>,
    topology: Live<Topology>,
    /// By name, address and port: a host that moves is another one.
    known: Mutex<HashMap<(String, String, u16), Remote>>,
}

impl Partners {
    /// Those of this site, as this host sees them.
    pub(crate) fn of(site: &Site, env: &Env) -> Arc<Self> {
        let own = site.host().clone();
        let topology = env.settings.live(move |settings| Topology::of(&settings.tree(), &own));
        let folder = folder::identity_folder(site);
        let identity = match Identity::load(&folder) {
            Ok(identity) => Some(identity),
            Err(reason) => {
                if !topology.get().is_alone() {
                    env.log.emit(&RmeNoIdentity { folder: folder.display(), reason });
                }
                None
            }
        };
        Arc::new(Self { env: env.clone(), identity, topology, known: Mutex::default() })
    }

    /// The hosts of the site, as they are now.
    pub(crate) fn topology(&self) -> Arc<Topology> {
        self.topology.get()
    }

    /// Who this host is towards the others.
    pub(crate) fn identity(&self) -> Option<&Arc<Identity>> {
        self.identity.as_ref()
    }

    /// The server of a host; `None` where it cannot be asked: no identity here, or no port there.
    pub(crate) fn server(&self, host: &Host, server: &Server) -> Option<Remote> {
        self.at(host, host.port(server)?)
    }

    /// The manager of a host.
    pub(crate) fn manager(&self, host: &Host) -> Option<Remote> {
        self.at(host, host.manager_port()?)
    }

    fn at(&self, host: &Host, port: u16) -> Option<Remote> {
        let identity = self.identity.as_ref()?;
        let name = (host.name.as_str().to_owned(), host.address.clone(), port);
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(remote) = known.get(&name) {
            return Some(remote.clone());
        }
        let way = Outgoing::new(host.address.clone(), port, host.name.as_str(), Arc::clone(identity)).ok()?;
        let peer = Peer::new(self.env.clone(), host.name.clone(), Arc::new(way), CONNECTIONS);
        let remote = Remote::new(peer);
        known.insert(name, remote.clone());
        Some(remote)
    }

    /// The first host that runs this server, this one before others; where there is none, one that is always away.
    pub(crate) fn first(&self, server: &'static str) -> Remote {
        let topology = self.topology();
        let found = servers::find(server)
            .and_then(|row| topology.running(row.name).find_map(|host| self.server(host, row)));
        found.unwrap_or_else(|| self.nobody(&HostName::new(server)))
    }

    /// The server of this name on this host; where the host is not of the site or cannot be asked, one that is always away.
    pub(crate) fn of_host(&self, host: &HostName, server: &'static str) -> Remote {
        let topology = self.topology();
        let found = topology.host(host.as_str()).zip(servers::find(server));
        let found = found.and_then(|(host, row)| self.server(host, row));
        found.unwrap_or_else(|| self.nobody(host))
    }

    fn nobody(&self, name: &HostName) -> Remote {
        Remote::new(Peer::new(self.env.clone(), name.clone(), Arc::new(Nobody), 1))
    }
}

/// The way to a host that the configuration does not know.
struct Nobody;

impl Dial for Nobody {
    fn dial(&self) -> Dialling {
        let why = "the configuration names no such host of this site, or this host has no identity (lib/rme)";
        Box::pin(std::future::ready(Err(io::Error::new(io::ErrorKind::NotFound, why))))
    }

    fn port(&self) -> u16 {
        0
    }
}
