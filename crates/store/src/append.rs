//! New mail from a client.

use crate::arrival;
use crate::error::Fail;
use crate::open::Inner;
use crate::source::{Incoming, note};
use roles::Call;
use roles::store::{Append, Placed, StoreError, Usage};
use storage::mailboxes::{AgesFrom, FolderName, NewMessage, Writer};

impl Inner {
    pub(crate) async fn append(&self, call: &Call, append: Append) -> Result<Placed, StoreError> {
        let name = FolderName::parse(&append.folder).map_err(|_| StoreError::NoFolder)?;
        let noted = note(&append.body).await.map_err(|_| StoreError::Unavailable)?;
        let (mailbox, bytes, when) = (append.mailbox, append.body.len(), self.when());
        let switches = self.switches.get();
        let task = move |tx: &mut storage::shard::Transaction<'_>| {
            let mut writer = Writer::open(tx, mailbox, when)?.ok_or(StoreError::NoMailbox)?;
            let mut folder = writer.mailbox().folder_named(&name)?.ok_or(StoreError::NoFolder)?;
            let before = arrival::usage(&writer);
            let more = Usage { bytes, messages: 1 };
            arrival::judge(&writer, more, &append.quota).map_err(StoreError::from)?;
            let body = Incoming(append.body);
            let blob = writer.transaction().store(&noted.outline, &body)?;
            let keywords = writer.keyword_places(&append.flags)?;
            let (system, received, sent) = (append.flags.system, append.received, noted.sent);
            let modseq = writer.next_modseq();
            let new = NewMessage { system, keywords, received, ages_from: AgesFrom::Added, sent, blob };
            let uid = writer.add(&mut folder, new, modseq)?;
            let warned = arrival::warn(&mut writer, &mut folder, before, &append.quota, &switches, when.now)?;
            writer.save_folder(&folder)?;
            writer.save()?;
            Ok::<_, Fail>((Placed { folder: folder.id, uid_validity: folder.uid_validity, uid }, warned))
        };
        let (placed, warned) = self.change(mailbox, task).await?;
        self.log_warned(mailbox, warned);
        self.trace_step("appended", call, mailbox, placed.uid, bytes);
        Ok(placed)
    }
}
