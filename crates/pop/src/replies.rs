//! What clients are told: every text of the server, and one exhaustive `match` from error to answer.

use bytes::BytesMut;
use roles::directory::DirectoryError;
use roles::store::StoreError;
use wire::line::BadLine;
use wire::pop3::command::BadCommand;
use wire::pop3::reply::{Code, err, err_code};
use wire::pop3::state::NotNow;
use wire::sasl::BadResponse;

/// To a client that is not in `allowedIPs`.
pub(crate) const NOT_ALLOWED: &[u8] = b"-ERR [SYS/PERM] connections from your address are not allowed\r\n";

/// One session more than `maxSessions`.
pub(crate) fn too_many_sessions(out: &mut BytesMut) {
    err_code(out, Code::SysTemp, "too many sessions, try again later");
}

/// No login in the clear here.
pub(crate) fn needs_tls(out: &mut BytesMut) {
    err(out, "a password needs TLS on this connection: use STLS or port 995");
}

/// There is no message of that number, or it is marked.
pub(crate) fn no_such_message(out: &mut BytesMut) {
    err(out, "no such message");
}

/// The line was no line.
pub(crate) fn bad_line(out: &mut BytesMut, why: BadLine) {
    match why {
        BadLine::TooLong => err(out, "the line is too long"),
        BadLine::BareLf => err(out, "a line must end in CR LF"),
        BadLine::BareCr | BadLine::Nul => err(out, "a control character stands within the line"),
    }
}

/// The line was no command.
pub(crate) fn bad_command(out: &mut BytesMut, why: BadCommand) {
    match why {
        BadCommand::Unknown => err(out, "unknown command"),
        BadCommand::Arguments => err(out, "wrong arguments"),
        BadCommand::Mechanism => err(out, "unknown authentication mechanism"),
        BadCommand::Response(why) => bad_response(out, why),
    }
}

/// The command may not be given now.
pub(crate) fn not_now(out: &mut BytesMut, why: NotNow) {
    match why {
        NotNow::LogInFirst => err(out, "log in first"),
        NotNow::LoggedIn => err(out, "you are logged in already"),
        NotNow::UserFirst => err(out, "please send USER first"),
    }
}

/// A SASL exchange has ended without an answer to who the client is.
pub(crate) fn bad_response(out: &mut BytesMut, why: BadResponse) {
    match why {
        BadResponse::Encoding => err(out, "the response is not base64"),
        BadResponse::TooLong => err(out, "the response is too long"),
        BadResponse::Syntax => err(out, "the response is not what the mechanism asks for"),
        BadResponse::Authorization => err_code(out, Code::Auth, "acting as another user is not offered"),
        BadResponse::ChannelBinding => err(out, "channel binding is not offered"),
        BadResponse::Proof => err_code(out, Code::Auth, "the name or the password is wrong"),
    }
}

/// The directory did not let the user in.
pub(crate) fn login_refused(out: &mut BytesMut, why: &DirectoryError) {
    match why {
        DirectoryError::BadCredentials | DirectoryError::Missing(_) => {
            err_code(out, Code::Auth, "the name or the password is wrong");
        }
        DirectoryError::NotAllowed(_) => {
            err_code(out, Code::SysPerm, "POP access is not allowed for this account");
        }
        DirectoryError::NotActive => err_code(out, Code::SysPerm, "the account is not active"),
        DirectoryError::Maintenance => {
            err_code(out, Code::SysTemp, "the account is under maintenance, try again later");
        }
        DirectoryError::Busy => err_code(out, Code::SysTemp, "too many logins at this moment, try again"),
        DirectoryError::Conflict(_) | DirectoryError::Invalid(_) => {
            err_code(out, Code::Auth, "this name cannot log in");
        }
        DirectoryError::Unavailable | DirectoryError::Broken(_) => {
            err_code(out, Code::SysTemp, "logins are not possible at this moment, try again later");
        }
    }
}

/// The answer for a message that cannot be read. RFC 3206 4: trying again is no use.
pub(crate) fn damaged(out: &mut BytesMut) {
    err_code(out, Code::SysPerm, "this message cannot be read, the others can");
}

/// The store did not do it.
pub(crate) fn store_failed(out: &mut BytesMut, why: &StoreError) {
    match why {
        StoreError::Locked => err_code(out, Code::InUse, "the mailbox is in use by another session"),
        StoreError::NoMessage => err(out, "the message is gone"),
        StoreError::Refused(_) | StoreError::Limit(_) => {
            err_code(out, Code::SysPerm, "the message store refuses this")
        }
        StoreError::NoMailbox
        | StoreError::NoFolder
        | StoreError::FolderExists
        | StoreError::OverQuota
        | StoreError::Busy
        | StoreError::NoSpace
        | StoreError::Unavailable
        | StoreError::Elsewhere
        | StoreError::Broken(_) => {
            err_code(out, Code::SysTemp, "the mailbox is not available at this moment, try again later");
        }
    }
}
