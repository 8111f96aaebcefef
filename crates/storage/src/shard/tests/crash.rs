//! Random histories with crashes, against a plain map.

use super::*;
use crate::sim::SimDisk;
use env::random::Random;
use proptest::prelude::*;
use std::collections::BTreeMap;

#[derive(Debug, Clone)]
enum Step {
    /// Tasks that are handed in together.
    Commit(Vec<Vec<Change>>),
    /// Closed in order and opened again.
    Reopen,
    /// Space is given back: by holes, and by copying with this budget.
    Reclaim(u64),
    /// Killed: the log has all that was written.
    Kill,
    /// Loss of power: unsynced sectors by chance, the index as it was when it was last opened.
    PowerLoss(u64),
    /// The disk is full during these tasks.
    Full(u16, Vec<Vec<Change>>),
    /// A sync fails during these tasks, then the power goes.
    SyncFails(u64, Vec<Vec<Change>>),
}

#[derive(Debug, Clone)]
enum Change {
    Put(u8, u8),
    Delete(u8),
    Body(u8, u32),
    Fail,
}

type Model = BTreeMap<u8, Value>;

#[derive(Debug, Clone, PartialEq)]
enum Value {
    Plain(u8),
    Body(u32),
}

/// The model with the tasks applied that do not fail by themselves.
fn apply(model: &Model, tasks: &[Vec<Change>]) -> Model {
    let mut model = model.clone();
    for task in tasks.iter().filter(|t| !t.iter().any(|c| matches!(c, Change::Fail))) {
        for change in task {
            match *change {
                Change::Put(key, value) => drop(model.insert(key, Value::Plain(value))),
                Change::Body(key, len) => drop(model.insert(key, Value::Body(len))),
                Change::Delete(key) => drop(model.remove(&key)),
                Change::Fail => {}
            }
        }
    }
    model
}

fn run(tx: &mut Transaction<'_>, task: &[Change]) -> Result<(), ShardError> {
    for change in task {
        let key = |k: u8| [b'k', k];
        let release = |tx: &mut Transaction<'_>, k: u8| {
            let Some(row) = tx.get(&key(k))? else { return Ok(()) };
            match BlobRef::decode(row.get(1..).unwrap_or_default()) {
                Some((blob, _)) if row[0] == 1 => tx.release(&blob),
                _ => Ok::<_, ShardError>(()),
            }
        };
        match *change {
            Change::Put(k, value) => {
                release(tx, k)?;
                tx.put(&key(k), &[0, value])?;
            }
            Change::Delete(k) => {
                release(tx, k)?;
                tx.delete(&key(k))?;
            }
            Change::Body(k, len) => {
                release(tx, k)?;
                let blob = tx.store(&[k; 9], &Bytes::from(vec![k; len as usize]))?;
                let mut row = vec![1];
                blob.encode(&mut row);
                tx.put(&key(k), &row)?;
            }
            Change::Fail => return Err(ShardError::Gone),
        }
    }
    Ok(())
}

/// A shard with the means to crash it.
struct Site {
    disk: SimDisk,
    dir: tempfile::TempDir,
    /// The index as it was when the shard was opened.
    index_then: tempfile::TempDir,
    segments_then: Vec<String>,
    shard: Shard,
}

impl Site {
    fn open(disk: SimDisk, dir: tempfile::TempDir) -> Self {
        let index_then = tempfile::tempdir().unwrap();
        copy(&dir.path().join("index"), &index_then.path().join("index"));
        let env = Env::for_test("mss");
        let shard = Shard::open_on(Arc::new(disk.clone()), dir.path(), small(), &env).unwrap();
        let segments_then = disk.names().unwrap();
        Self { disk, dir, index_then, segments_then, shard }
    }

    async fn commit(&self, tasks: &[Vec<Change>]) -> Vec<Result<(), ShardError>> {
        let mut waiting = Vec::new();
        for task in tasks {
            let (shard, task) = (self.shard.clone(), task.clone());
            #[expect(clippy::disallowed_methods, reason = "a test drives several callers")]
            waiting.push(tokio::spawn(async move { shard.commit(move |tx| run(tx, &task)).await }));
            // Handed in in order.
            tokio::task::yield_now().await;
        }
        let mut outcomes = Vec::new();
        for task in waiting {
            outcomes.push(task.await.unwrap());
        }
        outcomes
    }

    async fn reopen(self) -> Self {
        self.shard.close().await;
        Self::open(self.disk, self.dir)
    }

    async fn kill(self) -> Self {
        let (disk, dir) = (self.disk.after_kill(), tempfile::tempdir().unwrap());
        copy(&self.dir.path().join("index"), &dir.path().join("index"));
        self.shard.close().await;
        Self::open(disk, dir)
    }

    async fn power_loss(self, seed: u64) -> Self {
        let disk = self.disk.after_power_loss(&Random::seeded(seed));
        // Where a segment was removed, the index was persisted before.
        let names = self.disk.names().unwrap();
        let last = |names: &[String]| names.iter().filter_map(|n| segments::number_of(n)).max().unwrap_or(0);
        let made = (last(&names) - last(&self.segments_then)) as usize;
        let persisted = names.len() < self.segments_then.len() + made;
        let index = if persisted { tempfile::tempdir().unwrap() } else { self.index_then };
        if persisted {
            copy(&self.dir.path().join("index"), &index.path().join("index"));
        }
        self.shard.close().await;
        Self::open(disk, index)
    }

    /// Punches every segment and copies out as far as the budget goes in each, whatever is in it.
    async fn reclaim(&self, budget: u64) {
        for due in self.shard.segment_uses().await.unwrap() {
            // A segment may be removed meanwhile.
            match self.shard.punch(due.segment).await {
                Err(ShardError::Gone) => continue,
                punched => assert_eq!(punched.unwrap().dead, due.dead),
            }
            match self.shard.copy_out(due.segment, 0, budget).await {
                Err(ShardError::Gone) => {}
                copied => assert_eq!(copied.unwrap().damaged, 0),
            }
        }
        self.shard.sweep().await.unwrap();
    }

    async fn audit(&self) -> Audit {
        let audit = self.shard.read(|view| {
            let mut references = References::default();
            view.scan(KeyRange::prefix(*b"k"), &mut |_, row| {
                if row[0] == 1 {
                    references.add(&BlobRef::decode(&row[1..]).unwrap().0);
                }
                ControlFlow::Continue(())
            })?;
            view.audit(&references)
        });
        audit.await.unwrap()
    }

    async fn content(&self) -> Model {
        let rows = self.shard.read(|view| {
            let mut rows = Vec::new();
            view.scan(KeyRange::prefix(*b"k"), &mut |k, v| {
                rows.push((k[1], v.to_vec()));
                ControlFlow::Continue(())
            })?;
            let mut model = Model::new();
            for (key, row) in rows {
                let value = if row[0] == 1 {
                    let (blob, _) = BlobRef::decode(&row[1..]).unwrap();
                    let blob = view.blob(&blob)?;
                    assert_eq!(&blob.meta()?[..], &[key; 9]);
                    let body = blob.body(0..u64::MAX)?;
                    assert!(body.iter().all(|&b| b == key));
                    Value::Body(body.len() as u32)
                } else {
                    Value::Plain(row[1])
                };
                model.insert(key, value);
            }
            Ok::<_, ShardError>(model)
        });
        rows.await.unwrap()
    }
}

/// Copies a folder as it is at one moment: again, where something has changed meanwhile.
pub(super) fn copy(from: &Path, to: &Path) {
    loop {
        let before = listing(from);
        let _ = std::fs::remove_dir_all(to);
        copy_once(from, to);
        // Times of files are no finer than a tick of the system.
        std::thread::sleep(std::time::Duration::from_millis(10));
        if listing(from) == before {
            return;
        }
    }
}

/// Everything in a folder with its length and time of change.
fn listing(folder: &Path) -> Vec<(std::path::PathBuf, u64, std::time::SystemTime)> {
    let mut all = Vec::new();
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let Ok(data) = entry.metadata() else { continue };
        if data.is_dir() {
            all.extend(listing(&entry.path()));
        } else {
            all.push((entry.path(), data.len(), data.modified().unwrap()));
        }
    }
    all.sort();
    all
}

fn copy_once(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).into_iter().flatten().flatten() {
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy_once(&entry.path(), &target);
        } else {
            // It may be gone again: then the listing has changed.
            let _ = std::fs::copy(entry.path(), target);
        }
    }
}

async fn history(steps: Vec<Step>) {
    let mut site = Site::open(SimDisk::new(), tempfile::tempdir().unwrap());
    let mut model = Model::new();
    for step in steps {
        match step {
            Step::Commit(tasks) => {
                let outcomes = site.commit(&tasks).await;
                for (task, outcome) in tasks.iter().zip(outcomes) {
                    let fails = task.iter().any(|c| matches!(c, Change::Fail));
                    assert_eq!(outcome.is_err(), fails, "{outcome:?}");
                }
                model = apply(&model, &tasks);
            }
            Step::Reopen => site = site.reopen().await,
            Step::Reclaim(budget) => site.reclaim(budget).await,
            Step::Kill => site = site.kill().await,
            Step::PowerLoss(seed) => site = site.power_loss(seed).await,
            Step::Full(room, tasks) => {
                site.disk.set_capacity(Some(site.disk.used() + u64::from(room)));
                let outcomes = site.commit(&tasks).await;
                site.disk.set_capacity(None);
                let done: Vec<_> =
                    tasks.into_iter().zip(outcomes).filter(|(_, o)| o.is_ok()).map(|(t, _)| t).collect();
                model = apply(&model, &done);
            }
            Step::SyncFails(seed, tasks) => {
                site.disk.fail_sync_after(seed % 3);
                let outcomes = site.commit(&tasks).await;
                let acked = outcomes.iter().take_while(|o| !matches!(o, Err(ShardError::Broken(_)))).count();
                site = site.power_loss(seed).await;
                let found = site.content().await;
                // What was acknowledged is there; of the rest the first tasks, up to any point.
                let possible = (acked..=tasks.len()).map(|n| apply(&model, &tasks[..n]));
                let found_is_possible = possible.into_iter().any(|m| m == found);
                assert!(found_is_possible, "{found:?} of {model:?} and {tasks:?} with {acked}");
                model = found;
            }
        }
        assert_eq!(site.content().await, model);
        let audit = site.audit().await;
        assert!(audit.is_clean(), "{audit:?}");
    }
    site.shard.close().await;
}

fn change() -> impl Strategy<Value = Change> {
    prop_oneof![
        4 => (0..6u8, any::<u8>()).prop_map(|(k, v)| Change::Put(k, v)),
        2 => (0..6u8).prop_map(Change::Delete),
        3 => (0..6u8, prop_oneof![0..3000u32, 60_000..70_000u32, 300_000..400_000u32])
            .prop_map(|(k, n)| Change::Body(k, n)),
        1 => Just(Change::Fail),
    ]
}

fn tasks() -> impl Strategy<Value = Vec<Vec<Change>>> {
    prop::collection::vec(prop::collection::vec(change(), 1..4), 1..6)
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => tasks().prop_map(Step::Commit),
        1 => Just(Step::Reopen),
        2 => (0..200_000u64).prop_map(Step::Reclaim),
        1 => Just(Step::Kill),
        1 => any::<u64>().prop_map(Step::PowerLoss),
        1 => (any::<u16>(), tasks()).prop_map(|(room, t)| Step::Full(room, t)),
        1 => (any::<u64>(), tasks()).prop_map(|(seed, t)| Step::SyncFails(seed, t)),
    ]
}

/// Histories to try: a few in every run, as many as `PROPTEST_CASES` says where it is set.
fn cases(few: u32) -> u32 {
    std::env::var("PROPTEST_CASES").ok().and_then(|n| n.parse().ok()).unwrap_or(few)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(24), max_shrink_iters: 200, ..ProptestConfig::default() })]
    #[test]
    fn any_history_keeps_what_was_acknowledged(steps in prop::collection::vec(step(), 1..12)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(history(steps));
    }
}
