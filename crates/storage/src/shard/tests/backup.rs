//! Copies of a shard that works: whole, cheap the second time, found damaged where they are, good for a new shard.

use super::*;
use crate::backup::{BackupError, Work};
use crate::pace::{Pace, Rate};
use env::clock::Clock;
use proptest::prelude::*;
use std::fs;

fn work() -> Work {
    Work::new(Pace::new(&Clock::system(), || Rate::Unlimited))
}

/// A folder with copies.
struct Copies {
    dir: tempfile::TempDir,
    last: Option<ShardCopy>,
    number: u32,
}

impl Copies {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("segments")).unwrap();
        Self { dir, last: None, number: 0 }
    }

    fn folder(&self, number: u32) -> CopyFolder {
        CopyFolder {
            rows: self.dir.path().join(format!("{number}.rows")),
            segments: self.dir.path().join("segments"),
        }
    }

    /// Copies and returns how many bytes were written.
    async fn take(&mut self, shard: &Shard) -> Result<(ShardCopy, u64), BackupError> {
        self.number += 1;
        let work = work();
        let copy = shard.back_up(self.folder(self.number), self.number, self.last.clone(), &work).await?;
        self.last = Some(copy.clone());
        assert!(work.progress().done >= work.progress().total, "{:?}", work.progress());
        Ok((copy, work.progress().written))
    }

    async fn findings(&self, number: u32, copy: &ShardCopy) -> Vec<Finding> {
        let (folder, copy) = (self.folder(number), copy.clone());
        work()
            .run(move |steps| {
                let mut found = Vec::new();
                CopiedShard::open(folder, copy)?.verify(steps, &mut |finding| found.push(finding))?;
                Ok(found)
            })
            .await
            .unwrap()
    }

    async fn restore(&self, number: u32, copy: &ShardCopy, history: u64) -> (tempfile::TempDir, Shard) {
        let to = tempfile::tempdir().unwrap();
        let (folder, copy, path) = (self.folder(number), copy.clone(), to.path().to_path_buf());
        let job = move |steps: &_| restore(&folder, &copy, &path, (&small(), history), steps);
        work().run(job).await.unwrap();
        let shard = open(to.path());
        (to, shard)
    }
}

/// Stores a body under a name; one that is there goes.
async fn store(shard: &Shard, name: u8, body: Vec<u8>) {
    let task = move |tx: &mut Transaction<'_>| {
        let key = [b'k', name];
        if let Some((old, _)) = tx.get(&key)?.and_then(|row| BlobRef::decode(&row).map(|(b, _)| (b, ()))) {
            tx.release(&old)?;
        }
        let blob = tx.store(b"meta", &Bytes::from(body))?;
        let mut row = Vec::new();
        blob.encode(&mut row);
        tx.put(&key, &row)
    };
    shard.commit(task).await.unwrap();
}

async fn remove(shard: &Shard, name: u8) {
    let task = move |tx: &mut Transaction<'_>| {
        let Some(row) = tx.get(&[b'k', name])? else { return Ok(()) };
        tx.release(&BlobRef::decode(&row).unwrap().0)?;
        tx.delete(&[b'k', name])
    };
    shard.commit::<_, ShardError, _>(task).await.unwrap();
}

type Content = BTreeMap<u8, Vec<u8>>;

/// All bodies by name, and whether everything adds up.
fn content(view: &View<'_>) -> Result<Content, ShardError> {
    let (mut blobs, mut references) = (Vec::new(), References::default());
    view.scan(KeyRange::prefix(*b"k"), &mut |key, row| {
        blobs.push((key[1], BlobRef::decode(row).unwrap().0));
        ControlFlow::Continue(())
    })?;
    blobs.iter().for_each(|(_, blob)| references.add(blob));
    let audit = view.audit(&references)?;
    assert!(audit.is_clean(), "{audit:?}");
    blobs.into_iter().map(|(name, blob)| Ok((name, view.blob(&blob)?.body(0..u64::MAX)?.to_vec()))).collect()
}

async fn all(shard: &Shard) -> Content {
    shard.read(content).await.unwrap()
}

/// Gives back what can be.
async fn reclaim(shard: &Shard) {
    for one in shard.segment_uses().await.unwrap() {
        if shard.punch(one.segment).await.is_ok() && one.segment.is_multiple_of(2) {
            let _ = shard.copy_out(one.segment, 0, u64::MAX).await;
        }
    }
}

#[tokio::test]
async fn a_copy_has_what_was_there_and_becomes_a_shard() {
    let (dir, mut copies) = (tempfile::tempdir().unwrap(), Copies::new());
    let shard = open(dir.path());
    for n in 0..20 {
        store(&shard, n, vec![n + 1; 9000 + usize::from(n)]).await;
    }
    let before = all(&shard).await;
    let (copy, written) = copies.take(&shard).await.unwrap();
    assert!(copy.segments.len() >= 2 && written > 180_000);
    store(&shard, 99, vec![1; 10]).await;
    let opened = CopiedShard::open(copies.folder(1), copy.clone()).unwrap();
    assert_eq!(content(&opened.view()).unwrap(), before);
    assert_eq!(copies.findings(1, &copy).await, []);
    let (_to, restored) = copies.restore(1, &copy, 7).await;
    assert_eq!(all(&restored).await, before);
    // It goes on as any shard does.
    store(&restored, 100, vec![3; 70_000]).await;
    store(&restored, 101, vec![3; 70_000]).await;
    reclaim(&restored).await;
    restored.close().await;
    assert_eq!(all(&open(_to.path())).await.len(), 22);
}

#[tokio::test]
async fn an_empty_shard_and_one_without_bodies_can_be_copied() {
    let (dir, mut copies) = (tempfile::tempdir().unwrap(), Copies::new());
    let shard = open(dir.path());
    let (copy, _) = copies.take(&shard).await.unwrap();
    assert_eq!((copy.rows, copy.segments.len()), (0, 0));
    let (_to, restored) = copies.restore(1, &copy, 7).await;
    put(&restored, "a", "1").await.unwrap();
    put(&shard, "a", "1").await.unwrap();
    let (copy, _) = copies.take(&shard).await.unwrap();
    let (_to, restored) = copies.restore(2, &copy, 7).await;
    assert_eq!(get(&restored, "a").await.unwrap(), b"1");
}

#[tokio::test]
async fn its_45459_a_second_copy_costs_what_has_changed() {
    let (dir, mut copies) = (tempfile::tempdir().unwrap(), Copies::new());
    let shard = open(dir.path());
    for n in 0..60 {
        store(&shard, n, vec![n + 1; 9000]).await;
    }
    let (first, written) = copies.take(&shard).await.unwrap();
    assert!(written > 540_000);
    store(&shard, 60, vec![61; 9000]).await;
    let (second, written) = copies.take(&shard).await.unwrap();
    assert!(written < 20_000 + second.rows_bytes, "{written}");
    let (third, written) = copies.take(&shard).await.unwrap();
    assert!(written == third.rows_bytes && third.segments == second.segments);
    for (number, copy, count) in [(1, first, 60), (2, second, 61)] {
        assert_eq!(copies.findings(number, &copy).await, []);
        assert_eq!(all(&copies.restore(number, &copy, 7).await.1).await.len(), count);
    }
}

#[tokio::test]
async fn holes_in_what_an_earlier_copy_needs_do_not_reach_it() {
    let (dir, mut copies) = (tempfile::tempdir().unwrap(), Copies::new());
    let shard = open(dir.path());
    for n in 0..4 {
        store(&shard, n, vec![n + 1; 9000]).await;
    }
    // The segment that is written is copied, filled, and then full of holes.
    let (first, _) = copies.take(&shard).await.unwrap();
    for n in 4..30 {
        store(&shard, n, vec![n + 1; 9000]).await;
    }
    shard.close().await;
    let shard = open(dir.path());
    for _ in 0..500 {
        if shard.shared.keeping().persisted.segment > 2 {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    remove(&shard, 1).await;
    remove(&shard, 2).await;
    shard.punch(1).await.unwrap();
    let (second, _) = copies.take(&shard).await.unwrap();
    assert_eq!((second.segments[0].number, second.segments[0].begun), (1, 2));
    for (number, copy, count) in [(1, first, 4), (2, second, 28)] {
        assert_eq!(copies.findings(number, &copy).await, []);
        assert_eq!(all(&copies.restore(number, &copy, 7).await.1).await.len(), count);
    }
}

#[tokio::test]
async fn a_copy_that_was_interrupted_leaves_the_one_before_whole() {
    let (dir, mut copies) = (tempfile::tempdir().unwrap(), Copies::new());
    let shard = open(dir.path());
    for n in 0..10 {
        store(&shard, n, vec![n + 1; 9000]).await;
    }
    let before = all(&shard).await;
    let (first, _) = copies.take(&shard).await.unwrap();
    for n in 10..40 {
        store(&shard, n, vec![n + 1; 9000]).await;
    }
    // Ended after more and more steps; the last attempt comes to its end.
    for steps in 0.. {
        let left = std::sync::atomic::AtomicU64::new(steps);
        let slot: Arc<Mutex<Option<Pace>>> = Arc::default();
        let ends = Arc::clone(&slot);
        let pace = Pace::new(&Clock::system(), move || {
            if left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |n| n.checked_sub(1)).is_err() {
                ends.lock().unwrap().as_ref().unwrap().end();
            }
            Rate::Unlimited
        });
        *slot.lock().unwrap() = Some(pace.clone());
        let number = u32::try_from(steps).unwrap() + 2;
        let done = shard.back_up(copies.folder(number), number, Some(first.clone()), &Work::new(pace)).await;
        assert_eq!(copies.findings(1, &first).await, []);
        match done {
            Err(BackupError::Ended) => {}
            Err(other) => panic!("{other}"),
            Ok(copy) => {
                assert!(steps > 3);
                assert_eq!(copies.findings(number, &copy).await, []);
                assert_eq!(all(&copies.restore(1, &first, 7).await.1).await, before);
                break;
            }
        }
    }
}

#[tokio::test]
async fn its_16865_damage_in_a_copy_is_found_and_named() {
    let (dir, mut copies) = (tempfile::tempdir().unwrap(), Copies::new());
    let shard = open(dir.path());
    for n in 0..20 {
        store(&shard, n, vec![n + 1; 9000]).await;
    }
    let (copy, _) = copies.take(&shard).await.unwrap();
    let folder = copies.folder(1);
    let mut files: Vec<_> = copy.segments.iter().map(|s| folder.segments.join(s.file_name())).collect();
    files.push(folder.rows.clone());
    for file in &files {
        let good = fs::read(file).unwrap();
        let (mut flipped, at) = (good.clone(), good.len() / 2);
        flipped[at] ^= 1;
        for bad in [&flipped[..], &good[..good.len() - 1]] {
            fs::write(file, bad).unwrap();
            let found = copies_findings(&copies, &copy).await;
            assert!(found.iter().all(|f| f.path == *file) && !found.is_empty(), "{found:?}");
        }
        fs::remove_file(file).unwrap();
        assert!(copies_findings(&copies, &copy).await.iter().any(|f| f.path == *file));
        fs::write(file, good).unwrap();
    }
    assert_eq!(copies_findings(&copies, &copy).await, []);
}

/// Also where the copy cannot be opened.
async fn copies_findings(copies: &Copies, copy: &ShardCopy) -> Vec<Finding> {
    let folder = copies.folder(1);
    match CopiedShard::open(folder.clone(), copy.clone()) {
        Ok(_) => copies.findings(1, copy).await,
        Err(error) => vec![Finding::new(&folder.rows, error.to_string())],
    }
}

#[tokio::test]
async fn a_restored_shard_and_its_original_do_not_share_segments() {
    let (dir, mut copies) = (tempfile::tempdir().unwrap(), Copies::new());
    let shard = open(dir.path());
    for n in 0..5 {
        store(&shard, n, vec![n + 1; 9000]).await;
    }
    let (first, _) = copies.take(&shard).await.unwrap();
    let (_to, other) = copies.restore(1, &first, 7).await;
    // Both go on, alike but not the same, over the same segment numbers.
    for n in 5..25 {
        store(&shard, n, vec![1; 9000]).await;
        store(&other, n, vec![2; 9000]).await;
    }
    let mine = copies.take(&shard).await.unwrap().0;
    let theirs = copies.take(&other).await.unwrap().0;
    assert_eq!((mine.history, theirs.history), (0, 7));
    for (number, copy, expected) in [(2, mine, all(&shard).await), (3, theirs, all(&other).await)] {
        assert_eq!(copies.findings(number, &copy).await, []);
        let opened = CopiedShard::open(copies.folder(number), copy).unwrap();
        assert_eq!(content(&opened.view()).unwrap(), expected);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn copies_under_load_and_reclaim_have_all_that_was_acknowledged() {
    let (dir, mut copies) = (tempfile::tempdir().unwrap(), Copies::new());
    let shard = open(dir.path());
    let acknowledged: Arc<Mutex<Content>> = Arc::default();
    let (stop, mut stopped) = tokio::sync::watch::channel(false);
    let load = {
        let (shard, acknowledged) = (shard.clone(), Arc::clone(&acknowledged));
        async move {
            let mut n = 0u8;
            while !*stopped.borrow_and_update() {
                let body = vec![n.wrapping_mul(31) | 1; 2000 + usize::from(n) * 40];
                store(&shard, n, body.clone()).await;
                acknowledged.lock().unwrap().insert(n, body);
                // Names of the upper half go again: there is something to reclaim.
                if n >= 128 && !n.is_multiple_of(3) {
                    acknowledged.lock().unwrap().remove(&n);
                    remove(&shard, n).await;
                }
                if n.is_multiple_of(16) {
                    reclaim(&shard).await;
                }
                n = n.wrapping_add(1);
            }
        }
    };
    let take = async {
        for number in 1..=8 {
            tokio::time::sleep(std::time::Duration::from_millis(60)).await;
            let before = acknowledged.lock().unwrap().clone();
            let (copy, _) = copies.take(&shard).await.unwrap();
            assert_eq!(copies.findings(number, &copy).await, []);
            let restored = all(&copies.restore(number, &copy, 7).await.1).await;
            for name in before.keys().filter(|n| **n < 128) {
                assert!(restored.contains_key(name), "copy {number} has no {name}");
            }
        }
        stop.send_replace(true);
    };
    tokio::join!(load, take);
}

#[derive(Debug, Clone)]
enum Act {
    Store(u8, usize),
    Remove(u8),
    Reclaim,
    Reopen,
    Copy,
}

fn acts() -> impl Strategy<Value = Vec<Act>> {
    let act = prop_oneof![
        6 => (0..24u8, 1..40_000usize).prop_map(|(n, len)| Act::Store(n, len)),
        4 => (0..24u8).prop_map(Act::Remove),
        1 => Just(Act::Reclaim),
        1 => Just(Act::Reopen),
        2 => Just(Act::Copy),
    ];
    prop::collection::vec(act, 1..50)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(6))]

    #[test]
    fn every_copy_is_the_shard_of_its_moment(acts in acts()) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let (dir, mut copies) = (tempfile::tempdir().unwrap(), Copies::new());
            let (mut shard, mut model, mut taken) = (open(dir.path()), Content::new(), Vec::new());
            for act in acts.into_iter().chain([Act::Copy]) {
                match act {
                    Act::Store(n, len) => {
                        store(&shard, n, vec![n + 1; len]).await;
                        model.insert(n, vec![n + 1; len]);
                    }
                    Act::Remove(n) => {
                        remove(&shard, n).await;
                        model.remove(&n);
                    }
                    Act::Reclaim => reclaim(&shard).await,
                    Act::Reopen => {
                        shard.close().await;
                        shard = open(dir.path());
                    }
                    Act::Copy => taken.push((copies.take(&shard).await.unwrap().0, model.clone())),
                }
            }
            for (number, (copy, model)) in (1..).zip(taken) {
                assert_eq!(copies.findings(number, &copy).await, []);
                assert_eq!(all(&copies.restore(number, &copy, 7).await.1).await, model);
            }
        });
    }
}
