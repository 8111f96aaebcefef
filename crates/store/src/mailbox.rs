//! Mailboxes as a whole.

use crate::arrival::{self, Warned};
use crate::error::Fail;
use crate::letter::Letter;
use crate::open::{Inner, Switches};
use catalog::events::{ms, msg, run};
use futures_util::future::try_join_all;
use mail::id::{FolderId, MailboxId, Uid};
use roles::Call;
use roles::store::{MAILBOX_PAGE, MailboxLine, StoreError, Usage};
use storage::mailboxes::{Mailbox, When, Writer, mailboxes};
use storage::shard::{ShardError, Transaction, View};

/// A mailbox that was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Made {
    /// The UID of the message that it begins with.
    welcome: Option<Uid>,
}

/// Makes a mailbox that is not there, with the message that it begins with.
pub(crate) fn make<'t, 's>(
    tx: &'t mut Transaction<'s>,
    mailbox: MailboxId,
    when: When,
    switches: &Switches,
) -> Result<(Writer<'t, 's>, Made), ShardError> {
    let mut writer = Writer::create(tx, mailbox, when)?;
    let Some(welcome) = &switches.welcome else { return Ok((writer, Made { welcome: None })) };
    let Some(mut inbox) = writer.mailbox().folder(FolderId::INBOX)? else {
        return Err(ShardError::Corrupt("a mailbox without an Inbox".into()));
    };
    let now = when.now;
    let letter = Letter {
        from: &welcome.from,
        to: "",
        subject: &welcome.subject,
        text: &welcome.text,
        id: format!("welcome.{}.{}", mailbox.0, now.as_micros()),
        host: &switches.host,
        now,
    };
    let uid = arrival::put(&mut writer, &mut inbox, letter.write(), now)?;
    writer.save_folder(&inbox)?;
    Ok((writer, Made { welcome: Some(uid) }))
}

impl Inner {
    pub(crate) async fn create_mailbox(&self, mailbox: MailboxId) -> Result<(), StoreError> {
        // Asked at every login: the usual answer costs no place in the committer's line.
        let exists = self.look(mailbox, move |view| Ok(Mailbox::new(view, mailbox).exists()?)).await?;
        if exists {
            return Ok(());
        }
        let (when, switches) = (self.when(), self.switches.get());
        let task = move |tx: &mut Transaction<'_>| {
            if Mailbox::new(tx, mailbox).exists()? {
                return Ok(None);
            }
            let (writer, made) = make(tx, mailbox, when, &switches)?;
            writer.save()?;
            Ok::<_, Fail>(Some(made))
        };
        if let Some(made) = self.change(mailbox, task).await? {
            self.log_made(mailbox, made, "request");
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

    /// A page of the mailboxes of all shards.
    pub(crate) async fn list_mailboxes(
        &self,
        after: Option<MailboxId>,
        limit: usize,
    ) -> Result<Vec<MailboxLine>, StoreError> {
        let limit = limit.clamp(1, MAILBOX_PAGE);
        let pages = self.shards.iter().map(|shard| async move {
            let page = shard.read(move |view: &View<'_>| Ok::<_, Fail>(mailboxes(view, after, limit)?)).await;
            page.map_err(|e| e.tell(&self.env))
        });
        let mut all: Vec<_> = try_join_all(pages).await?.into_iter().flatten().collect();
        all.sort_unstable_by_key(|(id, _)| *id);
        all.truncate(limit);
        let line = |(mailbox, row): (MailboxId, storage::mailboxes::MailboxRow)| MailboxLine {
            mailbox,
            usage: Usage { bytes: row.bytes, messages: row.messages },
        };
        Ok(all.into_iter().map(line).collect())
    }

    /// Logs that a mailbox was made, where that is wanted.
    pub(crate) fn log_made(&self, mailbox: MailboxId, made: Made, by: &str) {
        if self.switches.get().log_creation {
            self.env.log.emit(&ms::MsMailboxCreated { mailbox, by });
        }
        if let Some(uid) = made.welcome {
            self.env.log.emit(&ms::MsWelcomeDelivered { mailbox, uid });
        }
    }

    /// Logs that a user was warned.
    pub(crate) fn log_warned(&self, mailbox: MailboxId, warned: Option<Warned>) {
        let Some(Warned { percent, usage, uid }) = warned else { return };
        let (Usage { bytes, messages }, uid) = (usage, uid.unwrap_or(Uid(0)));
        self.env.log.emit(&run::RunMssQuotaThreshold { mailbox, percent, messages, bytes, uid });
    }

    /// Logs one step in the life of a message, where that is wanted.
    pub(crate) fn trace_step(&self, event: &str, call: &Call, mailbox: MailboxId, uid: Uid, bytes: u64) {
        if self.switches.get().trace {
            let id = call.trace.as_str();
            self.env.log.emit(&msg::MsgTrace { event, id, mailbox, uid, bytes });
        }
    }
}
