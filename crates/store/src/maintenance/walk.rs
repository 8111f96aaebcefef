//! Reading the messages of a mailbox, all of each, and telling what is wrong: for the check and the background check.
//!
//! Rows are read on a reader of the shard in small pages, bodies on threads of the check's own, so that clients meet no
//! line. Whatever is wrong with one message is found for that message; the walk goes on.

use super::verify::finding_kind;
use crate::damage::Place;
use crate::open::Inner;
use env::compute::Compute;
use futures_util::stream::{FuturesUnordered, StreamExt as _};
use mail::id::{MailboxId, Uid};
use mail::message::{Head, Outline};
use roles::maintenance::{Finding, FindingKind};
use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicU64, Ordering};
use storage::mailboxes::{FolderRow, Mailbox, MessageRow, damaged, message_page};
use storage::pace::Pace;
use storage::shard::{Blob, Damage, ShardError, View};
use tokio::sync::Semaphore;

/// Messages of one page.
const PAGE: usize = 64;
/// Bytes of bodies after which a page ends.
const PAGE_BYTES: u64 = 2 << 20;
/// Damaged messages of one mailbox that are compared with what was known before.
const MAX_KNOWN: usize = 10_000;

/// Who walks.
pub(crate) struct Walker<'a> {
    store: &'a Inner,
    pool: Compute,
    places: Semaphore,
    jobs: usize,
    pace: &'a Pace,
    progress: &'a (dyn Fn(u64) + Sync),
    at_once: AtomicU64,
    running: AtomicU64,
}

/// What a walk has met.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Met {
    pub(crate) folders: u64,
    pub(crate) messages: u64,
    pub(crate) bytes: u64,
    pub(crate) damaged: u64,
    /// The pace has ended it.
    pub(crate) ended: bool,
}

/// Some messages of a folder, opened.
struct Page {
    messages: Vec<(Place, Option<MessageRow>, Result<Blob, Damage>)>,
    next: Option<Uid>,
}

impl<'a> Walker<'a> {
    /// Reads this many pages at the same time, at this pace, and says how many bytes each had.
    pub(crate) fn new(
        store: &'a Inner,
        jobs: usize,
        pace: &'a Pace,
        progress: &'a (dyn Fn(u64) + Sync),
    ) -> Self {
        let jobs = jobs.max(1);
        let (at_once, running) = (AtomicU64::new(0), AtomicU64::new(0));
        Self {
            store,
            pool: Compute::new(jobs, jobs),
            places: Semaphore::new(jobs),
            jobs,
            pace,
            progress,
            at_once,
            running,
        }
    }

    /// Most pages that were read at the same moment.
    pub(crate) fn at_once(&self) -> u64 {
        self.at_once.load(Ordering::Relaxed)
    }

    /// Reads all messages of a mailbox. Findings go to `found`, with the place of the message.
    pub(crate) async fn mailbox(
        &self,
        shard: usize,
        id: MailboxId,
        found: &(dyn Fn(Finding, Option<Place>) + Sync),
    ) -> Result<Met, ShardError> {
        let look = move |view: &View<'_>| {
            let folders = Mailbox::new(view, id).folders();
            Ok::<_, ShardError>((folders, damaged(view, Some(id), None, MAX_KNOWN)?))
        };
        let (folders, mut known) = self.store.shards[shard].read(look).await?;
        let mut met = Met::default();
        let folders = match folders {
            Ok(folders) => folders,
            Err(ShardError::Corrupt(why)) => {
                found(row_finding(shard, id, None, &why), None);
                return Ok(met);
            }
            Err(other) => return Err(other),
        };
        for folder in &folders {
            met.folders += 1;
            let bad = self.folder(shard, id, folder, found, &mut met).await?;
            if met.ended {
                return Ok(met);
            }
            known.retain(|row| row.volume != folder.volume || !bad.contains(&row.uid));
        }
        for row in known {
            let folder =
                folders.iter().find(|f| f.volume == row.volume).map_or_else(Default::default, |f| f.id);
            let (mailbox, volume, uid) = (id, row.volume, row.uid);
            self.store.notices.recovered(Place { shard, mailbox, folder, volume, uid });
        }
        Ok(met)
    }

    /// Returns which messages are damaged.
    async fn folder(
        &self,
        shard: usize,
        id: MailboxId,
        folder: &FolderRow,
        found: &(dyn Fn(Finding, Option<Place>) + Sync),
        met: &mut Met,
    ) -> Result<BTreeSet<Uid>, ShardError> {
        let (mut reading, mut bad, mut next) = (FuturesUnordered::new(), BTreeSet::new(), Some(Uid(1)));
        loop {
            while reading.len() < self.jobs
                && let Some(from) = next.filter(|_| !met.ended)
            {
                let page = self.page(shard, id, folder, from).await?;
                next = page.next;
                reading.push(self.read(shard, folder, page, found));
            }
            let Some(done) = reading.next().await else { break };
            let (one, damaged) = done?;
            met.messages += one.messages;
            met.bytes += one.bytes;
            met.damaged += one.damaged;
            met.ended |= one.ended;
            bad.extend(damaged);
        }
        Ok(bad)
    }

    async fn page(
        &self,
        shard: usize,
        mailbox: MailboxId,
        folder: &FolderRow,
        from: Uid,
    ) -> Result<Page, ShardError> {
        let (id, volume) = (folder.id, folder.volume);
        let look = move |view: &View<'_>| {
            let rows = message_page(view, (mailbox, volume), from, (PAGE, PAGE_BYTES))?;
            let next = rows.last().and_then(|(uid, _)| uid.0.checked_add(1)).map(Uid);
            let mut messages = Vec::with_capacity(rows.len());
            for (uid, row) in rows {
                let place = Place { shard, mailbox, folder: id, volume, uid };
                let opened = match &row {
                    Some(row) => view.examine(&row.blob)?,
                    None => Err(Damage::Altered),
                };
                if let (Err(Damage::Widow), Some(row)) = (&opened, &row)
                    && !crate::read::is_there(view, place, row)?
                {
                    continue;
                }
                messages.push((place, row, opened));
            }
            Ok::<_, ShardError>(Page { messages, next })
        };
        self.store.shards[shard].read(look).await
    }

    /// Reads the bodies of a page.
    async fn read(
        &self,
        shard: usize,
        folder: &FolderRow,
        page: Page,
        found: &(dyn Fn(Finding, Option<Place>) + Sync),
    ) -> Result<(Met, Vec<Uid>), ShardError> {
        let (mut met, mut bad) = (Met::default(), Vec::new());
        let place = self.places.acquire().await.map_err(|_| ShardError::Closed)?;
        met.messages = page.messages.len() as u64;
        met.bytes = page.messages.iter().filter_map(|(_, row, _)| Some(row.as_ref()?.size())).sum();
        let now = self.running.fetch_add(1, Ordering::Relaxed) + 1;
        self.at_once.fetch_max(now, Ordering::Relaxed);
        let read = move || page.messages.into_iter().filter_map(examine).collect::<Vec<_>>();
        let wrong = self.pool.run(read).await;
        self.running.fetch_sub(1, Ordering::Relaxed);
        drop(place);
        for (place, wrong) in wrong.map_err(|_| ShardError::Panicked)? {
            met.damaged += 1;
            bad.push(place.uid);
            if let Some(damage) = wrong.damage {
                self.store.notices.notice(place, damage);
            }
            found(wrong.into_finding(shard, place, folder), Some(place));
        }
        (self.progress)(met.bytes);
        met.ended = matches!(self.pace.step(met.bytes).await, ControlFlow::Break(()));
        Ok((met, bad))
    }
}

/// What is wrong with a message.
struct Wrong {
    kind: FindingKind,
    /// As readers meet it; `None` where they do not.
    damage: Option<Damage>,
    message_id: Option<String>,
    bytes: u64,
    detail: &'static str,
}

impl Wrong {
    fn into_finding(self, shard: usize, place: Place, folder: &FolderRow) -> Finding {
        Finding {
            kind: self.kind,
            shard: u32::try_from(shard).unwrap_or(u32::MAX),
            mailbox: Some(place.mailbox),
            folder: Some(folder.name.clone()),
            uid: Some(place.uid),
            message_id: self.message_id,
            bytes: self.bytes,
            detail: self.detail.to_owned(),
            mended: false,
        }
    }
}

/// Reads one message whole.
fn examine(
    (place, row, opened): (Place, Option<MessageRow>, Result<Blob, Damage>),
) -> Option<(Place, Wrong)> {
    let Some(row) = row else {
        let detail = "its row cannot be read";
        let wrong = Wrong { kind: FindingKind::Row, damage: None, message_id: None, bytes: 0, detail };
        return Some((place, wrong));
    };
    let bytes = row.size();
    let (damage, message_id) = match opened {
        Err(damage) => (damage, None),
        Ok(blob) => match blob.verify() {
            Err(damage) => (damage, blob.meta().ok().and_then(|meta| message_id(&meta))),
            Ok(meta) if Outline::decode(&meta).is_ok_and(|outline| outline.size() == bytes) => return None,
            Ok(meta) => {
                let detail = "what is noted of its structure is of another message";
                let (kind, message_id) = (FindingKind::Mismatched, message_id(&meta));
                return Some((place, Wrong { kind, damage: None, message_id, bytes, detail }));
            }
        },
    };
    let (kind, detail) = (finding_kind(damage), "");
    Some((place, Wrong { kind, damage: Some(damage), message_id, bytes, detail }))
}

/// The Message-ID in what is noted of a message.
pub(super) fn message_id(meta: &[u8]) -> Option<String> {
    let id = Head::decode(meta).ok()?.envelope.message_id()?.trim_ascii().to_vec();
    (!id.is_empty()).then(|| String::from_utf8_lossy(&id).into_owned())
}

/// A row of a mailbox that cannot be read.
pub(super) fn row_finding(shard: usize, mailbox: MailboxId, folder: Option<String>, why: &str) -> Finding {
    Finding {
        kind: FindingKind::Row,
        shard: u32::try_from(shard).unwrap_or(u32::MAX),
        mailbox: Some(mailbox),
        folder,
        uid: None,
        message_id: None,
        bytes: 0,
        detail: why.to_owned(),
        mended: false,
    }
}
