//! A thread's connection: made when it is needed, replaced when it is lost, at growing intervals while it cannot be had.

use super::{Access, Session, Source, SqlError, State};
use catalog::events::db::{DbDatabaseNote, DbRemovingConnection, DbTempDisconnect};
use env::Env;
use env::clock::Moment;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// The first pause after an attempt that failed; each further one is twice as long, up to the engine's longest.
const FIRST_PAUSE: Duration = Duration::from_millis(100);

/// A connection, or what is known of why there is none.
pub(super) struct Keeper {
    source: Source,
    access: Access,
    env: Env,
    session: Option<Session>,
    away: Option<Away>,
}

struct Away {
    /// What [`Source::returns`] was then.
    returns: u64,
    since: Moment,
    until: Moment,
    pause: Duration,
    error: SqlError,
}

impl Keeper {
    /// Without a connection yet.
    pub(super) fn new(source: Source, access: Access, env: Env) -> Self {
        Self { source, access, env, session: None, away: None }
    }

    /// Begins a transaction. Where the connection has died since the last one, nothing of this one has happened yet: it
    /// is tried once more on a new connection, unless the configuration says otherwise.
    pub(super) fn begin(&mut self) -> Result<&Session, SqlError> {
        if let Err(error) = self.begin_once() {
            let again = self.session.is_none() && self.away.is_none() && self.source.retries();
            if !again {
                return Err(error);
            }
            self.begin_once()?;
        }
        self.session.as_ref().ok_or_else(super::lost)
    }

    fn begin_once(&mut self) -> Result<(), SqlError> {
        self.connect()?;
        let Some(session) = &self.session else { return Err(super::lost()) };
        let Err(error) = session.begin(self.access) else { return Ok(()) };
        let _ = session.roll_back();
        match session.state() {
            State::Idle => {}
            State::Within | State::Failed | State::Lost => self.remove(&error),
        }
        Err(error)
    }

    /// Connects, unless that is so already or has just failed.
    ///
    /// # Errors
    /// Where the database is out of reach, or is not understood.
    pub(super) fn connect(&mut self) -> Result<(), SqlError> {
        if self.session.is_some() {
            return Ok(());
        }
        let now = self.env.clock.moment();
        // Where another thread has reached the database since, waiting longer would be for nothing.
        if let Some(away) = &self.away
            && now < away.until
            && away.returns == self.source.returns.load(Ordering::Acquire)
        {
            return Err(away.error.clone());
        }
        match self.source.connect_checked(self.access, &self.env) {
            Ok(session) => {
                if let Some(away) = self.away.take() {
                    self.source.returns.fetch_add(1, Ordering::AcqRel);
                    let seconds = now.saturating_duration_since(away.since).as_secs();
                    let text = format!("connected to {} again after {seconds} seconds", session.place());
                    self.env.log.emit(&DbDatabaseNote { text });
                }
                self.session = Some(session);
                Ok(())
            }
            Err(error) => {
                self.put_off(&error);
                Err(error)
            }
        }
    }

    fn put_off(&mut self, error: &SqlError) {
        let longest = self.source.longest_pause();
        let pause = self.away.as_ref().map_or(FIRST_PAUSE, |a| a.pause * 2).min(longest);
        let now = self.env.clock.moment();
        let since = self.away.as_ref().map_or(now, |a| a.since);
        let returns = self.source.returns.load(Ordering::Acquire);
        self.away = Some(Away { returns, since, until: now + pause, pause, error: error.clone() });
        let (database, retry_millis) = (self.source.to_string(), pause.as_millis());
        self.env.log.emit(&DbTempDisconnect { database, error, retry_millis });
    }

    /// After a job: a connection that cannot be trusted any more is replaced by the next one.
    pub(super) fn check(&mut self, outcome: &Result<(), SqlError>) {
        let Some(session) = &self.session else { return };
        // After a failed sync nothing that a connection believes about its file can be trusted.
        let failed = matches!(outcome, Err(SqlError::Unavailable(_) | SqlError::Broken(_)));
        if session.state() != State::Idle || failed {
            let error = outcome.clone().err().unwrap_or_else(super::lost);
            self.remove(&error);
        }
    }

    fn remove(&mut self, error: &SqlError) {
        if let Some(session) = self.session.take() {
            self.env.log.emit(&DbRemovingConnection { connection: session.place(), error });
        }
    }
}
