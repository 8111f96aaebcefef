//! A mailbox as one session sees it: which message has which number.
//!
//! RFC 9051 2.3.1.2: message numbers are places in this session's list, and only EXPUNGE moves them. So the
//! list is this session's own: it grows by EXISTS, shrinks when EXPUNGE has been told, and keeps messages that
//! are gone until then. It is a set of UIDs in ranges: a folder of a million messages costs a few bytes, and what is
//! asked of it costs what is asked for, not what is in view.

use mail::flags::{Flags, Keyword};
use mail::id::{FolderId, ModSeq, Uid, UidValidity};
use mail::sequence::{NumberSet, Numbered};
use roles::store::{Changes, FlagsChanged, Opened};
use std::collections::BTreeSet;
use std::ops::RangeInclusive;
use wire::imap::command::{Access, By, SequenceSet};

/// Most keywords that are remembered of a folder.
const MAX_KEYWORDS: usize = 500;

/// The selected mailbox.
#[derive(Debug)]
pub(crate) struct Selected {
    pub(crate) folder: FolderId,
    pub(crate) name: Box<str>,
    pub(crate) access: Access,
    pub(crate) uid_validity: UidValidity,
    /// Everything up to here has been told, or is in `gone`.
    pub(crate) modseq: ModSeq,
    /// The store could not be asked when there was news: the next command asks.
    pub(crate) behind: bool,
    /// What `$` stands for.
    pub(crate) saved: NumberSet,
    view: Numbered,
    /// In the view, gone from the store, and not yet told.
    gone: NumberSet,
    keywords: BTreeSet<Keyword>,
    own: Vec<OwnChange>,
}

/// Changes of flags that this session made itself and has told, or was asked not to tell.
#[derive(Debug)]
struct OwnChange {
    uids: NumberSet,
    /// All changes of one request have the numbers in this range, and no other change has.
    modseqs: RangeInclusive<u64>,
}

/// A number that no message has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct NoSuchNumber;

/// What a client is to be told.
#[derive(Debug, Default)]
pub(crate) struct News {
    /// Messages whose flags have changed, in order of ModSeq.
    pub(crate) flags: Vec<(Uid, Flags, ModSeq)>,
    /// Whether there are new messages.
    pub(crate) grown: bool,
    /// Whether there are new keywords.
    pub(crate) keywords: bool,
}

impl Selected {
    pub(crate) fn new(opened: Opened, name: &str, access: Access) -> Self {
        let folder = opened.folder;
        let keywords = opened.keywords.iter().filter_map(|k| Keyword::new(k)).take(MAX_KEYWORDS).collect();
        Self {
            folder: folder.id,
            name: name.into(),
            access,
            uid_validity: folder.uid_validity,
            modseq: folder.highest_modseq,
            behind: false,
            saved: NumberSet::new(),
            view: Numbered::new(opened.uids),
            gone: NumberSet::new(),
            keywords,
            own: Vec::new(),
        }
    }

    /// How many messages the client has been told of.
    pub(crate) fn exists(&self) -> u32 {
        self.view.len()
    }

    /// UIDs of the messages in view.
    pub(crate) fn view(&self) -> &NumberSet {
        self.view.set()
    }

    /// Keywords of the folder.
    pub(crate) fn keywords(&self) -> impl Iterator<Item = &Keyword> {
        self.keywords.iter()
    }

    /// UIDs in view that a set names.
    ///
    /// RFC 9051 9: a message number that no message has is an error; a UID that no message has is none.
    pub(crate) fn resolve(&self, by: By, set: &SequenceSet) -> Result<NumberSet, NoSuchNumber> {
        if *set == SequenceSet::Saved {
            return Ok(self.saved.intersection(self.view.set()));
        }
        let none = NumberSet::new();
        match by {
            By::Uid => {
                let view = self.view.set();
                Ok(set.resolve(view.last().unwrap_or(0), &none).intersection(view))
            }
            By::Sequence => {
                let exists = self.exists();
                if set.highest_written().is_some_and(|n| n > exists) && !set.names_last() {
                    return Err(NoSuchNumber);
                }
                Ok(self.view.at(&set.resolve(exists, &none)))
            }
        }
    }

    /// Message numbers of UIDs; those not in view have none.
    pub(crate) fn numbers(&self, uids: &NumberSet) -> NumberSet {
        self.view.places(uids)
    }

    /// The message number of a UID.
    pub(crate) fn number(&self, uid: Uid) -> Option<u32> {
        self.view.place(uid.0)
    }

    /// Remembers changes that this session makes and tells of itself. `true`: there are new keywords.
    pub(crate) fn note_own(&mut self, changed: &FlagsChanged) -> bool {
        let modseqs = changed.now.iter().map(|(_, _, m)| m.0).filter(|m| *m > self.modseq.0);
        if let (Some(first), Some(last)) = (modseqs.clone().min(), modseqs.max()) {
            let uids = changed.now.iter().map(|(uid, ..)| *uid).collect();
            self.own.push(OwnChange { uids, modseqs: first..=last });
        }
        changed.now.iter().fold(false, |new, (_, flags, _)| self.note_keywords(flags) | new)
    }

    /// Takes in what has happened; returns what there is to tell, except for what is gone.
    pub(crate) fn learn(&mut self, changes: Changes) -> News {
        let (mut news, mut new) = (News::default(), NumberSet::new());
        for (uid, flags, modseq) in changes.changed {
            news.keywords |= self.note_keywords(&flags);
            if !self.view.set().contains(uid.0) {
                // What is there and was not in view is new: what has been told to be gone is not there.
                new.insert(uid.0);
            } else if !self.is_own(uid, modseq) {
                news.flags.push((uid, flags, modseq));
            }
        }
        news.grown = !new.is_empty();
        self.view.add(&new);
        let vanished = changes.vanished.intersection(self.view.set());
        vanished.ranges().for_each(|range| self.gone.insert_range(range));
        self.modseq = self.modseq.max(changes.up_to);
        self.own.retain(|own| *own.modseqs.end() > changes.up_to.0);
        news
    }

    /// Takes out what is gone; returns the numbers to tell, greatest first: so none moves another.
    pub(crate) fn take_gone(&mut self) -> Vec<RangeInclusive<u32>> {
        if self.gone.is_empty() {
            return Vec::new();
        }
        let gone = std::mem::take(&mut self.gone);
        let numbers = self.numbers(&gone);
        self.view.remove(&gone);
        self.saved = self.saved.difference(&gone);
        numbers.ranges().rev().collect()
    }

    /// These messages are gone: this session removed them.
    pub(crate) fn remove(&mut self, uids: &NumberSet) {
        let uids = uids.intersection(self.view.set());
        uids.ranges().for_each(|range| self.gone.insert_range(range));
    }

    fn note_keywords(&mut self, flags: &Flags) -> bool {
        let mut new = false;
        for keyword in &flags.keywords {
            if self.keywords.len() < MAX_KEYWORDS && !self.keywords.contains(keyword) {
                new |= self.keywords.insert(keyword.clone());
            }
        }
        new
    }

    fn is_own(&self, uid: Uid, modseq: ModSeq) -> bool {
        self.own.iter().any(|own| own.modseqs.contains(&modseq.0) && own.uids.contains(uid.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mail::flags::SystemFlags;
    use roles::store::Folder;
    use std::num::NonZeroU32;
    use wire::imap::command::Bound;

    fn selected(uids: &[u32]) -> Selected {
        let folder = Folder {
            id: FolderId::INBOX,
            name: "INBOX".into(),
            uid_validity: UidValidity(1),
            uid_next: Uid(100),
            highest_modseq: ModSeq(10),
            messages: 0,
            unseen: 0,
            deleted: 0,
            bytes: 0,
            subscribed: false,
            special_use: None,
        };
        let uids = uids.iter().copied().collect();
        let opened = Opened { folder, uids, keywords: vec![], first_unseen: None };
        Selected::new(opened, "INBOX", Access::ReadWrite)
    }

    fn set(ranges: &[(u32, u32)]) -> SequenceSet {
        let bound = |n: u32| NonZeroU32::new(n).map_or(Bound::Last, Bound::Number);
        SequenceSet::Ranges(ranges.iter().map(|&(a, b)| (bound(a), bound(b))).collect())
    }

    fn changes(changed: &[(u32, u64)], vanished: &[u32], up_to: u64) -> Changes {
        Changes {
            changed: changed.iter().map(|&(u, m)| (Uid(u), Flags::default(), ModSeq(m))).collect(),
            vanished: vanished.iter().copied().collect(),
            up_to: ModSeq(up_to),
            folder: None,
        }
    }

    #[test]
    fn numbers_and_uids_are_resolved_in_view() {
        let s = selected(&[3, 4, 9, 20]);
        let resolve = |by, ranges: &[(u32, u32)]| s.resolve(by, &set(ranges)).map(|n| n.to_string());
        assert_eq!(resolve(By::Sequence, &[(2, 3)]), Ok("4,9".into()));
        assert_eq!(resolve(By::Sequence, &[(4, 0)]), Ok("20".into()));
        assert_eq!(resolve(By::Sequence, &[(5, 0)]), Ok("20".into()));
        assert_eq!(resolve(By::Sequence, &[(2, 5)]), Err(NoSuchNumber));
        assert_eq!(resolve(By::Uid, &[(1, 9)]), Ok("3:4,9".into()));
        assert_eq!(resolve(By::Uid, &[(99, 0)]), Ok("20".into()));
        assert_eq!(selected(&[]).resolve(By::Sequence, &set(&[(1, 0)])), Ok(NumberSet::new()));
    }

    #[test]
    fn what_is_gone_keeps_its_number_until_it_is_told() {
        let mut s = selected(&[3, 4, 9, 20]);
        s.learn(changes(&[(21, 12)], &[4, 20], 13));
        assert_eq!((s.exists(), s.modseq), (5, ModSeq(13)));
        assert_eq!(s.numbers(&NumberSet::one(21)).to_string(), "5");
        // Greatest first, so that the lower ones still fit.
        assert_eq!(s.take_gone(), [4..=4, 2..=2]);
        assert_eq!((s.exists(), s.view().to_string()), (3, "3,9,21".into()));
        assert!(s.take_gone().is_empty());
    }

    #[test]
    fn new_messages_are_found_in_any_order() {
        let mut s = selected(&[3]);
        let news = s.learn(changes(&[(12, 11), (11, 12), (3, 13)], &[], 13));
        assert!(news.grown);
        assert_eq!(news.flags.len(), 1);
        assert_eq!(s.view().to_string(), "3,11:12");
    }

    #[test]
    fn own_changes_are_not_news_but_later_ones_of_others_are() {
        let mut s = selected(&[3, 4]);
        let now = |uid, m| (Uid(uid), Flags::system(SystemFlags::SEEN), ModSeq(m));
        s.note_own(&FlagsChanged { now: vec![now(3, 11), now(4, 12)], modified: NumberSet::new() });
        let news = s.learn(changes(&[(3, 11), (4, 14)], &[], 14));
        assert_eq!(news.flags.iter().map(|f| f.0).collect::<Vec<_>>(), [Uid(4)]);
        assert!(s.own.is_empty());
    }
}
