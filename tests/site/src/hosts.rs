//! A site of several hosts: each a folder and a process of its own on an address of its own of the loopback network,
//! made as an operator makes them, by `init`, `invite` and `init --join`.

use crate::connection::Connection;
use crate::program::{Account, Service, free_base, must, now, program};
use crate::tools::until;
use anyhow::{Context as _, Result, ensure};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::collections::BTreeMap;
use std::fs;
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;
use tempfile::TempDir;

/// How long a host may take to end.
const END: Duration = Duration::from_secs(20);

/// A host to be: its name, its servers, further entries of the configuration.
pub type Wish<'a> = (&'a str, &'a str, &'a [&'a str]);

/// The hosts of a site. Each listens on its own address, all on the same ports.
pub struct Hosts {
    folder: TempDir,
    /// The first host: it has the authority and the configuration.
    first: String,
    addresses: BTreeMap<String, Ipv4Addr>,
    base: u16,
    /// How hosts are started.
    verb: &'static str,
    processes: BTreeMap<String, Child>,
    shows: Shows,
}

/// What is printed of the logs at the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shows {
    All,
    Nothing,
}

impl Hosts {
    /// Makes the hosts and starts them all.
    ///
    /// # Errors
    /// With what the program said, where a host cannot be made or does not serve.
    pub fn start(wishes: &[Wish<'_>]) -> Result<Self> {
        Self::start_as("serve", wishes)
    }

    /// The same, each host under its manager.
    ///
    /// # Errors
    /// As [`Hosts::start`].
    pub fn start_managed(wishes: &[Wish<'_>]) -> Result<Self> {
        Self::start_as("manage", wishes)
    }

    fn start_as(verb: &'static str, wishes: &[Wish<'_>]) -> Result<Self> {
        let base = free_base().context("no free range of ports")?;
        let first = wishes.first().context("a site has a host")?.0.to_owned();
        let [a, b, c] = network();
        let addresses =
            (1..).zip(wishes).map(|(at, (name, ..))| (name.to_string(), Ipv4Addr::new(a, b, c, at)));
        let addresses = addresses.collect();
        let (folder, processes) = (tempfile::tempdir()?, BTreeMap::new());
        let mut hosts = Self { folder, first, addresses, base, verb, processes, shows: Shows::All };
        for (name, servers, entries) in wishes {
            hosts.make(name, servers, entries)?;
        }
        // Every host begins with the whole configuration.
        for (name, ..) in &wishes[1..] {
            let from = hosts.path(&hosts.first).join("config/config.db");
            fs::copy(from, hosts.path(name).join("config/config.db"))?;
        }
        for (name, ..) in wishes {
            hosts.begin(name)?;
        }
        Ok(hosts)
    }

    /// Prints nothing at the end: for a program, whose output nobody holds back.
    #[must_use]
    pub fn quietly(mut self) -> Self {
        self.shows = Shows::Nothing;
        self
    }

    fn make(&self, name: &str, servers: &str, entries: &[&str]) -> Result<()> {
        let (site, address) = (self.path(name).display().to_string(), self.address(name)?.to_string());
        let mut set: Vec<String> = vec!["/*/common/defaultDomain=example.test".into()];
        set.push(format!("/{name}/common/listenAddresses={address}"));
        for (server, key, service) in PORTS {
            set.push(format!("/{name}/{server}/{key}={}", self.port(service)));
        }
        set.extend(entries.iter().map(ToString::to_string));
        let set: Vec<&str> = set.iter().flat_map(|entry| ["--set", entry]).collect();
        let what = ["--roles", servers, "--address", &address];
        if name == self.first {
            return must(&[&["init", "--site", &site, "--host", name], &what[..], &set].concat()).map(drop);
        }
        let first = self.path(&self.first).display().to_string();
        let file = self.folder.path().join(format!("{name}.invitation")).display().to_string();
        must(&[&["invite", "--site", &first, name, "--out", &file], &what[..], &set].concat())?;
        must(&["init", "--site", &site, "--join", &file]).map(drop)
    }

    /// Starts a host that does not run, and returns when it serves.
    ///
    /// # Errors
    /// With what it said, where it does not.
    pub fn begin(&mut self, name: &str) -> Result<()> {
        ensure!(!self.processes.contains_key(name), "{name} runs already");
        let said = self.folder.path().join(format!("{name}.said"));
        let errors = fs::File::create(&said)?;
        let mut command = Command::new(program()?);
        command.arg(self.verb).arg("--site").arg(self.path(name)).env_remove("INTERMAIL");
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(errors).spawn()?;
        let ready = self.path(name).join("run/control.sock");
        let begun = until("the host serves", || {
            ensure!(child.try_wait()?.is_none(), "{name}: {}", fs::read_to_string(&said)?);
            Ok(std::os::unix::net::UnixStream::connect(&ready).is_ok())
        });
        self.processes.insert(name.to_owned(), child);
        begun
    }

    /// Ends a host at once, as a loss of power would.
    ///
    /// # Errors
    /// Where it does not run.
    pub fn kill(&mut self, name: &str) -> Result<()> {
        let mut child = self.processes.remove(name).with_context(|| format!("{name} does not run"))?;
        child.kill()?;
        child.wait()?;
        Ok(())
    }

    /// Ends a host in order.
    ///
    /// # Errors
    /// Where it does not run, or does not end.
    pub fn stop(&mut self, name: &str) -> Result<()> {
        let mut child = self.processes.remove(name).with_context(|| format!("{name} does not run"))?;
        signal(&child, Signal::SIGTERM)?;
        let begun = now();
        while child.try_wait()?.is_none() {
            if begun.elapsed() > END {
                child.kill()?;
                anyhow::bail!("{name} does not end");
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        Ok(())
    }

    /// Lets a host stand still, as one does that cannot be reached any more, until [`Hosts::thaw`].
    ///
    /// # Errors
    /// Where it does not run.
    pub fn freeze(&self, name: &str) -> Result<()> {
        signal(self.process(name)?, Signal::SIGSTOP)
    }

    /// Lets a host go on that stood still.
    ///
    /// # Errors
    /// Where it does not run.
    pub fn thaw(&self, name: &str) -> Result<()> {
        signal(self.process(name)?, Signal::SIGCONT)
    }

    fn process(&self, name: &str) -> Result<&Child> {
        self.processes.get(name).with_context(|| format!("{name} does not run"))
    }

    /// The site folder of a host.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn port(&self, service: Service) -> u16 {
        self.base + service as u16
    }

    /// Where a service of a host is reached.
    ///
    /// # Errors
    /// Where there is no such host.
    pub fn place(&self, host: &str, service: Service) -> Result<(Ipv4Addr, u16)> {
        Ok((self.address(host)?, self.port(service)))
    }

    /// A connection to a service of a host.
    ///
    /// # Errors
    /// Where nobody answers.
    pub fn connect(&self, host: &str, service: Service) -> Result<Connection> {
        let (address, port) = self.place(host, service)?;
        Connection::open_at(address, port)
    }

    fn address(&self, host: &str) -> Result<Ipv4Addr> {
        self.addresses.get(host).copied().with_context(|| format!("no host {host}"))
    }

    /// Runs an administrative command on a host; it must succeed.
    ///
    /// # Errors
    /// With what it said.
    pub fn must(&self, host: &str, words: &[&str]) -> Result<String> {
        let site = self.path(host).display().to_string();
        must(&[&words[..1], &["--site", &site], &words[1..]].concat())
    }

    /// Makes an account whose mailbox is on this host.
    ///
    /// # Errors
    /// With what the command said.
    pub fn account(&self, account: Account, home: &str) -> Result<()> {
        let (name, domain) = account.address.split_once('@').context("an address")?;
        let words = ["imdbcontrol", "ca", name, home, "-", name, account.password, "clear", domain];
        self.must(&self.first, &words).map(drop)
    }

    /// The lines of a host's logs.
    ///
    /// # Errors
    /// Where they cannot be read.
    pub fn log(&self, name: &str) -> Result<String> {
        let mut text = String::new();
        for entry in fs::read_dir(self.path(name).join("log"))?.flatten() {
            if entry.path().extension().is_some_and(|e| e == "log") {
                text.push_str(&fs::read_to_string(entry.path())?);
            }
        }
        Ok(text)
    }
}

impl Drop for Hosts {
    fn drop(&mut self) {
        // Servers whose manager is killed would drain for some seconds beside the next test.
        let managers: Vec<_> = self.processes.keys().filter(|_| self.verb == "manage").cloned().collect();
        for name in managers {
            let _ = self.stop(&name);
        }
        for child in self.processes.values_mut() {
            let _ = child.kill();
            let _ = child.wait();
        }
        // Shown by the test harness only where the test fails.
        if self.shows == Shows::All {
            self.show();
        }
    }
}

impl Hosts {
    /// Prints the logs of all hosts, for whoever looks into a test that failed.
    fn show(&self) {
        let folders = fs::read_dir(self.folder.path()).into_iter().flatten().flatten();
        for name in folders.filter(|e| e.path().is_dir()).filter_map(|e| e.file_name().into_string().ok()) {
            println!("--- {name}\n{}", self.log(&name).unwrap_or_default());
        }
    }
}

/// Keys of the ports for clients.
const PORTS: [(&str, &str, Service); 8] = [
    ("mta", "SMTPPort", Service::Smtp),
    ("mta", "lmtpPort", Service::Lmtp),
    ("mta", "submissionPort", Service::Submission),
    ("mta", "sslSMTPPort", Service::Submissions),
    ("popserv", "pop3Port", Service::Pop3),
    ("popserv", "sslPop3Port", Service::Pop3s),
    ("imapserv", "imap4Port", Service::Imap),
    ("imapserv", "sslImap4Port", Service::Imaps),
];

/// The first three numbers of addresses that no other site of a test has: by process, by site.
fn network() -> [u8; 3] {
    static SITES: AtomicU8 = AtomicU8::new(0);
    let process = u8::try_from(std::process::id() % 200).unwrap_or_default();
    [127, 20 + process, SITES.fetch_add(1, Ordering::Relaxed)]
}

fn signal(child: &Child, signal: Signal) -> Result<()> {
    let pid = i32::try_from(child.id()).context("no such process id")?;
    kill(Pid::from_raw(pid), signal).context("the host cannot be signalled")
}
