//! The client's side of a dialogue, as a machine: greeting, EHLO, STARTTLS, AUTH, and any number of
//! transactions. RFC 5321 3, with PIPELINING (RFC 2920), CHUNKING (RFC 3030), DSN (RFC 3461), LMTP (RFC 2033).
//!
//! The caller owns the sockets and the clock. It hands in what has been read, sends what has been written to
//! `out`, and does what [`Next`] says; that is where TLS handshakes and the body of the message come in.
//! For every recipient the machine reports the reply that decided its fate, and at which point. What to do
//! with a fate (bounce, try again, try another host) is the queue's business.

mod transaction;

use super::Dialect;
use super::extensions::Extensions;
use super::reply::{BadReply, Class, Decoder, Reply};
use crate::Progress;
use crate::sasl::{self, Mechanism};
use bytes::BytesMut;
use mail::envelope::{Origin, Recipient};
use mail::secret::Secret;
use std::fmt::Write as _;
use transaction::Running;

/// What the client wants of TLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tls {
    /// Not even if it is offered.
    Never,
    /// If it is offered. RFC 7435.
    IfOffered,
    /// No message without it.
    Required,
    /// The connection began with it.
    Already,
}

/// Whether BDAT is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Chunking {
    /// DATA always.
    Never,
    /// BDAT if it is offered.
    IfOffered,
}

/// What a session is begun with.
#[derive(Debug, Clone)]
pub struct Settings {
    /// SMTP or LMTP.
    pub dialect: Dialect,
    /// What the client calls itself.
    pub hello: Box<str>,
    /// TLS.
    pub tls: Tls,
    /// Login name and password, sent over TLS only.
    pub login: Option<(Box<str>, Secret)>,
    /// BDAT.
    pub chunking: Chunking,
    /// Octets of a reply's line.
    pub line_limit: usize,
}

/// A message that is to be sent.
#[derive(Debug, Clone)]
pub struct Transaction {
    /// Sender and what is the same for all.
    pub origin: Origin,
    /// At least one.
    pub recipients: Vec<Recipient>,
    /// Octets of the body, before dots are stuffed.
    pub size: u64,
}

/// How the body is to be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transfer {
    /// Through a [`super::data::Stuffer`].
    Dots,
    /// As it is: exactly the number of octets that the transaction announced.
    Chunk,
}

/// Where a recipient's fate was decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// Before anything was sent: the server does not offer what the message needs.
    Offer,
    /// MAIL.
    Mail,
    /// RCPT.
    Rcpt,
    /// DATA, BDAT or the end of the message.
    Content,
}

/// What became of a recipient.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fate {
    /// The reply that decided. [`Class::Done`] from [`Stage::Content`] only: the server is responsible now.
    pub reply: Reply,
    /// When.
    pub stage: Stage,
}

/// Why a session has ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Closed {
    /// QUIT was answered.
    Quit,
    /// The server does not want to speak with us (greeting, EHLO), or says 421.
    Refused(Reply),
    /// What came is no reply.
    Bad(BadReply),
    /// A reply that makes no sense at this point.
    Unexpected(Reply),
    /// TLS is required, and not offered or refused.
    NoTls,
    /// Octets came behind the answer to STARTTLS: somebody may be in the middle. RFC 3207 6.
    Injection,
    /// We are to log in; there is no TLS, or no mechanism that we know.
    NoLogin,
    /// The login was refused.
    LoginRefused(Reply),
}

/// What the caller does next, once it has sent what is in `out`.
#[derive(Debug, PartialEq, Eq)]
pub enum Next {
    /// Read more, and [`Client::push`].
    Read,
    /// Do the handshake, and [`Client::tls_started`].
    StartTls,
    /// [`Client::send`] a message, or [`Client::quit`].
    Ready,
    /// Send the body, and [`Client::content_sent`].
    Content(Transfer),
    /// The transaction is over: one fate for each recipient, in their order. Then as for `Ready`, unless
    /// [`Client::is_closed`].
    Finished(Vec<Fate>),
    /// Hang up. Fates that are known already: [`Client::abandon`].
    Closed(Closed),
}

/// A session.
#[derive(Debug)]
pub struct Client {
    settings: Settings,
    decoder: Decoder,
    extensions: Extensions,
    encrypted: bool,
    phase: Phase,
}

#[derive(Debug)]
enum Phase {
    Greeting,
    Hello,
    /// EHLO is not known to the server: HELO was sent.
    OldHello,
    AskedForTls,
    Handshake,
    /// AUTH was sent, with what is still to be answered.
    Login(Vec<String>),
    Ready,
    Transaction(Box<Running>),
    Quitting,
    Closed,
}

impl Client {
    /// A session on a fresh connection. The server speaks first: [`Next::Read`].
    pub fn new(settings: Settings) -> Self {
        let decoder = Decoder::new(settings.line_limit);
        let encrypted = settings.tls == Tls::Already;
        Self { settings, decoder, extensions: Extensions::default(), encrypted, phase: Phase::Greeting }
    }

    /// What the server offers: known from [`Next::Ready`] on.
    pub const fn extensions(&self) -> &Extensions {
        &self.extensions
    }

    /// Whether nothing more can be done on this connection.
    pub const fn is_closed(&self) -> bool {
        matches!(self.phase, Phase::Closed)
    }

    /// Takes replies from the front of `input` for as long as nothing but reading comes next.
    pub fn push(&mut self, input: &mut BytesMut, out: &mut BytesMut) -> Next {
        loop {
            let reply = match self.decoder.push(input) {
                Progress::NeedMore => return Next::Read,
                Progress::Refused(why) => return self.close(Closed::Bad(why)),
                Progress::Value(reply) => reply,
            };
            let next = self.on_reply(reply, out);
            if next == Next::StartTls && !input.is_empty() {
                return self.close(Closed::Injection);
            }
            if next != Next::Read {
                return next;
            }
        }
    }

    /// The handshake is done: what was known of the server is forgotten. RFC 3207 4.2.
    pub fn tls_started(&mut self, out: &mut BytesMut) -> Next {
        self.encrypted = true;
        self.extensions = Extensions::default();
        self.decoder = Decoder::new(self.settings.line_limit);
        self.hello(out)
    }

    /// Begins a transaction. Only when the session is ready; otherwise it is closed.
    pub fn send(&mut self, transaction: Transaction, out: &mut BytesMut) -> Next {
        if !matches!(self.phase, Phase::Ready) {
            return self.close(Closed::Quit);
        }
        if let Some(reply) = transaction::missing_offer(&transaction, &self.extensions) {
            let fate = Fate { reply, stage: Stage::Offer };
            return Next::Finished(vec![fate; transaction.recipients.len()]);
        }
        let chunks = self.extensions.chunking && self.settings.chunking == Chunking::IfOffered;
        let transfer = if chunks { Transfer::Chunk } else { Transfer::Dots };
        let mut running = Running::new(transaction, self.settings.dialect, transfer);
        running.write_commands(&self.extensions, out);
        self.phase = Phase::Transaction(Box::new(running));
        Next::Read
    }

    /// The body has been sent, with its end.
    pub fn content_sent(&mut self) -> Next {
        if let Phase::Transaction(running) = &mut self.phase {
            running.content_sent();
        }
        Next::Read
    }

    /// Says goodbye.
    pub fn quit(&mut self, out: &mut BytesMut) -> Next {
        out.extend_from_slice(b"QUIT\r\n");
        self.phase = Phase::Quitting;
        Next::Read
    }

    /// Ends the session where it stands, because the connection is gone or takes too long. What is known of
    /// the recipients of the running transaction; `None`: the server said nothing final, and after the
    /// content was sent it may have taken the message (RFC 1047).
    pub fn abandon(self) -> Vec<Option<Fate>> {
        match self.phase {
            Phase::Transaction(running) => running.fates(),
            _ => Vec::new(),
        }
    }

    fn on_reply(&mut self, reply: Reply, out: &mut BytesMut) -> Next {
        match std::mem::replace(&mut self.phase, Phase::Closed) {
            Phase::Transaction(running) => self.on_transaction(running, reply, out),
            Phase::Quitting => Next::Closed(Closed::Quit),
            _ if reply.code == 421 => Next::Closed(Closed::Refused(reply)),
            Phase::Greeting if reply.code == 220 => self.hello(out),
            Phase::Hello if reply.class() == Class::Done => {
                self.extensions = Extensions::read(&reply);
                self.after_hello(out)
            }
            // RFC 5321 3.2: a server that does not know EHLO.
            Phase::Hello if reply.class() == Class::Never && self.settings.dialect == Dialect::Smtp => {
                self.phase = Phase::OldHello;
                write_line(out, format_args!("HELO {}", self.settings.hello))
            }
            Phase::OldHello if reply.class() == Class::Done => self.after_hello(out),
            Phase::Greeting | Phase::Hello | Phase::OldHello => Next::Closed(Closed::Refused(reply)),
            Phase::AskedForTls if reply.code == 220 => {
                self.phase = Phase::Handshake;
                Next::StartTls
            }
            Phase::AskedForTls if self.settings.tls == Tls::IfOffered => self.log_in(out),
            Phase::AskedForTls => Next::Closed(Closed::NoTls),
            Phase::Login(answers) => self.on_login(answers, reply, out),
            Phase::Handshake | Phase::Ready | Phase::Closed => Next::Closed(Closed::Unexpected(reply)),
        }
    }

    fn on_transaction(&mut self, mut running: Box<Running>, reply: Reply, out: &mut BytesMut) -> Next {
        if reply.code == 421 {
            return Next::Finished(running.finish_all(&reply));
        }
        match running.on_reply(reply, &self.extensions, out) {
            transaction::Step::Going => {
                self.phase = Phase::Transaction(running);
                Next::Read
            }
            transaction::Step::Content(transfer) => {
                self.phase = Phase::Transaction(running);
                Next::Content(transfer)
            }
            transaction::Step::Done(fates) => {
                self.phase = Phase::Ready;
                Next::Finished(fates)
            }
            transaction::Step::Unexpected(reply) => {
                // What is known so far stays to be asked for.
                self.phase = Phase::Transaction(running);
                Next::Closed(Closed::Unexpected(reply))
            }
        }
    }

    fn hello(&mut self, out: &mut BytesMut) -> Next {
        self.phase = Phase::Hello;
        let verb = if self.settings.dialect == Dialect::Lmtp { "LHLO" } else { "EHLO" };
        write_line(out, format_args!("{verb} {}", self.settings.hello))
    }

    fn after_hello(&mut self, out: &mut BytesMut) -> Next {
        let wanted = !self.encrypted && self.settings.tls != Tls::Never;
        if wanted && self.extensions.start_tls {
            self.phase = Phase::AskedForTls;
            return write_line(out, format_args!("STARTTLS"));
        }
        if wanted && self.settings.tls == Tls::Required {
            return self.close(Closed::NoTls);
        }
        self.log_in(out)
    }

    fn log_in(&mut self, out: &mut BytesMut) -> Next {
        let Some((login, secret)) = &self.settings.login else {
            self.phase = Phase::Ready;
            return Next::Ready;
        };
        let offered = |mechanism| self.encrypted && self.extensions.auth.contains(&mechanism);
        if offered(Mechanism::Plain) {
            let response = sasl::encode(&sasl::plain_response(login, secret));
            self.phase = Phase::Login(Vec::new());
            return write_line(out, format_args!("AUTH PLAIN {response}"));
        }
        if offered(Mechanism::Login) {
            // Taken from the end.
            let answers = [secret.expose(), login.as_bytes()].map(sasl::encode).to_vec();
            self.phase = Phase::Login(answers);
            return write_line(out, format_args!("AUTH LOGIN"));
        }
        self.close(Closed::NoLogin)
    }

    fn on_login(&mut self, mut answers: Vec<String>, reply: Reply, out: &mut BytesMut) -> Next {
        match (reply.class(), answers.pop()) {
            (Class::GoOn, Some(answer)) => {
                self.phase = Phase::Login(answers);
                write_line(out, format_args!("{answer}"))
            }
            (Class::Done, None) => {
                self.phase = Phase::Ready;
                Next::Ready
            }
            (Class::GoOn | Class::Done, _) => Next::Closed(Closed::Unexpected(reply)),
            (Class::Later | Class::Never, _) => Next::Closed(Closed::LoginRefused(reply)),
        }
    }

    fn close(&mut self, why: Closed) -> Next {
        if !matches!(self.phase, Phase::Transaction(_)) {
            self.phase = Phase::Closed;
        }
        Next::Closed(why)
    }
}

fn write_line(out: &mut BytesMut, line: std::fmt::Arguments<'_>) -> Next {
    // Writing to a BytesMut does not fail: it grows.
    let _ = write!(out, "{line}\r\n");
    Next::Read
}

#[cfg(test)]
mod tests;
