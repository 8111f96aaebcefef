//! TLS towards other mail servers.
//!
//! Two ways: opportunistic (RFC 7435), which encrypts to whoever answers and says how much was proven, because
//! the alternative would be no encryption at all; and required, which ends the handshake unless the certificate
//! chain leads to a known root and names the host (RFC 6125). Which one applies is the MTA's policy; certificates
//! of our own side are in `tls`.

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs, verify_tls12_signature, verify_tls13_signature};
use rustls::{ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// Where Debian and its kin keep the roots that everybody trusts.
pub const SYSTEM_ROOTS: &str = "/etc/ssl/certs/ca-certificates.crt";

/// How much is asked of the other side.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Demand {
    /// Encryption, with anybody.
    Opportunistic,
    /// A certificate that is valid for the host.
    Verified,
}

/// What a handshake has shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proven {
    /// As in a Received header: `TLSv1.3`.
    pub protocol: &'static str,
    /// The cipher suite.
    pub cipher: &'static str,
    /// Whether the certificate is valid for the host; where it is not, why.
    pub identity: Result<(), String>,
}

/// Makes TLS connections; one for a server, so that sessions are resumed.
#[derive(Clone)]
pub struct TlsClient {
    opportunistic: TlsConnector,
    verified: TlsConnector,
    identity: Option<Arc<WebPkiServerVerifier>>,
}

impl TlsClient {
    /// A client that trusts these roots. Without any, opportunistic TLS works and nothing can be verified.
    ///
    /// # Errors
    /// Where the roots cannot be used.
    pub fn new(roots: RootCertStore) -> Result<Self, Error> {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let identity = match roots.is_empty() {
            true => None,
            false => {
                let builder = WebPkiServerVerifier::builder_with_provider(
                    Arc::new(roots.clone()),
                    Arc::clone(&provider),
                );
                Some(builder.build().map_err(|e| Error::General(e.to_string()))?)
            }
        };
        let builder = || {
            ClientConfig::builder_with_provider(Arc::clone(&provider)).with_safe_default_protocol_versions()
        };
        let verified = builder()?.with_root_certificates(roots).with_no_client_auth();
        let anybody = Arc::new(Anybody(Arc::clone(&provider)));
        let opportunistic =
            builder()?.dangerous().with_custom_certificate_verifier(anybody).with_no_client_auth();
        Ok(Self {
            opportunistic: TlsConnector::from(Arc::new(opportunistic)),
            verified: TlsConnector::from(Arc::new(verified)),
            identity,
        })
    }

    /// A client that trusts the roots of this host; none, where it has no list of them.
    ///
    /// # Errors
    /// As [`TlsClient::new`].
    pub fn of_host() -> Result<Self, Error> {
        Self::new(Self::roots(Path::new(SYSTEM_ROOTS)).unwrap_or_else(|_| RootCertStore::empty()))
    }

    /// The roots of a PEM file; entries that are no certificates are left out.
    ///
    /// # Errors
    /// Where the file cannot be read.
    pub fn roots(file: &Path) -> io::Result<RootCertStore> {
        let pem = std::fs::read(file)?;
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(CertificateDer::pem_slice_iter(&pem).filter_map(Result::ok));
        Ok(roots)
    }

    /// Does the handshake, within `at_most`. `host` is a name or an address without brackets; `now` is for the
    /// validity of the certificate.
    ///
    /// # Errors
    /// What the handshake failed of; `TimedOut` where it took too long.
    pub async fn connect(
        &self,
        stream: TcpStream,
        host: &str,
        demand: Demand,
        now: UnixTime,
        at_most: Duration,
    ) -> io::Result<(TlsStream<TcpStream>, Proven)> {
        let name = ServerName::try_from(host.to_owned()).map_err(|_| {
            io::Error::new(io::ErrorKind::InvalidInput, "the host has no name that TLS can ask for")
        })?;
        let connector = match demand {
            Demand::Opportunistic => &self.opportunistic,
            Demand::Verified => &self.verified,
        };
        let shake = connector.connect(name.clone(), stream);
        let tls = tokio::time::timeout(at_most, shake)
            .await
            .map_err(|_| io::Error::from(io::ErrorKind::TimedOut))??;
        let proven = self.proven(&tls, &name, now);
        Ok((tls, proven))
    }

    fn proven(&self, tls: &TlsStream<TcpStream>, name: &ServerName<'_>, now: UnixTime) -> Proven {
        let session = tls.get_ref().1;
        let protocol = match session.protocol_version() {
            Some(rustls::ProtocolVersion::TLSv1_2) => "TLSv1.2",
            Some(rustls::ProtocolVersion::TLSv1_3) => "TLSv1.3",
            _ => "TLS",
        };
        let cipher = session.negotiated_cipher_suite().and_then(|c| c.suite().as_str()).unwrap_or("unknown");
        let identity = match (&self.identity, session.peer_certificates()) {
            (None, _) => Err("there are no roots to verify it with".to_owned()),
            (_, None | Some([])) => Err("there is no certificate".to_owned()),
            (Some(verifier), Some([end, chain @ ..])) => {
                verifier.verify_server_cert(end, chain, name, &[], now).map(|_| ()).map_err(|e| e.to_string())
            }
        };
        Proven { protocol, cipher, identity }
    }
}

/// RFC 7435: takes any certificate, but insists that the other side holds its key.
#[derive(Debug)]
struct Anybody(Arc<CryptoProvider>);

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, cert, dss, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, cert, dss, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustls::ServerConfig;
    use rustls::pki_types::PrivateKeyDer;
    use tokio::net::TcpListener;
    use tokio_rustls::TlsAcceptor;

    const SHORT: Duration = Duration::from_secs(5);

    /// A server with a certificate of its own making for `name`; gives its address and that certificate.
    async fn server(name: &str) -> (std::net::SocketAddr, CertificateDer<'static>) {
        let made = rcgen::generate_simple_self_signed(vec![name.to_owned()]).unwrap();
        let cert = made.cert.der().clone();
        let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
        let config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![cert.clone()], key)
            .unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        #[expect(clippy::disallowed_methods, reason = "a test's own server")]
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let _ = acceptor.accept(stream).await;
            }
        });
        (address, cert)
    }

    fn now() -> UnixTime {
        UnixTime::now()
    }

    async fn shake(
        client: &TlsClient,
        to: std::net::SocketAddr,
        host: &str,
        demand: Demand,
    ) -> io::Result<Proven> {
        let stream = TcpStream::connect(to).await.unwrap();
        client.connect(stream, host, demand, now(), SHORT).await.map(|(_, proven)| proven)
    }

    #[tokio::test]
    async fn opportunistic_takes_anybody_and_says_what_was_proven() {
        let (to, cert) = server("mx.example").await;
        let blind = TlsClient::new(RootCertStore::empty()).unwrap();
        let proven = shake(&blind, to, "mx.example", Demand::Opportunistic).await.unwrap();
        assert_eq!(proven.protocol, "TLSv1.3");
        assert!(proven.identity.is_err());
        let mut roots = RootCertStore::empty();
        roots.add(cert).unwrap();
        let knowing = TlsClient::new(roots).unwrap();
        let proven = shake(&knowing, to, "mx.example", Demand::Opportunistic).await.unwrap();
        assert_eq!(proven.identity, Ok(()));
        let proven = shake(&knowing, to, "other.example", Demand::Opportunistic).await.unwrap();
        assert!(proven.identity.is_err());
        shake(&knowing, to, "127.0.0.1", Demand::Opportunistic).await.unwrap();
    }

    #[tokio::test]
    async fn verified_asks_for_a_known_root_and_the_right_name() {
        let (to, cert) = server("mx.example").await;
        let blind = TlsClient::new(RootCertStore::empty()).unwrap();
        assert!(shake(&blind, to, "mx.example", Demand::Verified).await.is_err());
        let mut roots = RootCertStore::empty();
        roots.add(cert).unwrap();
        let knowing = TlsClient::new(roots).unwrap();
        assert_eq!(shake(&knowing, to, "mx.example", Demand::Verified).await.unwrap().identity, Ok(()));
        assert!(shake(&knowing, to, "other.example", Demand::Verified).await.is_err());
    }

    #[tokio::test]
    async fn a_silent_server_costs_a_timeout() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let client = TlsClient::new(RootCertStore::empty()).unwrap();
        let stream = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let shake =
            client.connect(stream, "mx.example", Demand::Opportunistic, now(), Duration::from_millis(20));
        assert_eq!(shake.await.unwrap_err().kind(), io::ErrorKind::TimedOut);
    }

    #[test]
    fn roots_come_from_pem_and_junk_is_left_out() {
        let made = rcgen::generate_simple_self_signed(vec!["ca.example".to_owned()]).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("roots.pem");
        let junk = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        std::fs::write(&file, format!("# text\n{junk}{}", made.cert.pem())).unwrap();
        assert_eq!(TlsClient::roots(&file).unwrap().len(), 1);
        assert!(TlsClient::roots(&folder.path().join("none")).is_err());
    }
}
