//! The store and the bare engine in turn, each round with fresh folders: how much of the engine the store leaves.
use crate::args::Args;
use crate::deliver::Opened;
use crate::grown::median;
use crate::messages::{Messages, mixed};
use crate::meter::{Meter, Took, memory_mb};
use crate::{Said, engine};
use mail::id::MailboxId;
use serde_json::json;
use std::path::Path;
use std::sync::Arc;

#[derive(Clone, Copy)]
struct Load {
    messages: u64,
    callers: u64,
    mailboxes: u64,
}

/// Values of all rounds, by name.
type Seen = std::collections::BTreeMap<String, Vec<f64>>;

pub(crate) async fn run(args: &Args) -> Result<Said, String> {
    let load = Load {
        messages: args.number("messages", 40_000)?,
        callers: args.number("callers", 64)?,
        mailboxes: args.number("mailboxes", 1000)?.max(1),
    };
    let (folder, messages) = (args.folder()?, Arc::new(Messages::as_in_mail()));
    let wanted = |name: &str| args.text("only").is_none_or(|only| only == name);
    let mut seen = Seen::new();
    for _ in 0..args.number("rounds", 3)? {
        if wanted("engine") {
            fresh(&folder)?;
            engine_round(&folder, &messages, load, &mut seen).await?;
        }
        if wanted("store") {
            fresh(&folder)?;
            store_round(&folder, &messages, load, &mut seen).await?;
        }
    }
    fresh(&folder)?;
    let mut said: Said = seen.iter().map(|(name, values)| (name.clone(), json!(values))).collect();
    if let (Some(store), Some(engine)) = (seen.get("store_per_s"), seen.get("engine_per_s")) {
        said.insert("share_of_engine".into(), json!(median(store.clone()) / median(engine.clone())));
    }
    Ok(said)
}

fn fresh(folder: &Path) -> Result<(), String> {
    let _ = std::fs::remove_dir_all(folder);
    std::fs::create_dir_all(folder).map_err(|e| e.to_string())
}

async fn engine_round(
    folder: &Path,
    messages: &Arc<Messages>,
    load: Load,
    seen: &mut Seen,
) -> Result<(), String> {
    let meter = Meter::start(folder);
    let Load { messages: count, callers, mailboxes } = load;
    let (shards, bytes) = engine::many(folder, messages, (count, callers, mailboxes)).await?;
    let took = meter.stop();
    for shard in &shards {
        shard.close().await;
    }
    note(seen, "engine", count, bytes, (&took, meter.stop().written));
    Ok(())
}

async fn store_round(
    folder: &Path,
    messages: &Arc<Messages>,
    load: Load,
    seen: &mut Seen,
) -> Result<(), String> {
    let opened = Opened::open(folder)?;
    let Load { messages: count, callers, mailboxes } = load;
    let meter = Meter::start(folder);
    let to = move |n: u64| MailboxId((mixed(n) % mailboxes).cast_signed());
    let bytes = opened.many(messages, (count, callers), to).await?;
    let took = meter.stop();
    seen.entry("store_anon_mb".into()).or_default().push(memory_mb() as f64);
    opened.store.close().await;
    note(seen, "store", count, bytes, (&took, meter.stop().written));
    Ok(())
}

/// Bytes written count up to the end of the closing: what the index still had in memory is part of the price.
fn note(seen: &mut Seen, who: &str, count: u64, bytes: u64, (took, written): (&Took, u64)) {
    let mut put = |name: &str, value: f64| seen.entry(format!("{who}_{name}")).or_default().push(value);
    put("per_s", (count as f64 / took.time.as_secs_f64()).round());
    put("cpu_us_each", took.cpu_micros as f64 / count as f64);
    put("bytes_each", bytes as f64 / count as f64);
    put("written_per_byte", written as f64 / bytes as f64);
}
