//! A mail server that is measured: how it is started and stopped, where it listens, what belongs to it.

use anyhow::{Context, Result, bail};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// The domain of the accounts u1, u2, ...
pub(crate) const DOMAIN: &str = "bench.test";
/// The password of every account.
pub(crate) const PASSWORD: &str = "secret";

/// Where a server listens, on loopback.
#[derive(Clone, Copy)]
pub(crate) struct Ports {
    pub(crate) smtp: u16,
    pub(crate) lmtp: u16,
    pub(crate) pop3: u16,
    pub(crate) imap: u16,
}

/// A mail server.
pub(crate) trait Contender {
    /// Its name in the results.
    fn name(&self) -> &'static str;
    /// Where it listens.
    fn ports(&self) -> Ports;
    /// Removes its data and makes it anew, with all accounts; it is stopped.
    fn reset(&mut self) -> Result<()>;
    /// Starts it; it answers on every port when this returns.
    fn start(&mut self) -> Result<()>;
    /// Stops it; also where it is stopped.
    fn stop(&mut self) -> Result<()>;
    /// A shell command that prints how many accepted messages are not in a mailbox yet.
    fn drain(&self) -> String;
    /// The group of its processes.
    fn group(&self) -> &Group;
}

/// A control group that counts the processor time of everything that is started in it, also of what has ended.
pub(crate) struct Group {
    folder: PathBuf,
}

impl Group {
    /// A group of this name.
    pub(crate) fn new(name: &str) -> Self {
        let root = Path::new("/sys/fs/cgroup/cpuacct");
        Self { folder: root.join(format!("bench-{name}-{}", std::process::id())) }
    }

    /// The folder of the group, where the system has one.
    pub(crate) fn folder(&self) -> Option<&Path> {
        std::fs::create_dir_all(&self.folder).ok().map(|()| self.folder.as_path())
    }

    /// Runs the program in the group.
    pub(crate) fn command(&self, program: &Path) -> Command {
        let mut command = Command::new("sh");
        let join = "if [ -n \"$0\" ]; then echo $$ > \"$0/cgroup.procs\"; fi; exec \"$@\"";
        command.args(["-c", join]).arg(self.folder().unwrap_or(Path::new(""))).arg(program);
        command.stdin(Stdio::null());
        command
    }

    /// The processes in it.
    pub(crate) fn processes(&self) -> Vec<u32> {
        let text = std::fs::read_to_string(self.folder.join("cgroup.procs")).unwrap_or_default();
        text.lines().filter_map(|l| l.parse().ok()).collect()
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        // Where processes are left the system refuses, and that is right.
        let _ = std::fs::remove_dir(&self.folder);
    }
}

/// Waits until something listens on the port.
pub(crate) fn wait_for(port: u16) -> Result<()> {
    let until = Instant::now() + Duration::from_secs(60);
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    while Instant::now() < until {
        if TcpStream::connect_timeout(&address, Duration::from_secs(1)).is_ok() {
            return Ok(());
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    bail!("nothing listens on port {port}")
}

/// Asks the process to end, and makes it.
pub(crate) fn end(child: &mut Child) -> Result<()> {
    let pid = child.id().to_string();
    let _ = Command::new("kill").args(["-TERM", &pid]).status();
    let until = Instant::now() + Duration::from_secs(20);
    while Instant::now() < until {
        if child.try_wait()?.is_some() {
            return Ok(());
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    child.kill().context("a server does not end")?;
    child.wait()?;
    bail!("a server did not end within 20 seconds of SIGTERM")
}
