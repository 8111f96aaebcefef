//! Sessions over a pipe in memory and over sockets, with a directory and a store that do as they are told.

mod doubles;

use super::*;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use catalog::tree::Tree;
use doubles::{NAME, OneAccount, OneMailbox, PASSWORD};
use mail::secret::Secret;
use net::listener::Listener;
use roles::Body;
use roles::directory::{DirectoryError, ScramKeys, Transport};
use roles::store::StoreError;
use std::time::Duration;
use tokio::io::{
    AsyncBufReadExt as _, AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, BufReader,
};
use tokio::net::TcpStream;
use tokio_rustls::rustls;

/// A server, what is behind it, and its log.
struct Site {
    pop: Arc<Pop>,
    env: Env,
    store: Arc<OneMailbox>,
    directory: Arc<OneAccount>,
}

impl Site {
    fn new(messages: &[&str]) -> Self {
        Self::with(messages, OneAccount::default(), None)
    }

    fn with(messages: &[&str], directory: OneAccount, tls: Option<Arc<ServerTls>>) -> Self {
        let env = Env::for_test("popserv");
        env.settings.replace(Tree::parse("/*/common/badPasswordDelay: [0]\n").unwrap());
        let (store, directory) = (Arc::new(OneMailbox::with(messages)), Arc::new(directory));
        let parts = Parts {
            directory: directory.clone(),
            stores: Arc::new(roles::store::OneStore(store.clone())),
            tls,
        };
        Self { pop: Pop::new(env.clone(), parts), env, store, directory }
    }

    fn keys(&self, keys: &str) {
        self.env.settings.replace(Tree::parse(keys).unwrap());
    }

    /// A client from this address over a pipe, after the greeting.
    async fn client_from(&self, peer: &str) -> Client {
        let (ours, theirs) = tokio::io::duplex(1 << 20);
        let local = "192.0.2.1:110".parse().unwrap();
        let connection = Connection::over(ours, format!("{peer}:999").parse().unwrap(), local);
        let pop = self.pop.clone();
        self.env.tasks.spawn(async move { pop.serve(connection).await });
        let mut client = Client::over(theirs);
        client.greeting = client.line().await;
        client
    }

    async fn client(&self) -> Client {
        self.client_from("127.0.0.1").await
    }

    async fn logged_in(&self) -> Client {
        let mut client = self.client().await;
        client.ask(&format!("USER {NAME}")).await;
        let welcome = client.ask(&format!("PASS {PASSWORD}")).await;
        assert_eq!(welcome, format!("+OK {NAME} is welcome here"));
        client
    }

    /// Waits until all sessions are over.
    async fn end(&self) {
        for _ in 0..1000 {
            if self.env.tasks.running() == 0 {
                return;
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        panic!("a session does not end");
    }

    fn has_logged(&self, text: &str) -> bool {
        self.env.log.lines().iter().any(|line| line.contains(text))
    }
}

trait Pipe: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Pipe for T {}

struct Client {
    stream: BufReader<Box<dyn Pipe>>,
    greeting: String,
}

impl Client {
    /// Before its greeting.
    fn over(pipe: impl Pipe + 'static) -> Self {
        Self { stream: BufReader::new(Box::new(pipe)), greeting: String::new() }
    }

    async fn send(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).await.unwrap();
    }

    /// The next line without its end; empty where the server has closed.
    async fn line(&mut self) -> String {
        let mut line = Vec::new();
        let read = self.stream.read_until(b'\n', &mut line);
        tokio::time::timeout(Duration::from_secs(10), read).await.expect("an answer").unwrap();
        assert!(line.is_empty() || line.ends_with(b"\r\n"), "{line:?}");
        String::from_utf8(line).unwrap().trim_end().to_owned()
    }

    async fn ask(&mut self, command: &str) -> String {
        self.send(format!("{command}\r\n").as_bytes()).await;
        self.line().await
    }

    /// First line and the lines up to the dot.
    async fn ask_list(&mut self, command: &str) -> (String, Vec<String>) {
        let (first, mut lines) = (self.ask(command).await, Vec::new());
        loop {
            match self.line().await {
                dot if dot == "." => return (first, lines),
                line => lines.push(line),
            }
        }
    }

    async fn is_closed(&mut self) -> bool {
        self.line().await.is_empty()
    }
}

const ONE: &str = "Subject: one\r\n\r\n.dot\r\nsecond\r\n";

#[tokio::test]
async fn a_mailbox_is_listed_and_read() {
    let site = Site::new(&[ONE, "x\r\n", "Subject: three\r\n\r\nno end"]);
    let mut client = site.logged_in().await;
    assert_eq!(client.greeting, "+OK InterMail POP3 server ready.");
    assert_eq!(client.ask("STAT").await, "+OK 3 57");
    assert_eq!(
        client.ask_list("LIST").await,
        ("+OK 3 messages".into(), vec!["1 30".into(), "2 3".into(), "3 24".into()])
    );
    assert_eq!(client.ask("LIST 2").await, "+OK 2 3");
    let ids = client.ask_list("UIDL").await.1;
    assert_eq!(ids, ["1 00000abc0000000a", "2 00000abc00000014", "3 00000abc0000001e"]);
    assert_eq!(client.ask("UIDL 3").await, "+OK 3 00000abc0000001e");
    let (first, lines) = client.ask_list("RETR 1").await;
    assert_eq!((first.as_str(), lines.join("|").as_str()), ("+OK 30 octets", "Subject: one||..dot|second"));
    assert_eq!(client.ask_list("TOP 1 1").await.1, ["Subject: one", "", "..dot"]);
    assert_eq!(client.ask_list("RETR 3").await.1, ["Subject: three", "", "no end"]);
    for command in ["RETR 4", "LIST 9", "UIDL 4", "DELE 4", "TOP 4 1"] {
        assert_eq!(client.ask(command).await, "-ERR no such message");
    }
    assert_eq!(client.ask("QUIT").await, "+OK InterMail POP3 server signing off.");
    assert!(client.is_closed().await);
    site.end().await;
    assert_eq!(site.store.left(), (3, None));
    assert!(site.has_logged("PopSessionEnd") && site.has_logged("reason=quit retrieved=2 deleted=0"));
}

#[tokio::test]
async fn removal_waits_for_quit_and_can_be_taken_back() {
    let site = Site::new(&["a\r\n", "b\r\n", "c\r\n"]);
    let mut client = site.logged_in().await;
    client.ask("DELE 1").await;
    client.ask("DELE 2").await;
    assert_eq!(client.ask("DELE 2").await, "-ERR no such message");
    assert_eq!(client.ask("STAT").await, "+OK 1 3");
    assert_eq!(client.ask("RETR 1").await, "-ERR no such message");
    assert_eq!(client.ask("RSET").await, "+OK 3 messages");
    client.ask("DELE 3").await;
    // The connection breaks: nothing is removed, the lock is free.
    drop(client);
    site.end().await;
    assert_eq!(site.store.left(), (3, None));
    let mut client = site.logged_in().await;
    client.ask("DELE 3").await;
    assert!(client.ask("QUIT").await.starts_with("+OK"));
    site.end().await;
    assert_eq!(site.store.inside().messages.keys().copied().collect::<Vec<_>>(), [10, 20]);
}

#[tokio::test]
async fn one_session_a_mailbox_even_an_empty_one() {
    let site = Site::new(&[]);
    let mut first = site.logged_in().await;
    assert_eq!(first.ask("STAT").await, "+OK 0 0");
    let mut second = site.client().await;
    second.ask(&format!("USER {NAME}")).await;
    let answer = second.ask(&format!("PASS {PASSWORD}")).await;
    assert_eq!(answer, "-ERR [IN-USE] the mailbox is in use by another session");
    first.ask("QUIT").await;
    assert!(first.is_closed().await);
    second.ask(&format!("USER {NAME}")).await;
    assert!(second.ask(&format!("PASS {PASSWORD}")).await.starts_with("+OK"));
}

#[tokio::test]
async fn commands_that_arrive_together_are_answered_in_order() {
    let site = Site::new(&["a\r\n"]);
    let mut client = site.client().await;
    let all =
        format!("USER {NAME}\r\nPASS {PASSWORD}\r\nSTAT\r\nBOGUS\r\nRETR 1\r\nNOOP\r\nQUIT\r\nSTAT\r\n");
    client.send(all.as_bytes()).await;
    let mut answer = String::new();
    client.stream.read_to_string(&mut answer).await.unwrap();
    let expected = format!(
        "+OK please send PASS command\r\n+OK {NAME} is welcome here\r\n+OK 1 3\r\n-ERR unknown command\r\n\
         +OK 3 octets\r\na\r\n.\r\n+OK nothing done\r\n+OK InterMail POP3 server signing off.\r\n"
    );
    assert_eq!(answer, expected);
}

#[tokio::test]
async fn lines_that_are_none_are_told_and_the_session_goes_on() {
    let site = Site::new(&[]);
    let mut client = site.client().await;
    assert_eq!(client.ask(&"x".repeat(10_000)).await, "-ERR the line is too long");
    client.send(b"NOOP\n").await;
    assert_eq!(client.line().await, "-ERR a line must end in CR LF");
    assert_eq!(client.ask("NO\0OP").await, "-ERR a control character stands within the line");
    assert_eq!(client.ask("STAT").await, "-ERR log in first");
    assert_eq!(client.ask("PASS x").await, "-ERR please send USER first");
    assert!(client.ask("QUIT").await.starts_with("+OK"));
}

#[tokio::test]
async fn wrong_passwords_are_counted_and_end_the_connection() {
    let site = Site::new(&[]);
    let mut client = site.client().await;
    for _ in 0..5 {
        client.ask(&format!("USER {NAME}")).await;
        assert_eq!(client.ask("PASS wrong").await, "-ERR [AUTH] the name or the password is wrong");
    }
    assert!(client.is_closed().await);
    site.end().await;
    assert!(site.has_logged("reason=badLogins"));
}

#[tokio::test]
async fn errors_of_the_directory_and_the_store_have_their_codes() {
    let site = Site::new(&["a\r\n"]);
    let cases = [
        (DirectoryError::NotAllowed("POP".into()), "-ERR [SYS/PERM]"),
        (DirectoryError::NotActive, "-ERR [SYS/PERM]"),
        (DirectoryError::Maintenance, "-ERR [SYS/TEMP]"),
        (DirectoryError::Busy, "-ERR [SYS/TEMP]"),
        (DirectoryError::Unavailable, "-ERR [SYS/TEMP]"),
    ];
    let mut client = site.client().await;
    for (error, expected) in cases {
        *site.directory.error.lock().unwrap() = Some(error);
        client.ask(&format!("USER {NAME}")).await;
        let answer = client.ask("PASS x").await;
        assert!(answer.starts_with(expected), "{answer}");
    }
    *site.directory.error.lock().unwrap() = None;
    site.store.inside().error = Some(StoreError::Unavailable);
    client.ask(&format!("USER {NAME}")).await;
    assert!(client.ask(&format!("PASS {PASSWORD}")).await.starts_with("-ERR [SYS/TEMP]"));
    assert_eq!(site.store.inside().holder, None, "no lock is left behind");
    site.store.inside().error = None;
    drop(client);
    let mut client = site.logged_in().await;
    client.ask("DELE 1").await;
    site.store.inside().error = Some(StoreError::NoSpace);
    assert!(client.ask("LIST").await.starts_with("+OK"));
    client.line().await;
    assert!(client.ask("QUIT").await.starts_with("-ERR [SYS/TEMP]"));
    site.end().await;
    assert_eq!(site.store.inside().messages.len(), 1);
}

#[tokio::test]
async fn a_mailbox_that_nothing_was_delivered_to_is_read_as_empty_also_where_none_can_be_made() {
    let site = Site::new(&[]);
    site.store.inside().exists = false;
    let mut client = site.logged_in().await;
    assert_eq!(client.ask("STAT").await, "+OK 0 0");
    assert!(client.ask("QUIT").await.starts_with("+OK"));
}

#[tokio::test]
async fn passwords_in_the_clear_are_taken_on_the_host_itself_only() {
    let site = Site::new(&[]);
    let mut far = site.client_from("198.51.100.9").await;
    for command in [&format!("USER {NAME}"), "AUTH PLAIN", "AUTH LOGIN"] {
        assert!(far.ask(command).await.starts_with("-ERR a password needs TLS"), "{command}");
    }
    let capabilities = far.ask_list("CAPA").await.1;
    assert!(capabilities.contains(&"SASL SCRAM-SHA-256".into()) && !capabilities.contains(&"USER".into()));
    assert_eq!(far.ask_list("AUTH").await.1, ["SCRAM-SHA-256"]);
    site.keys("/*/popserv/plainTextLogin: [always]\n");
    assert!(far.ask(&format!("USER {NAME}")).await.starts_with("+OK"));
    let here = site.client().await.ask_list("CAPA").await.1;
    for expected in ["TOP", "UIDL", "PIPELINING", "RESP-CODES", "AUTH-RESP-CODE", "EXPIRE NEVER", "USER"] {
        assert!(here.contains(&expected.to_owned()), "{expected}");
    }
    assert!(here.contains(&"SASL SCRAM-SHA-256 PLAIN LOGIN".to_owned()));
}

#[tokio::test]
async fn sasl_with_passwords() {
    let site = Site::new(&[]);
    let mut client = site.client().await;
    let plain = STANDARD.encode(format!("\0{NAME}\0{PASSWORD}"));
    assert_eq!(client.ask("AUTH PLAIN").await, "+");
    assert_eq!(client.ask("*").await, "-ERR authentication cancelled");
    client.ask("AUTH PLAIN").await;
    assert_eq!(client.ask("!").await, "-ERR the response is not base64");
    assert!(client.ask(&format!("AUTH PLAIN {plain}")).await.starts_with("+OK"));
    assert_eq!(client.ask("AUTH PLAIN").await, "-ERR you are logged in already");
    client.ask("QUIT").await;
    site.end().await;
    let mut client = site.client().await;
    assert_eq!(client.ask("AUTH LOGIN").await, "+ VXNlcm5hbWU6");
    assert_eq!(client.ask(&STANDARD.encode(NAME)).await, "+ UGFzc3dvcmQ6");
    assert!(client.ask(&STANDARD.encode(PASSWORD)).await.starts_with("+OK"));
    let last = site.directory.last.lock().unwrap().clone().unwrap();
    assert_eq!((last.name.as_str(), last.origin.transport), (NAME, Transport::Plain));
    assert_eq!(last.origin.local.to_string(), "192.0.2.1", "what chooses the default domain");
}

#[tokio::test]
async fn a_wrong_scram_proof_counts_as_a_wrong_password() {
    let keys = ScramKeys {
        salt: b"salt".to_vec(),
        iterations: 4096,
        stored_key: vec![1; 32],
        server_key: Secret::new([2; 32]),
    };
    let site = Site::with(&[], OneAccount { keys: Some(keys), ..OneAccount::default() }, None);
    let mut client = site.client_from("198.51.100.9").await;
    let first = client.ask(&format!("AUTH SCRAM-SHA-256 {}", STANDARD.encode("n,,n=joe,r=abc"))).await;
    let challenge = STANDARD.decode(first.strip_prefix("+ ").unwrap()).unwrap();
    let challenge = String::from_utf8(challenge).unwrap();
    assert!(challenge.starts_with("r=abc") && challenge.ends_with(",s=c2FsdA==,i=4096"), "{challenge}");
    let nonce = challenge.split(',').next().unwrap();
    let proof = format!("c=biws,{nonce},p={}", STANDARD.encode([0; 32]));
    let answer = client.ask(&STANDARD.encode(proof)).await;
    assert_eq!(answer, "-ERR [AUTH] the name or the password is wrong");
    assert!(client.ask("QUIT").await.starts_with("+OK"));
}

#[tokio::test]
async fn one_session_more_than_allowed_is_told_and_logged() {
    let site = Site::new(&[]);
    site.keys("/*/popserv/maxSessions: [2]\n");
    let (first, _second) = (site.client().await, site.client().await);
    let mut third = site.client().await;
    assert_eq!(third.greeting, "-ERR [SYS/TEMP] too many sessions, try again later");
    assert!(third.is_closed().await && site.has_logged("PopMaxSessions limit=2 peer=127.0.0.1"));
    drop(first);
    for _ in 0..1000 {
        if site.pop.sessions() == 1 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    assert!(site.client().await.greeting.starts_with("+OK"));
}

#[tokio::test]
async fn clients_that_are_not_listed_are_refused() {
    let site = Site::new(&[]);
    site.keys("/*/popserv/allowedIPs: [10.0.0.0/8]\n");
    let count = Count { from_peer: 1, in_all: 1 };
    assert!(site.pop.admit("10.1.2.3".parse().unwrap(), count).is_ok());
    let refusal = site.pop.admit("192.0.2.9".parse().unwrap(), count).unwrap_err();
    assert!(
        refusal.starts_with(b"-ERR [SYS/PERM]") && site.has_logged("PopConnectionNotAllowed peer=192.0.2.9")
    );
}

#[tokio::test]
async fn a_banner_is_the_operators() {
    let site = Site::new(&[]);
    site.keys("/*/popserv/banners: [Mail of Example]\n");
    assert_eq!(site.client().await.greeting, "+OK Mail of Example");
}

#[tokio::test(start_paused = true)]
async fn silence_ends_a_session_and_a_long_one_keeps_its_lock() {
    let site = Site::new(&[]);
    let mut client = site.logged_in().await;
    tokio::time::sleep(Duration::from_secs(1700)).await;
    assert!(client.ask("NOOP").await.starts_with("+OK"));
    tokio::time::sleep(Duration::from_secs(300)).await;
    // Somebody took the lock behind our back: the next renewal says so.
    site.store.inside().holder = Some(mail::id::RequestId(99));
    tokio::time::sleep(Duration::from_secs(300)).await;
    assert!(client.is_closed().await);
    site.end().await;
    assert!(site.has_logged("reason=lockLost"));
    assert_eq!(site.store.inside().holder, Some(mail::id::RequestId(99)));
    let mut silent = site.client().await;
    tokio::time::sleep(Duration::from_secs(1801)).await;
    assert!(silent.is_closed().await);
    site.end().await;
    assert!(site.has_logged("reason=timeout"));
}

#[tokio::test]
async fn the_end_of_the_process_ends_sessions_and_removes_nothing() {
    let site = Site::new(&["a\r\n"]);
    let mut client = site.logged_in().await;
    client.ask("DELE 1").await;
    assert_eq!(site.env.tasks.drain(Duration::from_secs(5)).await, 0);
    assert!(client.is_closed().await);
    assert_eq!(site.store.left(), (1, None));
}

#[tokio::test]
async fn a_large_message_passes_in_pieces() {
    let site = Site::new(&[]);
    let line = format!(".{}\r\n", "x".repeat(70));
    let message = format!("Subject: large\r\n\r\n{}", line.repeat(30_000));
    site.store.inside().messages.insert(5, Body::from_bytes(message.clone()));
    let mut client = site.logged_in().await;
    let (first, lines) = client.ask_list("RETR 1").await;
    assert_eq!(first, format!("+OK {} octets", message.len()));
    let undone: Vec<&str> = lines.iter().map(|l| l.strip_prefix('.').unwrap_or(l)).collect();
    assert!(undone.join("\r\n") + "\r\n" == message);
    assert_eq!(client.ask_list("TOP 1 20000").await.1.len(), 20_002);
}

#[tokio::test]
async fn stls_begins_anew_and_plain_text_on_the_tls_port_harms_nobody() {
    let folder = tempfile::tempdir().unwrap();
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let file = folder.path().join("cert.pem");
    std::fs::write(&file, format!("{}{}", made.cert.pem(), made.signing_key.serialize_pem())).unwrap();
    let tls = Arc::new(ServerTls::load(&file).unwrap());
    let site = Site::with(&[], OneAccount::default(), Some(tls.clone()));
    site.keys("/*/popserv/plainTextLogin: [never]\n");
    let any = || "127.0.0.1:0".parse().unwrap();
    let (plain, secure) = (Listener::bind(any(), None).unwrap(), Listener::bind(any(), Some(tls)).unwrap());
    let (plain_at, secure_at) = (plain.address().unwrap(), secure.address().unwrap());
    site.env.tasks.spawn(plain.run(site.env.clone(), site.pop.clone()));
    site.env.tasks.spawn(secure.run(site.env.clone(), site.pop.clone()));
    let mut lost = TcpStream::connect(secure_at).await.unwrap();
    lost.write_all(b"USER joe\r\n").await.unwrap();
    let mut alert = Vec::new();
    let _ = lost.read_to_end(&mut alert).await;
    assert!(!alert.starts_with(b"+OK"));

    let mut roots = rustls::RootCertStore::empty();
    roots.add(made.cert.der().clone()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let config = Arc::new(config.unwrap().with_root_certificates(roots).with_no_client_auth());
    let mut socket = TcpStream::connect(plain_at).await.unwrap();
    let mut line = [0; 4096];
    let read = socket.read(&mut line).await.unwrap();
    assert!(line[..read].starts_with(b"+OK"));
    socket.write_all(b"STLS\r\n").await.unwrap();
    let read = socket.read(&mut line).await.unwrap();
    assert!(line[..read].starts_with(b"+OK begin TLS"));
    let name = rustls::pki_types::ServerName::try_from("localhost").unwrap();
    let stream = tokio_rustls::TlsConnector::from(config).connect(name, socket).await.unwrap();
    let mut client = Client::over(stream);
    let capabilities = client.ask_list("CAPA").await.1;
    assert!(capabilities.contains(&"USER".into()) && !capabilities.contains(&"STLS".into()));
    assert_eq!(client.ask("STLS").await, "-ERR TLS is active already");
    client.ask(&format!("USER {NAME}")).await;
    assert!(client.ask(&format!("PASS {PASSWORD}")).await.starts_with("+OK"));
    let last = site.directory.last.lock().unwrap().clone().unwrap();
    assert_eq!(last.origin.transport, Transport::Tls);
}

/// Thousands of idle sessions are cheap only while the future of one is small.
#[tokio::test]
async fn an_idle_session_is_small() {
    let site = Site::new(&[]);
    let (ours, _theirs) = tokio::io::duplex(64);
    let address = "127.0.0.1:1".parse().unwrap();
    let session = site.pop.serve_one(Connection::over(ours, address, address));
    let size = std::mem::size_of_val(&session);
    assert!(size < 4096, "{size} bytes");
}
