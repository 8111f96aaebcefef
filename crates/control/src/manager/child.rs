//! One process of a server: begun with its sockets, waited for until it is ready, asked, ended, buried.

use super::artefacts::last_words;
use super::channel::{self, Lines, Ready, Word};
use crate::process::{Process, Tell};
use env::tasks::Tasks;
use std::ffi::OsString;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::fs::OpenOptionsExt as _;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;
use tokio::io::AsyncWriteExt as _;
use tokio::net::unix::OwnedWriteHalf;
use tokio::process::Command;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::timeout;

/// Probes that may wait for their answer.
const WAITING_PROBES: usize = 32;
/// Bytes of standard error after which the file begins anew.
const MOST_ERRORS: u64 = 1 << 20;

/// How a process is begun.
#[derive(Debug, Clone)]
pub struct Launch {
    /// The program.
    pub program: PathBuf,
    /// What it is told as its own name.
    pub name: OsString,
    /// Its arguments.
    pub arguments: Vec<OsString>,
    /// Its working directory: where the kernel writes core files.
    pub folder: PathBuf,
    /// Takes its standard error, begun anew with each process.
    pub errors: PathBuf,
}

/// Why a process did not become ready.
#[derive(Debug, thiserror::Error)]
pub enum Unready {
    /// It could not be begun.
    #[error("cannot run {program}: {error}", program = .0.display(), error = .1)]
    Spawn(PathBuf, #[source] io::Error),
    /// It ended instead.
    #[error("it ended with {status}{words}", status = .0, words = said(.1))]
    Ended(ExitStatus, String),
    /// It took too long and was killed.
    #[error("it was not ready after {seconds} s{words}", seconds = .0.as_secs(), words = said(.1))]
    Late(Duration, String),
    /// It is not wanted any more.
    #[error("the site is stopping")]
    Unwanted,
}

fn said(words: &str) -> String {
    if words.is_empty() { String::new() } else { format!(": {words}") }
}

/// Asks a server for a sign of life.
#[derive(Debug, Clone)]
pub struct Prober(mpsc::Sender<Probe>);

/// A server of the process, and where the answer is waited for.
#[derive(Debug)]
struct Probe {
    server: String,
    answer: oneshot::Sender<Result<(), String>>,
}

impl Prober {
    /// Whether this server of the process works; where it does not, why. Waits for the answer for as long as the process lives.
    ///
    /// # Errors
    /// What the server says, or that it is gone.
    pub async fn probe(&self, server: &str) -> Result<(), String> {
        let (answer, answered) = oneshot::channel();
        let gone = || "the server has ended".to_owned();
        self.0.send(Probe { server: server.to_owned(), answer }).await.map_err(|_| gone())?;
        answered.await.map_err(|_| gone())?
    }
}

/// A process that was begun.
#[derive(Debug)]
pub struct Child {
    pid: u32,
    process: tokio::process::Child,
    ready: watch::Receiver<Option<Ready>>,
    prober: Prober,
    errors: PathBuf,
    error_file: File,
}

impl Child {
    /// Begins it and gives it its sockets.
    ///
    /// # Errors
    /// Where the program cannot be run. What was begun is ended then.
    pub fn begin(launch: &Launch, sockets: &[OwnedFd], tasks: &Tasks) -> Result<Self, Unready> {
        let failed = |error| Unready::Spawn(launch.program.clone(), error);
        let (ours, theirs) = UnixStream::pair().map_err(failed)?;
        // Appending: the file can be begun anew under a process that writes it.
        let open = OpenOptions::new().create(true).append(true).mode(0o600).open(&launch.errors);
        let error_file = open.map_err(failed)?;
        error_file.set_len(0).map_err(failed)?;
        let mut command = Command::new(&launch.program);
        command.arg0(&launch.name).args(&launch.arguments).current_dir(&launch.folder);
        // A process group of its own: Ctrl-C is for the manager, which ends its servers in order.
        command.process_group(0).kill_on_drop(true);
        command.stdin(Stdio::from(OwnedFd::from(theirs))).stdout(Stdio::null());
        command.stderr(error_file.try_clone().map_err(failed)?);
        let process = command.spawn().map_err(failed)?;
        // The command holds the other end until here: the end of the process is the end of the talk.
        drop(command);
        let pid = process.id().ok_or_else(|| failed(io::ErrorKind::NotFound.into()))?;
        let given: Vec<_> = sockets.iter().map(|socket| socket.as_fd()).collect();
        // One that ended before it took them is found out by waiting for it.
        let _ = channel::give(&ours, &given);
        let (lines, to) = channel::talk(ours).map_err(failed)?;
        let ((tell_ready, ready), (probes, asked)) = (watch::channel(None), mpsc::channel(WAITING_PROBES));
        tasks.spawn(converse(lines, to, tell_ready, asked));
        let errors = launch.errors.clone();
        Ok(Self { pid, process, ready, prober: Prober(probes), errors, error_file })
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// For asking whether it works.
    pub fn prober(&self) -> Prober {
        self.prober.clone()
    }

    /// Waits until it is ready. Where it does not become so it has ended when this returns.
    ///
    /// # Errors
    /// Why it is not ready.
    pub async fn ready(
        &mut self,
        within: Duration,
        unwanted: impl Future<Output = ()>,
    ) -> Result<Ready, Unready> {
        let mut ready = self.ready.clone();
        let told = async {
            let told = ready.wait_for(Option::is_some).await.ok().and_then(|told| told.clone());
            match told {
                Some(ready) => ready,
                // It hung up: its end is what counts.
                None => std::future::pending().await,
            }
        };
        let why = tokio::select! {
            told = timeout(within, told) => match told {
                Ok(ready) => return Ok(ready),
                Err(_) => Unready::Late(within, last_words(&self.errors)),
            },
            status = self.process.wait() => {
                return Err(Unready::Ended(status.unwrap_or_default(), last_words(&self.errors)));
            }
            () = unwanted => Unready::Unwanted,
        };
        // Refused only where it has ended, which is what is wanted.
        let _ = self.process.kill().await;
        Err(why)
    }

    /// Waits for its end, and keeps its standard error small meanwhile. May be dropped at any time.
    pub async fn ended(&mut self) -> ExitStatus {
        loop {
            match timeout(Duration::from_secs(30), self.process.wait()).await {
                Ok(status) => return status.unwrap_or_default(),
                Err(_) => {
                    if self.error_file.metadata().is_ok_and(|file| file.len() > MOST_ERRORS) {
                        let _ = self.error_file.set_len(0);
                    }
                }
            }
        }
    }

    /// The end of what it wrote to its standard error.
    pub fn last_words(&self) -> String {
        last_words(&self.errors)
    }

    /// Tells it to end and waits for that, by force after `within`.
    pub async fn end(mut self, within: Duration) -> How {
        // It was not waited for yet, so its id cannot be another's.
        if let Ok(Some(process)) = Process::open(self.pid) {
            let _ = process.tell(Tell::Terminate);
        }
        if let Ok(status) = timeout(within, self.process.wait()).await {
            return How::Itself(status.unwrap_or_default());
        }
        let _ = self.process.kill().await;
        How::Forced
    }
}

/// How a process ended that was told to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum How {
    /// In time.
    Itself(ExitStatus),
    /// It was killed.
    Forced,
}

/// The manager's side of the talk, until the server hangs up.
async fn converse(
    mut lines: Lines,
    mut to: OwnedWriteHalf,
    ready: watch::Sender<Option<Ready>>,
    mut asked: mpsc::Receiver<Probe>,
) {
    let mut number = 0;
    let mut waiting: Vec<(u64, oneshot::Sender<Result<(), String>>)> = Vec::new();
    loop {
        tokio::select! {
            probe = asked.recv() => {
                let Some(Probe { server, answer }) = probe else { return };
                // Who does not wait any more is not answered, and must not fill the line of those who do.
                waiting.retain(|(_, answer)| !answer.is_closed());
                if waiting.len() >= WAITING_PROBES {
                    let _ = answer.send(Err("too many probes wait for an answer".to_owned()));
                    continue;
                }
                number += 1;
                // A server that hangs does not read either: its line is short, and full is as good as no answer.
                if to.try_write(format!("probe {number} {server}\n").as_bytes()).is_ok() {
                    waiting.push((number, answer));
                } else {
                    let _ = answer.send(Err("it does not listen".to_owned()));
                }
            }
            line = lines.next() => match line.as_deref().map(Word::read) {
                None => break,
                Some(Some(Word::Ready(told))) => drop(ready.send_replace(Some(told))),
                Some(Some(Word::Answer { probe, result })) => {
                    if let Some(at) = waiting.iter().position(|(number, _)| *number == probe) {
                        let _ = waiting.swap_remove(at).1.send(result);
                    }
                }
                Some(None) => {}
            }
        }
    }
    // Nobody answers any more; the end of the process itself is seen by whoever waits for it.
    let _ = to.shutdown().await;
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use std::path::Path;

    /// A child that is a shell script; its standard input is the channel.
    pub(crate) fn script(folder: &Path, text: &str) -> Launch {
        Launch {
            program: "/bin/sh".into(),
            name: "sh".into(),
            arguments: vec!["-c".into(), text.into()],
            folder: folder.to_owned(),
            errors: folder.join("stderr"),
        }
    }

    const WITHIN: Duration = Duration::from_secs(20);

    async fn begun(text: &str) -> (tempfile::TempDir, Child, Result<Ready, Unready>) {
        let folder = tempfile::tempdir().unwrap();
        let mut child = Child::begin(&script(folder.path(), text), &[], &Tasks::new()).unwrap();
        let ready = child.ready(WITHIN, std::future::pending()).await;
        (folder, child, ready)
    }

    #[tokio::test]
    async fn one_that_says_so_is_ready_and_answers() {
        let text = "read sockets; echo ready 1.2 mta=25,587 >&0; read probe n server; echo answer $n >&0;
                    read probe n server; echo answer $n $server is ill >&0; exec sleep 100";
        let (_folder, child, ready) = begun(text).await;
        assert_eq!(
            ready.unwrap(),
            Ready { version: "1.2".into(), servers: vec![("mta".into(), vec![25, 587])] }
        );
        assert_eq!(child.prober().probe("mta").await, Ok(()));
        assert_eq!(child.prober().probe("mta").await, Err("mta is ill".into()));
        assert!(matches!(child.end(WITHIN).await, How::Itself(status) if !status.success()));
    }

    #[tokio::test]
    async fn one_that_ends_instead_is_quoted_with_its_exit_code() {
        let (_folder, _child, ready) = begun("echo no port for me >&2; exit 3").await;
        let said = ready.unwrap_err().to_string();
        assert!(said.contains("exit status: 3") && said.contains("no port for me"), "{said}");
    }

    #[tokio::test]
    async fn one_that_takes_too_long_is_ended() {
        let folder = tempfile::tempdir().unwrap();
        let launch = script(folder.path(), "trap '' TERM; read sockets; echo thinking >&2; sleep 100");
        let mut child = Child::begin(&launch, &[], &Tasks::new()).unwrap();
        let why = child.ready(Duration::from_millis(300), std::future::pending()).await.unwrap_err();
        assert!(why.to_string().contains("not ready"), "{why}");
        assert!(Process::open(child.pid()).unwrap().is_none(), "it is still there");
        let mut child = Child::begin(&launch, &[], &Tasks::new()).unwrap();
        let why = child.ready(WITHIN, std::future::ready(())).await.unwrap_err();
        assert!(matches!(why, Unready::Unwanted), "{why}");
    }

    #[tokio::test]
    async fn one_that_does_not_end_is_ended_by_force() {
        let (_folder, child, ready) =
            begun("trap '' TERM; echo ready 1 >&0; while :; do sleep 1; done").await;
        ready.unwrap();
        let pid = child.pid();
        assert_eq!(child.end(Duration::from_millis(100)).await, How::Forced);
        assert!(Process::open(pid).unwrap().is_none(), "a zombie is left");
    }

    #[tokio::test]
    async fn a_program_that_is_not_there_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let launch = Launch { program: "/no/such".into(), ..script(folder.path(), "") };
        let why = Child::begin(&launch, &[], &Tasks::new()).unwrap_err().to_string();
        assert!(why.contains("/no/such"), "{why}");
    }
}
