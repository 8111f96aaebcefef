//! Reading messages, a bounded page at a time.
//!
//! A message that cannot be read costs itself only: it is in the page without what was asked for (ITS 13587).

use crate::damage::{Notices, Place};
use crate::error::Fail;
use crate::open::Inner;
use crate::search::changed_after;
use crate::source::Stored;
use bytes::Bytes;
use mail::id::ModSeq;
use roles::store::{Message, Need, Page, Read, StoreError};
use roles::{Body, Call};
use std::ops::ControlFlow;
use std::sync::Arc;
use storage::mailboxes::{FolderRow, Keywords, Mailbox, MessageRow};
use storage::shard::{Blob, Damage, Shard, ShardError, View};

/// Most messages of one page.
const MAX_PAGE: usize = 1000;
/// Bytes of outlines after which a page ends.
const MAX_OUTLINES: usize = 1 << 20;
/// Messages that are looked at for one page: a reader's thread is not held longer for one caller.
const MAX_LOOKED_AT: usize = 20_000;

impl Inner {
    pub(crate) async fn read(&self, call: &Call, read: Read) -> Result<Page, StoreError> {
        let (mailbox, need) = (read.mailbox, read.need);
        let number = self.shard_number(mailbox);
        let (shard, notices) = (self.shards[number].clone(), self.notices.clone());
        let source = Source { shard, number, notices };
        let page = self.look(mailbox, move |view| page(view, &source, &read)).await?;
        if need == Need::Body {
            page.messages.iter().for_each(|m| self.trace_step("read", call, mailbox, m.uid, m.size));
        }
        Ok(page)
    }
}

/// What a page is read from.
struct Source {
    shard: Shard,
    number: usize,
    notices: Notices,
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

fn page(view: &View<'_>, source: &Source, read: &Read) -> Result<Page, Fail> {
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
        let place = Place {
            shard: source.number,
            mailbox: read.mailbox,
            folder: folder.id,
            volume: folder.volume,
            uid: row.uid,
        };
        let Some(stored) = stored(view, source, place, &row, read.need)? else { continue };
        outlines += stored.outline.as_ref().map_or(0, Bytes::len);
        let (uid, flags, size) = (row.uid, keywords.flags(&row), row.size());
        let (modseq, received) = (row.modseq, row.received);
        let Parts { outline, body } = stored;
        messages.push(Message { uid, flags, modseq, size, received, outline, body });
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

/// What of a message is not in its row.
#[derive(Default)]
struct Parts {
    outline: Option<Bytes>,
    body: Option<Body>,
}

/// What is asked for of a message; nothing of one that is damaged, `None` of one that is gone by now.
fn stored(
    view: &View<'_>,
    source: &Source,
    place: Place,
    row: &MessageRow,
    need: Need,
) -> Result<Option<Parts>, Fail> {
    if need == Need::Flags {
        return Ok(Some(Parts::default()));
    }
    let damage = match view.examine(&row.blob)? {
        Err(Damage::Widow) if !is_there(view, place, row)? => return Ok(None),
        Err(damage) => damage,
        Ok(blob) => match open(source, place, &blob, need) {
            Ok(outline) => {
                let body = (need == Need::Body).then(|| Stored {
                    shard: source.shard.clone(),
                    blob,
                    place,
                    notices: source.notices.clone(),
                });
                let body = body.map(|stored| Body::new(Arc::new(stored)));
                return Ok(Some(Parts { outline: Some(outline), body }));
            }
            Err(damage) => damage,
        },
    };
    source.notices.notice(place, damage);
    Ok(Some(Parts::default()))
}

/// The outline. The body of a message that was found damaged before is read once more before anybody begins to send it.
fn open(source: &Source, place: Place, blob: &Blob, need: Need) -> Result<Bytes, Damage> {
    if need == Need::Body && source.notices.is_known(place) {
        let outline = blob.verify()?;
        source.notices.recovered(place);
        return Ok(outline);
    }
    blob.meta().map_err(|error| Damage::told_by(&error).unwrap_or(Damage::Unreadable))
}

/// Whether the message is still there, and is this one.
pub(crate) fn is_there(view: &View<'_>, place: Place, row: &MessageRow) -> Result<bool, ShardError> {
    let now = Mailbox::new(view.newest(), place.mailbox).message(place.volume, place.uid)?;
    Ok(now.is_some_and(|now| now.blob == row.blob))
}
