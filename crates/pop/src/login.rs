//! The AUTHORIZATION state: TLS, names and passwords, SASL, and the mailbox that is opened at the end.
//!
//! Wrong passwords are answered late, later each time, and at the fifth the connection ends.

use crate::mailbox_view::MailboxView;
use crate::replies;
use crate::session::{End, Held, Session};
use catalog::metrics::Operation;
use mail::id::MailboxId;
use mail::secret::Secret;
use net::connection::Connection;
use roles::Call;
use roles::directory::{Account, DirectoryError, Login, Origin, Proof, Protocol, ScramKeys, Transport};
use roles::store::{MessageStore, Opened, StoreError};
use wire::line::Lines;
use wire::pop3::command::{Command, MAX_LINE};
use wire::pop3::reply;
use wire::pop3::state::State;
use wire::sasl::scram::Keys;
use wire::sasl::{self, BadResponse, Exchange, Mechanism, Step};

/// Wrong passwords after which the connection ends.
const MAX_FAILURES: u32 = 5;

/// Does a command that the state allows before a login.
pub(crate) async fn run(session: &mut Session<'_>, command: Command) -> Result<(), End> {
    match command {
        Command::Capa => capabilities(session),
        Command::Stls => return start_tls(session).await,
        Command::AuthList => {
            reply::ok(session.connection.output(), "mechanisms follow");
            let takes_password = session.rules.access.takes_password(&session.connection);
            for mechanism in offered(takes_password) {
                reply::line(session.connection.output(), mechanism.name());
            }
            reply::end(session.connection.output());
        }
        Command::User(_) | Command::Pass(_) if !session.rules.access.takes_password(&session.connection) => {
            replies::needs_tls(session.connection.output());
        }
        Command::User(name) => {
            session.state = State::Authorization(Some(name));
            reply::ok(session.connection.output(), "please send PASS command");
        }
        Command::Pass(secret) => {
            let name = session.state.take_name().unwrap_or_default();
            return log_in(session, name, Proof::Password(secret)).await;
        }
        Command::Auth(mechanism, initial) => return begin_exchange(session, mechanism, initial).await,
        Command::Quit => {
            reply::ok(session.connection.output(), "InterMail POP3 server signing off.");
            return Err(End::Quit);
        }
        // The state has let none of these through.
        Command::Stat
        | Command::List(_)
        | Command::Uidl(_)
        | Command::Retr(_)
        | Command::Top(..)
        | Command::Dele(_)
        | Command::Rset
        | Command::Noop => {}
    }
    Ok(())
}

/// RFC 2449 5 and 6. What is offered depends on the connection and on the state.
pub(crate) fn capabilities(session: &mut Session<'_>) {
    let takes_password = session.rules.access.takes_password(&session.connection);
    let before_login = !session.state.is_transaction();
    let is_plain = session.connection.transport() == Transport::Plain;
    let offers_tls = before_login && is_plain && session.pop.tls.is_some();
    let out = session.connection.output();
    reply::ok(out, "capability list follows");
    for capability in ["TOP", "UIDL", "PIPELINING", "RESP-CODES", "AUTH-RESP-CODE", "EXPIRE NEVER"] {
        reply::line(out, capability);
    }
    if takes_password {
        reply::line(out, "USER");
    }
    let mut mechanisms = String::from("SASL");
    for mechanism in offered(takes_password) {
        mechanisms.push(' ');
        mechanisms.push_str(mechanism.name());
    }
    reply::line(out, &mechanisms);
    if offers_tls {
        reply::line(out, "STLS");
    }
    reply::line(out, "IMPLEMENTATION InterMail");
    reply::end(out);
}

fn offered(takes_password: bool) -> impl Iterator<Item = Mechanism> {
    Mechanism::ALL.into_iter().filter(move |mechanism| takes_password || !mechanism.shows_password())
}

/// RFC 2595 4: after the handshake everything begins anew.
async fn start_tls(session: &mut Session<'_>) -> Result<(), End> {
    let Some(tls) = session.pop.tls.clone() else {
        reply::err(session.connection.output(), "TLS is not available");
        return Ok(());
    };
    if session.connection.transport() == Transport::Tls {
        reply::err(session.connection.output(), "TLS is active already");
        return Ok(());
    }
    reply::ok(session.connection.output(), "begin TLS negotiation");
    session.connection.flush().await?;
    session.connection.start_tls(tls.config()).await?;
    session.state = State::START;
    session.lines = Lines::new(MAX_LINE);
    Ok(())
}

async fn begin_exchange(
    session: &mut Session<'_>,
    mechanism: Mechanism,
    initial: Option<Vec<u8>>,
) -> Result<(), End> {
    if mechanism.shows_password() && !session.rules.access.takes_password(&session.connection) {
        replies::needs_tls(session.connection.output());
        return Ok(());
    }
    let mut nonce = [0; 18];
    session.pop.env.random.fill(&mut nonce);
    let exchange = Exchange::new(mechanism, nonce);
    match initial {
        Some(response) => advance(session, exchange.respond(&response)).await,
        None => {
            reply::challenge(session.connection.output(), exchange.question());
            session.state = State::Exchange(exchange);
            Ok(())
        }
    }
}

/// Takes a line of a running exchange. RFC 5034 4: `*` gives it up.
pub(crate) async fn respond(session: &mut Session<'_>, line: &[u8]) -> Result<(), End> {
    let Some(exchange) = session.state.take_exchange() else { return Ok(()) };
    if line == b"*" {
        reply::err(session.connection.output(), "authentication cancelled");
        return Ok(());
    }
    // A lone `=` means nothing here; an empty response is an empty line.
    let step = if line == b"=" { Err(BadResponse::Encoding) } else { sasl::decode(line) };
    let step = step.and_then(|response| exchange.respond(&response));
    advance(session, step).await
}

/// Goes on with what the exchange says.
async fn advance(session: &mut Session<'_>, step: Result<Step, BadResponse>) -> Result<(), End> {
    match step {
        Ok(Step::Challenge(exchange, challenge)) => go_on(session, exchange, &challenge),
        Ok(Step::Password(password)) => {
            return log_in(session, password.login.into(), Proof::Password(password.secret)).await;
        }
        Ok(Step::Proven(login)) => return log_in(session, login.into(), Proof::Scram).await,
        Ok(Step::Keys(awaiting)) => {
            let (call, origin) = (session.call(), origin(&session.connection));
            let name = awaiting.login().to_owned();
            match session.pop.directory.scram_keys(&call, name, origin).await {
                Err(why) => replies::login_refused(session.connection.output(), &why),
                Ok(keys) => {
                    if let Step::Challenge(exchange, challenge) = awaiting.keys(stored(keys)) {
                        go_on(session, exchange, &challenge);
                    }
                }
            }
        }
        Err(BadResponse::Proof) => return fail(session, &DirectoryError::BadCredentials).await,
        Err(why) => replies::bad_response(session.connection.output(), why),
    }
    Ok(())
}

fn go_on(session: &mut Session<'_>, exchange: Exchange, challenge: &[u8]) {
    reply::challenge(session.connection.output(), challenge);
    session.state = State::Exchange(exchange);
}

fn stored(keys: ScramKeys) -> Keys {
    Keys {
        salt: keys.salt.into(),
        iterations: keys.iterations,
        stored_key: Secret::new(keys.stored_key),
        server_key: keys.server_key,
    }
}

fn origin(connection: &Connection) -> Origin {
    Origin {
        protocol: Protocol::Pop,
        transport: connection.transport(),
        peer: connection.peer().ip(),
        local: connection.local().ip(),
    }
}

async fn log_in(session: &mut Session<'_>, name: String, proof: Proof) -> Result<(), End> {
    let login = Login { name, proof, origin: origin(&session.connection) };
    let (call, env) = (session.call(), &session.pop.env);
    let begun = env.clock.moment();
    let answer = session.pop.directory.authenticate(&call, login).await;
    session.took.authentication = begun.elapsed();
    env.metrics.took(Operation::PopAuthentication, session.took.authentication);
    match answer {
        Ok(account) => {
            let begun = env.clock.moment();
            open_mailbox(session, call, account).await;
            session.took.store = begun.elapsed();
            env.metrics.took(Operation::PopLoginStore, session.took.store);
        }
        Err(why) => return fail(session, &why).await,
    }
    Ok(())
}

/// Answers a login that failed; a wrong password late, so that guessing takes long.
async fn fail(session: &mut Session<'_>, why: &DirectoryError) -> Result<(), End> {
    if *why == DirectoryError::BadCredentials {
        session.failures += 1;
        session.pop.env.clock.sleep(session.rules.access.delay_of(session.failures)).await;
    }
    replies::login_refused(session.connection.output(), why);
    if session.failures >= MAX_FAILURES { Err(End::BadLogins) } else { Ok(()) }
}

/// Takes the mailbox for this session. RFC 1939 4: without the lock there is no login.
async fn open_mailbox(session: &mut Session<'_>, call: Call, account: Account) {
    let store = session.pop.stores.of(&account.home);
    let mailbox = account.mailbox;
    // Made before the lock is asked for: an answer that is lost may have taken it, and giving back what one
    // does not have does nothing.
    let empty = MailboxView::empty();
    let mut held = Held::new(store.clone(), call.clone(), mailbox, empty, session.pop.env.clock.moment());
    if let Err(why) = store.mailbox_lock(&call, mailbox).await {
        replies::store_failed(session.connection.output(), &why);
        return;
    }
    match look(&*store, &call, mailbox).await {
        Err(why) => replies::store_failed(session.connection.output(), &why),
        Ok(view) => {
            held.view = view;
            session.held = Some(held);
            session.state = State::Transaction;
            reply::ok(session.connection.output(), &format!("{} is welcome here", account.login));
            session.user = Some(account.login);
        }
    }
}

/// What is in the Inbox now.
async fn look(store: &dyn MessageStore, call: &Call, mailbox: MailboxId) -> Result<MailboxView, StoreError> {
    match store.folder_open(call, mailbox, "INBOX".to_owned()).await {
        Ok(Opened { folder, uids, .. }) => Ok(MailboxView::new(folder.uid_validity, uids, folder.bytes)),
        // Made by its first delivery: reading needs no write, which a full disk would refuse.
        Err(StoreError::NoMailbox) => Ok(MailboxView::empty()),
        Err(why) => Err(why),
    }
}
