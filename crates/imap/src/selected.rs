//! A mailbox as one session sees it: which message has which number.
//!
//! RFC 9051 2.3.1.2: message numbers are places in this session's list, and only EXPUNGE moves them. So the
//! list is this session's own: it grows by EXISTS, shrinks when EXPUNGE has been told, and keeps messages that
//! are gone until then. It is a set of UIDs in ranges: a folder of a million messages costs a few bytes.

use mail::flags::{Flags, Keyword};
use mail::id::{FolderId, ModSeq, Uid, UidValidity};
use mail::sequence::NumberSet;
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
    view: NumberSet,
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
    pub(crate) fn new(opened: &Opened, name: &str, access: Access) -> Self {
        let folder = &opened.folder;
        let keywords = opened.keywords.iter().filter_map(|k| Keyword::new(k)).take(MAX_KEYWORDS).collect();
        Self {
            folder: folder.id,
            name: name.into(),
            access,
            uid_validity: folder.uid_validity,
            modseq: folder.highest_modseq,
            behind: false,
            saved: NumberSet::new(),
            view: opened.uids.clone(),
            gone: NumberSet::new(),
            keywords,
            own: Vec::new(),
        }
    }

    /// How many messages the client has been told of.
    pub(crate) fn exists(&self) -> u32 {
        u32::try_from(self.view.len()).unwrap_or(u32::MAX)
    }

    /// UIDs of the messages in view.
    pub(crate) fn view(&self) -> &NumberSet {
        &self.view
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
            return Ok(self.saved.intersection(&self.view));
        }
        let none = NumberSet::new();
        match by {
            By::Uid => Ok(set.resolve(self.view.last().unwrap_or(0), &none).intersection(&self.view)),
            By::Sequence => {
                let exists = self.exists();
                if set.highest_written().is_some_and(|n| n > exists) && !set.names_last() {
                    return Err(NoSuchNumber);
                }
                Ok(at_places(&self.view, &set.resolve(exists, &none)))
            }
        }
    }

    /// Message numbers of UIDs; those not in view have none.
    pub(crate) fn numbers(&self, uids: &NumberSet) -> NumberSet {
        places_of(&self.view, uids)
    }

    /// Message numbers of UIDs in growing order, one by one.
    pub(crate) fn number_each(&self, uids: impl IntoIterator<Item = Uid>) -> Vec<Option<u32>> {
        let mut uids = uids.into_iter().peekable();
        let Some(first) = uids.peek().map(|uid| uid.0) else { return Vec::new() };
        let mut ranges = self.view.ranges_within(first..=u32::MAX);
        let (mut range, mut place) = (ranges.next(), self.view.rank(first) + 1);
        let number = |Uid(uid)| {
            while let Some(passed) = range.clone().filter(|r| *r.end() < uid) {
                place += u64::from(passed.end() - passed.start()) + 1;
                range = ranges.next();
            }
            let here = range.as_ref().filter(|r| r.contains(&uid))?;
            u32::try_from(place + u64::from(uid - here.start())).ok()
        };
        uids.map(number).collect()
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
        let mut news = News::default();
        for (uid, flags, modseq) in changes.changed {
            news.keywords |= self.note_keywords(&flags);
            if !self.view.contains(uid.0) {
                // What is there and was not in view is new: what has been told to be gone is not there.
                self.view.insert(uid.0);
                news.grown = true;
            } else if !self.is_own(uid, modseq) {
                news.flags.push((uid, flags, modseq));
            }
        }
        let vanished = changes.vanished.intersection(&self.view);
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
        self.view = self.view.difference(&gone);
        self.saved = self.saved.difference(&gone);
        numbers.ranges().rev().collect()
    }

    /// These messages are gone: this session removed them.
    pub(crate) fn remove(&mut self, uids: &NumberSet) {
        let uids = uids.intersection(&self.view);
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

/// The numbers at these places (from 1) of a set.
fn at_places(set: &NumberSet, places: &NumberSet) -> NumberSet {
    let mut out = NumberSet::new();
    walk(set, |range, first_place| {
        let last_place = first_place + (range.end() - range.start());
        for wanted in places.ranges_within(first_place..=last_place) {
            let from = range.start() + (wanted.start() - first_place);
            out.insert_range(from..=from + (wanted.end() - wanted.start()));
        }
    });
    out
}

/// The places (from 1) that these numbers have in a set.
fn places_of(set: &NumberSet, numbers: &NumberSet) -> NumberSet {
    let mut out = NumberSet::new();
    walk(set, |range, first_place| {
        for wanted in numbers.ranges_within(range.clone()) {
            let from = first_place + (wanted.start() - range.start());
            out.insert_range(from..=from + (wanted.end() - wanted.start()));
        }
    });
    out
}

/// Each range with the place of its first number.
fn walk(set: &NumberSet, mut each: impl FnMut(&RangeInclusive<u32>, u32)) {
    let mut place = 1u32;
    for range in set.ranges() {
        each(&range, place);
        place = place.saturating_add((range.end() - range.start()).saturating_add(1));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mail::flags::SystemFlags;
    use proptest::prelude::*;
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
        Selected::new(&opened, "INBOX", Access::ReadWrite)
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

    proptest! {
        #[test]
        fn places_and_numbers_are_inverse(
            uids in prop::collection::btree_set(1u32..80, 0..40),
            some in prop::collection::btree_set(1u32..80, 0..40),
        ) {
            let s = selected(&uids.iter().copied().collect::<Vec<_>>());
            let some: NumberSet = some.into_iter().collect();
            let numbers = s.numbers(&some);
            let expected: Vec<Option<u32>> =
                some.iter().map(|n| uids.iter().position(|u| *u == n).map(|p| p as u32 + 1)).collect();
            prop_assert_eq!(numbers.iter().collect::<Vec<_>>(), expected.iter().flatten().copied().collect::<Vec<_>>());
            prop_assert_eq!(s.number_each(some.iter().map(Uid)), expected);
            prop_assert_eq!(at_places(s.view(), &numbers), some.intersection(s.view()));
        }
    }
}
