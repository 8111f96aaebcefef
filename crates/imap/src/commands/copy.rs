//! COPY and MOVE. RFC 9051 6.4.7 and 6.4.8.

use crate::replies::{Failed, Outcome, Reply};
use crate::session::Session;
use crate::updates;
use mail::sequence::NumberSet;
use wire::imap::command::{Access, Tag, Transfer};
use wire::imap::response::{Code, Status, untagged};

pub(super) async fn copy(session: &mut Session<'_>, tag: &Tag, transfer: Transfer) -> Outcome {
    let Some(uids) = chosen(session, &transfer).await? else { return Ok(Reply::ok(tag, "no messages")) };
    let folder = session.selected()?.folder;
    let account = session.account()?;
    let (mailbox, quota) = (account.mailbox, account.quota.clone());
    let target = transfer.to.as_str().to_owned();
    let call = session.call();
    let store = session.store();
    let copied = store.message_copy(&call, mailbox, folder, uids, target, quota);
    let copied = copied.await.map_err(Failed::Target)?;
    if copied.to.is_empty() {
        return Ok(Reply::ok(tag, "no messages"));
    }
    Ok(Reply::ok_with(tag, Code::CopyUid(copied.uid_validity, &copied.from, &copied.to), "copied"))
}

pub(super) async fn move_messages(session: &mut Session<'_>, tag: &Tag, transfer: Transfer) -> Outcome {
    let selected = session.selected()?;
    if selected.access == Access::ReadOnly {
        return Err(super::expunge::READ_ONLY);
    }
    let folder = selected.folder;
    let Some(uids) = chosen(session, &transfer).await? else { return Ok(Reply::ok(tag, "no messages")) };
    let mailbox = session.account()?.mailbox;
    let target = transfer.to.as_str().to_owned();
    let call = session.call();
    let store = session.store();
    let moved = store.message_move(&call, mailbox, folder, uids, target);
    let moved = moved.await.map_err(Failed::Target)?;
    // RFC 9051 6.4.8: where they went comes before the news that they are gone.
    if !moved.to.is_empty() {
        let code = Code::CopyUid(moved.uid_validity, &moved.from, &moved.to);
        untagged(session.connection.output(), Status::Ok, Some(code), "moved");
    }
    let gone: NumberSet = moved.from.into_iter().collect();
    session.selected()?.remove(&gone);
    updates::tell_gone(session).await?;
    Ok(Reply::ok(tag, "done"))
}

/// The UIDs meant. `None` where there are none, after a look whether the target is there: RFC 9051 6.4.7
/// wants TRYCREATE also then.
async fn chosen(session: &mut Session<'_>, transfer: &Transfer) -> Result<Option<NumberSet>, Failed> {
    let uids = session.selected()?.resolve(transfer.by, &transfer.set);
    let uids = uids.map_err(|_| Failed::Bad("no such message"))?;
    if !uids.is_empty() {
        return Ok(Some(uids));
    }
    let mailbox = session.account()?.mailbox;
    let target = transfer.to.as_str().to_owned();
    session.store().folder_status(&session.call(), mailbox, target).await.map_err(Failed::Target)?;
    Ok(None)
}
