//! The ports of a site, as the configuration has them, and binding them.
//!
//! A server that is restarted takes over the sockets of the one before ([`Held`]), so that no port is closed in between
//! and nobody is refused: who comes meanwhile waits in the kernel's line.

use crate::certificate;
use admin::site::Site;
use catalog::events::conf::ConfParmError;
use catalog::events::nio::{NioListenFail, NioTlsCertUnreadable};
use catalog::keys::common::{LISTEN_ADDRESSES, SSL_CERT_CHAIN_PATH_AND_FILE};
use catalog::servers::{Server, Service};
use env::log::Log;
use env::settings::Settings;
use net::listener::Listener;
use net::tls::ServerTls;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener};
use std::os::fd::OwnedFd;
use std::sync::Arc;

/// A bound port.
pub(crate) struct Bound {
    /// What is spoken there.
    pub(crate) service: Service,
    /// Its number.
    pub(crate) port: u16,
    /// The socket, which does not accept yet.
    pub(crate) listener: Listener,
}

/// The ports of one server with its certificate.
pub(crate) struct ServerPorts {
    /// All of them, on all addresses.
    pub(crate) bound: Vec<Bound>,
    /// For implicit TLS and STARTTLS.
    pub(crate) tls: Arc<ServerTls>,
}

/// Listening sockets of a running server, for the one that takes its place.
#[derive(Default)]
pub(crate) struct Held(Vec<TcpListener>);

impl Held {
    /// The sockets behind these ports. One that cannot be shared is opened anew later.
    pub(crate) fn of(ports: &ServerPorts) -> Self {
        Self(ports.bound.iter().filter_map(|bound| bound.listener.share().ok()).collect())
    }

    /// Sockets that another process has opened.
    pub(crate) fn given(sockets: Vec<OwnedFd>) -> Self {
        Self(sockets.into_iter().map(TcpListener::from).collect())
    }

    /// The sockets, to be given to another process.
    pub(crate) fn into_sockets(self) -> Vec<OwnedFd> {
        self.0.into_iter().map(OwnedFd::from).collect()
    }

    /// The same sockets once more.
    pub(crate) fn share(&self) -> Self {
        Self(self.0.iter().filter_map(|socket| socket.try_clone().ok()).collect())
    }

    /// The one that listens there.
    fn take(&mut self, address: SocketAddr) -> Option<TcpListener> {
        let there = |socket: &TcpListener| socket.local_addr().is_ok_and(|local| local == address);
        let at = self.0.iter().position(there)?;
        Some(self.0.swap_remove(at))
    }
}

/// Why a server cannot be reached.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NoPorts {
    /// The certificate or its key cannot be used.
    #[error("{reason:#}")]
    Certificate {
        /// The file; empty: the site's own.
        path: String,
        /// What is wrong with it.
        reason: anyhow::Error,
    },
    /// A port cannot be opened.
    #[error("cannot listen on {address} for {service}: {error}")]
    Listen {
        /// Where.
        address: SocketAddr,
        /// What would have been spoken there.
        service: &'static str,
        /// What the system said.
        error: std::io::Error,
    },
    /// An entry of `listenAddresses` is no address.
    #[error("listenAddresses: {0} is no address")]
    Address(String),
}

impl NoPorts {
    /// Says it in the log.
    pub(crate) fn tell(&self, log: &Log) {
        match self {
            Self::Certificate { path, reason } => {
                log.emit(&NioTlsCertUnreadable { path, reason: format!("{reason:#}") });
            }
            Self::Listen { address, error, .. } => log.emit(&NioListenFail { address, error }),
            Self::Address(value) => {
                log.emit(&ConfParmError {
                    key: LISTEN_ADDRESSES.row.name,
                    value,
                    reason: "it is no address",
                });
            }
        }
    }
}

/// Binds the ports of a server, but for those that are held; port 0 in the configuration means that it is not served.
///
/// # Errors
/// [`NoPorts`].
pub(crate) fn bind(
    site: &Site,
    settings: &Settings,
    server: &Server,
    mut held: Held,
) -> Result<ServerPorts, NoPorts> {
    let settings = settings.for_server(server.name);
    let path = settings.get(SSL_CERT_CHAIN_PATH_AND_FILE);
    let tls = certificate::load(site, &path).map_err(|reason| NoPorts::Certificate { path, reason })?;
    let tls = Arc::new(tls);
    let mut bound = Vec::new();
    for port in server.ports {
        let number = u16::try_from(settings.get(port.key)).unwrap_or(0);
        if number == 0 {
            continue;
        }
        for ip in addresses(&settings.get(LISTEN_ADDRESSES))? {
            let address = SocketAddr::new(ip, number);
            let implicit = port.service.is_tls().then(|| Arc::clone(&tls));
            let service = port.service.name();
            let bound_to = match held.take(address) {
                Some(socket) => Listener::over(socket, implicit),
                None => Listener::bind(address, implicit),
            };
            let listener = bound_to.map_err(|error| NoPorts::Listen { address, service, error })?;
            bound.push(Bound { service: port.service, port: number, listener });
        }
    }
    Ok(ServerPorts { bound, tls })
}

/// The addresses to listen on; none configured means all of the host.
pub(crate) fn addresses(configured: &[String]) -> Result<Vec<IpAddr>, NoPorts> {
    if configured.is_empty() {
        // One socket on :: would take both families on most systems but not on all: ask for what is there.
        let v6 = std::net::UdpSocket::bind((Ipv6Addr::LOCALHOST, 0)).is_ok();
        let all: IpAddr = if v6 { Ipv6Addr::UNSPECIFIED.into() } else { Ipv4Addr::UNSPECIFIED.into() };
        return Ok(vec![all]);
    }
    let parse = |text: &String| text.trim().parse().map_err(|_| NoPorts::Address(text.clone()));
    configured.iter().map(parse).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_or_named() {
        assert_eq!(addresses(&["127.0.0.1".into()]).unwrap(), [IpAddr::V4(Ipv4Addr::LOCALHOST)]);
        assert!(addresses(&["here".into()]).unwrap_err().to_string().contains("here is no address"));
        assert!(addresses(&[]).unwrap()[0].is_unspecified());
    }
}
