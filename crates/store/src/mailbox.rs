//! Mailboxes as a whole.

use crate::error::Fail;
use crate::open::Inner;
use catalog::events::ms;
use mail::id::MailboxId;
use roles::store::{StoreError, Usage};
use storage::mailboxes::{Mailbox, Writer};
use storage::shard::Transaction;

impl Inner {
    pub(crate) async fn create_mailbox(&self, mailbox: MailboxId) -> Result<(), StoreError> {
        // Asked at every login: the usual answer costs no place in the committer's line.
        let exists = self.look(mailbox, move |view| Ok(Mailbox::new(view, mailbox).exists()?)).await?;
        if exists {
            return Ok(());
        }
        let when = self.when();
        let task = move |tx: &mut Transaction<'_>| {
            if Mailbox::new(tx, mailbox).exists()? {
                return Ok(false);
            }
            Writer::create(tx, mailbox, when)?.save()?;
            Ok::<_, Fail>(true)
        };
        if self.change(mailbox, task).await? {
            log_creation(self, mailbox, "request");
        }
        Ok(())
    }

    pub(crate) async fn delete_mailbox(&self, mailbox: MailboxId) -> Result<(), StoreError> {
        let when = self.when();
        let task = move |tx: &mut Transaction<'_>| {
            let writer = Writer::open(tx, mailbox, when)?.ok_or(StoreError::NoMailbox)?;
            Ok::<_, Fail>(writer.remove_mailbox()?)
        };
        self.change(mailbox, task).await?;
        self.purge.notify_one();
        Ok(())
    }

    pub(crate) async fn usage(&self, mailbox: MailboxId) -> Result<Usage, StoreError> {
        let job = move |view: &storage::shard::View<'_>| {
            let row = Mailbox::new(view, mailbox).row()?.filter(|row| !row.removed);
            Ok(row.map_or(Usage::default(), |row| Usage { bytes: row.bytes, messages: row.messages }))
        };
        self.look(mailbox, job).await
    }
}

/// Logs that a mailbox was made, where that is wanted.
pub(crate) fn log_creation(store: &Inner, mailbox: MailboxId, by: &str) {
    if store.switches.get().log_creation {
        store.env.log.emit(&ms::MsMailboxCreated { mailbox, by });
    }
}
