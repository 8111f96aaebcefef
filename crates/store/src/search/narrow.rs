//! What can be said of a search before any message is looked at: which messages fulfil it for certain, and which may.
//!
//! Sets of UIDs, marks and the change log answer most searches of clients entirely (all, unseen, flagged, deleted, changed
//! since) at a cost of one small row for 2,048 UIDs. What is left open is judged by rows, then by text.

use super::hints::Holding;
use mail::flags::SystemFlags;
use mail::id::ModSeq;
use mail::search::{Criterion, MAX_DEPTH};
use mail::sequence::NumberSet;
use std::cell::{Cell, OnceCell};
use std::ops::ControlFlow;
use storage::mailboxes::{FolderRow, Mailbox, Mark};
use storage::shard::ShardError;

/// Changes that are looked through for one criterion; beyond, the rows of the messages answer as fast.
const MAX_CHANGES: usize = 20_000;

/// Criteria of one search that the change log is asked for.
const MAX_WALKS: u32 = 4;

/// Messages that fulfil a criterion, and messages outside of which none does.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Bounds {
    pub(super) least: NumberSet,
    pub(super) most: NumberSet,
}

/// Bounds of the criterion among the messages of the folder.
pub(super) fn narrow<'a>(
    mailbox: Mailbox<'a>,
    folder: &'a FolderRow,
    (criterion, hints): (&Criterion, Option<Holding<'a>>),
) -> Result<Bounds, ShardError> {
    let there = mailbox.uids(folder.volume, Mark::There)?;
    let sets = Sets {
        mailbox,
        folder,
        hints,
        there,
        marked: [const { OnceCell::new() }; 3],
        walks: Cell::new(MAX_WALKS),
    };
    sets.bounds(criterion, MAX_DEPTH)
}

struct Sets<'a> {
    mailbox: Mailbox<'a>,
    folder: &'a FolderRow,
    /// What the text index says.
    hints: Option<Holding<'a>>,
    there: NumberSet,
    /// By [`MARKS`], as far as they were asked for.
    marked: [OnceCell<NumberSet>; 3],
    /// Walks through the change log that are left.
    walks: Cell<u32>,
}

const MARKS: [(SystemFlags, Mark); 3] = [
    (SystemFlags::SEEN, Mark::Unseen),
    (SystemFlags::FLAGGED, Mark::Flagged),
    (SystemFlags::DELETED, Mark::Deleted),
];

impl Sets<'_> {
    fn bounds(&self, criterion: &Criterion, depth: usize) -> Result<Bounds, ShardError> {
        // Deeper than that is judged by rows, which say what they always said.
        let Some(depth) = depth.checked_sub(1) else { return Ok(self.unknown()) };
        Ok(match criterion {
            Criterion::All(list) => {
                let mut all = self.exactly(self.there.clone());
                for part in list {
                    let part = self.bounds(part, depth)?;
                    all.least = all.least.intersection(&part.least);
                    all.most = all.most.intersection(&part.most);
                }
                all
            }
            Criterion::Any(list) => {
                let mut any = self.exactly(NumberSet::new());
                for part in list {
                    let part = self.bounds(part, depth)?;
                    any.least = any.least.union(&part.least);
                    any.most = any.most.union(&part.most);
                }
                any
            }
            Criterion::Not(inner) => {
                let inner = self.bounds(inner, depth)?;
                Bounds {
                    least: self.there.difference(&inner.most),
                    most: self.there.difference(&inner.least),
                }
            }
            Criterion::Uids(set) => self.exactly(set.intersection(&self.there)),
            Criterion::Flags(flags) => self.with_flags(*flags)?,
            Criterion::ChangedSince(modseq) => self.changed_since(*modseq)?,
            Criterion::Text(_, needle) => {
                let known = self.hints.as_ref().and_then(|hints| hints.most(needle));
                let most = known.map_or_else(|| self.there.clone(), |most| most.intersection(&self.there));
                Bounds { least: NumberSet::new(), most }
            }
            _ => self.unknown(),
        })
    }

    fn exactly(&self, set: NumberSet) -> Bounds {
        Bounds { least: set.clone(), most: set }
    }

    fn unknown(&self) -> Bounds {
        Bounds { least: NumberSet::new(), most: self.there.clone() }
    }

    fn with_flags(&self, flags: SystemFlags) -> Result<Bounds, ShardError> {
        let (mut most, mut known) = (self.there.clone(), SystemFlags::NONE);
        for ((flag, mark), set) in MARKS.into_iter().zip(&self.marked) {
            if !flags.contains(flag) {
                continue;
            }
            let set = match set.get() {
                Some(set) => set,
                None => {
                    let read = self.mailbox.uids(self.folder.volume, mark)?;
                    set.get_or_init(|| read)
                }
            };
            known = known.union(flag);
            most = if mark == Mark::Unseen { most.difference(set) } else { most.intersection(set) };
        }
        let least = if known == flags { most.clone() } else { NumberSet::new() };
        Ok(Bounds { least, most })
    }

    fn changed_since(&self, modseq: ModSeq) -> Result<Bounds, ShardError> {
        let Some(left) = self.walks.get().checked_sub(1) else { return Ok(self.unknown()) };
        self.walks.set(left);
        let before = ModSeq(modseq.0.saturating_sub(1));
        let changed = changed_after(self.mailbox, self.folder, before, MAX_CHANGES)?;
        Ok(changed.map_or_else(|| self.unknown(), |set| self.exactly(set)))
    }
}

/// The messages that were changed after `since`; `None` where they are more than `most`.
pub(crate) fn changed_after(
    mailbox: Mailbox<'_>,
    folder: &FolderRow,
    since: ModSeq,
    most: usize,
) -> Result<Option<NumberSet>, ShardError> {
    let mut uids = Vec::new();
    mailbox.changed(folder.volume, since, |_, uid| {
        uids.push(uid.0);
        Ok(if uids.len() > most { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
    })?;
    if uids.len() > most {
        return Ok(None);
    }
    uids.sort_unstable();
    Ok(Some(uids.into_iter().collect()))
}
