//! A full disk, a disk that fails, damaged bytes.

use super::super::record::SegmentHeader;
use super::super::recover;
use super::*;
use crate::sim::SimDisk;
use env::random::Random;

const SEGMENT: &str = "0000000001.seg";

fn open_on(disk: &SimDisk, path: &Path) -> Result<Shard, ShardError> {
    Shard::open_on(Arc::new(disk.clone()), path, small(), &Env::for_test("mss"))
}

async fn store(shard: &Shard, len: usize) -> Result<BlobRef, ShardError> {
    let body = Bytes::from(vec![3; len]);
    shard.commit(move |tx| tx.store(b"meta", &body)).await
}

#[tokio::test]
async fn a_full_disk_refuses_and_recovers_by_itself() {
    let (disk, dir) = (SimDisk::new(), tempfile::tempdir().unwrap());
    let shard = open_on(&disk, dir.path()).unwrap();
    put(&shard, "a", "1").await.unwrap();
    for room in [0, 1, 40, 1000, 70_000] {
        disk.set_capacity(Some(disk.used() + room));
        // The whole group falls, also its small tasks; nothing of it can be seen.
        let (big, small) = tokio::join!(store(&shard, 600_000), put(&shard, "b", "2"));
        assert!(matches!(big, Err(ShardError::Full)), "room {room}: {big:?}");
        let _ = small;
        assert_eq!(get(&shard, "a").await.unwrap(), b"1");
    }
    disk.set_capacity(None);
    let blob = store(&shard, 600_000).await.unwrap();
    put(&shard, "c", "3").await.unwrap();
    shard.close().await;
    let shard = open_on(&disk, dir.path()).unwrap();
    assert_eq!(get(&shard, "c").await.unwrap(), b"3");
    let blob = shard.blob(&blob).await.unwrap();
    assert_eq!(shard.blob_body(&blob, 0..u64::MAX).await.unwrap().len(), 600_000);
}

#[tokio::test]
async fn its_16213_its_22353_a_full_disk_is_said_once_and_rows_still_go_in() {
    let (disk, dir) = (SimDisk::new(), tempfile::tempdir().unwrap());
    let options = ShardOptions { reserve: 100_000, ..small() };
    let env = Env::for_test("mss");
    let shard = Shard::open_on(Arc::new(disk.clone()), dir.path(), options, &env).unwrap();
    let said = |event: &str| env.log.lines().iter().filter(|l| l.contains(event)).count();
    disk.set_capacity(Some(2_000_000));
    while store(&shard, 100_000).await.is_ok() {}
    for _ in 0..5 {
        assert!(matches!(store(&shard, 100_000).await, Err(ShardError::Full)));
        put(&shard, "a", "1").await.unwrap();
    }
    assert_eq!((said("DbWritesBlocked"), said("DbWritesUnblocked")), (1, 0));
    disk.set_capacity(None);
    store(&shard, 100_000).await.unwrap();
    assert_eq!((said("DbWritesBlocked"), said("DbWritesUnblocked")), (1, 1));
}

#[tokio::test]
async fn a_write_that_does_not_fit_leaves_the_log_as_it_was() {
    let (disk, dir) = (SimDisk::new(), tempfile::tempdir().unwrap());
    let shard = open_on(&disk, dir.path()).unwrap();
    put(&shard, "a", "1").await.unwrap();
    let before = disk.content(SEGMENT).unwrap();
    // The disk says that it has room, and then has not.
    let body = Bytes::from(vec![3; 3000]);
    let lied = disk.clone();
    let outcome = shard
        .commit(move |tx| {
            let blob = tx.store(b"meta", &body)?;
            lied.set_capacity(Some(lied.used() + 1000));
            Ok::<_, ShardError>(blob)
        })
        .await;
    assert!(matches!(outcome, Err(ShardError::Full)));
    assert_eq!(disk.content(SEGMENT).unwrap(), before);
    disk.set_capacity(None);
    put(&shard, "b", "2").await.unwrap();
    assert_eq!(get(&shard, "b").await.unwrap(), b"2");
}

#[tokio::test]
async fn a_failed_sync_ends_commits_but_not_reads_and_the_next_process_goes_on() {
    let (disk, dir) = (SimDisk::new(), tempfile::tempdir().unwrap());
    let shard = open_on(&disk, dir.path()).unwrap();
    put(&shard, "a", "1").await.unwrap();
    disk.fail_sync_after(0);
    assert!(matches!(put(&shard, "b", "2").await, Err(ShardError::Broken(_))));
    assert!(matches!(put(&shard, "c", "3").await, Err(ShardError::Broken(_))));
    assert_eq!(get(&shard, "a").await.unwrap(), b"1");
    assert_eq!(get(&shard, "b").await, None);
    shard.close().await;
    // The bytes of the failed group are in memory, and the system believes that they are on the disk. The next
    // process must not believe that: what it shows has to survive a loss of power.
    let disk = disk.after_kill();
    let shard = open_on(&disk, dir.path()).unwrap();
    assert_eq!(get(&shard, "b").await.unwrap(), b"2");
    put(&shard, "d", "4").await.unwrap();
    shard.close().await;
    let disk = disk.after_power_loss(&env::random::Random::seeded(5));
    let shard = open_on(&disk, dir.path()).unwrap();
    assert_eq!(get(&shard, "b").await.unwrap(), b"2");
    assert_eq!(get(&shard, "d").await.unwrap(), b"4");
}

#[tokio::test]
async fn a_dead_segment_stays_while_the_index_points_into_it() {
    let (disk, dir) = (SimDisk::new(), tempfile::tempdir().unwrap());
    let shard = open_on(&disk, dir.path()).unwrap();
    let dead = |tx: &mut Transaction<'_>| {
        let blob = tx.store(b"", &Bytes::from(vec![1; 70_000]))?;
        tx.release(&blob)
    };
    shard.commit(dead).await.unwrap();
    // The next segment is made, and then the process ends before a group is in it.
    disk.fail_write_after(1);
    assert!(matches!(put(&shard, "a", "1").await, Err(ShardError::Broken(_))));
    shard.close().await;
    for _ in 0..3 {
        let shard = open_on(&disk, dir.path()).unwrap();
        // Time for the keeper, which is woken by opening.
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        shard.close().await;
    }
    let shard = open_on(&disk, dir.path()).unwrap();
    put(&shard, "b", "2").await.unwrap();
    assert_eq!(get(&shard, "b").await.unwrap(), b"2");
}

#[tokio::test]
async fn a_failed_write_ends_commits() {
    let (disk, dir) = (SimDisk::new(), tempfile::tempdir().unwrap());
    let shard = open_on(&disk, dir.path()).unwrap();
    put(&shard, "a", "1").await.unwrap();
    disk.fail_write_after(0);
    assert!(matches!(put(&shard, "b", "2").await, Err(ShardError::Broken(_))));
    assert!(matches!(put(&shard, "b", "2").await, Err(ShardError::Broken(_))));
    assert_eq!(get(&shard, "a").await.unwrap(), b"1");
}

#[tokio::test]
async fn a_source_that_fails_costs_only_its_task() {
    struct Bad;
    impl BlobSource for Bad {
        fn len(&self) -> u64 {
            900_000
        }
        fn read_at(&self, offset: u64, buffer: &mut [u8]) -> std::io::Result<()> {
            buffer.fill(9);
            if offset < 700_000 { Ok(()) } else { Err(std::io::Error::other("gone")) }
        }
    }
    let (disk, dir) = (SimDisk::new(), tempfile::tempdir().unwrap());
    let shard = open_on(&disk, dir.path()).unwrap();
    let (bad, good) = tokio::join!(shard.commit(|tx| tx.store(b"", &Bad)), store(&shard, 100));
    assert!(matches!(bad, Err(ShardError::Source(_))));
    let good = good.unwrap();
    assert_eq!(shard.blob_meta(&good).await.unwrap(), "meta");
    put(&shard, "a", "1").await.unwrap();
    // All of the log is whole: an index that knows nothing finds all of it.
    shard.close().await;
    let empty = tempfile::tempdir().unwrap();
    let shard = open_on(&disk, empty.path()).unwrap();
    assert_eq!(get(&shard, "a").await.unwrap(), b"1");
}

/// A log with some groups, and an index that knows none of them.
async fn fixture() -> (SimDisk, Index, tempfile::TempDir, Vec<u64>) {
    let (disk, dir) = (SimDisk::new(), tempfile::tempdir().unwrap());
    let shard = open_on(&disk, dir.path()).unwrap();
    let mut ends = vec![disk.used()];
    for n in 0..3u8 {
        shard
            .commit(move |tx| {
                tx.store(b"meta", &Bytes::from(vec![n; 100 + usize::from(n)]))?;
                tx.put(&[b'k', n], b"value")
            })
            .await
            .unwrap();
        ends.push(disk.used());
    }
    shard.close().await;
    let empty = tempfile::tempdir().unwrap();
    let index = Index::open(empty.path(), &small()).unwrap();
    (disk, index, empty, ends)
}

#[tokio::test]
async fn a_log_cut_anywhere_ends_with_its_last_whole_group() {
    let (disk, index, _dir, ends) = fixture().await;
    let whole = disk.content(SEGMENT).unwrap();
    for len in ends[0] as usize..=whole.len() {
        disk.set_content(SEGMENT, whole[..len].to_vec());
        let tail = recover::tail(&disk, &index, None).unwrap();
        let groups = ends.iter().filter(|&&end| end <= len as u64).count() - 1;
        assert_eq!((tail.len(), tail.end.offset), (groups, ends[groups]), "cut at {len}");
        tail.secure(&disk).unwrap();
        assert_eq!(disk.content(SEGMENT).unwrap().len() as u64, ends[groups]);
    }
}

#[tokio::test]
async fn a_flipped_bit_is_corruption_or_in_the_last_group_a_torn_tail() {
    let (disk, index, _dir, ends) = fixture().await;
    let whole = disk.content(SEGMENT).unwrap();
    for place in ends[0] as usize..whole.len() {
        let mut bad = whole.clone();
        bad[place] ^= 1 << (place % 8);
        disk.set_content(SEGMENT, bad);
        let outcome = recover::tail(&disk, &index, None).map(|t| t.len());
        match outcome {
            Err(ShardError::Corrupt(_)) => assert!((place as u64) < ends[2], "at {place}"),
            Ok(2) => assert!(place as u64 >= ends[2], "at {place}"),
            // Padding is under no sum and means nothing.
            Ok(3) => assert_eq!(whole[place], 0, "at {place}"),
            other => panic!("{other:?} at {place}"),
        }
    }
}

#[tokio::test]
async fn a_flipped_bit_in_a_body_is_found_by_reading() {
    let (disk, dir) = (SimDisk::new(), tempfile::tempdir().unwrap());
    let shard = open_on(&disk, dir.path()).unwrap();
    let blob = store(&shard, 150_000).await.unwrap();
    shard.close().await;
    let mut bad = disk.content(SEGMENT).unwrap();
    let place = bad.len() - 60_000;
    bad[place] ^= 4;
    disk.set_content(SEGMENT, bad);
    let shard = open_on(&disk, dir.path()).unwrap();
    let blob = shard.blob(&blob).await.unwrap();
    assert_eq!(shard.blob_body(&blob, 0..65_536).await.unwrap().len(), 65_536);
    let damaged = shard.blob_body(&blob, 65_536..150_000).await;
    assert!(matches!(damaged, Err(ShardError::Corrupt(_))));
}

#[tokio::test]
async fn pieces_that_recovery_needs_are_missed_at_the_start_and_others_when_they_are_read() {
    let (disk, dir) = (SimDisk::new(), tempfile::tempdir().unwrap());
    let shard = open_on(&disk, dir.path()).unwrap();
    let mut blobs = Vec::new();
    for _ in 0..4 {
        blobs.push(store(&shard, 70_000).await.unwrap());
    }
    shard.close().await;
    let names = disk.names().unwrap();
    assert_eq!(names.len(), 4);
    for (number, gone) in names.iter().enumerate().take(3) {
        let damaged = disk.after_kill();
        damaged.remove(gone).unwrap();
        let shard = open_on(&damaged, dir.path()).unwrap();
        for (other, blob) in blobs.iter().enumerate() {
            let blob = *blob;
            let found = shard.read(move |view| view.examine(&blob)).await.unwrap();
            assert_eq!(found.err(), (other == number).then_some(Damage::Missing), "{gone}");
        }
        shard.close().await;
    }
    let damaged = disk.after_kill();
    damaged.remove(&names[3]).unwrap();
    assert!(matches!(open_on(&damaged, dir.path()), Err(ShardError::Corrupt(_))));
    let shorter = disk.after_kill();
    let last = shorter.content(&names[3]).unwrap();
    shorter.set_content(&names[3], last[..last.len() - 8].to_vec());
    assert!(matches!(open_on(&shorter, dir.path()), Err(ShardError::Corrupt(_))));
    // Without the index everything is in the log.
    let empty = tempfile::tempdir().unwrap();
    open_on(&disk, empty.path()).unwrap().close().await;
    // But not where its beginning is gone.
    disk.remove(&names[0]).unwrap();
    let empty = tempfile::tempdir().unwrap();
    assert!(matches!(open_on(&disk, empty.path()), Err(ShardError::Corrupt(_))));
}

#[tokio::test]
async fn a_segment_made_just_before_a_kill_outlives_a_later_loss_of_power() {
    let (disk, index, _dir, _) = fixture().await;
    let first = recover::tail(&disk, &index, None).unwrap();
    // Killed between making the second segment and making its header and its name durable.
    let header = SegmentHeader { segment: 2, first_group: first.end.group + 1, ..first.current.header };
    let second = segments::file_name(2);
    disk.create(&second).unwrap().write_at(&header.encode(), 0).unwrap();
    recover::tail(&disk, &index, None).unwrap().secure(&disk).unwrap();
    for seed in 0..20 {
        let after = disk.after_power_loss(&Random::seeded(seed));
        assert_eq!(after.content(&second).as_deref(), Some(&header.encode()[..]), "seed {seed}");
    }
}
