//! STATUS. RFC 9051 6.3.11.

use crate::replies::{Outcome, Reply};
use crate::session::Session;
use roles::store::Folder;
use wire::imap::command::{StatusItems, Tag};
use wire::imap::name::MailboxName;
use wire::imap::response::{StatusValues, mailbox_status};

pub(super) async fn status(
    session: &mut Session<'_>,
    tag: &Tag,
    name: &MailboxName,
    items: StatusItems,
) -> Outcome {
    let mailbox = session.account()?.mailbox;
    let folder = session.store().folder_status(&session.call(), mailbox, name.as_str().to_owned()).await?;
    // RFC 7162 3.1: asking for HIGHESTMODSEQ speaks of ModSeqs.
    if items.contains(StatusItems::HIGHESTMODSEQ) {
        super::session::enable_condstore(session);
    }
    let form = session.form();
    mailbox_status(session.connection.output(), name.as_str(), form, items, &values(&folder));
    Ok(Reply::ok(tag, "done"))
}

/// The numbers of a folder.
pub(super) fn values(folder: &Folder) -> StatusValues {
    StatusValues {
        messages: folder.messages,
        uid_next: folder.uid_next,
        uid_validity: folder.uid_validity,
        unseen: folder.unseen,
        deleted: folder.deleted,
        size: folder.bytes,
        highest_modseq: folder.highest_modseq,
    }
}
