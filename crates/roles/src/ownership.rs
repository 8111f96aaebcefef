//! Which host has which store: the leases that the directory's database keeps.
//!
//! A store is a folder with shards of mail; accounts name it as their home. It is called like the host that made it, and
//! keeps its name whoever has it, so that to give it to another host is one change, however many mailboxes it holds.
//! Only an operator gives a store to another host. An owner that cannot reach the directory therefore goes on; what keeps
//! an owner out that has been away is the fence in the folder itself.

use crate::directory::DirectoryError;
use crate::{Answer, Call};
use mail::id::HostName;
use mail::time::Timestamp;
use std::time::Duration;

/// Most stores of a site.
pub const MAX_STORES: usize = 4096;
/// Longest path of a folder, in bytes.
pub const MAX_FOLDER: usize = 1024;
/// Longest name of a process, in bytes.
pub const MAX_INCARNATION: usize = 64;
/// A lease that has not been renewed for so long has run out: its owner may be dead. It loses nothing by that.
pub const LEASE: Duration = Duration::from_secs(30);

/// Who has a store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Owned {
    /// The store.
    pub store: HostName,
    /// The host that has it, or is to open it.
    pub owner: HostName,
    /// The process that has it open; empty: none.
    pub incarnation: String,
    /// Grows whenever another process takes the store.
    pub epoch: u64,
    /// When its owner runs out of time to say that it lives.
    pub expires: Timestamp,
    /// Where the owner finds its files; empty: in its own folder of the store.
    pub folder: String,
    /// Who gets it once its owner has let go of it.
    pub successor: Option<Successor>,
}

impl Owned {
    /// Whether it is on its way from one host to another: it will soon be open somewhere.
    pub fn is_on_its_way(&self) -> bool {
        self.successor.is_some() || self.incarnation.is_empty()
    }
}

/// Who is to get a store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Successor {
    /// The host.
    pub host: HostName,
    /// Where that host finds the files; empty: in its own folder of the store.
    pub folder: String,
}

/// A process says that it has a store, or is about to open it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    /// The store.
    pub store: HostName,
    /// The host of the process.
    pub host: HostName,
    /// The process.
    pub incarnation: String,
    /// The epoch by which the process has it open; where it is to be opened, the least that is greater than that of the
    /// fence in its folder.
    pub epoch: u64,
    /// Whether the folder holds a store already.
    pub files: Files,
}

/// What is in a folder that is to be a store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Files {
    /// A store.
    There,
    /// Nothing: a new store would be made.
    Missing,
}

/// What an operator wants of a store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Order {
    /// Its owner finishes what it has begun and lets go of it; then this host gets it.
    HandOver(Successor),
    /// A hand-over that has not happened yet is not to happen.
    Stay,
    /// This host gets it at once: the owner is dead, or does not answer.
    TakeOver(Successor, Proof),
    /// The store is lost, or was never there: it is forgotten, and its host may make a new one.
    Forget(Proof),
}

/// What must be true of the owner for a store to be taken from it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Proof {
    /// Its lease has run out.
    Silent,
    /// The operator says that it is dead.
    Word,
}

/// The leases of all stores of the site.
pub trait Ownership: Send + Sync {
    /// All stores, in the order of their names.
    fn store_list<'a>(&'a self, call: &'a Call) -> Answer<'a, Vec<Owned>, DirectoryError>;

    /// Takes or renews the lease of a store: the answer names the epoch by which the process has it, and who is to get it.
    /// A store that the directory does not know is its claimer's.
    ///
    /// # Errors
    /// [`DirectoryError::Conflict`] where another host has it; [`DirectoryError::Missing`] where the directory knows the
    /// store and its files are not there: somebody must say whether they are lost.
    fn store_claim<'a>(&'a self, call: &'a Call, claim: Claim) -> Answer<'a, Owned, DirectoryError>;

    /// A process has closed a store and lets go of it: its successor gets it, where there is one. What is not held by this
    /// process stays as it is.
    fn store_release<'a>(&'a self, call: &'a Call, claim: Claim) -> Answer<'a, Owned, DirectoryError>;

    /// Carries out an order of an operator; the answer is what is so then.
    ///
    /// # Errors
    /// [`DirectoryError::Missing`], [`DirectoryError::Conflict`] with the reason.
    fn store_order<'a>(
        &'a self,
        call: &'a Call,
        store: HostName,
        order: Order,
    ) -> Answer<'a, Owned, DirectoryError>;
}
