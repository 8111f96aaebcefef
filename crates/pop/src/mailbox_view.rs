//! What a client has been told of its mailbox: numbers from 1, octets in all, marks for removal. RFC 1939 5.
//!
//! Fixed at login and pure: new mail is seen by the next session, marks are known to nobody else. Which messages there
//! are is kept in ranges, and the size of each is asked of the store where a client asks for it: a poll of a large
//! mailbox costs neither time nor memory for every message.

use mail::id::{Uid, UidValidity};
use mail::sequence::{NumberSet, Numbered};
use std::collections::BTreeMap;
use wire::pop3::command::Number;

/// The listing of a session.
#[derive(Debug)]
pub(crate) struct MailboxView {
    pub(crate) uid_validity: UidValidity,
    uids: Numbered,
    octets: u64,
    /// UIDs with a mark, and their octets.
    marked: BTreeMap<u32, u64>,
    marked_octets: u64,
}

impl MailboxView {
    /// These messages, with so many octets in all.
    pub(crate) fn new(uid_validity: UidValidity, uids: NumberSet, octets: u64) -> Self {
        let uids = Numbered::new(uids);
        Self { uid_validity, uids, octets, marked: BTreeMap::new(), marked_octets: 0 }
    }

    /// Of a mailbox without messages. No message, so nothing that carries the UIDVALIDITY.
    pub(crate) fn empty() -> Self {
        Self::new(UidValidity(1), NumberSet::new(), 0)
    }

    /// Count and octets of what is not marked.
    pub(crate) fn totals(&self) -> (u64, u64) {
        let count = u64::from(self.uids.len()).saturating_sub(self.marked.len() as u64);
        (count, self.octets.saturating_sub(self.marked_octets))
    }

    /// A message that is not marked.
    pub(crate) fn get(&self, number: Number) -> Option<Uid> {
        let uid = self.uids.at(&NumberSet::one(number)).first()?;
        (!self.marked.contains_key(&uid)).then_some(Uid(uid))
    }

    /// Its number.
    pub(crate) fn number(&self, uid: Uid) -> Option<u32> {
        self.uids.place(uid.0)
    }

    /// The messages that are not marked.
    pub(crate) fn listed(&self) -> NumberSet {
        self.uids.set().difference(&self.marked())
    }

    /// Marks a message of so many octets, once.
    pub(crate) fn mark(&mut self, uid: Uid, octets: u64) {
        if self.marked.insert(uid.0, octets).is_none() {
            self.marked_octets += octets;
        }
    }

    /// Takes all marks back.
    pub(crate) fn unmark_all(&mut self) {
        self.marked.clear();
        self.marked_octets = 0;
    }

    /// The messages that QUIT removes.
    pub(crate) fn marked(&self) -> NumberSet {
        self.marked.keys().copied().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_hide_a_message_and_keep_the_numbers_of_the_others() {
        let mut view = MailboxView::new(UidValidity(7), [3, 5, 9].into_iter().collect(), 600);
        assert_eq!(view.totals(), (3, 600));
        assert_eq!([0, 2, 4].map(|n| view.get(n)), [None, Some(Uid(5)), None]);
        view.mark(Uid(5), 200);
        view.mark(Uid(5), 200);
        assert_eq!(view.totals(), (2, 400));
        assert!(view.get(2).is_none());
        assert_eq!((view.get(3), view.number(Uid(9))), (Some(Uid(9)), Some(3)));
        assert_eq!((view.listed().to_string(), view.marked().to_string()), ("3,9".into(), "5".into()));
        view.unmark_all();
        assert_eq!((view.totals(), view.marked().is_empty()), ((3, 600), true));
    }
}
