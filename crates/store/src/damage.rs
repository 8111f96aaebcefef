//! Messages that cannot be read: said once in the log, noted for lists, and given to nobody.
//!
//! Whoever meets one says so here and goes on with the next: damage in one message is never an error of its mailbox.
//! What is noted is written down a little later, by a task of its own; where its line is full, the next who reads the
//! message says it again.

use catalog::events::ms;
use env::Env;
use env::clock::Clock;
use mail::id::{FolderId, MailboxId, Uid};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use storage::mailboxes::{DamagedRow, Volume, forget_damage, note_damage};
use storage::shard::{Damage, Shard, Transaction};
use tokio::sync::{mpsc, oneshot};

/// Damaged messages that are remembered in memory: beyond, all are forgotten and said again when they are met.
const MAX_KNOWN: usize = 10_000;
/// Notes that wait to be written down.
const WAITING: usize = 1000;

/// Which message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) shard: usize,
    pub(crate) mailbox: MailboxId,
    pub(crate) folder: FolderId,
    pub(crate) volume: Volume,
    pub(crate) uid: Uid,
}

impl Place {
    fn key(&self) -> (MailboxId, Volume, Uid) {
        (self.mailbox, self.volume, self.uid)
    }
}

/// What is known of damaged messages. Clones share it.
#[derive(Clone)]
pub(crate) struct Notices(Arc<Shared>);

struct Shared {
    env: Env,
    known: Mutex<BTreeMap<(MailboxId, Volume, Uid), Damage>>,
    line: mpsc::Sender<Waiting>,
}

#[derive(Debug, Clone, Copy)]
struct Note {
    place: Place,
    /// `None`: it is whole again.
    damage: Option<Damage>,
}

/// What stands in the line of the task that writes.
enum Waiting {
    Note(Note),
    /// Who asks is told when all that was noted before is written down.
    Asked(oneshot::Sender<()>),
}

impl Notices {
    /// Starts the task that writes down what is noted.
    pub(crate) fn start(env: &Env, shards: &[Shard]) -> Self {
        let (line, notes) = mpsc::channel(WAITING);
        let (shards, mut stopping, clock) = (shards.to_vec(), env.tasks.stopping(), env.clock.clone());
        env.tasks.spawn(async move {
            tokio::select! {
                () = stopping.wait() => {}
                () = write_down(notes, &shards, &clock) => {}
            }
        });
        Self(Arc::new(Shared { env: env.clone(), known: Mutex::default(), line }))
    }

    /// This message is damaged.
    pub(crate) fn notice(&self, place: Place, damage: Damage) {
        let mut known = self.0.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= MAX_KNOWN {
            known.clear();
        }
        let is_new = known.insert(place.key(), damage) != Some(damage);
        drop(known);
        if is_new {
            let Place { mailbox, folder, uid, .. } = place;
            self.0.env.log.emit(&ms::MsMsgDamaged { mailbox, folder, uid, damage });
            let _ = self.0.line.try_send(Waiting::Note(Note { place, damage: Some(damage) }));
        }
    }

    /// This message, which was damaged, is whole or gone.
    pub(crate) fn recovered(&self, place: Place) {
        self.0.known.lock().unwrap_or_else(PoisonError::into_inner).remove(&place.key());
        let _ = self.0.line.try_send(Waiting::Note(Note { place, damage: None }));
    }

    /// Returns when all that was noted until now is written down, or the store ends.
    pub(crate) async fn written(&self) {
        let (told, written) = oneshot::channel();
        if self.0.line.send(Waiting::Asked(told)).await.is_ok() {
            let _ = written.await;
        }
    }

    /// Whether this message was found damaged since the start.
    pub(crate) fn is_known(&self, place: Place) -> bool {
        self.0.known.lock().unwrap_or_else(PoisonError::into_inner).contains_key(&place.key())
    }
}

async fn write_down(mut line: mpsc::Receiver<Waiting>, shards: &[Shard], clock: &Clock) {
    while let Some(next) = line.recv().await {
        match next {
            Waiting::Note(note) => write_one(note, shards, clock).await,
            // Who asked may be gone.
            Waiting::Asked(told) => drop(told.send(())),
        }
    }
}

async fn write_one(Note { place, damage }: Note, shards: &[Shard], clock: &Clock) {
    let Place { shard, mailbox, volume, uid, .. } = place;
    let found = clock.now();
    let write = move |tx: &mut Transaction<'_>| match damage {
        Some(damage) => note_damage(tx, &DamagedRow { mailbox, volume, uid, damage, found }),
        None => forget_damage(tx, mailbox, volume, uid),
    };
    if let Some(shard) = shards.get(shard) {
        // A list that lacks one message until it is read again is no reason to fail anything.
        let _ = shard.commit(write).await;
    }
}
