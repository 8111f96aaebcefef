//! Which host has what, as the configuration says it. Pure: from a tree to a table.
//!
//! A host belongs to the site when the tree says of it which servers it runs (`/<host>/sysadmin/<server>_run`), and the
//! host that asks always does. Whether a host is up is not known here; that is seen by asking it.

use catalog::keys::common::{RME_ADDRESS, RME_PORT};
use catalog::servers::{RME_OF_MANAGER, RME_PORTS, SERVERS, Server};
use catalog::tree::Tree;
use mail::id::HostName;

/// A host of the site.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Host {
    /// Its logical name.
    pub name: HostName,
    /// Where it is reached: an address, or a name for the name service.
    pub address: String,
    /// The first of its servers' own ports; 0: it has none.
    first_port: u16,
    /// The servers it runs, in their start order.
    servers: Vec<&'static str>,
}

impl Host {
    fn of(tree: &Tree, name: HostName) -> Self {
        let address = match tree.value(name.as_str(), "common", RME_ADDRESS) {
            none if none.trim().is_empty() => name.as_str().to_owned(),
            given => given.trim().to_owned(),
        };
        let first_port = u16::try_from(tree.value(name.as_str(), "common", RME_PORT)).unwrap_or(0);
        let runs = |s: &&Server| tree.value(name.as_str(), "sysadmin", s.run);
        let servers = SERVERS.iter().filter(runs).map(|s| s.name).collect();
        Self { name, address, first_port, servers }
    }

    /// Whether it is to run this server.
    pub fn runs(&self, server: &str) -> bool {
        self.servers.contains(&server)
    }

    /// The port on which this server is asked there; `None` where it is not asked by others, or the host has no such ports.
    pub fn port(&self, server: &Server) -> Option<u16> {
        self.at(server.rme?)
    }

    /// The port on which its manager is asked.
    pub fn manager_port(&self) -> Option<u16> {
        self.at(RME_OF_MANAGER)
    }

    fn at(&self, distance: u16) -> Option<u16> {
        self.first_port.checked_add(distance).filter(|_| self.first_port != 0 && distance < RME_PORTS)
    }
}

/// All hosts of the site.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Topology {
    /// The host that asks, then the others by name.
    hosts: Vec<Host>,
}

impl Topology {
    /// As the host `own` sees it.
    pub fn of(tree: &Tree, own: &HostName) -> Self {
        let others = tree.hosts().into_iter().map(HostName::new).filter(|name| name != own);
        let hosts: Vec<Host> =
            std::iter::once(own.clone()).chain(others).map(|name| Host::of(tree, name)).collect();
        Self { hosts }
    }

    /// All of them, the one that asks first.
    pub fn hosts(&self) -> &[Host] {
        &self.hosts
    }

    /// The host that asks.
    pub fn own(&self) -> &Host {
        &self.hosts[0]
    }

    /// The host of this name.
    pub fn host(&self, name: &str) -> Option<&Host> {
        self.hosts.iter().find(|h| h.name.as_str().eq_ignore_ascii_case(name))
    }

    /// Hosts that run this server: the one that asks first, where it does.
    pub fn running<'a>(&'a self, server: &'a str) -> impl Iterator<Item = &'a Host> + 'a {
        self.hosts.iter().filter(move |h| h.runs(server))
    }

    /// Whether the site has this host only.
    pub fn is_alone(&self) -> bool {
        self.hosts.len() == 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TREE: &str = "/*/sysadmin/mss_run: [off]\n/*/sysadmin/mta_run: [off]\n/mars/sysadmin/mss_run: [on]\n\
        /jove/sysadmin/mss_run: [on]\n/mars/common/rmeAddress: [192.0.2.7]\n/mars/common/rmePort: [7000]\n\
        /venus/sysadmin/mta_run: [on]\n/relay/mta/SMTPPort: [26]\n/dark/sysadmin/mta_run: [on]\n/dark/common/rmePort: [0]\n";

    fn topology(text: &str, own: &str) -> Topology {
        Topology::of(&Tree::parse(text).unwrap(), &HostName::new(own))
    }

    fn names<'a>(hosts: impl Iterator<Item = &'a Host>) -> Vec<&'a str> {
        hosts.map(|h| h.name.as_str()).collect()
    }

    #[test]
    fn hosts_are_those_of_which_it_is_said_what_they_run() {
        let site = topology(TREE, "venus");
        assert_eq!(names(site.hosts().iter()), ["venus", "dark", "jove", "mars"]);
        assert_eq!(names(site.running("mss")), ["jove", "mars"]);
        assert_eq!(names(site.running("mta")), ["venus", "dark"]);
        assert!(!site.is_alone() && topology("/relay/mta/SMTPPort: [26]\n", "venus").is_alone());
    }

    #[test]
    fn who_asks_comes_first() {
        assert_eq!(names(topology(TREE, "mars").running("mss")), ["mars", "jove"]);
        assert_eq!(topology(TREE, "mars").own().name.as_str(), "mars");
    }

    #[test]
    fn a_host_is_reached_by_its_name_unless_an_address_is_given() {
        let site = topology(TREE, "venus");
        let mss = catalog::servers::find("mss").unwrap();
        let (mars, jove) = (site.host("MARS").unwrap(), site.host("jove").unwrap());
        assert_eq!((mars.address.as_str(), mars.port(mss)), ("192.0.2.7", Some(7003)));
        assert_eq!((jove.address.as_str(), jove.port(mss)), ("jove", Some(5203)));
        assert_eq!(jove.manager_port(), Some(5201));
        assert_eq!(site.host("dark").unwrap().port(mss), None);
        assert_eq!(jove.port(catalog::servers::find("popserv").unwrap()), None);
    }
}
