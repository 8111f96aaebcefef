//! Mailboxes, folders, messages.

use super::proto as p;
use super::{Bad, Fault as _, MAX_RECIPIENTS, at_most, each, failure_of, need};
use mail::flags::{FlagAction, Flags};
use mail::id::{FolderId, MailboxId, ModSeq, Uid, UidValidity};
use mail::time::Timestamp;
use roles::Body;
use roles::store as r;
use roles::store::{SpecialUse, StoreError};

impl From<MailboxId> for p::Mailbox {
    fn from(mailbox: MailboxId) -> Self {
        Self { mailbox: mailbox.0 }
    }
}

impl From<r::Usage> for p::Usage {
    fn from(usage: r::Usage) -> Self {
        Self { bytes: usage.bytes, messages: usage.messages }
    }
}

impl From<p::Usage> for r::Usage {
    fn from(usage: p::Usage) -> Self {
        Self { bytes: usage.bytes, messages: usage.messages }
    }
}

impl From<r::MailboxLine> for p::MailboxLine {
    fn from(line: r::MailboxLine) -> Self {
        Self { mailbox: line.mailbox.0, usage: Some(line.usage.into()) }
    }
}

impl TryFrom<p::MailboxLine> for r::MailboxLine {
    type Error = Bad;

    fn try_from(line: p::MailboxLine) -> Result<Self, Bad> {
        Ok(Self { mailbox: MailboxId(line.mailbox), usage: need(line.usage, "usage")?.into() })
    }
}

/// The head of a delivery: everything but the body.
pub(crate) struct DeliverHead {
    /// To whom.
    pub(crate) to: Vec<r::DeliverTo>,
    /// INTERNALDATE.
    pub(crate) received: Timestamp,
    /// Whether the request is remembered.
    pub(crate) repeatable: r::Repeatable,
}

impl From<&r::Deliver> for p::Deliver {
    /// Without the body.
    fn from(deliver: &r::Deliver) -> Self {
        let to = |to: &r::DeliverTo| p::DeliverTo {
            mailbox: to.mailbox.0,
            folder: to.folder.clone(),
            quota: Some((&to.quota).into()),
            flags: Some((&to.flags).into()),
        };
        Self {
            to: deliver.to.iter().map(to).collect(),
            body: None,
            received: deliver.received.as_micros(),
            repeatable: deliver.repeatable == r::Repeatable::Yes,
        }
    }
}

impl TryFrom<p::DeliverTo> for r::DeliverTo {
    type Error = Bad;

    fn try_from(to: p::DeliverTo) -> Result<Self, Bad> {
        Ok(Self {
            mailbox: MailboxId(to.mailbox),
            folder: to.folder,
            quota: to.quota.unwrap_or_default().try_into()?,
            flags: to.flags.unwrap_or_default().try_into()?,
        })
    }
}

impl TryFrom<p::Deliver> for DeliverHead {
    type Error = Bad;

    fn try_from(deliver: p::Deliver) -> Result<Self, Bad> {
        let repeatable = if deliver.repeatable { r::Repeatable::Yes } else { r::Repeatable::No };
        Ok(Self {
            to: at_most(deliver.to, MAX_RECIPIENTS, "to")?,
            received: Timestamp::from_micros(deliver.received),
            repeatable,
        })
    }
}

impl From<r::Placed> for p::Placed {
    fn from(placed: r::Placed) -> Self {
        Self { folder: placed.folder.0, uid_validity: placed.uid_validity.0, uid: placed.uid.0 }
    }
}

impl From<p::Placed> for r::Placed {
    fn from(placed: p::Placed) -> Self {
        Self {
            folder: FolderId(placed.folder),
            uid_validity: UidValidity(placed.uid_validity),
            uid: Uid(placed.uid),
        }
    }
}

impl From<&Result<r::Placed, StoreError>> for p::PlacedOrNot {
    fn from(each: &Result<r::Placed, StoreError>) -> Self {
        match each {
            Ok(placed) => Self { placed: Some((*placed).into()), failure: None },
            Err(error) => Self { placed: None, failure: Some(failure_of(error)) },
        }
    }
}

impl From<p::PlacedOrNot> for Result<r::Placed, StoreError> {
    fn from(each: p::PlacedOrNot) -> Self {
        match (each.placed, each.failure) {
            (_, Some(failure)) => Err(failure.error()),
            (Some(placed), None) => Ok(placed.into()),
            (None, None) => Err(StoreError::unavailable()),
        }
    }
}

impl From<&r::Append> for p::Append {
    /// Without the body.
    fn from(append: &r::Append) -> Self {
        Self {
            mailbox: append.mailbox.0,
            folder: append.folder.clone(),
            flags: Some((&append.flags).into()),
            received: append.received.as_micros(),
            body: None,
            quota: Some((&append.quota).into()),
        }
    }
}

/// What the wire says of a message to append, and its body, which has been collected.
pub(crate) fn append(append: p::Append, body: Body) -> Result<r::Append, Bad> {
    Ok(r::Append {
        mailbox: MailboxId(append.mailbox),
        folder: append.folder,
        flags: append.flags.unwrap_or_default().try_into()?,
        received: Timestamp::from_micros(append.received),
        body,
        quota: append.quota.unwrap_or_default().try_into()?,
    })
}

impl From<&r::Read> for p::ReadRequest {
    fn from(read: &r::Read) -> Self {
        let need = match read.need {
            r::Need::Flags => p::Need::Flags,
            r::Need::Outline => p::Need::Outline,
            r::Need::Body => p::Need::Body,
        };
        Self {
            mailbox: read.mailbox.0,
            folder: read.folder.0,
            uids: Some((&read.uids).into()),
            need: need.into(),
            changed_since: read.changed_since.map(|m| m.0),
            limit: u32::try_from(read.limit).unwrap_or(u32::MAX),
        }
    }
}

impl TryFrom<p::ReadRequest> for r::Read {
    type Error = Bad;

    fn try_from(read: p::ReadRequest) -> Result<Self, Bad> {
        let need = match read.need() {
            p::Need::Flags => r::Need::Flags,
            p::Need::Outline => r::Need::Outline,
            p::Need::Body => r::Need::Body,
        };
        Ok(Self {
            mailbox: MailboxId(read.mailbox),
            folder: FolderId(read.folder),
            uids: read.uids.unwrap_or_default().try_into()?,
            need,
            changed_since: read.changed_since.map(ModSeq),
            limit: usize::try_from(read.limit).unwrap_or(usize::MAX),
        })
    }
}

impl From<&r::Message> for p::Message {
    /// Without the body.
    fn from(message: &r::Message) -> Self {
        Self {
            uid: message.uid.0,
            flags: Some((&message.flags).into()),
            modseq: message.modseq.0,
            size: message.size,
            received: message.received.as_micros(),
            outline: message.outline.clone(),
            body: None,
        }
    }
}

/// A message of a page with the body that was made for it.
pub(crate) fn message(message: p::Message, body: Option<Body>) -> Result<r::Message, Bad> {
    Ok(r::Message {
        uid: Uid(message.uid),
        flags: message.flags.unwrap_or_default().try_into()?,
        modseq: ModSeq(message.modseq),
        size: message.size,
        received: Timestamp::from_micros(message.received),
        outline: message.outline,
        body,
    })
}

impl From<r::Copied> for p::Copied {
    fn from(copied: r::Copied) -> Self {
        let numbers = |uids: Vec<Uid>| uids.into_iter().map(|u| u.0).collect();
        Self { uid_validity: copied.uid_validity.0, from: numbers(copied.from), to: numbers(copied.to) }
    }
}

impl TryFrom<p::Copied> for r::Copied {
    type Error = Bad;

    fn try_from(copied: p::Copied) -> Result<Self, Bad> {
        if copied.from.len() != copied.to.len() {
            return Err(Bad("to"));
        }
        let uids = |numbers: Vec<u32>| numbers.into_iter().map(Uid).collect();
        Ok(Self {
            uid_validity: UidValidity(copied.uid_validity),
            from: uids(copied.from),
            to: uids(copied.to),
        })
    }
}

impl From<&r::Expire> for p::ExpireRequest {
    fn from(expire: &r::Expire) -> Self {
        Self {
            mailbox: expire.mailbox.0,
            folder: expire.folder.0,
            before: expire.before.as_micros(),
            unread_goes: expire.unread == r::Unread::Goes,
            dry_run: expire.run == r::Run::Dry,
        }
    }
}

impl From<p::ExpireRequest> for r::Expire {
    fn from(expire: p::ExpireRequest) -> Self {
        Self {
            mailbox: MailboxId(expire.mailbox),
            folder: FolderId(expire.folder),
            before: Timestamp::from_micros(expire.before),
            unread: if expire.unread_goes { r::Unread::Goes } else { r::Unread::Stays },
            run: if expire.dry_run { r::Run::Dry } else { r::Run::Real },
        }
    }
}

impl From<r::Expired> for p::Expired {
    fn from(expired: r::Expired) -> Self {
        Self { messages: expired.messages, bytes: expired.bytes, protected: expired.protected }
    }
}

impl From<p::Expired> for r::Expired {
    fn from(expired: p::Expired) -> Self {
        Self { messages: expired.messages, bytes: expired.bytes, protected: expired.protected }
    }
}

impl From<&r::FlagsChange> for p::FlagsChangeRequest {
    fn from(change: &r::FlagsChange) -> Self {
        let action = match change.action {
            FlagAction::Replace => p::FlagAction::FlagReplace,
            FlagAction::Add => p::FlagAction::FlagAdd,
            FlagAction::Remove => p::FlagAction::FlagRemove,
        };
        Self {
            mailbox: change.mailbox.0,
            folder: change.folder.0,
            uids: Some((&change.uids).into()),
            action: action.into(),
            flags: Some((&change.flags).into()),
            unchanged_since: change.unchanged_since.map(|m| m.0),
        }
    }
}

impl TryFrom<p::FlagsChangeRequest> for r::FlagsChange {
    type Error = Bad;

    /// An action of a later version is bad: the default one would take flags away.
    fn try_from(change: p::FlagsChangeRequest) -> Result<Self, Bad> {
        let action = match p::FlagAction::try_from(change.action).map_err(|_| Bad("action"))? {
            p::FlagAction::FlagReplace => FlagAction::Replace,
            p::FlagAction::FlagAdd => FlagAction::Add,
            p::FlagAction::FlagRemove => FlagAction::Remove,
        };
        Ok(Self {
            mailbox: MailboxId(change.mailbox),
            folder: FolderId(change.folder),
            uids: change.uids.unwrap_or_default().try_into()?,
            action,
            flags: change.flags.unwrap_or_default().try_into()?,
            unchanged_since: change.unchanged_since.map(ModSeq),
        })
    }
}

type FlagsNow = (Uid, Flags, ModSeq);

fn now_out((uid, flags, modseq): &FlagsNow) -> p::FlagsNow {
    p::FlagsNow { uid: uid.0, flags: Some(flags.into()), modseq: modseq.0 }
}

fn now_in(now: Vec<p::FlagsNow>) -> Result<Vec<FlagsNow>, Bad> {
    let one = |n: p::FlagsNow| Ok((Uid(n.uid), n.flags.unwrap_or_default().try_into()?, ModSeq(n.modseq)));
    now.into_iter().map(one).collect()
}

impl From<r::FlagsChanged> for p::FlagsChanged {
    fn from(changed: r::FlagsChanged) -> Self {
        Self { now: changed.now.iter().map(now_out).collect(), modified: Some((&changed.modified).into()) }
    }
}

impl TryFrom<p::FlagsChanged> for r::FlagsChanged {
    type Error = Bad;

    fn try_from(changed: p::FlagsChanged) -> Result<Self, Bad> {
        Ok(Self { now: now_in(changed.now)?, modified: changed.modified.unwrap_or_default().try_into()? })
    }
}

/// A special use as its number.
pub(crate) fn use_out(special: Option<SpecialUse>) -> i32 {
    let special = match special {
        None => p::SpecialUse::UseNone,
        Some(SpecialUse::Archive) => p::SpecialUse::UseArchive,
        Some(SpecialUse::Drafts) => p::SpecialUse::UseDrafts,
        Some(SpecialUse::Junk) => p::SpecialUse::UseJunk,
        Some(SpecialUse::Sent) => p::SpecialUse::UseSent,
        Some(SpecialUse::Trash) => p::SpecialUse::UseTrash,
    };
    special.into()
}

/// The special use of this number; one of a later version is none.
pub(crate) fn use_in(special: p::SpecialUse) -> Option<SpecialUse> {
    match special {
        p::SpecialUse::UseNone => None,
        p::SpecialUse::UseArchive => Some(SpecialUse::Archive),
        p::SpecialUse::UseDrafts => Some(SpecialUse::Drafts),
        p::SpecialUse::UseJunk => Some(SpecialUse::Junk),
        p::SpecialUse::UseSent => Some(SpecialUse::Sent),
        p::SpecialUse::UseTrash => Some(SpecialUse::Trash),
    }
}

impl From<r::Folder> for p::Folder {
    fn from(folder: r::Folder) -> Self {
        Self {
            id: folder.id.0,
            name: folder.name,
            uid_validity: folder.uid_validity.0,
            uid_next: folder.uid_next.0,
            highest_modseq: folder.highest_modseq.0,
            messages: folder.messages,
            unseen: folder.unseen,
            deleted: folder.deleted,
            bytes: folder.bytes,
            subscribed: folder.subscribed,
            special_use: use_out(folder.special_use),
        }
    }
}

impl TryFrom<p::Folder> for r::Folder {
    type Error = Bad;

    fn try_from(folder: p::Folder) -> Result<Self, Bad> {
        let special_use = use_in(folder.special_use());
        Ok(Self {
            id: FolderId(folder.id),
            name: folder.name,
            uid_validity: UidValidity(folder.uid_validity),
            uid_next: Uid(folder.uid_next),
            highest_modseq: ModSeq(folder.highest_modseq),
            messages: folder.messages,
            unseen: folder.unseen,
            deleted: folder.deleted,
            bytes: folder.bytes,
            subscribed: folder.subscribed,
            special_use,
        })
    }
}

impl From<r::Folders> for p::Folders {
    fn from(folders: r::Folders) -> Self {
        Self { folders: folders.folders.into_iter().map(Into::into).collect(), ghosts: folders.ghosts }
    }
}

impl TryFrom<p::Folders> for r::Folders {
    type Error = Bad;

    fn try_from(folders: p::Folders) -> Result<Self, Bad> {
        Ok(Self { folders: each(folders.folders)?, ghosts: folders.ghosts })
    }
}

impl From<r::Opened> for p::Opened {
    fn from(opened: r::Opened) -> Self {
        Self {
            folder: Some(opened.folder.into()),
            uids: Some((&opened.uids).into()),
            keywords: opened.keywords,
            first_unseen: opened.first_unseen.map(|u| u.0),
        }
    }
}

impl TryFrom<p::Opened> for r::Opened {
    type Error = Bad;

    fn try_from(opened: p::Opened) -> Result<Self, Bad> {
        Ok(Self {
            folder: need(opened.folder, "folder")?.try_into()?,
            uids: opened.uids.unwrap_or_default().try_into()?,
            keywords: opened.keywords,
            first_unseen: opened.first_unseen.map(Uid),
        })
    }
}

impl From<r::Changes> for p::Changes {
    fn from(changes: r::Changes) -> Self {
        Self {
            changed: changes.changed.iter().map(now_out).collect(),
            vanished: Some((&changes.vanished).into()),
            up_to: changes.up_to.0,
            folder: changes.folder.map(Into::into),
        }
    }
}

impl TryFrom<p::Changes> for r::Changes {
    type Error = Bad;

    fn try_from(changes: p::Changes) -> Result<Self, Bad> {
        Ok(Self {
            changed: now_in(changes.changed)?,
            vanished: changes.vanished.unwrap_or_default().try_into()?,
            up_to: ModSeq(changes.up_to),
            folder: changes.folder.map(TryInto::try_into).transpose()?,
        })
    }
}
