//! Folders: listing, opening, and (in `change`) making, removing, renaming, subscribing.

mod change;

pub(crate) use change::{Limits, create};

use crate::error::Fail;
use crate::open::Inner;
use mail::id::MailboxId;
use roles::store::{Folder, Folders, Opened, SpecialUse, StoreError};
use std::collections::BTreeSet;
use storage::mailboxes::{FolderName, FolderRow, Mailbox, Mark};
use storage::shard::{ShardError, View};

impl Inner {
    pub(crate) async fn list_folders(&self, mailbox: MailboxId) -> Result<Folders, StoreError> {
        self.look(mailbox, move |view| list(Mailbox::new(view, mailbox))).await
    }

    pub(crate) async fn folder_status(&self, mailbox: MailboxId, name: &str) -> Result<Folder, StoreError> {
        let name = FolderName::parse(name).map_err(|_| StoreError::NoFolder)?;
        let job = move |view: &View<'_>| {
            let mailbox = Mailbox::new(view, mailbox);
            Ok(shown(mailbox, named(mailbox, &name)?)?)
        };
        self.look(mailbox, job).await
    }

    pub(crate) async fn open_folder(&self, mailbox: MailboxId, name: &str) -> Result<Opened, StoreError> {
        let name = FolderName::parse(name).map_err(|_| StoreError::NoFolder)?;
        self.look(mailbox, move |view| open(Mailbox::new(view, mailbox), &name)).await
    }
}

fn list(mailbox: Mailbox<'_>) -> Result<Folders, Fail> {
    let mut rows = mailbox.folders()?;
    if rows.is_empty() {
        return Err(StoreError::NoMailbox.into());
    }
    rows.sort_by(|a, b| (a.name != "INBOX", &a.name).cmp(&(b.name != "INBOX", &b.name)));
    let mut subscribed: BTreeSet<String> = mailbox.subscriptions()?.into_iter().collect();
    let folders = rows.into_iter().map(|row| {
        let on = subscribed.remove(&row.name);
        folder(row, on)
    });
    let folders = folders.collect();
    Ok(Folders { folders, ghosts: subscribed.into_iter().collect() })
}

fn open(mailbox: Mailbox<'_>, name: &FolderName) -> Result<Opened, Fail> {
    let row = named(mailbox, name)?;
    let uids = mailbox.uids(row.volume, Mark::There)?;
    let first_unseen = match row.unseen {
        0 => None,
        _ => mailbox.first_uid(row.volume, Mark::Unseen)?,
    };
    let keywords = mailbox.keywords()?.names().iter().map(|k| k.as_str().to_owned()).collect();
    Ok(Opened { folder: shown(mailbox, row)?, uids, keywords, first_unseen })
}

/// The folder of a name in an existing mailbox.
fn named(mailbox: Mailbox<'_>, name: &FolderName) -> Result<FolderRow, Fail> {
    match mailbox.folder_named(name)? {
        Some(row) => Ok(row),
        None if mailbox.exists()? => Err(StoreError::NoFolder.into()),
        None => Err(StoreError::NoMailbox.into()),
    }
}

/// A folder as callers see it.
pub(crate) fn shown(mailbox: Mailbox<'_>, row: FolderRow) -> Result<Folder, ShardError> {
    let on = mailbox.is_subscribed(&row.name)?;
    Ok(folder(row, on))
}

fn folder(row: FolderRow, subscribed: bool) -> Folder {
    Folder {
        id: row.id,
        name: row.name,
        uid_validity: row.uid_validity,
        uid_next: row.uid_next,
        highest_modseq: row.highest_modseq,
        messages: row.messages,
        unseen: row.unseen,
        deleted: row.deleted,
        bytes: row.bytes,
        subscribed,
        special_use: SPECIAL_USES
            .iter()
            .find(|(_, number)| *number == row.special_use)
            .map(|(used, _)| *used),
    }
}

/// The numbers that special uses have in rows; never changed.
const SPECIAL_USES: [(SpecialUse, u8); 5] = [
    (SpecialUse::Archive, 1),
    (SpecialUse::Drafts, 2),
    (SpecialUse::Junk, 3),
    (SpecialUse::Sent, 4),
    (SpecialUse::Trash, 5),
];

/// The number of a special use.
fn special_use_number(special_use: SpecialUse) -> u8 {
    SPECIAL_USES.iter().find(|(used, _)| *used == special_use).map_or(0, |(_, number)| *number)
}
