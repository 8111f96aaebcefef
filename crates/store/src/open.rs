//! Opening a store: its folder, its shards, what runs beside them.

use crate::error::Fail;
use crate::locks::Locks;
use crate::upkeep::{self, Restores};
use crate::watchers::Watchers;
use catalog::events::ms;
use catalog::keys::mss;
use env::Env;
use env::settings::Live;
use mail::id::MailboxId;
use roles::store::StoreError;
use std::fs::File;
use std::io::{self, Write as _};
use std::num::NonZeroU32;
use std::panic::resume_unwind;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;
use std::time::Duration;
use storage::mailboxes::When;
use storage::shard::{Shard, ShardError, ShardOptions, Transaction, View};
use tokio::sync::Notify;

/// The file that says how the store is divided.
const FORMAT: &str = "format";
const TITLE: &str = "intermail store 2";

/// Why a store cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The folder was made with another number of shards. Mailboxes would not be found where they are.
    #[error("{path} was made with {made} shards (numMssPorts) and cannot be opened with {configured}")]
    OtherShards {
        /// The folder.
        path: PathBuf,
        /// As it was made.
        made: u32,
        /// As it is configured.
        configured: u32,
    },
    /// The file `format` is not one that this release writes.
    #[error("{0} is not a store of this release")]
    OtherFormat(PathBuf),
    /// The folder could not be read or written.
    #[error("{path} could not be opened")]
    Folder {
        /// The folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A shard could not be opened.
    #[error("shard {number} of {path} could not be opened")]
    Shard {
        /// The store's folder.
        path: PathBuf,
        /// Which shard.
        number: u32,
        /// Why.
        source: ShardError,
    },
}

/// What of the keys is looked at for every message.
pub(crate) struct Switches {
    pub(crate) create: bool,
    pub(crate) log_creation: bool,
    pub(crate) trace: bool,
    /// How long what is taken away can be restored.
    pub(crate) keep: Duration,
}

/// The message store of a host. Clones share it.
#[derive(Clone)]
pub struct Store(Arc<Inner>);

pub(crate) struct Inner {
    pub(crate) env: Env,
    pub(crate) shards: Vec<Shard>,
    pub(crate) watchers: Arc<Watchers>,
    pub(crate) locks: Locks,
    pub(crate) switches: Live<Switches>,
    /// Rung when there is something to purge.
    pub(crate) purge: Arc<Notify>,
    pub(crate) restores: Arc<Restores>,
}

impl Store {
    /// Opens the store in a folder, or makes one with this many shards. Blocks while the shards recover. Must be called
    /// inside the runtime: purging runs as a task of `env`.
    ///
    /// # Errors
    /// [`OpenError`]; nothing runs then.
    pub fn open(
        path: &Path,
        shards: NonZeroU32,
        options: &ShardOptions,
        env: &Env,
    ) -> Result<Self, OpenError> {
        let opened = open_shards(path, shards.get(), options, env);
        let shards = opened.inspect_err(|error| {
            env.log.emit(&ms::MsInitFailure { step: "open", error: chain(error) });
        })?;
        let switches = env.settings.live(|s| Switches {
            create: s.get(mss::CREATE_MBOXES),
            log_creation: s.get(mss::LOG_MAILBOX_CREATION),
            trace: s.get(mss::MESSAGE_TRACING),
            keep: Duration::from_secs(60 * s.get(mss::RESTORE_WINDOW)),
        });
        let inner = Inner {
            env: env.clone(),
            shards,
            watchers: Arc::default(),
            locks: Locks::new(env.clock.clone()),
            switches,
            purge: Arc::default(),
            restores: Arc::default(),
        };
        upkeep::start(&inner);
        Ok(Self(Arc::new(inner)))
    }

    /// Finishes what waits and closes all shards; later calls get [`StoreError::Unavailable`].
    pub async fn close(&self) {
        for shard in &self.0.shards {
            shard.close().await;
        }
    }

    pub(crate) fn inner(&self) -> &Inner {
        &self.0
    }
}

impl Inner {
    /// The shard of a mailbox.
    pub(crate) fn shard(&self, mailbox: MailboxId) -> &Shard {
        &self.shards[self.shard_number(mailbox)]
    }

    /// The number of the shard of a mailbox.
    pub(crate) fn shard_number(&self, mailbox: MailboxId) -> usize {
        let count = i64::try_from(self.shards.len()).unwrap_or(i64::MAX);
        // At least one shard was opened, and their number is far below 2^63.
        usize::try_from(mailbox.0.rem_euclid(count)).unwrap_or(0)
    }

    /// When a change that is made now is made.
    pub(crate) fn when(&self) -> When {
        When { now: self.env.clock.now(), keep: self.switches.get().keep }
    }

    /// Commits a change of one mailbox and wakes who watches it.
    pub(crate) async fn change<T, F>(&self, mailbox: MailboxId, task: F) -> Result<T, StoreError>
    where
        F: FnOnce(&mut Transaction<'_>) -> Result<T, Fail> + Send + 'static,
        T: Send + 'static,
    {
        let watchers = Arc::clone(&self.watchers);
        let task = move |tx: &mut Transaction<'_>| {
            let done = task(tx)?;
            tx.after_commit(move || watchers.publish(mailbox));
            Ok::<_, Fail>(done)
        };
        self.shard(mailbox).commit(task).await.map_err(|e| e.tell(&self.env))
    }

    /// Reads from the shard of a mailbox.
    pub(crate) async fn look<T, F>(&self, mailbox: MailboxId, job: F) -> Result<T, StoreError>
    where
        F: FnOnce(&View<'_>) -> Result<T, Fail> + Send + 'static,
        T: Send + 'static,
    {
        self.shard(mailbox).read(job).await.map_err(|e: Fail| e.tell(&self.env))
    }
}

fn open_shards(path: &Path, count: u32, options: &ShardOptions, env: &Env) -> Result<Vec<Shard>, OpenError> {
    let folder = |source| OpenError::Folder { path: path.into(), source };
    std::fs::create_dir_all(path).map_err(folder)?;
    let made = match std::fs::read_to_string(path.join(FORMAT)) {
        Ok(text) => parse_format(&text).ok_or_else(|| OpenError::OtherFormat(path.into()))?,
        Err(e) if e.kind() == io::ErrorKind::NotFound => {
            write_format(path, count).map_err(folder)?;
            count
        }
        Err(e) => return Err(folder(e)),
    };
    if made != count {
        return Err(OpenError::OtherShards { path: path.into(), made, configured: count });
    }
    let open = &|number: u32| {
        let shard = Shard::open(&path.join(format!("shard-{number:03}")), options.clone(), env);
        shard.map_err(|source| OpenError::Shard { path: path.into(), number, source })
    };
    // Beside each other: after a crash each shard reads the end of its log.
    thread::scope(|scope| {
        let threads: Vec<_> = (0..count).map(|number| scope.spawn(move || open(number))).collect();
        threads.into_iter().map(|t| t.join().unwrap_or_else(|panic| resume_unwind(panic))).collect()
    })
}

fn parse_format(text: &str) -> Option<u32> {
    let mut lines = text.lines();
    (lines.next()? == TITLE).then_some(())?;
    lines.next()?.strip_prefix("shards ")?.parse().ok().filter(|&n| n > 0)
}

/// Written whole and durably before anything else, so that no crash leaves shards whose number is not known.
fn write_format(path: &Path, shards: u32) -> io::Result<()> {
    let new = path.join("format.new");
    let mut file = File::create(&new)?;
    write!(file, "{TITLE}\nshards {shards}\n")?;
    file.sync_all()?;
    std::fs::rename(&new, path.join(FORMAT))?;
    File::open(path)?.sync_all()
}

/// An error with all that caused it, in one line.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(next) = cause {
        text.push_str(": ");
        text.push_str(&next.to_string());
        cause = next.source();
    }
    text
}

#[cfg(test)]
mod format_tests {
    use super::*;

    #[test]
    fn the_format_file_is_read_strictly() {
        assert_eq!(parse_format("intermail store 2\nshards 2\n"), Some(2));
        for bad in
            ["", "intermail store 1\nshards 2\n", "intermail store 2\nshards 0\n", "intermail store 2\n"]
        {
            assert_eq!(parse_format(bad), None, "{bad:?}");
        }
    }
}
