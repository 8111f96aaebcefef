//! Opening a store: its folder, its shards, what runs beside them.

use crate::damage::Notices;
use crate::error::Fail;
use crate::locks::Locks;
use crate::maintenance::Jobs;
use crate::moving;
use crate::placement::Placement;
use crate::scrub;
use crate::search::feed;
use crate::upkeep::{self, Restores};
use crate::watchers::Watchers;
use catalog::events::ms;
use catalog::keys::{common, mss};
use env::Env;
use env::settings::{Live, Settings};
use mail::id::MailboxId;
use roles::store::StoreError;
use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Write as _};
use std::num::NonZeroU32;
use std::panic::resume_unwind;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;
use storage::mailboxes::When;
use storage::mailboxes::transfer::is_away;
use storage::shard::{
    Disk, Shard, ShardError, ShardOptions, Transaction, View, VolumeError, Volumes, check_volumes,
};
use storage::text::{TextIndex, TextThreads};
use tokio::runtime::Handle;
use tokio::sync::Notify;

/// The file that says how the store is divided.
pub(crate) const FORMAT: &str = "format";
/// The folder of a shard's own segments.
pub(crate) const LOG: &str = "log";
const TITLE: &str = "intermail store 2";

/// How long a change waits before it looks again for a mailbox that changes its place.
pub(crate) const AWAY_STEP: Duration = Duration::from_millis(10);
/// How often it looks.
pub(crate) const AWAY_LOOKS: u32 = 1000;

/// Why a store cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
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
    /// The folders of `messageFileDir` are not the volumes of this store.
    #[error(transparent)]
    Volume(#[from] VolumeError),
    /// It could not be found out where the mailboxes are.
    #[error("the mailboxes of {path} could not be found")]
    Placement {
        /// The store's folder.
        path: PathBuf,
        /// Why.
        source: ShardError,
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
    /// Whether a repeated delivery is known by its request id.
    pub(crate) know_repeats: bool,
    /// Messages from which on a folder is in the text index; 0 is never.
    pub(crate) index_from: u64,
    /// What new mailboxes find.
    pub(crate) welcome: Option<Welcome>,
    pub(crate) max_folders: usize,
    pub(crate) max_depth: usize,
    /// Bytes of an autoreply.
    pub(crate) max_autoreply: usize,
    /// The name of this host.
    pub(crate) host: String,
}

/// The message that a new mailbox begins with.
pub(crate) struct Welcome {
    pub(crate) from: String,
    pub(crate) subject: String,
    pub(crate) text: Vec<String>,
}

impl Switches {
    fn read(settings: &Settings) -> Self {
        let count = |n: u64| usize::try_from(n).unwrap_or(usize::MAX);
        let (host, text) = (settings.host().to_owned(), settings.get(mss::WELCOME_TEXT));
        let domain = settings.get(common::DEFAULT_DOMAIN);
        let domain = if domain.is_empty() { &host } else { &domain };
        let welcome = Welcome {
            from: format!("postmaster@{domain}"),
            subject: settings.get(mss::WELCOME_SUBJECT),
            text,
        };
        Self {
            create: settings.get(mss::CREATE_MBOXES),
            log_creation: settings.get(mss::LOG_MAILBOX_CREATION),
            trace: settings.get(mss::MESSAGE_TRACING),
            keep: Duration::from_secs(60 * settings.get(mss::RESTORE_WINDOW)),
            know_repeats: settings.get(mss::DUP_MESSAGE_DETECT),
            index_from: settings.get(mss::SEARCH_INDEX_FROM_MESSAGES),
            welcome: Some(welcome).filter(|w| w.text.iter().any(|line| !line.is_empty())),
            max_folders: count(settings.get(mss::MAX_FOLDERS)),
            max_depth: count(settings.get(mss::MAX_FOLDER_DEPTH)),
            max_autoreply: count(settings.get(mss::MAX_AUTO_REPLY_MSG_LEN).saturating_mul(1024)),
            host,
        }
    }
}

/// The message store of a host. Clones share it.
#[derive(Clone)]
pub struct Store(Arc<Inner>);

pub(crate) struct Inner {
    pub(crate) env: Env,
    pub(crate) shards: Vec<Shard>,
    /// The text index of each shard.
    pub(crate) texts: Vec<TextIndex>,
    pub(crate) watchers: Arc<Watchers>,
    pub(crate) locks: Locks,
    pub(crate) switches: Live<Switches>,
    /// Rung when there is something to purge.
    pub(crate) purge: Arc<Notify>,
    pub(crate) restores: Arc<Restores>,
    /// Messages that cannot be read.
    pub(crate) notices: Notices,
    /// Long work that operators have started.
    pub(crate) jobs: Jobs,
    pub(crate) placement: Arc<Placement>,
    pub(crate) folder: PathBuf,
}

impl Store {
    /// Opens the store in a folder, or makes one, with this many shards as homes of new mailboxes. Where there were more
    /// or fewer before, every mailbox stays where it is (ITS 12182). Blocks while the shards recover. Must be called inside
    /// the runtime: purging runs as a task of `env`.
    ///
    /// # Errors
    /// [`OpenError`]; nothing runs then.
    pub fn open(
        path: &Path,
        shards: NonZeroU32,
        options: &ShardOptions,
        env: &Env,
    ) -> Result<Self, OpenError> {
        let volumes: Vec<PathBuf> =
            env.settings.get(mss::MESSAGE_FILE_DIR).into_iter().map(PathBuf::from).collect();
        let open = |number, path: &Path| match volumes.as_slice() {
            [] => Shard::open(path, options.clone(), env),
            volumes => {
                let others: Vec<_> = volumes.iter().map(|volume| volume.join(shard_name(number))).collect();
                let disk = Volumes::new(&path.join(LOG), &others).map_err(|e| ShardError::Io(Arc::new(e)))?;
                Shard::open_on(Arc::new(disk), path, options.clone(), env)
            }
        };
        let checked = check_volumes(path, &volumes).map_err(OpenError::from);
        let opened = checked.and_then(|()| open_shards(path, shards.get(), &open));
        Self::start(path, opened, env)
    }

    /// As [`Store::open`], with the segments of each shard on the disk that `disk` gives for its number: for whoever
    /// has disks of another kind than folders, as a simulation has.
    ///
    /// # Errors
    /// [`OpenError`]; nothing runs then.
    pub fn open_on(
        path: &Path,
        shards: NonZeroU32,
        options: &ShardOptions,
        env: &Env,
        disk: &(dyn Fn(u32) -> Arc<dyn Disk> + Sync),
    ) -> Result<Self, OpenError> {
        let open = |number, path: &Path| Shard::open_on(disk(number), path, options.clone(), env);
        Self::start(path, open_shards(path, shards.get(), &open), env)
    }

    fn start(
        path: &Path,
        opened: Result<(Vec<Shard>, Placement), OpenError>,
        env: &Env,
    ) -> Result<Self, OpenError> {
        let (shards, placement) = opened.inspect_err(|error| {
            // Whoever waits for another to let go of the files says so itself, once.
            let waits =
                matches!(error, OpenError::Shard { source: ShardError::Locked | ShardError::Fenced(_), .. });
            if !waits {
                env.log.emit(&ms::MsInitFailure { step: "open", error: chain(error) });
            }
        })?;
        let switches = env.settings.live(Switches::read);
        let notices = Notices::start(env, &shards);
        let texts = text_indexes(path, shards.len(), env);
        let inner = Inner {
            env: env.clone(),
            shards,
            texts,
            notices,
            jobs: Jobs::default(),
            watchers: Arc::default(),
            locks: Locks::new(env.clock.clone()),
            switches,
            purge: Arc::default(),
            restores: Arc::default(),
            placement: Arc::new(placement),
            folder: path.to_path_buf(),
        };
        upkeep::start(&inner);
        let store = Self(Arc::new(inner));
        scrub::start(&store);
        feed::start(&store);
        Ok(store)
    }

    /// Finishes what waits and closes all shards; later calls get [`StoreError::Elsewhere`], and watches end.
    pub async fn close(&self) {
        for shard in &self.0.shards {
            shard.close().await;
        }
        self.0.watchers.close();
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
        self.placement.of(mailbox) as usize
    }

    /// When a change that is made now is made.
    pub(crate) fn when(&self) -> When {
        When { now: self.env.clock.now(), keep: self.switches.get().keep }
    }

    /// Commits a change of one mailbox and wakes who watches it. Waits while the mailbox changes its place.
    pub(crate) async fn change<T, F>(&self, mailbox: MailboxId, task: F) -> Result<T, StoreError>
    where
        F: FnOnce(&mut Transaction<'_>) -> Result<T, Fail> + Send + 'static,
        T: Send + 'static,
    {
        let task = Arc::new(Mutex::new(Some(task)));
        for _ in 0..AWAY_LOOKS {
            let (task, watchers, placement) =
                (Arc::clone(&task), Arc::clone(&self.watchers), Arc::clone(&self.placement));
            let run = move |tx: &mut Transaction<'_>| {
                if placement.stirs() && is_away(tx, mailbox)? {
                    return Ok(None);
                }
                let task = task.lock().unwrap_or_else(PoisonError::into_inner).take();
                let Some(task) = task else { return Err(ShardError::Panicked.into()) };
                let done = task(tx)?;
                tx.after_commit(move || watchers.publish(mailbox));
                Ok::<_, Fail>(Some(done))
            };
            match self.shard(mailbox).commit(run).await {
                Ok(Some(done)) => return Ok(done),
                Ok(None) => self.env.clock.sleep(AWAY_STEP).await,
                Err(error) => return Err(error.tell(&self.env)),
            }
        }
        Err(StoreError::Busy)
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

/// The text indexes of so many shards, beside their folders. One thread writes and one answers for all of them.
fn text_indexes(path: &Path, shards: usize, env: &Env) -> Vec<TextIndex> {
    let threads = TextThreads::default();
    let folder = |number: usize| path.join("text").join(format!("{number:03}"));
    (0..shards).map(|number| TextIndex::new(&folder(number), &env.random, &threads)).collect()
}

/// Opens one shard: its number and its folder.
type OpenShard<'a> = &'a (dyn Fn(u32, &Path) -> Result<Shard, ShardError> + Sync);

/// The name of a shard's folder.
pub(crate) fn shard_name(number: u32) -> String {
    format!("shard-{number:03}")
}

/// Opens all shards that there are, and those that are to be the homes of new mailboxes.
fn open_shards(path: &Path, homes: u32, open: OpenShard<'_>) -> Result<(Vec<Shard>, Placement), OpenError> {
    let folder = |source| OpenError::Folder { path: path.into(), source };
    std::fs::create_dir_all(path).map_err(folder)?;
    let made = match std::fs::read_to_string(path.join(FORMAT)) {
        Ok(text) => parse_format(&text).ok_or_else(|| OpenError::OtherFormat(path.into()))?,
        Err(e) if e.kind() == io::ErrorKind::NotFound => {
            write_format(path, homes).map_err(folder)?;
            homes
        }
        Err(e) => return Err(folder(e)),
    };
    let shard_folder = |number: u32| path.join(shard_name(number));
    let count = (made.max(homes)..).find(|&n| !shard_folder(n).exists()).unwrap_or(homes);
    let open_one = &|number: u32| {
        let shard = open(number, &shard_folder(number));
        shard.map_err(|source| OpenError::Shard { path: path.into(), number, source })
    };
    // Beside each other: after a crash each shard reads the end of its log.
    let shards: Vec<Shard> = thread::scope(|scope| {
        let threads: Vec<_> = (0..count).map(|number| scope.spawn(move || open_one(number))).collect();
        threads
            .into_iter()
            .map(|t| t.join().unwrap_or_else(|panic| resume_unwind(panic)))
            .collect::<Result<_, _>>()
    })?;
    let placed = place_all(&shards, made, homes);
    let elsewhere = placed.map_err(|source| OpenError::Placement { path: path.into(), source })?;
    if made != homes {
        write_format(path, homes).map_err(folder)?;
    }
    Ok((shards, Placement::new(homes, elsewhere)))
}

/// Finds out where the mailboxes are. On a thread of its own, because the caller's may be the only one of its runtime.
fn place_all(shards: &[Shard], made: u32, homes: u32) -> Result<HashMap<MailboxId, u32>, ShardError> {
    let runtime = Handle::current();
    let work = async {
        if made != homes {
            moving::rehome(shards, homes).await?;
        }
        moving::recover(shards, homes).await
    };
    thread::scope(|scope| {
        let thread = scope.spawn(|| runtime.block_on(work));
        thread.join().unwrap_or_else(|panic| resume_unwind(panic))
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
