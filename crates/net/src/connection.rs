//! One connection: buffered both ways, with deadlines, in the clear or under TLS.
//!
//! An idle connection holds no buffer: [`Connection::fill`] allocates when bytes have arrived, and both buffers are let
//! go when they are empty. That is what makes thousands of idle sessions cheap.

use crate::tls_client::{Demand, Proven, TlsClient};
use bytes::{Buf, BytesMut};
use catalog::metrics::{RECEIVED_BYTES, SENT_BYTES};
use env::Env;
use env::metrics::Metrics;
use roles::directory::Transport;
use rustls_pki_types::UnixTime;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::server::TlsStream;

/// Bytes read at a time.
const READ_SIZE: usize = 16 << 10;
/// Waiting output past which [`Connection::flush_if_full`] writes.
pub const OUTPUT_SIZE: usize = 64 << 10;
/// How long a peer may take to take our output.
const WRITE_TIMEOUT: Duration = Duration::from_secs(300);
/// How long a TLS handshake may take.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(30);

/// Why a connection can no longer be used.
#[derive(Debug, thiserror::Error)]
pub enum Gone {
    /// The peer has closed it.
    #[error("the peer closed the connection")]
    Closed,
    /// The peer was silent, or did not take our output, for too long.
    #[error("the peer was silent for too long")]
    Timeout,
    /// The network or TLS said so.
    #[error("the connection failed: {0}")]
    Failed(#[from] io::Error),
}

/// Anything that carries bytes both ways.
pub trait Duplex: AsyncRead + AsyncWrite + Send + Sync + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Sync + Unpin> Duplex for T {}

enum Stream {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
    Other(Box<dyn Duplex>),
    /// While the stream is being changed; never seen from outside, except after a failed handshake.
    None,
}

/// One connection of a client.
pub struct Connection {
    stream: Stream,
    input: BytesMut,
    output: BytesMut,
    peer: SocketAddr,
    local: SocketAddr,
    /// Where its octets are counted, and under which server.
    counted: Option<(Metrics, &'static str)>,
}

impl Connection {
    /// Over an accepted socket.
    ///
    /// # Errors
    /// Where the socket is dead already.
    pub fn new(socket: TcpStream) -> io::Result<Self> {
        socket.set_nodelay(true)?;
        let (peer, local) = (socket.peer_addr()?, socket.local_addr()?);
        Ok(Self::with(Stream::Plain(socket), peer, local))
    }

    /// Over anything else that carries bytes: a pipe in memory, a Unix socket. It has the given addresses.
    pub fn over(duplex: impl Duplex + 'static, peer: SocketAddr, local: SocketAddr) -> Self {
        Self::with(Stream::Other(Box::new(duplex)), peer, local)
    }

    fn with(stream: Stream, peer: SocketAddr, local: SocketAddr) -> Self {
        Self { stream, input: BytesMut::new(), output: BytesMut::new(), peer, local, counted: None }
    }

    /// Counts its octets from here on, for the server whose surroundings these are.
    pub fn count_bytes(&mut self, env: &Env) {
        self.counted = Some((env.metrics.clone(), env.settings.server()));
    }

    /// The client's address.
    pub fn peer(&self) -> SocketAddr {
        self.peer
    }

    /// Our address.
    pub fn local(&self) -> SocketAddr {
        self.local
    }

    /// Whether it is under TLS.
    pub fn transport(&self) -> Transport {
        if matches!(self.stream, Stream::Tls(_)) { Transport::Tls } else { Transport::Plain }
    }

    /// Version and cipher suite, for the Received header: `TLSv1_3 TLS13_AES_256_GCM_SHA384`.
    pub fn tls_summary(&self) -> Option<String> {
        let Stream::Tls(tls) = &self.stream else { return None };
        let session = tls.get_ref().1;
        let version = session.protocol_version()?.as_str()?.to_owned();
        let suite = session.negotiated_cipher_suite()?.suite();
        Some(format!("{version} {}", suite.as_str()?))
    }

    /// What has been read and not been consumed.
    pub fn input(&mut self) -> &mut BytesMut {
        &mut self.input
    }

    /// What is to be written. Append, then [`Connection::flush`].
    pub fn output(&mut self) -> &mut BytesMut {
        &mut self.output
    }

    /// Both buffers at once, for a decoder that answers as it goes.
    pub fn buffers(&mut self) -> (&mut BytesMut, &mut BytesMut) {
        (&mut self.input, &mut self.output)
    }

    /// Waits for more input, at least one byte, at most this long. Dropping the future loses nothing.
    ///
    /// # Errors
    /// [`Gone`] where no more will come.
    pub async fn fill(&mut self, at_most: Duration) -> Result<usize, Gone> {
        tokio::time::timeout(at_most, self.read_some()).await.map_err(|_| Gone::Timeout)?
    }

    async fn read_some(&mut self) -> Result<usize, Gone> {
        let read = match &mut self.stream {
            Stream::Plain(socket) => loop {
                // The buffer is made only once there is something to put into it.
                socket.readable().await?;
                self.input.reserve(READ_SIZE);
                match socket.try_read_buf(&mut self.input) {
                    Err(e) if e.kind() == io::ErrorKind::WouldBlock => {
                        if self.input.is_empty() {
                            self.input = BytesMut::new();
                        }
                    }
                    other => break other?,
                }
            },
            Stream::Tls(tls) => read_into(tls, &mut self.input).await?,
            Stream::Other(other) => read_into(other, &mut self.input).await?,
            Stream::None => 0,
        };
        if let Some((metrics, server)) = &self.counted {
            metrics.add_as(RECEIVED_BYTES, &[server], read as u64);
        }
        if read == 0 { Err(Gone::Closed) } else { Ok(read) }
    }

    /// Writes all output.
    ///
    /// # Errors
    /// [`Gone`] where the peer does not take it.
    pub async fn flush(&mut self) -> Result<(), Gone> {
        if self.output.is_empty() {
            return Ok(());
        }
        tokio::time::timeout(WRITE_TIMEOUT, self.write_all()).await.map_err(|_| Gone::Timeout)?
    }

    async fn write_all(&mut self) -> Result<(), Gone> {
        let bytes = self.output.len() as u64;
        // A small answer nearly always fits into the socket at once.
        if let Stream::Plain(socket) = &self.stream {
            while !self.output.is_empty() {
                match socket.try_write(&self.output) {
                    Ok(written) => self.output.advance(written),
                    Err(e) if e.kind() == io::ErrorKind::WouldBlock => socket.writable().await?,
                    Err(e) => return Err(e.into()),
                }
            }
        } else {
            let mut stream: &mut dyn Duplex = match &mut self.stream {
                Stream::Tls(tls) => tls.as_mut(),
                Stream::Other(other) => other.as_mut(),
                Stream::Plain(_) | Stream::None => return Err(Gone::Closed),
            };
            AsyncWriteExt::write_all_buf(&mut stream, &mut self.output).await?;
            stream.flush().await?;
        }
        if let Some((metrics, server)) = &self.counted {
            metrics.add_as(SENT_BYTES, &[server], bytes);
        }
        self.release();
        Ok(())
    }

    /// Writes the output if there is a lot of it: call it between the pieces of a long answer.
    ///
    /// # Errors
    /// [`Gone`] where the peer does not take it.
    pub async fn flush_if_full(&mut self) -> Result<(), Gone> {
        if self.output.len() < OUTPUT_SIZE { Ok(()) } else { self.flush().await }
    }

    /// Lets empty buffers go.
    pub fn release(&mut self) {
        if self.input.is_empty() {
            self.input = BytesMut::new();
        }
        if self.output.is_empty() {
            self.output = BytesMut::new();
        }
    }

    /// Begins TLS as the server. What the client sent ahead in the clear is an attack (CVE-2011-0411): refused.
    ///
    /// # Errors
    /// [`Gone`] where the handshake fails; the connection is then of no more use.
    pub async fn start_tls(&mut self, config: Arc<ServerConfig>) -> Result<(), Gone> {
        if !self.input.is_empty() {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "plain text after STARTTLS").into());
        }
        let Stream::Plain(socket) = std::mem::replace(&mut self.stream, Stream::None) else {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "TLS is active already").into());
        };
        let handshake = tokio_rustls::TlsAcceptor::from(config).accept(socket);
        let tls = tokio::time::timeout(HANDSHAKE_TIMEOUT, handshake).await.map_err(|_| Gone::Timeout)??;
        self.stream = Stream::Tls(Box::new(tls));
        Ok(())
    }

    /// Turns an outgoing connection into TLS, as its client. Gives what was proven of the other side.
    ///
    /// # Errors
    /// As [`Connection::start_tls`]; the connection is of no further use then.
    pub async fn start_tls_client(
        &mut self,
        tls: &TlsClient,
        host: &str,
        demand: Demand,
        now: UnixTime,
    ) -> Result<Proven, Gone> {
        let Stream::Plain(socket) = std::mem::replace(&mut self.stream, Stream::None) else {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "TLS is active already").into());
        };
        let (stream, proven) = tls.connect(socket, host, demand, now, HANDSHAKE_TIMEOUT).await?;
        self.stream = Stream::Other(Box::new(stream));
        Ok(proven)
    }

    /// Writes what is left and says goodbye properly; errors no longer matter.
    pub async fn close(mut self) {
        let _ = self.flush().await;
        let _ = match &mut self.stream {
            Stream::Plain(socket) => socket.shutdown().await,
            Stream::Tls(tls) => tls.shutdown().await,
            Stream::Other(other) => other.shutdown().await,
            Stream::None => Ok(()),
        };
    }
}

/// Reads once. The room is given back if nothing came, so that a waiting session holds no buffer of ours.
async fn read_into(
    stream: &mut (impl AsyncRead + Unpin + ?Sized),
    input: &mut BytesMut,
) -> io::Result<usize> {
    // One byte first, into the stack: the buffer is made only once there is something to put into it.
    let mut first = [0u8; 1];
    let read = stream.read(&mut first).await?;
    if read == 0 {
        return Ok(0);
    }
    input.reserve(READ_SIZE);
    input.extend_from_slice(&first);
    let rest = std::future::poll_fn(|cx| {
        let mut room = [0u8; 4096];
        let mut buffer = tokio::io::ReadBuf::new(&mut room);
        match Pin::new(&mut *stream).poll_read(cx, &mut buffer) {
            std::task::Poll::Ready(Ok(())) => {
                input.extend_from_slice(buffer.filled());
                std::task::Poll::Ready(Ok(buffer.filled().len()))
            }
            std::task::Poll::Ready(Err(e)) => std::task::Poll::Ready(Err(e)),
            // Nothing more for now: what we have is enough. The waker is harmless.
            std::task::Poll::Pending => std::task::Poll::Ready(Ok(0)),
        }
    });
    Ok(read + rest.await?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::net::TcpListener;

    async fn pair() -> (Connection, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        (Connection::new(listener.accept().await.unwrap().0).unwrap(), client)
    }

    #[tokio::test]
    async fn an_idle_connection_holds_no_buffer() {
        let (mut connection, mut client) = pair().await;
        assert!(matches!(connection.fill(Duration::from_millis(20)).await, Err(Gone::Timeout)));
        assert_eq!(connection.input.capacity(), 0);
        client.write_all(b"NOOP\r\n").await.unwrap();
        assert_eq!(connection.fill(Duration::from_secs(5)).await.unwrap(), 6);
        connection.input().clear();
        connection.output().extend_from_slice(b"OK\r\n");
        connection.flush().await.unwrap();
        assert_eq!((connection.input.capacity(), connection.output.capacity()), (0, 0));
    }

    #[tokio::test]
    async fn the_end_is_told_apart_from_silence() {
        let (mut connection, client) = pair().await;
        drop(client);
        assert!(matches!(connection.fill(Duration::from_secs(5)).await, Err(Gone::Closed)));
    }

    #[tokio::test]
    async fn works_over_a_pipe_in_memory() {
        let (ours, mut theirs) = tokio::io::duplex(64);
        let address: SocketAddr = "127.0.0.1:1".parse().unwrap();
        let mut connection = Connection::over(ours, address, address);
        theirs.write_all(b"hello").await.unwrap();
        assert_eq!(connection.fill(Duration::from_secs(5)).await.unwrap(), 5);
        connection.output().extend_from_slice(b"world");
        connection.flush().await.unwrap();
        let mut answer = [0; 5];
        theirs.read_exact(&mut answer).await.unwrap();
        assert_eq!(&answer, b"world");
    }
}
