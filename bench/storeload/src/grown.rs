//! Deliveries into a grown folder and into an empty one, in turn: what the messages that are there cost the next one.
use crate::Said;
use crate::args::Args;
use crate::deliver::Opened;
use crate::messages::Messages;
use crate::meter::Meter;
use mail::id::MailboxId;
use serde_json::json;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

/// Messages of one turn with many callers.
const TURN: u64 = 2000;

pub(crate) async fn run(args: &Args) -> Result<Said, String> {
    let mailbox = |key: &str, default| args.number(key, default).map(|n| MailboxId(n.cast_signed()));
    // Both in one shard: they wait for the same sync.
    let both = [mailbox("big", 1)?, mailbox("empty", 3)?];
    let (messages, callers) = (args.number("messages", 2000)?, args.number("callers", 64)?);
    let (folder, pool) = (args.folder()?, Arc::new(Messages::as_in_mail()));
    let opened = Opened::open(&folder)?;
    let mut said = Said::new();
    let alone = alone(&opened, &pool, both, messages).await?;
    let together = together(&opened, &folder, &pool, both, (messages.div_ceil(TURN).max(3), callers)).await?;
    opened.store.close().await;
    for (place, name) in ["big", "empty"].into_iter().enumerate() {
        said.insert(format!("{name}_p50_us"), json!(alone[place]));
        said.insert(format!("{name}_per_s"), json!(together[place].0));
        said.insert(format!("{name}_cpu_us"), json!(together[place].1));
    }
    said.insert("latency_ratio".into(), json!(alone[0] / alone[1]));
    said.insert("rate_ratio".into(), json!(together[1].0 / together[0].0));
    Ok(said)
}

/// One caller: medians in microseconds.
async fn alone(
    opened: &Opened,
    pool: &Messages,
    both: [MailboxId; 2],
    messages: u64,
) -> Result<[f64; 2], String> {
    let mut times = [Vec::new(), Vec::new()];
    for n in 0..messages {
        for (mailbox, times) in both.into_iter().zip(&mut times) {
            let begun = Instant::now();
            opened.deliver(mailbox, pool.get(n)).await?;
            times.push(begun.elapsed().as_secs_f64() * 1e6);
        }
    }
    Ok(times.map(median))
}

/// Many callers: medians of messages a second and of processor time each.
async fn together(
    opened: &Opened,
    folder: &Path,
    pool: &Arc<Messages>,
    both: [MailboxId; 2],
    (turns, callers): (u64, u64),
) -> Result<[(f64, f64); 2], String> {
    let mut seen = [(Vec::new(), Vec::new()), (Vec::new(), Vec::new())];
    for _ in 0..turns {
        for (mailbox, (rates, cpu)) in both.into_iter().zip(&mut seen) {
            let meter = Meter::start(folder);
            opened.many(pool, (TURN, callers), move |_| mailbox).await?;
            let took = meter.stop();
            rates.push(TURN as f64 / took.time.as_secs_f64());
            cpu.push(took.cpu_micros as f64 / TURN as f64);
        }
    }
    Ok(seen.map(|(rates, cpu)| (median(rates).round(), median(cpu))))
}

pub(crate) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(0.0)
}
