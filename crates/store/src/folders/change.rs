//! Making, removing, renaming and subscribing folders.

use super::special_use_number;
use crate::error::Fail;
use crate::open::Inner;
use catalog::events::ms;
use mail::id::{FolderId, MailboxId};
use roles::store::{SpecialUse, StoreError, Subscription};
use storage::mailboxes::{FolderName, FolderRow, Writer};
use storage::shard::Transaction;

/// Most folders of a mailbox.
const MAX_FOLDERS: usize = 10_000;

impl Inner {
    pub(crate) async fn create_folder(
        &self,
        mailbox: MailboxId,
        name: &str,
        special_use: Option<SpecialUse>,
    ) -> Result<FolderId, StoreError> {
        let name = parse(name)?;
        let when = self.when();
        let task = move |tx: &mut Transaction<'_>| {
            let mut writer = Writer::open(tx, mailbox, when)?.ok_or(StoreError::NoMailbox)?;
            let number = special_use.map_or(0, special_use_number);
            check_room(&writer, number)?;
            let mut folder = create(&mut writer, &name)?;
            if number != 0 {
                folder.special_use = number;
                writer.save_folder(&folder)?;
            }
            writer.save()?;
            Ok::<_, Fail>(folder.id)
        };
        self.change(mailbox, task).await
    }

    pub(crate) async fn delete_folder(&self, mailbox: MailboxId, name: &str) -> Result<(), StoreError> {
        let parsed = FolderName::parse(name).map_err(|_| StoreError::NoFolder)?;
        let when = self.when();
        let task = move |tx: &mut Transaction<'_>| {
            let mut writer = Writer::open(tx, mailbox, when)?.ok_or(StoreError::NoMailbox)?;
            if parsed.is_inbox() {
                return Err(refused("the Inbox cannot be removed"));
            }
            let folder = writer.mailbox().folder_named(&parsed)?.ok_or(StoreError::NoFolder)?;
            if writer.mailbox().has_below(&parsed)? {
                return Err(refused("the folder has folders below it"));
            }
            writer.next_modseq();
            writer.remove_folder(&folder)?;
            writer.save()?;
            Ok(())
        };
        let outcome = self.change(mailbox, task).await;
        match &outcome {
            Ok(()) => self.purge.notify_one(),
            Err(StoreError::Refused(reason)) => {
                self.env.log.emit(&ms::MsFolderNotRemovable { mailbox, folder: name, reason });
            }
            Err(_) => {}
        }
        outcome
    }

    pub(crate) async fn rename_folder(
        &self,
        mailbox: MailboxId,
        from: &str,
        to: &str,
    ) -> Result<(), StoreError> {
        let from = FolderName::parse(from).map_err(|_| StoreError::NoFolder)?;
        let to = parse(to)?;
        let when = self.when();
        let task = move |tx: &mut Transaction<'_>| {
            let mut writer = Writer::open(tx, mailbox, when)?.ok_or(StoreError::NoMailbox)?;
            let mut folder = writer.mailbox().folder_named(&from)?.ok_or(StoreError::NoFolder)?;
            if from.is_inbox() {
                // RFC 9051 6.3.6: the messages go, the Inbox and the folders below it stay.
                let mut taker = create(&mut writer, &to)?;
                writer.hand_over(&mut folder, &mut taker)?;
            } else {
                rename(&mut writer, folder, &from, &to)?;
            }
            writer.save()?;
            Ok::<_, Fail>(())
        };
        self.change(mailbox, task).await?;
        self.purge.notify_one();
        Ok(())
    }

    pub(crate) async fn subscribe_folder(
        &self,
        mailbox: MailboxId,
        name: &str,
        subscription: Subscription,
    ) -> Result<(), StoreError> {
        let (name, when) = (parse(name)?, self.when());
        let task = move |tx: &mut Transaction<'_>| {
            let mut writer = Writer::open(tx, mailbox, when)?.ok_or(StoreError::NoMailbox)?;
            match subscription {
                Subscription::On => writer.subscribe(name.as_str())?,
                Subscription::Off => writer.unsubscribe(name.as_str())?,
            }
            writer.save()?;
            Ok::<_, Fail>(())
        };
        self.change(mailbox, task).await
    }
}

fn parse(name: &str) -> Result<FolderName, StoreError> {
    FolderName::parse(name).map_err(|e| StoreError::Refused(e.to_string()))
}

fn refused(why: &str) -> Fail {
    StoreError::Refused(why.into()).into()
}

/// RFC 6154 3: a server may refuse a special use that another folder has.
fn check_room(writer: &Writer<'_, '_>, special_use: u8) -> Result<(), Fail> {
    let folders = writer.mailbox().folders()?;
    if folders.len() >= MAX_FOLDERS {
        return Err(refused("the mailbox has too many folders"));
    }
    if special_use != 0 && folders.iter().any(|f| f.special_use == special_use) {
        return Err(refused("another folder has that special use"));
    }
    Ok(())
}

/// Makes a folder and those above it. RFC 9051 6.3.4.
pub(crate) fn create(writer: &mut Writer<'_, '_>, name: &FolderName) -> Result<FolderRow, Fail> {
    if writer.mailbox().folder_named(name)?.is_some() {
        return Err(StoreError::FolderExists.into());
    }
    for parent in name.parents() {
        if writer.mailbox().folder_named(&parent)?.is_none() {
            writer.create_folder(&parent)?;
        }
    }
    writer.next_modseq();
    Ok(writer.create_folder(name)?)
}

fn rename(
    writer: &mut Writer<'_, '_>,
    mut folder: FolderRow,
    from: &FolderName,
    to: &FolderName,
) -> Result<(), Fail> {
    if to.is_below(from) {
        return Err(refused("a folder cannot be moved below itself"));
    }
    if writer.mailbox().folder_named(to)?.is_some() {
        return Err(StoreError::FolderExists.into());
    }
    for parent in to.parents() {
        if writer.mailbox().folder_named(&parent)?.is_none() {
            writer.create_folder(&parent)?;
        }
    }
    // The names below are free: their parent did not exist until now.
    for mut below in writer.mailbox().folders()? {
        let name = FolderName::parse(&below.name)?;
        if name.is_below(from) {
            writer.rename_folder(&mut below, &name.moved(from, to)?)?;
        }
    }
    Ok(writer.rename_folder(&mut folder, to)?)
}
