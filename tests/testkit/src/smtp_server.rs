//! An SMTP server on loopback that does what its rules say and remembers what it was sent.

use rustls::pki_types::PrivateKeyDer;
use rustls::{ServerConfig, crypto::aws_lc_rs};
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

/// What the server does at a step.
#[derive(Debug, Clone)]
pub enum Reaction {
    /// Says these lines (without the last CRLF) and goes on.
    Reply(String),
    /// Says them and closes.
    ReplyAndClose(String),
    /// Closes without a word.
    Close,
    /// Says nothing more and keeps the connection open.
    Silence,
}

/// What the server was sent, one entry a transaction that it took.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Taken {
    /// The MAIL line after `MAIL FROM:`.
    pub from: String,
    /// The RCPT lines after `RCPT TO:` that were answered with 2xx.
    pub to: Vec<String>,
    /// The content with dots undone.
    pub content: Vec<u8>,
    /// Whether it came over TLS.
    pub over_tls: bool,
}

/// How the server behaves. Without rules it is an obliging ESMTP server.
#[derive(Default)]
pub struct Rules {
    extensions: Vec<String>,
    steps: Vec<(String, VecDeque<Reaction>)>,
}

impl Rules {
    /// An obliging server without extensions.
    pub fn new() -> Self {
        Self::default()
    }

    /// Offers an extension, such as `PIPELINING`, `SIZE 1000` or `STARTTLS`.
    #[must_use]
    pub fn offer(mut self, extension: &str) -> Self {
        self.extensions.push(extension.to_owned());
        self
    }

    /// Reacts so to commands that begin with `prefix`, in upper case. `CONNECT` stands for the greeting, `END`
    /// for the end of the content. Given several times for a prefix, the reactions are used in that order and the
    /// last one stays. The first prefix that fits counts.
    #[must_use]
    pub fn on(mut self, prefix: &str, reaction: Reaction) -> Self {
        let prefix = prefix.to_ascii_uppercase();
        match self.steps.iter_mut().find(|(p, _)| *p == prefix) {
            Some((_, reactions)) => reactions.push_back(reaction),
            None => self.steps.push((prefix, VecDeque::from([reaction]))),
        }
        self
    }

    /// Replies so to commands that begin with `prefix`.
    #[must_use]
    pub fn reply(self, prefix: &str, reply: &str) -> Self {
        self.on(prefix, Reaction::Reply(reply.to_owned()))
    }

    fn reaction(&mut self, command: &str) -> Option<Reaction> {
        let command = command.to_ascii_uppercase();
        let (_, reactions) = self.steps.iter_mut().find(|(prefix, _)| command.starts_with(prefix))?;
        if reactions.len() > 1 { reactions.pop_front() } else { reactions.front().cloned() }
    }
}

/// A running server. It ends with the runtime of the test.
#[derive(Clone)]
pub struct SmtpServer {
    address: SocketAddr,
    shared: Arc<Shared>,
}

struct Shared {
    rules: Mutex<Rules>,
    taken: Mutex<Vec<Taken>>,
    commands: Mutex<Vec<String>>,
    tls: TlsAcceptor,
    changed: tokio::sync::Notify,
}

impl SmtpServer {
    /// Starts it on a free port of 127.0.0.1.
    ///
    /// # Panics
    /// Where there is no free port.
    pub async fn start(rules: Rules) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("an address");
        let shared = Arc::new(Shared {
            rules: Mutex::new(rules),
            taken: Mutex::default(),
            commands: Mutex::default(),
            tls: acceptor(),
            changed: tokio::sync::Notify::new(),
        });
        let server = Self { address, shared: Arc::clone(&shared) };
        #[expect(clippy::disallowed_methods, reason = "a peer of a test is no task of ours")]
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                #[expect(clippy::disallowed_methods, reason = "a peer of a test is no task of ours")]
                tokio::spawn(serve(stream, Arc::clone(&shared)));
            }
        });
        server
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What it took so far.
    pub fn taken(&self) -> Vec<Taken> {
        lock(&self.shared.taken).clone()
    }

    /// All commands of all connections so far, one after the other, as they came; `CONNECT` for a new connection.
    pub fn commands(&self) -> Vec<String> {
        lock(&self.shared.commands).clone()
    }

    /// Other rules from the next step on.
    pub fn set_rules(&self, rules: Rules) {
        *lock(&self.shared.rules) = rules;
    }

    /// Waits until this many commands that begin with `prefix`, in upper case, have come.
    pub async fn wait_commands(&self, prefix: &str, count: usize) {
        loop {
            let mut changed = std::pin::pin!(self.shared.changed.notified());
            changed.as_mut().enable();
            if self.commands().iter().filter(|c| c.to_ascii_uppercase().starts_with(prefix)).count() >= count
            {
                return;
            }
            changed.await;
        }
    }

    /// Waits until it has taken this many messages.
    pub async fn wait_taken(&self, count: usize) -> Vec<Taken> {
        loop {
            let mut changed = std::pin::pin!(self.shared.changed.notified());
            changed.as_mut().enable();
            if lock(&self.shared.taken).len() >= count {
                return self.taken();
            }
            changed.await;
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn acceptor() -> TlsAcceptor {
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).expect("a certificate");
    let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).expect("a key");
    let config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("the default versions")
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)
        .expect("a key that fits");
    TlsAcceptor::from(Arc::new(config))
}

trait Wire: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Wire for T {}

/// One connection: its stream and the transaction that is going on.
struct Session {
    wire: BufReader<Box<dyn Wire>>,
    shared: Arc<Shared>,
    now: Taken,
}

/// What a step leads to.
enum Next {
    GoOn,
    StartTls,
    End,
}

async fn serve(stream: TcpStream, shared: Arc<Shared>) {
    let mut session = Session {
        wire: BufReader::new(Box::new(stream)),
        shared: Arc::clone(&shared),
        now: Taken::default(),
    };
    if !matches!(session.step("CONNECT", "220 test ESMTP").await, Some(true)) {
        return;
    }
    while let Some(line) = session.line().await {
        match session.command(&line).await {
            Some(Next::GoOn) => {}
            Some(Next::StartTls) => {
                let Ok(tls) = shared.tls.accept(session.wire.into_inner()).await else { return };
                let now = Taken { over_tls: true, ..Taken::default() };
                session = Session { wire: BufReader::new(Box::new(tls)), shared: Arc::clone(&shared), now };
            }
            Some(Next::End) | None => return,
        }
    }
}

impl Session {
    async fn line(&mut self) -> Option<String> {
        let mut line = Vec::new();
        self.wire.read_until(b'\n', &mut line).await.ok().filter(|n| *n > 0)?;
        Some(String::from_utf8_lossy(&line).trim_end_matches(['\r', '\n']).to_owned())
    }

    /// Reacts to a step; whether the answer was a 2xx or 3xx. `None`: the connection is over.
    async fn step(&mut self, command: &str, otherwise: &str) -> Option<bool> {
        lock(&self.shared.commands).push(command.to_owned());
        self.shared.changed.notify_waiters();
        let reaction = lock(&self.shared.rules).reaction(command);
        match reaction.unwrap_or_else(|| Reaction::Reply(otherwise.to_owned())) {
            Reaction::Reply(text) => {
                self.say(&text).await?;
                Some(text.starts_with(['2', '3']))
            }
            Reaction::ReplyAndClose(text) => {
                self.say(&text).await?;
                let _ = self.wire.get_mut().shutdown().await;
                None
            }
            Reaction::Close => None,
            Reaction::Silence => {
                while self.line().await.is_some() {}
                None
            }
        }
    }

    async fn say(&mut self, text: &str) -> Option<()> {
        let stream = self.wire.get_mut();
        stream.write_all(format!("{text}\r\n").as_bytes()).await.ok()?;
        stream.flush().await.ok()
    }

    async fn command(&mut self, line: &str) -> Option<Next> {
        let upper = line.to_ascii_uppercase();
        let verb = upper.split([' ', ':']).next().unwrap_or_default();
        match verb {
            "EHLO" => {
                let reply = self.greeting();
                self.step(line, &reply).await?;
            }
            "MAIL" => {
                if self.step(line, "250 2.1.0 ok").await? {
                    self.now.from = line.get(10..).unwrap_or_default().to_owned();
                    self.now.to.clear();
                }
            }
            "RCPT" => {
                if self.step(line, "250 2.1.5 ok").await? {
                    self.now.to.push(line.get(8..).unwrap_or_default().to_owned());
                }
            }
            "DATA" => {
                if self.step(line, "354 go on").await? {
                    self.content().await?;
                }
            }
            "STARTTLS" => {
                return Some(if self.step(line, "220 go on").await? { Next::StartTls } else { Next::GoOn });
            }
            "QUIT" => {
                self.step(line, "221 bye").await?;
                return Some(Next::End);
            }
            _ => {
                self.step(line, "250 ok").await?;
            }
        }
        Some(Next::GoOn)
    }

    fn greeting(&self) -> String {
        let rules = lock(&self.shared.rules);
        let mut lines = vec!["test".to_owned()];
        lines.extend(rules.extensions.iter().filter(|e| !(self.now.over_tls && *e == "STARTTLS")).cloned());
        let last = lines.len() - 1;
        let line = |(n, text)| format!("250{}{text}", if n == last { ' ' } else { '-' });
        lines.into_iter().enumerate().map(line).collect::<Vec<_>>().join("\r\n")
    }

    async fn content(&mut self) -> Option<()> {
        self.now.content.clear();
        loop {
            let mut line = Vec::new();
            self.wire.read_until(b'\n', &mut line).await.ok().filter(|n| *n > 0)?;
            if line == b".\r\n" {
                break;
            }
            self.now.content.extend_from_slice(line.strip_prefix(b".").unwrap_or(&line));
        }
        // Remembered before the answer: who has the answer may look.
        let taken = self.now.clone();
        let good = lock(&self.shared.rules)
            .steps
            .iter()
            .find(|(p, _)| p == "END")
            .and_then(|(_, r)| r.front().cloned());
        if good.is_none_or(|r| matches!(r, Reaction::Reply(text) if text.starts_with('2'))) {
            lock(&self.shared.taken).push(taken);
            self.shared.changed.notify_waiters();
        }
        self.step("END", "250 2.0.0 taken").await.map(|_| ())
    }
}
