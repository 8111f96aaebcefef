//! What it costs to give space back: messages come, 30 % of them go, and the store collects what they leave.
use crate::Said;
use crate::args::Args;
use crate::deliver::Opened;
use crate::meanwhile;
use crate::messages::{Messages, mixed};
use crate::meter::{Meter, disk_use};
use mail::id::{FolderId, MailboxId, TraceId};
use mail::sequence::NumberSet;
use roles::Call;
use roles::store::MessageStore as _;
use serde_json::json;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

const MAILBOXES: u64 = 1000;
/// Of ten messages so many go.
const GONE_OF_TEN: u64 = 3;
/// The disk is taken for settled when it has not changed for so long.
const QUIET: Duration = Duration::from_secs(25);
const PATIENCE: Duration = Duration::from_secs(300);

pub(crate) async fn run(args: &Args) -> Result<Said, String> {
    let (folder, count) = (args.folder()?, args.number("messages", 40_000)?);
    std::fs::create_dir_all(&folder).map_err(|e| e.to_string())?;
    let messages = Arc::new(Messages::as_in_mail());
    // Nothing is kept for restoring: what is deleted is dead at once.
    let opened = Opened::open_with(&folder, "/*/mss/restoreWindowInMinutes: [0]\n")?;
    let meter = Meter::start(&folder);
    let to = |n: u64| MailboxId((n % MAILBOXES).cast_signed());
    let mut bytes = opened.many(&messages, (count, 64), to).await?;
    let (idle, more) = meanwhile::idle(&opened, &messages, MAILBOXES).await?;
    bytes += more;
    let before = disk_use(&folder);
    let live = live_bytes(&opened).await?;
    delete(&opened).await?;
    let mut said = Said::new();
    said.insert("deleted_part".into(), json!(1.0 - live_bytes(&opened).await? as f64 / live as f64));
    bytes += meanwhile::collect(&opened, &messages, MAILBOXES, idle, &mut said).await?;
    let settled = settle(&folder).await;
    let left = live_bytes(&opened).await?;
    opened.store.close().await;
    let written = meter.stop().written;
    said.insert("disk_before_per_byte".into(), json!(before as f64 / live as f64));
    said.insert("disk_per_live_byte".into(), json!(disk_use(&folder) as f64 / left as f64));
    said.insert("settled_s".into(), json!(settled.as_secs_f64()));
    said.insert("written_per_byte".into(), json!(written as f64 / bytes as f64));
    Ok(said)
}

async fn live_bytes(opened: &Opened) -> Result<u64, String> {
    let mut sum = 0;
    for n in 0..MAILBOXES {
        let mailbox = MailboxId(n.cast_signed());
        let usage = opened.store.mailbox_usage(&call(opened), mailbox).await;
        sum += usage.map_err(|e| e.to_string())?.bytes;
    }
    Ok(sum)
}

fn call(opened: &Opened) -> Call {
    Call::new(opened.env.random.request_id(), TraceId::new("load"))
}

/// Here and there, as users delete.
async fn delete(opened: &Opened) -> Result<(), String> {
    for n in 0..MAILBOXES {
        let (mailbox, call) = (MailboxId(n.cast_signed()), call(opened));
        let folder =
            opened.store.folder_open(&call, mailbox, "INBOX".into()).await.map_err(|e| e.to_string())?;
        let goes = |uid: &u32| mixed(u64::from(*uid) + n * 7919) % 10 < GONE_OF_TEN;
        let uids: NumberSet = folder.uids.iter().filter(goes).collect();
        let gone = opened.store.message_delete(&call, mailbox, FolderId::INBOX, uids).await;
        gone.map_err(|e| e.to_string())?;
    }
    Ok(())
}

/// Waits until the disk does not change any more; returns how long it did.
async fn settle(folder: &Path) -> Duration {
    let begun = Instant::now();
    let (mut last, mut since) = (disk_use(folder), Duration::ZERO);
    while begun.elapsed() < PATIENCE && begun.elapsed() < since + QUIET {
        tokio::time::sleep(Duration::from_secs(1)).await;
        let now = disk_use(folder);
        if now != last {
            (last, since) = (now, begun.elapsed());
        }
    }
    since
}
