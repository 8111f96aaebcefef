//! The copy of the directory on a host: what it holds, how far behind it is, building it anew, comparing and copying it.

use super::DirectoryError;
use crate::{Answer, Call};
use std::time::Duration;

/// What goes on with a copy beside serving.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Work {
    /// It is built anew.
    Build,
    /// It is compared with the directory's database.
    Compare,
}

/// How far some work is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Doing {
    /// Which.
    pub work: Work,
    /// Accounts done.
    pub done: u64,
    /// Accounts that there are, about.
    pub total: u64,
}

/// The state of a copy.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CacheStatus {
    /// Its folder.
    pub folder: String,
    /// Bytes of its files.
    pub bytes: u64,
    /// Entries in its tables; those that a newer one hides count too.
    pub entries: u64,
    /// Changes above the tables.
    pub above: u64,
    /// Tables.
    pub tables: u64,
    /// Files of accounts.
    pub files: u64,
    /// The last entry of the directory's log of changes that is in it.
    pub position: i64,
    /// The last entry of that log; `None`: the directory's database is out of reach.
    pub directory: Option<i64>,
    /// Whether it is not brought up to date for now.
    pub paused: bool,
    /// What goes on with it.
    pub doing: Option<Doing>,
}

/// A copy that was built.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Built {
    /// Accounts in it.
    pub accounts: u64,
    /// How long it took.
    pub took: Duration,
    /// The entry of the log of changes up to which it was built; later ones were brought in after.
    pub position: i64,
}

/// What comparing has found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Compared {
    /// Accounts in the directory.
    pub accounts: u64,
    /// Accounts in the copy.
    pub copied: u64,
    /// A sum over all accounts of the directory, in whatever order.
    pub sum: u64,
    /// The same sum over those of the copy.
    pub copied_sum: u64,
    /// How many entries differ.
    pub different: u64,
    /// Which, the first [`MAX_DIFFERENCES`].
    pub differences: Vec<String>,
}

/// Most differences that are named.
pub const MAX_DIFFERENCES: usize = 1000;

/// One account, domain or class as a copy has it: names of fields with their values; passwords are not among them.
pub type Fields = Vec<(String, String)>;

/// An order to a copy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Control {
    /// Bring it up to date now.
    Update,
    /// Do not bring it up to date until [`Control::Resume`].
    Pause,
    /// Ends [`Control::Pause`].
    Resume,
    /// Fold what has changed into a table.
    Fold,
}

/// How the directory's database answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Probed {
    /// How long it took.
    pub latency: Duration,
    /// Accounts.
    pub accounts: u64,
    /// The last entry of its log of changes.
    pub last_change: i64,
}

/// The copy of this host.
pub trait DirectoryCache: Send + Sync {
    /// Its state; [`DirectoryError::Missing`] where this host keeps none, as in the other methods.
    fn cache_status<'a>(&'a self, call: &'a Call) -> Answer<'a, CacheStatus, DirectoryError>;

    /// Builds it anew beside what is there, puts it in force and brings it up to date. One at a time:
    /// [`DirectoryError::Conflict`] where one is under way (ITS 17994).
    fn cache_build<'a>(&'a self, call: &'a Call) -> Answer<'a, Built, DirectoryError>;

    /// Compares all of it with the directory's database. What changes meanwhile is looked at again.
    fn cache_compare<'a>(&'a self, call: &'a Call) -> Answer<'a, Compared, DirectoryError>;

    /// What it has for a login name, an address, `account:ID`, `domain:NAME` or `class:NAME`.
    fn cache_read<'a>(&'a self, call: &'a Call, name: String) -> Answer<'a, Fields, DirectoryError>;

    /// Copies it to a folder of this host, verified; what is there is replaced only when all is there.
    /// Returns how many bytes.
    fn cache_copy<'a>(&'a self, call: &'a Call, to: String) -> Answer<'a, u64, DirectoryError>;

    /// Gives an order.
    fn cache_control<'a>(&'a self, call: &'a Call, control: Control) -> Answer<'a, (), DirectoryError>;

    /// Brings one entry up to date, ahead of its turn in the log of changes; named as for
    /// [`DirectoryCache::cache_read`].
    fn cache_push<'a>(&'a self, call: &'a Call, name: String) -> Answer<'a, (), DirectoryError>;

    /// Asks the directory's database itself for a sign of life. Works where there is no copy.
    fn directory_probe<'a>(&'a self, call: &'a Call) -> Answer<'a, Probed, DirectoryError>;
}
