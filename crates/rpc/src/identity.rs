//! Who a host is towards the others of its site: its certificate, and the authorities that it trusts.
//!
//! Both sides show a certificate that an authority of the site has signed; the side that connects also asks for the name of
//! the host that it means. The files are read again when they have changed, so that a new certificate or a second
//! authority holds from the next connection on, without a restart. Making them is the business of the daemon.

use rustls::crypto::aws_lc_rs;
use rustls::server::WebPkiClientVerifier;
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

/// The file with the certificates of the authorities: new ones first, an old one for as long as it is to be trusted.
pub const AUTHORITIES: &str = "ca.pem";
/// The file with the certificate and the key of the host.
pub const HOST: &str = "host.pem";

/// Why a host has no identity.
#[derive(Debug, thiserror::Error)]
pub enum NoIdentity {
    /// A file cannot be read, or is no PEM.
    #[error("{path}: {cause}")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the reader said.
        cause: rustls_pki_types::pem::Error,
    },
    /// Certificates and key do not fit.
    #[error("{folder}: {cause}")]
    Unusable {
        /// The folder of the files.
        folder: PathBuf,
        /// What the library said.
        cause: String,
    },
}

/// The identity of a host, as its files have it now.
pub struct Identity {
    folder: PathBuf,
    read: Mutex<Read>,
}

struct Read {
    stamps: Stamps,
    sides: Sides,
}

type Stamps = [Option<SystemTime>; 2];

/// The two sides of TLS.
#[derive(Clone)]
pub(crate) struct Sides {
    /// For connections that come.
    pub(crate) server: Arc<ServerConfig>,
    /// For connections that are made.
    pub(crate) client: Arc<ClientConfig>,
}

impl Identity {
    /// Reads [`AUTHORITIES`] and [`HOST`] of a folder.
    ///
    /// # Errors
    /// Names the file and what is wrong with it.
    pub fn load(folder: &Path) -> Result<Arc<Self>, NoIdentity> {
        let read = Read { stamps: stamps(folder), sides: sides(folder)? };
        Ok(Arc::new(Self { folder: folder.to_owned(), read: Mutex::new(read) }))
    }

    /// For one handshake. What cannot be read now leaves what was good in force.
    pub(crate) fn sides(&self) -> Sides {
        let mut read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        let now = stamps(&self.folder);
        if now != read.stamps
            && let Ok(sides) = sides(&self.folder)
        {
            *read = Read { stamps: now, sides };
        }
        read.sides.clone()
    }
}

fn stamps(folder: &Path) -> Stamps {
    [AUTHORITIES, HOST].map(|file| folder.join(file).metadata().and_then(|m| m.modified()).ok())
}

fn sides(folder: &Path) -> Result<Sides, NoIdentity> {
    let unusable = |cause: String| NoIdentity::Unusable { folder: folder.to_owned(), cause };
    let mut roots = RootCertStore::empty();
    for authority in certificates(&folder.join(AUTHORITIES))? {
        roots.add(authority).map_err(|e| unusable(e.to_string()))?;
    }
    let (roots, own) = (Arc::new(roots), folder.join(HOST));
    let chain = certificates(&own)?;
    let key = || {
        PrivateKeyDer::from_pem_file(&own)
            .map_err(|cause| NoIdentity::Unreadable { path: own.clone(), cause })
    };
    let provider = Arc::new(aws_lc_rs::default_provider());
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::clone(&roots), Arc::clone(&provider));
    let verifier = verifier.build().map_err(|e| unusable(e.to_string()))?;
    let mut server = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(|e| unusable(e.to_string()))?
        .with_client_cert_verifier(verifier)
        .with_single_cert(chain.clone(), key()?)
        .map_err(|e| unusable(e.to_string()))?;
    let mut client = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(|e| unusable(e.to_string()))?
        .with_root_certificates(roots)
        .with_client_auth_cert(chain, key()?)
        .map_err(|e| unusable(e.to_string()))?;
    server.alpn_protocols = vec![b"h2".to_vec()];
    client.alpn_protocols = vec![b"h2".to_vec()];
    Ok(Sides { server: Arc::new(server), client: Arc::new(client) })
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, NoIdentity> {
    CertificateDer::pem_file_iter(path)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|cause| NoIdentity::Unreadable { path: path.to_owned(), cause })
}
