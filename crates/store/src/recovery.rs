//! A mailbox from a backup, back into the running store.
//!
//! Read from the backup as it lies, by the same code that reads an open shard; put in by the same path as what clients
//! append. Folders come to be below one that is new, so nothing that is there changes; messages keep flags, keywords and
//! dates. Whether all of it fits is asked before any of it is taken. What was put in when it ends half-way is whole
//! messages in that folder.

use crate::open::{Inner, Store};
use crate::quota;
use bytes::Bytes;
use env::compute::Compute;
use mail::flags::Flags;
use mail::id::{MailboxId, Uid};
use mail::sequence::NumberSet;
use mail::time::Timestamp;
use roles::backup::{BackupError, Recover, Recovered};
use roles::store::{Append, Quota, StoreError, Subscription, Usage};
use roles::{Body, BodySource, Call};
use std::future::Future;
use std::io;
use std::ops::ControlFlow;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use storage::backup::{Backups, Generation, servers};
use storage::mailboxes::transfer::{self, Departure};
use storage::mailboxes::{FolderName, FolderRow, Keywords, Mailbox, MessageRow};
use storage::shard::{Blob, CopiedShard, ShardError, View};

/// Messages whose rows are read at once.
const PAGE: usize = 200;

impl Store {
    /// Brings the mail of a mailbox back from a backup.
    ///
    /// # Errors
    /// [`BackupError::Refused`] where the backup has no such mailbox, the folder exists, or the mail does not fit;
    /// [`BackupError::Failed`] where the backup cannot be read or the store does not take it.
    pub async fn recover(&self, call: &Call, recover: Recover) -> Result<Recovered, BackupError> {
        self.inner().recover(call, recover).await
    }
}

/// A mailbox in a backup.
struct Kept {
    shard: Arc<CopiedShard>,
    id: MailboxId,
    folders: Vec<FolderRow>,
    keywords: Keywords,
    subscriptions: Vec<String>,
    usage: Usage,
}

/// A message in a backup.
struct KeptMessage {
    flags: Flags,
    received: Timestamp,
    /// `None`: it is damaged there.
    body: Option<Blob>,
}

impl Inner {
    async fn recover(&self, call: &Call, recover: Recover) -> Result<Recovered, BackupError> {
        let Recover { folder, generation, from, into, below, quota } = recover;
        let find = move || find(Path::new(&folder), generation, from);
        let (generation, kept) = self.on_a_thread(find).await?;
        let prefix = FolderName::parse(&below).map_err(|e| BackupError::Refused(e.to_string()))?;
        if self.folder_status(into, prefix.as_str()).await.is_ok() {
            return Err(BackupError::Refused(format!("the folder {prefix} exists already")));
        }
        self.create_mailbox(into).await.map_err(failed)?;
        let usage = self.usage(into).await.map_err(failed)?;
        quota::judge(usage, kept.usage, &quota)
            .map_err(|_| BackupError::Refused("the mailbox has no room for all of the mail".into()))?;
        let kept = Arc::new(kept);
        let mut done = Recovered { generation, ..Recovered::default() };
        for folder in &kept.folders {
            self.recover_folder(call, &kept, folder, (into, &prefix), &mut done).await?;
        }
        Ok(done)
    }

    async fn recover_folder(
        &self,
        call: &Call,
        kept: &Arc<Kept>,
        folder: &FolderRow,
        (into, prefix): (MailboxId, &FolderName),
        done: &mut Recovered,
    ) -> Result<(), BackupError> {
        let name = target(prefix, folder);
        self.create_folder(into, &name, None).await.map_err(failed)?;
        if kept.subscriptions.contains(&folder.name) {
            self.subscribe_folder(into, &name, Subscription::On).await.map_err(failed)?;
        }
        done.folders += 1;
        let mut next = Some(Uid(1));
        while let Some(from) = next {
            let (of, row) = (Arc::clone(kept), folder.clone());
            let (messages, more) = self.on_a_thread(move || page(&of, &row, from)).await?;
            next = more;
            for KeptMessage { flags, received, body } in messages {
                let Some(blob) = body else {
                    done.damaged += 1;
                    continue;
                };
                let bytes = blob.len();
                let body = Body::new(Arc::new(KeptBody { blob, compute: self.env.compute.clone() }));
                // What fits was asked before; others may have used the room since.
                let quota = Quota::default();
                let append = Append { mailbox: into, folder: name.clone(), flags, received, body, quota };
                self.append(call, append).await.map_err(failed)?;
                done.messages += 1;
                done.bytes += bytes;
            }
        }
        Ok(())
    }

    /// Runs what reads files away from the threads of the runtime.
    async fn on_a_thread<T, F>(&self, job: F) -> Result<T, BackupError>
    where
        T: Send + 'static,
        F: FnOnce() -> Result<T, storage::backup::BackupError> + Send + 'static,
    {
        let answer = self.env.compute.run(job).await.map_err(|_| BackupError::Busy)?;
        answer.map_err(|error| match error {
            storage::backup::BackupError::Refused(why) => BackupError::Refused(why),
            other => BackupError::Failed(other.to_string()),
        })
    }
}

/// The mailbox in the shard that has it.
fn find(
    folder: &Path,
    number: Option<u32>,
    id: MailboxId,
) -> Result<(u32, Kept), storage::backup::BackupError> {
    let generation = Backups::open(folder)?.generation(number)?;
    let mut on_its_way = None;
    for (name, copy) in generation.part(servers::STORE)?.unwrap_or_default().shards {
        let shard = CopiedShard::open(generation.shard_folder(&name), copy)?;
        match kept(shard, id)? {
            Some((kept, Stay::Here)) => return Ok((generation.number, kept)),
            Some((kept, Stay::Arriving)) => on_its_way = Some(kept),
            None => {}
        }
    }
    on_its_way.map(|kept| (generation.number, kept)).ok_or_else(|| none(&generation, id))
}

/// Whether a shard of a backup has a mailbox for good, or was just getting it from another one.
enum Stay {
    Here,
    Arriving,
}

fn none(generation: &Generation, id: MailboxId) -> storage::backup::BackupError {
    let text = format!("generation {} of the backup has no mailbox {id}", generation.number);
    storage::backup::BackupError::Refused(text)
}

fn kept(shard: CopiedShard, id: MailboxId) -> Result<Option<(Kept, Stay)>, ShardError> {
    let view = shard.view();
    let mailbox = Mailbox::new(&view, id);
    let Some(row) = mailbox.row()?.filter(|row| !row.removed) else { return Ok(None) };
    if matches!(transfer::departure(&view, id)?, Some(Departure::Gone { .. })) {
        return Ok(None);
    }
    let stay = if transfer::arrival(&view, id)?.is_some() { Stay::Arriving } else { Stay::Here };
    let (folders, keywords, subscriptions) =
        (mailbox.folders()?, mailbox.keywords()?, mailbox.subscriptions()?);
    let usage = Usage { bytes: row.bytes, messages: row.messages };
    drop(view);
    let kept = Kept { shard: Arc::new(shard), id, folders, keywords, subscriptions, usage };
    Ok(Some((kept, stay)))
}

/// Some messages of a folder, and where to go on.
fn page(
    kept: &Kept,
    folder: &FolderRow,
    from: Uid,
) -> Result<(Vec<KeptMessage>, Option<Uid>), storage::backup::BackupError> {
    let view = kept.shard.view();
    let (mut rows, mut next) = (Vec::new(), None);
    let mut uids = NumberSet::new();
    uids.insert_range(from.0..=u32::MAX);
    Mailbox::new(&view, kept.id).messages(folder.volume, &uids, |row| {
        if rows.len() == PAGE {
            next = Some(row.uid);
            return Ok(ControlFlow::Break(()));
        }
        rows.push(row);
        Ok(ControlFlow::Continue(()))
    })?;
    let messages = rows.iter().map(|row| message(&view, kept, row));
    Ok((messages.collect::<Result<_, _>>()?, next))
}

/// A message, its body verified: what is damaged must not look like mail.
fn message(view: &View<'_>, kept: &Kept, row: &MessageRow) -> Result<KeptMessage, ShardError> {
    let body = view.examine(&row.blob)?.ok().filter(|blob| blob.verify().is_ok());
    Ok(KeptMessage { flags: kept.keywords.flags(row), received: row.received, body })
}

/// The name that a folder gets; one that would be too long or too deep is called by its number.
fn target(prefix: &FolderName, folder: &FolderRow) -> String {
    let name = format!("{prefix}/{}", folder.name);
    match FolderName::parse(&name) {
        Ok(_) => name,
        Err(_) => format!("{prefix}/{}", folder.id.0),
    }
}

fn failed(error: StoreError) -> BackupError {
    BackupError::Failed(error.to_string())
}

/// A body in a backup.
struct KeptBody {
    blob: Blob,
    compute: Compute,
}

impl BodySource for KeptBody {
    fn len(&self) -> u64 {
        self.blob.len()
    }

    fn in_memory(&self) -> Option<Bytes> {
        None
    }

    fn read_blocking(&self, offset: u64, at_most: usize) -> io::Result<Bytes> {
        self.blob.body(offset..offset.saturating_add(at_most as u64)).map_err(io::Error::from)
    }

    fn read<'a>(
        &'a self,
        offset: u64,
        at_most: usize,
    ) -> Pin<Box<dyn Future<Output = io::Result<Bytes>> + Send + 'a>> {
        let (blob, range) = (self.blob.clone(), offset..offset.saturating_add(at_most as u64));
        Box::pin(async move {
            let read = self.compute.run(move || blob.body(range)).await;
            read.map_err(|_| io::Error::from(io::ErrorKind::ResourceBusy))?.map_err(io::Error::from)
        })
    }
}
