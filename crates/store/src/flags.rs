//! Changing flags. RFC 9051 6.4.6; RFC 7162 3.1.3 for UNCHANGEDSINCE.

use crate::MAX_CHANGE;
use crate::error::Fail;
use crate::open::Inner;
use crate::read::folder;
use mail::flags::Flags;
use mail::id::{ModSeq, Uid};
use mail::sequence::NumberSet;
use roles::store::{FlagsChange, FlagsChanged, StoreError};
use std::ops::ControlFlow;
use std::sync::Arc;
use storage::mailboxes::{Keywords, MessageRow, When, Writer};
use storage::shard::Transaction;

impl Inner {
    pub(crate) async fn flags(&self, mut change: FlagsChange) -> Result<FlagsChanged, StoreError> {
        let mut all = FlagsChanged::default();
        loop {
            let (mailbox, when) = (change.mailbox, self.when());
            let piece = Arc::new(change);
            let task = {
                let piece = Arc::clone(&piece);
                move |tx: &mut Transaction<'_>| piece_of(tx, &piece, when)
            };
            let (done, next) = self.change(mailbox, task).await?;
            all.now.extend(done.now);
            done.modified.ranges().for_each(|r| all.modified.insert_range(r));
            let Some(next) = next else { return Ok(all) };
            change = Arc::unwrap_or_clone(piece);
            change.uids = from(&change.uids, next);
        }
    }
}

/// The part of a set from this UID on.
pub(crate) fn from(uids: &NumberSet, first: Uid) -> NumberSet {
    let mut rest = NumberSet::new();
    rest.insert_range(first.0..=u32::MAX);
    uids.intersection(&rest)
}

/// The first messages of a set, and where to go on.
pub(crate) fn first_messages(
    writer: &Writer<'_, '_>,
    volume: storage::mailboxes::Volume,
    uids: &NumberSet,
) -> Result<(Vec<MessageRow>, Option<Uid>), Fail> {
    let (mut rows, mut next) = (Vec::new(), None);
    writer.mailbox().messages(volume, uids, |row| {
        if rows.len() == MAX_CHANGE {
            next = Some(row.uid);
            return Ok(ControlFlow::Break(()));
        }
        rows.push(row);
        Ok(ControlFlow::Continue(()))
    })?;
    Ok((rows, next))
}

fn piece_of(
    tx: &mut Transaction<'_>,
    change: &FlagsChange,
    when: When,
) -> Result<(FlagsChanged, Option<Uid>), Fail> {
    let mut writer = Writer::open(tx, change.mailbox, when)?.ok_or(StoreError::NoMailbox)?;
    let mut folder = folder(writer.mailbox(), change.folder)?;
    let (rows, next) = first_messages(&writer, folder.volume, &change.uids)?;
    let keywords = writer.mailbox().keywords()?;
    let mut done = FlagsChanged::default();
    let mut modseq = None;
    for row in rows {
        let uid = row.uid;
        let Some(after) = judge(&row, &keywords, change) else {
            done.modified.insert(uid.0);
            continue;
        };
        let before = keywords.flags(&row);
        if after == before {
            // RFC 7162 3.1: what does not change anything takes no new mod-sequence.
            done.now.push((uid, before, row.modseq));
            continue;
        }
        let at = *modseq.get_or_insert_with(|| writer.next_modseq());
        let places = writer.keyword_places(&after)?;
        writer.set_flags(&mut folder, row, (after.system, places), at)?;
        done.now.push((uid, after, at));
    }
    if modseq.is_some() {
        writer.save_folder(&folder)?;
        writer.save()?;
    }
    Ok((done, next))
}

/// The flags of a message after the change; `None` where it was changed since the caller looked.
fn judge(row: &MessageRow, keywords: &Keywords, change: &FlagsChange) -> Option<Flags> {
    let since: Option<ModSeq> = change.unchanged_since;
    if since.is_some_and(|since| row.modseq > since) {
        return None;
    }
    Some(change.action.apply(&keywords.flags(row), &change.flags))
}
