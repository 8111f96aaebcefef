//! Fills mailboxes, each message delivered by itself.
use crate::Said;
use crate::args::Args;
use crate::deliver::Opened;
use crate::messages::Messages;
use crate::meter::{Meter, disk_use, memory_mb};
use mail::id::MailboxId;
use serde_json::json;
use std::sync::Arc;

pub(crate) async fn run(args: &Args) -> Result<Said, String> {
    let (first, mailboxes) = (args.number("first", 1)?, args.number("mailboxes", 1)?.max(1));
    let count = args.number("each", 1_000_000)? * mailboxes;
    let size = usize::try_from(args.number("size", 600)?).map_err(|e| e.to_string())?;
    let messages = Arc::new(Messages::of_size(size));
    let folder = args.folder()?;
    let opened = Opened::open(&folder)?;
    let meter = Meter::start(&folder);
    let to = move |n: u64| MailboxId((first + n % mailboxes).cast_signed());
    let bytes = opened.many(&messages, (count, args.number("callers", 256)?), to).await?;
    let (took, memory) = (meter.stop(), memory_mb());
    opened.store.close().await;
    let mut said = Said::new();
    said.insert("messages".into(), json!(count));
    said.insert("bytes".into(), json!(bytes));
    said.insert("per_s".into(), json!((count as f64 / took.time.as_secs_f64()).round()));
    said.insert("cpu_us_each".into(), json!(took.cpu_micros / count.max(1)));
    said.insert("anon_mb".into(), json!(memory));
    said.insert("disk_bytes_each".into(), json!(disk_use(&folder) / count.max(1)));
    Ok(said)
}
