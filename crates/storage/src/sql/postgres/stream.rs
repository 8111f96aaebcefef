//! Bytes to and from a server: by a socket of this host, by TCP, by TLS. Every wait has an end.

use super::address::Host;
use super::{Server, Tls};
use crate::sql::SqlError;
use bytes::BytesMut;
use postgres_protocol::message::backend::{Header, Message};
use postgres_protocol::message::frontend;
use rustix::net::{RecvFlags, recv};
use rustls::{ClientConnection, StreamOwned};
use rustls_pki_types::ServerName;
use std::io::{self, Read, Write};
use std::net::{TcpStream, ToSocketAddrs as _};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::time::Duration;

/// Longest message of a server: a row of ours is a few KB.
const MAX_MESSAGE: i32 = 64 << 20;
/// Bytes asked of the system at a time.
const CHUNK: usize = 16 << 10;
/// What the server says where TLS goes on.
const TLS_ACCEPTED: u8 = b'S';

/// An open way to a server.
pub(super) struct Stream {
    kind: Kind,
    input: BytesMut,
}

enum Kind {
    Socket(UnixStream),
    Tcp(TcpStream),
    Tls(Box<StreamOwned<ClientConnection, TcpStream>>),
}

impl Stream {
    /// Connects, with TLS where that is asked for.
    pub(super) fn open(host: &Host, server: &Server) -> io::Result<Self> {
        let kind = match host {
            Host::Socket(folder, port) => {
                Kind::Socket(UnixStream::connect(folder.join(format!(".s.PGSQL.{port}")))?)
            }
            Host::Tcp(name, port) => {
                let tcp = connect(name, *port, server.connect_timeout)?;
                tcp.set_nodelay(true)?;
                let live = rustix::net::sockopt::set_socket_keepalive(&tcp, true);
                live.and_then(|()| rustix::net::sockopt::set_tcp_keepidle(&tcp, KEEPALIVE))?;
                limit(&tcp, server.connect_timeout)?;
                match &server.tls {
                    Tls::Off => Kind::Tcp(tcp),
                    Tls::Verified(config) => Kind::Tls(Box::new(encrypt(tcp, name, config)?)),
                }
            }
        };
        let stream = Self { kind, input: BytesMut::with_capacity(CHUNK) };
        stream.limit(server.connect_timeout)?;
        Ok(stream)
    }

    /// From now on no single read or write waits longer.
    pub(super) fn limit(&self, wait: Duration) -> io::Result<()> {
        match &self.kind {
            Kind::Socket(s) => {
                s.set_read_timeout(Some(wait))?;
                s.set_write_timeout(Some(wait))
            }
            Kind::Tcp(s) => limit(s, wait),
            Kind::Tls(s) => limit(&s.sock, wait),
        }
    }

    /// Whether what is said stays between both ends, so that a password may be said.
    pub(super) fn is_private(&self) -> bool {
        match &self.kind {
            Kind::Socket(_) | Kind::Tls(_) => true,
            Kind::Tcp(tcp) => tcp.peer_addr().is_ok_and(|a| a.ip().is_loopback()),
        }
    }

    pub(super) fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        match &mut self.kind {
            Kind::Socket(s) => s.write_all(bytes),
            Kind::Tcp(s) => s.write_all(bytes),
            Kind::Tls(s) => s.write_all(bytes).and_then(|()| s.flush()),
        }
    }

    /// The next message of the server.
    pub(super) fn message(&mut self) -> io::Result<Message> {
        loop {
            if let Some(header) = Header::parse(&self.input)?
                && header.len() > MAX_MESSAGE
            {
                return Err(io::Error::new(io::ErrorKind::InvalidData, "the message has no end"));
            }
            if let Some(message) = Message::parse(&mut self.input)? {
                return Ok(message);
            }
            self.fill()?;
        }
    }

    fn fill(&mut self) -> io::Result<()> {
        let mut chunk = [0; CHUNK];
        let read = match &mut self.kind {
            Kind::Socket(s) => s.read(&mut chunk),
            Kind::Tcp(s) => s.read(&mut chunk),
            Kind::Tls(s) => s.read(&mut chunk),
        };
        match read {
            Ok(0) => Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(n) => {
                self.input.extend_from_slice(chunk.get(..n).unwrap_or_default());
                Ok(())
            }
            Err(e) if e.kind() == io::ErrorKind::Interrupted => Ok(()),
            Err(e) => Err(e),
        }
    }

    /// Whether the server has said nothing since the last answer: one that has ended says so, or closes.
    pub(super) fn is_quiet(&self) -> bool {
        let mut one = [0_u8; 1];
        let peeked = recv(self.as_fd(), &mut one, RecvFlags::PEEK | RecvFlags::DONTWAIT);
        self.input.is_empty() && peeked.is_err_and(|e| e == rustix::io::Errno::AGAIN)
    }
}

impl AsFd for Stream {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match &self.kind {
            Kind::Socket(s) => s.as_fd(),
            Kind::Tcp(s) => s.as_fd(),
            Kind::Tls(s) => s.sock.as_fd(),
        }
    }
}

/// After this much silence the system asks whether the other side is still there.
const KEEPALIVE: Duration = Duration::from_secs(30);

fn connect(name: &str, port: u16, wait: Duration) -> io::Result<TcpStream> {
    let mut last = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    for address in (name, port).to_socket_addrs()? {
        match TcpStream::connect_timeout(&address, wait) {
            Ok(stream) => return Ok(stream),
            Err(e) => last = e,
        }
    }
    Err(last)
}

fn limit(stream: &TcpStream, wait: Duration) -> io::Result<()> {
    stream.set_read_timeout(Some(wait))?;
    stream.set_write_timeout(Some(wait))
}

/// PostgreSQL 55.2.10: the client asks for TLS with a message of its own and hears one byte.
fn encrypt(
    mut tcp: TcpStream,
    name: &str,
    config: &Arc<rustls::ClientConfig>,
) -> io::Result<StreamOwned<ClientConnection, TcpStream>> {
    let mut request = BytesMut::new();
    frontend::ssl_request(&mut request);
    tcp.write_all(&request)?;
    let mut answer = [0];
    tcp.read_exact(&mut answer)?;
    if answer != [TLS_ACCEPTED] {
        return Err(io::Error::other("the server does not speak TLS"));
    }
    let name = ServerName::try_from(name.to_owned()).map_err(io::Error::other)?;
    let client = ClientConnection::new(Arc::clone(config), name).map_err(io::Error::other)?;
    let mut stream = StreamOwned::new(client, tcp);
    // The handshake happens now, so that its failure has a name.
    stream.conn.complete_io(&mut stream.sock)?;
    Ok(stream)
}

impl From<io::Error> for SqlError {
    fn from(error: io::Error) -> Self {
        Self::Unavailable(match error.kind() {
            io::ErrorKind::UnexpectedEof => "the server has closed the connection".into(),
            io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => "the server does not answer".into(),
            _ => error.to_string(),
        })
    }
}
