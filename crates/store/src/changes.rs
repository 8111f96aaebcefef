//! What has happened in a folder: the answer to a watcher's question.

use crate::error::Fail;
use crate::folders::shown;
use crate::open::Inner;
use crate::read::keywords_for;
use mail::id::{FolderId, MailboxId, ModSeq};
use roles::store::{Changes, StoreError};
use std::ops::ControlFlow;
use storage::mailboxes::{FolderRow, Mailbox};
use storage::shard::View;

/// Messages after which an answer ends, with all of the ModSeq it is at.
const MAX_ANSWER: usize = 10_000;

impl Inner {
    pub(crate) async fn changes(
        &self,
        mailbox: MailboxId,
        folder: FolderId,
        since: ModSeq,
    ) -> Result<Changes, StoreError> {
        self.look(mailbox, move |view| changes(view, mailbox, folder, since)).await
    }
}

fn changes(view: &View<'_>, id: MailboxId, folder: FolderId, since: ModSeq) -> Result<Changes, Fail> {
    let mailbox = Mailbox::new(view, id);
    let Some(row) = mailbox.row()?.filter(|row| !row.removed) else {
        return Err(StoreError::NoMailbox.into());
    };
    let Some(folder) = mailbox.folder(folder)? else {
        return Ok(Changes { up_to: row.modseq, ..Changes::default() });
    };
    let (entries, up_to) = changed(mailbox, &folder, since)?;
    let mut rows = Vec::with_capacity(entries.len());
    for uid in entries {
        rows.extend(mailbox.message(folder.volume, uid)?);
    }
    let keywords = keywords_for(mailbox, &rows)?;
    let changed = rows.iter().map(|row| (row.uid, keywords.flags(row), row.modseq)).collect();
    let vanished = mailbox.vanished(&folder, since, up_to)?;
    Ok(Changes { changed, vanished, up_to, folder: Some(shown(mailbox, folder)?) })
}

/// UIDs of changed messages in order of their ModSeq, and up to where they are all.
fn changed(
    mailbox: Mailbox<'_>,
    folder: &FolderRow,
    since: ModSeq,
) -> Result<(Vec<mail::id::Uid>, ModSeq), Fail> {
    let (mut uids, mut at) = (Vec::new(), since);
    let mut up_to = folder.highest_modseq;
    mailbox.changed(folder.volume, since, |modseq, uid| {
        if uids.len() >= MAX_ANSWER && modseq > at {
            up_to = at;
            return Ok(ControlFlow::Break(()));
        }
        at = modseq;
        uids.push(uid);
        Ok(ControlFlow::Continue(()))
    })?;
    Ok((uids, up_to.max(since)))
}
