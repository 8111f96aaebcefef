//! The copy of the directory on this host: kept up to date by one process, followed by the others.
//!
//! Promised: the copy is never ahead of the directory and never goes back; a change is in it `dirCacheUpdatePeriod` after it was
//! made, or before its acknowledgement where it was made through this server. What cannot be brought up to date any more is built
//! anew beside what is there, which serves until then.
//!
//! `feed` says what a change means for the copy, `build` makes one from nothing, `check` compares.

mod build;
mod check;
mod feed;

use crate::fault::Fault;
use crate::server::{DirectoryServer, Shared};
use catalog::events::cache::{
    CacheConfigDbFilesMismatch, CacheGenericMsg, CacheOpenFail, CacheUpdateOutOfRange, CacheUpdateTimeTooLong,
};
use catalog::keys::imdircacheserv::{DIR_CACHE_UPDATE_THRESHOLD, MAX_LOG_UPDATES, NUM_USER_DB_FILES};
use env::Env;
use roles::directory::DirectoryError;
use roles::directory::cache::Doing;
use std::cmp::Ordering as CmpOrdering;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;
use storage::directory::{Changed, MAX_PAGE};
use storage::replica::{Entry, Keeper, Key, Reader, ReplicaError};

/// How often a process that does not write the copy looks for what is new in it.
const FOLLOW_EVERY: Duration = Duration::from_millis(100);

/// How long others have the database for themselves between rounds of a copy that is far behind.
const BETWEEN_ROUNDS: Duration = Duration::from_millis(20);

/// The copy as this process has it.
pub(crate) struct Copy {
    folder: PathBuf,
    held: Held,
    /// Whether following it has failed the last time, which is logged once.
    failing: AtomicBool,
    /// Held while the copy is brought up to date: two rounds at once would write the older one last.
    turn: tokio::sync::Mutex<()>,
    /// What goes on besides, if anything.
    doing: Mutex<Option<Doing>>,
    /// No round runs while this is set.
    paused: AtomicBool,
    /// Whether the last round has left something for the next one, which then does not wait for its period.
    behind: AtomicBool,
}

enum Held {
    Written(Keeper),
    /// Another process writes it, and may not have begun.
    Followed(OnceLock<Reader>),
}

/// How a round went.
enum Round {
    UpToDate,
    /// There is more.
    More,
    /// The log of changes no longer has what comes next.
    Lost {
        oldest: Option<i64>,
    },
}

impl Copy {
    /// The copy, where it can be read.
    pub(crate) fn reader(&self) -> Option<Reader> {
        match &self.held {
            Held::Written(keeper) => keeper.reader(),
            Held::Followed(reader) => reader.get().cloned(),
        }
    }

    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    pub(crate) fn keeper(&self) -> Option<&Keeper> {
        match &self.held {
            Held::Written(keeper) => Some(keeper),
            Held::Followed(_) => None,
        }
    }

    pub(crate) fn doing(&self) -> MutexGuard<'_, Option<Doing>> {
        self.doing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The right to bring it up to date.
    async fn turn(&self) -> tokio::sync::MutexGuard<'_, ()> {
        self.turn.lock().await
    }

    pub(crate) fn is_behind(&self) -> bool {
        self.behind.load(Ordering::Acquire)
    }

    pub(crate) fn paused(&self) -> &AtomicBool {
        &self.paused
    }

    /// The copy in this folder, which this process writes.
    ///
    /// # Errors
    /// Where another process writes it, or the folder cannot be used.
    pub(crate) fn written(env: &Env, folder: &Path) -> Result<Self, DirectoryError> {
        let mut seed = [0; 16];
        env.random.fill(&mut seed);
        let (first, second) = seed.split_at(8);
        let number = |half: &[u8]| half.iter().fold(0, |n, &b| n << 8 | u64::from(b));
        let opened = Keeper::open(folder, (number(first), number(second)));
        let failed = |reason: &ReplicaError| env.log.emit(&CacheOpenFail { path: folder.display(), reason });
        let (keeper, why) = opened.map_err(|reason| {
            failed(&reason);
            DirectoryError::Unavailable
        })?;
        if let Some(reason) = &why {
            failed(reason);
        }
        if let Some(found) = keeper.reader().map(|r| r.size().files) {
            let configured = env.settings.get(NUM_USER_DB_FILES);
            if found != configured {
                env.log.emit(&CacheConfigDbFilesMismatch { found, configured });
            }
        }
        Ok(Self::of(folder, Held::Written(keeper)))
    }

    /// The copy in this folder, which another process writes; where it cannot be read yet, as soon as it can.
    pub(crate) fn followed(env: &Env, folder: &Path) -> Self {
        let copy = Self::of(folder, Held::Followed(OnceLock::new()));
        if let Err(reason) = copy.open_followed() {
            copy.failing.store(true, Ordering::Release);
            env.log.emit(&CacheOpenFail { path: folder.display(), reason });
        }
        copy
    }

    fn of(folder: &Path, held: Held) -> Self {
        Self {
            folder: folder.to_owned(),
            held,
            failing: AtomicBool::new(false),
            turn: tokio::sync::Mutex::default(),
            doing: Mutex::default(),
            paused: AtomicBool::new(false),
            behind: AtomicBool::new(false),
        }
    }

    /// The reader of a copy that another process writes, opened where it is not open yet.
    fn open_followed(&self) -> Result<Option<&Reader>, ReplicaError> {
        let Held::Followed(held) = &self.held else { return Ok(None) };
        if held.get().is_none() {
            let _ = held.set(Reader::open(&self.folder)?);
        }
        Ok(held.get())
    }
}

impl DirectoryServer {
    /// Keeps the copy in this folder from now on, over a database that is open: this process writes it. What is there serves at
    /// once; where nothing usable is there, it is built once [`DirectoryServer::follow_changes`] runs. A server has one
    /// copy for its life.
    ///
    /// # Errors
    /// Where another process writes it, or the folder cannot be used.
    pub fn keep_copy(&self, folder: &Path) -> Result<(), DirectoryError> {
        self.hold(Copy::written(&self.shared.env, folder)?);
        Ok(())
    }
}

impl Shared {
    /// How often the copy, or what is in memory, is brought up to date.
    pub(crate) fn period(&self, configured: Duration) -> Duration {
        match self.copy.get() {
            Some(Copy { held: Held::Followed(_), .. }) => FOLLOW_EVERY,
            Some(copy) if copy.is_behind() => BETWEEN_ROUNDS,
            _ => configured,
        }
    }

    /// Brings the copy up to date, and forgets what is in memory of before.
    pub(crate) async fn catch_up_copy(&self, copy: &Copy) -> Result<(), Fault> {
        let keeper = match &copy.held {
            Held::Followed(_) => return self.follow_copy(copy),
            Held::Written(keeper) => keeper,
        };
        if copy.paused.load(Ordering::Acquire) {
            return Ok(());
        }
        // Said again where it is so: what fails waits for its period.
        copy.behind.store(false, Ordering::Release);
        let Some(reader) = keeper.reader() else { return self.build_alone(copy).await };
        if let Some(other) = self.other_division(&reader) {
            self.log_other_division(&other);
            return self.build_alone(copy).await;
        }
        let turn = copy.turn().await;
        let mut left = self.env.settings.get(MAX_LOG_UPDATES).div_ceil(u64::from(MAX_PAGE)).max(1);
        loop {
            match self.round(keeper, &reader).await? {
                Round::More if left > 1 => left -= 1,
                Round::UpToDate => return Ok(()),
                Round::More => {
                    copy.behind.store(true, Ordering::Release);
                    return Ok(());
                }
                Round::Lost { oldest } => {
                    drop(turn);
                    let (position, oldest) = (reader.position(), oldest.unwrap_or_default());
                    self.env.log.emit(&CacheUpdateOutOfRange { position, oldest });
                    return self.build_alone(copy).await;
                }
            }
        }
    }

    /// One page of the log of changes.
    async fn round(&self, keeper: &Keeper, reader: &Reader) -> Result<Round, Fault> {
        let position = reader.position();
        let read = self.read(move |rows| {
            let changes = rows.changes_after(position, MAX_PAGE)?;
            let (last, oldest) = (rows.last_change()?, rows.oldest_change()?);
            let entries = feed::entries(rows, &changes)?;
            Ok((changes, entries, last, oldest))
        });
        let (changes, entries, last, oldest) = read.await?;
        // A directory that has fewer changes than the copy was brought back from a backup.
        match last.cmp(&position) {
            CmpOrdering::Less => return Ok(Round::Lost { oldest }),
            CmpOrdering::Equal => return Ok(Round::UpToDate),
            CmpOrdering::Greater => {}
        }
        let Some(newest) = changes.last().filter(|_| changes[0].id == position + 1) else {
            return Ok(Round::Lost { oldest });
        };
        let pending = last.saturating_sub(position).unsigned_abs();
        if pending > self.env.settings.get(DIR_CACHE_UPDATE_THRESHOLD) {
            let seconds = self.env.clock.now().since(changes[0].at).as_secs();
            self.env.log.emit(&CacheUpdateTimeTooLong { pending, seconds });
        }
        keeper
            .append(newest.id, self.divided(entries))
            .await
            .map_err(|reason| self.copy_failed(reader, &reason))?;
        changes.iter().for_each(|change| self.cache.forget(&change.what));
        self.heard.fetch_max(newest.id, Ordering::AcqRel);
        Ok(if newest.id < last { Round::More } else { Round::UpToDate })
    }

    /// Of entries of the directory what the copy of this host holds.
    fn divided(&self, entries: Vec<(Key, Entry)>) -> Vec<(Key, Entry)> {
        let held = |(key, entry)| match entry {
            Entry::Account(record) => {
                let kept = self.kept(*record).map(|record| Entry::Account(Box::new(record)));
                (key, kept.unwrap_or(Entry::Gone))
            }
            entry => (key, entry),
        };
        entries.into_iter().map(held).collect()
    }

    /// Takes what the writer of the copy has done.
    fn follow_copy(&self, copy: &Copy) -> Result<(), Fault> {
        let followed = copy.open_followed().and_then(|reader| {
            let Some(reader) = reader else { return Ok(()) };
            let followed = reader.follow()?;
            if followed.anew {
                self.cache.forget_all();
            }
            followed.keys.into_iter().filter_map(changed).for_each(|what| self.cache.forget(&what));
            self.heard.fetch_max(reader.position(), Ordering::AcqRel);
            Ok(())
        });
        // It is tried ten times a second: only the first failure says something new.
        let failed_before = copy.failing.swap(followed.is_err(), Ordering::AcqRel);
        followed.map_err(|reason| {
            if !failed_before {
                self.env.log.emit(&CacheGenericMsg { path: copy.folder().display(), reason });
            }
            Fault(DirectoryError::Unavailable)
        })
    }

    fn copy_failed(&self, reader: &Reader, reason: &ReplicaError) -> Fault {
        self.env.log.emit(&CacheGenericMsg { path: reader.folder().display(), reason });
        Fault(DirectoryError::Unavailable)
    }
}

/// What a key of the copy is in the log of changes.
fn changed(key: Key) -> Option<Changed> {
    Some(match key {
        Key::Account(id) => Changed::Account(id),
        Key::Login(key) => Changed::Login(key),
        Key::Address(key) => Changed::Address(key),
        Key::Domain(name) => Changed::Domain(name),
        Key::Class(key) => Changed::Class(key),
        Key::Attribute(key) => Changed::Attribute(key),
        Key::Secret(_) => return None,
    })
}
