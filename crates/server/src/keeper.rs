//! The stores of this host: which are open here, and by what right.
//!
//! A reconciler. Every second it compares what the directory says with what is open: what is this host's and not open is
//! opened, what is another's is closed at once, what is to be handed over is finished, closed and let go of; leases are
//! renewed. While the directory is away everything stays as it is, because a store changes its owner by an order of an
//! operator only; whoever takes it by force writes the fence in its folder, which each commit looks at.
//!
//! At a start without the directory a store is opened where its fence names this host, or where it has files and no fence
//! (nobody has ever taken it). A store is not made anew then: its storage may just not be there.

use crate::owners::Owners;
use anyhow::Context as _;
use arc_swap::ArcSwap;
use catalog::events::ms::{MsStoreClosed, MsStoreNotOpened, MsStoreOpened};
use env::Env;
use env::clock::Moment;
use env::compute::Compute;
use env::tasks::Tasks;
use mail::id::HostName;
use roles::directory::DirectoryError;
use roles::ownership::{Claim, Files, LEASE, Owned, Successor};
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use storage::shard::{Holder, Title};
use store::Store;
use tokio::runtime::Handle;

/// Between two looks.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// A lease is renewed when so much of it has passed: a third, so that two renewals may fail.
const RENEW_AFTER: Duration = Duration::from_secs(LEASE.as_secs() / 3);
/// How long the directory may take to answer a claim.
const ANSWER_WITHIN: Duration = Duration::from_secs(3);
/// How long the end of this process waits for the directory to hear of it.
const RELEASE_WITHIN: Duration = Duration::from_secs(1);
/// How long what runs beside the requests of a store may take to end.
const END_WITHIN: Duration = Duration::from_secs(2);

/// Opens the files of a store that has this name, in this folder, by this right.
pub(crate) type Open = dyn Fn(&HostName, &Path, Holder, &Env) -> anyhow::Result<Store> + Send + Sync;

/// The stores that are open in this process.
pub(crate) struct Keeper {
    own: HostName,
    /// Where this host's own store is.
    folder: PathBuf,
    env: Env,
    owners: Arc<Owners>,
    incarnation: String,
    files: Arc<Open>,
    /// Where stores are opened: reading the ends of their logs takes a while.
    opening: Compute,
    open: ArcSwap<HashMap<HostName, Arc<Kept>>>,
    /// Why a store cannot be opened, so that it is said once.
    troubles: Mutex<HashMap<HostName, String>>,
}

/// An open store.
struct Kept {
    store: Arc<Store>,
    holder: Holder,
    folder: PathBuf,
    tasks: Tasks,
    renewed: Mutex<Moment>,
}

/// What is to be done with a store that the directory knows.
#[derive(Debug, PartialEq, Eq)]
enum Due {
    /// Open it.
    Open,
    /// Let go of it, for this host.
    HandOver(Successor),
    /// It is open here, and is another's.
    Close(HostName),
    /// Say that it is open here.
    Renew,
    Nothing,
}

/// By what is open here and by what right; `fresh`: the lease has been renewed a short time ago.
fn due(row: &Owned, own: &HostName, held: Option<&Title>, renewal: Renewal) -> Due {
    match (row.owner == *own, held) {
        (false, None) => Due::Nothing,
        (false, Some(_)) => Due::Close(row.owner.clone()),
        (true, held) => match (&row.successor, held) {
            (Some(successor), _) => Due::HandOver(successor.clone()),
            (None, None) => Due::Open,
            (None, Some(title)) => {
                let same = row.incarnation == title.incarnation && row.epoch == title.epoch;
                if same && renewal == Renewal::Fresh { Due::Nothing } else { Due::Renew }
            }
        },
    }
}

/// Whether a lease is to be renewed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Renewal {
    Fresh,
    Due,
}

impl Keeper {
    /// With nothing open.
    pub(crate) fn new(
        own: HostName,
        folder: PathBuf,
        env: Env,
        owners: Arc<Owners>,
        files: Arc<Open>,
    ) -> Arc<Self> {
        let incarnation = format!("{:016x}", env.random.number());
        let (opening, open, troubles) = (Compute::new(1, 16), ArcSwap::default(), Mutex::default());
        Arc::new(Self { own, folder, env, owners, incarnation, files, opening, open, troubles })
    }

    /// The store of this name, if it is open here.
    pub(crate) fn find(&self, store: &HostName) -> Option<Arc<Store>> {
        self.open.load().get(store).map(|kept| Arc::clone(&kept.store))
    }

    /// This host's own store, if it is open here.
    pub(crate) fn own(&self) -> Option<Arc<Store>> {
        self.find(&self.own)
    }

    /// Opens what is this host's; its own store also where the directory does not answer.
    ///
    /// # Errors
    /// Where the files of the host's own store cannot be opened. That it is another's, or not to be opened without the
    /// directory, is no error: it is looked at again.
    pub(crate) async fn begin(&self) -> anyhow::Result<()> {
        let (own, folder) = (self.own.clone(), self.folder.clone());
        let Some(rows) = self.owners.look().await else {
            return self.open_alone(&own, &folder).await;
        };
        match rows.iter().find(|row| row.store == own) {
            Some(row) if row.owner != own => {}
            Some(row) => self.take_up(row).await?,
            None => self.open_claimed(&own, &folder).await?,
        }
        for row in rows.iter().filter(|row| row.store != own && row.owner == own) {
            // One that cannot be opened must not keep the others.
            if let Err(error) = self.take_up(row).await {
                self.trouble(&row.store, &error);
            }
        }
        Ok(())
    }

    /// Keeps comparing until the process ends.
    pub(crate) fn run(self: Arc<Self>) {
        let (tasks, mut stopping) = (self.env.tasks.clone(), self.env.tasks.stopping());
        tasks.spawn(async move {
            loop {
                tokio::select! {
                    () = stopping.wait() => return,
                    () = self.env.clock.sleep(LOOK_EVERY) => {}
                }
                // Begun, it is finished: a store that was closed must be let go of.
                self.round().await;
            }
        });
    }

    async fn round(&self) {
        for (name, kept) in self.open.load_full().iter() {
            let holder = kept.holder.clone();
            let _ = self.opening.run(move || holder.look()).await;
            if let Some(to) = kept.holder.lost_to() {
                self.close_one(name, &to).await;
            }
        }
        let Some(rows) = self.owners.look().await else {
            if self.own().is_none() {
                let (own, folder) = (self.own.clone(), self.folder.clone());
                self.tried(&own, self.open_alone(&own, &folder).await);
            }
            return;
        };
        for row in rows.iter() {
            if row.owner != self.own {
                self.troubles().remove(&row.store);
            }
            self.tried(&row.store, self.reconcile(row).await);
        }
        if self.own().is_none() && rows.iter().all(|row| row.store != self.own) {
            let (own, folder) = (self.own.clone(), self.folder.clone());
            self.tried(&own, self.open_claimed(&own, &folder).await);
        }
    }

    async fn reconcile(&self, row: &Owned) -> anyhow::Result<()> {
        let kept = self.open.load().get(&row.store).cloned();
        let title = kept.as_ref().map(|kept| kept.holder.title());
        let renewal = kept.as_ref().map_or(Renewal::Due, |kept| kept.renewal());
        match (due(row, &self.own, title.as_ref(), renewal), kept) {
            (Due::Open | Due::HandOver(_), None) => self.take_up(row).await,
            (Due::HandOver(to), Some(kept)) => self.hand_over(row, &kept, &to).await,
            (Due::Close(to), Some(kept)) => {
                kept.holder.lose(to.as_str());
                self.close_one(&row.store, to.as_str()).await;
                Ok(())
            }
            (Due::Renew, Some(kept)) => self.renew(&row.store, &kept).await,
            _ => Ok(()),
        }
    }

    /// Opens a store that is this host's, or lets go of one that it is to hand over and has closed already.
    async fn take_up(&self, row: &Owned) -> anyhow::Result<()> {
        let folder = self.folder_of(row);
        if row.successor.is_some() {
            self.let_go(row).await
        } else {
            self.open_claimed(&row.store, &folder).await
        }
    }

    /// Tells the directory that a store is closed here. A process that was here before may have closed it.
    async fn let_go(&self, row: &Owned) -> anyhow::Result<()> {
        let (store, host) = (row.store.clone(), self.own.clone());
        let (incarnation, epoch, files) = (self.incarnation.clone(), row.epoch, Files::There);
        let claim = Claim { store, host, incarnation, epoch, files };
        let directory = self.owners.directory();
        let taken = directory.store_claim(&self.owners.call(ANSWER_WITHIN), claim.clone()).await?;
        let claim = Claim { epoch: taken.epoch, ..claim };
        directory.store_release(&self.owners.call(ANSWER_WITHIN), claim).await?;
        Ok(())
    }

    fn folder_of(&self, row: &Owned) -> PathBuf {
        if row.folder.is_empty() { self.folder.clone() } else { PathBuf::from(&row.folder) }
    }

    fn claim(&self, store: &HostName, epoch: u64, folder: &Path) -> Claim {
        let files = if store::is_made(folder) { Files::There } else { Files::Missing };
        let (store, host, incarnation) = (store.clone(), self.own.clone(), self.incarnation.clone());
        Claim { store, host, incarnation, epoch, files }
    }

    /// Takes the lease of a store and opens it.
    async fn open_claimed(&self, name: &HostName, folder: &Path) -> anyhow::Result<()> {
        let fence = store::fence(folder).with_context(|| format!("the fence in {}", folder.display()))?;
        let claim = self.claim(name, self.least(fence.as_ref()), folder);
        let call = self.owners.call(ANSWER_WITHIN);
        match self.owners.directory().store_claim(&call, claim).await {
            Ok(owned) => self.open_by(name, folder, owned.epoch).await,
            Err(DirectoryError::Unavailable) => self.open_alone(name, folder).await,
            // Of another since we looked, or its files are not there: that is looked at again.
            Err(error @ (DirectoryError::Conflict(_) | DirectoryError::Missing(_))) => {
                self.trouble(name, &error.into());
                Ok(())
            }
            Err(error) => Err(error.into()),
        }
    }

    /// The least epoch by which a store with this fence can be opened.
    fn least(&self, fence: Option<&Title>) -> u64 {
        match fence {
            None => 1,
            Some(title) if title.incarnation == self.incarnation => title.epoch,
            Some(title) => title.epoch.saturating_add(1),
        }
    }

    /// Opens a store while the directory does not answer.
    async fn open_alone(&self, name: &HostName, folder: &Path) -> anyhow::Result<()> {
        let fence = store::fence(folder).with_context(|| format!("the fence in {}", folder.display()))?;
        match &fence {
            Some(title) if title.owner != self.own.as_str() => {
                let reason = format!("it is {}'s, and the directory does not answer", title.owner);
                self.trouble(name, &anyhow::Error::msg(reason));
                Ok(())
            }
            None if !store::is_made(folder) => {
                let reason = "there is no store in its folder, and the directory does not answer";
                self.trouble(name, &anyhow::Error::msg(reason));
                Ok(())
            }
            fence => self.open_by(name, folder, self.least(fence.as_ref())).await,
        }
    }

    async fn open_by(&self, name: &HostName, folder: &Path, epoch: u64) -> anyhow::Result<()> {
        let (store, owner) = (name.as_str().to_owned(), self.own.as_str().to_owned());
        let holder = Holder::new(Title { store, owner, incarnation: self.incarnation.clone(), epoch });
        let tasks = Tasks::new();
        let env = Env {
            tasks: tasks.clone(),
            settings: self.env.settings.for_host(name.as_str()),
            ..self.env.clone()
        };
        let (files, handle) = (Arc::clone(&self.files), Handle::current());
        let (of, at, by) = (name.clone(), folder.to_path_buf(), holder.clone());
        let opened = self.opening.run(move || {
            let _inside = handle.enter();
            // First the fence, then the lock: an owner that is cut off from the directory lets go of the files by it.
            store::set_fence(&at, &by.title())?;
            files(&of, &at, by, &env)
        });
        let store = opened.await.map_err(|_| anyhow::anyhow!("the store could not be opened"))??;
        let (renewed, folder) = (Mutex::new(self.env.clock.moment()), folder.to_path_buf());
        self.env.log.emit(&MsStoreOpened { store: name, folder: folder.display(), epoch });
        let kept = Arc::new(Kept { store: Arc::new(store), holder, folder, tasks, renewed });
        self.troubles().remove(name);
        self.open.rcu(|open| {
            let mut open = HashMap::clone(open);
            open.insert(name.clone(), Arc::clone(&kept));
            open
        });
        Ok(())
    }

    async fn renew(&self, name: &HostName, kept: &Kept) -> anyhow::Result<()> {
        let claim = self.claim(name, kept.holder.title().epoch, &kept.folder);
        let call = self.owners.call(ANSWER_WITHIN);
        match self.owners.directory().store_claim(&call, claim).await {
            Ok(owned) => {
                *kept.renewed.lock().unwrap_or_else(PoisonError::into_inner) = self.env.clock.moment();
                let holder = kept.holder.clone();
                let raised = self.opening.run(move || holder.raise(owned.epoch)).await;
                Ok(raised.unwrap_or(Ok(()))?)
            }
            // Whose it is the next look says. An owner that cannot renew goes on.
            Err(_) => Ok(()),
        }
    }

    /// Finishes what has been begun, closes the store, and lets go of it.
    async fn hand_over(&self, row: &Owned, kept: &Kept, to: &Successor) -> anyhow::Result<()> {
        self.close_one(&row.store, to.host.as_str()).await;
        let title = kept.holder.title();
        let (owner, epoch) = (to.host.as_str().to_owned(), title.epoch.saturating_add(1));
        let next = Title { owner, epoch, incarnation: String::new(), ..title };
        let folder = kept.folder.clone();
        let written = self.opening.run(move || store::set_fence(&folder, &next)).await;
        written.map_err(|_| anyhow::anyhow!("the fence could not be written"))??;
        self.let_go(row).await
    }

    async fn close_one(&self, name: &HostName, to: &str) {
        let kept = self.open.load().get(name).cloned();
        let Some(kept) = kept else { return };
        // First nobody finds it any more, then it ends.
        self.open.rcu(|open| {
            let mut open = HashMap::clone(open);
            open.remove(name);
            open
        });
        kept.tasks.drain(END_WITHIN).await;
        kept.store.close().await;
        self.env.log.emit(&MsStoreClosed { store: name, to });
    }

    /// Closes everything, for the end of the process.
    pub(crate) async fn close(&self) {
        for (name, kept) in self.open.load_full().iter() {
            let claim = self.claim(name, kept.holder.title().epoch, &kept.folder);
            self.close_one(name, "").await;
            if kept.holder.lost_to().is_none() {
                // Where it does not hear of it, the lease runs out by itself.
                let call = self.owners.call(RELEASE_WITHIN);
                let _ = self.owners.directory().store_release(&call, claim).await;
            }
        }
    }

    fn tried(&self, store: &HostName, outcome: anyhow::Result<()>) {
        if let Err(error) = outcome {
            self.trouble(store, &error);
        }
    }

    /// Says why a store is not open, once for each reason.
    fn trouble(&self, store: &HostName, error: &anyhow::Error) {
        let reason = format!("{error:#}");
        let before = self.troubles().insert(store.clone(), reason.clone());
        if before.as_ref() != Some(&reason) {
            self.env.log.emit(&MsStoreNotOpened { store, reason });
        }
    }

    /// Why this host's own store is not open though it is to be, where that is known.
    pub(crate) fn trouble_with_own(&self) -> Option<String> {
        self.troubles().get(&self.own).cloned()
    }

    fn troubles(&self) -> std::sync::MutexGuard<'_, HashMap<HostName, String>> {
        self.troubles.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Kept {
    fn renewal(&self) -> Renewal {
        let renewed = *self.renewed.lock().unwrap_or_else(PoisonError::into_inner);
        if renewed.elapsed() < RENEW_AFTER { Renewal::Fresh } else { Renewal::Due }
    }
}

#[cfg(test)]
mod tests;
