//! Who may connect: the access list, certificates of the site, limits for each peer. And the way out to a peer.
//!
//! A connection from an address that is not listed is closed before a byte is read; one without a certificate of the site
//! does not get past its handshake. Both are logged. What comes after that is HTTP/2, whose library ends a connection at
//! the first frame that is none, and nothing else.

use crate::identity::Identity;
use crate::pool::{Dial, Dialling};
use crate::serve::Dispatch;
use catalog::events::nio::{NioAcceptFail, NioConnNotAllowed};
use catalog::events::rme::{RmeBadCertificate, RmeProtoBadLength};
use env::Env;
use mail::network::Networks;
use rustls_pki_types::ServerName;
use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::{TlsAcceptor, TlsConnector};
use tonic::transport::Server;
use tonic::transport::server::Connected;

/// How long a peer may take to show who it is.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// Pause after a failed accept.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// Most connections from one address.
const CONNECTIONS_OF_PEER: usize = 256;
/// Most calls of one connection at the same time; every session that watches a mailbox is one.
const CALLS: u32 = 20_000;
/// Bytes that may be on their way for one call and for one connection.
const STREAM_WINDOW: u32 = 1 << 20;
const CONNECTION_WINDOW: u32 = 4 << 20;
/// An idle connection is tried this often.
const KEEP_ALIVE: Duration = Duration::from_secs(20);
/// Longest header of a call.
const HEADER: u32 = 16 << 10;

/// The address of a peer, as the log names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeerName(Arc<str>);

impl PeerName {
    /// A name for the log.
    pub fn new(name: &str) -> Self {
        Self(name.into())
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Addresses that may connect, as `rmeAccessList` has them.
pub type AccessList = Arc<dyn Fn() -> Arc<Networks> + Send + Sync>;

/// A port on which the roles of this host are asked.
pub struct Door {
    socket: TcpListener,
    identity: Arc<Identity>,
    access: AccessList,
    env: Env,
    inside: Arc<Mutex<HashMap<IpAddr, usize>>>,
}

impl Door {
    /// Binds.
    ///
    /// # Errors
    /// What the system said.
    pub fn bind(
        env: Env,
        address: SocketAddr,
        identity: Arc<Identity>,
        access: AccessList,
    ) -> io::Result<Self> {
        Self::over(env, std::net::TcpListener::bind(address)?, identity, access)
    }

    /// Over a socket that listens already.
    ///
    /// # Errors
    /// What the system said.
    pub fn over(
        env: Env,
        socket: std::net::TcpListener,
        identity: Arc<Identity>,
        access: AccessList,
    ) -> io::Result<Self> {
        socket.set_nonblocking(true)?;
        let socket = TcpListener::from_std(socket)?;
        Ok(Self { socket, identity, access, env, inside: Arc::default() })
    }

    /// Where it listens.
    ///
    /// # Errors
    /// What the system said.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }

    /// Accepts until the tasks are to end. Connections go on in tasks of their own, until then too.
    pub async fn run(self, dispatch: Dispatch) {
        let mut stopping = self.env.tasks.stopping();
        loop {
            let accepted = tokio::select! {
                () = stopping.wait() => return,
                accepted = self.socket.accept() => accepted,
            };
            match accepted {
                Ok((socket, peer)) => self.admit(socket, peer, &dispatch),
                Err(error) => {
                    self.env.log.emit(&NioAcceptFail { error });
                    self.env.clock.sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }

    fn admit(&self, socket: TcpStream, peer: SocketAddr, dispatch: &Dispatch) {
        let ip = peer.ip().to_canonical();
        let listed = (self.access)().contains(ip);
        let Some(pass) = Pass::take(&self.inside, ip).filter(|_| listed) else {
            let port = self.address().map_or(0, |a| a.port());
            self.env.log.emit(&NioConnNotAllowed { peer: ip, port, key: "rmeAccessList" });
            return;
        };
        let (env, identity, dispatch) = (self.env.clone(), Arc::clone(&self.identity), dispatch.clone());
        self.env.tasks.spawn(async move {
            let _pass = pass;
            let _ = socket.set_nodelay(true);
            let acceptor = TlsAcceptor::from(identity.sides().server);
            let shaken = tokio::time::timeout(HANDSHAKE, acceptor.accept(socket)).await;
            match shaken.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into())) {
                Ok(stream) => serve(&env, stream, &ip.to_string(), dispatch).await,
                Err(reason) => env.log.emit(&RmeBadCertificate { peer: ip, reason }),
            }
        });
    }
}

/// One of the connections of an address.
struct Pass(Arc<Mutex<HashMap<IpAddr, usize>>>, IpAddr);

impl Pass {
    fn take(inside: &Arc<Mutex<HashMap<IpAddr, usize>>>, ip: IpAddr) -> Option<Self> {
        let mut held = inside.lock().unwrap_or_else(PoisonError::into_inner);
        let count = held.entry(ip).or_default();
        *count += 1;
        let fits = *count <= CONNECTIONS_OF_PEER;
        drop(held);
        // Counted out by its drop, also where it does not fit.
        let pass = Self(Arc::clone(inside), ip);
        fits.then_some(pass)
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        let mut held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = held.get_mut(&self.1) {
            *count -= 1;
            if *count == 0 {
                held.remove(&self.1);
            }
        }
    }
}

/// Serves one connection to its end, or until the tasks are to end.
pub async fn serve(
    env: &Env,
    stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
    peer: &str,
    dispatch: Dispatch,
) {
    let mut stopping = env.tasks.stopping();
    let (ended, end) = tokio::sync::oneshot::channel::<()>();
    let stream = Named { stream, name: PeerName::new(peer), ended: Some(ended) };
    let incoming = futures_util::stream::iter([Ok::<_, io::Error>(stream)]);
    let incoming = futures_util::StreamExt::chain(incoming, futures_util::stream::pending());
    let served = Server::builder()
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_concurrent_streams(CALLS)
        .http2_keepalive_interval(Some(KEEP_ALIVE))
        .http2_max_header_list_size(HEADER)
        .serve_with_incoming_shutdown(dispatch, incoming, async move {
            tokio::select! {
                () = stopping.wait() => {}
                _ = end => {}
            }
        });
    if let Err(error) = served.await {
        env.log.emit(&RmeProtoBadLength { peer, reason: error });
    }
}

/// A connection with the name of its peer; says when it has ended.
struct Named<S> {
    stream: S,
    name: PeerName,
    #[expect(dead_code, reason = "held for its drop, which ends the serving of this connection")]
    ended: Option<tokio::sync::oneshot::Sender<()>>,
}

impl<S> Connected for Named<S> {
    type ConnectInfo = PeerName;

    fn connect_info(&self) -> PeerName {
        self.name.clone()
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Named<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Named<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}

/// The way to a peer: its address, the name that its certificate must have, our own identity.
pub struct Outgoing {
    address: String,
    port: u16,
    name: ServerName<'static>,
    identity: Arc<Identity>,
}

impl Outgoing {
    /// To `host:port` (or an address and a port), where a host of this logical name must answer.
    ///
    /// # Errors
    /// A name that cannot stand in a certificate.
    pub fn new(address: String, port: u16, name: &str, identity: Arc<Identity>) -> io::Result<Self> {
        let name = ServerName::try_from(name.to_owned());
        let name = name.map_err(|_| io::Error::from(io::ErrorKind::InvalidInput))?;
        Ok(Self { address, port, name, identity })
    }
}

impl Dial for Outgoing {
    fn dial(&self) -> Dialling {
        let (to, name) = ((self.address.clone(), self.port), self.name.clone());
        let connector = TlsConnector::from(self.identity.sides().client);
        Box::pin(async move {
            let socket = TcpStream::connect(to).await?;
            socket.set_nodelay(true)?;
            Ok(Box::new(connector.connect(name, socket).await?) as Box<dyn crate::pool::Io>)
        })
    }

    fn port(&self) -> u16 {
        self.port
    }
}
