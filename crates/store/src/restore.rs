//! A mailbox as it was at a moment of the kept window, put back into the running store.
//!
//! Bodies are not copied: restored messages refer to those that history has kept. What is put back is pinned for the
//! time of the restore by a pause of the upkeep. Each page is a commit; a restore that ends half-way has put back whole
//! messages only.

use crate::error::Fail;
use crate::folders::{Limits, create};
use crate::open::{Inner, Store};
use mail::id::{MailboxId, Uid};
use mail::time::Timestamp;
use roles::store::StoreError;
use roles::whole::{Restore, RestoreInto, Restored};
use std::collections::BTreeSet;
use storage::mailboxes::{
    FolderName, FolderRow, Keywords, Mailbox, MessageRow, NewMessage, Then, When, Writer,
};
use storage::shard::{Rows, ShardError, Transaction, View};

/// Messages of one commit.
const PAGE: usize = 500;

/// Messages of one folder that are to be put back.
struct Page {
    messages: Vec<MessageRow>,
    unchanged: u64,
    keywords: Keywords,
    next: Option<Uid>,
}

/// The folder that messages are put back into, as it is made where it does not exist.
struct Target {
    name: FolderName,
    special_use: u8,
    limits: Limits,
}

impl Store {
    /// Restores a mailbox from what its shard has kept.
    ///
    /// # Errors
    /// [`StoreError::Refused`] where the moment is not in the window or a name is not valid; as all requests.
    pub async fn restore(&self, restore: Restore) -> Result<Restored, StoreError> {
        self.inner().restore(restore).await
    }
}

impl Inner {
    async fn restore(&self, restore: Restore) -> Result<Restored, StoreError> {
        let Restore { mailbox, at, into } = restore;
        let when = self.when();
        check_window(at, when)?;
        let prefix = match &into {
            RestoreInto::Below(name) => {
                Some(FolderName::parse(name).map_err(Fail::from).map_err(|e| e.tell(&self.env))?)
            }
            RestoreInto::Place | RestoreInto::Nowhere => None,
        };
        let _restoring = self.restores.begin();
        // Whatever was being forgotten before the restore began has been forgotten when this is done.
        let barrier = self.shard(mailbox).commit(|_| Ok::<_, ShardError>(())).await;
        barrier.map_err(|e| Fail::from(e).tell(&self.env))?;
        let list = move |view: &View<'_>| Ok(Then::new(view, mailbox, at)?.folders().to_vec());
        let folders = self.look(mailbox, list).await?;
        let mut done = Restored { folders: folders.len() as u64, ..Restored::default() };
        for folder in folders {
            self.restore_folder(mailbox, at, &folder, prefix.as_ref(), &into, &mut done).await?;
        }
        Ok(done)
    }

    async fn restore_folder(
        &self,
        mailbox: MailboxId,
        at: Timestamp,
        folder: &FolderRow,
        prefix: Option<&FolderName>,
        into: &RestoreInto,
        done: &mut Restored,
    ) -> Result<(), StoreError> {
        let in_place = prefix.is_none();
        let mut from = Uid(1);
        loop {
            let row = folder.clone();
            let page =
                self.look(mailbox, move |view| Ok(page(view, mailbox, at, &row, from, in_place)?)).await?;
            done.unchanged += page.unchanged;
            done.messages += page.messages.len() as u64;
            done.bytes += page.messages.iter().map(MessageRow::size).sum::<u64>();
            let next = page.next;
            if *into != RestoreInto::Nowhere && (prefix.is_some() || !page.messages.is_empty()) {
                let (name, special_use) = (target(folder, prefix)?, folder.special_use);
                // A copy below another folder has no special use: there is one folder of each.
                let special_use = if name.as_str() == folder.name { special_use } else { 0 };
                let (limits, when) = (Limits::of(&self.switches.get()), self.when());
                let target = Target { name, special_use, limits };
                let task = move |tx: &mut Transaction<'_>| put_back(tx, mailbox, &target, page, when);
                self.change(mailbox, task).await?;
            }
            match next {
                Some(next) => from = next,
                None => return Ok(()),
            }
        }
    }
}

/// The moment must be one that is kept: not before the window, and not to come.
fn check_window(at: Timestamp, when: When) -> Result<(), StoreError> {
    if when.keep.is_zero() {
        return Err(StoreError::Refused("restoreWindowInMinutes is 0: nothing is kept".into()));
    }
    if at > when.now || when.now.since(at) > when.keep {
        let minutes = when.keep.as_secs() / 60;
        return Err(StoreError::Refused(format!(
            "only the last {minutes} minutes are kept (restoreWindowInMinutes)"
        )));
    }
    Ok(())
}

/// The name of the folder that takes the messages of another.
fn target(folder: &FolderRow, prefix: Option<&FolderName>) -> Result<FolderName, StoreError> {
    let name = match prefix {
        Some(prefix) => format!("{prefix}/{}", folder.name),
        None => folder.name.clone(),
    };
    FolderName::parse(&name).map_err(|e| StoreError::Refused(e.to_string()))
}

/// The next messages that a folder had. In place, those that are still there are left out.
fn page(
    view: &View<'_>,
    id: MailboxId,
    at: Timestamp,
    folder: &FolderRow,
    from: Uid,
    in_place: bool,
) -> Result<Page, ShardError> {
    let then = Then::new(view, id, at)?;
    let mut messages = then.messages(folder, from, PAGE)?;
    let next =
        messages.last().filter(|_| messages.len() == PAGE).and_then(|m| m.uid.0.checked_add(1)).map(Uid);
    let found = messages.len();
    if in_place {
        let there = there(view, id, folder, &messages)?;
        messages.retain(|m| !there.contains(&m.uid));
    }
    let unchanged = (found - messages.len()) as u64;
    Ok(Page { messages, unchanged, keywords: then.keywords().clone(), next })
}

/// Which of these messages of a folder are still in a folder.
fn there(
    rows: &dyn Rows,
    id: MailboxId,
    folder: &FolderRow,
    messages: &[MessageRow],
) -> Result<BTreeSet<Uid>, ShardError> {
    let mailbox = Mailbox::new(rows, id);
    let mut there = BTreeSet::new();
    if mailbox.folders()?.iter().any(|now| now.volume == folder.volume) {
        for message in messages {
            there.extend(mailbox.message(folder.volume, message.uid)?.map(|m| m.uid));
        }
    }
    Ok(there)
}

/// Puts messages into the folder of a name, which is made where it does not exist.
fn put_back(
    tx: &mut Transaction<'_>,
    id: MailboxId,
    target: &Target,
    page: Page,
    when: When,
) -> Result<(), Fail> {
    let mut writer = if Mailbox::new(tx, id).exists()? {
        Writer::open(tx, id, when)?.ok_or(StoreError::NoMailbox)?
    } else {
        Writer::create(tx, id, when)?
    };
    let mut folder = match writer.mailbox().folder_named(&target.name)? {
        Some(folder) => folder,
        None => {
            let mut made = create(&mut writer, &target.name, target.limits)?;
            made.special_use = target.special_use;
            writer.save_folder(&made)?;
            made
        }
    };
    if !page.messages.is_empty() {
        let modseq = writer.next_modseq();
        for row in page.messages {
            writer.transaction().retain(&row.blob, 1)?;
            let keywords = writer.keyword_places(&page.keywords.flags(&row))?;
            let MessageRow { system, received, ages_from, sent, blob, .. } = row;
            writer.add(
                &mut folder,
                NewMessage { system, keywords, received, ages_from, sent, blob },
                modseq,
            )?;
        }
        writer.save_folder(&folder)?;
    }
    Ok(writer.save()?)
}
