//! What deliveries lose while space is given back: their rate before, and while a collection runs at its usual pace.
use crate::Said;
use crate::deliver::Opened;
use crate::grown::median;
use crate::messages::Messages;
use catalog::keys::common::RECLAIM_RATE_IN_KB_PER_SEC;
use mail::id::{MailboxId, TraceId};
use roles::Call;
use roles::maintenance::{Collect, Collected, Keep, Maintenance as _, Mode, Summary, Task, TaskStatus};
use serde_json::json;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Messages of one turn, and turns before.
const TURN: u64 = 4000;
const TURNS: usize = 3;
const CALLERS: u64 = 64;

/// The rate of deliveries while nothing else happens.
pub(crate) async fn idle(
    opened: &Opened,
    messages: &Arc<Messages>,
    mailboxes: u64,
) -> Result<(f64, u64), String> {
    let (mut rates, mut bytes) = (Vec::new(), 0);
    for _ in 0..TURNS {
        let (rate, more) = turn(opened, messages, mailboxes).await?;
        rates.push(rate);
        bytes += more;
    }
    Ok((median(rates), bytes))
}

/// Collects, with deliveries as long as that takes; says what became of both. Returns the bytes delivered.
pub(crate) async fn collect(
    opened: &Opened,
    messages: &Arc<Messages>,
    mailboxes: u64,
    idle: f64,
    said: &mut Said,
) -> Result<u64, String> {
    let call = Call::new(opened.env.random.request_id(), TraceId::new("load"));
    let rate = opened.env.settings.get(RECLAIM_RATE_IN_KB_PER_SEC) * 1024;
    let task = Task::Collect(Collect { mode: Mode::Apply, rate });
    let begun = Instant::now();
    let id = opened.store.task_start(&call, task, Keep::ToTheEnd).await.map_err(|e| e.to_string())?;
    let (mut rates, mut bytes) = (Vec::new(), 0);
    let collected = loop {
        let (rate, more) = turn(opened, messages, mailboxes).await?;
        bytes += more;
        let status = opened.store.task_status(&call, id, 0, Duration::ZERO).await;
        let TaskStatus { state, summary, .. } = status.map_err(|e| e.to_string())?;
        match (state.is_over(), summary) {
            (true, Some(Summary::Collected(collected))) => break collected,
            (true, _) => return Err(format!("the collection ended as {state:?}")),
            // A turn at whose end the collection was over ran without it for a part.
            (false, _) => rates.push(rate),
        }
    };
    let Collected { freed, copied_bytes, punched, emptied, .. } = collected;
    said.insert("collected_s".into(), json!(begun.elapsed().as_secs_f64()));
    said.insert("freed_mb".into(), json!(freed >> 20));
    said.insert("copied_mb".into(), json!(copied_bytes >> 20));
    said.insert("segments_punched".into(), json!(punched));
    said.insert("segments_emptied".into(), json!(emptied));
    said.insert("idle_per_s".into(), json!(idle.round()));
    if !rates.is_empty() {
        let busy = median(rates);
        said.insert("meanwhile_per_s".into(), json!(busy.round()));
        said.insert("meanwhile_ratio".into(), json!(busy / idle));
    }
    Ok(bytes)
}

/// Messages a second, and bytes.
async fn turn(opened: &Opened, messages: &Arc<Messages>, mailboxes: u64) -> Result<(f64, u64), String> {
    let begun = Instant::now();
    let to = move |n: u64| MailboxId((n % mailboxes).cast_signed());
    let bytes = opened.many(messages, (TURN, CALLERS), to).await?;
    Ok((TURN as f64 / begun.elapsed().as_secs_f64(), bytes))
}
