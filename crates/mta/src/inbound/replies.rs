//! Every reply of the server, by what it answers. RFC 5321 4.2, RFC 3463, RFC 2033.

use crate::accept::Fate;
use crate::headers::BadHeader;
use crate::policy::{recipient, sender};
use mail::id::TraceId;
use roles::directory::{DirectoryError, OverQuota};
use wire::line::BadLine;
use wire::sasl::BadResponse;
use wire::smtp::command::{BadCommand, Verb};
use wire::smtp::data::BadData;
use wire::smtp::reply::Reply;
use wire::smtp::server_state::OutOfOrder;

pub(super) const OK: Reply = Reply::new(250, (2, 0, 0), "Ok");
pub(super) const BYE: Reply = Reply::new(221, (2, 0, 0), "Goodbye");
pub(super) const SENDER_OK: Reply = Reply::new(250, (2, 1, 0), "Sender ok");
pub(super) const RECIPIENT_OK: Reply = Reply::new(250, (2, 1, 5), "Recipient ok");
pub(super) const CHUNK_OK: Reply = Reply::new(250, (2, 0, 0), "Chunk ok");
pub(super) const CANNOT_VERIFY: Reply =
    Reply::new(252, (2, 5, 0), "Addresses are not verified, but mail for ours is accepted");
pub(super) const NO_LISTS: Reply = Reply::new(502, (5, 5, 1), "Lists are not shown");
pub(super) const HELP: Reply = Reply::new(214, (2, 0, 0), "See RFC 5321");
pub(super) const START_TLS: Reply = Reply::new(220, (2, 0, 0), "Ready to start TLS");
pub(super) const NO_TLS: Reply = Reply::new(454, (4, 7, 0), "TLS is not available");
pub(super) const BYTES_AHEAD_OF_TLS: Reply =
    Reply::new(501, (5, 5, 2), "Nothing may follow STARTTLS before its answer");
pub(super) const GO_AHEAD: Reply =
    Reply::plain(354, std::borrow::Cow::Borrowed("Start mail input; end with <CRLF>.<CRLF>"));
pub(super) const STOPPING: Reply = Reply::new(421, (4, 3, 2), "The server is going down, try again later");
pub(super) const TIMEOUT: Reply = Reply::new(421, (4, 4, 2), "Timeout, closing the connection");
pub(super) const TOO_MANY_ERRORS: Reply =
    Reply::new(421, (4, 7, 0), "Too many errors, closing the connection");
pub(super) const TOO_MANY_CONNECTIONS: Reply =
    Reply::new(421, (4, 7, 0), "Too many connections from your network, try again later");
pub(super) const LOGIN_FIRST: Reply = Reply::new(530, (5, 7, 0), "Authentication required");
pub(super) const TLS_FIRST: Reply =
    Reply::new(538, (5, 7, 11), "Encryption required for this mechanism: STARTTLS first");
pub(super) const NO_MECHANISM: Reply = Reply::new(504, (5, 5, 4), "No such authentication mechanism here");
pub(super) const LOGGED_IN: Reply = Reply::new(235, (2, 7, 0), "Authentication successful");
pub(super) const CANCELLED: Reply = Reply::new(501, (5, 7, 0), "Authentication cancelled");
pub(super) const NEEDS_UTF8: Reply =
    Reply::new(553, (5, 6, 7), "The address needs SMTPUTF8, which MAIL did not ask for");
pub(super) const TOO_LARGE: Reply = Reply::new(552, (5, 3, 4), "The message is larger than allowed");
pub(super) const TOO_MANY_RECIPIENTS: Reply =
    Reply::new(452, (4, 5, 3), "Too many recipients, send the rest in another transaction");
pub(super) const NO_DOMAIN: Reply = Reply::new(553, (5, 1, 3), "The address has no domain");
pub(super) const NO_SPACE: Reply =
    Reply::new(452, (4, 3, 1), "No space to take the message, try again later");
pub(super) const TROUBLE: Reply = Reply::new(451, (4, 3, 0), "Local trouble, try again later");
pub(super) const NO_ETRN: Reply = Reply::new(458, (4, 7, 1), "No messages are sent for you");

pub(super) fn bad_line(why: BadLine) -> Reply {
    match why {
        BadLine::TooLong => Reply::new(500, (5, 5, 2), "The line is too long"),
        BadLine::BareLf => Reply::new(500, (5, 5, 2), "A line must end in CR LF"),
        BadLine::BareCr => Reply::new(500, (5, 5, 2), "A CR stands within the line"),
        BadLine::Nul => Reply::new(500, (5, 5, 2), "A NUL stands within the line"),
    }
}

pub(super) fn bad_command(why: BadCommand) -> Reply {
    match why {
        BadCommand::NotText => Reply::new(500, (5, 5, 2), "The line is not text"),
        BadCommand::UnknownVerb => Reply::new(500, (5, 5, 1), "The command is not known"),
        BadCommand::Arguments(verb) => Reply::new(501, (5, 5, 4), "").text(usage(verb)),
        BadCommand::Path(Verb::Mail, why) => {
            Reply::new(501, (5, 1, 7), "").text(format!("Bad sender: {why}"))
        }
        BadCommand::Path(_, why) => Reply::new(501, (5, 1, 3), "").text(format!("Bad recipient: {why}")),
        BadCommand::UnknownParameter(_) => Reply::new(555, (5, 5, 4), "A parameter is not known"),
        BadCommand::BadParameter(_) => Reply::new(501, (5, 5, 4), "A parameter has a bad value"),
    }
}

const fn usage(verb: Verb) -> &'static str {
    match verb {
        Verb::Helo => "Syntax: HELO hostname",
        Verb::Ehlo => "Syntax: EHLO hostname",
        Verb::Lhlo => "Syntax: LHLO hostname",
        Verb::Mail => "Syntax: MAIL FROM:<address> [parameters]",
        Verb::Rcpt => "Syntax: RCPT TO:<address> [parameters]",
        Verb::Bdat => "Syntax: BDAT size [LAST]",
        Verb::Vrfy => "Syntax: VRFY address",
        Verb::Expn => "Syntax: EXPN list",
        Verb::Auth => "Syntax: AUTH mechanism [initial-response]",
        Verb::Etrn => "Syntax: ETRN domain",
        Verb::Data | Verb::Rset | Verb::Noop | Verb::Quit | Verb::Help | Verb::StartTls => {
            "The command takes no arguments"
        }
    }
}

pub(super) fn out_of_order(why: OutOfOrder) -> Reply {
    match why {
        OutOfOrder::HelloFirst => Reply::new(503, (5, 5, 1), "Say hello first"),
        OutOfOrder::MailFirst => Reply::new(503, (5, 5, 1), "MAIL comes first"),
        OutOfOrder::RcptFirst => Reply::new(503, (5, 5, 1), "No valid recipients"),
        OutOfOrder::InTransaction => Reply::new(503, (5, 5, 1), "Not within a transaction"),
        OutOfOrder::InChunks => Reply::new(503, (5, 5, 1), "Not between chunks"),
        OutOfOrder::TlsAlready => Reply::new(503, (5, 5, 1), "TLS has started already"),
        OutOfOrder::AuthenticatedAlready => Reply::new(503, (5, 5, 1), "Already authenticated"),
        OutOfOrder::OtherDialect => Reply::new(500, (5, 5, 1), "The command is not part of this protocol"),
    }
}

pub(super) fn sender(why: sender::Refusal) -> Reply {
    match why {
        sender::Refusal::NoDomain => Reply::new(553, (5, 1, 7), "The sender has no domain"),
        sender::Refusal::UnknownDomain => Reply::new(550, (5, 1, 8), "The sender's domain does not exist"),
        sender::Refusal::NullMx => Reply::new(550, (5, 7, 27), "The sender's domain takes no mail"),
        sender::Refusal::NoAnswer => {
            Reply::new(451, (4, 1, 8), "The sender's domain cannot be looked up now")
        }
        sender::Refusal::NotOwned => Reply::new(553, (5, 7, 1), "The sender's address is not yours"),
    }
}

pub(super) fn recipient(why: recipient::Refusal) -> Reply {
    match why {
        recipient::Refusal::Unknown => Reply::new(550, (5, 1, 1), "No such user here"),
        recipient::Refusal::Relaying => Reply::new(550, (5, 7, 1), "Relaying denied"),
        recipient::Refusal::Deferred => {
            Reply::new(450, (4, 2, 1), "The mailbox takes no mail now, try again later")
        }
        recipient::Refusal::Disabled => Reply::new(550, (5, 2, 1), "The mailbox takes no mail"),
        recipient::Refusal::Full(over) => full(over),
    }
}

fn full(over: OverQuota) -> Reply {
    match over {
        OverQuota::Refuse => Reply::new(552, (5, 2, 2), "The mailbox is full"),
        OverQuota::Defer => Reply::new(452, (4, 2, 2), "The mailbox is full, try again later"),
    }
}

pub(super) fn bad_data(why: BadData) -> Reply {
    match why {
        BadData::BareLf => Reply::new(554, (5, 6, 0), "The message has a bare LF: lines must end in CR LF"),
        BadData::BareCr => Reply::new(554, (5, 6, 0), "The message has a bare CR: lines must end in CR LF"),
    }
}

pub(super) fn bad_header(why: BadHeader) -> Reply {
    match why {
        BadHeader::Loop => Reply::new(554, (5, 4, 6), "The message has made too many hops: there is a loop"),
        BadHeader::TooManyFields => Reply::new(552, (5, 3, 4), "The message has too many header fields"),
        BadHeader::TooLong => Reply::new(552, (5, 3, 4), "The header of the message is too long"),
    }
}

pub(super) fn fate(fate: Fate, trace: &TraceId) -> Reply {
    match fate {
        Fate::Taken => OK.text(format!("Ok {trace}")),
        Fate::Full(over) => full(over),
        Fate::Loop => Reply::new(554, (5, 4, 6), "The forwards of the recipient lead in a circle"),
        Fate::NoSpace => NO_SPACE,
        Fate::Trouble => TROUBLE,
    }
}

/// One reply for all recipients: 250 only if every one is taken; what may be tried again before what is final.
pub(super) fn fates(all: &[Fate], trace: &TraceId) -> Reply {
    let rank = |f: &Fate| match f {
        Fate::Trouble => 0,
        Fate::NoSpace => 1,
        Fate::Full(OverQuota::Defer) => 2,
        Fate::Full(OverQuota::Refuse) => 3,
        Fate::Loop => 4,
        Fate::Taken => 5,
    };
    fate(all.iter().copied().min_by_key(rank).unwrap_or(Fate::Trouble), trace)
}

pub(super) fn login(why: &DirectoryError) -> Reply {
    match why {
        DirectoryError::BadCredentials | DirectoryError::Missing(_) | DirectoryError::Invalid(_) => {
            Reply::new(535, (5, 7, 8), "Authentication failed")
        }
        DirectoryError::NotAllowed(_) => {
            Reply::new(535, (5, 7, 1), "This account may not send mail from here")
        }
        DirectoryError::NotActive => Reply::new(535, (5, 7, 13), "The account is not active"),
        DirectoryError::Busy
        | DirectoryError::Maintenance
        | DirectoryError::Unavailable
        | DirectoryError::Conflict(_)
        | DirectoryError::Broken(_) => Reply::new(454, (4, 7, 0), "Temporary authentication failure"),
    }
}

pub(super) fn bad_response(why: BadResponse) -> Reply {
    match why {
        BadResponse::Encoding => Reply::new(501, (5, 5, 2), "The response is not base64"),
        BadResponse::TooLong => Reply::new(500, (5, 5, 6), "The response is too long"),
        BadResponse::Syntax => Reply::new(501, (5, 5, 2), "The response is not what the mechanism asks for"),
        BadResponse::Authorization => Reply::new(535, (5, 7, 8), "Acting as another user is not offered"),
        BadResponse::ChannelBinding => Reply::new(535, (5, 7, 8), "Channel binding is not offered"),
        BadResponse::Proof => Reply::new(535, (5, 7, 8), "Authentication failed"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_be_tried_again_comes_before_what_is_final() {
        let trace = TraceId::new("T");
        let code = |all: &[Fate]| fates(all, &trace).code;
        assert_eq!(code(&[Fate::Taken, Fate::Taken]), 250);
        assert_eq!(code(&[Fate::Taken, Fate::Trouble, Fate::Loop]), 451);
        assert_eq!(code(&[Fate::Full(OverQuota::Refuse), Fate::Full(OverQuota::Defer)]), 452);
        assert_eq!(code(&[Fate::Full(OverQuota::Refuse)]), 552);
        assert_eq!(code(&[]), 451);
    }
}
