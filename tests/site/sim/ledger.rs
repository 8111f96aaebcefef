//! Who was told what, and when: the measure of what a crash may leave.
//!
//! A request is entered before it is sent and gets its outcome when its answer is there, each with the moment of the
//! tape. So at any moment it is known what must be there (answered before), what may be (begun, not answered) and what
//! cannot be (not begun). A mailbox has one owner who does one thing at a time; others only deliver into its Inbox, and
//! not while the owner changes its folders. So of the open requests of a mailbox at most one is not a delivery.

use crate::finding::{Finding, Kind, compare};
use crate::look::Seen;
use crate::model::{Effect, Mailbox, Past, Token};
use crate::site::{Moves, SHARDS, Site, shard_of};
use crate::tape::Tape;
use mail::flags::Flags;
use mail::id::{FolderId, MailboxId, ModSeq, RequestId, UidValidity};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// What became of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// No answer yet, or one that says that it is not known.
    Open,
    /// Done; told at this moment.
    Done(usize),
    /// Not done, for certain.
    Refused,
}

/// A request as far as one mailbox goes.
#[derive(Debug, Clone)]
struct Entry {
    begun: usize,
    outcome: Outcome,
    effects: Vec<Effect>,
    delivery: Option<usize>,
}

/// A delivery, to be repeated with its request id.
#[derive(Debug, Clone)]
pub(crate) struct Delivery {
    pub(crate) request: RequestId,
    pub(crate) token: Token,
    pub(crate) to: Vec<MailboxId>,
    pub(crate) begun: usize,
}

/// What a client has seen of a folder.
#[derive(Debug, Clone)]
pub(crate) struct Shown {
    pub(crate) at: usize,
    pub(crate) mailbox: MailboxId,
    pub(crate) folder: FolderId,
    pub(crate) validity: UidValidity,
    pub(crate) up_to: ModSeq,
    /// All messages, where it was a look at all.
    pub(crate) known: Option<BTreeMap<u32, Flags>>,
    /// Messages with the ModSeq of their last change.
    pub(crate) marks: Vec<(u32, ModSeq, Flags)>,
}

/// Names an entry.
#[derive(Debug, Clone, Copy)]
pub(crate) struct EntryId(MailboxId, usize);

#[derive(Default)]
struct Book {
    base: BTreeMap<MailboxId, Mailbox>,
    past: BTreeMap<MailboxId, Past>,
    entries: BTreeMap<MailboxId, Vec<Entry>>,
    current: BTreeMap<MailboxId, Mailbox>,
    deliveries: Vec<Delivery>,
    shown: Vec<Shown>,
    findings: Vec<Finding>,
}

/// The ledger of one store. Shared by all callers.
pub(crate) struct Ledger {
    tape: Tape,
    moves: Moves,
    book: Mutex<Book>,
}

/// What must be there at a moment, once it is known which open requests were done.
pub(crate) struct Resolved {
    pub(crate) mailboxes: BTreeMap<MailboxId, Mailbox>,
    pub(crate) past: BTreeMap<MailboxId, Past>,
    /// Deliveries by number, with the mailboxes that have (or had) their message.
    pub(crate) delivered: BTreeMap<usize, BTreeSet<MailboxId>>,
    pub(crate) findings: Vec<Finding>,
}

impl Ledger {
    /// Of a store in which there is this already.
    pub(crate) fn new(
        site: &Site,
        base: BTreeMap<MailboxId, Mailbox>,
        past: BTreeMap<MailboxId, Past>,
        shown: Vec<Shown>,
    ) -> Self {
        let current = base.clone();
        let (tape, moves) = (site.tape.clone(), site.moves);
        Self { tape, moves, book: Mutex::new(Book { base, past, current, shown, ..Book::default() }) }
    }

    /// A mailbox as it should be now, by what was answered.
    pub(crate) fn mailbox(&self, id: MailboxId) -> Mailbox {
        self.book().current.get(&id).cloned().unwrap_or_default()
    }

    /// Enters a delivery; its number goes with the entries of its mailboxes.
    pub(crate) fn delivery(&self, request: RequestId, token: Token, to: Vec<MailboxId>) -> usize {
        let begun = self.tape.len();
        let mut book = self.book();
        book.deliveries.push(Delivery { request, token, to, begun });
        book.deliveries.len() - 1
    }

    pub(crate) fn deliveries(&self) -> Vec<Delivery> {
        self.book().deliveries.clone()
    }

    /// Enters a request that is about to be sent.
    pub(crate) fn begin(&self, id: MailboxId, effects: Vec<Effect>, delivery: Option<usize>) -> EntryId {
        let mut book = self.book();
        let entries = book.entries.entry(id).or_default();
        entries.push(Entry { begun: self.tape.len(), outcome: Outcome::Open, effects, delivery });
        EntryId(id, entries.len() - 1)
    }

    /// It was done, and this is what it did.
    pub(crate) fn done(&self, id: EntryId, effects: Vec<Effect>) {
        let mut book = self.book();
        let mut current = book.current.remove(&id.0).unwrap_or_default();
        let nothing = Mailbox::default();
        effects.iter().for_each(|e| current.apply(e, &nothing, &mut Past::default()));
        book.current.insert(id.0, current);
        if let Some(entry) = book.entry(id) {
            (entry.effects, entry.outcome) = (effects, Outcome::Done(self.tape.len()));
        }
    }

    /// It was not done.
    pub(crate) fn refused(&self, id: EntryId) {
        if let Some(entry) = self.book().entry(id) {
            entry.outcome = Outcome::Refused;
        }
    }

    /// A client has seen this.
    pub(crate) fn show(&self, mut shown: Shown) {
        shown.at = self.tape.len();
        self.book().shown.push(shown);
    }

    /// What clients had seen at a moment.
    pub(crate) fn shown(&self, at: usize) -> Vec<Shown> {
        self.book().shown.iter().filter(|s| s.at <= at).cloned().collect()
    }

    /// The highest ModSeq that was ever shown of a folder.
    pub(crate) fn highest(&self, mailbox: MailboxId, folder: FolderId) -> ModSeq {
        let book = self.book();
        let of_it = book.shown.iter().filter(|s| s.mailbox == mailbox && s.folder == folder);
        of_it.map(|s| s.up_to).max().unwrap_or(ModSeq::ZERO)
    }

    /// Something was seen to be wrong while requests were made.
    pub(crate) fn found(&self, finding: Finding) {
        self.book().findings.push(finding);
    }

    /// What was found wrong while requests were made.
    pub(crate) fn findings(&self) -> Vec<Finding> {
        self.book().findings.clone()
    }

    /// How many requests were entered, once for each mailbox that they change.
    pub(crate) fn requests(&self) -> usize {
        self.book().entries.values().map(Vec::len).sum()
    }

    /// Compares what is found after a crash at a moment with what was told by then.
    pub(crate) fn resolve(&self, at: usize, seen: &BTreeMap<MailboxId, Seen>) -> Resolved {
        let book = self.book();
        let mut resolved = Resolved {
            mailboxes: BTreeMap::new(),
            past: BTreeMap::new(),
            delivered: BTreeMap::new(),
            findings: Vec::new(),
        };
        for (&id, seen) in seen {
            book.resolve_one(id, at, seen, &mut resolved);
        }
        if self.moves == Moves::None {
            book.check_whole(at, &mut resolved);
        }
        resolved
    }

    fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Book {
    fn entry(&mut self, id: EntryId) -> Option<&mut Entry> {
        self.entries.get_mut(&id.0)?.get_mut(id.1)
    }

    fn resolve_one(&self, id: MailboxId, at: usize, seen: &Seen, resolved: &mut Resolved) {
        let mut best: Option<(Mailbox, Past, Vec<usize>, Vec<Finding>)> = None;
        for open in [Open::NotDone, Open::Done] {
            let (mailbox, past, delivered) = self.replay(id, at, seen, open);
            let findings = compare(id, &mailbox, seen, &past);
            if best.as_ref().is_none_or(|(.., found)| findings.len() < found.len()) {
                best = Some((mailbox, past, delivered, findings));
            }
        }
        let Some((mailbox, past, delivered, findings)) = best else { return };
        resolved.findings.extend(findings);
        let shown = self.shown.iter().filter(|s| s.mailbox == id && s.at <= at);
        resolved.findings.extend(shown.flat_map(|s| seen.check_shown(s, &past)));
        resolved.mailboxes.insert(id, mailbox);
        resolved.past.insert(id, past);
        for number in delivered {
            resolved.delivered.entry(number).or_default().insert(id);
        }
    }

    /// The mailbox after all that was told by a moment, with or without what the owner had begun. Open deliveries
    /// count where their message is found.
    fn replay(&self, id: MailboxId, at: usize, seen: &Seen, open: Open) -> (Mailbox, Past, Vec<usize>) {
        let found = &seen.mailbox;
        let mut mailbox = self.base.get(&id).cloned().unwrap_or_default();
        let mut past = self.past.get(&id).cloned().unwrap_or_default();
        let mut delivered = Vec::new();
        for entry in self.entries.get(&id).into_iter().flatten() {
            let counts = match (entry.outcome, entry.delivery) {
                (Outcome::Done(told), _) if told <= at => true,
                (Outcome::Refused, _) => false,
                _ if entry.begun >= at => false,
                (_, Some(number)) => found.count(self.deliveries[number].token) > 0,
                (_, None) => open == Open::Done,
            };
            if counts {
                entry.effects.iter().for_each(|e| mailbox.apply(e, found, &mut past));
                delivered.extend(entry.delivery);
            }
        }
        (mailbox, past, delivered)
    }

    /// A delivery is one commit in each shard: where mailboxes stay in their shards, all of its mailboxes have it, or none.
    fn check_whole(&self, at: usize, resolved: &mut Resolved) {
        for (number, delivery) in self.deliveries.iter().enumerate().filter(|(_, d)| d.begun < at) {
            let there = resolved.delivered.get(&number);
            for shard in 0..SHARDS {
                let of_shard = delivery.to.iter().filter(|id| shard_of(**id) == shard);
                let in_one: Vec<bool> = of_shard.map(|id| there.is_some_and(|t| t.contains(id))).collect();
                let refused = delivery.to.iter().any(|id| self.was_refused(*id, number));
                if in_one.contains(&true) && in_one.contains(&false) && !refused {
                    let text = format!("delivery {} is in a part of {:?}", delivery.token, delivery.to);
                    resolved.findings.push(Finding::new(Kind::Lost, text));
                }
            }
        }
    }

    fn was_refused(&self, id: MailboxId, number: usize) -> bool {
        let entries = self.entries.get(&id).into_iter().flatten();
        entries.filter(|e| e.delivery == Some(number)).any(|e| e.outcome == Outcome::Refused)
    }
}

/// What is assumed of the request that an owner had begun.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Open {
    Done,
    NotDone,
}
