//! Commits per second of one shard: `cargo run --release -p storage --example shard_load [-- FOLDER]`.
//!
//! Each task stores a body of 8 KiB with 400 bytes of meta and three rows of the size that a delivery writes.

use env::Env;
use std::path::PathBuf;
use storage::shard::{Rows, Shard, ShardError, ShardOptions};

const BODY: usize = 8 << 10;

fn main() {
    let folder = std::env::args_os().nth(1).map_or_else(std::env::temp_dir, PathBuf::from).join("shard-load");
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    runtime.expect("a runtime").block_on(async {
        if folder.exists() {
            // Left by a run that was killed.
            println!("recovered in {} ms", reopen(&folder).await);
        }
        for writers in [1, 8, 64] {
            let _ = std::fs::remove_dir_all(&folder);
            run(&folder, writers).await;
        }
    });
    let _ = std::fs::remove_dir_all(&folder);
}

async fn run(folder: &std::path::Path, writers: u64) {
    let env = Env::for_test("mss");
    let shard = Shard::open(folder, ShardOptions::default(), &env).expect("a shard");
    let each = 20_000 / writers.max(8);
    let (begun, cpu) = (env.clock.moment(), cpu_micros());
    for writer in 0..writers {
        let shard = shard.clone();
        env.tasks.spawn(async move {
            for n in 0..each {
                commit(&shard, writer, n).await.expect("a commit");
            }
        });
    }
    env.tasks.drain(std::time::Duration::from_secs(600)).await;
    let (took, cpu) = (env.clock.moment() - begun, cpu_micros() - cpu);
    let commits = writers * each;
    let rate = commits as f64 / took.as_secs_f64();
    let groups = shard.status().groups;
    println!(
        "{writers:>3} writers: {rate:>7.0} commits/s, {groups} syncs for {commits}, {} us CPU each",
        cpu / commits
    );
    shard.close().await;
    println!("             reopened in {} ms", reopen(folder).await);
}

async fn reopen(folder: &std::path::Path) -> u128 {
    let env = Env::for_test("mss");
    let begun = env.clock.moment();
    let shard = Shard::open(folder, ShardOptions::default(), &env).expect("the shard again");
    let took = env.clock.moment() - begun;
    shard.close().await;
    took.as_millis()
}

async fn commit(shard: &Shard, writer: u64, n: u64) -> Result<(), ShardError> {
    let body = bytes::Bytes::from(vec![(writer ^ n) as u8; BODY]);
    let task = move |tx: &mut storage::shard::Transaction<'_>| {
        let mailbox = (writer * 7919 + n * 31) % 1000;
        let key = |kind: u8, n: u64| [&[kind][..], &mailbox.to_be_bytes(), &n.to_be_bytes()].concat();
        let counter = tx.get(&key(b'b', 0))?.map_or(0, |v| u64::from(v[0]));
        let blob = tx.store(&[1; 400], &body)?;
        let mut row = vec![0; 40];
        blob.encode(&mut row);
        let id = writer << 32 | n;
        tx.put(&key(b'm', id), &row)?;
        tx.put(&key(b'c', id), &[0; 24])?;
        tx.put(&key(b'b', 0), &[(counter + 1) as u8; 40])
    };
    shard.commit(task).await
}

fn cpu_micros() -> u64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let ticks = |n: usize| fields.get(n).and_then(|f| f.parse::<u64>().ok()).unwrap_or(0);
    (ticks(11) + ticks(12)) * 10_000
}
