//! One configuration for many processes: a change that all follow, one that is tried first, who has what.

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use site::connection::Connection;
use site::program::{Service, Site, Wish, free_base, now, program};
use site::smtp::Smtp;
use site::tools::{output, said, succeeded, until};
use std::fmt::Write as _;
use std::fs;
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// How many processes follow one file.
const PROCESSES: u16 = 20;
/// How long a change may take until it is in force in all of them. What is promised is one second; the machine may be
/// busy with other tests.
const IN_FORCE_WITHIN: Duration = Duration::from_secs(3);

/// A process of its own over a site of its own, which shares its `config.db` with others.
struct Process {
    child: Child,
    port: u16,
    site: PathBuf,
}

impl Process {
    fn start(folder: &Path, number: u16, port: u16, shared: &Path) -> Result<Self> {
        let site = folder.join(format!("site{number}"));
        fs::create_dir_all(site.join("config"))?;
        fs::write(site.join("config/hostname"), format!("host{number}\n"))?;
        symlink(shared, site.join("config/config.db"))?;
        let mut command = Command::new(program()?);
        command.arg("serve").arg("--site").arg(&site).stdin(Stdio::null()).stdout(Stdio::null());
        let errors = fs::File::create(folder.join(format!("stderr{number}")))?;
        Ok(Self { child: command.stderr(errors).spawn()?, port, site })
    }

    /// The greeting of a new connection.
    fn greeting(&self) -> Result<String> {
        Connection::open(self.port)?.line()
    }

    fn command(&self, words: &[&str]) -> Result<String> {
        let mut command = Command::new(program()?);
        command.args(words).env("INTERMAIL", &self.site).stdin(Stdio::null());
        succeeded(&words.join(" "), output(command)?)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A configuration in which each host serves SMTP on a port of its own, and nothing else.
fn configuration(ports: &[u16]) -> String {
    let mut text = "/*/common/listenAddresses: [127.0.0.1]\n/*/mss/numMssPorts: [1]\n".to_owned();
    for server in ["imconfserv", "popserv", "imapserv"] {
        let _ = writeln!(text, "/*/sysadmin/{server}_run: [off]");
    }
    for key in ["submissionPort", "sslSMTPPort", "lmtpPort"] {
        let _ = writeln!(text, "/*/mta/{key}: [0]");
    }
    for (number, port) in (0..).zip(ports) {
        let _ = writeln!(text, "/host{number}/mta/SMTPPort: [{port}]");
    }
    text
}

/// How long after this moment the process has the change.
fn in_force(process: &Process, begun: Instant) -> Result<Duration> {
    until("the change is in force", || Ok(process.greeting()?.contains("changed once")))?;
    Ok(begun.elapsed())
}

#[test]
fn a_key_changed_once_is_in_force_in_twenty_processes_and_no_session_is_dropped() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let base = free_base().context("no free range of ports")?;
    let free = |port: &u16| TcpListener::bind((Ipv4Addr::LOCALHOST, *port)).is_ok();
    let ports: Vec<_> = (base + 200..base + 400).filter(free).take(PROCESSES.into()).collect();
    let shared = folder.path().join("config.db");
    fs::write(&shared, configuration(&ports))?;
    let start = |(number, port): (u16, &u16)| Process::start(folder.path(), number, *port, &shared);
    let processes = (0..).zip(&ports).map(start).collect::<Result<Vec<_>>>()?;
    for process in &processes {
        until("the process serves", || Ok(process.greeting().is_ok()))?;
    }
    let sessions = processes.iter().map(|process| Connection::open(process.port)).collect::<Result<Vec<_>>>();
    let mut sessions = sessions?;
    for session in &mut sessions {
        session.line()?;
    }
    // By an editor, as it were: no process is told.
    let changed = fs::read_to_string(&shared)? + "/*/mta/banners: [changed once]\n";
    let new = folder.path().join("new");
    fs::write(&new, changed)?;
    let begun = now();
    fs::rename(&new, &shared)?;
    let took = std::thread::scope(|scope| -> Result<Vec<Duration>> {
        let threads = processes.iter().map(|process| scope.spawn(move || in_force(process, begun)));
        let threads: Vec<_> = threads.collect();
        threads.into_iter().map(|thread| thread.join().ok().context("a thread died")?).collect()
    })?;
    let last = took.iter().max().copied().unwrap_or_default();
    println!("in force in {} processes after {last:?}", took.len());
    ensure!(took.len() == usize::from(PROCESSES) && last < IN_FORCE_WITHIN, "{took:?}");
    for session in &mut sessions {
        session.send_line("NOOP")?;
        ensure!(session.line()?.starts_with("250"), "a session was dropped");
    }
    // And a bad value is refused with its reason, in none of them in force.
    let refused = processes[0].command(&["imconfcontrol", "-install", "-key", "/*/mta/maxMessageSize=much"]);
    let refused = refused.err().map(|error| error.to_string()).unwrap_or_default();
    ensure!(refused.contains("/*/mta/maxMessageSize: [much]: expected a whole number"), "{refused}");
    Ok(())
}

/// What the site has besides what `try` wrote.
fn text(site: &Site) -> Result<String> {
    Ok(fs::read_to_string(site.path().join("config/config.db"))?)
}

#[test]
fn a_change_that_its_host_bears_is_spread_and_one_that_it_does_not_is_taken_back() -> Result<()> {
    let site = Site::fresh()?;
    let before = text(&site)?;
    let mut session = Smtp::connect(&site, Service::Smtp)?;
    // Valid, and no client of this host can reach POP any more.
    let line =
        ["imconfcontrol", "-stage", "localhost", "-watch", "60", "-key", "/*/popserv/allowedIPs=192.0.2.1"];
    let taken_back = site.command(&line)?;
    let why = said(&taken_back);
    ensure!(!taken_back.status.success() && why.contains("localhost: popserv does not answer"), "{why}");
    ensure!(text(&site)? == before, "the file is not as it was");
    until("POP answers again", || Ok(site.connect(Service::Pop3)?.line_or_end()?.starts_with("+OK")))?;
    ensure!(site.event("ConfRolledBack")?.contains("popserv does not answer"));
    let listed = site.must(&["imconfcontrol", "-list"])?;
    ensure!(listed.contains("taken back: localhost: popserv does not answer"), "{listed}");
    let line = ["imconfcontrol", "-stage", "localhost", "-watch", "1", "-key", "/*/mta/banners=tried"];
    let spread = site.must(&line)?;
    ensure!(spread.contains("/localhost/mta/banners is tried") && spread.contains("spread"), "{spread}");
    let after = text(&site)?;
    ensure!(after == format!("{before}/*/mta/banners: [tried]\n"), "{after}");
    ensure!(site.connect(Service::Smtp)?.line()?.contains("tried"));
    session.must("NOOP", 250)?;
    Ok(())
}

#[test]
fn a_site_that_dies_while_a_change_is_tried_has_it_taken_back_when_it_starts() -> Result<()> {
    let mut site = Wish::default().entry("/*/mta/banners: [before]").start()?;
    let before = text(&site)?;
    let mut command = Command::new(program()?);
    command.args(["imconfcontrol", "-stage", "localhost", "-watch", "600", "-key", "/*/mta/banners=tried"]);
    command.env("INTERMAIL", site.path()).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let mut waiting = command.spawn()?;
    until("the change is tried", || Ok(site.connect(Service::Smtp)?.line()?.contains("tried")))?;
    ensure!(text(&site)?.contains("/localhost/mta/banners: [tried]"));
    site.kill()?;
    ensure!(!waiting.wait()?.success(), "nobody is left who could say that it is well");
    site.start()?;
    until("it is taken back", || Ok(site.connect(Service::Smtp)?.line()?.contains("before")))?;
    ensure!(text(&site)? == before, "the file is not as it was");
    let listed = site.must(&["imconfcontrol", "-list"])?;
    ensure!(listed.contains("the configuration server began anew"), "{listed}");
    Ok(())
}

#[test]
fn what_waits_for_a_restart_and_what_was_changed_by_hand_is_reported() -> Result<()> {
    let site = Site::fresh()?;
    let drift = || -> Result<(bool, Value)> {
        let said = site.command(&["imconfcontrol", "-json", "-drift"])?;
        let value: Value = serde_json::from_slice(&said.stdout)?;
        Ok((said.status.success(), value["processes"][0].clone()))
    };
    let (fine, process) = drift()?;
    ensure!(fine && process["current"] == true && process["by_hand"] == Value::Null, "{process}");
    site.must(&["imconfcontrol", "-install", "-key", "/*/popserv/listenAddresses=127.0.0.1"])?;
    let (fine, process) = drift()?;
    ensure!(fine, "its servers read the same as before: {process}");
    let certificate = site.path().join("lib/certs/im_default_certs.txt");
    let entry = format!("/*/popserv/sslCertChainPathAndFile={}", certificate.display());
    site.must(&["imconfcontrol", "-install", "-key", &entry])?;
    let (fine, process) = drift()?;
    ensure!(!fine && process["waiting"][0] == "popserv/sslCertChainPathAndFile", "{process}");
    site.must(&["imservctrl", "restart", "popserv"])?;
    let (fine, process) = drift()?;
    ensure!(fine && process["version"] == 2, "{process}");
    fs::write(site.path().join("config/config.db"), text(&site)? + "/*/mta/banners: [by hand]\n")?;
    until("the change by hand is in force and reported", || {
        let (fine, process) = drift()?;
        Ok(fine && process["by_hand"].is_string() && process["version"] == 3)
    })?;
    let shown = site.must(&["imconfcontrol", "-drift"])?;
    ensure!(
        shown.contains("version 3 is to hold everywhere") && shown.contains("changed by hand"),
        "{shown}"
    );
    Ok(())
}

#[test]
fn its_14826_the_configuration_server_is_first_and_can_be_stopped_and_started() -> Result<()> {
    let site = Site::fresh()?;
    let shown = site.must(&["imservdisplay"])?;
    let first = shown.lines().nth(1).unwrap_or_default();
    ensure!(first.contains("imconfserv") && first.contains("running"), "{shown}");
    site.must(&["imservping", "imconfserv"])?;
    site.must(&["imctrl", "localhost", "stop", "imconfserv"])?;
    let gone = site.command(&["imconfcontrol", "-drift"])?;
    ensure!(!gone.status.success() && said(&gone).contains("imconfserv does not run"), "{}", said(&gone));
    // Nobody stands on it: a change is made and followed all the same.
    site.must(&["imconfcontrol", "-install", "-key", "/*/mta/banners=without it"])?;
    ensure!(site.connect(Service::Smtp)?.line()?.contains("without it"));
    site.must(&["imctrl", "localhost", "start", "imconfserv"])?;
    site.must(&["imconfcontrol", "-drift"])?;
    Ok(())
}

#[test]
fn its_12340_a_form_is_put_into_the_configuration_and_stays() -> Result<()> {
    let site = Site::fresh()?;
    let form = site.scratch().join("config.form");
    let entries = "# filled in\n/*/mta/banners: [of the form]\n";
    fs::write(&form, entries)?;
    site.must(&["imconfformput", &form.display().to_string()])?;
    ensure!(site.connect(Service::Smtp)?.line()?.contains("of the form"));
    ensure!(fs::read_to_string(&form)? == entries);
    Ok(())
}
