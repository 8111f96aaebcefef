//! Greeting, CAPABILITY, ENABLE, ID, NAMESPACE, STARTTLS, LOGOUT. RFC 9051 6.1, 6.2.1, 6.3.1, 6.3.10.

use crate::replies::{Failed, Outcome, Reply};
use crate::session::{End, Session};
use net::connection::Connection;
use roles::directory::Transport;
use wire::imap::Unwaited;
use wire::imap::command::Tag;
use wire::imap::decoder::Decoder;
use wire::imap::response::{Code, Put, Status, untagged};
use wire::sasl::Mechanism;

/// What every session has, before and after a login.
const ALWAYS: &str = "IMAP4rev1 IMAP4rev2 ID ENABLE IDLE NAMESPACE";
/// What a session has once somebody has logged in; before, RFC 9051 6.1.1 leaves it out to no harm.
const AFTER_LOGIN: &str = " UIDPLUS MOVE UNSELECT CHILDREN SPECIAL-USE CREATE-SPECIAL-USE LIST-EXTENDED LIST-STATUS \
     ESEARCH SEARCHRES WITHIN CONDSTORE BINARY STATUS=SIZE QUOTA QUOTA=RES-STORAGE QUOTA=RES-MESSAGE";

/// The greeting, with the capabilities: it saves the client a turn.
pub(crate) fn greet(session: &mut Session<'_>) {
    let list = capabilities(session);
    let banner = session.rules.banner.clone();
    untagged(session.connection.output(), Status::Ok, Some(Code::Capability(&list)), &banner);
}

/// What can be done on this connection now. RFC 9051 6.1.1.
pub(crate) fn capabilities(session: &Session<'_>) -> String {
    let mut list = String::from(ALWAYS);
    list.push_str(match session.rules.unwaited {
        Unwaited::All => " LITERAL+",
        Unwaited::Small => " LITERAL-",
    });
    if session.user.is_some() {
        list.push_str(AFTER_LOGIN);
        return list;
    }
    list.push_str(" SASL-IR");
    if offers_tls(session) {
        list.push_str(" STARTTLS");
    }
    let takes_password = session.rules.access.takes_password(&session.connection);
    for mechanism in mechanisms(session, &session.connection) {
        list.push_str(" AUTH=");
        list.push_str(mechanism.name());
    }
    if !takes_password {
        list.push_str(" LOGINDISABLED");
    }
    list
}

/// Mechanisms that may be used on this connection. RFC 9051 11.1: PLAIN only where the password is safe.
pub(crate) fn mechanisms(
    session: &Session<'_>,
    connection: &Connection,
) -> impl Iterator<Item = Mechanism> + use<> {
    let takes_password = session.rules.access.takes_password(connection);
    Mechanism::ALL.into_iter().filter(move |mechanism| takes_password || !mechanism.shows_password())
}

fn offers_tls(session: &Session<'_>) -> bool {
    session.imap.parts.tls.is_some() && session.connection.transport() == Transport::Plain
}

pub(crate) fn capability(session: &mut Session<'_>, tag: &Tag) -> Outcome {
    let list = capabilities(session);
    session.connection.output().raw("* CAPABILITY ").raw(list).crlf();
    Ok(Reply::ok(tag, "done"))
}

pub(crate) fn logout(session: &mut Session<'_>, tag: &Tag) -> Outcome {
    let out = session.connection.output();
    untagged(out, Status::Bye, None, "goodbye");
    out.raw(Reply::ok(tag, "logged out").0);
    Err(Failed::End(End::Logout))
}

/// RFC 2971 3.3: what a client says of itself changes nothing.
pub(crate) fn id(session: &mut Session<'_>, tag: &Tag) -> Outcome {
    let out = session.connection.output();
    out.raw("* ID (\"name\" \"InterMail\" \"version\" \"").raw(env!("CARGO_PKG_VERSION")).raw("\")").crlf();
    Ok(Reply::ok(tag, "done"))
}

/// RFC 9051 6.3.10: one namespace, the user's own.
pub(crate) fn namespace(session: &mut Session<'_>, tag: &Tag) -> Outcome {
    session.connection.output().raw("* NAMESPACE ((\"\" \"/\")) NIL NIL").crlf();
    Ok(Reply::ok(tag, "done"))
}

/// RFC 9051 6.3.1: names that are not known are passed over.
pub(crate) fn enable(session: &mut Session<'_>, tag: &Tag, names: &[Box<str>]) -> Outcome {
    let mut enabled = String::new();
    for name in names {
        match &**name {
            "CONDSTORE" => {
                enable_condstore(session);
                enabled.push_str(" CONDSTORE");
            }
            "IMAP4REV2" => {
                session.enabled.rev2 = true;
                enabled.push_str(" IMAP4rev2");
            }
            _ => {}
        }
    }
    session.connection.output().raw("* ENABLED").raw(enabled).crlf();
    Ok(Reply::ok(tag, "done"))
}

/// RFC 7162 3.1: the first command that speaks of ModSeqs enables them; the highest one is then told.
pub(crate) fn enable_condstore(session: &mut Session<'_>) {
    if session.enabled.condstore {
        return;
    }
    session.enabled.condstore = true;
    if let Some(selected) = &session.selected {
        let code = Code::HighestModSeq(selected.modseq);
        untagged(session.connection.output(), Status::Ok, Some(code), "so far");
    }
}

/// RFC 9051 6.2.1: after the handshake everything begins anew, and nothing sent before it counts.
pub(crate) async fn start_tls(session: &mut Session<'_>, tag: &Tag) -> Outcome {
    let Some(tls) = session.imap.parts.tls.clone().filter(|_| offers_tls(session)) else {
        return Err(Failed::Bad("TLS is active already, or not available"));
    };
    session.connection.output().raw(Reply::ok(tag, "begin TLS").0);
    session.connection.flush().await?;
    session.connection.start_tls(tls.config()).await?;
    session.decoder = Decoder::new(session.rules.limits_before_login());
    Ok(Reply(bytes::BytesMut::new()))
}
