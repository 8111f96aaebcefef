//! Handing in a new message from inside the house: `sendmail`, bounces, later WebMail and autoreplies.

use crate::{Answer, Body, Call, Kind};
use mail::address::Address;
use mail::envelope::{Origin, Recipient};
use mail::id::TraceId;

/// A message to be sent.
#[derive(Debug, Clone)]
pub struct Submit {
    /// Sender and options.
    pub origin: Origin,
    /// At least one.
    pub to: Vec<Recipient>,
    /// The message, headers first, CRLF line ends.
    pub body: Body,
}

/// Why a message was not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SubmitError {
    /// A recipient of this site does not exist; says which.
    #[error("{0}: no such user here")]
    NoUser(Address),
    /// It cannot be sent as it is; says why (too large, a loop, a mailbox that takes no mail).
    #[error("{0}")]
    Refused(String),
    /// Not now: neither store nor queue took it.
    #[error("the message cannot be taken now: {0}")]
    TryLater(String),
}

impl SubmitError {
    /// What it means for the caller.
    pub fn kind(&self) -> Kind {
        match self {
            Self::NoUser(_) => Kind::Missing,
            Self::Refused(_) => Kind::Refused,
            Self::TryLater(_) => Kind::Unavailable,
        }
    }
}

/// Takes new messages from inside the house.
pub trait Submission: Send + Sync {
    /// Takes responsibility: durable when it answers. The trace id is that of the new message.
    fn submit<'a>(&'a self, call: &'a Call, submit: Submit) -> Answer<'a, TraceId, SubmitError>;
}
