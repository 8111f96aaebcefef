//! The server's side of TLS: certificate chain and key from one PEM file, replaced while running.

use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

/// Why a certificate file is of no use.
#[derive(Debug, thiserror::Error)]
pub enum BadCertificate {
    /// It cannot be read, or is no PEM.
    #[error("{path}: {cause}")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the reader said.
        cause: rustls_pki_types::pem::Error,
    },
    /// It has no certificate.
    #[error("{0}: there is no certificate in the file")]
    NoCertificate(PathBuf),
    /// Key and certificate do not fit, or the key is of no known kind.
    #[error("{path}: {cause}")]
    Unusable {
        /// The file.
        path: PathBuf,
        /// What the library said.
        cause: rustls::Error,
    },
}

/// The configuration that new handshakes use.
pub struct ServerTls {
    path: PathBuf,
    config: RwLock<Arc<ServerConfig>>,
}

impl ServerTls {
    /// Reads chain and key from one PEM file (the order does not matter).
    ///
    /// # Errors
    /// Names the file and what is wrong with it.
    pub fn load(path: &Path) -> Result<Self, BadCertificate> {
        Ok(Self { path: path.to_owned(), config: RwLock::new(Arc::new(read(path)?)) })
    }

    /// Reads the file again; what was good stays in force where the file is not.
    ///
    /// # Errors
    /// As [`ServerTls::load`].
    pub fn reload(&self) -> Result<(), BadCertificate> {
        let config = Arc::new(read(&self.path)?);
        *self.config.write().unwrap_or_else(PoisonError::into_inner) = config;
        Ok(())
    }

    /// For one handshake.
    pub fn config(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.config.read().unwrap_or_else(PoisonError::into_inner))
    }
}

fn read(path: &Path) -> Result<ServerConfig, BadCertificate> {
    let unreadable = |cause| BadCertificate::Unreadable { path: path.to_owned(), cause };
    let unusable = |cause| BadCertificate::Unusable { path: path.to_owned(), cause };
    let chain = CertificateDer::pem_file_iter(path)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(unreadable)?;
    if chain.is_empty() {
        return Err(BadCertificate::NoCertificate(path.to_owned()));
    }
    let key = PrivateKeyDer::from_pem_file(path).map_err(unreadable)?;
    ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(unusable)?
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .map_err(unusable)
}
