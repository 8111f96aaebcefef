//! The second engine: a PostgreSQL server, which several processes and hosts share.
//!
//! The wire protocol is spoken here, on the threads of `threads` and blocking: an answer is waited for where a result is
//! needed, everything else is sent along. (PostgreSQL's manual, chapter 55.) What is kept from the manual's defaults
//! stands in `login::settings`.

mod address;
mod connection;
mod failure;
mod login;
mod stream;
mod text;

pub use address::{Address, BadAddress, Host};
pub(super) use connection::{Connection, State};
pub(super) use text::schema;

use super::{Access, SqlError};
use mail::secret::Secret;
use rustls::crypto::aws_lc_rs;
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use stream::Stream;

/// A server, and how to come to it.
#[derive(Clone)]
pub struct Server {
    /// Where it is.
    pub address: Address,
    /// Who connects.
    pub user: String,
    /// The password, where the server wants one.
    pub password: Option<Secret>,
    /// Whether connections by TCP are encrypted.
    pub tls: Tls,
    /// How long one host may take to take a connection.
    pub connect_timeout: Duration,
    /// How long one statement may take.
    pub statement_timeout: Duration,
}

/// Encryption of connections by TCP.
#[derive(Clone)]
pub enum Tls {
    /// None: for networks that nobody else listens to.
    Off,
    /// TLS, with a certificate that leads to a root of ours and names the host.
    Verified(Arc<ClientConfig>),
}

impl Tls {
    /// TLS with servers whose certificates lead to one in this file (PEM).
    ///
    /// # Errors
    /// What is wrong with the file.
    pub fn of_roots(file: &Path) -> Result<Self, String> {
        let bad = |e: &dyn std::fmt::Display| format!("{}: {e}", file.display());
        let mut roots = RootCertStore::empty();
        for root in CertificateDer::pem_file_iter(file).map_err(|e| bad(&e))? {
            roots.add(root.map_err(|e| bad(&e))?).map_err(|e| bad(&e))?;
        }
        if roots.is_empty() {
            return Err(bad(&"no certificate in it"));
        }
        let provider = Arc::new(aws_lc_rs::default_provider());
        let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
        let config = builder.map_err(|e| bad(&e))?.with_root_certificates(roots).with_no_client_auth();
        Ok(Self::Verified(Arc::new(config)))
    }
}

/// More than a statement may take: the server's own limit comes first, and says so.
const MARGIN: Duration = Duration::from_secs(5);
/// Whether this server only repeats another.
const IN_RECOVERY: &str = "SELECT CASE WHEN pg_is_in_recovery() THEN 1 ELSE 0 END";

impl Server {
    /// A new connection to the first host that serves.
    ///
    /// # Errors
    /// [`SqlError::Unavailable`] with what the last host said.
    pub(super) fn connect(&self, access: Access, newest: i64) -> Result<Connection, SqlError> {
        let mut last = SqlError::Unavailable("the address names no host".into());
        for host in &self.address.hosts {
            match self.connect_host(host, access, newest) {
                Ok(connection) => return Ok(connection),
                Err(SqlError::Unavailable(reason)) => {
                    last = SqlError::Unavailable(format!("{host}: {reason}"));
                }
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    fn connect_host(&self, host: &Host, access: Access, newest: i64) -> Result<Connection, SqlError> {
        let mut stream = Stream::open(host, self)?;
        login::log_in(&mut stream, self, newest)?;
        stream.limit(self.statement_timeout + MARGIN)?;
        let mut connection = Connection::new(stream, host.to_string());
        connection.batch(&login::settings(self))?;
        if access == Access::Write {
            let mut repeats = 0_i64;
            connection.run(IN_RECOVERY, &[], &mut |row| {
                repeats = row.get(0)?;
                Ok(())
            })?;
            if repeats == 1 {
                return Err(SqlError::Unavailable("it only repeats another server".into()));
            }
        }
        Ok(connection)
    }
}
