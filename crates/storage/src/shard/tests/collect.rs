//! The policy: what a collection gives back, with random deletions and mail coming in between.

use super::*;
use crate::pace::{Pace, Rate};
use env::random::Random;
use std::time::Duration;

/// What is left of a random history: names and lengths of what is referred to.
struct Mail {
    shard: Shard,
    random: Random,
    kept: Vec<BlobRef>,
    seed: u8,
}

impl Mail {
    fn new(path: &Path) -> Self {
        let options = ShardOptions { segment_bytes: 1 << 20, reserve: 0, ..Default::default() };
        let shard = Shard::open(path, options, &Env::for_test("mss")).unwrap();
        Self { shard, random: Random::seeded(7), kept: Vec::new(), seed: 0 }
    }

    /// Stores this many bodies of about this length.
    async fn store(&mut self, count: usize, len: u64) {
        for _ in 0..count.div_ceil(20) {
            let mut bodies = Vec::new();
            for _ in 0..20 {
                self.seed = self.seed.wrapping_add(1);
                let len = len / 2 + self.random.number() % len;
                bodies.push(Bytes::from(vec![self.seed; usize::try_from(len).unwrap()]));
            }
            let store = move |tx: &mut Transaction<'_>| {
                bodies.iter().map(|body| tx.store(b"meta", body)).collect::<Result<Vec<_>, ShardError>>()
            };
            self.kept.extend(self.shard.commit(store).await.unwrap());
        }
    }

    /// Releases this percentage of what there is, at random.
    async fn release(&mut self, percent: u64) {
        let random = &self.random;
        let (gone, kept) = self.kept.iter().partition::<Vec<_>, _>(|_| random.number() % 100 < percent);
        self.kept = kept;
        self.shard.commit(move |tx| gone.iter().try_for_each(|blob| tx.release(blob))).await.unwrap();
    }

    /// Waits until everything but the last segments can be reclaimed.
    async fn settle(&self) {
        let last = self.shard.status().segment;
        for _ in 0..2000 {
            put(&self.shard, "tick", "").await.unwrap();
            if self.shard.shared.keeping().persisted.segment >= last {
                return;
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        panic!("the index was not persisted");
    }

    async fn allocated(&self) -> u64 {
        self.shard.all_segments().await.unwrap().iter().map(|one| one.allocated).sum()
    }

    /// Everything adds up, and what was kept is read as it was written.
    async fn check(&self) {
        let kept = self.kept.clone();
        let audit = self.shard.read(move |view| {
            let mut references = References::default();
            kept.iter().for_each(|blob| references.add(blob));
            view.audit(&references)
        });
        let audit = audit.await.unwrap();
        assert!(audit.is_clean(), "{audit:?}");
        for blob in &self.kept {
            let opened = self.shard.blob(blob).await.unwrap();
            let body = self.shard.blob_body(&opened, 0..u64::MAX).await.unwrap();
            assert!(body.len() as u64 == blob.body_len() && body.iter().all(|b| *b == body[0]));
        }
    }
}

fn unlimited() -> Pace {
    Pace::new(&env::clock::Clock::system(), || Rate::Unlimited)
}

/// Deletes 30 % in three rounds, with new mail and collections between them; returns bytes on disk and living.
async fn reclaimed(len: u64, count: usize) -> (Mail, tempfile::TempDir, Collected) {
    let dir = tempfile::tempdir().unwrap();
    let mut mail = Mail::new(dir.path());
    mail.store(count, len).await;
    let mut done = Collected::default();
    for _ in 0..3 {
        mail.release(11).await;
        mail.store(count / 50, len).await;
        mail.settle().await;
        done.add(&mail.shard.collect(&unlimited(), &|_, _| {}).await.unwrap());
    }
    mail.settle().await;
    done.add(&mail.shard.collect(&unlimited(), &|_, _| {}).await.unwrap());
    (mail, dir, done)
}

#[tokio::test]
async fn its_14132_space_of_large_mail_comes_back_by_holes_and_nothing_leaks() {
    let (mail, _dir, done) = reclaimed(16_000, 800).await;
    let (allocated, live) = (mail.allocated().await, mail.shard.status().live_bytes);
    assert!(done.hole_bytes > live / 5 && done.freed >= done.hole_bytes, "{done:?}");
    assert!(allocated * 100 < live * 125, "{allocated} bytes for {live}: {done:?}");
    mail.check().await;
}

#[tokio::test]
async fn its_14132_space_of_small_mail_comes_back_by_copying_and_nothing_leaks() {
    let (mail, _dir, done) = reclaimed(1500, 8000).await;
    let (allocated, live) = (mail.allocated().await, mail.shard.status().live_bytes);
    assert!(done.emptied > 3 && done.copied_bytes > 0, "{done:?}");
    assert!(allocated * 100 < live * 135, "{allocated} bytes for {live}: {done:?}");
    mail.check().await;
}

#[tokio::test]
async fn its_13307_a_collection_that_is_ended_leaves_nothing_and_the_next_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let mut mail = Mail::new(dir.path());
    mail.store(4000, 1500).await;
    mail.release(60).await;
    mail.settle().await;
    let expected = mail.shard.collectable().await.unwrap();
    assert!(expected.due > 3 && expected.bytes * 2 > expected.allocated, "{expected:?}");
    for _ in 0..40 {
        // Ends at the second step: between holes and copies, or between two copies.
        let (pace, steps) = (unlimited(), AtomicU64::new(0));
        let ending = pace.clone();
        let progress = move |_, _| {
            if steps.fetch_add(1, Ordering::Relaxed) == 1 {
                ending.end();
            }
        };
        let done = mail.shard.collect(&pace, &progress).await.unwrap();
        mail.check().await;
        if done.punched + done.copied == 0 {
            break;
        }
        mail.settle().await;
    }
    let left = mail.shard.collectable().await.unwrap();
    assert_eq!((left.due, left.bytes), (0, 0), "{left:?}");
}

#[tokio::test]
async fn while_it_is_held_nothing_is_collected() {
    let dir = tempfile::tempdir().unwrap();
    let mut mail = Mail::new(dir.path());
    mail.store(400, 16_000).await;
    mail.release(50).await;
    mail.settle().await;
    let hold = mail.shard.hold();
    let before = mail.allocated().await;
    let done = mail.shard.collect(&unlimited(), &|_, _| {}).await.unwrap();
    assert_eq!((done.punched, mail.allocated().await), (0, before));
    drop(hold);
    assert!(mail.shard.collect(&unlimited(), &|_, _| {}).await.unwrap().punched > 0);
    mail.check().await;
}

#[tokio::test]
async fn the_bell_rings_when_enough_has_died() {
    let dir = tempfile::tempdir().unwrap();
    let mut mail = Mail::new(dir.path());
    mail.store(400, 1000).await;
    let rung = async |mail: &Mail| {
        tokio::time::timeout(Duration::from_millis(20), mail.shard.enough_died()).await.is_ok()
    };
    mail.release(2).await;
    assert!(!rung(&mail).await);
    mail.release(30).await;
    assert!(rung(&mail).await && !rung(&mail).await);
}
