//! The engine without mail: the same bodies with as much beside each, and as many rows of the same sizes as a delivery
//! commits, in the same shards. No row is read: what a delivery looks up is mail semantics.
use crate::deliver::SHARDS;
use crate::messages::{Messages, mixed};
use bytes::Bytes;
use env::Env;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use storage::shard::{Shard, ShardError, ShardOptions, Transaction};

/// The rows of one delivery: bytes of key and value. The message, its change, its mailbox, its folder, its chunk, the
/// request and when that is forgotten.
const ROWS: [(usize, usize); 7] = [(18, 27), (26, 0), (10, 16), (14, 32), (18, 12), (26, 7), (29, 0)];

/// Commits so many messages by so many callers; returns their bytes.
pub(crate) async fn many(
    folder: &Path,
    messages: &Arc<Messages>,
    (count, callers, mailboxes): (u64, u64, u64),
) -> Result<(Vec<Shard>, u64), String> {
    let env = Env::for_test("mss");
    let open = |n| Shard::open(&folder.join(format!("shard-{n}")), ShardOptions::default(), &env);
    let shards = (0..SHARDS.get()).map(open).collect::<Result<Vec<_>, _>>().map_err(|e| e.to_string())?;
    let (next, bytes) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
    let mut crew = tokio::task::JoinSet::new();
    for _ in 0..callers {
        let (shards, messages) = (shards.clone(), Arc::clone(messages));
        let (next, bytes) = (Arc::clone(&next), Arc::clone(&bytes));
        crew.spawn(async move {
            loop {
                let n = next.fetch_add(1, Ordering::Relaxed);
                if n >= count {
                    return Ok(());
                }
                let message = messages.get(n);
                let mailbox = mixed(n) % mailboxes;
                bytes.fetch_add(message.body.len() as u64, Ordering::Relaxed);
                let (body, outline) = (message.body.clone(), message.outline.clone());
                commit(&shards[mailbox as usize % shards.len()], mailbox, n, (outline, body)).await?;
            }
        });
    }
    let outcomes: Vec<Result<(), ShardError>> = crew.join_all().await;
    outcomes.into_iter().collect::<Result<(), ShardError>>().map_err(|e| e.to_string())?;
    Ok((shards, bytes.load(Ordering::Relaxed)))
}

async fn commit(
    shard: &Shard,
    mailbox: u64,
    n: u64,
    (outline, body): (Bytes, Bytes),
) -> Result<(), ShardError> {
    let task = move |tx: &mut Transaction<'_>| {
        let blob = tx.store(&outline, &body)?;
        let mut value = Vec::with_capacity(64);
        for (kind, (key_len, value_len)) in (b'a'..).zip(ROWS) {
            let mut key = vec![b'm'];
            key.extend_from_slice(&mailbox.to_be_bytes());
            key.push(kind);
            // Rows of the mailbox and of its folder are written again and again; the others are new each time.
            if key_len >= 18 && kind != b'e' {
                key.extend_from_slice(&n.to_be_bytes());
            }
            key.resize(key_len, 0);
            value.clear();
            if kind == b'a' {
                blob.encode(&mut value);
            }
            value.resize(value_len, 1);
            tx.put(&key, &value)?;
        }
        Ok(())
    };
    shard.commit(task).await
}
