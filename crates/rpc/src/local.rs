//! The servers of one host among themselves: the same calls over sockets in the site's folder.
//!
//! Who gets to such a socket is already the user of the site on this host, which is more than a certificate could show: so
//! there is none, and no cost of encryption. All else is as over the wire ([`crate::access`]).

use crate::access::serve;
use crate::pool::{Dial, Dialling, Io};
use crate::serve::Dispatch;
use catalog::events::nio::{NioAcceptFail, NioConnNotAllowed};
use env::Env;
use net::local;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::UnixListener;
use tokio::sync::Semaphore;

/// Most connections: each server of the host has a few to each other one.
const CONNECTIONS: usize = 512;
/// Pause after a failed accept.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// How the other side is called in the log.
const NAME: &str = "this host";

/// A socket on which the roles of a process are asked by the others of its host.
pub struct LocalDoor {
    socket: UnixListener,
    env: Env,
}

impl LocalDoor {
    /// Over a socket that listens already.
    ///
    /// # Errors
    /// What the system said.
    pub fn over(env: Env, socket: std::os::unix::net::UnixListener) -> io::Result<Self> {
        socket.set_nonblocking(true)?;
        Ok(Self { socket: UnixListener::from_std(socket)?, env })
    }

    /// Accepts until the tasks are to end. Connections go on in tasks of their own, until then too.
    pub async fn run(self, dispatch: Dispatch) {
        let mut stopping = self.env.tasks.stopping();
        let places = Arc::new(Semaphore::new(CONNECTIONS));
        loop {
            let accepted = tokio::select! {
                () = stopping.wait() => return,
                accepted = self.socket.accept() => accepted,
            };
            let stream = match accepted {
                Ok((stream, _)) => stream,
                Err(error) => {
                    self.env.log.emit(&NioAcceptFail { error });
                    self.env.clock.sleep(ACCEPT_PAUSE).await;
                    continue;
                }
            };
            let place = Arc::clone(&places).try_acquire_owned().ok().filter(|_| local::is_ours(&stream));
            let Some(place) = place else {
                self.env.log.emit(&NioConnNotAllowed { peer: NAME, port: 0, key: "" });
                continue;
            };
            let (env, dispatch) = (self.env.clone(), dispatch.clone());
            self.env.tasks.spawn(async move {
                let _place = place;
                serve(&env, stream, NAME, dispatch).await;
            });
        }
    }
}

/// The way to another process of this host.
pub struct LocalWay(PathBuf);

impl LocalWay {
    /// By this socket.
    pub fn new(socket: PathBuf) -> Self {
        Self(socket)
    }
}

impl Dial for LocalWay {
    fn dial(&self) -> Dialling {
        let path = self.0.clone();
        Box::pin(async move {
            let named =
                |error: io::Error| io::Error::new(error.kind(), format!("{}: {error}", path.display()));
            Ok(Box::new(local::connect(&path).await.map_err(named)?) as Box<dyn Io>)
        })
    }

    fn port(&self) -> u16 {
        0
    }
}
