//! One client connection: buffered, with a time limit on every operation.
use std::io::{Error, ErrorKind, Result};
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// What a connection runs over; TLS can be put in here later.
pub(crate) trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Stream for T {}

pub(crate) struct Conn {
    inner: BufReader<Box<dyn Stream>>,
    limit: Duration,
}

pub(crate) fn bad(text: impl Into<String>) -> Error {
    Error::new(ErrorKind::InvalidData, text.into())
}

/// Only this machine is ever a target.
fn loopback(target: &str) -> Result<std::net::SocketAddr> {
    let target = if target.contains(':') { target.to_string() } else { format!("127.0.0.1:{target}") };
    let addr: std::net::SocketAddr = target.parse().map_err(|_| bad(format!("not an address: {target}")))?;
    if addr.ip().is_loopback() { Ok(addr) } else { Err(bad(format!("{addr} is not on loopback"))) }
}

impl Conn {
    /// `target` is a port, or address:port on loopback.
    pub(crate) async fn open(target: &str, limit: Duration) -> Result<Conn> {
        let addr = loopback(target)?;
        let tcp = timeout(limit, TcpStream::connect(addr)).await??;
        tcp.set_nodelay(true)?;
        Ok(Conn { inner: BufReader::with_capacity(16 * 1024, Box::new(tcp)), limit })
    }

    pub(crate) fn set_limit(&mut self, limit: Duration) {
        self.limit = limit;
    }

    pub(crate) async fn send(&mut self, bytes: &[u8]) -> Result<()> {
        timeout(self.limit, self.inner.get_mut().write_all(bytes)).await?
    }

    /// Appends one line, with its line end, to `out`.
    pub(crate) async fn line(&mut self, out: &mut Vec<u8>) -> Result<()> {
        let n = timeout(self.limit, self.inner.read_until(b'\n', out)).await??;
        if n == 0 || out.last() != Some(&b'\n') {
            return Err(Error::new(ErrorKind::UnexpectedEof, "connection closed"));
        }
        Ok(())
    }

    /// Appends exactly `n` bytes to `out`.
    pub(crate) async fn exact(&mut self, n: usize, out: &mut Vec<u8>) -> Result<()> {
        let at = out.len();
        out.resize(at + n, 0);
        timeout(self.limit, self.inner.read_exact(&mut out[at..])).await??;
        Ok(())
    }
}
