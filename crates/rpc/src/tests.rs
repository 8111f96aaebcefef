//! Both sides together: over pipes in memory, over TCP with TLS, and with peers that do not behave.

mod faults;
mod roles_over_pipes;
mod secured;
mod several;

use crate::client::Remote;
use crate::pool::{Dial, Dialling, Io, Peer};
use crate::serve::{Dispatch, Served};
use env::Env;
use mail::id::{HostName, RequestId, TraceId};
use roles::Call;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

/// Connects by pipes in memory, as long as it may.
pub(super) struct Pipes {
    env: Env,
    served: Served,
    dispatch: Mutex<Dispatch>,
    open: AtomicBool,
    made: AtomicUsize,
    /// Dropping it ends the connections.
    cut: Mutex<Vec<tokio::sync::oneshot::Sender<()>>>,
}

impl Pipes {
    /// The server begins anew: its connections are gone, and so is what it had at hand.
    fn restart(&self) {
        let fresh = Dispatch::new(self.env.clone(), std::env::temp_dir(), self.served.clone());
        *self.dispatch.lock().unwrap() = fresh;
        self.cut.lock().unwrap().clear();
    }
}

impl Dial for Pipes {
    fn dial(&self) -> Dialling {
        self.made.fetch_add(1, Ordering::AcqRel);
        if !self.open.load(Ordering::Acquire) {
            return Box::pin(async { Err(std::io::ErrorKind::ConnectionRefused.into()) });
        }
        let (ours, theirs) = tokio::io::duplex(256 << 10);
        let (env, dispatch) = (self.env.clone(), self.dispatch.lock().unwrap().clone());
        let (cut, when_cut) = tokio::sync::oneshot::channel();
        self.cut.lock().unwrap().push(cut);
        // A relay between the two, which can be cut as a cable can.
        let (mut far, mut near) = (theirs, tokio::io::duplex(256 << 10));
        let inner = near.1;
        self.env.tasks.spawn(async move {
            tokio::select! {
                _ = tokio::io::copy_bidirectional(&mut far, &mut near.0) => {}
                _ = when_cut => {}
            }
        });
        self.env.tasks.spawn(async move { crate::access::serve(&env, inner, "pipe", dispatch).await });
        Box::pin(async move { Ok(Box::new(ours) as Box<dyn Io>) })
    }

    fn port(&self) -> u16 {
        7
    }
}

/// A peer behind pipes that serves these roles.
pub(super) fn remote(env: &Env, served: Served) -> (Remote, Arc<Pipes>, Arc<Peer>) {
    let dispatch = Mutex::new(Dispatch::new(env.clone(), std::env::temp_dir(), served.clone()));
    let (open, made) = (AtomicBool::new(true), AtomicUsize::new(0));
    let pipes = Arc::new(Pipes { env: env.clone(), served, dispatch, open, made, cut: Mutex::default() });
    let peer = Peer::new(env.clone(), HostName::new("mars"), pipes.clone(), 2);
    (Remote::new(Arc::clone(&peer)), pipes, peer)
}

pub(super) fn call(n: u128) -> Call {
    Call::new(RequestId(n), TraceId::new("test"))
}

/// How many lines of the log have this event.
pub(super) fn said(env: &Env, event: &str) -> usize {
    env.log.lines().iter().filter(|line| line.contains(event)).count()
}
