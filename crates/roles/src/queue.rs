//! The mail queue: what cannot be delivered now, kept durably until it is delivered or given up.

use crate::{Answer, Body, Call, Kind};
use mail::address::{Address, Domain};
use mail::envelope::{Origin, Recipient};
use mail::id::{QueueId, TraceId};
use mail::time::Timestamp;
use std::time::Duration;

/// Why the queue did not do it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum QueueError {
    /// No such item, or it is done.
    #[error("no such item in the queue")]
    NoItem,
    /// The claim has run out and another worker has the item (`QsrvNotLocked`).
    #[error("the item is not claimed by this worker")]
    NotClaimed,
    /// The line in front of the queue is full.
    #[error("the queue is busy")]
    Busy,
    /// The volume is full.
    #[error("the queue has no space left")]
    NoSpace,
    /// Out of reach.
    #[error("the queue is not available")]
    Unavailable,
    /// Damage or a bug; already logged.
    #[error("the queue is broken: {0}")]
    Broken(String),
}

impl QueueError {
    /// What it means for the caller.
    pub fn kind(&self) -> Kind {
        match self {
            Self::NoItem => Kind::Missing,
            Self::NotClaimed => Kind::Conflict,
            Self::Busy => Kind::Busy(Duration::from_secs(1)),
            Self::NoSpace | Self::Unavailable => Kind::Unavailable,
            Self::Broken(_) => Kind::Broken,
        }
    }
}

/// A message to be kept until it is delivered.
#[derive(Debug, Clone)]
pub struct NewItem {
    /// Sender and options.
    pub origin: Origin,
    /// At least one, at most 10,000.
    pub to: Vec<Recipient>,
    /// The message with the Received header of this hop; no Return-Path.
    pub body: Body,
    /// Follows it through the log.
    pub trace: TraceId,
    /// When it came in: expiry counts from here.
    pub arrived: Timestamp,
    /// Not to be tried before.
    pub not_before: Timestamp,
}

/// Where one recipient of an item stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pending {
    /// Who.
    pub recipient: Recipient,
    /// Attempts so far.
    pub attempts: u32,
    /// What the last attempt said (`451 4.7.1 ...` or our own words), at most 1,000 bytes.
    pub last_reply: Option<String>,
}

/// An item given to a worker, for as long as the lease lasts.
#[derive(Debug, Clone)]
pub struct Claimed {
    /// Its name.
    pub id: QueueId,
    /// Proves the claim at settlement.
    pub claim: u64,
    /// Sender and options.
    pub origin: Origin,
    /// Those of its recipients that are due now.
    pub to: Vec<Pending>,
    /// The message.
    pub body: Body,
    /// Follows it through the log.
    pub trace: TraceId,
    /// When it came in.
    pub arrived: Timestamp,
}

/// What became of one recipient.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// Somebody else has the responsibility now, or it is in its mailbox.
    Delivered {
        /// What the other side said.
        reply: String,
    },
    /// Not now.
    Deferred {
        /// Why, for the log and for a report.
        reply: String,
    },
    /// Never: the sender has been told (or wanted not to be).
    Failed {
        /// Why.
        reply: String,
    },
}

/// What the queue decided at settlement.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Settled {
    /// Recipients that have been in the queue too long: still there until the worker, having reported them, settles
    /// them as failed. With their last reply.
    pub expired: Vec<Pending>,
    /// Recipients whose sender is to be told, once, that the message is late.
    pub warn: Vec<Pending>,
    /// Whether anything of the item is left.
    pub left: u32,
    /// When the next attempt is due, where something is left.
    pub next: Option<Timestamp>,
}

/// One line of a listing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// Its name.
    pub id: QueueId,
    /// Sender and options.
    pub origin: Origin,
    /// Recipients that are left.
    pub to: Vec<Pending>,
    /// Size in bytes.
    pub size: u64,
    /// When it came in.
    pub arrived: Timestamp,
    /// When the next attempt is due.
    pub next: Timestamp,
    /// Whether it is held back until released.
    pub held: bool,
}

/// How full the queue is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct QueueCounts {
    /// Items.
    pub items: u64,
    /// Items that a worker has.
    pub claimed: u64,
    /// Items due now.
    pub due: u64,
}

/// What an administrator does to an item.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Handling {
    /// Try it now.
    RetryNow,
    /// Do not try it until released.
    Hold,
    /// Try it again as usual.
    Release,
    /// Remove it without a report.
    Remove,
}

/// Holds mail until it is delivered or given up.
pub trait MailQueue: Send + Sync {
    /// Takes responsibility for a message: durable when it answers.
    fn item_store<'a>(&'a self, call: &'a Call, item: NewItem) -> Answer<'a, QueueId, QueueError>;

    /// Gives out up to `limit` due items, none of which is given to another worker for `lease`.
    fn item_claim<'a>(
        &'a self,
        call: &'a Call,
        limit: usize,
        lease: Duration,
    ) -> Answer<'a, Vec<Claimed>, QueueError>;

    /// Records what became of claimed recipients and frees the claim. Recipients that are not named stay due.
    fn item_settle<'a>(
        &'a self,
        call: &'a Call,
        id: QueueId,
        claim: u64,
        outcomes: Vec<(Address, Outcome)>,
    ) -> Answer<'a, Settled, QueueError>;

    /// A page of items after `after`, in order of id.
    fn item_list<'a>(
        &'a self,
        call: &'a Call,
        after: Option<QueueId>,
        limit: usize,
    ) -> Answer<'a, Vec<Listed>, QueueError>;

    /// An administrator's wish.
    fn item_handle<'a>(
        &'a self,
        call: &'a Call,
        id: QueueId,
        handling: Handling,
    ) -> Answer<'a, (), QueueError>;

    /// Makes all items for a domain due now (ETRN, RFC 1985); returns how many.
    fn domain_start<'a>(&'a self, call: &'a Call, domain: Domain) -> Answer<'a, u64, QueueError>;

    /// How full it is.
    fn counts<'a>(&'a self, call: &'a Call) -> Answer<'a, QueueCounts, QueueError>;

    /// Waits until something may be due: returns at a nudge (a new item, a retry) or after `at_most`.
    fn wait_due<'a>(&'a self, call: &'a Call, at_most: Duration) -> Answer<'a, (), QueueError>;
}
