//! One client: reads commands, asks whether they are legal now, hands each to its module, and sends replies in
//! as few writes as pipelining allows.
//!
//! A refused command costs the client patience: replies slow down, and in the end the session is over. The rare
//! and large parts of a session (AUTH, STARTTLS) are boxed, so that the many sessions that wait stay small.

use super::{Service, replies};
use crate::Mta;
use crate::accept::Accepted;
use crate::inbound::data::Receiving;
use crate::policy::limits::{Patience, patience};
use crate::policy::relay::{self, Identity, Relay};
use crate::rules::Rules;
use crate::stamp::Hello;
use bytes::Buf as _;
use catalog::events::nio::NioTlsFailed;
use catalog::events::smtp::{SmtpConnectionReceived, SmtpSessionEnd};
use catalog::metrics::Operation;
use env::clock::Moment;
use env::tasks::Stopping;
use mail::envelope::Origin;
use mail::id::{RequestId, TraceId};
use net::connection::{Connection, Gone};
use roles::Call;
use roles::directory::{Account, Transport};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;
use wire::line::{BadLine, Lines, Scan};
use wire::smtp::command::{BadCommand, Command, Verb};
use wire::smtp::reply::{Class, Reply};
use wire::smtp::server_state::{Event, State};

/// RFC 5321 4.5.3.2.7: a server waits five minutes for a command at least; longer is of no use to anybody.
pub(super) const COMMAND_TIMEOUT: Duration = Duration::from_secs(300);

/// Why a session is over.
#[derive(Debug, thiserror::Error)]
pub(super) enum End {
    #[error("quit")]
    Quit,
    #[error("{0}")]
    Gone(#[from] Gone),
    #[error("stopping")]
    Stopping,
    #[error("too many errors")]
    Errors,
    #[error("TLS failed")]
    Tls,
    #[error("endless input")]
    Endless,
}

/// A transaction from MAIL on.
pub(super) struct Transaction {
    pub(super) origin: Origin,
    /// What the client said the message has, in octets; 0: nothing.
    pub(super) size: u64,
    /// Largest message that this client may send, in octets.
    pub(super) limit: u64,
    pub(super) trace: TraceId,
    pub(super) to: Vec<Accepted>,
    /// Set between chunks.
    pub(super) receiving: Option<Receiving>,
}

pub(super) struct Session<'a> {
    pub(super) mta: &'a Mta,
    pub(super) service: Service,
    pub(super) connection: Connection,
    pub(super) rules: Arc<Rules>,
    pub(super) state: State,
    pub(super) hello: Hello,
    /// What the client calls itself.
    pub(super) name: Box<str>,
    pub(super) user: Option<Box<Account>>,
    pub(super) transaction: Option<Box<Transaction>>,
    /// Wrong passwords.
    pub(super) failures: u32,
    /// Messages taken.
    pub(super) messages: u64,
    lines: Lines,
    stopping: Stopping,
    /// Refused commands.
    bad: u64,
    began: Moment,
    number: u64,
}

/// Under which name the time of a command is counted.
fn operation(verb: Verb) -> Operation {
    match verb {
        Verb::Helo | Verb::Ehlo | Verb::Lhlo => Operation::SmtpHello,
        Verb::Mail => Operation::SmtpMail,
        Verb::Rcpt => Operation::SmtpRcpt,
        Verb::Data | Verb::Bdat => Operation::SmtpData,
        Verb::Auth => Operation::SmtpAuth,
        _ => Operation::SmtpOther,
    }
}

impl<'a> Session<'a> {
    pub(super) fn new(mta: &'a Mta, service: Service, connection: Connection) -> Self {
        let rules = mta.rules.get();
        let state = State::new(service.dialect());
        let state = match connection.transport() {
            Transport::Plain => state,
            Transport::Tls => state.after(Event::TlsStarted),
        };
        Self {
            mta,
            service,
            connection,
            state,
            hello: Hello::Old,
            name: "".into(),
            user: None,
            transaction: None,
            failures: 0,
            messages: 0,
            lines: Lines::new(rules.line_limit),
            stopping: mta.env.tasks.stopping(),
            bad: 0,
            began: mta.env.clock.moment(),
            number: mta.ids.session(),
            rules,
        }
    }

    pub(super) async fn run(mut self, port: u16) {
        let peer = self.peer();
        let tls = if self.state.encrypted() { "yes" } else { "no" };
        self.mta.env.log.emit(&SmtpConnectionReceived { session: self.number, peer, port, tls });
        self.greet();
        let reason = loop {
            if let Err(end) = self.turn().await {
                break end;
            }
        };
        self.farewell(&reason);
        self.mta.env.log.emit(&SmtpSessionEnd {
            session: self.number,
            peer,
            user: self.user.as_ref().map_or("", |account| account.login.as_str()),
            reason,
            messages: self.messages,
            seconds: self.began.elapsed().as_secs(),
        });
        self.connection.close().await;
    }

    /// The last reply, where the client has not had it yet.
    fn farewell(&mut self, reason: &End) {
        let last = match reason {
            End::Quit => replies::BYE,
            End::Stopping => replies::STOPPING,
            End::Errors => replies::TOO_MANY_ERRORS,
            End::Gone(Gone::Timeout) => replies::TIMEOUT,
            End::Gone(_) | End::Tls | End::Endless => return,
        };
        last.write(self.connection.output());
    }

    /// One command and its replies.
    async fn turn(&mut self) -> Result<(), End> {
        let bad_before = self.bad;
        match self.line(Command::parse).await? {
            Ok(Ok(command)) => self.on_command(command).await?,
            Ok(Err(why)) => self.on_bad_command(why),
            Err(why) => self.reply(&replies::bad_line(why)),
        }
        if self.bad > bad_before {
            match patience(self.bad, self.rules.max_bad_commands, self.rules.bad_command_delay) {
                Patience::Normal => {}
                Patience::Slow(delay) => self.mta.env.clock.sleep(delay).await,
                Patience::Over => return Err(End::Errors),
            }
        }
        Ok(self.connection.flush_if_full().await?)
    }

    /// Order comes before form: a command that is not legal now is not looked at any closer.
    fn on_bad_command(&mut self, why: BadCommand) {
        let verb = match why {
            BadCommand::NotText | BadCommand::UnknownVerb => None,
            BadCommand::Arguments(verb) | BadCommand::Path(verb, _) => Some(verb),
            BadCommand::UnknownParameter(verb) | BadCommand::BadParameter(verb) => Some(verb),
        };
        match verb.map(|verb| self.state.permit(verb)) {
            Some(Err(order)) => self.reply(&replies::out_of_order(order)),
            _ => self.reply(&replies::bad_command(why)),
        }
    }

    async fn on_command(&mut self, command: Command) -> Result<(), End> {
        let mta = self.mta;
        let _timed = mta.env.metrics.time(operation(command.verb()));
        if let Err(order) = self.state.permit(command.verb()) {
            self.reply(&replies::out_of_order(order));
            return match command {
                // RFC 3030 2: the chunk comes whatever the answer is.
                Command::Bdat { size, .. } => self.skip(size).await,
                _ => Ok(()),
            };
        }
        match command {
            Command::Hello { verb, name } => self.hello(verb, name),
            Command::Mail(mail) => return self.mail_from(mail).await,
            Command::Rcpt(rcpt) => self.rcpt_to(rcpt).await,
            Command::Data => return self.data().await,
            Command::Bdat { size, last } => return self.bdat(size, last).await,
            Command::Rset => {
                self.end_transaction();
                self.reply(&replies::OK);
            }
            Command::Noop => self.reply(&replies::OK),
            Command::Help => self.reply(&replies::HELP),
            Command::Vrfy(_) => self.reply(&replies::CANNOT_VERIFY),
            Command::Expn(_) => self.reply(&replies::NO_LISTS),
            Command::Quit => return Err(End::Quit),
            Command::StartTls => return Box::pin(self.start_tls()).await,
            Command::Auth { mechanism, initial } => return Box::pin(self.auth(&mechanism, initial)).await,
            Command::Etrn(domain) => Box::pin(self.etrn(domain)).await,
        }
        Ok(())
    }

    /// The next line, as `read` understands it; or why it is none.
    pub(super) async fn line<T>(&mut self, read: fn(&[u8]) -> T) -> Result<Result<T, BadLine>, End> {
        loop {
            let (found, consumed) = match self.lines.next(self.connection.input()) {
                Scan::Line { text, consumed } => (Some(Ok(read(text))), consumed),
                Scan::Refused { why, consumed } => (Some(Err(why)), consumed),
                Scan::NeedMore { consumed } => (None, consumed),
            };
            self.connection.input().advance(consumed);
            match found {
                Some(found) => return Ok(found),
                None => self.wait_for_command().await?,
            }
        }
    }

    /// Sends what there is to send, and waits for more input.
    async fn wait_for_command(&mut self) -> Result<(), End> {
        self.connection.flush().await?;
        let patience = self.rules.idle.min(COMMAND_TIMEOUT);
        tokio::select! {
            biased;
            filled = self.connection.fill(patience) => Ok(filled.map(drop)?),
            () = self.stopping.wait() => Err(End::Stopping),
        }
    }

    /// Adds a reply to the output; one of class 5 counts as a bad command.
    pub(super) fn reply(&mut self, reply: &Reply) {
        if reply.class() == Class::Never {
            self.bad += 1;
        }
        reply.write(self.connection.output());
    }

    pub(super) fn end_transaction(&mut self) {
        self.transaction = None;
        self.state = self.state.after(Event::TransactionOver);
    }

    pub(super) fn peer(&self) -> IpAddr {
        self.connection.peer().ip().to_canonical()
    }

    pub(super) fn identity(&self) -> Identity {
        if self.user.is_some() { Identity::Authenticated } else { Identity::Anonymous }
    }

    /// Whether this client may send to foreign domains.
    pub(super) fn relay(&self) -> Relay {
        relay::judge(self.rules.relay, &self.rules.relay_networks, self.peer(), self.identity())
    }

    /// A question to another server that changes nothing there.
    pub(super) fn question(&self) -> Call {
        let trace = self.transaction.as_ref().map_or_else(|| TraceId::new("-"), |t| t.trace.clone());
        Call::new(RequestId(0), trace)
    }

    async fn start_tls(&mut self) -> Result<(), End> {
        let Some(tls) = self.mta.tls.as_ref().map(|tls| tls.config()) else {
            self.reply(&replies::NO_TLS);
            return Ok(());
        };
        if !self.connection.input().is_empty() {
            // RFC 3207 6: commands that were slipped in must not count as sent under TLS.
            self.reply(&replies::BYTES_AHEAD_OF_TLS);
            return Err(End::Tls);
        }
        self.reply(&replies::START_TLS);
        self.connection.flush().await?;
        if let Err(reason) = self.connection.start_tls(tls).await {
            let (peer, port) = (self.peer(), self.connection.local().port());
            self.mta.env.log.emit(&NioTlsFailed { peer, port, reason });
            return Err(End::Tls);
        }
        self.end_transaction();
        self.user = None;
        self.state = self.state.after(Event::TlsStarted);
        Ok(())
    }
}
