//! The servers of other processes and hosts: who has what by the configuration, asked over the wire.
//!
//! Other processes of this host are asked by their sockets in the site's folder (`rpc::local`), other hosts by their ports.
//! Connections are made when somebody asks, and kept for the life of the process. A host that joins the site is found as
//! soon as the configuration names it. A host without an identity (`lib/rme`) asks nobody: what it does not serve itself
//! is `Unavailable`, which the log says once.

use crate::folder;
use crate::surroundings::Surroundings;
use admin::site::Site;
use catalog::events::rme::RmeNoIdentity;
use catalog::servers::{self, SERVERS, Server};
use control::configuration::Mirror;
use control::topology::{Host, Topology};
use env::Env;
use env::settings::Live;
use mail::id::HostName;
use rpc::access::Outgoing;
use rpc::client::{Failover, Remote};
use rpc::identity::Identity;
use rpc::local::LocalWay;
use rpc::pool::{CONNECTIONS, Dial, Dialling, Peer};
use std::collections::{BTreeMap, HashMap};
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Who asks whom, and where.
type Way = (&'static str, HostName, String, u16);

/// Most hosts without a place in the configuration that are remembered by name.
const MAX_UNKNOWN: usize = 100;
/// How long a start waits for the configuration server.
const CATCH_UP: Duration = Duration::from_secs(2);
/// Where the manager of a host is asked by the servers of its host.
pub(crate) const MANAGER: &str = "immgrserv";

/// See the module.
pub(crate) struct Partners {
    env: Env,
    site: Site,
    identity: Option<Arc<Identity>>,
    topology: Live<Topology>,
    /// By who asks, name, address (of this host: server) and port: a host that moves is another one, and limits are those of
    /// the server that asks.
    known: Mutex<HashMap<Way, Arc<Peer>>>,
    /// Hosts that the site does not have, so that the log names each once.
    unknown: Mutex<HashMap<HostName, Arc<Peer>>>,
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
        Arc::new(Self {
            env: env.clone(),
            site: site.clone(),
            identity,
            topology,
            known: Mutex::default(),
            unknown: Mutex::default(),
        })
    }

    /// The hosts of the site, as they are now.
    pub(crate) fn topology(&self) -> Arc<Topology> {
        self.topology.get()
    }

    /// Who this host is towards the others.
    pub(crate) fn identity(&self) -> Option<&Arc<Identity>> {
        self.identity.as_ref()
    }

    /// The manager of a host; `None` where it cannot be asked: no identity here, or no port there.
    pub(crate) fn manager(&self, host: &Host) -> Option<Remote> {
        self.at(&self.env, host, MANAGER, host.manager_port()).map(Remote::new)
    }

    /// The manager of this host, which is another process.
    pub(crate) fn own_manager(&self) -> Remote {
        let topology = self.topology();
        self.manager(topology.own()).unwrap_or_else(|| self.nobody(&topology.own().name))
    }

    /// The server of a host, as one of this process asks it; see [`Partners::manager`].
    fn server(&self, asking: &Env, host: &Host, server: &'static Server) -> Option<Arc<Peer>> {
        self.at(asking, host, server.name, host.port(server))
    }

    /// What is not in this process but of this host is another process of it.
    fn at(&self, asking: &Env, host: &Host, server: &'static str, port: Option<u16>) -> Option<Arc<Peer>> {
        let own = host.name == *self.site.host();
        let way = match own {
            true => (asking.settings.server(), host.name.clone(), server.to_owned(), 0),
            false => (asking.settings.server(), host.name.clone(), host.address.clone(), port?),
        };
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(peer) = known.get(&way) {
            return Some(Arc::clone(peer));
        }
        let dial: Arc<dyn Dial> = match own {
            true => Arc::new(LocalWay::new(self.site.rme_socket(server))),
            false => {
                let identity = Arc::clone(self.identity.as_ref()?);
                let (address, port, name) = (host.address.clone(), way.3, host.name.as_str());
                Arc::new(Outgoing::new(address, port, name, identity).ok()?)
            }
        };
        let peer = Peer::new(asking.clone(), host.name.clone(), dial, CONNECTIONS);
        known.insert(way, Arc::clone(&peer));
        Some(peer)
    }

    /// A role that every host with this server has, this host's own asked first.
    pub(crate) fn any(&self, server: &'static str) -> Failover {
        let topology = self.topology();
        let row = servers::find(server);
        let hosts = topology.running(server).filter_map(|host| self.server(&self.env, host, row?));
        Failover::over(hosts.collect())
    }

    /// The queues of the site's other hosts, or processes, by host.
    pub(crate) fn queues(&self) -> BTreeMap<HostName, Remote> {
        let topology = self.topology();
        let row = servers::find("imqueueserv");
        let peer = |host: &Host| Some((host.name.clone(), self.server(&self.env, host, row?)?));
        topology.running("imqueueserv").filter_map(peer).map(|(name, p)| (name, Remote::new(p))).collect()
    }

    /// The server of this name on this host, as `asking` asks it; where the host is not of the site or cannot be asked,
    /// one that is always away.
    pub(crate) fn of_host(&self, asking: &Env, host: &HostName, server: &'static str) -> Remote {
        let topology = self.topology();
        let found = topology.host(host.as_str()).zip(servers::find(server));
        let found = found.and_then(|(host, row)| self.server(asking, host, row));
        found.map_or_else(|| self.nobody(host), Remote::new)
    }

    /// The processes of this host, one for each server that it is to run, by name.
    pub(crate) fn processes(&self, asking: &Env) -> Vec<(&'static str, Remote)> {
        let topology = self.topology();
        let runs = SERVERS.iter().filter(|server| topology.own().runs(server.name));
        let process = |server: &'static Server| {
            let peer = self.server(asking, topology.own(), server)?;
            Some((server.name, Remote::new(peer)))
        };
        runs.filter_map(process).collect()
    }

    /// On a host without the configuration server: follows the one that has it, and works on with its copy while that is
    /// away.
    pub(crate) fn follow_configuration(&self, env: &Env) {
        if let Some(mirror) = self.mirror(env) {
            env.tasks.spawn(mirror.run());
        }
    }

    /// Puts in force what the configuration server says now, before anything begins by a copy that may be old: who has the
    /// queue is settled at the start. A server that does not answer at once is not waited for.
    pub(crate) async fn catch_up(&self, surroundings: &Surroundings) {
        let Some(mirror) = self.mirror(&surroundings.env) else { return };
        if mirror.catch_up(CATCH_UP).await {
            let configuration = Arc::clone(&surroundings.configuration);
            // One that cannot be used has been reported: the copy of before holds.
            let _ = surroundings.env.compute.run(move || configuration.reload()).await;
        }
    }

    fn mirror(&self, env: &Env) -> Option<Mirror> {
        let topology = self.topology();
        let elsewhere = topology.running("imconfserv").all(|host| host.name != *self.site.host());
        (elsewhere && !topology.is_alone()).then(|| Mirror {
            server: Arc::new(self.any("imconfserv")),
            files: self.site.configuration_files(),
            env: env.for_server("imconfserv"),
        })
    }

    fn nobody(&self, name: &HostName) -> Remote {
        let mut unknown = self.unknown.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(peer) = unknown.get(name) {
            return Remote::new(Arc::clone(peer));
        }
        let peer = Peer::new(self.env.clone(), name.clone(), Arc::new(Nobody), 1);
        if unknown.len() < MAX_UNKNOWN {
            unknown.insert(name.clone(), Arc::clone(&peer));
        }
        Remote::new(peer)
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

#[cfg(test)]
mod tests {
    use super::*;
    use mail::id::{MailboxId, RequestId, TraceId};
    use roles::Call;
    use roles::store::{MessageStore as _, StoreError};

    #[tokio::test]
    async fn a_home_that_the_site_does_not_have_is_unavailable_and_named_in_the_log() {
        let (folder, env) = (tempfile::tempdir().unwrap(), Env::for_test("mta"));
        let partners = Partners::of(&Site::open(folder.path()).unwrap(), &env);
        for _ in 0..3 {
            let store = partners.of_host(&env, &HostName::new("pluto"), "mss");
            let call = Call::new(RequestId(1), TraceId::new("test"));
            assert_eq!(store.mailbox_create(&call, MailboxId(1)).await, Err(StoreError::Unavailable));
        }
        let lines = env.log.lines();
        let named: Vec<_> = lines.iter().filter(|l| l.contains("RmeConnectionUnavailable")).collect();
        assert_eq!(named.len(), 1);
        assert!(named[0].contains("pluto") && named[0].contains("no such host"), "{}", named[0]);
    }
}
