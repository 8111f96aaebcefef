//! New mail from a client.

use crate::error::Fail;
use crate::open::Inner;
use crate::quota;
use crate::source::{Incoming, note};
use roles::store::{Append, Placed, StoreError, Usage};
use storage::mailboxes::{FolderName, NewMessage, Writer};

impl Inner {
    pub(crate) async fn append(&self, append: Append) -> Result<Placed, StoreError> {
        let name = FolderName::parse(&append.folder).map_err(|_| StoreError::NoFolder)?;
        let noted = note(&append.body).await.map_err(|_| StoreError::Unavailable)?;
        let (mailbox, when) = (append.mailbox, self.when());
        let task = move |tx: &mut storage::shard::Transaction<'_>| {
            let mut writer = Writer::open(tx, mailbox, when)?.ok_or(StoreError::NoMailbox)?;
            let mut folder = writer.mailbox().folder_named(&name)?.ok_or(StoreError::NoFolder)?;
            let usage = Usage { bytes: writer.row().bytes, messages: writer.row().messages };
            let more = Usage { bytes: append.body.len(), messages: 1 };
            quota::judge(usage, more, append.quota).map_err(StoreError::from)?;
            let body = Incoming(append.body);
            let blob = writer.transaction().store(&noted.outline, &body)?;
            let keywords = writer.keyword_places(&append.flags)?;
            let (system, received, sent) = (append.flags.system, append.received, noted.sent);
            let modseq = writer.next_modseq();
            let uid =
                writer.add(&mut folder, NewMessage { system, keywords, received, sent, blob }, modseq)?;
            writer.save_folder(&folder)?;
            writer.save()?;
            Ok::<_, Fail>(Placed { folder: folder.id, uid_validity: folder.uid_validity, uid })
        };
        self.change(mailbox, task).await
    }
}
