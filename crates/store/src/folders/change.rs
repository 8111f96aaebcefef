//! Making, removing, renaming and subscribing folders.

use super::special_use_number;
use crate::error::Fail;
use crate::open::{Inner, Switches};
use catalog::events::ms;
use mail::id::{FolderId, MailboxId};
use roles::store::{SpecialUse, StoreError, Subscription};
use storage::mailboxes::{FolderName, FolderRow, Writer};
use storage::shard::Transaction;

/// How many folders a mailbox may have, and how deep they may lie: `maxFolders`, `maxFolderDepth`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    folders: usize,
    levels: usize,
}

impl Limits {
    pub(crate) fn of(switches: &Switches) -> Self {
        Self { folders: switches.max_folders, levels: switches.max_depth }
    }

    fn check_depth(self, name: &FolderName) -> Result<(), StoreError> {
        if name.levels() <= self.levels {
            return Ok(());
        }
        Err(StoreError::Limit(format!("a folder may have at most {} levels", self.levels)))
    }

    fn check_count(self, there: usize, more: usize) -> Result<(), StoreError> {
        if there.saturating_add(more) <= self.folders {
            return Ok(());
        }
        Err(StoreError::Limit(format!("a mailbox may have at most {} folders", self.folders)))
    }
}

impl Inner {
    pub(crate) async fn create_folder(
        &self,
        mailbox: MailboxId,
        name: &str,
        special_use: Option<SpecialUse>,
    ) -> Result<FolderId, StoreError> {
        let name = parse(name)?;
        let (when, limits) = (self.when(), Limits::of(&self.switches.get()));
        let task = move |tx: &mut Transaction<'_>| {
            let mut writer = Writer::open(tx, mailbox, when)?.ok_or(StoreError::NoMailbox)?;
            let number = special_use.map_or(0, special_use_number);
            check_free(&writer, number)?;
            let mut folder = create(&mut writer, &name, limits)?;
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
        let (when, limits) = (self.when(), Limits::of(&self.switches.get()));
        let task = move |tx: &mut Transaction<'_>| {
            let mut writer = Writer::open(tx, mailbox, when)?.ok_or(StoreError::NoMailbox)?;
            let mut folder = writer.mailbox().folder_named(&from)?.ok_or(StoreError::NoFolder)?;
            if from.is_inbox() {
                // RFC 9051 6.3.6: the messages go, the Inbox and the folders below it stay.
                let mut taker = create(&mut writer, &to, limits)?;
                writer.hand_over(&mut folder, &mut taker)?;
            } else {
                rename(&mut writer, folder, (&from, &to), limits)?;
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
fn check_free(writer: &Writer<'_, '_>, special_use: u8) -> Result<(), Fail> {
    if special_use != 0 && writer.mailbox().folders()?.iter().any(|f| f.special_use == special_use) {
        return Err(refused("another folder has that special use"));
    }
    Ok(())
}

/// Makes a folder and those above it. RFC 9051 6.3.4.
pub(crate) fn create(
    writer: &mut Writer<'_, '_>,
    name: &FolderName,
    limits: Limits,
) -> Result<FolderRow, Fail> {
    if writer.mailbox().folder_named(name)?.is_some() {
        return Err(StoreError::FolderExists.into());
    }
    limits.check_depth(name)?;
    create_parents(writer, name, 1, limits)?;
    writer.next_modseq();
    Ok(writer.create_folder(name)?)
}

/// Makes the folders above a name, where `besides` more are to be made.
fn create_parents(
    writer: &mut Writer<'_, '_>,
    name: &FolderName,
    besides: usize,
    limits: Limits,
) -> Result<(), Fail> {
    let mut missing = Vec::new();
    for parent in name.parents() {
        if writer.mailbox().folder_named(&parent)?.is_none() {
            missing.push(parent);
        }
    }
    if missing.len() + besides > 0 {
        limits.check_count(writer.mailbox().folders()?.len(), missing.len() + besides)?;
    }
    for parent in missing {
        writer.create_folder(&parent)?;
    }
    Ok(())
}

fn rename(
    writer: &mut Writer<'_, '_>,
    mut folder: FolderRow,
    (from, to): (&FolderName, &FolderName),
    limits: Limits,
) -> Result<(), Fail> {
    if to.is_below(from) {
        return Err(refused("a folder cannot be moved below itself"));
    }
    if writer.mailbox().folder_named(to)?.is_some() {
        return Err(StoreError::FolderExists.into());
    }
    limits.check_depth(to)?;
    create_parents(writer, to, 0, limits)?;
    // The names below are free: their parent did not exist until now.
    for mut below in writer.mailbox().folders()? {
        let name = FolderName::parse(&below.name)?;
        if name.is_below(from) {
            let moved = name.moved(from, to)?;
            limits.check_depth(&moved)?;
            writer.rename_folder(&mut below, &moved)?;
        }
    }
    Ok(writer.rename_folder(&mut folder, to)?)
}
