//! The examples of `deploy`, run as they stand, each host a machine of its own on the standard ports; used with swaks and
//! curl as anybody would.

use anyhow::{Context as _, Result, ensure};
use site::namespaces::Network;
use site::program::program;
use site::tools::{run, until};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use tempfile::TempDir;
use testkit::postgres::{Care, Postgres};

/// A folder of the test, with the program under its name in `bin`.
struct Workshop {
    folder: TempDir,
    servers: Vec<Child>,
}

impl Workshop {
    fn new() -> Result<Self> {
        let folder = tempfile::tempdir()?;
        std::fs::create_dir(folder.path().join("bin"))?;
        std::os::unix::fs::symlink(program()?.canonicalize()?, folder.path().join("bin/intermail"))?;
        Ok(Self { folder, servers: Vec::new() })
    }

    fn site(&self, host: &str) -> PathBuf {
        self.folder.path().join(host)
    }

    /// Gives a command the program on its path, the site of this host, and the folder to work in.
    fn fitted(&self, mut command: Command, host: &str) -> Command {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let bin = std::iter::once(self.folder.path().join("bin"));
        let path = std::env::join_paths(bin.chain(std::env::split_paths(&path))).unwrap_or(path);
        command.env("PATH", path).env("INTERMAIL", self.site(host)).current_dir(self.folder.path());
        command
    }

    fn intermail(&self, network: &Network, host: &str, words: &[&str]) -> Command {
        let mut command = self.fitted(network.on(host, "intermail"), host);
        command.args(words);
        command
    }

    /// Starts a host, and returns when it answers commands.
    fn serve(&mut self, network: &Network, host: &str) -> Result<()> {
        let mut command = self.intermail(network, host, &["serve"]);
        let errors = std::fs::File::create(self.folder.path().join(format!("{host}.said")))?;
        self.servers.push(command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(errors).spawn()?);
        let socket = self.site(host).join("run/control.sock");
        until("the host serves", || Ok(std::os::unix::net::UnixStream::connect(&socket).is_ok()))
            .with_context(|| {
                std::fs::read_to_string(self.folder.path().join(format!("{host}.said"))).unwrap_or_default()
            })
    }
}

impl Drop for Workshop {
    fn drop(&mut self) {
        for server in &mut self.servers {
            let _ = server.kill();
            let _ = server.wait();
        }
    }
}

/// The script of an example.
fn script(example: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy").join(example).join("make.sh")
}

fn account(home: &str) -> [&str; 9] {
    ["imdbcontrol", "ca", "alice", home, "-", "alice", "a-secret", "clear", "example.test"]
}

/// Sends from a machine to a host by swaks, and reads it at another by curl.
fn mail_goes(network: &Network, at: &str, to: &str, from: &str, subject: &str) -> Result<()> {
    let server = network.address(to)?.to_string();
    // A domain that has just been made is another site's on other hosts until their copies have heard of it.
    let mut last = String::new();
    let taken = until("the message is taken", || {
        let mut swaks = network.on(at, "swaks");
        swaks.args(["--to", "alice@example.test", "--from", "x@remote.test", "--server", &server]);
        swaks.args(["--header", &format!("Subject: {subject}")]);
        last = run(swaks).err().map(|error| error.to_string()).unwrap_or_default();
        Ok(last.is_empty())
    });
    taken.with_context(|| last)?;
    let url = format!("imaps://{}/INBOX;MAILINDEX=*", network.address(from)?);
    until("the message can be read", || {
        let mut curl = network.on(at, "curl");
        curl.args(["-sS", "--insecure", "--user", "alice@example.test:a-secret", &url]);
        Ok(run(curl).is_ok_and(|text| text.contains(&format!("Subject: {subject}"))))
    })
}

#[test]
fn one_host_is_made_by_its_script_and_serves_on_the_standard_ports() -> Result<()> {
    let Some(network) = Network::of(&["venus"])? else { return Ok(()) };
    let mut workshop = Workshop::new()?;
    let make = || {
        let mut make = workshop.fitted(network.on("venus", script("one-host")), "venus");
        make.env("DOMAIN", "example.test").env("HOST", "venus");
        run(make)
    };
    let said = make()?;
    ensure!(said.contains("all 7 can be opened"), "{said}");
    ensure!(make()?.contains("everything is so already"), "again is nothing");
    workshop.serve(&network, "venus")?;
    run(workshop.intermail(&network, "venus", &account("venus")))?;
    mail_goes(&network, "venus", "venus", "venus", "one host")
}

#[test]
fn six_hosts_are_made_by_their_script_and_serve_each_on_its_machine() -> Result<()> {
    let names = ["venus", "jove", "juno", "mars", "minerva", "vulcan"];
    let Some(network) = Network::of(&[&names[..], &["client"]].concat())? else { return Ok(()) };
    let database = Postgres::start(Care::Fast);
    let mut workshop = Workshop::new()?;
    let mut make = workshop.fitted(network.on("venus", script("six-hosts")), "venus");
    make.env("DOMAIN", "example.test").env("DATABASE", database.database());
    for name in names {
        make.env(name.to_uppercase(), network.address(name)?.to_string());
    }
    run(make)?;
    for name in &names[1..] {
        let invitation = format!("{name}.invitation");
        let site = workshop.site(name).display().to_string();
        let words = ["init", "--site", &site, "--join", &invitation];
        let said = run(workshop.intermail(&network, name, &words))?;
        ensure!(said.contains("is this machine"), "{said}");
    }
    for name in names {
        workshop.serve(&network, name)?;
    }
    run(workshop.intermail(&network, "venus", &account("mars")))?;
    // In at one front end, out at the other.
    mail_goes(&network, "client", "jove", "juno", "six hosts")?;
    let said = run(workshop.intermail(&network, "juno", &["imboxstats", "alice@example.test"]))?;
    ensure!(said.contains("on mars"), "{said}");
    Ok(())
}
