//! Who talks to whom: the one place where a server is chosen for a role.
//!
//! Every role is served in this process, so every `Arc<dyn Role>` is the server itself: no hop, no encoding, no copy.
//! Roles on other hosts will be chosen here, and nowhere else.

use crate::backup::SiteBackup;
use crate::folder;
use admin::context::Roles;
use admin::site::Site;
use anyhow::Context as _;
use catalog::events::proc::{ProcNoRunDir, ProcStartFailed};
use catalog::keys::common::{PRIMARY_DB_URL, RUN_DIR};
use catalog::keys::imdircacheserv::{DIR_CACHE, DIR_CACHE_DB};
use catalog::keys::mss::NUM_MSS_PORTS;
use catalog::servers::Service;
use control::configuration::{self, InForce};
use directory::DirectoryServer;
use env::Env;
use env::budget::Budget;
use env::clock::Clock;
use env::compute::Compute;
use env::log::{Log, Writer};
use env::random::Random;
use env::settings::Settings;
use env::tasks::Tasks;
use imap::Imap;
use mta::Mta;
use mta::inbound::Port;
use mta::outbound::Outbound;
use net::dns::Dns;
use net::dns::system::SystemDns;
use net::listener::Protocol;
use net::tls::ServerTls;
use net::tls_client::TlsClient;
use pop::Pop;
use queue::Queue;
use roles::directory::Directory;
use roles::manager::Manager;
use roles::queue::MailQueue;
use roles::store::{MessageStore, OneStore, Stores};
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::sync::Arc;
use storage::shard::ShardOptions;
use store::Store;

/// Bytes of mail that all sessions together may hold in memory.
const MAIL_IN_MEMORY: usize = 64 << 20;
/// Passwords that may wait to be checked.
const WAITING_CHECKS: usize = 256;
/// What the servers of a process share.
pub(crate) struct Surroundings {
    /// The seven things.
    pub(crate) env: Env,
    /// The configuration as it is followed.
    pub(crate) configuration: Arc<InForce>,
    /// Writes the log; dropping it writes what is left.
    _log: Writer,
}

impl Surroundings {
    /// From the configuration of the site.
    ///
    /// # Errors
    /// Where the configuration is not usable or the log cannot be written.
    pub(crate) fn new(site: &Site) -> anyhow::Result<Self> {
        let files = site.configuration_files();
        let loaded = configuration::load(&files)?;
        let clock = Clock::system();
        let folder = site.folder().join("log");
        let host = site.host().as_str();
        let (log, writer) = Log::to_folder(&folder, host, clock.clone(), "immgrserv")
            .with_context(|| format!("cannot write to {}", folder.display()))?;
        configuration::report(&loaded, host, &log);
        let settings = Settings::new(host, "common", loaded.tree);
        let configuration = Arc::new(InForce::new(files, settings.clone(), log.clone()));
        let processors = std::thread::available_parallelism().map_or(2, usize::from);
        let env = Env {
            clock,
            random: Random::system(),
            log,
            settings,
            budget: Budget::new(MAIL_IN_MEMORY),
            tasks: Tasks::new(),
            compute: Compute::new(processors, WAITING_CHECKS),
        };
        Ok(Self { env, configuration, _log: writer })
    }
}

/// The servers of this process.
pub(crate) struct Servers {
    site: Arc<Site>,
    directory: DirectoryServer,
    store: Store,
    queue: Queue,
    dns: Arc<dyn Dns>,
    /// Takes mail of the house itself; the MTA of the ports is made with them.
    own: Arc<Mta>,
    backup: SiteBackup,
}

impl Servers {
    /// Opens directory, store and queue of the site.
    ///
    /// # Errors
    /// Names what could not be opened and why.
    pub(crate) async fn open(site: &Arc<Site>, surroundings: &Surroundings) -> anyhow::Result<Self> {
        let env = &surroundings.env;
        let file = folder::directory_file(site);
        let of_directory = env.for_server("imdircacheserv");
        let directory = match copy_folder(site, &of_directory) {
            Some(folder) => DirectoryServer::open_with_copy(of_directory, &file, &folder).await,
            None => DirectoryServer::open(of_directory, &file).await,
        };
        let directory = directory.with_context(|| format!("cannot open the directory {}", file.display()))?;
        let folder = site.store_folder();
        let of_store = env.for_server("mss");
        let shards = u32::try_from(of_store.settings.get(NUM_MSS_PORTS)).ok().and_then(NonZeroU32::new);
        let shards = shards.unwrap_or(NonZeroU32::MIN);
        let store = Store::open(&folder, shards, &ShardOptions::default(), &of_store);
        let store = store.with_context(|| format!("cannot open the message store {}", folder.display()))?;
        let folder = folder::queue_folder(site);
        let queue = Queue::open(&folder, ShardOptions::default(), env).await;
        let queue = queue.with_context(|| format!("cannot open the queue {}", folder.display()))?;
        // Without resolv.conf every look-up is a temporary failure: mail for other hosts waits.
        let dns = SystemDns::of_host().or_else(|_| SystemDns::of_servers(&[])).context("no name service")?;
        let dns: Arc<dyn Dns> = Arc::new(dns);
        let (of_mta, tls) = (env.for_server("mta"), None);
        let own = Mta::new(of_mta.clone(), parts(site, &of_mta, &directory, &store, &queue, &dns, tls));
        let of_site = (Arc::clone(site), directory.clone(), store.clone(), queue.clone());
        let backup = SiteBackup::new(env.clone(), of_site.0, of_site.1, of_site.2, of_site.3);
        Ok(Self { site: Arc::clone(site), directory, store, queue, dns, own, backup })
    }

    /// The directory.
    pub(crate) fn directory(&self) -> &dyn Directory {
        &self.directory
    }

    /// Starts what goes on beside requests: the directory hears of changes by other processes and keeps its log short.
    pub(crate) fn follow(&self) {
        self.directory.follow_changes();
    }

    /// The message store.
    pub(crate) fn store(&self) -> &dyn MessageStore {
        &self.store
    }

    /// The queue.
    pub(crate) fn queue(&self) -> &dyn MailQueue {
        &self.queue
    }

    /// The servers as commands see them.
    pub(crate) fn roles(&self, manager: impl Manager + 'static) -> Roles {
        Roles {
            directory: Arc::new(self.directory.clone()),
            provisioning: Arc::new(self.directory.clone()),
            cache: Arc::new(self.directory.clone()),
            store: Arc::new(self.store.clone()),
            queue: Arc::new(self.queue.clone()),
            submission: self.own.clone(),
            maintenance: Arc::new(self.store.clone()),
            manager: Arc::new(manager),
            backup: Arc::new(self.backup.clone()),
        }
    }

    /// The server of this name, if it speaks with clients. Its sessions and workers run in `env`.
    pub(crate) fn speaker(&self, env: &Env, tls: &Arc<ServerTls>) -> Option<Speaker> {
        let tls = Some(Arc::clone(tls));
        let run_dir = run_folder(&self.site, env);
        if !run_dir.is_dir() {
            env.log.emit(&ProcNoRunDir { path: run_dir.display() });
            return None;
        }
        match env.settings.server() {
            "mta" => {
                let parts = parts(&self.site, env, &self.directory, &self.store, &self.queue, &self.dns, tls);
                Some(Speaker::Mta(Mta::new(env.clone(), parts)))
            }
            "popserv" => {
                let (directory, stores) = (Arc::new(self.directory.clone()), here(&self.store));
                Some(Speaker::Pop(Pop::new(env.clone(), pop::Parts { directory, stores, tls })))
            }
            "imapserv" => {
                let (directory, stores) = (Arc::new(self.directory.clone()), here(&self.store));
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
        self.queue.close().await;
        self.store.close().await;
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

/// What an MTA works with.
fn parts(
    site: &Site,
    env: &Env,
    directory: &DirectoryServer,
    store: &Store,
    queue: &Queue,
    dns: &Arc<dyn Dns>,
    tls: Option<Arc<ServerTls>>,
) -> mta::Parts {
    mta::Parts {
        directory: Arc::new(directory.clone()),
        stores: here(store),
        queue: Arc::new(queue.clone()),
        dns: Arc::clone(dns),
        tls,
        run_dir: run_folder(site, env),
    }
}

/// The store of this process, for every home: asked without a hop.
fn here(store: &Store) -> Arc<dyn Stores> {
    Arc::new(OneStore(Arc::new(store.clone())))
}

/// Where the copy of the directory on this host is kept, if one is. `auto`: where the database is not a file of this host.
fn copy_folder(site: &Site, env: &Env) -> Option<PathBuf> {
    let wanted = match env.settings.get(DIR_CACHE).as_str() {
        "on" => true,
        "off" => false,
        _ => !env.settings.get(PRIMARY_DB_URL).trim().is_empty(),
    };
    wanted.then(|| site.folder().join(env.settings.get(DIR_CACHE_DB)))
}

fn run_folder(site: &Site, env: &Env) -> PathBuf {
    folder::run_folder(site, env.settings.server(), &env.settings.get(RUN_DIR))
}
