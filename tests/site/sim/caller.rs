//! One who uses the store: does a step at a time, chosen by chance, and enters it into the ledger before it is sent.

mod folders;
mod messages;

use crate::finding::{Finding, Kind};
use crate::ledger::{EntryId, Ledger};
use crate::model::{Effect, Token};
use crate::site::{Moves, Site};
use crate::tape::Tape;
use env::clock::Clock;
use env::random::Random;
use mail::flags::{Flags, SystemFlags};
use mail::id::{MailboxId, RequestId};
use roles::store::StoreError;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use store::Store;
use tokio::sync::RwLock;

/// What callers share.
pub(crate) struct World {
    pub(crate) store: Store,
    pub(crate) ledger: Ledger,
    tape: Tape,
    clock: Clock,
    moves: Moves,
    /// Held for writing by an owner who changes folders, for reading by others who deliver.
    gates: BTreeMap<MailboxId, RwLock<()>>,
    next_token: AtomicU64,
}

impl World {
    /// Tokens are counted from this one.
    pub(crate) fn new(site: &Site, ledger: Ledger, ids: &[MailboxId], first_token: Token) -> Self {
        let moves = site.moves;
        let gates = ids.iter().map(|id| (*id, RwLock::default())).collect();
        let (store, tape, clock) = (site.store.clone(), site.tape.clone(), site.clock());
        Self { store, ledger, tape, clock, moves, gates, next_token: AtomicU64::new(first_token) }
    }

    pub(crate) fn ids(&self) -> Vec<MailboxId> {
        self.gates.keys().copied().collect()
    }

    fn token(&self) -> Token {
        self.next_token.fetch_add(1, Ordering::Relaxed)
    }

    /// The token that comes next.
    pub(crate) fn next_token(&self) -> Token {
        self.next_token.load(Ordering::Relaxed)
    }
}

/// A caller and the mailboxes that it owns.
pub(crate) struct Caller {
    world: Arc<World>,
    chance: Random,
    own: Vec<MailboxId>,
    /// Mailboxes of which it does not know what they hold: a request was not answered.
    lost_sight: BTreeSet<MailboxId>,
}

impl Caller {
    pub(crate) fn new(world: &Arc<World>, own: Vec<MailboxId>, seed: u64) -> Self {
        let chance = Random::seeded(seed);
        Self { world: Arc::clone(world), chance, own, lost_sight: BTreeSet::new() }
    }

    /// Does this many steps, or fewer where nothing can be done any more.
    pub(crate) async fn run(&mut self, steps: usize) {
        for _ in 0..steps {
            let usable: Vec<MailboxId> =
                self.own.iter().filter(|id| !self.lost_sight.contains(id)).copied().collect();
            let Some(id) = self.pick(&usable).copied() else { return };
            self.world.clock.advance(Duration::from_millis(self.chance.below(LONGEST_STEP)));
            self.step(id).await;
            // A full disk is emptied when some have been refused.
            if self.world.tape.is_full() && self.chance.below(FULL_STEPS) == 0 {
                self.world.tape.make_room();
            }
        }
    }

    async fn step(&mut self, id: MailboxId) {
        if !self.world.ledger.mailbox(id).exists() {
            return self.begin_mailbox(id).await;
        }
        match self.chance.below(100) {
            0..28 => self.deliver(id).await,
            28..38 => self.append(id).await,
            38..52 => self.flags(id).await,
            52..62 => self.expunge(id).await,
            62..68 => self.delete(id).await,
            68..75 => self.copy(id).await,
            75..82 => self.move_messages(id).await,
            82..88 => self.catch_up(id).await,
            88..90 => self.subscribe(id).await,
            93..96 => self.collect(id).await,
            90..93 if self.world.moves == Moves::Some => self.resettle(id).await,
            _ => self.reshape(id).await,
        }
    }

    /// Does what shows that a store is of use: a message comes, gets flags, and goes.
    pub(crate) async fn go_on(&mut self) {
        for id in self.own.clone() {
            if !self.world.ledger.mailbox(id).exists() {
                self.begin_mailbox(id).await;
            }
            self.deliver(id).await;
            self.flags(id).await;
            self.move_messages(id).await;
            self.delete(id).await;
        }
    }

    fn pick<'a, T>(&self, of: &'a [T]) -> Option<&'a T> {
        of.get(self.chance.below(of.len() as u64) as usize)
    }

    fn request(&self) -> RequestId {
        self.chance.request_id()
    }

    /// Some of the messages of a folder.
    fn some(&self, uids: impl Iterator<Item = u32>) -> Vec<u32> {
        let one_in = 1 + self.chance.below(4);
        uids.filter(|_| self.chance.below(one_in) == 0).collect()
    }

    fn some_flags(&self) -> Flags {
        let mut flags = Flags::system(SystemFlags::from_bits(self.chance.below(32) as u8));
        for keyword in ["Work", "$Junk", "later"] {
            if self.chance.below(4) == 0 {
                flags.add_named(keyword);
            }
        }
        flags
    }

    /// Settles an entry with what was answered. Whatever is neither done nor certainly undone stays open, and its
    /// mailbox is left alone from then on.
    fn settle(&mut self, id: MailboxId, entry: EntryId, outcome: Result<Vec<Effect>, StoreError>) {
        let ledger = &self.world.ledger;
        match outcome {
            Ok(effects) => ledger.done(entry, effects),
            Err(StoreError::NoSpace) => ledger.refused(entry),
            Err(StoreError::Unavailable) => drop(self.lost_sight.insert(id)),
            Err(other) => {
                ledger.refused(entry);
                ledger.found(Finding::new(Kind::Refused, format!("mailbox {}: {other:?}", id.0)));
                self.lost_sight.insert(id);
            }
        }
    }

    /// Notes an answer that is not what was asked for.
    fn wrong(&self, id: MailboxId, kind: Kind, text: impl std::fmt::Display) {
        self.world.ledger.found(Finding::new(kind, format!("mailbox {}: {text}", id.0)));
    }
}

/// Steps of a caller, about, while a disk is full.
const FULL_STEPS: u64 = 5;
/// A step takes up to this many milliseconds of the calendar.
const LONGEST_STEP: u64 = 8000;
