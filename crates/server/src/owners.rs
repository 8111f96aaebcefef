//! Which host has which store, as this process knows it.
//!
//! The directory's database has the truth; this is read from it every few seconds and whenever a store was not found where
//! it was looked for, and kept in a file of the run folder: while the directory is away, also after a restart, the last that
//! was known holds. That may be out of date and does no harm: a host that has not got a store says so.

use crate::folder;
use crate::partners::Partners;
use admin::site::Site;
use arc_swap::ArcSwap;
use env::Env;
use env::clock::Moment;
use mail::id::{HostName, TraceId};
use roles::Call;
use roles::ownership::{MAX_STORES, Owned, Ownership};
use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// How often the directory is asked.
const LOOK_EVERY: Duration = Duration::from_secs(2);
/// How long it may take to answer.
const ANSWER_WITHIN: Duration = Duration::from_secs(3);
/// A look that is not older than this is one of now.
const FRESH: Duration = Duration::from_millis(50);
/// How long a store may be on its way before nobody waits for it any more.
const LONGEST_WAY: Duration = Duration::from_secs(30);
/// How long whoever has come to have a store may take to open it.
const OPENING: Duration = Duration::from_secs(5);
/// Longest line of the file.
const MAX_LINE: usize = 600;

/// Where a store is.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Place {
    /// The host that has it.
    pub(crate) owner: HostName,
    epoch: u64,
    on_its_way: bool,
    /// Since when this process has known it so.
    since: Moment,
}

/// When the directory was last asked, and what it said.
type Look = (Moment, Option<Arc<[Owned]>>);

/// See the module.
pub(crate) struct Owners {
    env: Env,
    directory: Arc<dyn Ownership>,
    file: PathBuf,
    known: ArcSwap<BTreeMap<HostName, Place>>,
    looked: tokio::sync::Mutex<Option<Look>>,
}

impl Owners {
    /// What the file says, until the directory says more.
    pub(crate) fn new(env: Env, directory: Arc<dyn Ownership>, file: PathBuf) -> Arc<Self> {
        // Without the file every store is where its name says.
        let text = std::fs::read_to_string(&file).unwrap_or_default();
        let known = ArcSwap::from_pointee(parse(&text, env.clock.moment()));
        Arc::new(Self { env, directory, file, known, looked: tokio::sync::Mutex::default() })
    }

    /// As a process without a directory of its own knows it.
    pub(crate) fn elsewhere(site: &Site, env: &Env, partners: &Partners) -> Arc<Self> {
        Self::new(env.clone(), Arc::new(partners.any("imdircacheserv")), folder::owners_file(site))
    }

    /// Where a store is; `None`: nobody has ever said.
    pub(crate) fn of(&self, store: &HostName) -> Option<Place> {
        self.known.load().get(store).cloned()
    }

    /// The role of the directory.
    pub(crate) fn directory(&self) -> &Arc<dyn Ownership> {
        &self.directory
    }

    /// A call to the directory that waits no longer than this.
    pub(crate) fn call(&self, deadline: Duration) -> Call {
        let id = self.env.random.request_id();
        Call { deadline, ..Call::new(id, TraceId::new(&format!("{:032x}", id.0))) }
    }

    /// What the directory says now; `None`: it does not answer. Those who ask at the same moment get the same answer.
    pub(crate) async fn look(&self) -> Option<Arc<[Owned]>> {
        let mut looked = self.looked.lock().await;
        if let Some((at, said)) = &*looked
            && at.elapsed() < FRESH
        {
            return said.clone();
        }
        let said = self.directory.store_list(&self.call(ANSWER_WITHIN)).await.ok().map(Arc::from);
        if let Some(stores) = &said {
            self.learn(stores);
        }
        *looked = Some((self.env.clock.moment(), said.clone()));
        said
    }

    fn learn(&self, stores: &[Owned]) {
        let before = self.known.load_full();
        let now = learned(&before, stores, self.env.clock.moment());
        let moved = text(&before) != text(&now);
        self.known.store(Arc::new(now));
        if moved {
            // Where it cannot be written, a restart without the directory begins with what was known before.
            let _ = write(&self.file, &text(&self.known.load()));
        }
    }

    /// After a store was not found where it is known to be, since `since`: looks again. Whether it is worth to go there.
    pub(crate) async fn again(&self, store: &HostName, since: Moment) -> bool {
        self.look().await;
        let place = self.of(store);
        place.is_some_and(|place| worth_waiting(place.on_its_way, place.since.elapsed(), since.elapsed()))
    }

    /// Keeps looking until the process ends.
    pub(crate) fn follow(self: Arc<Self>) {
        let (tasks, mut stopping) = (self.env.tasks.clone(), self.env.tasks.stopping());
        tasks.spawn(async move {
            loop {
                tokio::select! {
                    () = stopping.wait() => return,
                    _ = self.look() => {}
                }
                tokio::select! {
                    () = stopping.wait() => return,
                    () = self.env.clock.sleep(LOOK_EVERY) => {}
                }
            }
        });
    }
}

/// What is known after the directory has said this.
fn learned(before: &BTreeMap<HostName, Place>, stores: &[Owned], now: Moment) -> BTreeMap<HostName, Place> {
    let place = |owned: &Owned| {
        let (owner, epoch, on_its_way) = (owned.owner.clone(), owned.epoch, owned.is_on_its_way());
        let known = before
            .get(&owned.store)
            .filter(|p| (&p.owner, p.epoch, p.on_its_way) == (&owner, epoch, on_its_way));
        let since = known.map_or(now, |place| place.since);
        (owned.store.clone(), Place { owner, epoch, on_its_way, since })
    };
    stores.iter().map(place).collect()
}

/// Whether a store that was not found may soon be: it is on its way, or has just come to its place.
fn worth_waiting(on_its_way: bool, known_for: Duration, waited: Duration) -> bool {
    waited < OPENING && known_for < if on_its_way { LONGEST_WAY } else { OPENING }
}

/// One line a store: its name, its owner, the epoch.
fn text(known: &BTreeMap<HostName, Place>) -> String {
    known.iter().map(|(store, place)| format!("{store} {} {}\n", place.owner, place.epoch)).collect()
}

/// What is no such line says nothing.
fn parse(text: &str, now: Moment) -> BTreeMap<HostName, Place> {
    let line = |line: &str| {
        let mut words = line.split(' ');
        let (store, owner, epoch) = (words.next()?, words.next()?, words.next()?.parse().ok()?);
        let place = Place { owner: HostName::new(owner), epoch, on_its_way: false, since: now };
        (words.next().is_none() && line.len() <= MAX_LINE).then_some((HostName::new(store), place))
    };
    text.lines().take(MAX_STORES).filter_map(line).collect()
}

fn write(file: &Path, text: &str) -> std::io::Result<()> {
    // Each process of the host writes it: what one writes is not another's to rename.
    let new = file.with_extension(format!("{}.new", std::process::id()));
    let mut made = OpenOptions::new().create(true).write(true).truncate(true).mode(0o600).open(&new)?;
    made.write_all(text.as_bytes())?;
    std::fs::rename(&new, file)
}

#[cfg(test)]
mod tests {
    use super::*;
    use env::clock::Clock;
    use mail::time::Timestamp;

    fn owned(store: &str, owner: &str, epoch: u64, incarnation: &str) -> Owned {
        let (store, owner) = (HostName::new(store), HostName::new(owner));
        let (incarnation, expires) = (incarnation.to_owned(), Timestamp::from_secs(1));
        Owned { store, owner, incarnation, epoch, expires, folder: String::new(), successor: None }
    }

    #[test]
    fn a_place_is_remembered_from_the_moment_that_it_is_a_new_one() {
        let clock = Clock::system();
        let (first, later) = (clock.moment(), clock.moment() + Duration::from_secs(9));
        let known = learned(&BTreeMap::new(), &[owned("mars", "mars", 1, "a")], first);
        let known = learned(&known, &[owned("mars", "mars", 1, "a")], later);
        assert_eq!(known[&HostName::new("mars")].since, first);
        let known = learned(&known, &[owned("mars", "minerva", 2, "")], later);
        let place = &known[&HostName::new("mars")];
        assert_eq!((place.owner.as_str(), place.on_its_way, place.since), ("minerva", true, later));
    }

    #[test]
    fn the_file_says_what_was_known_and_rubbish_says_nothing() {
        let now = Clock::system().moment();
        let known =
            learned(&BTreeMap::new(), &[owned("mars", "minerva", 7, "a"), owned("a", "b", 1, "x")], now);
        assert_eq!(parse(&text(&known), now), known);
        assert!(parse("mars\nmars minerva\nmars minerva x\nmars minerva 1 2\n", now).is_empty());
    }

    #[test]
    fn nobody_waits_long_for_what_does_not_come() {
        let seconds = Duration::from_secs;
        assert!(worth_waiting(true, seconds(20), seconds(0)) && worth_waiting(false, seconds(1), seconds(1)));
        assert!(
            !worth_waiting(true, seconds(31), seconds(0)) && !worth_waiting(true, seconds(1), seconds(5))
        );
        assert!(!worth_waiting(false, seconds(6), seconds(0)));
    }
}
