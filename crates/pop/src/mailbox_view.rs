//! What a client has been told of its mailbox: numbers from 1, sizes, marks for removal. RFC 1939 5.
//!
//! Fixed at login and pure: new mail is seen by the next session, marks are known to nobody else.

use mail::id::{Uid, UidValidity};
use mail::sequence::NumberSet;
use wire::pop3::command::Number;

/// One message of the listing.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Item {
    pub(crate) uid: Uid,
    /// Octets. Messages are smaller than 2 GiB (`maxMessageSize`).
    pub(crate) size: u32,
    is_deleted: bool,
}

impl Item {
    pub(crate) fn new(uid: Uid, size: u64) -> Self {
        Self { uid, size: u32::try_from(size).unwrap_or(u32::MAX), is_deleted: false }
    }
}

/// The listing of a session.
#[derive(Debug)]
pub(crate) struct MailboxView {
    pub(crate) uid_validity: UidValidity,
    items: Vec<Item>,
}

impl MailboxView {
    /// The messages in their order.
    pub(crate) fn new(uid_validity: UidValidity, mut items: Vec<Item>) -> Self {
        items.shrink_to_fit();
        Self { uid_validity, items }
    }

    /// Of a mailbox without messages. No message, so nothing that carries the UIDVALIDITY.
    pub(crate) fn empty() -> Self {
        Self::new(UidValidity(1), Vec::new())
    }

    /// Count and octets of what is not marked.
    pub(crate) fn totals(&self) -> (u64, u64) {
        self.iter().fold((0, 0), |(count, octets), (_, item)| (count + 1, octets + u64::from(item.size)))
    }

    /// A message that is not marked.
    pub(crate) fn get(&self, number: Number) -> Option<Item> {
        self.items.get(index(number)?).copied().filter(|item| !item.is_deleted)
    }

    /// The messages that are not marked, with their numbers.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (u64, Item)> + '_ {
        (1..).zip(&self.items).filter(|(_, item)| !item.is_deleted).map(|(number, item)| (number, *item))
    }

    /// Marks a message; whether there was one without a mark.
    pub(crate) fn mark(&mut self, number: Number) -> bool {
        let item = index(number).and_then(|at| self.items.get_mut(at)).filter(|item| !item.is_deleted);
        item.map(|item| item.is_deleted = true).is_some()
    }

    /// Takes all marks back.
    pub(crate) fn unmark_all(&mut self) {
        self.items.iter_mut().for_each(|item| item.is_deleted = false);
    }

    /// The messages that QUIT removes.
    pub(crate) fn marked(&self) -> NumberSet {
        self.items.iter().filter(|item| item.is_deleted).map(|item| item.uid).collect()
    }
}

fn index(number: Number) -> Option<usize> {
    usize::try_from(number.checked_sub(1)?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_hide_a_message_and_keep_the_numbers_of_the_others() {
        let items = [(3, 100), (5, 200), (9, 300)].map(|(uid, size)| Item::new(Uid(uid), size));
        let mut view = MailboxView::new(UidValidity(7), items.to_vec());
        assert_eq!(view.totals(), (3, 600));
        assert!(view.mark(2) && !view.mark(2) && !view.mark(0) && !view.mark(4));
        assert_eq!(view.totals(), (2, 400));
        assert!(view.get(2).is_none());
        assert_eq!(view.get(3).unwrap().uid, Uid(9));
        assert_eq!(view.iter().map(|(number, _)| number).collect::<Vec<_>>(), [1, 3]);
        assert_eq!(view.marked().to_string(), "5");
        view.unmark_all();
        assert_eq!((view.totals(), view.marked().is_empty()), ((3, 600), true));
    }
}
