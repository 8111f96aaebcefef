//! The folder and its generations; copies of shards have their tests in `shard::tests::backup`.

use super::*;
use crate::pace::{Pace, Rate};
use crate::shard::{BlobSource, Finding, Shard, ShardOptions};
use bytes::Bytes;
use env::Env;
use env::clock::Clock;
use env::random::Random;
use mail::time::Timestamp;
use std::fs;
use std::path::{Path, PathBuf};

const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);

fn work() -> Work {
    Work::new(Pace::new(&Clock::system(), || Rate::Unlimited))
}

fn name(text: &str) -> Name {
    Name::parse(text).unwrap()
}

fn options() -> ShardOptions {
    ShardOptions { segment_bytes: 64 << 10, reserve: 0, ..ShardOptions::default() }
}

async fn store(shard: &Shard, bytes: usize) {
    let body = Bytes::from(vec![7; bytes]);
    shard.commit(move |tx| tx.store(b"meta", &body as &dyn BlobSource)).await.unwrap();
}

/// A generation of a shard and a file.
async fn generation(backups: &Backups, kind: Kind, shard: &Shard, file: &Path) -> Generation {
    let new = backups.begin(kind, "venus", NOW).unwrap();
    let work = work();
    // Rows of a queue that has lost its items: enough for bodies that nothing refers to.
    let mut joining = Joining::new(new.folder(), "imqueueserv").unwrap();
    let (to, number, earlier) = joining.shard(&name("queue")).unwrap();
    let copy = shard.back_up(to, number, earlier, &work).await.unwrap();
    joining.add_shard(name("queue"), copy);
    work.run(|_| joining.finish()).await.unwrap();
    let (mut site, file) = (Joining::new(new.folder(), "site").unwrap(), file.to_path_buf());
    let add = move |steps: &Steps| {
        site.copy_file(name("config/some file"), &file, steps)?;
        site.finish()
    };
    work.run(add).await.unwrap();
    new.finish().unwrap()
}

async fn findings(generation: &Generation) -> Vec<Finding> {
    let generation = generation.clone();
    let verify = move |steps: &Steps| {
        let mut found = Vec::new();
        generation.verify(steps, &mut |finding| found.push(finding))?;
        Ok(found)
    };
    work().run(verify).await.unwrap()
}

async fn restore(generation: &Generation, to: &Path) -> Result<(), BackupError> {
    let (generation, to) = (generation.clone(), to.to_path_buf());
    let job = move |steps: &Steps| generation.restore(&to, &options(), &Random::seeded(3), steps);
    work().run(job).await
}

/// A folder of backups, a shard without bodies, a file.
struct Scene {
    dir: tempfile::TempDir,
    shard: Shard,
}

impl Scene {
    async fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let shard = Shard::open(&dir.path().join("shard"), options(), &Env::for_test("mss")).unwrap();
        shard.commit(|tx| tx.put(b"row", b"1")).await.unwrap();
        fs::write(dir.path().join("file"), "text").unwrap();
        Self { dir, shard }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    async fn take(&self, kind: Kind) -> Generation {
        let backups = Backups::create(&self.path("backups")).unwrap();
        generation(&backups, kind, &self.shard, &self.path("file")).await
    }
}

#[tokio::test]
async fn generations_count_once_they_are_finished_and_are_restored_whole() {
    let scene = Scene::new().await;
    let first = scene.take(Kind::Site).await;
    assert_eq!((first.number, first.host.as_str(), first.taken), (1, "venus", NOW));
    {
        // One that was not finished never was, and the next one takes its number.
        let backups = Backups::create(&scene.path("backups")).unwrap();
        let new = backups.begin(Kind::Site, "venus", NOW).unwrap();
        Joining::new(new.folder(), "site").unwrap().finish().unwrap();
        assert_eq!(backups.generations().unwrap(), std::slice::from_ref(&first));
    }
    let second = scene.take(Kind::Messages).await;
    let backups = Backups::open(&scene.path("backups")).unwrap();
    assert_eq!(backups.generations().unwrap(), [first.clone(), second.clone()]);
    assert_eq!(backups.generation(None).unwrap(), second);
    assert_eq!(backups.generation(Some(1)).unwrap(), first);
    assert!(matches!(backups.generation(Some(9)), Err(BackupError::Refused(_))));
    assert_eq!(findings(&first).await, []);
    restore(&first, &scene.path("site")).await.unwrap();
    assert_eq!(fs::read_to_string(scene.path("site/config/some file")).unwrap(), "text");
    assert!(!scene.path("site").join(UNFINISHED).exists());
    let shard = Shard::open(&scene.path("site/queue"), options(), &Env::for_test("mss")).unwrap();
    shard.commit(|tx| tx.put(b"row", b"2")).await.unwrap();
    // Not over something, and mail alone is no site.
    assert!(matches!(restore(&first, &scene.path("site")).await, Err(BackupError::Refused(_))));
    assert!(matches!(restore(&second, &scene.path("other")).await, Err(BackupError::Refused(_))));
}

#[tokio::test]
async fn what_does_not_add_up_is_found() {
    let scene = Scene::new().await;
    // A body that no item refers to.
    store(&scene.shard, 5000).await;
    let generation = scene.take(Kind::Site).await;
    let found = findings(&generation).await;
    assert!(found.len() == 1 && found[0].what.contains("1 belong to nothing"), "{found:?}");
}

#[tokio::test]
async fn damage_anywhere_is_found_and_named_and_a_restore_stops_at_it() {
    let scene = Scene::new().await;
    let generation = scene.take(Kind::Site).await;
    let files = ["imqueueserv.part", "site.part", "queue.rows", "files/config/some file"];
    for (at, file) in files.map(|name| generation.folder().join(name)).iter().enumerate() {
        let good = fs::read(file).unwrap();
        let mut flipped = good.clone();
        flipped[good.len() / 2] ^= 1;
        for bad in [Some(&flipped[..]), Some(&good[..good.len() - 1]), None] {
            match bad {
                Some(bad) => fs::write(file, bad).unwrap(),
                None => fs::remove_file(file).unwrap(),
            }
            let found = findings(&generation).await;
            assert!(!found.is_empty() && found.iter().all(|f| f.path == *file), "{file:?} {found:?}");
            let site = scene.path(&format!("site-{at}-{}", bad.map_or(0, <[u8]>::len)));
            assert!(restore(&generation, &site).await.is_err());
            assert!(site.join(UNFINISHED).exists());
        }
        fs::write(file, good).unwrap();
    }
    let manifest = generation.folder().join("manifest");
    let good = fs::read(&manifest).unwrap();
    fs::write(&manifest, &good[..good.len() - 1]).unwrap();
    let read = Backups::open(&scene.path("backups")).unwrap().generation(None);
    assert!(
        matches!(read, Err(BackupError::Damaged { path, .. }) if path == manifest.canonicalize().unwrap())
    );
}

#[tokio::test]
async fn pruning_takes_what_no_generation_needs() {
    let scene = Scene::new().await;
    for _ in 0..3 {
        store(&scene.shard, 50_000).await;
        scene.take(Kind::Messages).await;
    }
    let segments = || fs::read_dir(scene.path("backups/segments/queue")).unwrap().count();
    fs::write(scene.path("backups/segments/queue/0000000009.000007.seg"), "left by one that was interrupted")
        .unwrap();
    assert!(segments() >= 3);
    let backups = Backups::create(&scene.path("backups")).unwrap();
    assert_eq!(backups.prunable(2).unwrap(), [1]);
    assert_eq!(backups.prune(2).unwrap(), [1]);
    let left = backups.generations().unwrap();
    assert_eq!(left.iter().map(|g| g.number).collect::<Vec<_>>(), [2, 3]);
    assert_eq!(segments(), left[1].part("imqueueserv").unwrap().unwrap().shards[0].1.segments.len());
    // The last one always stays, and can be read.
    assert_eq!(backups.prune(0).unwrap(), [2]);
    assert!(findings(&left[1]).await.iter().all(|f| f.what.contains("belong to nothing")));
}

#[tokio::test]
async fn its_22698_links_lead_to_the_folder_and_other_folders_are_refused() {
    let scene = Scene::new().await;
    fs::create_dir(scene.path("volume")).unwrap();
    std::os::unix::fs::symlink(scene.path("volume"), scene.path("backups")).unwrap();
    std::os::unix::fs::symlink(scene.path("file"), scene.path("link")).unwrap();
    let backups = Backups::create(&scene.path("backups")).unwrap();
    let taken = generation(&backups, Kind::Site, &scene.shard, &scene.path("link")).await;
    assert_eq!(fs::read_to_string(taken.file(&name("config/some file"))).unwrap(), "text");
    assert!(scene.path("volume/000001/manifest").exists() && findings(&taken).await.is_empty());
    // One writes at a time.
    assert!(matches!(Backups::create(&scene.path("volume")), Err(BackupError::Refused(_))));
    drop(backups);
    assert!(Backups::create(&scene.path("volume")).is_ok());
    for no in ["shard", "file", "none"] {
        assert!(Backups::open(&scene.path(no)).is_err());
    }
    assert!(matches!(Backups::create(&scene.path("shard")), Err(BackupError::Refused(_))));
}

#[test]
fn one_backup_at_a_time_is_followed() {
    let current = Current::default();
    let pace = || Pace::new(&Clock::system(), || Rate::Unlimited);
    let (work, begun) = current.begin(pace()).unwrap();
    work.expect(5);
    assert!(current.begin(pace()).is_none());
    assert_eq!(current.progress().unwrap().total, 5);
    drop(begun);
    assert!(current.progress().is_none() && current.begin(pace()).is_some());
}
