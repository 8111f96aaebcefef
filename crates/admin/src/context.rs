//! What a command is given when it runs.

use crate::arguments::Arguments;
use crate::command::Exit;
use crate::output::Console;
use crate::site::Site;
use env::random::Random;
use mail::id::{HostName, TraceId};
use roles::Call;
use roles::backup::Backup;
use roles::directory::Directory;
use roles::directory::cache::DirectoryCache;
use roles::directory::provision::Provisioning;
use roles::maintenance::Maintenance;
use roles::manager::Manager;
use roles::ownership::Ownership;
use roles::queue::MailQueue;
use roles::rollout::Rollout;
use roles::store::MessageStore;
use roles::submission::Submission;
use std::sync::Arc;

/// Everything that a command may use.
pub struct Context {
    /// The site it works on; see [`Context::site`].
    pub folder: Option<Arc<Site>>,
    /// Its command line, read by its row.
    pub arguments: Arguments,
    /// Its output and input.
    pub console: Console,
    /// The servers; see [`Context::roles`].
    pub servers: Option<Roles>,
    /// The manager of this host, where one runs: also in a process that has no servers of its own.
    pub manager: Option<Arc<dyn Manager>>,
    /// The other hosts, as [`Context::manager`].
    pub hosts: Option<Arc<dyn Hosts>>,
    /// Chance, for ids of requests.
    pub random: Random,
}

/// The servers of a site, as commands see them: in the same process or not.
#[derive(Clone)]
pub struct Roles {
    /// Accounts, addresses, classes of service.
    pub directory: Arc<dyn Directory>,
    /// Creates and changes accounts, addresses, domains, classes.
    pub provisioning: Arc<dyn Provisioning>,
    /// The copy of the directory on this host.
    pub cache: Arc<dyn DirectoryCache>,
    /// Mailboxes and messages of this host; see [`Roles::at`].
    pub store: Arc<dyn MessageStore>,
    /// Mail that waits.
    pub queue: Arc<dyn MailQueue>,
    /// Takes new messages.
    pub submission: Arc<dyn Submission>,
    /// Long work on the store.
    pub maintenance: Arc<dyn Maintenance>,
    /// The servers themselves.
    pub manager: Arc<dyn Manager>,
    /// Brings changes of the configuration to hosts.
    pub rollout: Arc<dyn Rollout>,
    /// Who has which store.
    pub ownership: Arc<dyn Ownership>,
    /// Backups of all of it.
    pub backup: Arc<dyn Backup>,
    /// The other hosts.
    pub hosts: Arc<dyn Hosts>,
}

impl Roles {
    /// The same with the store that has the mailboxes of this home.
    #[must_use]
    pub fn at(&self, home: &HostName) -> Self {
        if self.hosts.is_here(home) {
            return self.clone();
        }
        let (store, maintenance) = (self.hosts.store(home), self.hosts.maintenance(home));
        Self { store, maintenance, ..self.clone() }
    }
}

/// The hosts of the site. What is asked of one that is away says so.
pub trait Hosts: Send + Sync {
    /// Their names, this host first.
    fn names(&self) -> Vec<HostName>;

    /// Whether the mailboxes of this home are in the store that this host is called by.
    fn is_here(&self, home: &HostName) -> bool;

    /// Whether the store with the mailboxes of this home is open in this process.
    fn has_open(&self, home: &HostName) -> bool;

    /// The store of a host.
    fn store(&self, host: &HostName) -> Arc<dyn MessageStore>;

    /// Long work on the store of a host.
    fn maintenance(&self, host: &HostName) -> Arc<dyn Maintenance>;

    /// The manager of a host; `None` where the site has no such host.
    fn manager(&self, host: &HostName) -> Option<Arc<dyn Manager>>;
}

/// Why a command has no exit code of its own.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The command line was wrong in a way the row cannot say. Exit 2, with the usage.
    #[error("{0}")]
    Usage(String),
    /// It could not be done. Exit 1.
    #[error("{0:#}")]
    Failed(#[from] anyhow::Error),
    /// It could not be done, and the exit code says why.
    #[error("{1}")]
    With(Exit, String),
    /// Nobody reads the output any more, or nobody is there to give the input. Said to nobody.
    #[error("the other side of the console is gone")]
    Gone,
}

impl Failure {
    /// It could not be done, for this reason.
    pub fn because(reason: impl std::fmt::Display + std::fmt::Debug + Send + Sync + 'static) -> Self {
        Self::Failed(anyhow::Error::msg(reason))
    }

    /// The exit code.
    pub fn exit(&self) -> Exit {
        match self {
            Self::Usage(_) => Exit::USAGE,
            Self::Failed(_) => Exit::FAILED,
            Self::With(exit, _) => *exit,
            Self::Gone => Exit::GONE,
        }
    }
}

impl Context {
    /// The site.
    ///
    /// # Errors
    /// Where neither `--site` nor `$INTERMAIL` names one.
    pub fn site(&self) -> Result<Arc<Site>, Failure> {
        self.folder.clone().ok_or_else(|| Failure::because(NO_SITE))
    }

    /// The servers.
    ///
    /// # Errors
    /// Where the command runs without them: no daemon is running, and it is not one that opens the site.
    pub fn roles(&self) -> Result<&Roles, Failure> {
        self.servers.as_ref().ok_or_else(|| Failure::because("the site is not running"))
    }

    /// The manager of a host: here, or over the wire.
    ///
    /// # Errors
    /// Where the site is not running on this host, or has no such host.
    pub fn manager_of(&self, host: &HostName) -> Result<Arc<dyn Manager>, NoManager> {
        if self.folder.as_ref().is_some_and(|site| site.host() == host) {
            return self.manager.clone().ok_or(NoManager::NotRunning);
        }
        let hosts = self.hosts.as_ref().ok_or(NoManager::NotRunning)?;
        hosts.manager(host).ok_or(NoManager::NoHost)
    }

    /// The hosts that a word of the command line names: one, several parted by commas, or `allhosts`.
    ///
    /// # Errors
    /// Where no site is named.
    pub fn hosts_named(&self, word: &str) -> Result<Vec<HostName>, Failure> {
        Ok(match (word, &self.hosts) {
            ("allhosts", Some(hosts)) => hosts.names(),
            ("allhosts", None) => vec![self.site()?.host().clone()],
            (named, _) => named.split(',').map(HostName::new).collect(),
        })
    }

    /// Goes to where the mailbox of this account is: [`Context::roles`] has that store from here on.
    pub fn go_to(&mut self, home: &HostName) {
        if let Some(roles) = &mut self.servers {
            *roles = roles.at(home);
        }
    }

    /// A new request to the servers.
    pub fn call(&self) -> Call {
        let request = self.random.request_id();
        Call::new(request, TraceId::new(&format!("{:032x}", request.0)))
    }
}

/// Why there is no manager to ask.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoManager {
    /// Nothing runs on this host by which another could be asked.
    NotRunning,
    /// The site has no such host.
    NoHost,
}

/// What is said where no site is named.
pub const NO_SITE: &str = "no site folder: set $INTERMAIL or give -site DIR";
