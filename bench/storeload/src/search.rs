//! Searches of text in a large folder, without the text index and with it, and what the index costs.
use crate::Said;
use crate::args::Args;
use crate::deliver::Opened;
use crate::grown::median;
use crate::messages::Messages;
use crate::meter::{Meter, disk_use};
use mail::id::{FolderId, MailboxId, TraceId};
use mail::search::{Criterion, Needle, Place};
use roles::Call;
use roles::store::MessageStore as _;
use serde_json::json;
use std::path::Path;
use std::time::{Duration, Instant};

const BOX: MailboxId = MailboxId(1);
/// The index is taken for fed when it has not changed for so long.
const QUIET: Duration = Duration::from_secs(20);
/// For one search, and until the index is fed.
const PATIENCE: Duration = Duration::from_secs(300);

pub(crate) async fn run(args: &Args) -> Result<Said, String> {
    let (folder, count) = (args.folder()?, args.number("messages", 50_000)?);
    let size = usize::try_from(args.number("size", 4000)?).map_err(|e| e.to_string())?;
    std::fs::create_dir_all(&folder).map_err(|e| e.to_string())?;
    let mut said = Said::new();
    let opened = Opened::open_with(&folder, "/*/mss/searchIndexFromMessages: [0]\n")?;
    fill(&opened, count, size).await?;
    searches(&opened, count, "scanned", &mut said).await?;
    opened.store.close().await;
    drop(opened);
    let meter = Meter::start(&folder);
    let opened = Opened::open_with(&folder, "/*/mss/searchIndexFromMessages: [1000]\n")?;
    let text = folder.join("text");
    settle(&text).await?;
    let took = meter.stop();
    searches(&opened, count, "indexed", &mut said).await?;
    opened.store.close().await;
    said.insert("messages".into(), json!(count));
    said.insert("bytes_each".into(), json!(size));
    said.insert("feed_cpu_us_each".into(), json!(took.cpu_micros / count.max(1)));
    said.insert("feed_written_each".into(), json!(took.written / count.max(1)));
    said.insert("index_bytes_each".into(), json!(disk_use(&text) / count.max(1)));
    Ok(said)
}

async fn fill(opened: &Opened, count: u64, size: usize) -> Result<(), String> {
    let mut crew = tokio::task::JoinSet::new();
    for caller in 0..64 {
        let opened = opened.clone();
        crew.spawn(async move {
            for n in (caller..count).step_by(64) {
                opened.deliver(BOX, &Messages::of_words(n, size)).await?;
            }
            Ok(())
        });
    }
    crew.join_all().await.into_iter().collect()
}

/// One text that one message has, one that none has, one that many have; and one too short for the index.
async fn searches(opened: &Opened, count: u64, how: &str, said: &mut Said) -> Result<(), String> {
    let one = format!("needle{}x", count / 3);
    for (name, needle) in
        [("one", one.as_str()), ("none", "quarterly"), ("many", "example.com"), ("short", "zx")]
    {
        let mut times = Vec::new();
        for _ in 0..3 {
            let criterion = Criterion::Text(Place::Anywhere, Needle::new(needle).ok_or("too long")?);
            let mut call = Call::new(opened.env.random.request_id(), TraceId::new("load"));
            call.deadline = PATIENCE;
            let begun = Instant::now();
            let found = opened.store.message_search(&call, BOX, FolderId::INBOX, criterion).await;
            let found = found.map_err(|e| e.to_string())?;
            times.push(begun.elapsed().as_secs_f64() * 1e3);
            said.insert(format!("{name}_found"), json!(found.len()));
        }
        said.insert(format!("{how}_{name}_ms"), json!(median(times)));
    }
    Ok(())
}

async fn settle(folder: &Path) -> Result<(), String> {
    let begun = Instant::now();
    let (mut last, mut since) = (0, begun.elapsed());
    while last == 0 || begun.elapsed() < since + QUIET {
        if begun.elapsed() > PATIENCE {
            return Err(format!("the index is not fed: it has {last} bytes"));
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
        let now = disk_use(folder);
        if now != last {
            (last, since) = (now, begun.elapsed());
        }
    }
    Ok(())
}
