//! Reading messages, a bounded page at a time.

use crate::error::Fail;
use crate::open::Inner;
use crate::search::changed_after;
use crate::source::Stored;
use mail::id::ModSeq;
use roles::Body;
use roles::store::{Message, Need, Page, Read, StoreError};
use std::ops::ControlFlow;
use std::sync::Arc;
use storage::mailboxes::{FolderRow, Keywords, Mailbox, MessageRow};
use storage::shard::{Shard, ShardError, View};

/// Most messages of one page.
const MAX_PAGE: usize = 1000;
/// Bytes of outlines after which a page ends.
const MAX_OUTLINES: usize = 1 << 20;
/// Messages that are looked at for one page: a reader's thread is not held longer for one caller.
const MAX_LOOKED_AT: usize = 20_000;

impl Inner {
    pub(crate) async fn read(&self, read: Read) -> Result<Page, StoreError> {
        let shard = self.shard(read.mailbox).clone();
        self.look(read.mailbox, move |view| page(view, &shard, &read)).await
    }
}

/// A folder of an existing mailbox.
pub(crate) fn folder(mailbox: Mailbox<'_>, id: mail::id::FolderId) -> Result<FolderRow, Fail> {
    match mailbox.folder(id)? {
        // A removed mailbox has no folders, so one look is enough where there is one.
        Some(folder) => Ok(folder),
        None if mailbox.exists()? => Err(StoreError::NoFolder.into()),
        None => Err(StoreError::NoMailbox.into()),
    }
}

fn page(view: &View<'_>, shard: &Shard, read: &Read) -> Result<Page, Fail> {
    let mailbox = Mailbox::new(view, read.mailbox);
    let folder = folder(mailbox, read.folder)?;
    let limit = read.limit.clamp(1, MAX_PAGE);
    let since = read.changed_since.unwrap_or(ModSeq::ZERO);
    // What has changed is few of many: where it is, the messages in between are not looked at.
    let changed = match read.changed_since {
        Some(since) => changed_after(mailbox, &folder, since, MAX_LOOKED_AT)?,
        None => None,
    };
    let uids = changed.map(|set| set.intersection(&read.uids));
    let (mut rows, mut next, mut looked_at) = (Vec::new(), None, 0);
    mailbox.messages(folder.volume, uids.as_ref().unwrap_or(&read.uids), |row| {
        if rows.len() == limit || looked_at == MAX_LOOKED_AT {
            next = Some(row.uid);
            return Ok(ControlFlow::Break(()));
        }
        looked_at += 1;
        if row.modseq > since {
            rows.push(row);
        }
        Ok(ControlFlow::Continue(()))
    })?;
    let keywords = keywords_for(mailbox, &rows)?;
    let (mut messages, mut outlines) = (Vec::with_capacity(rows.len()), 0);
    for row in rows {
        if outlines >= MAX_OUTLINES {
            next = Some(row.uid);
            break;
        }
        let message = message(view, shard, &keywords, row, read.need)?;
        outlines += message.outline.as_ref().map_or(0, bytes::Bytes::len);
        messages.push(message);
    }
    Ok(Page { messages, next })
}

/// The names of keywords, read only where a message has one.
pub(crate) fn keywords_for(mailbox: Mailbox<'_>, rows: &[MessageRow]) -> Result<Keywords, ShardError> {
    if rows.iter().all(|row| row.keywords.is_empty()) {
        return Ok(Keywords::default());
    }
    mailbox.keywords()
}

fn message(
    view: &View<'_>,
    shard: &Shard,
    keywords: &Keywords,
    row: MessageRow,
    need: Need,
) -> Result<Message, Fail> {
    let blob = if need == Need::Flags { None } else { Some(view.blob(&row.blob)?) };
    let outline = blob.as_ref().map(storage::shard::Blob::meta).transpose()?;
    let body = blob.filter(|_| need == Need::Body);
    let body = body.map(|blob| Body::new(Arc::new(Stored { shard: shard.clone(), blob })));
    let (uid, flags, size) = (row.uid, keywords.flags(&row), row.size());
    Ok(Message { uid, flags, modseq: row.modseq, size, received: row.received, outline, body })
}
