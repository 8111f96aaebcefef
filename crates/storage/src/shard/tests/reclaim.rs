//! Giving space back: by holes and by copying, with readers in between.

use super::*;

/// Stores bodies of this length, each a byte of its own, one commit each.
async fn fill(shard: &Shard, count: u8, len: usize) -> Vec<BlobRef> {
    let mut blobs = Vec::new();
    for n in 0..count {
        let body = Bytes::from(vec![n; len]);
        blobs.push(shard.commit(move |tx| tx.store(b"meta", &body)).await.unwrap());
    }
    blobs
}

async fn release(shard: &Shard, blobs: &[BlobRef]) {
    let blobs = blobs.to_vec();
    shard.commit(move |tx| blobs.iter().try_for_each(|blob| tx.release(blob))).await.unwrap();
}

/// The shard with everything in full segments that no recovery needs.
async fn settled(dir: &tempfile::TempDir, shard: Shard) -> Shard {
    let _ = fill(&shard, 2, 70_000).await;
    shard.close().await;
    let shard = open(dir.path());
    for _ in 0..500 {
        if shard.shared.keeping().persisted.segment > 1 {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    shard
}

async fn check(shard: &Shard, blobs: &[BlobRef], from: u8) {
    for (n, blob) in (from..).zip(blobs) {
        let opened = shard.blob(blob).await.unwrap();
        assert_eq!(shard.blob_meta(blob).await.unwrap(), "meta");
        let body = shard.blob_body(&opened, 0..u64::MAX).await.unwrap();
        assert!(body.len() as u64 == blob.body_len() && body.iter().all(|&b| b == n));
    }
}

#[tokio::test]
async fn its_13127_holes_give_space_back_and_leave_what_lives_and_what_is_read() {
    let dir = tempfile::tempdir().unwrap();
    let shard = open(dir.path());
    let blobs = fill(&shard, 6, 20_000).await;
    let shard = settled(&dir, shard).await;
    let reading = shard.blob(&blobs[1]).await.unwrap();
    release(&shard, &blobs[..2]).await;
    let due = shard.segment_uses().await.unwrap()[0];
    assert!(due.is_due() && due.dead == 2 * blobs[0].stored_len());
    let punched = shard.punch(1).await.unwrap();
    // What is being read has kept its space: so has the run of dead blobs that it is in.
    assert_eq!(shard.blob_body(&reading, 0..u64::MAX).await.unwrap(), vec![1; 20_000]);
    drop(reading);
    assert!(punched.visited == due.dead && !punched.is_due());
    let again = shard.punch(1).await.unwrap();
    assert!(
        again.allocated + 24_000 <= due.allocated && again.allocated < punched.allocated,
        "{again:?} {due:?}"
    );
    check(&shard, &blobs[2..], 2).await;
    // Gone is gone: who comes with an old reference hears it.
    assert!(matches!(shard.blob(&blobs[0]).await, Err(ShardError::Gone)));
}

#[tokio::test]
async fn what_is_copied_out_is_found_by_its_old_name_and_its_segment_goes() {
    let dir = tempfile::tempdir().unwrap();
    let shard = open(dir.path());
    let blobs = fill(&shard, 12, 5000).await;
    shard
        .commit({
            let b = blobs[11];
            move |tx| tx.retain(&b, 1)
        })
        .await
        .unwrap();
    let shard = settled(&dir, shard).await;
    release(&shard, &blobs[..10]).await;
    let (mut from, mut copied) = (0, 0);
    shard.punch(1).await.unwrap();
    while let CopiedOut { blobs, next: Some(next), .. } = shard.copy_out(1, from, 1).await.unwrap() {
        (from, copied) = (next, copied + blobs);
    }
    assert!(copied <= 2);
    check(&shard, &blobs[10..], 10).await;
    let gone = async || {
        for _ in 0..500 {
            put(&shard, "tick", "").await.unwrap();
            if !dir.path().join("log/0000000001.seg").exists() {
                return true;
            }
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
        false
    };
    assert!(gone().await, "{:?}", shard.segment_uses().await);
    check(&shard, &blobs[10..], 10).await;
    // The row of the segment goes with the first commit after its file.
    let mut swept = 0;
    for _ in 0..500 {
        put(&shard, "tick", "").await.unwrap();
        swept += shard.sweep().await.unwrap();
        if swept > 10 {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    assert!(swept > 10);
    assert_eq!(shard.sweep().await.unwrap(), 0);
    // The second reference of a copy counts on, and the last one frees the copy.
    release(&shard, &blobs[10..]).await;
    check(&shard, &blobs[11..], 11).await;
    release(&shard, &blobs[11..]).await;
    let gone = shard.blob(&blobs[11]).await;
    assert!(matches!(gone, Err(ShardError::Gone)), "{gone:?}");
    let audit = shard.read(|view| view.audit(&References::default())).await.unwrap();
    // What `settled` stored is referred to by nobody.
    assert_eq!((audit.orphans.len(), audit.live_bytes), (2, audit.counted_bytes));
}

#[tokio::test]
async fn its_16025_what_does_not_add_up_is_found() {
    let dir = tempfile::tempdir().unwrap();
    let shard = open(dir.path());
    let blobs = fill(&shard, 4, 3000).await;
    release(&shard, &blobs[3..]).await;
    let audit = shard.read(move |view| {
        let mut references = References::default();
        [0, 0, 1, 3].into_iter().for_each(|n: usize| references.add(&blobs[n]));
        let audit = view.audit(&references)?;
        assert_eq!(audit.widows, [blobs[3]]);
        assert_eq!(audit.miscounted, [(blobs[0], 1, 2)]);
        Ok::<_, ShardError>((audit, blobs))
    });
    let (audit, blobs) = audit.await.unwrap();
    assert_eq!((audit.orphans.len(), audit.orphans[0].offset), (1, blobs[2].offset));
    assert!(!audit.is_clean() && audit.live_bytes == audit.counted_bytes);
}

#[tokio::test]
async fn while_it_is_held_nothing_is_given_back() {
    let dir = tempfile::tempdir().unwrap();
    let shard = open(dir.path());
    let blobs = fill(&shard, 6, 20_000).await;
    let shard = settled(&dir, shard).await;
    let hold = shard.hold();
    release(&shard, &blobs[1..]).await;
    assert!(matches!(shard.punch(1).await, Err(ShardError::Gone)));
    assert!(matches!(shard.copy_out(1, 0, 1).await, Err(ShardError::Gone)));
    drop(hold);
    shard.punch(1).await.unwrap();
}

#[tokio::test]
async fn what_dies_while_it_is_audited_is_not_taken_for_lost() {
    let dir = tempfile::tempdir().unwrap();
    let shard = open(dir.path());
    let blobs = fill(&shard, 1, 70_000).await;
    let shard = settled(&dir, shard).await;
    let (begun, beginning) = tokio::sync::oneshot::channel();
    let (go_on, waiting) = std::sync::mpsc::sync_channel(1);
    let referred = blobs.clone();
    let audit = {
        let shard = shard.clone();
        #[expect(clippy::disallowed_methods, reason = "a test drives two callers")]
        tokio::spawn(async move {
            let list = move |_: &View<'_>| {
                begun.send(()).unwrap();
                waiting.recv().unwrap();
                let mut references = References::default();
                referred.iter().for_each(|blob| references.add(blob));
                Ok(references)
            };
            shard.audit(list).await
        })
    };
    beginning.await.unwrap();
    release(&shard, &blobs).await;
    assert_eq!(shard.status().dead_segments, 1);
    keeper::tend(&shard.shared);
    go_on.send(()).unwrap();
    let audit = audit.await.unwrap().unwrap();
    assert!(audit.widows.is_empty() && audit.damaged.is_empty(), "{audit:?}");
    keeper::tend(&shard.shared);
    assert_eq!(shard.status().dead_segments, 0);
}
