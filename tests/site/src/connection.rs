//! A connection that waits for what must come, with a deadline: bytes, lines, the end.

use anyhow::{Context as _, Result, bail};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, ClientConnection, DigitallySignedStruct, SignatureScheme, StreamOwned};
use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

/// How long an answer may take. Generous: the machine may be busy.
pub const PATIENCE: Duration = Duration::from_secs(30);
/// Longest line that is read.
const MAX_LINE: usize = 16 << 20;

/// A connection to a port of the loopback network.
pub struct Connection {
    stream: Stream,
    buffer: Vec<u8>,
    at: usize,
}

enum Stream {
    Plain(TcpStream),
    Tls(Box<StreamOwned<ClientConnection, TcpStream>>),
    /// Between the two, and after a handshake that failed.
    None,
}

impl Connection {
    /// Connects to a port of 127.0.0.1.
    ///
    /// # Errors
    /// Where nobody listens.
    pub fn open(port: u16) -> Result<Self> {
        Self::open_at(Ipv4Addr::LOCALHOST, port)
    }

    /// Connects to a port of another address of this machine.
    ///
    /// # Errors
    /// Where nobody listens.
    pub fn open_at(address: Ipv4Addr, port: u16) -> Result<Self> {
        let at = SocketAddr::from((address, port));
        let stream =
            TcpStream::connect_timeout(&at, PATIENCE).with_context(|| format!("cannot connect to {at}"))?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        stream.set_nodelay(true)?;
        Ok(Self { stream: Stream::Plain(stream), buffer: Vec::new(), at: 0 })
    }

    /// Speaks TLS from here on, with whatever certificate the other side shows.
    ///
    /// # Errors
    /// Where bytes in clear are left unread, which nobody could tell from an attack, or the handshake fails.
    pub fn start_tls(&mut self) -> Result<()> {
        if self.at < self.buffer.len() {
            bail!("something was sent in clear after the answer to STARTTLS");
        }
        let Stream::Plain(tcp) = std::mem::replace(&mut self.stream, Stream::None) else {
            bail!("TLS is spoken already");
        };
        let name = ServerName::try_from("localhost")?;
        let mut tls = StreamOwned::new(ClientConnection::new(Arc::new(trusting()?), name)?, tcp);
        while tls.conn.is_handshaking() {
            tls.conn.complete_io(&mut tls.sock).context("the TLS handshake failed")?;
        }
        self.stream = Stream::Tls(Box::new(tls));
        Ok(())
    }

    /// Sends bytes.
    ///
    /// # Errors
    /// Where the other side has closed or does not take them in time.
    pub fn send(&mut self, bytes: &[u8]) -> Result<()> {
        match &mut self.stream {
            Stream::Plain(stream) => stream.write_all(bytes)?,
            Stream::Tls(stream) => {
                stream.write_all(bytes)?;
                stream.flush()?;
            }
            Stream::None => bail!("there is no connection"),
        }
        Ok(())
    }

    /// Sends a line with its CRLF.
    ///
    /// # Errors
    /// As [`Connection::send`].
    pub fn send_line(&mut self, line: &str) -> Result<()> {
        self.send(format!("{line}\r\n").as_bytes())
    }

    /// The next line without its CRLF.
    ///
    /// # Errors
    /// Where it does not come in time, is too long, or ends otherwise than by CRLF.
    pub fn line(&mut self) -> Result<String> {
        let bytes = self.line_bytes()?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// The next line without its CRLF, as bytes.
    ///
    /// # Errors
    /// As [`Connection::line`].
    pub fn line_bytes(&mut self) -> Result<Vec<u8>> {
        let mut searched = self.at;
        loop {
            if let Some(found) = self.buffer[searched..].iter().position(|b| *b == b'\n') {
                let end = searched + found;
                let line = self.buffer[self.at..end].to_vec();
                self.at = end + 1;
                return match line.strip_suffix(b"\r") {
                    Some(line) => Ok(line.to_vec()),
                    None => bail!("a line ends without CR: {:?}", String::from_utf8_lossy(&line)),
                };
            }
            searched = self.buffer.len();
            if searched - self.at > MAX_LINE {
                bail!("a line is longer than {MAX_LINE} bytes");
            }
            let before = self.at;
            if self.fill()? == 0 {
                let rest = String::from_utf8_lossy(&self.buffer[self.at..]).into_owned();
                bail!("the connection was closed where a line was expected, after {rest:?}");
            }
            searched -= before - self.at;
        }
    }

    /// Exactly so many bytes.
    ///
    /// # Errors
    /// Where they do not come in time.
    pub fn exactly(&mut self, count: usize) -> Result<Vec<u8>> {
        while self.buffer.len() - self.at < count {
            if self.fill()? == 0 {
                bail!("the connection was closed {} bytes early", count - (self.buffer.len() - self.at));
            }
        }
        let bytes = self.buffer[self.at..self.at + count].to_vec();
        self.at += count;
        Ok(bytes)
    }

    /// Reads until the other side closes, and returns what it still said.
    ///
    /// # Errors
    /// Where it does not close in time.
    pub fn until_closed(&mut self) -> Result<String> {
        while self.fill()? > 0 {}
        let rest = String::from_utf8_lossy(&self.buffer[self.at..]).into_owned();
        self.at = self.buffer.len();
        Ok(rest)
    }

    /// The next line, or nothing where the other side closes without another word.
    ///
    /// # Errors
    /// Where it does neither in time.
    pub fn line_or_end(&mut self) -> Result<String> {
        while !self.buffer[self.at..].contains(&b'\n') {
            if self.fill()? == 0 {
                return self.until_closed();
            }
        }
        self.line()
    }

    /// Reads once; 0 is the end. A reset is an end too: the other side had bytes of ours left to read.
    fn fill(&mut self) -> Result<usize> {
        self.buffer.drain(..self.at);
        self.at = 0;
        let mut chunk = [0; 65_536];
        let read = match &mut self.stream {
            Stream::Plain(stream) => stream.read(&mut chunk),
            Stream::Tls(stream) => stream.read(&mut chunk),
            Stream::None => bail!("there is no connection"),
        };
        let count = match read {
            Ok(count) => count,
            Err(e) if matches!(e.kind(), ErrorKind::ConnectionReset | ErrorKind::UnexpectedEof) => 0,
            Err(e) if e.kind() == ErrorKind::BrokenPipe => 0,
            Err(e) => return Err(e).context("nothing came in time"),
        };
        self.buffer.extend_from_slice(&chunk[..count]);
        Ok(count)
    }
}

fn trusting() -> Result<ClientConfig> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let versions =
        ClientConfig::builder_with_provider(Arc::clone(&provider)).with_safe_default_protocol_versions()?;
    let anyone = Arc::new(Anyone(provider.signature_verification_algorithms.supported_schemes()));
    Ok(versions.dangerous().with_custom_certificate_verifier(anyone).with_no_client_auth())
}

/// Trusts every certificate: what is tested is that TLS is spoken, not by whom.
#[derive(Debug)]
struct Anyone(Vec<SignatureScheme>);

impl ServerCertVerifier for Anyone {
    fn verify_server_cert(
        &self,
        _certificate: &CertificateDer<'_>,
        _chain: &[CertificateDer<'_>],
        _name: &ServerName<'_>,
        _ocsp: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _certificate: &CertificateDer<'_>,
        _signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _message: &[u8],
        _certificate: &CertificateDer<'_>,
        _signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    fn against(script: &'static [u8]) -> Connection {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        std::thread::spawn(move || listener.accept().unwrap().0.write_all(script).unwrap());
        Connection::open(port).unwrap()
    }

    #[test]
    fn lines_and_counted_bytes_come_in_order() {
        let mut connection = against(b"one\r\n{5}\r\nab\r\nc two\r\nrest");
        assert_eq!(connection.line().unwrap(), "one");
        assert_eq!(connection.line().unwrap(), "{5}");
        assert_eq!(connection.exactly(5).unwrap(), b"ab\r\nc");
        assert_eq!(connection.line().unwrap(), " two");
        assert_eq!(connection.until_closed().unwrap(), "rest");
    }

    #[test]
    fn a_bare_line_feed_and_an_early_end_are_errors() {
        let mut connection = against(b"one\ntwo");
        assert!(connection.line().unwrap_err().to_string().contains("without CR"));
        assert!(connection.line().unwrap_err().to_string().contains("closed"));
    }
}
