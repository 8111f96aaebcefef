//! What is looked at before a host is made: its address, its ports, the name service, open files, the disk.
//!
//! Finding out and judging are apart: [`look`] asks the system, [`judge`] knows what the answers mean. A doubt is said and
//! stops nobody, because a host may be made before its surroundings are ready; what would make the host useless stops it.

use crate::ports;
use catalog::keys::common::{DEFAULT_DOMAIN, LISTEN_ADDRESSES};
use catalog::servers::SERVERS;
use control::topology::{Host, Topology};
use env::settings::Settings;
use mail::address::Domain;
use net::dns::system::SystemDns;
use net::dns::{Dns as _, Lookup};
use rustix::process::{Resource, getrlimit};
use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr, TcpListener, ToSocketAddrs as _, UdpSocket};
use std::path::Path;
use std::time::Duration;

/// What one look came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Check {
    /// What was looked at.
    pub(crate) what: &'static str,
    pub(crate) outcome: Outcome,
}

/// How it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Outcome {
    Fine(String),
    /// It should be otherwise before the host serves: with the way out.
    Doubt(String),
    /// The host cannot be made so: with the way out.
    Bad(String),
}

impl Check {
    pub(crate) fn stops(&self) -> bool {
        matches!(self.outcome, Outcome::Bad(_))
    }
}

impl fmt::Display for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (mark, text) = match &self.outcome {
            Outcome::Fine(text) => ("ok", text),
            Outcome::Doubt(text) => ("doubt", text),
            Outcome::Bad(text) => ("bad", text),
        };
        write!(f, "{mark:6}{:11} {text}", self.what)
    }
}

/// What was found out.
struct Facts {
    /// Where the others are to reach it, and which addresses that is; `None` where the site has no other host.
    address: Option<(String, io::Result<Vec<IpAddr>>)>,
    /// Whether all of these are this machine's.
    is_own: bool,
    /// Ports that cannot be opened.
    taken: Vec<(SocketAddr, &'static str, io::ErrorKind)>,
    /// How many were tried.
    ports: usize,
    /// A domain, and whether mail for it finds a way; `None` where it is no public name.
    domain: Option<(String, Way)>,
    /// The hard limit of open files.
    descriptors: Option<u64>,
    disk: io::Result<Room>,
}

/// Whether the name service knows where mail for a domain goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    Known,
    Unknown,
    NoAnswer,
}

/// The file system of the site.
#[derive(Debug, Clone, Copy)]
struct Room {
    free: u64,
    is_memory: bool,
}

/// Looks at this machine as the host that the configuration describes. `served`: the site serves already, so that its ports
/// are its own.
pub(crate) fn examine(settings: &Settings, topology: &Topology, folder: &Path, served: bool) -> Vec<Check> {
    judge(look(settings, topology, folder, served))
}

fn look(settings: &Settings, topology: &Topology, folder: &Path, served: bool) -> Facts {
    let own = topology.own();
    let address = (!topology.is_alone()).then(|| {
        let found = (own.address.as_str(), 0).to_socket_addrs();
        (own.address.clone(), found.map(|found| found.map(|at| at.ip()).collect::<Vec<_>>()))
    });
    let addresses = address.as_ref().and_then(|(_, found)| found.as_ref().ok());
    let is_own = addresses.is_some_and(|all| all.iter().all(|ip| UdpSocket::bind((*ip, 0)).is_ok()));
    let rme = addresses.and_then(|all| all.first().copied()).filter(|_| is_own);
    let wanted = if served { Vec::new() } else { wanted(settings, own, rme) };
    let refused = |(at, service): &(SocketAddr, &'static str)| {
        TcpListener::bind(at).err().map(|error| (*at, *service, error.kind()))
    };
    let name = settings.for_server("common").get(DEFAULT_DOMAIN);
    let domain = is_public(&name).then(|| (name.clone(), way(&name)));
    Facts {
        is_own,
        taken: wanted.iter().filter_map(refused).collect(),
        ports: wanted.len(),
        address,
        domain,
        descriptors: getrlimit(Resource::Nofile).maximum,
        disk: room(folder),
    }
}

/// All ports that this host is to open.
fn wanted(settings: &Settings, own: &Host, rme: Option<IpAddr>) -> Vec<(SocketAddr, &'static str)> {
    let mut wanted = Vec::new();
    for server in SERVERS.iter().filter(|server| own.runs(server.name)) {
        let settings = settings.for_server(server.name);
        // What is no address is said by the check of the configuration.
        let addresses = ports::addresses(&settings.get(LISTEN_ADDRESSES)).unwrap_or_default();
        for port in server.ports {
            let number = u16::try_from(settings.get(port.key)).unwrap_or(0);
            let all = addresses.iter().filter(|_| number != 0);
            wanted.extend(all.map(|ip| (SocketAddr::new(*ip, number), port.service.name())));
        }
        let asked = rme.zip(own.port(server));
        wanted.extend(asked.map(|(ip, port)| (SocketAddr::new(ip, port), server.name)));
    }
    wanted
}

/// Whether the name service of the world may know it. RFC 6761 6: names for tests and examples it never does.
fn is_public(domain: &str) -> bool {
    let (_, top) = domain.rsplit_once('.').unwrap_or_default();
    !top.is_empty()
        && !["test", "example", "invalid", "localhost", "local"]
            .iter()
            .any(|own| top.eq_ignore_ascii_case(own))
}

/// Asks the name service, for a few seconds.
fn way(name: &str) -> Way {
    let Ok(domain) = Domain::parse(name) else { return Way::Unknown };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let (Ok(runtime), Ok(dns)) = (runtime, SystemDns::of_host()) else { return Way::NoAnswer };
    let asked = runtime.block_on(async { tokio::time::timeout(PATIENCE, dns.mx(&domain)).await });
    runtime.shutdown_background();
    match asked {
        Ok(Lookup::Found(_)) => Way::Known,
        Ok(Lookup::NoData | Lookup::NxDomain) => Way::Unknown,
        Ok(Lookup::TemporaryFailure) | Err(_) => Way::NoAnswer,
    }
}

fn room(folder: &Path) -> io::Result<Room> {
    let there = folder.ancestors().find(|at| at.is_dir()).unwrap_or(Path::new("."));
    let system = rustix::fs::statfs(there)?;
    let free = u64::try_from(system.f_bsize).unwrap_or(0).saturating_mul(system.f_bavail);
    Ok(Room { free, is_memory: system.f_type == TMPFS })
}

fn judge(facts: Facts) -> Vec<Check> {
    let mut checks = Vec::new();
    let mut check = |what, outcome| checks.push(Check { what, outcome });
    if let Some((name, found)) = &facts.address {
        check("address", judge_address(name, found, facts.is_own));
    }
    if facts.ports > 0 && facts.taken.is_empty() {
        check("ports", Outcome::Fine(format!("all {} can be opened", facts.ports)));
    }
    for (at, service, why) in &facts.taken {
        check("ports", Outcome::Doubt(format!("{at} for {service}: {}", refusal(*why))));
    }
    if let Some((name, way)) = &facts.domain {
        check("DNS", judge_way(name, *way));
    }
    if let Some(limit) = facts.descriptors {
        let text = format!("at most {limit} (hard limit)");
        check(
            "open files",
            match limit < FILES {
                true => Outcome::Doubt(format!(
                    "{text}; {FILES} are wanted for many connections: LimitNOFILE= of the unit"
                )),
                false => Outcome::Fine(text),
            },
        );
    }
    check("disk", judge_room(facts.disk));
    checks
}

fn judge_address(name: &str, found: &io::Result<Vec<IpAddr>>, is_own: bool) -> Outcome {
    let way_out = "give --address, and let it lead to this machine";
    match found {
        Err(error) => Outcome::Doubt(format!("the other hosts cannot find {name} ({error}): {way_out}")),
        Ok(_) if is_own => Outcome::Fine(format!("{name} is this machine")),
        Ok(all) => {
            let all: Vec<_> = all.iter().map(IpAddr::to_string).collect();
            Outcome::Doubt(format!("{name} ({}) is not this machine: {way_out}", all.join(", ")))
        }
    }
}

fn judge_way(name: &str, way: Way) -> Outcome {
    match way {
        Way::Known => Outcome::Fine(format!("{name} has mail exchangers")),
        Way::Unknown => {
            Outcome::Doubt(format!("{name} has no MX record: nobody outside can send mail to it yet"))
        }
        Way::NoAnswer => Outcome::Doubt(
            "no name server answers: mail to others waits until one does; see /etc/resolv.conf".into(),
        ),
    }
}

fn judge_room(disk: io::Result<Room>) -> Outcome {
    match disk {
        Err(error) => Outcome::Doubt(format!("its free space is not known: {error}")),
        Ok(Room { free, .. }) if free < LEAST => {
            Outcome::Bad(format!("{} MB free, {} are needed", free >> 20, LEAST >> 20))
        }
        Ok(Room { is_memory: true, .. }) => {
            Outcome::Doubt("it is in memory: all mail is lost when the machine restarts".into())
        }
        Ok(Room { free, .. }) if free < ENOUGH => {
            Outcome::Doubt(format!("{} MB free; the log alone leaves the last 32 MB to the mail", free >> 20))
        }
        Ok(Room { free, .. }) => Outcome::Fine(format!("{} MB free", free >> 20)),
    }
}

fn refusal(why: io::ErrorKind) -> &'static str {
    match why {
        io::ErrorKind::AddrInUse => "another program has it: end that, or set another port",
        io::ErrorKind::PermissionDenied => {
            "only root may open it: start as root with --user, or by the systemd unit"
        }
        io::ErrorKind::AddrNotAvailable => "this machine has no such address: see listenAddresses",
        _ => "it cannot be opened",
    }
}

/// How long the name service may take.
const PATIENCE: Duration = Duration::from_secs(5);
/// Open files that a host should be allowed.
const FILES: u64 = 65_536;
/// Free bytes without which no host is made, and below which it is doubtful.
const LEAST: u64 = 64 << 20;
const ENOUGH: u64 = 1 << 30;
/// How Linux names a file system in memory.
const TMPFS: i64 = 0x0102_1994;

#[cfg(test)]
mod tests {
    use super::*;

    fn fine() -> Facts {
        Facts {
            address: Some(("venus".into(), Ok(vec![IpAddr::from([192, 0, 2, 1])]))),
            is_own: true,
            taken: Vec::new(),
            ports: 3,
            domain: Some(("example.com".into(), Way::Known)),
            descriptors: Some(1 << 20),
            disk: Ok(Room { free: 1 << 40, is_memory: false }),
        }
    }

    fn texts(facts: Facts) -> Vec<String> {
        judge(facts).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn what_is_fine_is_said_so() {
        let checks = judge(fine());
        assert!(checks.iter().all(|c| matches!(c.outcome, Outcome::Fine(_))), "{checks:?}");
        assert_eq!(checks.len(), 5);
    }

    #[test]
    fn what_is_not_names_the_way_out_and_only_a_full_disk_stops() {
        let elsewhere = texts(Facts { is_own: false, ..fine() });
        assert!(
            elsewhere[0].starts_with("doubt address") && elsewhere[0].contains("192.0.2.1"),
            "{elsewhere:?}"
        );
        let at = SocketAddr::from(([0, 0, 0, 0], 25));
        let taken = texts(Facts { taken: vec![(at, "smtp", io::ErrorKind::AddrInUse)], ..fine() });
        assert!(taken[1].contains("0.0.0.0:25 for smtp: another program has it"), "{taken:?}");
        let few = texts(Facts { descriptors: Some(1024), ..fine() });
        assert!(few[3].contains("LimitNOFILE"), "{few:?}");
        let memory = Facts { disk: Ok(Room { free: 1 << 40, is_memory: true }), ..fine() };
        assert!(!judge(memory).iter().any(Check::stops));
        let full = Facts { disk: Ok(Room { free: 1 << 20, is_memory: false }), ..fine() };
        assert!(judge(full).iter().any(Check::stops));
        let silent = texts(Facts { domain: Some(("example.com".into(), Way::NoAnswer)), ..fine() });
        assert!(silent[2].contains("resolv.conf"), "{silent:?}");
    }

    #[test]
    fn this_machine_is_looked_at() {
        let taken = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = taken.local_addr().unwrap().port();
        let text = format!("/*/common/listenAddresses: [127.0.0.1]\n/*/mta/SMTPPort: [{port}]\n");
        let tree = catalog::tree::Tree::parse(&text).unwrap();
        let host = mail::id::HostName::new("venus");
        let topology = Topology::of(&tree, &host);
        let settings = Settings::new("venus", "common", tree);
        let folder = tempfile::tempdir().unwrap();
        let said = |served| texts(look(&settings, &topology, &folder.path().join("a/b"), served)).join("\n");
        assert!(said(false).contains(&format!("127.0.0.1:{port} for smtp: another program has it")));
        assert!(is_public("example.com") && !is_public("example.test") && !is_public("localhost"));
        assert!(!said(true).contains("another program"), "what serves already has its own ports");
    }
}
