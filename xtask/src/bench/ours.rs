//! A fresh site of ours.

use super::contender::{Contender, DOMAIN, Group, PASSWORD, Ports, end};
use crate::workspace::must;
use anyhow::{Context, Result, ensure};
use std::fmt::Write as _;
use std::fs;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const PORTS: Ports = Ports { smtp: 13_025, lmtp: 13_024, pop3: 13_110, imap: 13_143 };

/// The calls that make something durable.
const SYNCS: &str = "trace=fsync,fdatasync,sync_file_range,msync,syncfs,sync";

/// A site of ours in a folder of its own.
pub(crate) struct Ours {
    program: PathBuf,
    folder: PathBuf,
    users: u64,
    group: Group,
    child: Option<Child>,
    /// A file for the number of syncs of each process from now on, counted by strace.
    count_syncs: Option<PathBuf>,
}

impl Ours {
    /// Served by this program, in this folder, with accounts u1 to u`users`.
    pub(crate) fn new(program: PathBuf, folder: PathBuf, users: u64) -> Self {
        Self { program, folder, users, group: Group::new("ours"), child: None, count_syncs: None }
    }

    /// Has strace count the syncs of the next process; the summary is written at its end. Only syncs stop under it.
    pub(crate) fn count_syncs(&mut self, summary: Option<PathBuf>) {
        self.count_syncs = summary;
    }

    fn serve(&self) -> Command {
        let mut command = match &self.count_syncs {
            None => self.group.command(&self.program),
            Some(summary) => {
                let mut strace = self.group.command(Path::new("strace"));
                // -D: the server stays our child, and the signals that end it reach it.
                strace.args(["-D", "-f", "--seccomp-bpf", "-c", "-e", SYNCS, "-o"]).arg(summary);
                strace.arg(&self.program);
                strace
            }
        };
        command.args(["serve", "--site"]).arg(&self.folder);
        command
    }

    /// How many accounts it has.
    pub(crate) fn users(&self) -> u64 {
        self.users
    }

    /// The process, while it runs.
    pub(crate) fn pid(&self) -> Option<u32> {
        self.child.as_ref().map(Child::id)
    }

    /// kill -9.
    pub(crate) fn kill(&mut self) -> Result<()> {
        if let Some(mut child) = self.child.take() {
            child.kill()?;
            child.wait()?;
        }
        Ok(())
    }

    fn configuration() -> String {
        let entries = [
            ("*/common/listenAddresses", "127.0.0.1".to_owned()),
            ("*/common/defaultDomain", DOMAIN.to_owned()),
            ("*/mta/SMTPPort", PORTS.smtp.to_string()),
            ("*/mta/lmtpPort", PORTS.lmtp.to_string()),
            ("*/mta/submissionPort", "0".to_owned()),
            ("*/mta/sslSMTPPort", "0".to_owned()),
            ("*/popserv/pop3Port", PORTS.pop3.to_string()),
            ("*/popserv/sslPop3Port", "0".to_owned()),
            ("*/imapserv/imap4Port", PORTS.imap.to_string()),
            ("*/imapserv/sslImap4Port", "0".to_owned()),
        ];
        let line = |(key, value): &(&str, String)| format!("/{key}: [{value}]\n");
        entries.iter().map(line).collect()
    }

    fn accounts(&self) -> String {
        let mut text = format!("CreateDomain {DOMAIN} local\n");
        for n in 1..=self.users {
            let _ = writeln!(text, "CreateAccount u{n} - - u{n} {PASSWORD} clear {DOMAIN} A S default");
        }
        text
    }
}

impl Contender for Ours {
    fn name(&self) -> &'static str {
        "InterMail"
    }

    fn ports(&self) -> Ports {
        PORTS
    }

    fn reset(&mut self) -> Result<()> {
        self.stop()?;
        let _ = fs::remove_dir_all(&self.folder);
        fs::create_dir_all(self.folder.join("config"))?;
        fs::write(self.folder.join("config/hostname"), "bench\n")?;
        fs::write(self.folder.join("config/config.db"), Self::configuration())?;
        let batch = self.folder.join("accounts");
        fs::write(&batch, self.accounts())?;
        self.start()?;
        must(
            Command::new(&self.program)
                .args(["imdbcontrol", "--site"])
                .args([&self.folder, &batch])
                .stdout(Stdio::null()),
        )?;
        self.stop()
    }

    fn start(&mut self) -> Result<()> {
        let child = self.serve().spawn();
        let child = self.child.insert(child.context("cannot start intermail")?);
        // Its socket comes last, and tells that it is this process that has the ports.
        let socket = self.folder.join("run/control.sock");
        let until = Instant::now() + Duration::from_secs(60);
        while UnixStream::connect(&socket).is_err() {
            ensure!(child.try_wait()?.is_none(), "intermail ended at its start");
            ensure!(Instant::now() < until, "intermail does not serve after a minute");
            std::thread::sleep(Duration::from_millis(2));
        }
        Ok(())
    }

    fn stop(&mut self) -> Result<()> {
        self.child.take().map_or(Ok(()), |mut child| end(&mut child))
    }

    fn drain(&self) -> String {
        // A 250 means that the message is in its mailbox.
        "echo 0".into()
    }

    fn group(&self) -> &Group {
        &self.group
    }
}

impl Drop for Ours {
    fn drop(&mut self) {
        let _ = self.stop();
    }
}
