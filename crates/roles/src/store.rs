//! The message store: mailboxes, their folders and their messages.
//!
//! A mailbox is all that an account has in the store; it is made at the first delivery or login and always has an
//! Inbox. Every change to a mailbox takes the next [`ModSeq`] of that mailbox. An answer to a changing
//! request comes after the change is durable, never before.
//!
//! Folder names are UTF-8 with `/` between levels; `INBOX` is taken in any case.

mod homes;
mod keeping;

pub use homes::{OneStore, Stores};
pub use keeping::{AttributeLine, Expire, Expired, MAILBOX_PAGE, MailboxLine, Run, Unread};

use crate::{Answer, Body, Call, Kind};
use bytes::Bytes;
use mail::attribute::AttributeName;
use mail::flags::{FlagAction, Flags};
use mail::id::{FolderId, MailboxId, ModSeq, Uid, UidValidity};
use mail::search::Criterion;
use mail::sequence::NumberSet;
use mail::time::Timestamp;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

/// Why the store did not do it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// No such mailbox.
    #[error("no such mailbox")]
    NoMailbox,
    /// No such folder.
    #[error("no such folder")]
    NoFolder,
    /// No such message (any more).
    #[error("no such message")]
    NoMessage,
    /// A folder of that name exists.
    #[error("the folder exists already")]
    FolderExists,
    /// The Inbox cannot be removed, a name is not valid, a level is too deep; says which.
    #[error("{0}")]
    Refused(String),
    /// A limit of the store that is no quota: the number or the depth of folders, the size of an attribute; says which.
    #[error("{0}")]
    Limit(String),
    /// The mailbox's quota of bytes or messages.
    #[error("the mailbox is full")]
    OverQuota,
    /// Another session holds the mailbox's POP lock.
    #[error("the mailbox is in use by another session")]
    Locked,
    /// The line in front of the store is full.
    #[error("the store is busy")]
    Busy,
    /// The volume is full: reading goes on, changing does not until there is space.
    #[error("the store has no space left")]
    NoSpace,
    /// Out of reach. The effect may have happened: repeat with the same request id.
    #[error("the store is not available")]
    Unavailable,
    /// The store is not at the host that was asked, or not any more. Nothing has happened: ask the host that has it.
    #[error("the store is at another host")]
    Elsewhere,
    /// Damage or a bug; already logged.
    #[error("the store is broken: {0}")]
    Broken(String),
}

impl StoreError {
    /// What it means for the caller.
    pub fn kind(&self) -> Kind {
        match self {
            Self::NoMailbox | Self::NoFolder | Self::NoMessage => Kind::Missing,
            Self::FolderExists | Self::Locked => Kind::Conflict,
            Self::Refused(_) => Kind::Refused,
            Self::OverQuota | Self::Limit(_) => Kind::OverLimit,
            Self::Busy => Kind::Busy(Duration::from_secs(1)),
            Self::NoSpace | Self::Unavailable | Self::Elsewhere => Kind::Unavailable,
            Self::Broken(_) => Kind::Broken,
        }
    }
}

/// How much a mailbox may hold, from its class of service; 0 is no limit.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Quota {
    /// Bytes of all messages together.
    pub bytes: u64,
    /// Number of messages.
    pub messages: u64,
    /// How its user is warned before; `None`: not at all.
    pub warning: Option<Arc<Warning>>,
}

/// The warning that a store puts into the Inbox, in the commit by which the mailbox comes to hold so much (ITS 13997):
/// once, until it holds less again. It counts as every message does and is left out where it would not fit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Warning {
    /// Percentage of either limit from which on the user is warned, 1 to 100.
    pub percent: u8,
    /// Who is warned, as an address.
    pub to: String,
    /// Who warns, as an address.
    pub from: String,
    /// What is said, in one line; empty: the store's own words.
    pub text: String,
}

/// What a mailbox holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Usage {
    /// Bytes of all messages together.
    pub bytes: u64,
    /// Number of messages.
    pub messages: u64,
}

/// One mailbox that is to have a message.
#[derive(Debug, Clone)]
pub struct DeliverTo {
    /// Whose.
    pub mailbox: MailboxId,
    /// The folder; where it does not exist, the Inbox (`MsDeliverFolderNotFound`). `None`: the Inbox.
    pub folder: Option<String>,
    /// Its limits.
    pub quota: Quota,
    /// Flags the message begins with.
    pub flags: Flags,
}

/// New mail. One body for all; the store keeps it once for all of its recipients in one shard.
#[derive(Debug, Clone)]
pub struct Deliver {
    /// At least one, at most 10,000.
    pub to: Vec<DeliverTo>,
    /// Header lines of this hop (Return-Path, Received) and the message.
    pub body: Body,
    /// INTERNALDATE.
    pub received: Timestamp,
    /// Whether `Call::request` is to be remembered, so that a repeat is not delivered twice (a redelivery from
    /// the queue); [`Repeatable::No`] where a repeat cannot come with the same id.
    pub repeatable: Repeatable,
}

/// See [`Deliver::repeatable`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Repeatable {
    /// The request id is kept for some days.
    Yes,
    /// It is not kept.
    No,
}

/// What became of one [`DeliverTo`], in the same order.
pub type Delivered = Vec<Result<Placed, StoreError>>;

/// Where a message is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Placed {
    /// The folder.
    pub folder: FolderId,
    /// The folder's UID epoch.
    pub uid_validity: UidValidity,
    /// Its UID there.
    pub uid: Uid,
}

/// Special use of a folder. RFC 6154.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum SpecialUse {
    /// `\Archive`
    Archive,
    /// `\Drafts`
    Drafts,
    /// `\Junk`
    Junk,
    /// `\Sent`
    Sent,
    /// `\Trash`
    Trash,
}

/// A folder and its counters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Folder {
    /// Its id.
    pub id: FolderId,
    /// Its full name.
    pub name: String,
    /// UID epoch.
    pub uid_validity: UidValidity,
    /// The UID the next message gets.
    pub uid_next: Uid,
    /// The highest ModSeq of any change in it.
    pub highest_modseq: ModSeq,
    /// Messages.
    pub messages: u32,
    /// Messages without `\Seen`.
    pub unseen: u32,
    /// Messages with `\Deleted`.
    pub deleted: u32,
    /// Bytes of its messages.
    pub bytes: u64,
    /// Whether the user has subscribed it.
    pub subscribed: bool,
    /// Its special use.
    pub special_use: Option<SpecialUse>,
}

/// A subscription may name a folder that does not exist (RFC 9051 6.3.7); these are listed apart.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Folders {
    /// All folders, in order of their names, the Inbox first.
    pub folders: Vec<Folder>,
    /// Subscribed names without a folder.
    pub ghosts: Vec<String>,
}

/// A folder as a session begins with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Opened {
    /// The folder.
    pub folder: Folder,
    /// UIDs of all its messages.
    pub uids: NumberSet,
    /// Keywords used in it.
    pub keywords: Vec<String>,
    /// The first message without `\Seen`.
    pub first_unseen: Option<Uid>,
}

/// How much of each message is wanted: each includes those before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Need {
    /// UID, flags, ModSeq, size, date: from the index alone.
    Flags,
    /// And the outline (envelope, structure, offsets), encoded as by `mail::message::Outline`.
    Outline,
    /// And the body, to be read in pieces.
    Body,
}

/// Which messages to read.
#[derive(Debug, Clone)]
pub struct Read {
    /// Whose.
    pub mailbox: MailboxId,
    /// Where.
    pub folder: FolderId,
    /// Which; UIDs that do not exist are passed over.
    pub uids: NumberSet,
    /// How much of each.
    pub need: Need,
    /// Only messages changed after this.
    pub changed_since: Option<ModSeq>,
    /// At most this many; the store may give fewer (its page limit is 1,000).
    pub limit: usize,
}

/// One message.
#[derive(Debug, Clone)]
pub struct Message {
    /// Its UID.
    pub uid: Uid,
    /// Its flags.
    pub flags: Flags,
    /// Its last change.
    pub modseq: ModSeq,
    /// Size in bytes.
    pub size: u64,
    /// INTERNALDATE.
    pub received: Timestamp,
    /// The encoded outline, where it was asked for.
    pub outline: Option<Bytes>,
    /// The body, where it was asked for.
    pub body: Option<Body>,
}

/// A page of messages in order of UID.
#[derive(Debug, Clone)]
pub struct Page {
    /// The messages.
    pub messages: Vec<Message>,
    /// Where to go on: read again with the UIDs from this one on. `None`: that was all.
    pub next: Option<Uid>,
}

/// A change of flags. RFC 9051 6.4.6, RFC 7162 3.1.3.
#[derive(Debug, Clone)]
pub struct FlagsChange {
    /// Whose.
    pub mailbox: MailboxId,
    /// Where.
    pub folder: FolderId,
    /// Which.
    pub uids: NumberSet,
    /// What to do.
    pub action: FlagAction,
    /// With which flags.
    pub flags: Flags,
    /// Only messages not changed after this; others are listed in [`FlagsChanged::modified`].
    pub unchanged_since: Option<ModSeq>,
}

/// What a change of flags did.
#[derive(Debug, Clone, Default)]
pub struct FlagsChanged {
    /// The messages as they are now, in order of UID: those that were asked for, changed or not, but not the refused.
    pub now: Vec<(Uid, Flags, ModSeq)>,
    /// Those that had changed since.
    pub modified: NumberSet,
}

/// What a copy or move did: the messages `from[i]` are now also (or only) `to[i]`.
#[derive(Debug, Clone)]
pub struct Copied {
    /// The target's UID epoch.
    pub uid_validity: UidValidity,
    /// UIDs in the source, in order.
    pub from: Vec<Uid>,
    /// UIDs in the target, in the same order.
    pub to: Vec<Uid>,
}

/// What has happened in a folder after a ModSeq.
#[derive(Debug, Clone, Default)]
pub struct Changes {
    /// Messages that are new or whose flags changed, with their flags, in order of ModSeq.
    pub changed: Vec<(Uid, Flags, ModSeq)>,
    /// UIDs that are gone.
    pub vanished: NumberSet,
    /// Everything up to here is in this answer.
    pub up_to: ModSeq,
    /// The folder's counters, as of `up_to`; `None`: the folder is gone.
    pub folder: Option<Folder>,
}

/// New mail from a client.
#[derive(Debug, Clone)]
pub struct Append {
    /// Whose.
    pub mailbox: MailboxId,
    /// The folder's name; it must exist.
    pub folder: String,
    /// Flags it begins with.
    pub flags: Flags,
    /// INTERNALDATE.
    pub received: Timestamp,
    /// The message.
    pub body: Body,
    /// The mailbox's limits.
    pub quota: Quota,
}

/// Tells that a mailbox has changed. What has changed is asked with [`MessageStore::folder_changes`].
pub trait Watch: Send {
    /// Ends when something in the mailbox has changed since the last call (or since the watch was made).
    /// Holds a few dozen bytes while it waits.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] where the store has gone: the session should tell its client.
    fn changed<'a>(&'a mut self) -> Pin<Box<dyn Future<Output = Result<(), StoreError>> + Send + 'a>>;
}

/// Mailboxes and their messages.
pub trait MessageStore: Send + Sync {
    /// Makes the mailbox, with its Inbox, if it is not there.
    fn mailbox_create<'a>(&'a self, call: &'a Call, mailbox: MailboxId) -> Answer<'a, (), StoreError>;

    /// Removes the mailbox with all its messages. UID epochs of a later mailbox of the same id are greater.
    fn mailbox_delete<'a>(&'a self, call: &'a Call, mailbox: MailboxId) -> Answer<'a, (), StoreError>;

    /// What it holds; zero where there is none yet.
    fn mailbox_usage<'a>(&'a self, call: &'a Call, mailbox: MailboxId) -> Answer<'a, Usage, StoreError>;

    /// A page of the mailboxes that are there, by id, after `after` (from the first one where that is `None`); at most
    /// `limit` and [`MAILBOX_PAGE`]. An empty page: that was all.
    fn mailbox_list<'a>(
        &'a self,
        call: &'a Call,
        after: Option<MailboxId>,
        limit: usize,
    ) -> Answer<'a, Vec<MailboxLine>, StoreError>;

    /// An attribute of a mailbox; `None` where it has none of that name.
    fn attribute_get<'a>(
        &'a self,
        call: &'a Call,
        mailbox: MailboxId,
        name: AttributeName,
    ) -> Answer<'a, Option<Bytes>, StoreError>;

    /// Sets an attribute of a mailbox, or takes it away with `None`. [`StoreError::Limit`] beyond
    /// `mail::attribute::MAX_VALUE` bytes, for the autoreply beyond `maxAutoReplyMsgLenKb`, and beyond
    /// `mail::attribute::MAX_COUNT` names.
    fn attribute_set<'a>(
        &'a self,
        call: &'a Call,
        mailbox: MailboxId,
        name: AttributeName,
        value: Option<Bytes>,
    ) -> Answer<'a, (), StoreError>;

    /// The attributes of a mailbox, by name.
    fn attribute_list<'a>(
        &'a self,
        call: &'a Call,
        mailbox: MailboxId,
    ) -> Answer<'a, Vec<AttributeLine>, StoreError>;

    /// Watches for changes from now on.
    fn mailbox_watch<'a>(
        &'a self,
        call: &'a Call,
        mailbox: MailboxId,
    ) -> Answer<'a, Box<dyn Watch>, StoreError>;

    /// Takes the single-session lock of POP for `Call::request` as holder; taking it again renews it.
    /// A lock not renewed for 10 minutes is free.
    fn mailbox_lock<'a>(&'a self, call: &'a Call, mailbox: MailboxId) -> Answer<'a, (), StoreError>;

    /// Gives the lock back, if `Call::request` holds it. Does not wait for anything.
    fn mailbox_unlock(&self, call: &Call, mailbox: MailboxId);

    /// Delivers new mail. The outer error means that nothing was delivered.
    fn message_deliver<'a>(&'a self, call: &'a Call, deliver: Deliver) -> Answer<'a, Delivered, StoreError>;

    /// Appends a client's message.
    fn message_append<'a>(&'a self, call: &'a Call, append: Append) -> Answer<'a, Placed, StoreError>;

    /// Reads messages, a page at a time.
    fn message_read<'a>(&'a self, call: &'a Call, read: Read) -> Answer<'a, Page, StoreError>;

    /// UIDs of the messages that match.
    fn message_search<'a>(
        &'a self,
        call: &'a Call,
        mailbox: MailboxId,
        folder: FolderId,
        criterion: Criterion,
    ) -> Answer<'a, NumberSet, StoreError>;

    /// Copies messages into a folder named `target`, keeping flags and dates.
    fn message_copy<'a>(
        &'a self,
        call: &'a Call,
        mailbox: MailboxId,
        folder: FolderId,
        uids: NumberSet,
        target: String,
        quota: Quota,
    ) -> Answer<'a, Copied, StoreError>;

    /// Moves messages into a folder named `target`: in one commit they are there and no longer here.
    fn message_move<'a>(
        &'a self,
        call: &'a Call,
        mailbox: MailboxId,
        folder: FolderId,
        uids: NumberSet,
        target: String,
    ) -> Answer<'a, Copied, StoreError>;

    /// Removes those of these messages that have `\Deleted`; returns which.
    fn message_expunge<'a>(
        &'a self,
        call: &'a Call,
        mailbox: MailboxId,
        folder: FolderId,
        uids: NumberSet,
    ) -> Answer<'a, NumberSet, StoreError>;

    /// Removes these messages, whatever their flags (POP, administration); returns which were there.
    fn message_delete<'a>(
        &'a self,
        call: &'a Call,
        mailbox: MailboxId,
        folder: FolderId,
        uids: NumberSet,
    ) -> Answer<'a, NumberSet, StoreError>;

    /// Removes messages for their age, all that are old enough and none that is not (ITS 22344). A real run leaves the
    /// time in the attribute `mail::attribute::LAST_EXPIRED` (ITS 11763).
    fn message_expire<'a>(&'a self, call: &'a Call, expire: Expire) -> Answer<'a, Expired, StoreError>;

    /// Changes flags.
    fn flags_change<'a>(
        &'a self,
        call: &'a Call,
        change: FlagsChange,
    ) -> Answer<'a, FlagsChanged, StoreError>;

    /// All folders with their counters.
    fn folder_list<'a>(&'a self, call: &'a Call, mailbox: MailboxId) -> Answer<'a, Folders, StoreError>;

    /// One folder with its counters, by name.
    fn folder_status<'a>(
        &'a self,
        call: &'a Call,
        mailbox: MailboxId,
        name: String,
    ) -> Answer<'a, Folder, StoreError>;

    /// One folder with the UIDs of its messages, by name.
    fn folder_open<'a>(
        &'a self,
        call: &'a Call,
        mailbox: MailboxId,
        name: String,
    ) -> Answer<'a, Opened, StoreError>;

    /// Makes a folder, and those above it.
    fn folder_create<'a>(
        &'a self,
        call: &'a Call,
        mailbox: MailboxId,
        name: String,
        special_use: Option<SpecialUse>,
    ) -> Answer<'a, FolderId, StoreError>;

    /// Removes a folder and its messages; not the Inbox, not a folder with folders below it.
    fn folder_delete<'a>(
        &'a self,
        call: &'a Call,
        mailbox: MailboxId,
        name: String,
    ) -> Answer<'a, (), StoreError>;

    /// Renames a folder with those below it; UID epochs change (ITS 13916). Renaming the Inbox moves its messages
    /// into a new folder and leaves it empty. RFC 9051 6.3.6.
    fn folder_rename<'a>(
        &'a self,
        call: &'a Call,
        mailbox: MailboxId,
        from: String,
        to: String,
    ) -> Answer<'a, (), StoreError>;

    /// Subscribes a name, or ends that.
    fn folder_subscribe<'a>(
        &'a self,
        call: &'a Call,
        mailbox: MailboxId,
        name: String,
        subscription: Subscription,
    ) -> Answer<'a, (), StoreError>;

    /// What has happened in a folder after `since`, at most about 10,000 messages at a time (see [`Changes::up_to`]).
    fn folder_changes<'a>(
        &'a self,
        call: &'a Call,
        mailbox: MailboxId,
        folder: FolderId,
        since: ModSeq,
    ) -> Answer<'a, Changes, StoreError>;
}

/// Whether a name is subscribed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Subscription {
    /// It is.
    On,
    /// It is not.
    Off,
}
