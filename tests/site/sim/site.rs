//! A store on recorded disks: opened on what a crash has left, closed again.

use crate::image::{self, Image, Journals};
use crate::ledger::Shown;
use crate::look::{Seen, look};
use crate::tape::{Player, Syncs, Tape};
use anyhow::{Context, Result};
use catalog::tree::Tree;
use env::Env;
use env::clock::Clock;
use env::random::Random;
use mail::id::MailboxId;
use mail::time::Timestamp;
use roles::store::StoreError;
use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use storage::shard::{Disk, ShardOptions};
use storage::sim::SimDisk;
use store::{OpenError, Store};
use tempfile::TempDir;

/// Shards of a store.
pub(crate) const SHARDS: usize = 2;

/// The shard of a mailbox.
pub(crate) fn shard_of(id: MailboxId) -> usize {
    usize::try_from(id.0.rem_euclid(SHARDS as i64)).unwrap_or(0)
}

/// Whether mailboxes are moved between shards.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Moves {
    Some,
    None,
}

/// How a store is set up.
#[derive(Clone)]
pub(crate) struct Setup {
    pub(crate) seed: u64,
    pub(crate) options: ShardOptions,
    pub(crate) syncs: Syncs,
    /// Stands still but for the steps of callers; goes on through all crashes.
    pub(crate) clock: Clock,
    /// Whether mailboxes are moved between shards.
    pub(crate) moves: Moves,
    /// Minutes for which what is removed is kept.
    pub(crate) window: u64,
}

impl Setup {
    /// Small segments, so that they fill, die and are removed all the time; other sizes with every seed.
    pub(crate) fn of(seed: u64) -> Self {
        let chance = Random::seeded(seed ^ SETUP);
        let pick = |of: &[u64]| of[chance.below(of.len() as u64) as usize];
        let options = ShardOptions {
            segment_bytes: pick(&[4 << 10, 16 << 10, 64 << 10, 200 << 10]),
            group_bytes: pick(&[32 << 10, 4 << 20]) as usize,
            readers: 1,
            index_cache: 1 << 20,
            index_memtable: pick(&[16 << 10, 1 << 20]),
            reserve: pick(&[0, 0, 64 << 10]),
            ..ShardOptions::default()
        };
        let clock = Clock::fixed(Timestamp::from_secs(BEGIN));
        let moves = if chance.below(3) == 0 { Moves::Some } else { Moves::None };
        Self { seed, options, syncs: Syncs::Honest, clock, moves, window: pick(&[0, 0, 1, 60]) }
    }
}

/// What there is when a store is opened.
pub(crate) struct Remains {
    pub(crate) disks: Vec<SimDisk>,
    images: Vec<Option<Arc<Image>>>,
    journals: Journals,
}

impl Remains {
    /// Nothing yet.
    pub(crate) fn nothing() -> Self {
        Self {
            disks: (0..SHARDS).map(|_| SimDisk::new()).collect(),
            images: vec![None; SHARDS],
            journals: Journals::Lost,
        }
    }

    /// What is found after the power was lost at the moment of the player.
    pub(crate) fn power_loss(
        player: &Player,
        tape: &Tape,
        at: usize,
        before: &Self,
        chance: &Random,
    ) -> Self {
        let disks = player.disks().iter().map(|d| d.after_power_loss(chance)).collect();
        Self { disks, images: before.images(tape, at), journals: Journals::Lost }
    }

    /// What is found after the process was killed at the moment of the player.
    pub(crate) fn kill(player: &Player, tape: &Tape, at: usize, before: &Self) -> Self {
        let disks = player.disks().iter().map(SimDisk::after_kill).collect();
        Self { disks, images: before.images(tape, at), journals: Journals::Kept }
    }

    /// What a store that has ended, or could not be opened, has left.
    fn of(disks: &[SimDisk], folder: &Path) -> Self {
        let image = |shard| image::changed(&index_in(folder, shard), None).map(Arc::new);
        let disks: Vec<SimDisk> = disks.iter().map(SimDisk::after_kill).collect();
        Self { images: (0..disks.len()).map(image).collect(), disks, journals: Journals::Kept }
    }

    /// The same once more.
    pub(crate) fn again(&self) -> Self {
        let disks = self.disks.iter().map(SimDisk::after_kill).collect();
        Self { disks, images: self.images.clone(), journals: self.journals }
    }

    /// The images of the index at a moment; where there is none yet, those that there were.
    fn images(&self, tape: &Tape, at: usize) -> Vec<Option<Arc<Image>>> {
        (0..SHARDS).map(|shard| tape.image(shard, at).or_else(|| self.images[shard].clone())).collect()
    }
}

/// Whether the index is looked at before each action, so that a crash can be made of any moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Watch {
    Index,
    Nothing,
}

/// A store that runs.
pub(crate) struct Site {
    pub(crate) store: Store,
    pub(crate) tape: Tape,
    pub(crate) moves: Moves,
    env: Env,
    disks: Vec<SimDisk>,
    folder: TempDir,
}

/// A store that could not be opened.
pub(crate) struct Failed {
    pub(crate) error: OpenError,
    pub(crate) left: Remains,
}

impl Site {
    /// Opens a store on what there is. Blocks while it recovers.
    pub(crate) fn open(remains: &Remains, setup: &Setup, watch: Watch) -> Result<Self> {
        let tape = Tape::new(setup.seed, setup.syncs);
        Ok(Self::open_with(remains, setup, watch, &tape)?.map_err(|failed| failed.error)?)
    }

    /// As [`Site::open`], with a tape that may have faults; what the store says of itself is the inner outcome.
    /// The disks of `remains` are used, not copied.
    pub(crate) fn open_with(
        remains: &Remains,
        setup: &Setup,
        watch: Watch,
        tape: &Tape,
    ) -> Result<Result<Self, Failed>> {
        let folder = folder()?;
        let index = |shard| index_in(folder.path(), shard);
        for (shard, image) in remains.images.iter().enumerate() {
            let restored = image.as_ref().map(|i| i.restore(&index(shard), remains.journals));
            restored.transpose().context("cannot restore an index")?;
        }
        let mut env = Env::for_test("mss");
        env.clock = setup.clock.clone();
        let keys = format!("/*/mss/restoreWindowInMinutes: [{}]\n", setup.window);
        env.settings.replace(Tree::parse(&keys).context("the keys of the store")?);
        let disk = |number: u32| -> Arc<dyn Disk> {
            let shard = number as usize;
            let watched = (watch == Watch::Index).then(|| index(shard));
            Arc::new(tape.record(shard, remains.disks[shard].clone(), watched))
        };
        let shards = NonZeroU32::new(SHARDS as u32).context("no shards")?;
        let store = Store::open_on(folder.path(), shards, &setup.options, &env, &disk);
        let disks = remains.disks.clone();
        Ok(match store {
            Ok(store) => Ok(Self { store, tape: tape.clone(), moves: setup.moves, env, disks, folder }),
            Err(error) => Err(Failed { error, left: Remains::of(&disks, folder.path()) }),
        })
    }

    /// Looks at these mailboxes.
    pub(crate) async fn look(
        &self,
        ids: &[MailboxId],
        shown: &[Shown],
    ) -> Result<BTreeMap<MailboxId, Seen>, StoreError> {
        let mut seen = BTreeMap::new();
        for &id in ids {
            let of_it: Vec<Shown> = shown.iter().filter(|s| s.mailbox == id).cloned().collect();
            seen.insert(id, look(&self.store, id, &of_it).await?);
        }
        Ok(seen)
    }

    /// The calendar.
    pub(crate) fn clock(&self) -> Clock {
        self.env.clock.clone()
    }

    /// What is left of it once it is closed.
    pub(crate) fn remains(&self) -> Remains {
        Remains::of(&self.disks, self.folder.path())
    }

    /// Closes the store and ends what runs beside it.
    pub(crate) async fn close(&self) {
        self.store.close().await;
        self.env.tasks.drain(PATIENCE).await;
    }
}

/// The folder of a shard's index in that of the store.
fn index_in(folder: &Path, shard: usize) -> PathBuf {
    folder.join(format!("shard-{shard:03}/index"))
}

/// A folder in memory, where there is one.
fn folder() -> Result<TempDir> {
    let memory = Path::new("/dev/shm");
    let made =
        if memory.is_dir() { TempDir::with_prefix_in("sim-", memory) } else { TempDir::with_prefix("sim-") };
    made.context("no folder for an index")
}

const PATIENCE: Duration = Duration::from_secs(10);
/// When all histories begin, in seconds of the calendar.
const BEGIN: i64 = 1_800_000_000;
/// Told apart from other uses of the same seed.
const SETUP: u64 = 0x5e70;
