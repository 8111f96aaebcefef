//! Keeps the configuration of the site and serves it to whoever asks: the role `Configuration` over `config.db`.
//!
//! The files are the truth; nothing is held in memory, so any number of processes may serve the same files. Reading and
//! writing goes through the compute pool. Hosts without the files follow by `configuration_watch` ([`super::Mirror`]).

use super::change::{assess, install, unreadable};
use super::history::{History, checksum};
use super::load::{Files, text};
use env::Env;
use roles::configuration::{
    Accepted, Assessed, Configuration, ConfigurationError, Proposal, Snapshot, Version,
};
use roles::{Answer, Call};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Notify;

/// How often a watched file is looked at: half of the second within which a change is to be in force everywhere
/// is left for the way.
const LOOK_EVERY: Duration = Duration::from_millis(200);
/// Most changes that one answer lists.
const MAX_LISTED: usize = super::MAX_RECORDS;

/// The configuration server.
#[derive(Clone)]
pub struct ConfigurationServer {
    files: Files,
    env: Env,
    /// Wakes who watches in this process.
    changed: Arc<Notify>,
}

impl ConfigurationServer {
    /// Over these files.
    pub fn new(files: Files, env: Env) -> Self {
        Self { files, env, changed: Arc::new(Notify::new()) }
    }

    /// Does it on a thread where it may wait for the disk.
    async fn run<T, F>(&self, work: F) -> Result<T, ConfigurationError>
    where
        T: Send + 'static,
        F: FnOnce(&Files) -> Result<T, ConfigurationError> + Send + 'static,
    {
        let files = self.files.clone();
        let done = self.env.compute.run(move || work(&files)).await;
        done.map_err(|_| ConfigurationError::Busy("too much to do".into()))?
    }

    async fn snapshot(&self) -> Result<Snapshot, ConfigurationError> {
        self.run(snapshot).await
    }

    async fn apply(&self, proposal: Proposal) -> Result<Assessed, ConfigurationError> {
        let at = self.env.clock.now();
        let done = self.run(move |files| install(files, &proposal, at)).await;
        self.changed.notify_waiters();
        done
    }

    async fn watch(&self, call: &Call, known: Version) -> Result<Snapshot, ConfigurationError> {
        let until = self.env.clock.moment() + call.deadline;
        loop {
            let changed = self.changed.notified();
            let snapshot = self.snapshot().await?;
            let left = until.saturating_duration_since(self.env.clock.moment());
            if snapshot.version != known || left.is_zero() {
                return Ok(snapshot);
            }
            tokio::select! {
                () = changed => {}
                () = self.env.clock.sleep(left.min(LOOK_EVERY)) => {}
            }
        }
    }
}

/// The changes that were accepted, the newest first, at most this many and never more than are kept.
///
/// # Errors
/// Where the configuration or its history cannot be read.
pub fn accepted(files: &Files, most: usize) -> Result<Vec<Accepted>, ConfigurationError> {
    let text = text(&files.current).map_err(unreadable)?;
    Ok(History::read(files).map_err(unreadable)?.newest(&text, most.min(MAX_LISTED)))
}

/// The configuration that holds, with its number.
///
/// # Errors
/// Where the configuration or its history cannot be read.
pub fn snapshot(files: &Files) -> Result<Snapshot, ConfigurationError> {
    let text = text(&files.current).map_err(unreadable)?;
    let version = History::read(files).map_err(unreadable)?.version(&text);
    Ok(Snapshot { version, text })
}

/// The version that holds and those before it, the newest first, each with the checksum of its text.
///
/// # Errors
/// Where the configuration or its history cannot be read.
pub fn checksums(files: &Files) -> Result<Vec<(Version, String)>, ConfigurationError> {
    let text = text(&files.current).map_err(unreadable)?;
    let history = History::read(files).map_err(unreadable)?;
    let now = (history.version(&text), checksum(&text));
    let mut all = history.checksums(&text, MAX_LISTED);
    if all.first() != Some(&now) {
        all.insert(0, now);
    }
    Ok(all)
}

impl Configuration for ConfigurationServer {
    fn configuration_get<'a>(&'a self, _call: &'a Call) -> Answer<'a, Snapshot, ConfigurationError> {
        Box::pin(self.snapshot())
    }

    fn configuration_assess<'a>(
        &'a self,
        _call: &'a Call,
        proposal: Proposal,
    ) -> Answer<'a, Assessed, ConfigurationError> {
        Box::pin(self.run(move |files| assess(files, &proposal)))
    }

    fn configuration_apply<'a>(
        &'a self,
        _call: &'a Call,
        proposal: Proposal,
    ) -> Answer<'a, Assessed, ConfigurationError> {
        Box::pin(self.apply(proposal))
    }

    fn configuration_history<'a>(
        &'a self,
        _call: &'a Call,
        most: usize,
    ) -> Answer<'a, Vec<Accepted>, ConfigurationError> {
        Box::pin(self.run(move |files| accepted(files, most)))
    }

    fn configuration_watch<'a>(
        &'a self,
        call: &'a Call,
        known: Version,
    ) -> Answer<'a, Snapshot, ConfigurationError> {
        Box::pin(self.watch(call, known))
    }
}
