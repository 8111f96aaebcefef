//! STORE. RFC 9051 6.4.6, RFC 7162 3.1.3.

use super::session::enable_condstore;
use crate::replies::{Failed, Outcome, Reply};
use crate::session::Session;
use crate::updates::{self, WithUid};
use mail::sequence::NumberSet;
use roles::store::{FlagsChange, FlagsChanged};
use std::num::NonZeroU32;
use wire::imap::command::{Access, By, Store, StoreAnswer, Tag};
use wire::imap::response::Code;

/// Messages that are changed in one request.
pub(super) const PAGE: NonZeroU32 = NonZeroU32::new(1000).expect("not zero");

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
    for page in uids.pieces(PAGE) {
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
