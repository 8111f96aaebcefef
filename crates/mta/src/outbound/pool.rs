//! Sessions that are ready for another message to the same place.
//!
//! Few, and not for long: a server's patience is its own business, and a session that has died meanwhile costs
//! one attempt to find out.

use super::session::Session;
use env::clock::Moment;
use net::dial::NextHop;
use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Idle sessions in all.
const MOST: usize = 100;
/// How long one waits for another message.
const IDLE: Duration = Duration::from_secs(5);
/// Transactions of one session.
const TRANSACTIONS: u32 = 100;

/// The idle sessions.
#[derive(Default)]
pub(crate) struct Pool(Mutex<HashMap<NextHop, Vec<(Session, Moment)>>>);

impl Pool {
    /// A session with this place, the one used last.
    pub(crate) fn take(&self, hop: &NextHop) -> Option<Session> {
        let mut idle = self.idle();
        let sessions = idle.get_mut(hop)?;
        let session = sessions.pop().map(|(session, _)| session);
        if sessions.is_empty() {
            idle.remove(hop);
        }
        session
    }

    /// Keeps a session for the next message. Gives it back where it has done enough, or there are enough.
    pub(crate) fn keep(&self, hop: &NextHop, session: Session, now: Moment) -> Option<Session> {
        let mut idle = self.idle();
        if session.transactions() >= TRANSACTIONS || idle.values().map(Vec::len).sum::<usize>() >= MOST {
            return Some(session);
        }
        idle.entry(hop.clone()).or_default().push((session, now));
        None
    }

    /// Those that have waited too long at `now`; all, where it is time to stop.
    pub(crate) fn sweep(&self, now: Moment) -> Vec<Session> {
        let mut idle = self.idle();
        let mut old = Vec::new();
        idle.retain(|_, sessions| {
            let keep = sessions.partition_point(|(_, since)| now.duration_since(*since) >= IDLE);
            old.extend(sessions.drain(..keep).map(|(session, _)| session));
            !sessions.is_empty()
        });
        old
    }

    /// When to sweep again; `None` where nothing is kept.
    pub(crate) fn next_sweep(&self) -> Option<Duration> {
        (!self.idle().is_empty()).then_some(IDLE)
    }

    fn idle(&self) -> MutexGuard<'_, HashMap<NextHop, Vec<(Session, Moment)>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
