//! The ports of a site, as the configuration has them, and binding them: those for clients, and the [`Doors`] at which
//! the servers ask each other.
//!
//! A server that is restarted takes over the sockets of the one before ([`Held`]), so that no port is closed in between
//! and nobody is refused: who comes meanwhile waits in the kernel's line.

use crate::certificate;
use admin::site::Site;
use catalog::events::conf::ConfParmError;
use catalog::events::nio::{NioListenFail, NioTlsCertUnreadable};
use catalog::keys::common::{LISTEN_ADDRESSES, SSL_CERT_CHAIN_PATH_AND_FILE};
use catalog::servers::{Server, Service};
use control::topology::Topology;
use env::log::Log;
use env::settings::Settings;
use net::listener::Listener;
use net::local;
use net::tls::ServerTls;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
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
pub(crate) struct Held {
    ports: Vec<TcpListener>,
    /// For the other processes of the host.
    local: Vec<UnixListener>,
}

impl Held {
    /// The sockets behind these ports. One that cannot be shared is opened anew later.
    pub(crate) fn of(ports: &ServerPorts) -> Self {
        let ports = ports.bound.iter().filter_map(|bound| bound.listener.share().ok()).collect();
        Self { ports, local: Vec::new() }
    }

    /// Sockets that another process has opened.
    pub(crate) fn given(sockets: Vec<OwnedFd>) -> Self {
        let mut held = Self::default();
        for socket in sockets {
            let port = TcpListener::from(socket);
            match port.local_addr() {
                Ok(_) => held.ports.push(port),
                // Its address is of another kind: a path.
                Err(_) => held.local.push(OwnedFd::from(port).into()),
            }
        }
        held
    }

    /// Holds these, too.
    pub(crate) fn add(&mut self, doors: &DoorSockets) {
        self.ports.extend(doors.port.iter().filter_map(|socket| socket.try_clone().ok()));
        self.local.extend(doors.local.iter().filter_map(|socket| socket.try_clone().ok()));
    }

    /// The sockets, to be given to another process.
    pub(crate) fn into_sockets(self) -> Vec<OwnedFd> {
        let ports = self.ports.into_iter().map(OwnedFd::from);
        ports.chain(self.local.into_iter().map(OwnedFd::from)).collect()
    }

    /// The same sockets once more.
    pub(crate) fn share(&self) -> Self {
        Self {
            ports: self.ports.iter().filter_map(|socket| socket.try_clone().ok()).collect(),
            local: self.local.iter().filter_map(|socket| socket.try_clone().ok()).collect(),
        }
    }

    /// The one that listens there.
    fn take(&mut self, address: SocketAddr) -> Option<TcpListener> {
        let there = |socket: &TcpListener| socket.local_addr().is_ok_and(|local| local == address);
        let at = self.ports.iter().position(there)?;
        Some(self.ports.swap_remove(at))
    }

    /// The one that was made at this path.
    fn take_local(&mut self, path: &Path) -> Option<UnixListener> {
        let at = self.local.iter().position(|socket| local::is_bound_to(socket, path))?;
        Some(self.local.swap_remove(at))
    }
}

/// Where one server is asked by others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Doors {
    /// Its socket, where the host has other processes.
    pub(crate) local: Option<PathBuf>,
    /// Its port (`rmePort`), where the site has other hosts.
    pub(crate) port: Option<SocketAddr>,
}

impl Doors {
    /// Those of a server that is a process of its own; `port`: where other hosts would ask it.
    pub(crate) fn of_process(site: &Site, topology: &Topology, server: &str, port: Option<u16>) -> Self {
        let port = port.filter(|_| !topology.is_alone());
        let address = |port| SocketAddr::new(own_address(topology), port);
        Self { local: Some(site.rme_socket(server)), port: port.map(address) }
    }

    /// Those of a server in a process that is all of its host.
    pub(crate) fn of_host(topology: &Topology, port: Option<u16>) -> Self {
        Self { local: None, port: port.map(|port| SocketAddr::new(own_address(topology), port)) }
    }

    /// Opens them, but for those that are held.
    ///
    /// # Errors
    /// [`NoPorts::Listen`].
    pub(crate) fn open(&self, held: &mut Held) -> Result<DoorSockets, NoPorts> {
        let failed = |address: String| move |error| NoPorts::Listen { address, service: "rme", error };
        let port = self.port.map(|address| {
            let opened = held.take(address).map_or_else(|| TcpListener::bind(address), Ok);
            opened.map_err(failed(address.to_string()))
        });
        let local = self.local.as_ref().map(|path| {
            let opened = held.take_local(path).map_or_else(|| local::bind(path), Ok);
            opened.map_err(failed(path.display().to_string()))
        });
        Ok(DoorSockets { local: local.transpose()?, port: port.transpose()? })
    }
}

/// The sockets behind [`Doors`].
pub(crate) struct DoorSockets {
    pub(crate) local: Option<UnixListener>,
    pub(crate) port: Option<TcpListener>,
}

/// Where to listen: the address that others are told, where it is one; else everywhere.
fn own_address(topology: &Topology) -> IpAddr {
    topology.own().address.parse().unwrap_or(IpAddr::V6(Ipv6Addr::UNSPECIFIED))
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
        /// Where: an address or a path.
        address: String,
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
            let listener = bound_to.map_err(|error| {
                let address = address.to_string();
                NoPorts::Listen { address, service, error }
            })?;
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
    fn doors_that_are_held_are_opened_once_and_a_lone_host_has_no_port_for_others() {
        use catalog::tree::Tree;
        let folder = tempfile::tempdir().unwrap();
        let site = crate::folder::create(folder.path(), "venus").unwrap();
        let topology = |text: &str| Topology::of(&Tree::parse(text).unwrap(), site.host());
        let alone = Doors::of_process(&site, &topology(""), "mss", Some(5203));
        assert_eq!(alone, Doors { local: Some(site.rme_socket("mss")), port: None });
        let two = topology("/venus/common/rmeAddress: [127.0.0.1]\n/mars/sysadmin/mss_run: [on]\n");
        let mut doors = Doors::of_process(&site, &two, "mss", Some(5203));
        assert_eq!(doors.port, Some("127.0.0.1:5203".parse().unwrap()));
        // A free port of the system's choice.
        let free = TcpListener::bind("127.0.0.1:0").unwrap();
        doors.port = Some(free.local_addr().unwrap());
        drop(free);
        let first = doors.open(&mut Held::default()).unwrap();
        let mut held = Held::default();
        held.add(&first);
        // As another process would get them.
        let mut given = Held::given(held.share().into_sockets());
        let again = doors.open(&mut given).unwrap();
        assert!(again.port.is_some() && again.local.is_some() && given.ports.is_empty());
        assert!(given.local.is_empty(), "what was given is what was taken");
        let error = doors.open(&mut Held::default()).err().unwrap().to_string();
        assert!(error.contains("cannot listen on 127.0.0.1:"), "{error}");
    }

    #[test]
    fn addresses_are_read_or_named() {
        assert_eq!(addresses(&["127.0.0.1".into()]).unwrap(), [IpAddr::V4(Ipv4Addr::LOCALHOST)]);
        assert!(addresses(&["here".into()]).unwrap_err().to_string().contains("here is no address"));
        assert!(addresses(&[]).unwrap()[0].is_unspecified());
    }
}
