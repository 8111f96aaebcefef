//! The daemon's side of the control socket: runs commands over the daemon's own servers. Where the servers are
//! processes of their own, their manager takes the commands: it runs those about servers itself and passes the others
//! on to a process that has servers, byte for byte.
//!
//! One connection, one command. The socket has mode 0600 and the peer must be the daemon's own user or root. At most
//! [`MAX_COMMANDS`] run at the same time; every wait for the other side ends after [`STALL`]; a command ends with
//! its connection or with the daemon. Dropping a command never tears a change: what a server has begun it finishes.

use crate::arguments::{self, Asked};
use crate::command::{Command, Group};
use crate::connect::{self, Over};
use crate::context::{Hosts, Roles};
use crate::frame::{self, Frame, REVISION, Request};
use crate::output::{Gone, Step, Stream, Terminal};
use crate::site::Site;
use env::tasks::Tasks;
use roles::manager::Manager;
use std::io::{Error, ErrorKind, Result};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::BufReader;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{Mutex, Semaphore, mpsc};
use tokio::time::timeout;

/// Most commands at the same time.
pub const MAX_COMMANDS: usize = 32;
/// How long a connection may take to say what it wants.
const FIRST_FRAME: Duration = Duration::from_secs(10);
/// How long a command waits for its input, or for its output to be taken.
const STALL: Duration = Duration::from_secs(600);
/// How long accepting rests after it failed, such as for want of descriptors.
const REST: Duration = Duration::from_millis(100);

/// What commands work on.
pub struct Served {
    /// The site.
    pub site: Arc<Site>,
    /// What they run over.
    pub roles: Behind,
    /// What may be run: [`commands::ALL`](crate::commands::ALL).
    pub commands: &'static [&'static Command],
    /// Runs the connections, and tells of the daemon's end.
    pub tasks: Tasks,
}

/// What commands run over.
#[derive(Clone)]
pub enum Behind {
    /// The servers of this process.
    Here(Roles),
    /// The servers are processes of their own.
    Processes {
        /// Looks after them.
        manager: Arc<dyn Manager>,
        /// The other hosts.
        hosts: Arc<dyn Hosts>,
        /// The control socket of the process that a command is best run in; `None`: none is running.
        whom: Whom,
    },
}

/// Finds the process for a command.
pub type Whom = Arc<dyn Fn(&Command) -> Option<PathBuf> + Send + Sync>;

impl From<Roles> for Behind {
    fn from(roles: Roles) -> Self {
        Self::Here(roles)
    }
}

impl Behind {
    /// Where another process runs the command: its control socket, or why it cannot be run.
    fn elsewhere(&self, row: &Command) -> Option<std::result::Result<PathBuf, String>> {
        match self {
            Self::Processes { whom, .. } if row.group != Group::Servers => {
                Some(whom(row).ok_or_else(|| "no server of this host is running".to_owned()))
            }
            _ => None,
        }
    }

    fn over(&self) -> Over {
        match self {
            Self::Here(roles) => Over::roles(roles.clone()),
            Self::Processes { manager, hosts, .. } => {
                let (manager, hosts) = (Some(Arc::clone(manager)), Some(Arc::clone(hosts)));
                Over { servers: None, manager, hosts }
            }
        }
    }
}

/// Makes the socket, mode 0600 from its first moment. One that a dead daemon left behind is replaced; that no living
/// one has it is known by the lock of the site, which the caller holds.
///
/// # Errors
/// Where the folder is not there or not writable.
pub fn bind(socket: &Path) -> Result<UnixListener> {
    UnixListener::from_std(net::local::bind(socket)?)
}

/// Takes commands until the daemon ends.
pub async fn serve(listener: UnixListener, served: Served) {
    let served = Arc::new(served);
    let free = Arc::new(Semaphore::new(MAX_COMMANDS));
    let mut stopping = served.tasks.stopping();
    loop {
        let accepted = tokio::select! {
            () = stopping.wait() => return,
            accepted = listener.accept() => accepted,
        };
        let Ok((stream, _)) = accepted else {
            tokio::time::sleep(REST).await;
            continue;
        };
        let permit = Arc::clone(&free).try_acquire_owned();
        let (tasks, served) = (served.tasks.clone(), Arc::clone(&served));
        tasks.spawn(async move {
            let stranger = "only the user of the daemon and root may give commands";
            let refused = (!net::local::is_ours(&stream)).then_some(stranger);
            let refused = refused.or(permit.is_err().then_some("too many commands are running"));
            // An error is the other side's absence: there is nobody to tell.
            let _ = attend(stream, &served, refused).await;
            drop(permit);
        });
    }
}

/// One connection.
async fn attend(stream: UnixStream, served: &Served, refused: Option<&str>) -> Result<()> {
    let (from, mut to) = stream.into_split();
    let mut from = BufReader::new(from);
    if let Some(why) = refused {
        return frame::write(&mut to, &Frame::Refused(why.to_owned())).await;
    }
    let first = timeout(FIRST_FRAME, frame::read(&mut from)).await??;
    let Some(Frame::Run(request)) = first else { return Err(ErrorKind::InvalidData.into()) };
    match understand(served.commands, &request) {
        Err(why) => frame::write(&mut to, &Frame::Refused(why)).await,
        Ok((row, _)) if let Some(other) = served.roles.elsewhere(row) => match other {
            Err(why) => frame::write(&mut to, &Frame::Refused(why)).await,
            Ok(socket) => pass_on(&socket, request, from, to, served).await,
        },
        Ok((row, arguments)) => {
            frame::write(&mut to, &Frame::Begun).await?;
            let to = Arc::new(Mutex::new(to));
            let (pieces, input) = mpsc::channel(1);
            let terminal = Remote { to: Arc::clone(&to), input, colour: request.colour };
            let (site, over) = (Some(Arc::clone(&served.site)), served.roles.over());
            let running = connect::run_over(row, arguments, site, over, Box::new(terminal));
            let mut stopping = served.tasks.stopping();
            let exit = tokio::select! {
                exit = running => exit,
                ended = pass_input(&mut from, pieces) => return ended,
                () = stopping.wait() => {
                    let text = format!("{}: the site is stopping\n", row.name);
                    frame::write(&mut *to.lock().await, &Frame::Errors(text.into_bytes())).await?;
                    row.unavailable
                }
            };
            frame::write(&mut *to.lock().await, &Frame::Exit(exit.0)).await
        }
    }
}

/// Has another process run the command and passes on what both sides say. Ends when either side hangs up: the command
/// ends with its connection there as it does here.
async fn pass_on(
    socket: &Path,
    request: Request,
    mut from: BufReader<OwnedReadHalf>,
    mut to: OwnedWriteHalf,
    served: &Served,
) -> Result<()> {
    let Ok(Some(stream)) = connect::connect(socket).await else {
        let why = "the server that runs commands is just starting: try again".to_owned();
        return frame::write(&mut to, &Frame::Refused(why)).await;
    };
    let (mut answers, mut there) = stream.into_split();
    frame::write(&mut there, &Frame::Run(request)).await?;
    let mut stopping = served.tasks.stopping();
    tokio::select! {
        ended = tokio::io::copy(&mut answers, &mut to) => ended.map(drop),
        ended = tokio::io::copy(&mut from, &mut there) => ended.map(drop),
        () = stopping.wait() => Ok(()),
    }
}

/// The command behind a request. Both sides read the line by the same row, so what is refused here comes from another
/// release or another program.
fn understand(
    commands: &[&'static Command],
    request: &Request,
) -> std::result::Result<(&'static Command, arguments::Arguments), String> {
    if request.revision != REVISION {
        return Err("the daemon and the command are of different releases; restart the daemon".into());
    }
    let row = commands
        .iter()
        .find(|row| row.name == request.name)
        .ok_or_else(|| format!("there is no command {}", request.name))?;
    match arguments::read(row, &request.line) {
        Ok(Asked::Run(arguments)) if !row.place.is_here(&arguments) => Ok((row, arguments)),
        Ok(_) => Err(format!("{} does not run in the daemon", row.name)),
        Err(bad) => Err(bad.to_string()),
    }
}

/// Hands pieces of input to the command; ends with the connection, or when the other side sends what it should not.
async fn pass_input(from: &mut BufReader<OwnedReadHalf>, pieces: mpsc::Sender<Vec<u8>>) -> Result<()> {
    while let Some(Frame::Input(piece)) = frame::read(from).await? {
        // Only one piece at a time is ever asked for.
        pieces.try_send(piece).map_err(|_| Error::from(ErrorKind::InvalidData))?;
    }
    Ok(())
}

/// The terminal of the process at the other end.
struct Remote {
    to: Arc<Mutex<OwnedWriteHalf>>,
    input: mpsc::Receiver<Vec<u8>>,
    colour: bool,
}

impl Remote {
    async fn send(&self, frame: Frame) -> std::result::Result<(), Gone> {
        let mut to = self.to.lock().await;
        let sent = timeout(STALL, frame::write(&mut *to, &frame)).await;
        sent.map_err(|_| Gone)?.map_err(|_| Gone)
    }
}

impl Terminal for Remote {
    fn write<'a>(&'a mut self, to: Stream, bytes: &'a [u8]) -> Step<'a, ()> {
        let frame = match to {
            Stream::Output => Frame::Output(bytes.to_vec()),
            Stream::Errors => Frame::Errors(bytes.to_vec()),
        };
        Box::pin(self.send(frame))
    }

    fn read(&mut self) -> Step<'_, Vec<u8>> {
        Box::pin(async {
            self.send(Frame::WantInput).await?;
            timeout(STALL, self.input.recv()).await.map_err(|_| Gone)?.ok_or(Gone)
        })
    }

    fn colour(&self) -> bool {
        self.colour
    }
}

#[cfg(test)]
mod tests;
