//! Telling the copies of other hosts that something has changed, so that they do not wait for their next look at the log.
//!
//! Promised: a host that is away or slow costs itself alone; whatever changes while a host is being told is told once more, together.
//! Nothing is promised of arrival: a copy that was not told looks by itself after `dirCacheUpdatePeriod`.

use crate::server::DirectoryServer;
use mail::id::TraceId;
use roles::Call;
use roles::directory::cache::{Control, DirectoryCache};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

/// Changes that come within this time are told together.
const TOGETHER: Duration = Duration::from_millis(5);
/// How long a host may take to bring its copy up to date before it is left to its own period.
const LONGEST: Duration = Duration::from_secs(10);

/// That something has changed here.
pub(crate) struct Nudge(watch::Sender<u64>);

impl Nudge {
    pub(crate) fn new() -> Self {
        Self(watch::Sender::new(0))
    }

    /// Tells whoever is to be told.
    pub(crate) fn changed(&self) {
        self.0.send_modify(|count| *count = count.wrapping_add(1));
    }
}

impl DirectoryServer {
    /// From now on tells these copies, which other hosts keep of the same database, of every change that is made through this
    /// server.
    pub fn nudge(&self, copies: Vec<Arc<dyn DirectoryCache>>) {
        for copy in copies {
            let (env, mut changes) = (self.shared.env.clone(), self.shared.nudge.0.subscribe());
            let mut stopping = env.tasks.stopping();
            env.tasks.clone().spawn(async move {
                loop {
                    tokio::select! {
                        changed = changes.changed() => if changed.is_err() { return },
                        () = stopping.wait() => return,
                    }
                    env.clock.sleep(TOGETHER).await;
                    let _ = changes.borrow_and_update();
                    let mut call = Call::new(env.random.request_id(), TraceId::new("nudge"));
                    call.deadline = LONGEST;
                    // One that cannot be told now looks by itself.
                    let _ = copy.cache_control(&call, Control::Update).await;
                }
            });
        }
    }
}
