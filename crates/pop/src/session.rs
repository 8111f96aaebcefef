//! One client from greeting to goodbye.
//!
//! Commands are taken one by one from what has arrived and answered into the connection's buffer, which is
//! written when there is nothing left to answer: pipelining (RFC 2449 6.6) costs nothing. A session that ends
//! without QUIT removes nothing, and the mailbox is free again because its [`Held`] is dropped.

use crate::Pop;
use crate::commands;
use crate::login;
use crate::mailbox_view::MailboxView;
use crate::replies;
use crate::rules::Rules;
use bytes::Buf;
use catalog::events::pop::{PopSessionEnd, PopSessionStart};
use catalog::metrics::Operation;
use env::clock::Moment;
use env::tasks::Stopping;
use mail::id::{MailboxId, TraceId};
use net::connection::{Connection, Gone};
use roles::Call;
use roles::directory::Transport;
use roles::store::{MessageStore, StoreError};
use std::sync::Arc;
use std::time::Duration;
use wire::line::{BadLine, Lines, Scan};
use wire::pop3::command::{BadCommand, Command, MAX_LINE};
use wire::pop3::reply;
use wire::pop3::state::State;

/// How often the lock is renewed; the store frees it after ten minutes.
const RENEW_EVERY: Duration = Duration::from_secs(240);

/// Why a session has ended: the word in the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// QUIT.
    Quit,
    /// Too many wrong passwords.
    BadLogins,
    /// The client has gone, or the network.
    Gone,
    /// It was silent, or did not take our output.
    Timeout,
    /// The process ends.
    Stopped,
    /// A message could not be sent to its end.
    Broken,
    /// Somebody else has the mailbox now: our lock had run out.
    LockLost,
}

impl End {
    fn word(self) -> &'static str {
        match self {
            Self::Quit => "quit",
            Self::BadLogins => "badLogins",
            Self::Gone => "gone",
            Self::Timeout => "timeout",
            Self::Stopped => "stopped",
            Self::Broken => "broken",
            Self::LockLost => "lockLost",
        }
    }
}

impl From<Gone> for End {
    fn from(gone: Gone) -> Self {
        match gone {
            Gone::Timeout => Self::Timeout,
            Gone::Closed | Gone::Failed(_) => Self::Gone,
        }
    }
}

/// A mailbox that this session has to itself. Dropping it gives the mailbox back.
pub(crate) struct Held {
    store: Arc<dyn MessageStore>,
    call: Call,
    pub(crate) mailbox: MailboxId,
    pub(crate) view: MailboxView,
    renewed: Moment,
}

impl Held {
    /// Takes over a lock that `call` has.
    pub(crate) fn new(
        store: Arc<dyn MessageStore>,
        call: Call,
        mailbox: MailboxId,
        view: MailboxView,
        renewed: Moment,
    ) -> Self {
        Self { store, call, mailbox, view, renewed }
    }

    /// Where the mailbox is.
    pub(crate) fn store(&self) -> &dyn MessageStore {
        &*self.store
    }

    /// For requests that change nothing: the same one that holds the lock.
    pub(crate) fn call(&self) -> &Call {
        &self.call
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.store.mailbox_unlock(&self.call, self.mailbox);
    }
}

/// How long the last login took, apart by whom it waited for (ITS 17117).
#[derive(Default)]
pub(crate) struct LoginTimes {
    /// For the directory, to say who it is.
    pub(crate) authentication: Duration,
    /// For the store, to lock the mailbox and tell what is in it.
    pub(crate) store: Duration,
}

/// What a line of the client is.
enum Input {
    Command(Result<Command, BadCommand>),
    Response(Vec<u8>),
    Bad(BadLine),
}

/// Under which name the time of a command is counted. The parts of a login are counted by themselves.
fn operation(command: &Command) -> Operation {
    match command {
        Command::Stat => Operation::PopStat,
        Command::List(_) => Operation::PopList,
        Command::Uidl(_) => Operation::PopUidl,
        Command::Retr(_) => Operation::PopRetr,
        Command::Top(..) => Operation::PopTop,
        Command::Dele(_) => Operation::PopDele,
        Command::Quit => Operation::PopQuit,
        _ => Operation::PopOther,
    }
}

/// One session.
pub(crate) struct Session<'a> {
    pub(crate) pop: &'a Pop,
    pub(crate) connection: Connection,
    pub(crate) state: State,
    pub(crate) rules: Arc<Rules>,
    pub(crate) lines: Lines,
    /// Wrong passwords so far.
    pub(crate) failures: u32,
    pub(crate) held: Option<Held>,
    pub(crate) user: Option<String>,
    pub(crate) retrieved: u64,
    pub(crate) deleted: u64,
    /// How long the login took.
    pub(crate) took: LoginTimes,
    trace: TraceId,
    stopping: Stopping,
}

impl<'a> Session<'a> {
    pub(crate) fn new(pop: &'a Pop, connection: Connection, rules: Arc<Rules>) -> Self {
        Self {
            pop,
            connection,
            state: State::START,
            rules,
            lines: Lines::new(MAX_LINE),
            failures: 0,
            held: None,
            user: None,
            retrieved: 0,
            deleted: 0,
            took: LoginTimes::default(),
            trace: TraceId::new(&format!("pop{:016x}", pop.env.random.number())),
            stopping: pop.env.tasks.stopping(),
        }
    }

    /// Serves until the end.
    pub(crate) async fn run(mut self) {
        let (begun, peer) = (self.pop.env.clock.moment(), self.connection.peer().ip());
        let tls = self.connection.transport() == Transport::Tls;
        self.pop.env.log.emit(&PopSessionStart { session: &self.trace, peer, tls });
        reply::ok(self.connection.output(), &self.rules.banner);
        let end = loop {
            if let Err(end) = self.turn().await {
                break end;
            }
        };
        // The mailbox is free before the client sees the end of the connection: it may come back at once.
        self.held = None;
        self.pop.env.log.emit(&PopSessionEnd {
            session: &self.trace,
            peer,
            user: self.user.as_deref().unwrap_or("-"),
            reason: end.word(),
            retrieved: self.retrieved,
            deleted: self.deleted,
            seconds: begun.elapsed().as_secs(),
            authentication_ms: self.took.authentication.as_millis(),
            store_ms: self.took.store.as_millis(),
        });
        self.connection.close().await;
    }

    /// Answers one line, or waits for more.
    async fn turn(&mut self) -> Result<(), End> {
        let input = self.connection.input();
        let (line, consumed) = match self.lines.next(input) {
            Scan::NeedMore { consumed } => (None, consumed),
            Scan::Refused { why, consumed } => (Some(Input::Bad(why)), consumed),
            Scan::Line { text, consumed } => match &self.state {
                State::Exchange(_) => (Some(Input::Response(text.to_vec())), consumed),
                _ => (Some(Input::Command(Command::parse(text))), consumed),
            },
        };
        input.advance(consumed);
        match line {
            None => self.wait().await,
            Some(input) => {
                self.answer(input).await?;
                Ok(self.connection.flush_if_full().await?)
            }
        }
    }

    async fn answer(&mut self, input: Input) -> Result<(), End> {
        let pop = self.pop;
        let operation = match &input {
            Input::Command(Ok(command)) => operation(command),
            _ => Operation::PopOther,
        };
        let _timed = pop.env.metrics.time(operation);
        match input {
            Input::Bad(why) => {
                self.state.take_exchange();
                replies::bad_line(self.connection.output(), why);
            }
            // These two are large and rare: boxed, so that an idle session does not carry their room.
            Input::Response(response) => return Box::pin(login::respond(self, &response)).await,
            Input::Command(Err(why)) => replies::bad_command(self.connection.output(), why),
            Input::Command(Ok(command)) => match self.state.check(&command) {
                Err(why) => replies::not_now(self.connection.output(), why),
                Ok(()) if self.state.is_transaction() => {
                    return Box::pin(commands::run(self, command)).await;
                }
                Ok(()) => return Box::pin(login::run(self, command)).await,
            },
        }
        Ok(())
    }

    /// Sends what is waiting and waits for the client, the autologout, or the end of the process.
    async fn wait(&mut self) -> Result<(), End> {
        self.connection.flush().await?;
        let silent_since = self.pop.env.clock.moment();
        loop {
            let left = self.rules.idle.saturating_sub(silent_since.elapsed());
            if left.is_zero() {
                return Err(End::Timeout);
            }
            let filled = tokio::select! {
                biased;
                () = self.stopping.wait() => return Err(End::Stopped),
                filled = self.connection.fill(left.min(RENEW_EVERY)) => filled,
            };
            match filled {
                Ok(_) => {
                    self.rules = self.pop.rules.get();
                    return Ok(());
                }
                Err(Gone::Timeout) => Box::pin(self.renew_lock()).await?,
                Err(gone) => return Err(gone.into()),
            }
        }
    }

    /// Keeps the mailbox for a session that takes long. A store that is out of reach for a while does not end
    /// the session: the lock is asked for again.
    pub(crate) async fn renew_lock(&mut self) -> Result<(), End> {
        let Some(held) = self.held.as_mut().filter(|held| held.renewed.elapsed() >= RENEW_EVERY / 2) else {
            return Ok(());
        };
        match held.store.mailbox_lock(&held.call, held.mailbox).await {
            Ok(()) => held.renewed = self.pop.env.clock.moment(),
            Err(StoreError::Locked) => return Err(End::LockLost),
            Err(_) => {}
        }
        Ok(())
    }

    /// A request to another server, with an id of its own.
    pub(crate) fn call(&self) -> Call {
        Call::new(self.pop.env.random.request_id(), self.trace.clone())
    }
}
