//! Machines of a test: network namespaces on one bridge, each with an address of its own and all ports free.

use crate::tools::{client, run};
use anyhow::{Context as _, Result};
use std::ffi::OsStr;
use std::net::Ipv4Addr;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

/// The machines. They go with it, once nobody runs in them any more.
pub struct Network {
    prefix: String,
    hosts: Vec<String>,
}

impl Network {
    /// Makes one machine for each name; `None` where the test may not.
    ///
    /// # Errors
    /// Where `ip` refuses.
    pub fn of(hosts: &[&str]) -> Result<Option<Self>> {
        if !nix::unistd::Uid::effective().is_root() {
            println!("passed over: only root makes network namespaces");
            return Ok(None);
        }
        if client("ip").is_none() {
            return Ok(None);
        }
        static NETWORKS: AtomicU32 = AtomicU32::new(0);
        let prefix = format!("im{}-{}-", std::process::id(), NETWORKS.fetch_add(1, Ordering::Relaxed));
        let hosts = hosts.iter().map(ToString::to_string).collect();
        let network = Self { prefix, hosts };
        network.make()?;
        Ok(Some(network))
    }

    fn make(&self) -> Result<()> {
        let bridge = self.name(BRIDGE);
        ip(&["netns", "add", &bridge])?;
        ip(&["-n", &bridge, "link", "add", "bridge", "type", "bridge"])?;
        ip(&["-n", &bridge, "link", "set", "bridge", "up"])?;
        for (number, host) in self.hosts.iter().enumerate() {
            let (inside, cable) = (self.name(host), format!("v{number}"));
            let address = format!("{}/24", self.address(host)?);
            ip(&["netns", "add", &inside])?;
            let link = ["-n", &bridge, "link", "add", &cable, "type", "veth", "peer", "name", "eth0"];
            ip(&[&link[..], &["netns", &inside]].concat())?;
            ip(&["-n", &bridge, "link", "set", &cable, "master", "bridge", "up"])?;
            ip(&["-n", &inside, "addr", "add", &address, "dev", "eth0"])?;
            ip(&["-n", &inside, "link", "set", "eth0", "up"])?;
            ip(&["-n", &inside, "link", "set", "lo", "up"])?;
        }
        Ok(())
    }

    /// The address of a machine.
    ///
    /// # Errors
    /// Where there is none of this name.
    pub fn address(&self, host: &str) -> Result<Ipv4Addr> {
        let number = self.hosts.iter().position(|name| name == host).with_context(|| format!("no {host}"))?;
        Ok(Ipv4Addr::new(10, 77, 0, u8::try_from(number + 1)?))
    }

    /// A program that runs on a machine.
    pub fn on(&self, host: &str, program: impl AsRef<OsStr>) -> Command {
        let mut command = client("ip").unwrap_or_else(|| Command::new("ip"));
        command.args(["netns", "exec", &self.name(host)]).arg(program);
        command
    }

    fn name(&self, host: &str) -> String {
        format!("{}{host}", self.prefix)
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        for host in self.hosts.iter().map(String::as_str).chain([BRIDGE]) {
            let _ = ip(&["netns", "del", &self.name(host)]);
        }
    }
}

/// The name of the namespace that has the bridge.
const BRIDGE: &str = "bridge";

fn ip(words: &[&str]) -> Result<()> {
    let mut command = client("ip").context("no ip")?;
    command.args(words);
    run(command).map(drop)
}
