//! Who may write to a shard: a file in its folder, `FENCE`, that whoever takes the shard replaces.
//!
//! The lock on the folder keeps processes apart that see the same locks. The fence is for those that do not: storage that
//! was moved to another host, a host that comes back. Its epoch only grows. Whoever opens a shard writes its own title
//! there first, and looks at it again before each acknowledgement; a title with a greater epoch ends its commits.
//!
//! Left to others: who may have which epoch (the directory's leases), and what is done by whoever is fenced off.

use super::error::ShardError;
use std::fmt;
use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::watch;

/// The file.
const FENCE: &str = "FENCE";
const TITLE: &str = "intermail fence 1";
/// A longer file is none of ours.
const LONGEST: u64 = 4096;
/// A name in it has at most so many bytes.
pub const MAX_NAME: usize = 255;

/// Who has a shard, by what right.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Title {
    /// The store that the shard belongs to.
    pub store: String,
    /// The host that has it.
    pub owner: String,
    /// Its process: no two have the same.
    pub incarnation: String,
    /// Grows whenever somebody else takes it.
    pub epoch: u64,
}

impl Title {
    /// What the folder of a shard says; `None`: nobody has ever written it.
    ///
    /// # Errors
    /// Where the file cannot be read, or is none of ours.
    pub fn read(folder: &Path) -> io::Result<Option<Self>> {
        let file = match File::open(folder.join(FENCE)) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let mut text = String::new();
        file.take(LONGEST).read_to_string(&mut text)?;
        let bad = || io::Error::new(io::ErrorKind::InvalidData, "the file FENCE is damaged");
        Self::parse(&text).map(Some).ok_or_else(bad)
    }

    /// Writes it durably: whoever looks sees this title or the one before.
    ///
    /// # Errors
    /// Where it cannot be written.
    pub fn write(&self, folder: &Path) -> io::Result<()> {
        let new = folder.join(format!("{FENCE}.new"));
        let mut file = File::create(&new)?;
        file.write_all(self.to_string().as_bytes())?;
        file.sync_all()?;
        std::fs::rename(&new, folder.join(FENCE))?;
        File::open(folder)?.sync_all()
    }

    /// Whether who has this title must give way to the other.
    pub fn gives_way_to(&self, other: &Self) -> bool {
        other.epoch > self.epoch || other.epoch == self.epoch && other.incarnation != self.incarnation
    }

    fn parse(text: &str) -> Option<Self> {
        let mut lines = text.lines();
        (lines.next()? == TITLE).then_some(())?;
        let mut value = |name: &str| lines.next()?.strip_prefix(name)?.strip_prefix(' ').map(str::to_owned);
        let (store, owner, incarnation) = (value("store")?, value("owner")?, value("incarnation")?);
        let epoch = value("epoch")?.parse().ok()?;
        let names = [&store, &owner, &incarnation];
        let plain = |name: &&String| name.len() <= MAX_NAME && !name.contains(char::is_control);
        names.iter().all(plain).then_some(Self { store, owner, incarnation, epoch })
    }
}

impl fmt::Display for Title {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { store, owner, incarnation, epoch } = self;
        write!(f, "{TITLE}\nstore {store}\nowner {owner}\nincarnation {incarnation}\nepoch {epoch}\n")
    }
}

/// The right by which a process has shards. Clones share it: what one of them loses, all have lost.
#[derive(Debug, Clone)]
pub struct Holder(Arc<Held>);

#[derive(Debug)]
struct Held {
    store: String,
    owner: String,
    incarnation: String,
    epoch: AtomicU64,
    /// Whose it is now, once it is lost.
    lost: watch::Sender<Option<Arc<str>>>,
    /// Folders of the shards that are open by it.
    folders: Mutex<Vec<PathBuf>>,
}

impl Holder {
    /// By this title.
    pub fn new(title: Title) -> Self {
        let Title { store, owner, incarnation, epoch } = title;
        let (epoch, folders) = (AtomicU64::new(epoch), Mutex::default());
        Self(Arc::new(Held { store, owner, incarnation, epoch, lost: watch::Sender::new(None), folders }))
    }

    /// The title as it is now.
    pub fn title(&self) -> Title {
        let Held { store, owner, incarnation, epoch, .. } = &*self.0;
        Title {
            store: store.clone(),
            owner: owner.clone(),
            incarnation: incarnation.clone(),
            epoch: epoch.load(Ordering::Acquire),
        }
    }

    /// It is another's: from now on no shard takes a commit by it.
    pub fn lose(&self, to: &str) {
        self.0.lost.send_if_modified(|lost| {
            let first = lost.is_none();
            lost.get_or_insert_with(|| to.into());
            first
        });
    }

    /// Whose it is, where it is lost.
    pub fn lost_to(&self) -> Option<Arc<str>> {
        self.0.lost.borrow().clone()
    }

    /// Returns when it is lost, with whose it is then.
    pub async fn lost(&self) -> Arc<str> {
        let mut lost = self.0.lost.subscribe();
        // The sender lives as long as we do.
        let found = lost.wait_for(Option::is_some).await.ok().and_then(|found| found.clone());
        found.unwrap_or_else(|| "".into())
    }

    /// The same holder by a greater epoch, written to all folders.
    ///
    /// # Errors
    /// Where one cannot be written: the epoch holds all the same, and the next raise writes it.
    pub fn raise(&self, epoch: u64) -> io::Result<()> {
        // First here, then there: a fence of ours is never greater than what we know of.
        if self.0.epoch.fetch_max(epoch, Ordering::AcqRel) >= epoch {
            return Ok(());
        }
        let (title, folders) = (self.title(), self.folders().clone());
        folders.iter().try_for_each(|folder| title.write(folder))
    }

    /// Looks at the fences of all shards that are open by it, as each commit does: one that nobody writes to hears of its
    /// loss by this alone. Blocks.
    pub fn look(&self) {
        let folders = self.folders().clone();
        // What cannot be read now is read by the next commit, or the next look.
        let _ = folders.iter().try_for_each(|folder| self.check(folder));
    }

    /// Takes the folder of a shard, which the caller has locked.
    pub(super) fn take(&self, folder: &Path) -> Result<(), ShardError> {
        self.check(folder)?;
        self.title().write(folder).map_err(ShardError::io)?;
        self.folders().push(folder.to_path_buf());
        Ok(())
    }

    /// Whether the shard in this folder is still held.
    pub(super) fn check(&self, folder: &Path) -> Result<(), ShardError> {
        if let Some(to) = self.lost_to() {
            return Err(ShardError::Fenced(to));
        }
        match Title::read(folder).map_err(ShardError::io)? {
            Some(found) if self.title().gives_way_to(&found) => {
                self.lose(&found.owner);
                Err(ShardError::Fenced(found.owner.as_str().into()))
            }
            _ => Ok(()),
        }
    }

    fn folders(&self) -> std::sync::MutexGuard<'_, Vec<PathBuf>> {
        self.0.folders.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn title(owner: &str, epoch: u64) -> Title {
        Title { store: "mars".into(), owner: owner.into(), incarnation: format!("of {owner}"), epoch }
    }

    #[test]
    fn a_title_is_read_as_it_was_written_and_nothing_else_is_one() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(Title::read(dir.path()).unwrap(), None);
        title("mars", 7).write(dir.path()).unwrap();
        title("minerva", u64::MAX).write(dir.path()).unwrap();
        assert_eq!(Title::read(dir.path()).unwrap(), Some(title("minerva", u64::MAX)));
        let good = title("mars", 7).to_string();
        let long = good.replace("owner mars", &format!("owner {}", "x".repeat(300)));
        for bad in ["", "x", &good[..good.len() - 3], &good.replace("epoch 7", "epoch -7"), &long] {
            std::fs::write(dir.path().join(FENCE), bad).unwrap();
            assert_eq!(Title::read(dir.path()).unwrap_err().kind(), io::ErrorKind::InvalidData, "{bad}");
        }
    }

    #[test]
    fn the_greater_epoch_wins_and_two_of_the_same_are_strangers() {
        let me = title("mars", 7);
        assert!(me.gives_way_to(&title("minerva", 8)) && me.gives_way_to(&title("minerva", 7)));
        assert!(!me.gives_way_to(&title("minerva", 6)) && !me.gives_way_to(&title("mars", 7)));
    }

    #[tokio::test]
    async fn what_is_lost_stays_lost_and_says_to_whom() {
        let (a, b) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let holder = Holder::new(title("mars", 7));
        holder.take(a.path()).unwrap();
        holder.take(b.path()).unwrap();
        holder.raise(9).unwrap();
        holder.raise(8).unwrap();
        assert_eq!(Title::read(b.path()).unwrap(), Some(title("mars", 9)));
        title("minerva", 10).write(a.path()).unwrap();
        assert!(matches!(holder.check(a.path()), Err(ShardError::Fenced(to)) if &*to == "minerva"));
        assert!(matches!(holder.check(b.path()), Err(ShardError::Fenced(_))));
        holder.lose("venus");
        assert_eq!(&*holder.lost().await, "minerva");
        let other = Holder::new(title("mars", 8));
        other.look();
        assert_eq!(other.lost_to(), None);
        other.folders().push(b.path().to_path_buf());
        other.look();
        assert_eq!(other.lost_to().as_deref(), Some("mars"));
        assert!(Holder::new(title("mars", 9)).take(a.path()).is_err());
    }
}
