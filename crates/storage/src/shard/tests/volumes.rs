//! Segments on several volumes, and on their way from one to another.

use super::*;
use crate::pace::{Pace, Rate};
use crate::sim::{Fuse, SimDisk};
use env::clock::Clock;
use env::random::Random;
use std::fs;

const BODIES: u8 = 40;
/// The volumes of a shard here: names of folders, or of disks.
const NAMES: [&str; 3] = ["a", "b", "c"];

/// A shard over its own folder and two others.
struct Scene {
    dir: tempfile::TempDir,
}

impl Scene {
    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn open(&self) -> Shard {
        let disk = Volumes::new(&self.path("a"), &[self.path("b"), self.path("c")]).unwrap();
        open_on(disk, &self.path("shard"))
    }

    /// With bodies in several segments.
    async fn filled() -> (Self, Shard) {
        let scene = Self { dir: tempfile::tempdir().unwrap() };
        let shard = scene.open();
        for n in 0..BODIES {
            store(&shard, n).await;
        }
        (scene, shard)
    }

    /// The volume of each segment; each is on one only, and nothing else is there.
    fn places(&self) -> BTreeMap<u32, &'static str> {
        let names = |name: &str| {
            let names = fs::read_dir(self.path(name)).unwrap();
            names.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
        };
        places(names)
    }

    fn segments_of(&self, from: &str, to: &str) -> MoveSegments {
        MoveSegments { from: self.path(from), to: self.path(to), amount: Amount::Bytes(u64::MAX) }
    }
}

fn places(names: impl Fn(&str) -> Vec<String>) -> BTreeMap<u32, &'static str> {
    let mut places = BTreeMap::new();
    for volume in NAMES {
        for file in names(volume) {
            let number = segments::number_of(&file).unwrap_or_else(|| panic!("{file} is left over"));
            assert_eq!(places.insert(number, volume), None, "{file} is twice");
        }
    }
    places
}

fn open_on(disk: Volumes, path: &Path) -> Shard {
    Shard::open_on(Arc::new(disk), path, small(), &Env::for_test("mss")).unwrap()
}

fn pace() -> Pace {
    Pace::new(&Clock::system(), || Rate::Unlimited)
}

async fn store(shard: &Shard, n: u8) {
    let body = Bytes::from(vec![n + 1; 9000]);
    let task = move |tx: &mut Transaction<'_>| {
        let blob = tx.store(b"meta", &body)?;
        let mut row = Vec::new();
        blob.encode(&mut row);
        tx.put(&[b'k', n], &row)
    };
    shard.commit(task).await.unwrap();
}

async fn blob(shard: &Shard, n: u8) -> BlobRef {
    let row = shard.read(move |v| Ok::<_, ShardError>(v.get(&[b'k', n])?.unwrap().to_vec())).await.unwrap();
    BlobRef::decode(&row).unwrap().0
}

/// Everything is there, once, and adds up.
async fn check(shard: &Shard, count: u8) {
    let look = move |view: &View<'_>| {
        let mut references = References::default();
        for n in 0..count {
            let blob = BlobRef::decode(&view.get(&[b'k', n])?.unwrap()).unwrap().0;
            references.add(&blob);
            assert_eq!(view.blob(&blob)?.body(0..u64::MAX)?, vec![n + 1; 9000]);
        }
        view.audit(&references)
    };
    let audit: Audit = shard.read(look).await.unwrap();
    assert!(audit.is_clean(), "{audit:?}");
}

#[tokio::test]
async fn its_24422_segments_move_while_the_shard_works_and_none_is_left_behind() {
    let (scene, shard) = Scene::filled().await;
    let from = scene.places();
    let volume = *from.values().next().unwrap();
    let to = if volume == "c" { "b" } else { "c" };
    let which = scene.segments_of(volume, to);
    let wanted = shard.movable(&which).await.unwrap();
    assert!(!wanted.is_empty() && wanted.len() < from.len(), "not the one that is written");
    // What is being read is read to its end.
    let reading = shard.blob(&blob(&shard, 0).await).await.unwrap();
    let moved = shard.move_segments(&which, &pace(), &|_| {}).await.unwrap();
    assert_eq!((moved.segments, moved.end), (wanted.len() as u64, MoveEnd::Done));
    assert_eq!(moved.bytes, wanted.iter().map(|(_, bytes)| bytes).sum::<u64>());
    assert_eq!(shard.blob_body(&reading, 0..u64::MAX).await.unwrap(), vec![1; 9000]);
    let places = scene.places();
    assert!(wanted.iter().all(|(number, _)| places[number] == to));
    assert_eq!(places.keys().collect::<Vec<_>>(), from.keys().collect::<Vec<_>>());
    let uses = shard.volume_uses().await.unwrap();
    assert_eq!(uses.iter().map(|u| u.segments).sum::<u64>(), places.len() as u64);
    // It goes on: commits, holes in what was moved, another start.
    store(&shard, BODIES).await;
    check(&shard, BODIES + 1).await;
    drop(reading);
    shard.close().await;
    let shard = scene.open();
    check(&shard, BODIES + 1).await;
    let first = blob(&shard, 0).await;
    let task = move |tx: &mut Transaction<'_>| {
        tx.release(&first)?;
        tx.delete(b"k\0")
    };
    shard.commit(task).await.unwrap();
    keeper::tend(&shard.shared);
    let path = scene.path(to).join(segments::file_name(wanted[0].0));
    let before = Disk::open(&Folder::new(&scene.path(to)).unwrap(), &segments::file_name(wanted[0].0));
    let before = before.unwrap().allocated().unwrap();
    let punched = shard.punch(wanted[0].0).await.unwrap();
    assert!(punched.allocated < before && path.exists(), "{punched:?}");
}

#[tokio::test]
async fn a_volume_that_is_to_be_taken_away_is_emptied_with_the_segment_that_is_written() {
    let (scene, shard) = Scene::filled().await;
    let (&newest, &volume) = scene.places().last_key_value().unwrap();
    for from in NAMES.into_iter().filter(|name| *name != volume).chain([volume]) {
        let to = NAMES[usize::from(from == NAMES[0])];
        let all = MoveSegments { amount: Amount::All, ..scene.segments_of(from, to) };
        let wanted = shard.movable(&all).await.unwrap();
        let moved = shard.move_segments(&all, &pace(), &|_| {}).await.unwrap();
        assert_eq!((moved.segments, moved.end), (wanted.len() as u64, MoveEnd::Done));
        assert!(scene.places().values().all(|at| *at != from), "{:?}", scene.places());
    }
    // The log has gone elsewhere, and stays away.
    store(&shard, BODIES).await;
    let places = scene.places();
    assert!(*places.last_key_value().unwrap().0 > newest && places.values().all(|at| *at != volume));
    shard.close().await;
    check(&scene.open(), BODIES + 1).await;
}

#[tokio::test]
async fn a_move_that_is_ended_or_cannot_be_made_leaves_all_as_it_is() {
    let (scene, shard) = Scene::filled().await;
    let volume = *scene.places().values().next().unwrap();
    let to = if volume == "b" { "c" } else { "b" };
    let ended = pace();
    ended.end();
    let before = scene.places();
    let which = scene.segments_of(volume, to);
    let moved = shard.move_segments(&which, &ended, &|_| {}).await.unwrap();
    assert_eq!((moved.segments, moved.end, scene.places()), (0, MoveEnd::Stopped, before));
    for (from, to) in [(volume, "nowhere"), ("nowhere", to), (volume, volume)] {
        assert!(matches!(shard.movable(&scene.segments_of(from, to)).await, Err(ShardError::Gone)));
    }
    let none = MoveSegments { amount: Amount::Bytes(0), ..which.clone() };
    assert_eq!(shard.move_segments(&none, &pace(), &|_| {}).await.unwrap(), MovedSegments::default());
    let some = MoveSegments { amount: Amount::Bytes(1), ..which };
    assert_eq!(shard.move_segments(&some, &pace(), &|_| {}).await.unwrap().segments, 1);
    check(&shard, BODIES).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_reads_and_writes_meanwhile_notices_nothing() {
    let (scene, shard) = Scene::filled().await;
    let moves = async {
        for round in 0..6 {
            for (from, to) in [("a", "b"), ("b", "c"), ("c", "a")] {
                shard.move_segments(&scene.segments_of(from, to), &pace(), &|_| {}).await.unwrap();
            }
            store(&shard, BODIES + round).await;
        }
    };
    let reads = async {
        for n in (0..BODIES).cycle().take(2000) {
            let blob = shard.blob(&blob(&shard, n).await).await.unwrap();
            assert_eq!(shard.blob_body(&blob, 0..u64::MAX).await.unwrap(), vec![n + 1; 9000]);
        }
    };
    tokio::join!(moves, reads);
    check(&shard, BODIES + 6).await;
    scene.places();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_who_move_the_same_files_lose_none() {
    let (scene, shard) = Scene::filled().await;
    let (there, back) = (scene.segments_of("a", "b"), scene.segments_of("b", "a"));
    let mover = |which: &MoveSegments| {
        let (shard, which) = (shard.clone(), which.clone());
        async move {
            for _ in 0..10 {
                shard.move_segments(&which, &pace(), &|_| {}).await.unwrap();
            }
        }
    };
    tokio::join!(mover(&there), mover(&back), mover(&there));
    scene.places();
    check(&shard, BODIES).await;
}

/// A shard over three simulated disks, as it was when it was closed.
struct Simulated {
    disks: Vec<SimDisk>,
    index: tempfile::TempDir,
}

impl Simulated {
    async fn filled() -> Self {
        let disks = NAMES.map(|_| SimDisk::new()).to_vec();
        let made = Self { disks, index: tempfile::tempdir().unwrap() };
        let shard = made.open();
        for n in 0..BODIES {
            store(&shard, n).await;
        }
        shard.close().await;
        made
    }

    /// The same disks once more, without the shard.
    fn again(&self) -> Self {
        let index = tempfile::tempdir().unwrap();
        crash::copy(&self.index.path().join("index"), &index.path().join("index"));
        Self { disks: self.disks.iter().map(SimDisk::after_kill).collect(), index }
    }

    fn open(&self) -> Shard {
        let disks = NAMES.iter().zip(&self.disks);
        let disks = disks.map(|(name, disk)| (PathBuf::from(name), Arc::new(disk.clone()) as Arc<dyn Disk>));
        open_on(Volumes::on(disks.collect()).unwrap(), self.index.path())
    }

    fn places(&self) -> BTreeMap<u32, &'static str> {
        let at = |name: &str| NAMES.iter().position(|n| *n == name).unwrap();
        places(|name| self.disks[at(name)].names().unwrap())
    }
}

/// Empties a volume until the fuse blows; says whether it did, and what an end of all at this moment leaves.
async fn cut_short(scene: &Simulated, which: &MoveSegments, changes: u64) -> (bool, Simulated) {
    let running = scene.again();
    let shard = running.open();
    let fuse = Fuse::default();
    fuse.set(changes);
    running.disks.iter().for_each(|disk| disk.set_fuse(&fuse));
    let moved = shard.move_segments(which, &pace(), &|_| {}).await;
    assert!(moved.is_ok() || fuse.has_blown(), "{moved:?}");
    let disks = running.disks.iter().map(SimDisk::after_kill).collect();
    let left = Simulated { disks, index: scene.again().index };
    shard.close().await;
    (fuse.has_blown(), left)
}

#[tokio::test]
async fn its_24422_a_move_may_be_cut_short_at_any_change_of_any_disk() {
    let scene = Simulated::filled().await;
    let volume = *scene.places().values().next().unwrap();
    let to = if volume == "b" { "c" } else { "b" };
    let which = MoveSegments { from: volume.into(), to: to.into(), amount: Amount::All };
    for changes in 0.. {
        let (cut, left) = cut_short(&scene, &which, changes).await;
        // The process has ended; then, or while the next one puts things right, the power goes.
        let killed = left.again();
        check(&killed.open(), BODIES).await;
        killed.places();
        for seed in 0..3 {
            let chance = Random::seeded(changes * 3 + seed);
            let before = if seed == 2 { &killed } else { &left };
            let disks = before.disks.iter().map(|disk| disk.after_power_loss(&chance)).collect();
            let lost = Simulated { disks, index: left.again().index };
            check(&lost.open(), BODIES).await;
            lost.places();
        }
        if !cut {
            assert!(changes > 15, "only {changes} changes");
            assert!(left.places().values().all(|at| *at != volume));
            return;
        }
    }
}

#[tokio::test]
async fn a_volume_is_not_filled_to_the_brim() {
    let scene = Simulated::filled().await;
    let volume = *scene.places().values().next().unwrap();
    let to = if volume == "b" { "c" } else { "b" };
    let disk = &scene.disks[NAMES.iter().position(|name| *name == to).unwrap()];
    let which = MoveSegments { from: volume.into(), to: to.into(), amount: Amount::All };
    let shard = scene.open();
    disk.set_capacity(Some(disk.used() + 120_000));
    let moved = shard.move_segments(&which, &pace(), &|_| {}).await.unwrap();
    assert_eq!((moved.segments, moved.end), (1, MoveEnd::NoRoom));
    scene.places();
    check(&shard, BODIES).await;
}

#[tokio::test]
async fn a_segment_that_cannot_be_read_does_not_keep_the_others() {
    let (scene, shard) = Scene::filled().await;
    let places = scene.places();
    let (&number, &volume) = places.first_key_value().unwrap();
    let to = if volume == "b" { "c" } else { "b" };
    let which = scene.segments_of(volume, to);
    let wanted = shard.movable(&which).await.unwrap();
    assert!(wanted.len() > 1);
    let path = scene.path(volume).join(segments::file_name(number));
    fs::remove_file(&path).unwrap();
    fs::create_dir(&path).unwrap();
    let moved = shard.move_segments(&which, &pace(), &|_| {}).await.unwrap();
    assert_eq!((moved.segments, moved.unreadable), (wanted.len() as u64 - 1, 1));
}
