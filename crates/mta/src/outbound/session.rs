//! One session with another server: connect, greet, encrypt, and any number of transactions.
//!
//! The dialogue is `wire::smtp::client_state`'s; here are its sockets, its clock and the body. A session is used
//! up by a transaction and comes back only where another one may follow.

use super::Dialing;
use mail::address::Domain;
use net::connection::{Connection, Gone};
use net::dial::{Candidate, connect};
use net::tls_client::{Demand, TlsClient};
use roles::Body;
use std::io;
use std::time::Duration;
use wire::line::BadLine;
use wire::smtp::Dialect;
use wire::smtp::client_state::{Chunking, Client, Closed, Fate, Next, Settings, Tls, Transaction, Transfer};
use wire::smtp::data::Stuffer;
use wire::smtp::reply::{BadReply, Reply};

/// RFC 5321 4.5.3.2.1 to 4.5.3.2.3: for the greeting, MAIL and RCPT; more than DATA needs (4.5.3.2.4).
const PATIENCE: Duration = Duration::from_secs(300);
/// RFC 5321 4.5.3.2.6: for the answer to the end of the content.
const PATIENCE_AT_END: Duration = Duration::from_secs(600);
/// For a last word of a server that stopped reading.
const PATIENCE_FOR_LAST_WORD: Duration = Duration::from_secs(5);
/// For the answer to QUIT.
const PATIENCE_AT_QUIT: Duration = Duration::from_secs(10);
/// Bytes of the body that are read at a time.
const PIECE: usize = 64 << 10;

/// Why a session is of no (further) use.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Trouble {
    #[error("the connection cannot be opened: {0}")]
    Connect(#[source] io::Error),
    #[error("{0}")]
    Lost(#[from] Gone),
    #[error("{0}")]
    Refused(Reply),
    #[error("the server's reply is too long")]
    Overflow,
    #[error("the server does not keep to the protocol: {0}")]
    Protocol(String),
    #[error("TLS cannot be agreed: {0}")]
    Tls(Gone),
    #[error("the message cannot be read: {0}")]
    Body(#[source] io::Error),
}

impl From<Closed> for Trouble {
    fn from(why: Closed) -> Self {
        match why {
            Closed::Quit => Self::Lost(Gone::Closed),
            Closed::Refused(reply) | Closed::LoginRefused(reply) => Self::Refused(reply),
            Closed::Bad(BadReply::TooLong | BadReply::Line(BadLine::TooLong)) => Self::Overflow,
            Closed::Bad(why) => Self::Protocol(why.to_string()),
            Closed::Unexpected(reply) => Self::Protocol(format!("unexpected reply {reply}")),
            Closed::NoTls => Self::Protocol("TLS is not offered".into()),
            Closed::Injection => Self::Protocol("plain text came behind STARTTLS".into()),
            Closed::NoLogin => Self::Protocol("no login is offered".into()),
        }
    }
}

/// Whether TLS is tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Encrypt {
    /// If it is offered. RFC 7435.
    IfOffered,
    /// Not after a handshake has failed: a server with a broken certificate still gets its mail.
    Never,
}

/// A session that is ready for a transaction.
pub(crate) struct Session {
    connection: Connection,
    client: Client,
    host: Domain,
    transactions: u32,
    content_begun: bool,
}

/// What a transaction led to.
pub(crate) struct Sent {
    /// One for each recipient, in their order; `None`: the server did not say.
    pub(crate) fates: Vec<Option<Fate>>,
    /// What ended the session.
    pub(crate) trouble: Option<Trouble>,
    /// Whether any of the content was sent: from then on the server may have taken the message.
    pub(crate) content_begun: bool,
    /// Whether the server reports by itself.
    pub(crate) reports: super::verdict::Reports,
    /// The session, where it may go on.
    pub(crate) session: Option<Session>,
}

impl Session {
    /// Connects and gets as far as a first transaction.
    pub(crate) async fn open(
        dialing: &Dialing<'_>,
        candidate: &Candidate,
        encrypt: Encrypt,
    ) -> Result<Self, Trouble> {
        let rules = dialing.rules;
        let stream = connect(candidate.address, rules.source, rules.connect_timeout).await;
        let connection = stream.and_then(Connection::new).map_err(Trouble::Connect)?;
        let client = Client::new(Settings {
            dialect: Dialect::Smtp,
            hello: dialing.hello.into(),
            tls: if encrypt == Encrypt::Never { Tls::Never } else { Tls::IfOffered },
            login: None,
            chunking: Chunking::Never,
            line_limit: rules.line_limit,
        });
        let mut session =
            Self { connection, client, host: candidate.host.clone(), transactions: 0, content_begun: false };
        let mut next = session.until(PATIENCE).await?;
        if next == Next::StartTls {
            session.start_tls(dialing).await?;
            next = session.until(PATIENCE).await?;
        }
        match next {
            Next::Ready => Ok(session),
            Next::Closed(why) => Err(why.into()),
            other => Err(Trouble::Protocol(format!("{other:?} instead of a greeting"))),
        }
    }

    /// The host at the other end.
    pub(crate) fn host(&self) -> &Domain {
        &self.host
    }

    /// Transactions so far.
    pub(crate) fn transactions(&self) -> u32 {
        self.transactions
    }

    async fn start_tls(&mut self, dialing: &Dialing<'_>) -> Result<(), Trouble> {
        let name = match self.host.literal() {
            Some(ip) => ip.to_string(),
            None => self.host.as_str().to_owned(),
        };
        let tls: &TlsClient = dialing.tls;
        let handshake =
            self.connection.start_tls_client(tls, &name, Demand::Opportunistic, dialing.unix_time());
        handshake.await.map_err(Trouble::Tls)?;
        self.client.tls_started(self.connection.output());
        Ok(())
    }

    /// Sends what waits and reads until something else than reading comes next.
    async fn until(&mut self, patience: Duration) -> Result<Next, Gone> {
        loop {
            self.connection.flush().await?;
            let (input, output) = self.connection.buffers();
            match self.client.push(input, output) {
                Next::Read if output.is_empty() => self.connection.fill(patience).await.map(drop)?,
                Next::Read => {}
                next => return Ok(next),
            }
        }
    }

    /// One transaction.
    pub(crate) async fn send(mut self, transaction: Transaction, body: &Body) -> Sent {
        let recipients = transaction.recipients.len();
        self.transactions += 1;
        self.content_begun = false;
        let reports = match self.client.extensions().dsn {
            true => super::verdict::Reports::Itself,
            false => super::verdict::Reports::Never,
        };
        let trouble = match self.transact(transaction, body).await {
            Ok(fates) => {
                let session = (!self.client.is_closed()).then_some(self);
                let fates = fates.into_iter().map(Some).collect();
                return Sent { fates, trouble: None, content_begun: true, reports, session };
            }
            Err(trouble) => trouble,
        };
        let content_begun = self.content_begun;
        let mut fates = self.client.abandon();
        fates.resize(recipients, None);
        Sent { fates, trouble: Some(trouble), content_begun, reports, session: None }
    }

    async fn transact(&mut self, transaction: Transaction, body: &Body) -> Result<Vec<Fate>, Trouble> {
        let mut next = self.client.send(transaction, self.connection.output());
        let mut patience = PATIENCE;
        loop {
            match next {
                Next::Read => next = self.until(patience).await?,
                Next::Content(transfer) => {
                    next = self.content(body, transfer).await?;
                    patience = PATIENCE_AT_END;
                }
                Next::Finished(fates) => return Ok(fates),
                Next::Closed(why) => return Err(why.into()),
                Next::Ready | Next::StartTls => return Err(Trouble::Protocol("out of step".into())),
            }
        }
    }

    /// Sends the body with its end.
    async fn content(&mut self, body: &Body, transfer: Transfer) -> Result<Next, Trouble> {
        match self.write_body(body, transfer).await {
            Ok(()) => Ok(self.client.content_sent()),
            // A server that hangs up within the content may have said why.
            Err(Trouble::Lost(gone)) => {
                self.connection.output().clear();
                self.client.content_sent();
                match self.connection.fill(PATIENCE_FOR_LAST_WORD).await {
                    Ok(_) => {
                        let (input, output) = self.connection.buffers();
                        Ok(self.client.push(input, output)).and_then(|next| match next {
                            Next::Finished(_) => Ok(next),
                            _ => Err(Trouble::Lost(gone)),
                        })
                    }
                    Err(_) => Err(Trouble::Lost(gone)),
                }
            }
            Err(trouble) => Err(trouble),
        }
    }

    async fn write_body(&mut self, body: &Body, transfer: Transfer) -> Result<(), Trouble> {
        self.content_begun = true;
        let mut stuffer = Stuffer::new();
        let mut at = 0;
        while at < body.len() {
            let piece = body.read(at, PIECE).await.map_err(Trouble::Body)?;
            if piece.is_empty() {
                return Err(Trouble::Body(io::ErrorKind::UnexpectedEof.into()));
            }
            at += piece.len() as u64;
            match transfer {
                Transfer::Dots => stuffer.push(&piece, self.connection.output()),
                Transfer::Chunk => self.connection.output().extend_from_slice(&piece),
            }
            self.connection.flush_if_full().await?;
        }
        if transfer == Transfer::Dots {
            stuffer.finish(self.connection.output());
        }
        self.connection.flush().await?;
        Ok(())
    }

    /// Says goodbye, and does not wait long for an answer.
    pub(crate) async fn quit(mut self) {
        self.client.quit(self.connection.output());
        let _ = self.until(PATIENCE_AT_QUIT).await;
        self.connection.close().await;
    }
}
