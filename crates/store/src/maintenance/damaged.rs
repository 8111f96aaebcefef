//! Messages that are known to be damaged, from what readers and checks have noted (ITS 24247).

use super::verify::finding_kind;
use super::walk::{message_id, row_finding};
use crate::open::Inner;
use mail::id::MailboxId;
use roles::maintenance::{Damaged, DamagedAfter, DamagedPage, Finding};
use storage::mailboxes::{DamagedRow, Mailbox, Volume, damaged};
use storage::shard::{ShardError, View};

/// Messages of one page.
const PAGE: usize = 200;

impl Inner {
    pub(super) async fn damaged_list(
        &self,
        mailbox: Option<MailboxId>,
        after: Option<DamagedAfter>,
    ) -> Result<DamagedPage, ShardError> {
        let first = mailbox.map_or(0, |id| self.shard_number(id));
        let shard = after.map_or(first, |after| after.shard as usize);
        let last = after.and_then(|after| after.last).map(|(id, volume, uid)| (id, Volume(volume), uid));
        let Some(here) = self.shards.get(shard) else { return Ok(DamagedPage::default()) };
        let look = move |view: &View<'_>| {
            let rows = damaged(view, mailbox, last, PAGE)?;
            let last = rows.last().filter(|_| rows.len() == PAGE).copied();
            let mut messages = Vec::new();
            for row in rows {
                messages.extend(still_there(view, shard, row)?);
            }
            Ok::<_, ShardError>((messages, last))
        };
        let (messages, last) = here.read(look).await?;
        let number = u32::try_from(shard).unwrap_or(u32::MAX);
        let next = match last {
            Some(row) => {
                Some(DamagedAfter { shard: number, last: Some((row.mailbox, row.volume.0, row.uid)) })
            }
            None if mailbox.is_none() && shard + 1 < self.shards.len() => {
                Some(DamagedAfter { shard: number + 1, last: None })
            }
            None => None,
        };
        Ok(DamagedPage { messages, next })
    }
}

/// The message, unless it has gone.
fn still_there(view: &View<'_>, shard: usize, row: DamagedRow) -> Result<Option<Damaged>, ShardError> {
    let mailbox = Mailbox::new(view, row.mailbox);
    let folders = mailbox.folders().unwrap_or_default();
    let Some(folder) = folders.into_iter().find(|folder| folder.volume == row.volume) else {
        return Ok(None);
    };
    let Ok(Some(message)) = mailbox.message(row.volume, row.uid) else { return Ok(None) };
    let meta = view.examine(&message.blob)?.ok().and_then(|blob| blob.meta().ok());
    let finding = Finding {
        kind: finding_kind(row.damage),
        uid: Some(row.uid),
        message_id: meta.and_then(|meta| message_id(&meta)),
        bytes: message.size(),
        ..row_finding(shard, row.mailbox, Some(folder.name), "")
    };
    Ok(Some(Damaged { finding, found: row.found }))
}
