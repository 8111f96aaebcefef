//! What is said to a client, and how errors are said: one exhaustive match for each kind.

use crate::session::End;
use bytes::BytesMut;
use roles::directory::DirectoryError;
use roles::store::StoreError;
use wire::imap::command::Tag;
use wire::imap::decoder::Refused;
use wire::imap::parse::BadCommand;
use wire::imap::response::{Code, Status, tagged, untagged};

/// Said instead of a greeting where all sessions are taken.
pub(crate) const TOO_MANY_SESSIONS: &[u8] = b"* BYE [UNAVAILABLE] too many sessions, try again later\r\n";
/// Said instead of a greeting to a client that is not allowed.
pub(crate) const NOT_ALLOWED: &[u8] = b"* BYE not allowed from this address\r\n";

/// A tagged answer, written and waiting for the news that go before it.
#[derive(Debug)]
pub(crate) struct Reply(pub(crate) BytesMut);

impl Reply {
    pub(crate) fn new(tag: &Tag, status: Status, code: Option<Code<'_>>, text: &str) -> Self {
        let mut line = BytesMut::with_capacity(64);
        tagged(&mut line, tag, status, code, text);
        Self(line)
    }

    pub(crate) fn ok(tag: &Tag, text: &str) -> Self {
        Self::new(tag, Status::Ok, None, text)
    }

    pub(crate) fn ok_with(tag: &Tag, code: Code<'_>, text: &str) -> Self {
        Self::new(tag, Status::Ok, Some(code), text)
    }
}

/// Why a command was not done.
#[derive(Debug)]
pub(crate) enum Failed {
    /// The session is over.
    End(End),
    /// The store did not do it.
    Store(StoreError),
    /// The store did not do it, and a target that is not there could be created.
    Target(StoreError),
    /// It cannot be done.
    No(Option<Code<'static>>, &'static str),
    /// It should not have been asked.
    Bad(&'static str),
}

impl From<StoreError> for Failed {
    fn from(why: StoreError) -> Self {
        Self::Store(why)
    }
}

impl<E: Into<End>> From<E> for Failed {
    fn from(end: E) -> Self {
        Self::End(end.into())
    }
}

/// How a command ends.
pub(crate) type Outcome = Result<Reply, Failed>;

/// The answer for what went wrong.
///
/// # Errors
/// The end of the session, where it is that.
pub(crate) fn failed(tag: &Tag, why: Failed) -> Result<Reply, End> {
    Ok(match why {
        Failed::End(end) => return Err(end),
        Failed::Store(why) => store_failed(tag, &why),
        Failed::Target(StoreError::NoFolder | StoreError::NoMailbox) => {
            Reply::new(tag, Status::No, Some(Code::TryCreate), "no such mailbox, create it first")
        }
        Failed::Target(why) => store_failed(tag, &why),
        Failed::No(code, text) => Reply::new(tag, Status::No, code, text),
        Failed::Bad(text) => Reply::new(tag, Status::Bad, None, text),
    })
}

fn store_failed(tag: &Tag, why: &StoreError) -> Reply {
    let (code, text) = match why {
        StoreError::NoMailbox | StoreError::NoFolder => (Some(Code::NonExistent), "no such mailbox"),
        StoreError::NoMessage => (Some(Code::NonExistent), "no such message"),
        StoreError::FolderExists => (Some(Code::AlreadyExists), "the mailbox exists already"),
        StoreError::Refused(text) => (Some(Code::Cannot), text.as_str()),
        StoreError::Limit(text) => (Some(Code::Limit), text.as_str()),
        StoreError::OverQuota => (Some(Code::OverQuota), "the quota is used up"),
        StoreError::Locked => (Some(Code::InUse), "the mailbox is in use by another session"),
        StoreError::Busy => (Some(Code::Unavailable), "busy, try again"),
        StoreError::NoSpace => (Some(Code::Unavailable), "no space left, try again later"),
        StoreError::Unavailable | StoreError::Elsewhere => {
            (Some(Code::Unavailable), "not available, try again later")
        }
        // What is broken was logged where it was found.
        StoreError::Broken(_) => (Some(Code::ServerBug), "internal error"),
    };
    Reply::new(tag, Status::No, code, text)
}

/// The answer to a login that failed. RFC 5530 3: nothing tells a wrong name from a wrong password.
pub(crate) fn login_refused(tag: &Tag, why: &DirectoryError) -> Reply {
    let (code, text) = match why {
        DirectoryError::BadCredentials | DirectoryError::Missing(_) | DirectoryError::Invalid(_) => {
            (Code::AuthenticationFailed, "the name or the password is wrong")
        }
        DirectoryError::NotAllowed(_) => {
            (Code::AuthorizationFailed, "this account may not use IMAP from here")
        }
        DirectoryError::NotActive => (Code::AuthorizationFailed, "the account is not active"),
        DirectoryError::Maintenance => (Code::InUse, "the account is under maintenance, try again later"),
        DirectoryError::Busy => (Code::Unavailable, "busy, try again"),
        DirectoryError::Conflict(_) | DirectoryError::Unavailable => {
            (Code::Unavailable, "not available, try again later")
        }
        DirectoryError::Broken(_) => (Code::ServerBug, "internal error"),
    };
    Reply::new(tag, Status::No, Some(code), text)
}

/// The answer to what is no command.
pub(crate) fn bad_command(out: &mut BytesMut, refused: &Refused) {
    let (status, code) = match refused.why {
        BadCommand::LiteralTooBig | BadCommand::LiteralNotWaited => (Status::Bad, Some(Code::TooBig)),
        BadCommand::MessageTooBig => (Status::No, Some(Code::TooBig)),
        BadCommand::BadCharset => (Status::No, Some(Code::BadCharset)),
        BadCommand::BadName => (Status::No, Some(Code::Cannot)),
        BadCommand::TooMany(_) => (Status::No, Some(Code::Limit)),
        BadCommand::Syntax(_) | BadCommand::Unknown | BadCommand::LineTooLong => (Status::Bad, None),
    };
    let text = refused.why.to_string();
    match &refused.tag {
        Some(tag) => tagged(out, tag, status, code, &text),
        None => untagged(out, Status::Bad, code, &text),
    }
}
