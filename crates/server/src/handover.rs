//! What a process that a manager has begun knows of it.
//!
//! It takes its listening sockets from the manager, says when it serves, answers its probes, and ends when it is gone:
//! nobody would begin it again, and the next manager of the host could not start while this process has the ports. Its
//! pid file and its control socket carry its name. The other side is `control::manager`; the talk between them is
//! `control::manager::channel`.

use crate::folder;
use crate::lifecycle::own_call;
use crate::ports::Held;
use admin::site::Site;
use anyhow::Context as _;
use control::lock_file::{LockFile, TakeError};
use control::manager::channel::{self, Ready, ToManager, Word};
use roles::manager::{Manager, ServerState};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::time::Duration;

/// How long the sessions of such a process may take to end: less than the manager waits for its end.
pub(crate) const DRAIN: Duration = Duration::from_secs(5);
/// How often the pid file is tried while the process before still drains.
const TRY_EVERY: Duration = Duration::from_millis(100);

/// A process that a manager has begun.
pub(crate) struct Managed {
    name: String,
    held: Held,
    stream: UnixStream,
    /// Its pid file.
    lock: Option<LockFile>,
}

impl Managed {
    /// Takes what the manager gives at the standard input.
    ///
    /// # Errors
    /// Where there is no manager.
    pub(crate) fn begin(name: &str) -> anyhow::Result<Self> {
        let stream = channel::of_standard_input().context("there is no manager at the standard input")?;
        let sockets = channel::take(&stream).context("the manager gives no sockets")?;
        Ok(Self { name: name.to_owned(), held: Held::given(sockets), stream, lock: None })
    }

    /// Its sockets.
    pub(crate) fn held(&self) -> &Held {
        &self.held
    }

    /// Its control socket: the manager passes commands on to it.
    pub(crate) fn socket(&self, site: &Site) -> PathBuf {
        site.server_socket(&self.name)
    }

    /// Takes the pid file of the process, unless the one before has it still, which drains while this one serves.
    ///
    /// # Errors
    /// Where the file cannot be written.
    pub(crate) fn lock(&mut self, site: &Site) -> anyhow::Result<()> {
        match folder::lock_server(site, &self.name) {
            Ok(lock) => self.lock = Some(lock),
            Err(TakeError::Held(_)) => {}
            Err(error) => {
                return Err(error).with_context(|| format!("cannot write the pid file of {}", self.name));
            }
        }
        Ok(())
    }

    /// Says that it serves, and answers until the manager is gone. The pid file is held until this is dropped.
    pub(crate) async fn attend(&mut self, site: &Site, manager: &impl Manager) {
        // Whoever connects from here on does so through the sockets of the servers.
        self.held = Held::default();
        let stream = self.stream.try_clone();
        let served = async {
            let mut to = ToManager::new(stream?)?;
            to.say(&Word::Ready(ready(manager).await)).await?;
            while let Some((probe, server)) = to.next_probe().await {
                let asked = manager.server_probe(&own_call(), server).await;
                let result = asked.map_err(|error| error.to_string());
                to.say(&Word::Answer { probe, result }).await?;
            }
            std::io::Result::Ok(())
        };
        tokio::select! {
            // Whatever failed, it means that the manager is gone.
            _ = served => {}
            () = hold(&mut self.lock, site, &self.name) => {}
        }
    }
}

/// What there is to say of a process that serves.
async fn ready(manager: &impl Manager) -> Ready {
    let all = manager.server_list(&own_call()).await.unwrap_or_default();
    let running = all.into_iter().filter(|status| status.state == ServerState::Running);
    let servers = running.map(|status| (status.name, status.ports)).collect();
    Ready { version: env!("CARGO_PKG_VERSION").to_owned(), servers }
}

/// Takes the pid file as soon as the process before has ended. Never returns.
async fn hold(lock: &mut Option<LockFile>, site: &Site, name: &str) {
    while lock.is_none() {
        tokio::time::sleep(TRY_EVERY).await;
        *lock = folder::lock_server(site, name).ok();
    }
    std::future::pending().await
}
