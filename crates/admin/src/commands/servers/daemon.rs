//! The daemon as a process: starting it in the background, waiting until it serves, ending it.

use super::status::{self, of_daemon};
use crate::connect::daemon_process;
use crate::site::Site;
use anyhow::{Context as _, anyhow, bail};
use control::process::{Life, Tell};
use roles::manager::ServerStatus;
use std::fs::{DirBuilder, OpenOptions};
use std::io::{Read as _, Seek as _, SeekFrom};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// How long a start may take: recovery after a crash is part of it.
const START_WITHIN: Duration = Duration::from_secs(60);
/// How often a starting daemon is asked whether it serves.
const ASK_EVERY: Duration = Duration::from_millis(25);
/// How long a stop may take: servers that are processes of their own end one after the other.
const STOP_WITHIN: Duration = Duration::from_secs(20);
/// How much of the daemon's last words is shown where it does not start.
const LAST_WORDS: u64 = 2000;

/// Starts the daemon in the background with these servers, or with all that its configuration wants, and waits until
/// it serves. Where the configuration says so (`immgrserv_run`), the daemon is the manager, and each server a process.
pub(super) async fn start(site: &Site, servers: &[&str]) -> anyhow::Result<Vec<ServerStatus>> {
    let program = std::env::current_exe().context("cannot find the program of the daemon")?;
    let log = site.start_log();
    // A new site has no folders yet: the daemon makes the others.
    if let Some(folder) = log.parent() {
        let made = DirBuilder::new().recursive(true).mode(0o700).create(folder);
        made.with_context(|| format!("cannot make {}", folder.display()))?;
    }
    let open = OpenOptions::new().create(true).append(true).read(true).mode(0o600).open(&log);
    let mut log = open.with_context(|| format!("cannot write {}", log.display()))?;
    let begin = log.seek(SeekFrom::End(0)).context("cannot read the log of the start")?;
    let mut command = Command::new(&program);
    // The program is told by its own name what it is; which one it was started as does not matter.
    let verb = if status::managed(site)? { "manage" } else { "serve" };
    command.arg0("intermail").arg(verb).arg("--site").arg(site.folder());
    if !servers.is_empty() {
        command.arg("--roles").arg(servers.join(","));
    }
    // Out of this terminal's group: Ctrl-C here must not reach it.
    command.process_group(0).stdin(Stdio::null());
    command.stdout(log.try_clone().context("cannot share the log")?);
    command.stderr(log.try_clone().context("cannot share the log")?);
    let child = command.spawn().with_context(|| format!("cannot run {}", program.display()))?;
    match serving(site, child).await {
        Ok(shown) => Ok(shown),
        Err(error) => {
            let mut words = String::new();
            let read = log
                .seek(SeekFrom::Start(begin))
                .and_then(|_| log.take(LAST_WORDS).read_to_string(&mut words));
            match read {
                Ok(length) if length > 0 => Err(anyhow!("{error:#}: {}", words.trim())),
                _ => Err(error),
            }
        }
    }
}

async fn serving(site: &Site, mut child: Child) -> anyhow::Result<Vec<ServerStatus>> {
    let until = Instant::now() + START_WITHIN;
    loop {
        if let Some(status) = child.try_wait().context("cannot wait for the daemon")? {
            bail!("the daemon did not start ({status})");
        }
        // A socket that does not answer yet is one more reason to wait.
        if let Ok(Some(shown)) = of_daemon(site).await {
            return Ok(shown);
        }
        if Instant::now() >= until {
            bail!("the daemon (process {}) does not serve after {} s", child.id(), START_WITHIN.as_secs());
        }
        sleep(ASK_EVERY).await;
    }
}

/// Whether there was something to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stopped {
    /// It has ended.
    Now,
    /// None was running.
    Before,
}

/// Ends the daemon and waits until it has ended.
pub(super) async fn stop(site: &Site, how: Tell) -> anyhow::Result<Stopped> {
    let Some(process) = daemon_process(site).await? else { return Ok(Stopped::Before) };
    let pid = process.pid();
    process.tell(how).with_context(|| format!("may not end the daemon (process {pid})"))?;
    match process.wait(STOP_WITHIN).with_context(|| format!("cannot wait for process {pid}"))? {
        Life::Ended => Ok(Stopped::Now),
        Life::Alive => bail!(
            "the daemon (process {pid}) still runs after {} s; killStart ends it by force",
            STOP_WITHIN.as_secs()
        ),
    }
}
