//! What this process has itself of directory, stores and queue: opened in order, closed in the opposite one.

use crate::folder;
use crate::keeper::Keeper;
use crate::owners::Owners;
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

/// Which parts of a host a process serves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Parts {
    /// The directory.
    pub(crate) directory: bool,
    /// The message store.
    pub(crate) store: bool,
    /// The queue.
    pub(crate) queue: bool,
    /// Everything that the host has is in this process: it answers as the manager of the host.
    pub(crate) whole: bool,
}

impl Parts {
    /// Those that the configuration asks this host for.
    pub(crate) fn of_host(settings: &Settings) -> Self {
        let sysadmin = settings.for_server("sysadmin");
        let runs = |name: &str| SERVERS.iter().any(|s| s.name == name && sysadmin.get(s.run));
        Self {
            directory: runs("imdircacheserv"),
            store: runs("mss"),
            queue: runs("imqueueserv"),
            whole: true,
        }
    }

    /// These servers and nothing else.
    pub(crate) fn only(named: &[String]) -> Self {
        let named = |name: &str| named.iter().any(|n| n.eq_ignore_ascii_case(name));
        Self {
            directory: named("imdircacheserv"),
            store: named("mss"),
            queue: named("imqueueserv"),
            whole: false,
        }
    }
}

/// The open parts. Cloning shares them.
#[derive(Clone)]
pub(crate) struct Here {
    pub(crate) directory: Option<DirectoryServer>,
    /// The stores that are this host's.
    pub(crate) stores: Option<Arc<Keeper>>,
    pub(crate) queue: Option<Queue>,
    /// Whether this process is the whole of its host.
    pub(crate) manages: bool,
}

impl Here {
    /// Opens these parts, but for the stores: for those the directory is asked, wherever it is.
    ///
    /// # Errors
    /// Names what could not be opened and why.
    pub(crate) async fn open(site: &Site, env: &Env, parts: Parts) -> anyhow::Result<Self> {
        let directory = match parts.directory {
            true => Some(open_directory(site, &env.for_server("imdircacheserv")).await?),
            false => None,
        };
        let queue = match parts.queue {
            true => {
                let folder = folder::queue_folder(site);
                let queue = Queue::open(&folder, ShardOptions::default(), env).await;
                Some(queue.with_context(|| format!("cannot open the queue {}", folder.display()))?)
            }
            false => None,
        };
        Ok(Self { directory, stores: None, queue, manages: parts.whole })
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

    /// Whether directory, stores and queue are all in this process.
    pub(crate) fn is_whole(&self) -> bool {
        self.directory.is_some() && self.stores.is_some() && self.queue.is_some()
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
        assert_eq!(host, Parts { directory: true, store: false, queue: true, whole: true });
        let part = Parts::only(&["MSS".into(), "popserv".into()]);
        assert_eq!(part, Parts { directory: false, store: true, queue: false, whole: false });
    }
}
