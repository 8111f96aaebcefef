//! The real program, serving a fresh site in a temporary folder on ports of its own.
//!
//! A site ends with the test that began it, by its process id, and takes its folder along; the end of its log
//! is printed first, which the test harness shows where the test fails.

use crate::connection::Connection;
use anyhow::{Context as _, Result, bail, ensure};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::fs;
use std::io::{BufRead as _, BufReader};
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::mpsc;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// Names the program; without it the one in cargo's target folder is taken.
const PROGRAM: &str = "INTERMAIL_PROGRAM";
/// How long a site may take until it serves. Generous: the machine may be busy.
const START: Duration = Duration::from_secs(30);
/// How long it may take to end: what is promised for SIGTERM, and some for a busy machine.
const END: Duration = Duration::from_secs(15);
/// How many ranges of ports are tried before giving up.
const ATTEMPTS: u16 = 25;
/// The line of the greeting after which everything serves.
const READY: &str = "Ctrl-C";
/// How much of each log file is shown when a test fails.
const SHOWN: usize = 40;

/// The account that every site has unless others are asked for.
pub const ALICE: Account = Account { address: "alice@example.test", password: "alice-secret" };
/// A second one.
pub const BOB: Account = Account { address: "bob@example.test", password: "bob-secret" };

/// An account and its password.
#[derive(Debug, Clone, Copy)]
pub struct Account {
    /// Its address, which is its login name too.
    pub address: &'static str,
    /// Its password.
    pub password: &'static str,
}

/// What is listened to; the number is the standard's port.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u16)]
pub enum Service {
    /// Mail from other servers.
    Smtp = 25,
    /// Mail from another MTA in front.
    Lmtp = 24,
    /// Mail from users.
    Submission = 587,
    /// The same, TLS from the first byte.
    Submissions = 465,
    /// POP3.
    Pop3 = 110,
    /// The same, TLS from the first byte.
    Pop3s = 995,
    /// IMAP.
    Imap = 143,
    /// The same, TLS from the first byte.
    Imaps = 993,
}

impl Service {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::Smtp,
        Self::Lmtp,
        Self::Submission,
        Self::Submissions,
        Self::Pop3,
        Self::Pop3s,
        Self::Imap,
        Self::Imaps,
    ];

    /// By the name that IANA gave it.
    pub fn by_name(name: &str) -> Option<Self> {
        Some(match name {
            "smtp" => Self::Smtp,
            "lmtp" => Self::Lmtp,
            "submission" => Self::Submission,
            "submissions" => Self::Submissions,
            "pop3" => Self::Pop3,
            "pop3s" => Self::Pop3s,
            "imap" => Self::Imap,
            "imaps" => Self::Imaps,
            _ => return None,
        })
    }

    pub(crate) fn is_tls(self) -> bool {
        matches!(self, Self::Submissions | Self::Pop3s | Self::Imaps)
    }
}

/// What a site is to be like.
#[derive(Debug, Default, Clone)]
pub struct Wish {
    accounts: Vec<String>,
    entries: Vec<String>,
    descriptors: Option<String>,
}

impl Wish {
    /// A further account. Without any, the site has [`ALICE`] and [`BOB`].
    #[must_use]
    pub fn account(mut self, address: &str, password: &str) -> Self {
        self.accounts.push(format!("{address}:{password}"));
        self
    }

    /// A line of `config.db`.
    #[must_use]
    pub fn entry(mut self, line: &str) -> Self {
        self.entries.push(line.to_owned());
        self
    }

    /// Limits of open files, soft and hard, as the program finds them.
    #[must_use]
    pub fn descriptors(mut self, soft: u32, hard: u32) -> Self {
        self.descriptors = Some(format!("--nofile={soft}:{hard}"));
        self
    }

    /// Makes the site and returns when it serves.
    ///
    /// # Errors
    /// Says what the program printed, where it does not come up.
    pub fn start(self) -> Result<Site> {
        let folder = tempfile::tempdir()?;
        let site = folder.path().join("site");
        fs::create_dir_all(site.join("config"))?;
        let entries: String = self.entries.iter().map(|e| format!("{e}\n")).collect();
        fs::write(site.join("config/config.db"), entries)?;
        let mut accounts = self.accounts;
        if accounts.is_empty() {
            accounts = [ALICE, BOB].iter().map(|a| format!("{}:{}", a.address, a.password)).collect();
        }
        let descriptors = self.descriptors;
        let mut site = Site { folder, base: 0, accounts, descriptors, process: None, managed: false };
        site.start()?;
        Ok(site)
    }
}

/// A site that serves, or that has been stopped and may be started again.
pub struct Site {
    folder: TempDir,
    base: u16,
    accounts: Vec<String>,
    descriptors: Option<String>,
    process: Option<Child>,
    /// Its process is a manager: its servers are processes of their own.
    managed: bool,
}

impl Site {
    /// A site as a newcomer has it.
    ///
    /// # Errors
    /// As [`Wish::start`].
    pub fn fresh() -> Result<Self> {
        Wish::default().start()
    }

    /// A site in a folder that the closure makes: it is given the path, at which there is nothing yet.
    ///
    /// # Errors
    /// What the closure says; as [`Wish::start`].
    pub fn made_by(make: impl FnOnce(&Path) -> Result<()>) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        make(&folder.path().join("site"))?;
        let accounts = [ALICE, BOB].iter().map(|a| format!("{}:{}", a.address, a.password)).collect();
        let mut site = Self { folder, base: 0, accounts, descriptors: None, process: None, managed: false };
        site.start()?;
        Ok(site)
    }

    /// Starts it again after [`Site::stop`] or [`Site::kill`], on the ports it had; the mail is still there.
    ///
    /// # Errors
    /// As [`Wish::start`].
    pub fn start(&mut self) -> Result<()> {
        ensure!(self.process.is_none(), "the site serves already");
        for _ in 0..ATTEMPTS {
            if self.base == 0 || !is_free(self.base) {
                self.base = free_base().context("no free range of ports")?;
            }
            match self.serve() {
                Ok(()) => return Ok(()),
                Err(Unready::PortTaken) => self.kill()?,
                Err(Unready::Failed(why)) => bail!("the program does not serve: {why}\n{}", self.logs()),
            }
        }
        bail!("no range of ports was free {ATTEMPTS} times")
    }

    /// Starts a site that has been stopped as a daemon that gives its rights away, to this user.
    ///
    /// # Errors
    /// With what the program said, where it does not serve.
    pub fn start_as(&mut self, user: &str) -> Result<()> {
        ensure!(self.process.is_none(), "the site serves already");
        // The user has to reach its site.
        fs::set_permissions(self.folder.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755))?;
        let mut command = Command::new(program()?);
        command.arg("serve").arg("--site").arg(self.path()).args(["--user", user]);
        let errors = fs::File::create(self.folder.path().join("stderr"))?;
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(errors).spawn()?;
        self.process = Some(child);
        crate::tools::until("the site serves", || {
            let ended = self.process.as_mut().map(Child::try_wait).transpose()?.flatten();
            ensure!(ended.is_none(), "{}", fs::read_to_string(self.folder.path().join("stderr"))?);
            Ok(self.command(&["imservping"])?.status.success())
        })
    }

    /// Starts a site that has been stopped under a manager, and returns when every server responds.
    ///
    /// # Errors
    /// With what the program said, where it does not serve.
    pub fn start_managed(&mut self) -> Result<()> {
        ensure!(self.process.is_none(), "the site serves already");
        let mut command = Command::new(program()?);
        command.arg("manage").arg("--site").arg(self.path());
        self.managed = true;
        let errors = fs::File::create(self.folder.path().join("stderr"))?;
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(errors).spawn()?;
        self.process = Some(child);
        crate::tools::until("the site serves", || {
            let ended = self.process.as_mut().map(Child::try_wait).transpose()?.flatten();
            ensure!(ended.is_none(), "{}", fs::read_to_string(self.folder.path().join("stderr"))?);
            Ok(self.command(&["imservping"])?.status.success())
        })
    }

    fn serve(&mut self) -> Result<(), Unready> {
        let mut command = self.limited(&program()?);
        command.arg("try").arg("--site").arg(self.path()).arg("--base-port").arg(self.base.to_string());
        for account in &self.accounts {
            command.arg("--account").arg(account);
        }
        let errors = fs::File::create(self.folder.path().join("stderr"))?;
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(errors);
        let mut child = command.spawn()?;
        let output = child.stdout.take().context("no standard output")?;
        self.process = Some(child);
        if wait_for_line(output) {
            return Ok(());
        }
        let said = fs::read_to_string(self.folder.path().join("stderr"))?;
        match said.contains("cannot listen") || said.contains("in use") {
            true => Err(Unready::PortTaken),
            false => Err(Unready::Failed(said)),
        }
    }

    /// The program, with the limits that were wished for.
    fn limited(&self, program: &Path) -> Command {
        let Some(limits) = &self.descriptors else { return Command::new(program) };
        let mut command = Command::new("prlimit");
        command.arg(limits).arg(program);
        command
    }

    /// The site folder.
    pub fn path(&self) -> PathBuf {
        self.folder.path().join("site")
    }

    /// A folder for the test's own files, gone with the site.
    pub fn scratch(&self) -> &Path {
        self.folder.path()
    }

    /// The port of a service.
    pub fn port(&self, service: Service) -> u16 {
        self.base + service as u16
    }

    /// The process id, while it serves.
    pub fn pid(&self) -> Option<u32> {
        self.process.as_ref().map(Child::id)
    }

    /// A new connection; TLS where the service begins with it.
    ///
    /// # Errors
    /// Where nobody answers.
    pub fn connect(&self, service: Service) -> Result<Connection> {
        let mut connection = Connection::open(self.port(service))?;
        if service.is_tls() {
            connection.start_tls()?;
        }
        Ok(connection)
    }

    /// Runs an administrative command on the site.
    ///
    /// # Errors
    /// Where it cannot be run or does not end; that it fails is in the status.
    pub fn command(&self, words: &[&str]) -> Result<Output> {
        let mut command = Command::new(program()?);
        command.args(words).env("INTERMAIL", self.path()).stdin(Stdio::null());
        crate::tools::output(command)
    }

    /// Runs an administrative command that must succeed, and returns what it prints.
    ///
    /// # Errors
    /// Where it fails: with what it printed.
    pub fn must(&self, words: &[&str]) -> Result<String> {
        crate::tools::succeeded(&words.join(" "), self.command(words)?)
    }

    /// Runs an administrative command that reads its standard input; it must succeed.
    ///
    /// # Errors
    /// Where it fails: with what it printed.
    pub fn must_reading(&self, words: &[&str], input: &str) -> Result<String> {
        let file = self.folder.path().join("stdin");
        fs::write(&file, input)?;
        let mut command = Command::new(program()?);
        command.args(words).env("INTERMAIL", self.path()).stdin(fs::File::open(file)?);
        crate::tools::succeeded(&words.join(" "), crate::tools::output(command)?)
    }

    /// The log lines of an event, from all log files, as they are now.
    ///
    /// # Errors
    /// Where the log cannot be read.
    pub fn logged(&self, event: &str) -> Result<Vec<String>> {
        let mut found = Vec::new();
        for entry in fs::read_dir(self.path().join("log"))? {
            let text = fs::read_to_string(entry?.path())?;
            found.extend(text.lines().filter(|l| l.split(' ').any(|w| w == event)).map(str::to_owned));
        }
        Ok(found)
    }

    /// Waits until an event is in the log, and returns its last line.
    ///
    /// # Errors
    /// Where it does not come in time.
    pub fn event(&self, event: &str) -> Result<String> {
        crate::tools::until(event, || Ok(!self.logged(event)?.is_empty()))?;
        self.logged(event)?.pop().context("the log was emptied")
    }

    /// Stops the site, which brings the last line of its log to the disk, and asks that no line holds one of `words`.
    ///
    /// # Errors
    /// The lines that hold it, or what [`Site::stop`] says.
    pub fn never_said(&mut self, words: &[&str]) -> Result<()> {
        self.stop()?;
        for word in words {
            let found = self.logged(word)?;
            ensure!(found.is_empty(), "{word} was logged:\n{}", found.join("\n"));
        }
        Ok(())
    }

    /// Ends it in order, with SIGTERM, and says how long that took.
    ///
    /// # Errors
    /// Where it does not end, or not with success.
    pub fn stop(&mut self) -> Result<Duration> {
        let Some(mut child) = self.process.take() else { bail!("the site does not serve") };
        let begun = now();
        signal(&child, Signal::SIGTERM)?;
        while begun.elapsed() < END {
            if let Some(status) = child.try_wait()? {
                ensure!(status.success(), "the program ended with {status}\n{}", self.logs());
                return Ok(begun.elapsed());
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        child.kill()?;
        child.wait()?;
        bail!("the program did not end within {END:?} of SIGTERM\n{}", self.logs())
    }

    /// Ends it at once, with SIGKILL, as a crash would.
    ///
    /// # Errors
    /// Where the system refuses.
    pub fn kill(&mut self) -> Result<()> {
        if let Some(mut child) = self.process.take() {
            child.kill()?;
            child.wait()?;
        }
        Ok(())
    }

    /// The end of what the site has logged and printed.
    pub fn logs(&self) -> String {
        let mut files = vec![self.folder.path().join("stderr")];
        let entries = fs::read_dir(self.path().join("log")).into_iter().flatten().flatten();
        files.extend(entries.map(|e| e.path()));
        let end = |path: &PathBuf| {
            let text = fs::read_to_string(path).unwrap_or_default();
            let lines: Vec<&str> = text.lines().collect();
            if lines.is_empty() {
                return String::new();
            }
            let shown = lines[lines.len().saturating_sub(SHOWN)..].join("\n");
            format!("--- {}\n{shown}\n", path.display())
        };
        files.iter().map(end).collect()
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        if self.process.is_some() {
            // Shown by the test harness only where the test fails.
            println!("{}", self.logs());
        }
        // Servers whose manager is killed would drain for some seconds beside the next test.
        let ended = if self.managed && self.process.is_some() { self.stop().map(drop) } else { self.kill() };
        if let Err(error) = ended {
            eprintln!("the program could not be ended: {error}");
        }
    }
}

/// Why a site does not serve.
enum Unready {
    PortTaken,
    Failed(String),
}

impl<E: Into<anyhow::Error>> From<E> for Unready {
    fn from(error: E) -> Self {
        Self::Failed(format!("{:#}", error.into()))
    }
}

/// Runs an administrative command that needs no site and must succeed.
///
/// # Errors
/// Where it fails: with what it printed.
pub fn must(words: &[&str]) -> Result<String> {
    let mut command = Command::new(program()?);
    command.args(words).env_remove("INTERMAIL").stdin(Stdio::null());
    crate::tools::succeeded(&words.join(" "), crate::tools::output(command)?)
}

/// Where the program is.
pub fn program() -> Result<PathBuf> {
    if let Some(path) = std::env::var_os(PROGRAM) {
        return Ok(path.into());
    }
    // A test lies in <target>/<profile>/deps.
    let here = std::env::current_exe()?;
    let beside = here.parent().and_then(Path::parent).map(|p| p.join("intermail"));
    beside.filter(|p| p.is_file()).with_context(|| {
        format!("{PROGRAM} names no program and none is built: cargo build --package intermail")
    })
}

/// Whether the greeting came to its end. The rest of the output is read away by a thread that ends with it.
fn wait_for_line(output: std::process::ChildStdout) -> bool {
    let (told, heard) = mpsc::sync_channel(1);
    std::thread::spawn(move || {
        for line in BufReader::new(output).lines().map_while(Result::ok) {
            if line.contains(READY) {
                let _ = told.try_send(());
            }
        }
    });
    heard.recv_timeout(START).is_ok()
}

/// A base on which the ports of all services are free. They lie below the range from which the system takes
/// ports for outgoing connections, and ranges of one process do not overlap.
pub fn free_base() -> Option<u16> {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let offset = u16::try_from(std::process::id() % 900).ok()?;
    let bases = (0..28).map(|_| 2_000 + offset + 1_000 * (NEXT.fetch_add(1, Ordering::Relaxed) % 28));
    bases.into_iter().find(|base| is_free(*base))
}

fn is_free(base: u16) -> bool {
    Service::ALL.iter().all(|s| TcpListener::bind((Ipv4Addr::LOCALHOST, base + *s as u16)).is_ok())
}

fn signal(child: &Child, signal: Signal) -> Result<()> {
    let pid = i32::try_from(child.id()).context("no such process id")?;
    kill(Pid::from_raw(pid), signal).context("the program cannot be signalled")
}

/// The real time: what is tested runs in it.
#[expect(clippy::disallowed_methods, reason = "a test against a real process waits in real time")]
pub fn now() -> Instant {
    Instant::now()
}
