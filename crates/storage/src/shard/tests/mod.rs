//! Tests of the whole shard: what it promises, without faults.

mod backup;
mod collect;
mod crash;
mod faults;
mod reclaim;
mod volumes;

use super::*;
use std::ops::ControlFlow;

pub(super) fn small() -> ShardOptions {
    ShardOptions {
        segment_bytes: 64 << 10,
        group_bytes: 256 << 10,
        readers: 1,
        reserve: 0,
        ..Default::default()
    }
}

pub(super) fn open(path: &Path) -> Shard {
    Shard::open(path, small(), &Env::for_test("mss")).unwrap()
}

pub(super) async fn put(shard: &Shard, key: &'static str, value: &'static str) -> Result<(), ShardError> {
    shard.commit(move |tx| tx.put(key.as_bytes(), value.as_bytes())).await
}

pub(super) async fn get(shard: &Shard, key: &'static str) -> Option<Vec<u8>> {
    shard.read(move |v| Ok::<_, ShardError>(v.get(key.as_bytes())?.map(|v| v.to_vec()))).await.unwrap()
}

async fn keys(shard: &Shard) -> Vec<Vec<u8>> {
    shard
        .read(|v| {
            let mut all = Vec::new();
            v.scan(KeyRange::prefix([]), &mut |k, _| {
                all.push(k.to_vec());
                ControlFlow::Continue(())
            })?;
            Ok::<_, ShardError>(all)
        })
        .await
        .unwrap()
}

#[tokio::test]
async fn what_is_committed_is_read_and_survives_closing() {
    let dir = tempfile::tempdir().unwrap();
    let shard = open(dir.path());
    put(&shard, "a", "1").await.unwrap();
    let body = Bytes::from(vec![7; 200_000]);
    let stored = body.clone();
    let blob = shard
        .commit(move |tx| {
            let blob = tx.store(b"meta", &stored)?;
            let mut row = Vec::new();
            blob.encode(&mut row);
            tx.put(b"blob", &row)?;
            Ok::<_, ShardError>(blob)
        })
        .await
        .unwrap();
    assert_eq!(get(&shard, "a").await.unwrap(), b"1");
    shard.close().await;
    assert!(matches!(put(&shard, "b", "2").await, Err(ShardError::Closed)));

    let shard = open(dir.path());
    let row = get(&shard, "blob").await.unwrap();
    assert_eq!(BlobRef::decode(&row), Some((blob, &[][..])));
    assert_eq!(&shard.blob_meta(&blob).await.unwrap()[..], b"meta");
    let open = shard.blob(&blob).await.unwrap();
    assert_eq!(shard.blob_body(&open, 0..u64::MAX).await.unwrap(), body);
    assert_eq!(shard.blob_body(&open, 65_530..131_080).await.unwrap(), body.slice(65_530..131_080));
    assert_eq!(shard.blob_body(&open, 199_999..500_000).await.unwrap(), body.slice(199_999..));
    assert!(shard.blob_body(&open, 200_000..200_001).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_task_that_fails_or_panics_leaves_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let shard = open(dir.path());
    put(&shard, "a", "1").await.unwrap();
    let fail = shard.commit(|tx| {
        tx.put(b"a", b"2")?;
        tx.put(b"b", b"2")?;
        tx.store(b"", &Bytes::from_static(b"body"))?;
        tx.after_commit(|| panic!("must not run"));
        Err::<(), _>(ShardError::Gone)
    });
    let panic = shard.commit(|tx| {
        tx.put(b"a", b"3")?;
        panic!("on purpose");
        #[expect(unreachable_code, reason = "gives the closure its type")]
        Ok::<(), ShardError>(())
    });
    let (fail, panic) = tokio::join!(fail, panic);
    assert!(matches!(fail, Err(ShardError::Gone)));
    assert!(matches!(panic, Err(ShardError::Panicked)));
    assert_eq!(keys(&shard).await, [b"a"]);
    assert_eq!(get(&shard, "a").await.unwrap(), b"1");
    shard.close().await;
    assert_eq!(get(&open(dir.path()), "a").await.unwrap(), b"1");
}

#[tokio::test]
async fn a_task_sees_what_the_group_has_changed() {
    let dir = tempfile::tempdir().unwrap();
    let shard = open(dir.path());
    for key in ["k1", "k3", "k5"] {
        put(&shard, key, "old").await.unwrap();
    }
    let seen = shard
        .commit(|tx| {
            tx.put(b"k2", b"new")?;
            tx.put(b"k3", b"new")?;
            tx.delete(b"k5")?;
            tx.put(b"k6", b"new")?;
            let (mut up, mut down) = (Vec::new(), Vec::new());
            tx.scan(KeyRange::prefix(*b"k"), &mut |k, v| {
                up.push((k.to_vec(), v.to_vec()));
                ControlFlow::Continue(())
            })?;
            tx.scan_back(KeyRange::prefix(*b"k"), &mut |k, v| {
                down.push((k.to_vec(), v.to_vec()));
                ControlFlow::Continue(())
            })?;
            down.reverse();
            assert_eq!(up, down);
            assert_eq!(tx.last(KeyRange::new(*b"k", *b"k6"))?.unwrap().0, b"k3");
            assert_eq!(tx.first(KeyRange::new(*b"k4", *b"k9"))?.unwrap().0, b"k6");
            Ok::<_, ShardError>(up)
        })
        .await
        .unwrap();
    let expected = [("k1", "old"), ("k2", "new"), ("k3", "new"), ("k6", "new")];
    let expected: Vec<_> =
        expected.iter().map(|(k, v)| (k.as_bytes().to_vec(), v.as_bytes().to_vec())).collect();
    assert_eq!(seen, expected);
}

#[tokio::test]
async fn two_opens_do_not_meet() {
    let dir = tempfile::tempdir().unwrap();
    let first = open(dir.path());
    let second = Shard::open(dir.path(), small(), &Env::for_test("mss"));
    assert!(matches!(second, Err(ShardError::Locked)));
    first.close().await;
    open(dir.path());
}

#[tokio::test]
async fn hooks_run_after_readers_can_see_it() {
    let dir = tempfile::tempdir().unwrap();
    let shard = open(dir.path());
    let (tell, told) = oneshot::channel();
    shard
        .commit(|tx| {
            tx.after_commit(|| assert_eq!(tell.send(()), Ok(())));
            tx.put(b"a", b"1")
        })
        .await
        .unwrap();
    told.await.unwrap();
}

#[tokio::test]
async fn limits_are_errors() {
    let dir = tempfile::tempdir().unwrap();
    let shard = open(dir.path());
    for key in [vec![], vec![0, 1], vec![1; MAX_KEY + 1]] {
        let outcome = shard.commit(move |tx| tx.put(&key, b"")).await;
        assert!(matches!(outcome, Err(ShardError::TooLarge("a key"))));
    }
    let much = shard.commit(|tx| (0..10u8).try_for_each(|n| tx.put(&[n + 1], &vec![0; MAX_VALUE]))).await;
    assert!(matches!(much, Err(ShardError::TooLarge("the change"))));
    assert!(keys(&shard).await.is_empty());
}

#[tokio::test]
async fn a_segment_goes_when_its_last_blob_does() {
    let dir = tempfile::tempdir().unwrap();
    let shard = open(dir.path());
    let blob = shard
        .commit(|tx| {
            let blob = tx.store(b"m", &Bytes::from(vec![1; 80_000]))?;
            tx.retain(&blob, 1)?;
            Ok::<_, ShardError>(blob)
        })
        .await
        .unwrap();
    let held = shard.blob(&blob).await.unwrap();
    shard.commit(move |tx| tx.release(&blob)).await.unwrap();
    put(&shard, "next", "segment").await.unwrap();
    assert_eq!(shard.blob_body(&held, 0..1).await.unwrap().len(), 1);
    shard.commit(move |tx| tx.release(&blob)).await.unwrap();
    let first = dir.path().join("log/0000000001.seg");
    for _ in 0..500 {
        put(&shard, "more", "work").await.unwrap();
        if !first.exists() {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(2)).await;
    }
    assert!(!first.exists());
    // Who has it open reads on; who comes later hears that it is gone.
    assert_eq!(shard.blob_body(&held, 0..1).await.unwrap().len(), 1);
    assert!(matches!(shard.blob_meta(&blob).await, Err(ShardError::Gone)));
    shard.close().await;
    assert_eq!(get(&open(dir.path()), "more").await.unwrap(), b"work");
}

#[tokio::test]
async fn a_body_larger_than_a_segment_is_stored_in_pieces() {
    struct Pattern(u64);
    impl BlobSource for Pattern {
        fn len(&self) -> u64 {
            self.0
        }
        fn read_at(&self, offset: u64, buffer: &mut [u8]) -> std::io::Result<()> {
            assert!(buffer.len() <= 65_536);
            buffer.iter_mut().zip(offset..).for_each(|(b, n)| *b = (n % 251) as u8);
            Ok(())
        }
    }
    let dir = tempfile::tempdir().unwrap();
    let shard = open(dir.path());
    let blob = shard.commit(|tx| tx.store(b"", &Pattern(3_000_001))).await.unwrap();
    put(&shard, "a", "1").await.unwrap();
    let open = shard.blob(&blob).await.unwrap();
    let end = shard.blob_body(&open, 2_999_990..3_000_001).await.unwrap();
    assert_eq!(
        end.iter().map(|&b| u64::from(b)).collect::<Vec<_>>(),
        (2_999_990..3_000_001).map(|n| n % 251).collect::<Vec<_>>()
    );
    assert_eq!(shard.blob_body(&open, 0..u64::MAX).await.unwrap().len(), 3_000_001);
}
