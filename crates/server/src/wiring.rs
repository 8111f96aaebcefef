//! Who talks to whom: the one place where a server is chosen for a role.
//!
//! What this process serves is asked without a hop: the `Arc<dyn Role>` is the server itself. Everything else is asked
//! over the wire ([`Partners`]), and a part that is away is the caller's `Unavailable`, never the end of this process.

use crate::backup::SiteBackup;
use crate::doors::Offer;
use crate::folder;
use crate::here::{self, Here, Parts, Share};
use crate::manager::SiteManager;
use crate::owners::Owners;
use crate::partners::Partners;
use crate::ports::Doors;
use crate::queues;
use crate::sites::SiteHosts;
use crate::surroundings::Surroundings;
use admin::context::{Hosts as _, Roles};
use admin::site::Site;
use anyhow::Context as _;
use catalog::events::proc::{ProcNoRunDir, ProcStartFailed};
use catalog::keys::common::RUN_DIR;
use catalog::servers::{SERVERS, Server, Service};
use control::configuration::ConfigurationServer;
use control::monitor::{Pages, Sources};
use control::topology::Host;
use directory::{DirectoryServer, Peer};
use env::Env;
use imap::Imap;
use mail::id::HostName;
use mta::Mta;
use mta::inbound::Port;
use mta::outbound::Outbound;
use net::dns::Dns;
use net::dns::system::SystemDns;
use net::listener::Protocol;
use net::tls::ServerTls;
use net::tls_client::TlsClient;
use pop::Pop;
use roles::directory::Directory;
use roles::directory::cache::DirectoryCache;
use roles::directory::provision::Provisioning;
use roles::manager::Manager;
use roles::queue::MailQueue;
use roles::store::Stores as _;
use rpc::client::Failover;
use rpc::serve::Served;
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;

/// The servers of this process, and the way to the others.
pub(crate) struct Servers {
    site: Arc<Site>,
    here: Here,
    partners: Arc<Partners>,
    owners: Arc<Owners>,
    asked: Asked,
    dns: Arc<dyn Dns>,
    /// Takes mail of the house itself; the MTA of the ports is made with them.
    own: Arc<Mta>,
    backup: SiteBackup,
}

/// Every role, wherever it is.
#[derive(Clone)]
struct Asked {
    directory: Arc<dyn Directory>,
    provisioning: Arc<dyn Provisioning>,
    cache: Arc<dyn DirectoryCache>,
    stores: SiteHosts,
    queue: Arc<dyn MailQueue>,
    /// What follows the copy that another process of this host keeps.
    follower: Option<DirectoryServer>,
}

impl Asked {
    fn choose(
        site: &Site,
        env: &Env,
        here: &Here,
        partners: &Arc<Partners>,
        owners: &Arc<Owners>,
    ) -> anyhow::Result<Self> {
        let stores = SiteHosts::new(site.host().clone(), here.stores.clone(), owners, partners, env);
        let queue = queues::choose(&env.for_server("mta"), site.host(), here.queue.as_ref(), partners)?;
        if let Some(own) = here.directory.clone().map(Arc::new) {
            let (directory, provisioning, cache) = (own.clone(), own.clone(), own);
            return Ok(Self { directory, provisioning, cache, stores, queue, follower: None });
        }
        let far = Arc::new(partners.any("imdircacheserv"));
        let follower = follow_copy(site, &env.for_server("imdircacheserv"), partners, &far)?;
        let directory: Arc<dyn Directory> = match &follower {
            Some(follower) => Arc::new(follower.clone()),
            None => far.clone(),
        };
        // A copy is one host's: this one's, where it keeps one.
        let keeper = partners.topology().running("imdircacheserv").next().map(|host| host.name.clone());
        let keeper = keeper.unwrap_or_else(|| site.host().clone());
        let cache = Arc::new(partners.of_host(env, &keeper, "imdircacheserv"));
        Ok(Self { directory, provisioning: far, cache, stores, queue, follower })
    }

    /// What an MTA works with.
    fn of_mta(&self, site: &Site, env: &Env, dns: &Arc<dyn Dns>, tls: Option<Arc<ServerTls>>) -> mta::Parts {
        mta::Parts {
            directory: Arc::clone(&self.directory),
            stores: Arc::new(self.stores.asked_by(env)),
            queue: Arc::clone(&self.queue),
            dns: Arc::clone(dns),
            tls,
            run_dir: run_folder(site, env),
        }
    }
}

impl Servers {
    /// Opens what this process serves itself, and finds the way to the rest.
    ///
    /// # Errors
    /// Names what could not be opened and why.
    pub(crate) async fn open(
        site: &Arc<Site>,
        surroundings: &Surroundings,
        parts: Parts,
    ) -> anyhow::Result<Self> {
        let env = &surroundings.env;
        let partners = Partners::of(site, env);
        if parts.share == Share::All {
            partners.catch_up(surroundings).await;
        }
        let mut here = Here::open(site, env, parts).await?;
        let owners = find_owners(site, env, &here, &partners);
        if here.parts.has("mss") {
            here.open_stores(site, env, &owners).await?;
        }
        let asked = Asked::choose(site, env, &here, &partners, &owners)?;
        // Without resolv.conf every look-up is a temporary failure: mail for other hosts waits.
        let dns = SystemDns::of_host().or_else(|_| SystemDns::of_servers(&[])).context("no name service")?;
        let dns: Arc<dyn Dns> = Arc::new(dns);
        let of_mta = env.for_server("mta");
        let own = Mta::new(of_mta.clone(), asked.of_mta(site, &of_mta, &dns, None));
        let backup = SiteBackup::new(env.clone(), Arc::clone(site), here.clone(), Arc::clone(&partners));
        Ok(Self { site: Arc::clone(site), here, partners, owners, asked, dns, own, backup })
    }

    /// What this process counts. The queue is counted by the process that has it; all of a host asks for it, wherever it is.
    pub(crate) fn page(&self, env: &Env) -> Arc<Pages> {
        let queue: Option<Arc<dyn MailQueue>> = match &self.here.queue {
            _ if self.here.is_whole() => Some(Arc::clone(&self.asked.queue)),
            Some(own) => Some(Arc::new(own.clone())),
            None => None,
        };
        Arc::new(Pages::new(env.clone(), Sources { queue }))
    }

    /// What is open in this process.
    pub(crate) fn here(&self) -> &Here {
        &self.here
    }

    /// The way to the others.
    pub(crate) fn partners(&self) -> &Arc<Partners> {
        &self.partners
    }

    /// Starts what goes on beside requests: the directory hears of changes by other processes and keeps its log short.
    /// Stores are opened and closed as the directory says whose they are.
    pub(crate) fn follow(&self, env: &Env) {
        match &self.here.stores {
            Some(keeper) => Arc::clone(keeper).run(),
            None => Arc::clone(&self.owners).follow(),
        }
        let topology = self.partners.topology();
        if self.here.is_whole() {
            self.partners.follow_configuration(env);
        }
        if let Some(directory) = self.here.directory.as_ref().or(self.asked.follower.as_ref()) {
            self.reach_realms(env, directory);
            directory.follow_changes();
        }
        if let Some(directory) = &self.here.directory {
            let others = topology.running("imdircacheserv").filter(|host| host.name != *self.site.host());
            let copy = |host: &Host| {
                let copy = self.partners.of_host(env, &host.name, "imdircacheserv");
                Arc::new(copy) as Arc<dyn DirectoryCache>
            };
            directory.nudge(others.map(copy).collect());
        }
    }

    /// What is of other realms is asked of their hosts.
    fn reach_realms(&self, env: &Env, directory: &DirectoryServer) {
        let env = env.for_server("imdircacheserv");
        let realms = directory::realms(&env.settings);
        if realms.is_empty() {
            return;
        }
        let names: BTreeSet<&str> =
            realms.iter().flat_map(|r| &r.hosts).map(|(host, _)| host.as_str()).collect();
        let peer = |host: &str| {
            let server = self.partners.of_host(&env, &HostName::new(host), "imdircacheserv");
            Peer { host: host.to_owned(), directory: Arc::new(server) }
        };
        directory.reach_realms(&names.into_iter().map(peer).collect::<Vec<_>>());
    }

    /// The servers as commands see them.
    pub(crate) fn roles(&self, manager: SiteManager) -> Roles {
        let own = self.site.host();
        let rollout = Arc::new(manager.rollout().clone());
        let manager: Arc<dyn Manager> = match self.here.parts.share {
            Share::Managed => Arc::new(self.partners.own_manager()),
            Share::All | Share::Some => Arc::new(manager),
        };
        Roles {
            rollout,
            directory: Arc::clone(&self.asked.directory),
            provisioning: Arc::clone(&self.asked.provisioning),
            cache: Arc::clone(&self.asked.cache),
            store: self.asked.stores.of(own),
            queue: Arc::clone(&self.asked.queue),
            submission: self.own.clone(),
            maintenance: self.asked.stores.maintenance(own),
            manager,
            backup: Arc::new(self.backup.clone()),
            ownership: Arc::clone(self.owners.directory()),
            hosts: Arc::new(self.asked.stores.clone()),
        }
    }

    /// What the servers of this process offer to others, each at its own doors. In one process, a site of one host has
    /// nobody who would ask.
    pub(crate) fn offers(&self, env: &Env, manager: &SiteManager) -> Vec<Offer> {
        let topology = self.partners.topology();
        let whole = self.here.is_whole();
        if topology.is_alone() && whole {
            return Vec::new();
        }
        let own = topology.own();
        let mut offers = Vec::new();
        for server in SERVERS.iter().filter(|server| self.here.parts.has(server.name)) {
            let env = env.for_server(server.name);
            let (run_dir, port) = (run_folder(&self.site, &env), own.port(server));
            let served = self.served(&env, server);
            if whole {
                let doors = Doors::of_host(&topology, port);
                offers.extend(served.map(|served| Offer {
                    env,
                    doors,
                    run_dir,
                    served,
                    served_here: Served::default(),
                }));
                continue;
            }
            let served = Served { probe: Some(manager.prober()), ..served.unwrap_or_default() };
            // Where a backup goes is a path of this host: nobody else's to say.
            let served_here = Served { backup: Some(Arc::new(self.backup.clone())), ..served.clone() };
            let doors = Doors::of_process(&self.site, &topology, server.name, port);
            offers.push(Offer { env, doors, run_dir, served, served_here });
        }
        if whole {
            let env = env.for_server("common");
            let served = Served { manager: Some(Arc::new(manager.clone())), ..Served::default() };
            let (run_dir, doors) =
                (run_folder(&self.site, &env), Doors::of_host(&topology, own.manager_port()));
            offers.push(Offer { env, doors, run_dir, served, served_here: Served::default() });
        }
        offers
    }

    /// The roles that a server of this process has for others; `None`: none.
    fn served(&self, env: &Env, server: &Server) -> Option<Served> {
        let mut served = Served::default();
        match server.name {
            "imdircacheserv" => {
                let directory = self.here.directory.clone().map(Arc::new)?;
                served.directory = Some(directory.clone());
                served.provisioning = Some(directory.clone());
                served.ownership = Some(directory.clone());
                served.cache = Some(directory);
            }
            "mss" => {
                self.here.stores.as_ref()?;
                let store = self.asked.stores.served();
                served.store = Some(store.clone());
                served.maintenance = Some(store);
            }
            "imqueueserv" => served.queue = Some(self.here.queue.clone().map(Arc::new)?),
            "imconfserv" => {
                let files = self.site.configuration_files();
                served.configuration = Some(Arc::new(ConfigurationServer::new(files, env.clone())));
            }
            _ => return None,
        }
        Some(served)
    }

    /// The server of this name, if it speaks with clients. Its sessions and workers run in `env`.
    pub(crate) fn speaker(&self, env: &Env, tls: &Arc<ServerTls>) -> Option<Speaker> {
        let tls = Some(Arc::clone(tls));
        let run_dir = run_folder(&self.site, env);
        if !run_dir.is_dir() {
            env.log.emit(&ProcNoRunDir { path: run_dir.display() });
            return None;
        }
        let stores = Arc::new(self.asked.stores.asked_by(env));
        let directory = Arc::clone(&self.asked.directory);
        match env.settings.server() {
            "mta" => {
                let parts = self.asked.of_mta(&self.site, env, &self.dns, tls);
                Some(Speaker::Mta(Mta::new(env.clone(), parts)))
            }
            "popserv" => Some(Speaker::Pop(Pop::new(env.clone(), pop::Parts { directory, stores, tls }))),
            "imapserv" => {
                let run_dir = Arc::new(run_dir);
                Some(Speaker::Imap(Imap::new(env.clone(), imap::Parts { directory, stores, tls, run_dir })))
            }
            _ => None,
        }
    }

    /// Starts the worker of outgoing mail.
    pub(crate) fn start_outbound(&self, env: &Env, mta: &Arc<Mta>) {
        match TlsClient::of_host() {
            Ok(tls) => env.tasks.spawn(Outbound::new(Arc::clone(mta), self.own.clone(), tls).run()),
            Err(error) => env.log.emit(&ProcStartFailed { part: "outgoing mail", error }),
        }
    }

    /// Closes the databases, in order.
    pub(crate) async fn close(&self) {
        self.here.close().await;
    }
}

/// Looks up in the copy of the directory that another process of this host keeps, where one is kept: without a hop.
fn follow_copy(
    site: &Site,
    env: &Env,
    partners: &Partners,
    far: &Arc<Failover>,
) -> anyhow::Result<Option<DirectoryServer>> {
    let kept = partners.topology().own().runs("imdircacheserv");
    let Some(folder) = here::copy_folder(site, env).filter(|_| kept) else { return Ok(None) };
    let followed = DirectoryServer::follow(env.clone(), &folder, far.clone());
    Ok(Some(followed.context("cannot follow the copy of the directory")?))
}

/// Who has which store, as the directory says: the one of this process, or of others.
fn find_owners(site: &Site, env: &Env, here: &Here, partners: &Partners) -> Arc<Owners> {
    match here.directory.clone() {
        Some(directory) => Owners::new(env.clone(), Arc::new(directory), folder::owners_file(site)),
        None => Owners::elsewhere(site, env, partners),
    }
}

/// A server that speaks with clients.
pub(crate) enum Speaker {
    /// SMTP and LMTP.
    Mta(Arc<Mta>),
    /// POP3.
    Pop(Arc<Pop>),
    /// IMAP.
    Imap(Arc<Imap>),
}

impl Speaker {
    /// What it speaks on a port.
    pub(crate) fn protocol(&self, service: Service, number: u16) -> Arc<dyn Protocol> {
        match self {
            Self::Mta(mta) => Port::new(Arc::clone(mta), inbound(service), number),
            Self::Pop(pop) => pop.clone(),
            Self::Imap(imap) => imap.clone(),
        }
    }
}

fn inbound(service: Service) -> mta::inbound::Service {
    match service {
        Service::Submission | Service::Submissions => mta::inbound::Service::Submission,
        Service::Lmtp => mta::inbound::Service::Lmtp,
        _ => mta::inbound::Service::Relay,
    }
}

fn run_folder(site: &Site, env: &Env) -> PathBuf {
    folder::run_folder(site, env.settings.server(), &env.settings.get(RUN_DIR))
}
