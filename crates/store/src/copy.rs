//! Copying and moving messages within a mailbox: the body stays where it is and gets another reference.

use crate::arrival::{self, Warned};
use crate::error::Fail;
use crate::flags::{first_messages, from};
use crate::open::{Inner, Switches};
use crate::read::folder;
use catalog::events::ms;
use mail::id::{FolderId, MailboxId, Uid, UidValidity};
use mail::sequence::NumberSet;
use mail::time::Timestamp;
use roles::store::{Copied, Quota, StoreError, Usage};
use std::sync::Arc;
use storage::mailboxes::{AgesFrom, FolderName, MessageRow, NewMessage, When, Writer};
use storage::shard::Transaction;

/// What becomes of the originals.
#[derive(Debug, Clone)]
pub(crate) enum Originals {
    /// They stay; the copies count against the quota.
    Stay(Quota),
    /// They go, in the same commit. RFC 6851 3.3.
    Go,
}

#[derive(Clone)]
struct Copy {
    mailbox: MailboxId,
    folder: FolderId,
    uids: NumberSet,
    target: FolderName,
    originals: Originals,
    switches: Arc<Switches>,
    now: Timestamp,
}

/// What one commit did.
struct Done {
    copied: Copied,
    /// Where to go on.
    next: Option<Uid>,
    warned: Option<Warned>,
}

impl Inner {
    pub(crate) async fn copy(
        &self,
        mailbox: MailboxId,
        folder: FolderId,
        uids: NumberSet,
        target: &str,
        originals: Originals,
    ) -> Result<Copied, StoreError> {
        let target = FolderName::parse(target).map_err(|_| StoreError::NoFolder)?;
        let (switches, now) = (self.switches.get(), self.env.clock.now());
        let mut copy = Copy { mailbox, folder, uids, target, originals, switches, now };
        let mut all = Copied { uid_validity: UidValidity(0), from: Vec::new(), to: Vec::new() };
        loop {
            let (piece, when) = (copy.clone(), self.when());
            let task = move |tx: &mut Transaction<'_>| piece_of(tx, &piece, when);
            let Done { copied, next, warned } = self.change(mailbox, task).await?;
            self.log_warned(mailbox, warned);
            if matches!(copy.originals, Originals::Go) {
                self.trace_moved(mailbox, folder, &copied);
            }
            all.uid_validity = copied.uid_validity;
            all.from.extend(copied.from);
            all.to.extend(copied.to);
            let Some(next) = next else { return Ok(all) };
            copy.uids = from(&copy.uids, next);
        }
    }

    fn trace_moved(&self, mailbox: MailboxId, folder: FolderId, copied: &Copied) {
        if self.switches.get().trace {
            let gone = |uid: &Uid| {
                self.env.log.emit(&ms::MsMsgDeleted { mailbox, folder, uid, by: "move" });
            };
            copied.from.iter().for_each(gone);
        }
    }
}

fn piece_of(tx: &mut Transaction<'_>, copy: &Copy, when: When) -> Result<Done, Fail> {
    let mut writer = Writer::open(tx, copy.mailbox, when)?.ok_or(StoreError::NoMailbox)?;
    let source = folder(writer.mailbox(), copy.folder)?;
    let mut target = writer.mailbox().folder_named(&copy.target)?.ok_or(StoreError::NoFolder)?;
    let (rows, next) = first_messages(&writer, source.volume, &copy.uids)?;
    let (before, mut warned) = (arrival::usage(&writer), None);
    if let Originals::Stay(quota) = &copy.originals {
        let bytes = rows.iter().map(MessageRow::size).sum();
        let more = Usage { bytes, messages: rows.len() as u64 };
        arrival::judge(&writer, more, quota).map_err(StoreError::from)?;
    }
    let mut to = Vec::with_capacity(rows.len());
    if !rows.is_empty() {
        let modseq = writer.next_modseq();
        for row in &rows {
            writer.transaction().retain(&row.blob, 1)?;
            let new = NewMessage {
                system: row.system,
                keywords: row.keywords.clone(),
                received: row.received,
                ages_from: AgesFrom::Added,
                sent: row.sent,
                blob: row.blob,
            };
            to.push(writer.add(&mut target, new, modseq)?);
        }
        match &copy.originals {
            Originals::Stay(quota) => {
                warned = arrival::warn(&mut writer, &mut target, before, quota, &copy.switches, copy.now)?;
            }
            Originals::Go => {
                // A move into the same folder changes one row, not two copies of it.
                let mut other = (source.id != target.id).then_some(source);
                let modseq = writer.next_modseq();
                writer.remove(other.as_mut().unwrap_or(&mut target), &rows, modseq)?;
                other.map_or(Ok(()), |source| writer.save_folder(&source))?;
            }
        }
        writer.save_folder(&target)?;
        writer.save()?;
    }
    let from = rows.iter().map(|row| row.uid).collect();
    let copied = Copied { uid_validity: target.uid_validity, from, to };
    Ok(Done { copied, next, warned })
}
