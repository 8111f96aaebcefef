//! STORE. RFC 9051 6.4.6, RFC 7162 3.1.3.

use super::session::enable_condstore;
use crate::replies::{Failed, Outcome, Reply};
use crate::session::Session;
use crate::updates::{self, WithUid};
use mail::sequence::NumberSet;
use roles::store::{FlagsChange, FlagsChanged};
use wire::imap::command::{Access, By, Store, StoreAnswer, Tag};
use wire::imap::response::Code;

/// Messages that are changed in one request.
const PAGE: u64 = 1000;

pub(super) async fn store(session: &mut Session<'_>, tag: &Tag, store: Store) -> Outcome {
    let selected = session.selected()?;
    if selected.access == Access::ReadOnly {
        return Err(super::expunge::READ_ONLY);
    }
    let uids = selected.resolve(store.by, &store.set).map_err(|_| Failed::Bad("no such message"))?;
    if store.unchanged_since.is_some() {
        enable_condstore(session);
    }
    let mut modified = NumberSet::new();
    for page in pages(&uids) {
        let changed = change(session, &store, page).await?;
        changed.modified.ranges().for_each(|range| modified.insert_range(range));
        tell(session, &store, &changed).await?;
    }
    if modified.is_empty() {
        return Ok(Reply::ok(tag, "stored"));
    }
    // RFC 7162 3.1.3: numbers or UIDs, as in the command.
    let named = match store.by {
        By::Uid => modified,
        By::Sequence => session.selected()?.numbers(&modified),
    };
    Ok(Reply::ok_with(tag, Code::Modified(&named), "some had changed"))
}

async fn change(session: &mut Session<'_>, store: &Store, uids: NumberSet) -> Result<FlagsChanged, Failed> {
    let mailbox = session.account()?.mailbox;
    let change = FlagsChange {
        mailbox,
        folder: session.selected()?.folder,
        uids,
        action: store.action,
        flags: store.flags.clone(),
        unchanged_since: store.unchanged_since,
    };
    Ok(session.store().flags_change(&session.call(), change).await?)
}

async fn tell(session: &mut Session<'_>, store: &Store, changed: &FlagsChanged) -> Result<(), Failed> {
    updates::note_own(session, changed)?;
    let with_uid = if store.by == By::Uid { WithUid::Always } else { WithUid::IfEnabled };
    match store.answer {
        StoreAnswer::Told => updates::tell_flags(session, &changed.now, with_uid).await?,
        // RFC 7162 3.1.3: the new ModSeq is told also then.
        StoreAnswer::Silent if session.enabled.condstore => {
            updates::tell_modseqs(session, &changed.now, with_uid).await?;
        }
        StoreAnswer::Silent => {}
    }
    Ok(())
}

/// The set in pieces of at most [`PAGE`] numbers.
pub(super) fn pages(set: &NumberSet) -> Vec<NumberSet> {
    let mut pages = Vec::new();
    let mut page = NumberSet::new();
    let mut room = PAGE;
    for range in set.ranges() {
        let (mut from, to) = range.into_inner();
        loop {
            let last = u32::try_from(u64::from(from) + room - 1).unwrap_or(u32::MAX).min(to);
            page.insert_range(from..=last);
            room -= u64::from(last - from) + 1;
            if room == 0 {
                pages.push(std::mem::take(&mut page));
                room = PAGE;
            }
            if last == to {
                break;
            }
            from = last + 1;
        }
    }
    if !page.is_empty() {
        pages.push(page);
    }
    pages
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_are_cut_within_ranges() {
        let mut set = NumberSet::new();
        set.insert_range(5..=5);
        set.insert_range(10..=2500);
        let pages = pages(&set);
        assert_eq!(
            pages.iter().map(ToString::to_string).collect::<Vec<_>>(),
            ["5,10:1008", "1009:2008", "2009:2500"]
        );
        assert!(super::pages(&NumberSet::new()).is_empty());
    }
}
