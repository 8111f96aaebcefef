//! Feeding the text index: large folders only, in batches, long after the mail has come, at a bounded rate.
//!
//! A reconciler: it compares what folders have with what is noted as covered, and needs no word of any change, so that no
//! delivery and no flag costs anything for it. A folder is fed once `searchIndexFromMessages` of its messages are not in
//! the index; until then a search reads them one by one. Once a day it takes out of the index what is gone.
//!
//! The order of a batch: the coming commit is noted, then made, then noted as done together with what it covers
//! (`mailboxes::TextRow`). A crash between any two of these leaves an index that is known, or that is made anew.

use super::text::Text;
use crate::open::{Inner, Store};
use catalog::events::ms;
use mail::id::{MailboxId, Uid};
use mail::sequence::NumberSet;
use std::time::Duration;
use storage::mailboxes::transfer::is_resident;
use storage::mailboxes::{
    Covered, FolderRow, Mailbox, Mark, MessageRow, TextRow, Volume, covered, forget_covered, indexed,
    mailboxes, message_page, put_covered, put_text_row, text_row,
};
use storage::pace::{Pace, Rate};
use storage::shard::{Damage, Rows, Shard, ShardError, Transaction, View};
use storage::text::{Document, Grams, TextError, TextIndex};

/// Time before the first look, and between two: neither a start nor a delivery is to notice.
const PERIOD: Duration = Duration::from_secs(60);
/// Bytes of messages that are taken in, and of the index that are checked or written anew, in a second, on average.
const RATE: u64 = 8 << 20;
/// What is gone is taken out of the index after this time, its text with it.
const SWEEP: Duration = Duration::from_secs(86_400);
/// Mailboxes, or noted volumes, that are looked at together.
const LOOK: usize = 500;
/// Messages, and bytes of messages, that a reader's thread reads before others get their turn.
const PIECE: (usize, u64) = (100, 512 << 10);
/// Messages after which what was fed is made durable and noted.
const BATCH: u64 = 20_000;

/// Why a shard is not gone on with.
#[derive(Debug, thiserror::Error)]
enum Stop {
    #[error("{0}")]
    Shard(#[from] ShardError),
    #[error("{0}")]
    Text(#[from] TextError),
}

/// A folder with its mailbox.
type Owned = (MailboxId, FolderRow);

/// Starts it.
pub(crate) fn start(store: &Store) {
    let (store, mut stopping) = (store.clone(), store.inner().env.tasks.stopping());
    let tasks = store.inner().env.tasks.clone();
    tasks.spawn(async move {
        tokio::select! {
            () = stopping.wait() => {}
            () = run(store.inner()) => {}
        }
    });
}

async fn run(store: &Inner) {
    let pace = Pace::new(&store.env.clock, || Rate::per_second(RATE));
    loop {
        store.env.clock.sleep(PERIOD).await;
        if !once(store, &pace).await {
            return;
        }
    }
}

/// Feeds what is due, in all shards. `false` where the store was closed.
pub(crate) async fn once(store: &Inner, pace: &Pace) -> bool {
    for number in 0..store.shards.len() {
        let (shard, text) = (&store.shards[number], &store.texts[number]);
        let done = match store.switches.get().index_from {
            0 => dismiss(shard, text).await,
            from => look(Feeder { store, number, shard, text, pace, from, row: TextRow::default() }).await,
        };
        match done {
            Ok(()) => {}
            Err(Stop::Shard(ShardError::Closed)) => return false,
            // The next look begins where this one has come to.
            Err(error) => store.env.log.emit(&ms::MsTextIndexFailed { shard: number, error }),
        }
    }
    true
}

/// Removes the files of an index that is not wanted. Those beside a shard that was closed may be another store's by now.
async fn dismiss(shard: &Shard, text: &TextIndex) -> Result<(), Stop> {
    shard.read(|_| Ok::<_, ShardError>(())).await?;
    Ok(text.discard().await?)
}

/// One look at a shard.
async fn look(mut feeder: Feeder<'_>) -> Result<(), Stop> {
    let shard = feeder.shard;
    feeder.row = shard.read(|view| text_row(view)).await?;
    // An index is opened, or made, where there is something for it.
    let mut is_ready = feeder.row.generation != 0;
    if is_ready {
        feeder.ready().await?;
        feeder.sweep().await?;
    }
    let (mut after, from) = (None, feeder.from);
    loop {
        let (large, last) = shard.read(move |view| large_folders(view, after, from)).await?;
        for folder in large {
            if !std::mem::replace(&mut is_ready, true) {
                feeder.ready().await?;
            }
            feeder.feed(folder).await?;
        }
        let Some(last) = last else { return Ok(()) };
        after = Some(last);
    }
}

/// Folders with so many messages, of some mailboxes; and after which mailbox to go on.
fn large_folders(
    view: &View<'_>,
    after: Option<MailboxId>,
    from: u64,
) -> Result<(Vec<Owned>, Option<MailboxId>), ShardError> {
    let some = mailboxes(view, after, LOOK)?;
    let mut large = Vec::new();
    for (id, _) in some.iter().filter(|(_, row)| row.messages >= from) {
        let folders = Mailbox::new(view, *id).folders()?;
        large.extend(folders.into_iter().filter(|f| u64::from(f.messages) >= from).map(|f| (*id, f)));
    }
    Ok((large, some.last().map(|(id, _)| *id)))
}

/// What is at work in one shard.
struct Feeder<'a> {
    store: &'a Inner,
    number: usize,
    shard: &'a Shard,
    text: &'a TextIndex,
    pace: &'a Pace,
    /// Messages from which on a folder is fed.
    from: u64,
    /// As it is noted in the shard.
    row: TextRow,
}

impl Feeder<'_> {
    /// Opens the index, or makes one.
    async fn ready(&mut self) -> Result<(), Stop> {
        let generation = self.text.ready(&self.row, self.pace).await?;
        if generation != self.row.generation {
            if self.row.generation != 0 {
                self.store.env.log.emit(&ms::MsTextIndexRenewed { shard: self.number });
            }
            let row = TextRow { generation, swept: self.store.env.clock.now(), ..TextRow::default() };
            self.shard.commit(move |tx| put_text_row(tx, &row)).await?;
            self.row = row;
        }
        Ok(())
    }

    /// Makes durable and visible what the index was given; it covers this then.
    async fn commit(&mut self, covers: Option<((MailboxId, Volume), Covered)>) -> Result<(), Stop> {
        let next = self.store.env.random.number().max(1);
        let coming = TextRow { next, ..self.row };
        self.shard.commit(move |tx| put_text_row(tx, &coming)).await?;
        self.row = coming;
        self.text.commit(next).await?;
        let done = TextRow { commit: next, ..coming };
        let note = move |tx: &mut Transaction<'_>| {
            put_text_row(tx, &done)?;
            let Some((volume, covers)) = covers else { return Ok(()) };
            // The volume may have gone since, or have left and come back: then its coverage has lapsed.
            if covered(tx, volume, covers.generation)?.is_some_and(|now| now.epoch == covers.epoch) {
                put_covered(tx, volume, &covers)?;
            }
            Ok::<_, ShardError>(())
        };
        self.shard.commit(note).await?;
        self.row = done;
        Ok(())
    }

    /// Once in a while, takes out what is gone: messages, folders, mailboxes.
    async fn sweep(&mut self) -> Result<(), Stop> {
        let now = self.store.env.clock.now();
        if now.since(self.row.swept) < SWEEP {
            return Ok(());
        }
        let mut after = None;
        loop {
            let known = self.shard.read(move |view| indexed(view, after, LOOK)).await?;
            let Some(last) = known.last().copied() else { break };
            for volume in known {
                self.sweep_volume(volume).await?;
            }
            after = Some(last);
        }
        self.row.swept = now;
        self.commit(None).await?;
        Ok(self.text.expunge(self.pace).await?)
    }

    async fn sweep_volume(&self, volume: (MailboxId, Volume)) -> Result<(), Stop> {
        let ((id, of), generation) = (volume, self.row.generation);
        let look = move |view: &View<'_>| {
            if covered(view, volume, generation)?.is_none() || !lives(view, volume)? {
                return Ok(None);
            }
            Mailbox::new(view, id).uids(of, Mark::There).map(Some)
        };
        match self.shard.read(look).await? {
            Some(there) => self.text.keep(id, of, there).await?,
            None => {
                // First the note: who reads it later asks the index for nothing.
                self.shard.commit(move |tx| forget_covered(tx, volume)).await?;
                self.text.forget(id, of).await?;
            }
        }
        Ok(())
    }

    /// Notes that a volume is covered from now on, as yet up to nothing: what happens to the volume while it is read lapses
    /// that. `None`: it has gone already.
    async fn begin(&self, volume: (MailboxId, Volume)) -> Result<Option<Covered>, Stop> {
        // What an earlier volume of this number or a batch that was cut off has left.
        self.text.forget(volume.0, volume.1).await?;
        let epoch = self.store.env.random.number();
        let begun = Covered { generation: self.row.generation, epoch, below: Uid(1) };
        let note = move |tx: &mut Transaction<'_>| {
            let lives = lives(tx, volume)?;
            if lives {
                put_covered(tx, volume, &begun)?;
            }
            Ok::<_, ShardError>(lives.then_some(begun))
        };
        Ok(self.shard.commit(note).await?)
    }

    async fn feed(&mut self, (id, folder): Owned) -> Result<(), Stop> {
        let (volume, generation) = ((id, folder.volume), self.row.generation);
        let look = move |view: &View<'_>| {
            let covered = covered(view, volume, generation)?;
            let first = covered.map_or(Uid(1), |covered| covered.below);
            let there = Mailbox::new(view, id).uids(volume.1, Mark::There)?;
            Ok::<_, ShardError>((covered, there.intersection(&from_on(first)).len()))
        };
        let (known, open) = self.shard.read(look).await?;
        if open < self.from {
            return Ok(());
        }
        let mut covers = match known {
            Some(known) => known,
            None => {
                let Some(begun) = self.begin(volume).await? else { return Ok(()) };
                begun
            }
        };
        let mut unnoted = 0;
        loop {
            let first = covers.below;
            let page = self.shard.read(move |view| documents(view, volume, first)).await?;
            let Some(last) = page.documents.last().map(|d| d.uid) else { break };
            covers.below = Uid(last.0.saturating_add(1));
            unnoted += page.documents.len() as u64;
            self.text.add(page.documents).await?;
            if unnoted >= BATCH {
                self.commit(Some((volume, covers))).await?;
                unnoted = 0;
            }
            if self.pace.step(page.bytes).await.is_break() {
                break;
            }
        }
        self.commit(Some((volume, covers))).await
    }
}

/// Whether a volume is that of a folder, of a mailbox that is here entirely.
fn lives(rows: &dyn Rows, (id, volume): (MailboxId, Volume)) -> Result<bool, ShardError> {
    Ok(is_resident(rows, id)? && Mailbox::new(rows, id).folders()?.iter().any(|f| f.volume == volume))
}

/// All UIDs from this one on.
pub(super) fn from_on(first: Uid) -> NumberSet {
    let mut set = NumberSet::new();
    set.insert_range(first.0..=u32::MAX);
    set
}

/// Some messages as the index wants them.
struct Page {
    documents: Vec<Document>,
    /// Bytes of the messages.
    bytes: u64,
}

/// The next messages of a volume.
fn documents(
    view: &View<'_>,
    (mailbox, volume): (MailboxId, Volume),
    first: Uid,
) -> Result<Page, ShardError> {
    let (mut documents, mut bytes) = (Vec::new(), 0);
    for (uid, row) in message_page(view, (mailbox, volume), first, PIECE)? {
        bytes += row.as_ref().map_or(0, MessageRow::size);
        documents.push(Document { mailbox, volume, uid, grams: grams(view, row)? });
    }
    Ok(Page { documents, bytes })
}

/// What cannot be read is always looked at.
fn grams(view: &View<'_>, row: Option<MessageRow>) -> Result<Grams, ShardError> {
    let Some(row) = row else { return Ok(Grams::always()) };
    let Ok(blob) = view.examine(&row.blob)? else { return Ok(Grams::always()) };
    match Text::new(blob).and_then(|text| text.grams()) {
        Err(error) if Damage::told_by(&error).is_none() => Err(error),
        found => Ok(found.unwrap_or_else(|_| Grams::always())),
    }
}
