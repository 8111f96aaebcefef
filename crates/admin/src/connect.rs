//! The program of an `im*` command: reads the command line, decides where the command runs, runs it.
//!
//! The mailboxes and the queue belong to the running daemon. So a command that needs them is sent to the daemon's
//! Unix socket (`docs/decisions/0008-commands-run-in-the-daemon.md`), which runs the same function over its own
//! servers; this side then only passes output and input on. Where no daemon runs, the site is opened here for one
//! command by the [`Opener`] that the program gives. The daemon's side is [`crate::control_socket`].

use crate::arguments::{self, Arguments, Asked};
use crate::command::{Command, Exit, Place};
use crate::commands::{self, InputFile, Then};
use crate::context::{Context, Failure, Hosts, NO_SITE, Roles};
use crate::frame::{self, Frame, REVISION, Request};
use crate::output::{Console, Format, Gone, PIECE, Step, Stream, Terminal};
use crate::render;
use crate::site::Site;
use crate::stdio::Stdio;
use anyhow::Context as _;
use control::lock_file;
use control::process::Process;
use env::random::Random;
use roles::manager::Manager;
use std::ffi::OsString;
use std::future::Future;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::BufReader;
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::time::timeout;

/// How long a daemon may take to say that it has begun.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);
/// Most bytes that are kept of what a command says.
const MAX_KEPT: usize = 4 << 20;

/// Opens a site in this process, for commands that run while no daemon does.
pub trait Opener: Sync {
    /// Opens it: fails where another process has it.
    fn open<'a>(&'a self, site: &'a Site) -> Opening<'a>;
}

/// A site being opened.
pub type Opening<'a> = Pin<Box<dyn Future<Output = anyhow::Result<Opened>> + Send + 'a>>;

/// An opened site.
pub struct Opened {
    /// Its servers.
    pub roles: Roles,
    /// Closes it in order; awaited after the command.
    pub close: Pin<Box<dyn Future<Output = ()> + Send>>,
}

/// Runs the command `name` with the rest of the command line, on the standard streams of this process.
pub fn main(name: &str, line: Vec<OsString>, opener: &dyn Opener) -> ExitCode {
    let runtime = match tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("{name}: cannot start: {error}");
            return ExitCode::from(Exit::FAILED.0);
        }
    };
    let exit = runtime.block_on(start(name, line, opener, Box::new(Stdio::new())));
    // A thread that still waits for input must not hold up the end.
    runtime.shutdown_background();
    ExitCode::from(exit.0)
}

/// As [`main`], on any terminal.
pub async fn start(
    name: &str,
    line: Vec<OsString>,
    opener: &dyn Opener,
    terminal: Box<dyn Terminal>,
) -> Exit {
    let Some(row) = commands::find(name) else {
        let mut console = Console::new(terminal, "intermail", Format::Text);
        let said = console.error(format!("there is no command {name}; imcmdlist lists them all")).await;
        return said.map_or(Exit::GONE, |()| Exit::USAGE);
    };
    let line = line.into_iter().map(OsString::into_string).collect::<Result<Vec<_>, _>>();
    let asked = line.map_err(|_| "the command line is not UTF-8".to_owned()).and_then(|line| {
        arguments::read(row, &line).map(|asked| (asked, line)).map_err(|bad| bad.to_string())
    });
    match asked {
        Err(bad) => end(row, Console::new(terminal, row.name, Format::Text), Err(Failure::Usage(bad))).await,
        Ok((Asked::Help, _)) => print(row, terminal, &render::help(row)).await,
        Ok((Asked::Version, _)) => print(row, terminal, &render::version(row.name)).await,
        Ok((Asked::Run(arguments), line)) => place(row, line, arguments, opener, terminal).await,
    }
}

/// Runs the command where its row says.
async fn place(
    row: &'static Command,
    line: Vec<String>,
    arguments: Arguments,
    opener: &dyn Opener,
    mut terminal: Box<dyn Terminal>,
) -> Exit {
    let here = row.place.is_here(&arguments);
    let site = match find_site(arguments.value("site")) {
        Ok(site) => site.map(Arc::new),
        // What is to become a site is none yet.
        Err(_) if here && row.place != Place::Here => None,
        Err(error) => return cannot(row, terminal, error).await,
    };
    if let Some(InputFile { path, then }) = commands::input_file(row, &arguments) {
        terminal = match FromFile::open(Path::new(path), then, terminal) {
            Ok(terminal) => Box::new(terminal),
            Err((terminal, error)) => return cannot(row, terminal, error).await,
        };
    }
    if here {
        return run(row, arguments, site, None, terminal).await;
    }
    let Some(site) = &site else { return cannot(row, terminal, anyhow::anyhow!(NO_SITE)).await };
    let request = Request { revision: REVISION, name: row.name.into(), line, colour: terminal.colour() };
    match Daemon::call(site, request).await {
        Ok(Some(daemon)) => match daemon.attend(terminal.as_mut()).await {
            Ok(exit) => exit,
            Err(error) => cannot(row, terminal, error).await,
        },
        // A daemon that does not answer counts as none for a command that only wants to know whether it does.
        Ok(None) | Err(_) if row.place == Place::Daemon => {
            run(row, arguments, Some(Arc::clone(site)), None, terminal).await
        }
        Err(error) => cannot(row, terminal, error).await,
        Ok(None) => match opener.open(site).await {
            Err(error) => cannot(row, terminal, error).await,
            Ok(opened) => {
                let site = Some(Arc::clone(site));
                let exit = run(row, arguments, site, Some(opened.roles), terminal).await;
                opened.close.await;
                exit
            }
        },
    }
}

/// Runs a command in this process; the daemon does it, too.
pub(crate) async fn run(
    row: &'static Command,
    arguments: Arguments,
    site: Option<Arc<Site>>,
    roles: Option<Roles>,
    terminal: Box<dyn Terminal>,
) -> Exit {
    let over = roles.map_or_else(Over::default, Over::roles);
    run_over(row, arguments, site, over, terminal).await
}

/// What of the servers a command has.
#[derive(Default)]
pub(crate) struct Over {
    /// See [`Context::servers`].
    pub(crate) servers: Option<Roles>,
    /// See [`Context::manager`].
    pub(crate) manager: Option<Arc<dyn Manager>>,
    /// See [`Context::hosts`].
    pub(crate) hosts: Option<Arc<dyn Hosts>>,
}

impl Over {
    /// All of it.
    pub(crate) fn roles(roles: Roles) -> Self {
        let (manager, hosts) = (Arc::clone(&roles.manager), Arc::clone(&roles.hosts));
        Self { servers: Some(roles), manager: Some(manager), hosts: Some(hosts) }
    }
}

/// As [`run`], also where there is a manager and no server.
pub(crate) async fn run_over(
    row: &'static Command,
    arguments: Arguments,
    site: Option<Arc<Site>>,
    Over { servers, manager, hosts }: Over,
    terminal: Box<dyn Terminal>,
) -> Exit {
    let format = if arguments.has("json") { Format::Json } else { Format::Text };
    let console = Console::new(terminal, row.name, format);
    let random = Random::system();
    let mut context = Context { folder: site, arguments, console, servers, manager, hosts, random };
    let outcome = (row.run)(&mut context).await;
    end(row, context.console, outcome).await
}

/// Says what is to be said at the end of a command.
async fn end(row: &Command, mut console: Console, outcome: Result<Exit, Failure>) -> Exit {
    let said = match &outcome {
        Ok(_) => console.flush().await,
        Err(Failure::Gone) => Ok(()),
        Err(failure @ Failure::Usage(_)) => {
            console.error(format!("{failure}\n{}", render::usage(row).trim_end())).await
        }
        Err(failure) => console.error(failure).await,
    };
    match (said, outcome) {
        (Err(_), _) => Exit::GONE,
        (Ok(()), Ok(exit)) => exit,
        (Ok(()), Err(failure)) => failure.exit(),
    }
}

async fn cannot(row: &Command, terminal: Box<dyn Terminal>, error: anyhow::Error) -> Exit {
    let failure = Failure::With(row.unavailable, format!("{error:#}"));
    end(row, Console::new(terminal, row.name, Format::Text), Err(failure)).await
}

async fn print(row: &Command, terminal: Box<dyn Terminal>, text: &str) -> Exit {
    let mut console = Console::new(terminal, row.name, Format::Text);
    let printed = console.bytes(text.as_bytes()).await;
    end(row, console, printed.map(|()| Exit::OK)).await
}

/// The site of `--site` or `$INTERMAIL`; `None` where neither is there.
fn find_site(option: Option<&str>) -> anyhow::Result<Option<Site>> {
    let named = option.map(PathBuf::from);
    let variable = || std::env::var_os("INTERMAIL").filter(|v| !v.is_empty()).map(PathBuf::from);
    named.or_else(variable).map(|folder| Site::open(&folder)).transpose()
}

/// A running daemon that has begun a command.
pub struct Daemon {
    from: BufReader<OwnedReadHalf>,
    to: OwnedWriteHalf,
}

impl Daemon {
    /// Asks the daemon of a site to run a command; `None` where no daemon runs.
    ///
    /// # Errors
    /// Where there is one, and it refuses or does not answer.
    pub async fn call(site: &Site, request: Request) -> anyhow::Result<Option<Self>> {
        let Some(stream) = connect(&site.control_socket()).await? else { return Ok(None) };
        let (from, to) = stream.into_split();
        let mut daemon = Self { from: BufReader::new(from), to };
        let begun = async {
            frame::write(&mut daemon.to, &Frame::Run(request)).await?;
            frame::read(&mut daemon.from).await
        };
        match timeout(ANSWER_WITHIN, begun).await.context("the daemon of this site does not answer")?? {
            Some(Frame::Begun) => Ok(Some(daemon)),
            Some(Frame::Refused(why)) => anyhow::bail!("the daemon refuses the command: {why}"),
            _ => anyhow::bail!("the daemon of this site does not answer"),
        }
    }

    /// Passes output and input on until the command has ended.
    ///
    /// # Errors
    /// Where the daemon goes away before that: the command may have done its work, some of it, or nothing.
    pub async fn attend(mut self, terminal: &mut dyn Terminal) -> anyhow::Result<Exit> {
        const LOST: &str = "the daemon went away before the command had ended";
        loop {
            let step = match frame::read(&mut self.from).await.context(LOST)?.context(LOST)? {
                Frame::Output(piece) => terminal.write(Stream::Output, &piece).await,
                Frame::Errors(piece) => terminal.write(Stream::Errors, &piece).await,
                Frame::WantInput => match terminal.read().await {
                    Ok(piece) => {
                        frame::write(&mut self.to, &Frame::Input(piece)).await.context(LOST)?;
                        Ok(())
                    }
                    Err(Gone) => Err(Gone),
                },
                Frame::Exit(code) => return Ok(Exit(code)),
                Frame::Run(_) | Frame::Begun | Frame::Refused(_) | Frame::Input(_) => {
                    anyhow::bail!("the daemon sent what was not asked for")
                }
            };
            if step == Err(Gone) {
                return Ok(Exit::GONE);
            }
        }
    }
}

/// What a command that ran in the daemon said.
pub struct Said {
    /// Its exit code.
    pub exit: Exit,
    /// Its standard output.
    pub output: Vec<u8>,
    /// Its standard error.
    pub errors: Vec<u8>,
}

/// Runs a command in the daemon without input and keeps what it says; `None` where no daemon runs.
///
/// # Errors
/// As [`Daemon::call`] and [`Daemon::attend`].
pub async fn ask(site: &Site, name: &str, line: &[&str]) -> anyhow::Result<Option<Said>> {
    let line = line.iter().map(ToString::to_string).collect();
    let request = Request { revision: REVISION, name: name.to_owned(), line, colour: false };
    let Some(daemon) = Daemon::call(site, request).await? else { return Ok(None) };
    let mut kept = Kept::default();
    let exit = daemon.attend(&mut kept).await?;
    Ok(Some(Said { exit, output: kept.output, errors: kept.errors }))
}

/// The running daemon of a site: the process that listens on its control socket, or holds its pid file. `None` where
/// there is none. What a file says is not enough: the process of that id may be another by now.
///
/// # Errors
/// Where the system does not let this user look.
pub async fn daemon_process(site: &Site) -> anyhow::Result<Option<Process>> {
    let listener = match connect(&site.control_socket()).await? {
        Some(stream) => stream.peer_cred().context("cannot see who listens on the control socket")?.pid(),
        None => None,
    };
    let pid = match listener.and_then(|pid| u32::try_from(pid).ok()) {
        Some(pid) => Some(pid),
        None => lock_file::owner(&site.pid_file()).context("cannot read the pid file")?,
    };
    Ok(pid.map(Process::open).transpose().context("cannot reach the daemon's process")?.flatten())
}

/// A terminal that keeps what is written, up to a limit, and has no input.
#[derive(Default)]
struct Kept {
    output: Vec<u8>,
    errors: Vec<u8>,
}

impl Terminal for Kept {
    fn write<'a>(&'a mut self, to: Stream, bytes: &'a [u8]) -> Step<'a, ()> {
        let kept = match to {
            Stream::Output => &mut self.output,
            Stream::Errors => &mut self.errors,
        };
        let fits = kept.len() + bytes.len() <= MAX_KEPT;
        if fits {
            kept.extend_from_slice(bytes);
        }
        Box::pin(std::future::ready(if fits { Ok(()) } else { Err(Gone) }))
    }

    fn read(&mut self) -> Step<'_, Vec<u8>> {
        Box::pin(std::future::ready(Ok(Vec::new())))
    }

    fn colour(&self) -> bool {
        false
    }
}

/// A terminal whose input is a file, or begins with one: it is read here, where the command was started, and not in the
/// daemon.
struct FromFile {
    terminal: Box<dyn Terminal>,
    file: Option<std::fs::File>,
    then: Then,
}

impl FromFile {
    fn open(
        path: &Path,
        then: Then,
        terminal: Box<dyn Terminal>,
    ) -> Result<Self, (Box<dyn Terminal>, anyhow::Error)> {
        let said = || match then {
            Then::Nothing => {
                format!("{} is neither a sub-command nor a file that can be read", path.display())
            }
            Then::StandardInput => format!("cannot read {}", path.display()),
        };
        match std::fs::File::open(path).with_context(said) {
            Ok(file) => Ok(Self { terminal, file: Some(file), then }),
            Err(error) => Err((terminal, error)),
        }
    }
}

impl Terminal for FromFile {
    fn write<'a>(&'a mut self, to: Stream, bytes: &'a [u8]) -> Step<'a, ()> {
        self.terminal.write(to, bytes)
    }

    fn read(&mut self) -> Step<'_, Vec<u8>> {
        let Some(file) = &self.file else { return self.terminal.read() };
        let mut piece = Vec::new();
        let read = std::io::Read::read_to_end(&mut std::io::Read::take(file, PIECE as u64), &mut piece);
        if piece.is_empty() && read.is_ok() && self.then == Then::StandardInput {
            self.file = None;
            // Whether the last line of the file is ended or not.
            piece.extend_from_slice(b"\n\n");
        }
        Box::pin(std::future::ready(read.map(|_| piece).map_err(|_| Gone)))
    }

    fn colour(&self) -> bool {
        self.terminal.colour()
    }
}

/// Connects to a socket; `None` where nobody listens on it.
pub(crate) async fn connect(socket: &Path) -> anyhow::Result<Option<UnixStream>> {
    use std::io::ErrorKind::{ConnectionRefused, NotFound};
    match net::local::connect(socket).await {
        Ok(stream) => Ok(Some(stream)),
        Err(error) if matches!(error.kind(), NotFound | ConnectionRefused) => Ok(None),
        Err(error) => Err(error).with_context(|| format!("cannot connect to {}", socket.display())),
    }
}
