//! What users saw: how every session ended, judged by what was away meanwhile.

use crate::fault::{Fault, HOSTS, Task, may_fail};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How a session ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum End {
    Well,
    /// Another session of the same user that nobody ended still holds the mailbox.
    Busy,
    /// Refused or broken: with what was said.
    Badly(String),
}

/// A session of a client.
#[derive(Debug, Clone)]
pub(crate) struct Session {
    pub(crate) task: Task,
    /// The number of the front end.
    pub(crate) front: usize,
    pub(crate) begun: Instant,
    pub(crate) ended: Instant,
    pub(crate) end: End,
}

/// A fault, from the blow until all were served again.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Window {
    pub(crate) fault: Fault,
    pub(crate) begun: Instant,
    pub(crate) ended: Instant,
    /// How long it was away.
    pub(crate) away: Duration,
    /// From its return until its users were served.
    pub(crate) back: Duration,
}

impl Window {
    fn meets(&self, session: &Session) -> bool {
        session.begun <= self.ended && session.ended >= self.begun
    }

    fn excuses(&self, session: &Session) -> bool {
        self.meets(session) && may_fail(self.fault.target, session.front, session.task)
    }
}

/// All sessions and all faults.
#[derive(Default)]
pub(crate) struct Tally(Mutex<Books>);

#[derive(Default)]
struct Books {
    sessions: Vec<Session>,
    windows: Vec<Window>,
}

impl Tally {
    pub(crate) fn note(&self, session: Session) {
        self.books().sessions.push(session);
    }

    pub(crate) fn close(&self, window: Window) {
        self.books().windows.push(window);
    }

    /// How many sessions there were.
    pub(crate) fn operations(&self) -> usize {
        self.books().sessions.len()
    }

    /// Sessions that ended badly and had nothing to do with what was away.
    pub(crate) fn findings(&self) -> Vec<String> {
        let books = self.books();
        let bad = books.sessions.iter().filter_map(|session| match &session.end {
            End::Badly(why) if !books.windows.iter().any(|w| w.excuses(session)) => {
                let during = books.windows.iter().find(|w| w.meets(session));
                let during = during.map_or_else(|| "nothing was away".into(), |w| w.fault.to_string());
                let (front, ..) = HOSTS[session.front];
                Some(format!("{during}: {:?} over {front}: {why}", session.task))
            }
            _ => None,
        });
        bad.collect()
    }

    /// A row of the table.
    pub(crate) fn row(&self, window: &Window) -> String {
        let books = self.books();
        let met: Vec<_> = books.sessions.iter().filter(|session| window.meets(session)).collect();
        let (own, others): (Vec<_>, Vec<_>) =
            met.into_iter().partition(|s| may_fail(window.fault.target, s.front, s.task));
        let failed = |of: &[&Session]| of.iter().filter(|s| matches!(s.end, End::Badly(_))).count();
        let slowest = others.iter().map(|s| s.ended - s.begun).max().unwrap_or_default();
        format!(
            "{:30} {:>7.1} {:>7.2} {:>7} {:>7} {:>7} {:>7} {:>9.2}",
            window.fault,
            window.away.as_secs_f64(),
            window.back.as_secs_f64(),
            own.len(),
            failed(&own),
            others.len(),
            failed(&others),
            slowest.as_secs_f64()
        )
    }

    /// All sessions in one line.
    pub(crate) fn sum(&self) -> String {
        let books = self.books();
        let count = |is: &dyn Fn(&Session) -> bool| books.sessions.iter().filter(|s| is(s)).count();
        format!(
            "{} sessions handed mail in, {} read and changed mailboxes; {} ended badly, {} found their mailbox in use",
            count(&|s| s.task == Task::Send),
            count(&|s| s.task != Task::Send),
            count(&|s| matches!(s.end, End::Badly(_))),
            count(&|s| s.end == End::Busy)
        )
    }

    fn books(&self) -> MutexGuard<'_, Books> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The head of the table: seconds away, seconds from the return until all were served, sessions that depend on what was
/// away and how many failed, all others and how many failed, the slowest of the others in seconds.
pub(crate) const HEADER: &str =
    "what was away                  away s  back s   own   failed  others  failed  slowest s";
