//! LOGIN and AUTHENTICATE. RFC 9051 6.2.2 and 6.2.3, RFC 4959.
//!
//! Wrong passwords are answered late, later each time, and at the fifth the connection ends. Who is who, and
//! the events that say so, are the directory's business.

use super::session::{capabilities, mechanisms};
use crate::replies::{self, Failed, Outcome, Reply};
use crate::session::{End, Session, User};
use catalog::metrics::Operation;
use mail::id::MailboxId;
use net::connection::Connection;
use roles::directory::{DirectoryError, Login, Origin, Proof, Protocol, ScramKeys};
use roles::store::{MessageStore, StoreError};
use wire::imap::command::{self, Authenticate, Opaque, Tag};
use wire::imap::decoder::Line;
use wire::imap::name::INBOX;
use wire::imap::response::{Code, continuation};
use wire::sasl::scram::Keys;
use wire::sasl::{self, BadResponse, Exchange, Mechanism, Step};

/// Wrong passwords after which the connection ends.
const MAX_FAILURES: u32 = 5;

pub(super) async fn login(session: &mut Session<'_>, tag: &Tag, login: command::Login) -> Outcome {
    if !session.rules.access.takes_password(&session.connection) {
        return Err(needs_tls());
    }
    let Opaque(password) = login.password;
    log_in(session, tag, login.user.into(), Proof::Password(password)).await
}

pub(super) async fn authenticate(session: &mut Session<'_>, tag: &Tag, asked: Authenticate) -> Outcome {
    let Some(mechanism) = Mechanism::parse(&asked.mechanism) else {
        return Err(Failed::No(Some(Code::Cannot), "no such mechanism"));
    };
    if !mechanisms(session, &session.connection).any(|offered| offered == mechanism) {
        return Err(needs_tls());
    }
    let mut nonce = [0; 18];
    session.imap.env.random.fill(&mut nonce);
    let mut exchange = Exchange::new(mechanism, nonce);
    let mut response = match asked.initial {
        Some(Opaque(initial)) => Ok(initial.expose().to_vec()),
        None => ask(session, exchange.question()).await?,
    };
    loop {
        let step = match response.and_then(|response| exchange.respond(&response)) {
            Ok(Step::Keys(first)) => {
                let keys = scram_keys(session, first.login().to_owned()).await;
                keys.map(|keys| first.keys(keys)).map_err(|why| replies::login_refused(tag, &why))
            }
            Ok(step) => Ok(step),
            Err(BadResponse::Proof) => return refused(session, tag, &DirectoryError::BadCredentials).await,
            // RFC 9051 6.2.2: what cannot be read, and `*`, is answered with BAD.
            Err(_) => return Err(Failed::Bad("the exchange was given up")),
        };
        match step {
            Err(reply) => return Ok(reply),
            Ok(Step::Challenge(next, challenge)) => {
                exchange = next;
                response = ask(session, &challenge).await?;
            }
            Ok(Step::Password(password)) => {
                return log_in(session, tag, password.login.into(), Proof::Password(password.secret)).await;
            }
            Ok(Step::Proven(login)) => return log_in(session, tag, login.into(), Proof::Scram).await,
            Ok(Step::Keys(_)) => return Err(Failed::Bad("the exchange was given up")),
        }
    }
}

fn needs_tls() -> Failed {
    Failed::No(Some(Code::PrivacyRequired), "begin TLS first")
}

/// Sends a challenge and waits for the line that answers it.
async fn ask(session: &mut Session<'_>, challenge: &[u8]) -> Result<Result<Vec<u8>, BadResponse>, End> {
    continuation(session.connection.output(), &sasl::encode(challenge));
    session.connection.flush().await?;
    loop {
        match session.decoder.line(session.connection.input()) {
            // `*` gives up: it is no base64.
            Line::Text(text) if &*text == b"=" => return Ok(Err(BadResponse::Encoding)),
            Line::Text(text) => return Ok(sasl::decode(&text)),
            Line::TooLong => return Err(End::BadCommands),
            Line::NeedMore => session.more().await?,
        }
    }
}

async fn scram_keys(session: &mut Session<'_>, login: String) -> Result<Keys, DirectoryError> {
    let origin = origin(&session.connection);
    let keys = session.imap.parts.directory.scram_keys(&session.call(), login, origin).await?;
    let ScramKeys { salt, iterations, stored_key, server_key } = keys;
    Ok(Keys { salt: salt.into(), iterations, stored_key: mail::secret::Secret::new(stored_key), server_key })
}

fn origin(connection: &Connection) -> Origin {
    Origin {
        protocol: Protocol::Imap,
        transport: connection.transport(),
        peer: connection.peer().ip(),
        local: connection.local().ip(),
    }
}

async fn log_in(session: &mut Session<'_>, tag: &Tag, name: String, proof: Proof) -> Outcome {
    let login = Login { name, proof, origin: origin(&session.connection) };
    let (imap, env) = (session.imap, &session.imap.env);
    let begun = env.clock.moment();
    let answer = imap.parts.directory.authenticate(&session.call(), login).await;
    session.took.authentication = begun.elapsed();
    env.metrics.took(Operation::ImapAuthentication, session.took.authentication);
    let account = match answer {
        Ok(account) => account,
        Err(why) => return refused(session, tag, &why).await,
    };
    let limit = session.rules.max_sessions_per_user;
    let Some(counted) = session.imap.users.enter(account.id, limit) else {
        return Err(Failed::No(Some(Code::Limit), "too many sessions of this account"));
    };
    let store = session.imap.parts.stores.of(&account.home);
    let begun = env.clock.moment();
    prepare_mailbox(session, &*store, account.mailbox).await;
    session.took.store = begun.elapsed();
    env.metrics.took(Operation::ImapLoginStore, session.took.store);
    welcome(session, tag, User { account, store, _counted: counted })
}

fn welcome(session: &mut Session<'_>, tag: &Tag, user: User) -> Outcome {
    session.user = Some(Box::new(user));
    session.failures = 0;
    session.decoder.set_limits(session.rules.limits());
    Ok(Reply::ok_with(tag, Code::Capability(&capabilities(session)), "logged in"))
}

/// A wrong password is answered late, so that guessing takes long.
async fn refused(session: &mut Session<'_>, tag: &Tag, why: &DirectoryError) -> Outcome {
    let reply = replies::login_refused(tag, why);
    if *why == DirectoryError::BadCredentials {
        session.failures += 1;
        session.imap.env.clock.sleep(session.rules.access.delay_of(session.failures)).await;
    }
    if session.failures < MAX_FAILURES {
        return Ok(reply);
    }
    session.connection.output().extend_from_slice(&reply.0);
    Err(Failed::End(End::BadLogins))
}

/// The mailbox of a new account is made by its first delivery or by its first login. Where the store cannot
/// be asked now, the login is good all the same: the first command that needs the store will say so.
async fn prepare_mailbox(session: &mut Session<'_>, store: &dyn MessageStore, mailbox: MailboxId) {
    let status = store.folder_status(&session.call(), mailbox, INBOX.to_owned()).await;
    if matches!(status, Err(StoreError::NoMailbox | StoreError::NoFolder)) {
        let _ = store.mailbox_create(&session.call(), mailbox).await;
    }
}
