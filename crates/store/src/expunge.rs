//! Removing messages.

use crate::error::Fail;
use crate::flags::{first_messages, from};
use crate::open::Inner;
use crate::read::folder;
use catalog::events::ms;
use mail::flags::SystemFlags;
use mail::id::{FolderId, MailboxId, Uid};
use mail::sequence::NumberSet;
use roles::store::StoreError;
use storage::mailboxes::{Mark, When, Writer};
use storage::shard::Transaction;

/// Which of the named messages go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Which {
    /// Those with `\Deleted`. RFC 9051 6.4.3.
    Deleted,
    /// All.
    All,
}

impl Inner {
    pub(crate) async fn expunge(
        &self,
        mailbox: MailboxId,
        folder: FolderId,
        mut uids: NumberSet,
        which: Which,
    ) -> Result<NumberSet, StoreError> {
        let mut gone = NumberSet::new();
        loop {
            let (piece, when) = (uids.clone(), self.when());
            let task = move |tx: &mut Transaction<'_>| piece_of(tx, (mailbox, folder), &piece, which, when);
            let (done, next) = self.change(mailbox, task).await?;
            self.trace(mailbox, folder, &done, which);
            done.ranges().for_each(|range| gone.insert_range(range));
            let Some(next) = next else { return Ok(gone) };
            uids = from(&uids, next);
        }
    }

    fn trace(&self, mailbox: MailboxId, folder: FolderId, gone: &NumberSet, which: Which) {
        if self.switches.get().trace {
            let by = if which == Which::Deleted { "expunge" } else { "delete" };
            gone.iter().for_each(|uid| self.env.log.emit(&ms::MsMsgDeleted { mailbox, folder, uid, by }));
        }
    }
}

fn piece_of(
    tx: &mut Transaction<'_>,
    (mailbox, id): (MailboxId, FolderId),
    uids: &NumberSet,
    which: Which,
    when: When,
) -> Result<(NumberSet, Option<Uid>), Fail> {
    let mut writer = Writer::open(tx, mailbox, when)?.ok_or(StoreError::NoMailbox)?;
    let mut folder = folder(writer.mailbox(), id)?;
    if which == Which::Deleted && folder.deleted == 0 {
        return Ok((NumberSet::new(), None));
    }
    let marked = match which {
        Which::All => None,
        // The others are not even looked at.
        Which::Deleted => Some(writer.mailbox().uids(folder.volume, Mark::Deleted)?.intersection(uids)),
    };
    let (mut rows, next) = first_messages(&writer, folder.volume, marked.as_ref().unwrap_or(uids))?;
    rows.retain(|row| which == Which::All || row.system.contains(SystemFlags::DELETED));
    if rows.is_empty() {
        return Ok((NumberSet::new(), next));
    }
    let modseq = writer.next_modseq();
    writer.remove(&mut folder, &rows, modseq)?;
    writer.save_folder(&folder)?;
    writer.save()?;
    Ok((rows.iter().map(|row| row.uid).collect(), next))
}
