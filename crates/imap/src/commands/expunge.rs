//! EXPUNGE, UID EXPUNGE and CLOSE. RFC 9051 6.4.1, 6.4.3, 6.4.9.

use crate::replies::{Failed, Outcome, Reply};
use crate::session::Session;
use crate::updates;
use mail::sequence::NumberSet;
use wire::imap::command::{Access, By, SequenceSet, Tag};
use wire::imap::response::Code;

pub(super) const READ_ONLY: Failed = Failed::No(Some(Code::NoPerm), "the mailbox is open for reading only");

pub(super) async fn expunge(session: &mut Session<'_>, tag: &Tag) -> Outcome {
    let all = session.selected()?.view().clone();
    remove(session, tag, all).await
}

pub(super) async fn uid_expunge(session: &mut Session<'_>, tag: &Tag, set: &SequenceSet) -> Outcome {
    let Ok(uids) = session.selected()?.resolve(By::Uid, set) else {
        return Err(Failed::Bad("no such message"));
    };
    remove(session, tag, uids).await
}

async fn remove(session: &mut Session<'_>, tag: &Tag, uids: NumberSet) -> Outcome {
    let selected = session.selected()?;
    if selected.access == Access::ReadOnly {
        return Err(READ_ONLY);
    }
    let folder = selected.folder;
    let mailbox = session.account()?.mailbox;
    let gone = session.store().message_expunge(&session.call(), mailbox, folder, uids).await?;
    session.selected()?.remove(&gone);
    updates::tell_gone(session).await?;
    Ok(Reply::ok(tag, "expunged"))
}

/// RFC 9051 6.4.1: what is marked is removed and not told of; nothing is removed where the mailbox is open for
/// reading only.
pub(super) async fn close(session: &mut Session<'_>, tag: &Tag) -> Outcome {
    let selected = session.selected()?;
    let (folder, access, uids) = (selected.folder, selected.access, selected.view().clone());
    let mailbox = session.account()?.mailbox;
    if access == Access::ReadWrite {
        session.store().message_expunge(&session.call(), mailbox, folder, uids).await?;
    }
    session.selected = None;
    Ok(Reply::ok(tag, "left"))
}
