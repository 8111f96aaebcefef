//! What the mailbox commands have in common: whose mailbox, its folders, its messages page by page.

use crate::context::{Context, Failure};
use mail::id::{FolderId, MailboxId, Uid};
use mail::message::Head;
use mail::sequence::NumberSet;
use roles::directory::Account;
use roles::store::{Folder, Message, Need, Page, Read};

/// Messages read in one go.
const PAGE: usize = 500;

/// The account that the first argument names. The command goes to where its mailbox is.
pub(in crate::commands) async fn account(context: &mut Context) -> Result<Account, Failure> {
    let named = context.arguments.word(0).unwrap_or_default().to_owned();
    let account = account_named(context, named).await?;
    context.go_to(&account.home);
    Ok(account)
}

/// The account of this name.
pub(super) async fn account_named(context: &Context, name: String) -> Result<Account, Failure> {
    context.roles()?.directory.account_find(&context.call(), name).await.map_err(Failure::because)
}

/// The folder of this name, or all folders where no name is given.
pub(super) async fn folders(
    context: &Context,
    mailbox: MailboxId,
    name: Option<&str>,
) -> Result<Vec<Folder>, Failure> {
    let store = &context.roles()?.store;
    let call = context.call();
    match name {
        Some(name) => {
            let folder = store.folder_status(&call, mailbox, name.to_owned()).await;
            Ok(vec![folder.map_err(|error| Failure::because(format!("{name}: {error}")))?])
        }
        None => Ok(store.folder_list(&call, mailbox).await.map_err(Failure::because)?.folders),
    }
}

/// Messages of a folder, a page at a time.
pub(super) struct Messages {
    mailbox: MailboxId,
    folder: FolderId,
    left: Option<NumberSet>,
}

impl Messages {
    /// These, as far as they exist, with their outlines.
    pub(super) fn new(mailbox: MailboxId, folder: FolderId, uids: NumberSet) -> Self {
        Self { mailbox, folder, left: Some(uids) }
    }

    /// The next page; `None` after the last.
    pub(super) async fn next(&mut self, context: &Context) -> Result<Option<Vec<Message>>, Failure> {
        let Some(uids) = self.left.take() else { return Ok(None) };
        let (mailbox, folder) = (self.mailbox, self.folder);
        let read = Read {
            mailbox,
            folder,
            uids: uids.clone(),
            need: Need::Outline,
            changed_since: None,
            limit: PAGE,
        };
        let answer = context.roles()?.store.message_read(&context.call(), read).await;
        let Page { messages, next } = answer.map_err(Failure::because)?;
        if let Some(Uid(next)) = next {
            let mut rest = NumberSet::default();
            rest.insert_range(next..=u32::MAX);
            self.left = Some(uids.intersection(&rest));
        }
        Ok(Some(messages))
    }
}

/// The Message-Id of a message as it stands in its header; `None` where it has none.
pub(super) fn message_id(message: &Message) -> Option<String> {
    let head = Head::decode(message.outline.as_deref()?).ok()?;
    let id = head.envelope.message_id()?.trim_ascii();
    (!id.is_empty()).then(|| String::from_utf8_lossy(id).into_owned())
}
