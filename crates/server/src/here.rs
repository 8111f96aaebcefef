//! What this process has itself of directory, stores and queue: opened in order, closed in the opposite one.

use crate::folder;
use crate::keeper::Keeper;
use crate::owners::Owners;
use crate::partners::MANAGER;
use admin::site::Site;
use anyhow::Context as _;
use catalog::keys::common::PRIMARY_DB_URL;
use catalog::keys::imdircacheserv::{DIR_CACHE, DIR_CACHE_DB};
use catalog::keys::mss::NUM_MSS_PORTS;
use catalog::servers::SERVERS;
use directory::DirectoryServer;
use env::Env;
use env::settings::Settings;
use mail::id::HostName;
use queue::Queue;
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use storage::shard::{Holder, ShardOptions};
use store::Store;

/// How much of its host a process is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Share {
    /// Everything that the host has: it answers as the manager of the host.
    All,
    /// Some servers; the rest of the host is in other processes.
    Some,
    /// The same, under the manager of the host.
    Managed,
}

/// Which parts of a host a process serves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Parts {
    /// The servers, in start order.
    servers: Vec<&'static str>,
    /// How much of the host that is.
    pub(crate) share: Share,
}

impl Parts {
    /// Those that the configuration asks this host for.
    pub(crate) fn of_host(settings: &Settings) -> Self {
        let sysadmin = settings.for_server("sysadmin");
        let servers = SERVERS.iter().filter(|s| sysadmin.get(s.run)).map(|s| s.name).collect();
        Self { servers, share: Share::All }
    }

    /// These servers and nothing else.
    pub(crate) fn only(named: &[String], share: Share) -> Self {
        let is_named = |name: &str| named.iter().any(|n| n.eq_ignore_ascii_case(name));
        let servers = SERVERS.iter().map(|s| s.name).filter(|name| is_named(name)).collect();
        Self { servers, share }
    }

    /// What the process is called in the log: as its server, or as the manager of the host that it is.
    pub(crate) fn name(&self) -> &'static str {
        match (self.share, self.servers.as_slice()) {
            (Share::Some | Share::Managed, [server]) => server,
            _ => MANAGER,
        }
    }

    /// Whether a server is among them.
    pub(crate) fn has(&self, server: &str) -> bool {
        self.servers.contains(&server)
    }
}

/// The open parts. Cloning shares them.
#[derive(Clone)]
pub(crate) struct Here {
    pub(crate) directory: Option<DirectoryServer>,
    /// The stores that are this host's.
    pub(crate) stores: Option<Arc<Keeper>>,
    pub(crate) queue: Option<Queue>,
    /// What this process is.
    pub(crate) parts: Parts,
}

impl Here {
    /// Opens these parts, but for the stores: for those the directory is asked, wherever it is.
    ///
    /// # Errors
    /// Names what could not be opened and why.
    pub(crate) async fn open(site: &Site, env: &Env, parts: Parts) -> anyhow::Result<Self> {
        let directory = match parts.has("imdircacheserv") {
            true => Some(open_directory(site, &env.for_server("imdircacheserv")).await?),
            false => None,
        };
        let queue = match parts.has("imqueueserv") {
            true => {
                let folder = folder::queue_folder(site);
                let queue = Queue::open(&folder, ShardOptions::default(), env).await;
                Some(queue.with_context(|| format!("cannot open the queue {}", folder.display()))?)
            }
            false => None,
        };
        Ok(Self { directory, stores: None, queue, parts })
    }

    /// Opens the stores of this host, as the directory says which they are.
    ///
    /// # Errors
    /// Says why this host's own store cannot be opened.
    pub(crate) async fn open_stores(
        &mut self,
        site: &Site,
        env: &Env,
        owners: &Arc<Owners>,
    ) -> anyhow::Result<()> {
        let (own, folder, env) = (site.host().clone(), site.store_folder(), env.for_server("mss"));
        let keeper = Keeper::new(own, folder, env, Arc::clone(owners), Arc::new(open_store));
        keeper.begin().await?;
        self.stores = Some(keeper);
        Ok(())
    }

    /// This host's own store, where it is open in this process.
    pub(crate) fn store(&self) -> Option<Arc<Store>> {
        self.stores.as_ref()?.own()
    }

    /// Whether this process is the whole of its host.
    pub(crate) fn is_whole(&self) -> bool {
        self.parts.share == Share::All
    }

    /// Closes the databases.
    pub(crate) async fn close(&self) {
        if let Some(queue) = &self.queue {
            queue.close().await;
        }
        if let Some(stores) = &self.stores {
            stores.close().await;
        }
    }
}

async fn open_directory(site: &Site, env: &Env) -> anyhow::Result<DirectoryServer> {
    let file = folder::directory_file(site);
    let directory = match copy_folder(site, env) {
        Some(folder) => DirectoryServer::open_with_copy(env.clone(), &file, &folder).await,
        None => DirectoryServer::open(env.clone(), &file).await,
    };
    directory.with_context(|| format!("cannot open the directory {}", file.display()))
}

/// Where the copy of the directory on this host is kept, if one is. `auto`: where the database is not a file of this host.
pub(crate) fn copy_folder(site: &Site, env: &Env) -> Option<PathBuf> {
    let wanted = match env.settings.get(DIR_CACHE).as_str() {
        "on" => true,
        "off" => false,
        _ => !env.settings.get(PRIMARY_DB_URL).trim().is_empty(),
    };
    wanted.then(|| site.folder().join(env.settings.get(DIR_CACHE_DB)))
}

pub(crate) fn open_store(name: &HostName, folder: &Path, holder: Holder, env: &Env) -> anyhow::Result<Store> {
    let shards = u32::try_from(env.settings.get(NUM_MSS_PORTS)).ok().and_then(NonZeroU32::new);
    let shards = shards.unwrap_or(NonZeroU32::MIN);
    let options = ShardOptions { holder: Some(holder), ..ShardOptions::default() };
    let store = Store::open(folder, shards, &options, env);
    store.with_context(|| format!("cannot open the message store {name} in {}", folder.display()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use catalog::tree::Tree;

    #[test]
    fn a_host_has_what_the_configuration_says_and_a_part_only_what_is_named() {
        let tree = Tree::parse("/*/sysadmin/mss_run: [off]\n").unwrap();
        let host = Parts::of_host(&Settings::new("venus", "common", tree));
        assert!(host.has("imdircacheserv") && !host.has("mss") && host.share == Share::All);
        let part = Parts::only(&["popserv".into(), "MSS".into()], Share::Managed);
        assert_eq!(part, Parts { servers: vec!["mss", "popserv"], share: Share::Managed });
    }
}
