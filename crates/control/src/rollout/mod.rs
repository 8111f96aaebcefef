//! Brings changes to hosts: some first, watched, then all or none. The role `Rollout` over `config.db` and the hosts.
//!
//! [`RolloutServer`] asks the hosts how they are, begins the trial in the files (`configuration::trial`) and watches it
//! (`watch`): `health` compares what was seen before with what is seen now. A trial is ended by the process that began
//! it or, where that has gone, by the next one that serves: it is taken back, since nobody knows how its hosts were.

mod facts;
mod health;
mod watch;

use crate::configuration::{Files, checksums, trial};
use catalog::events::conf::{ConfPromoted, ConfRolledBack, ConfStaged};
use env::Env;
use facts::{facts, running};
use futures_util::future::join_all;
use mail::id::HostName;
use roles::configuration::{Assessed, ConfigurationError, Proposal, Version};
use roles::probe::{Host, Hosts};
use roles::rollout::{
    Drift, End, Ended, HostReport, MAX_HOSTS, Rollout, RolloutError, State, Trial, UnderWay,
};
use roles::{Answer, Call};
use std::collections::BTreeSet;
use std::ops::RangeInclusive;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;
use watch::Watch;

/// How long a change may be tried.
const WATCHES: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_secs(86_400);
/// How often who waits for the end of a trial looks at the files, where another process ends it.
const LOOK_EVERY: Duration = Duration::from_millis(250);
/// How long a process may take to report.
const REPORT_WITHIN: Duration = Duration::from_secs(5);
/// Who ends a trial where no operator does.
const WATCHER: &str = "imconfserv";

/// Serves while [`RolloutServer::serve`] has been called and its surroundings have not ended.
#[derive(Clone)]
pub struct RolloutServer(Arc<Inner>);

struct Inner {
    files: Files,
    hosts: Arc<dyn Hosts>,
    /// Its surroundings, while it serves, with the number of this time that it serves.
    serving: Mutex<(u64, Option<Env>)>,
    /// Wakes who waits for the end of a trial.
    ended: Notify,
}

impl RolloutServer {
    /// Over these files and hosts. Does not serve yet.
    pub fn new(files: Files, hosts: Arc<dyn Hosts>) -> Self {
        Self(Arc::new(Inner { files, hosts, serving: Mutex::default(), ended: Notify::new() }))
    }

    /// Serves until the tasks of these surroundings are to end. A trial that was under way is taken back: whoever watched
    /// it has gone.
    pub fn serve(&self, env: &Env) {
        let time = {
            let mut serving = self.lock();
            *serving = (serving.0 + 1, Some(env.clone()));
            serving.0
        };
        let (server, env) = (self.clone(), env.clone());
        env.tasks.clone().spawn(async move {
            if let Ok(Some(open)) = server.run(&env, |files| Ok(trial::open(files)?)).await {
                watch::take_back_unwatched(&server, &env, &open).await;
            }
            env.tasks.stopping().wait().await;
            let mut serving = server.lock();
            // Where it was restarted, it serves already again.
            if serving.0 == time {
                serving.1 = None;
            }
        });
    }

    fn lock(&self) -> MutexGuard<'_, (u64, Option<Env>)> {
        self.0.serving.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn serving(&self) -> Result<Env, RolloutError> {
        let serving = self.lock().1.clone();
        let down = || ConfigurationError::Unavailable("imconfserv does not run".into());
        serving.ok_or_else(|| down().into())
    }

    /// Does it on a thread where it may wait for the disk.
    async fn run<T, F>(&self, env: &Env, work: F) -> Result<T, RolloutError>
    where
        T: Send + 'static,
        F: FnOnce(&Files) -> Result<T, RolloutError> + Send + 'static,
    {
        let files = self.0.files.clone();
        let done = env.compute.run(move || work(&files)).await;
        done.map_err(|_| ConfigurationError::Busy("too much to do".into()))?
    }

    /// The hosts of these names, each where it is known.
    fn named(&self, names: &[String]) -> Vec<Option<Host>> {
        let all = self.0.hosts.hosts();
        let find = |name: &String| all.iter().find(|host| host.name == *name).cloned();
        names.iter().map(find).collect()
    }

    async fn begin(&self, proposal: Proposal, mut trial: Trial) -> Result<Assessed, RolloutError> {
        let env = self.serving()?;
        let names: BTreeSet<_> =
            trial.hosts.iter().map(|name| HostName::new(name).as_str().to_owned()).collect();
        trial.hosts = names.into_iter().collect();
        in_range(&trial)?;
        let mut hosts = Vec::new();
        for (host, name) in self.named(&trial.hosts).into_iter().zip(&trial.hosts) {
            let unknown = || ill(name, "the configuration server knows no such host".into());
            hosts.push(host.ok_or_else(unknown)?);
        }
        let seen = join_all(hosts.iter().map(|host| facts(&env, host))).await;
        let mut before = Vec::new();
        for (host, seen) in hosts.into_iter().zip(seen) {
            let seen = seen.and_then(|facts| health::fit(&facts).map(|()| facts));
            let seen = seen.map_err(|why| ill(&host.name, why))?;
            before.push((host, seen));
        }
        let at = env.clock.now();
        let made = self.run(&env, move |files| {
            let assessed = trial::begin(files, &proposal, &trial, at)?;
            Ok((trial::open(files)?, assessed))
        });
        let (open, assessed) = made.await?;
        // Somebody else may have ended it already.
        if let Some(open) = open.filter(|open| open.under_way.version == assessed.version) {
            let UnderWay { version, hosts, watch, .. } = &open.under_way;
            env.log.emit(&ConfStaged { version, hosts: hosts.join(","), seconds: watch.as_secs() });
            let watch = Watch { server: self.clone(), env: env.clone(), open, hosts: before };
            env.tasks.spawn(watch.run());
        }
        Ok(assessed)
    }

    async fn is_under_way(&self, env: &Env, version: Version) -> Result<bool, RolloutError> {
        let open = self.run(env, |files| Ok(trial::open(files)?)).await?;
        Ok(open.is_some_and(|open| open.under_way.version == version))
    }

    async fn how_ended(&self, env: &Env, version: Version) -> Result<Ended, RolloutError> {
        let ended = self.run(env, move |files| Ok(trial::ended(files, version)?)).await?;
        ended.ok_or(RolloutError::NoTrial)
    }

    /// Ends a trial and says so.
    async fn end(
        &self,
        env: &Env,
        trial: Version,
        (end, who, why): (End, &str, &str),
    ) -> Result<Ended, RolloutError> {
        let (at, who, why) = (env.clock.now(), who.to_owned(), why.to_owned());
        let ended = self.run(env, move |files| Ok(trial::end(files, trial, end, (&who, &why), at)?)).await;
        if let Ok(Ended { trial, version, end, why }) = &ended {
            match end {
                End::Spread => env.log.emit(&ConfPromoted { version, stage: trial, why }),
                End::TakenBack => env.log.emit(&ConfRolledBack { version, stage: trial, why }),
            }
        }
        self.0.ended.notify_waiters();
        ended
    }

    async fn wait(&self, call: &Call, version: Version) -> Result<State, RolloutError> {
        let env = self.serving()?;
        let until = env.clock.moment() + call.deadline;
        loop {
            let notified = self.0.ended.notified();
            let state = self.run(&env, move |files| Ok((trial::ended(files, version)?, trial::open(files)?)));
            let open = match state.await? {
                (Some(ended), _) => return Ok(State::Ended(ended)),
                (None, open) => open.filter(|open| open.under_way.version == version),
            };
            let open = open.ok_or(RolloutError::NoTrial)?;
            let left = until.saturating_duration_since(env.clock.moment());
            if left.is_zero() {
                return Ok(State::UnderWay(open.under_way));
            }
            tokio::select! {
                () = notified => {}
                () = env.clock.sleep(left.min(LOOK_EVERY)) => {}
            }
        }
    }

    async fn end_by(&self, end: End, who: String) -> Result<Ended, RolloutError> {
        let env = self.serving()?;
        let open = self.run(&env, |files| Ok(trial::open(files)?)).await?.ok_or(RolloutError::NoTrial)?;
        let version = open.under_way.version;
        let what = if end == End::Spread { "spread" } else { "taken back" };
        let why = format!("version {version} {what} before its time");
        self.end(&env, version, (end, &who, &why)).await
    }

    async fn show(&self) -> Result<Option<UnderWay>, RolloutError> {
        let env = self.serving()?;
        let open = self.run(&env, |files| Ok(trial::open(files)?)).await?;
        Ok(open.map(|open| open.under_way))
    }

    async fn drift(&self, call: &Call) -> Result<Drift, RolloutError> {
        let env = self.serving()?;
        let known = self.run(&env, |files| Ok(checksums(files)?)).await?;
        let call = Call { deadline: call.deadline.min(REPORT_WITHIN), ..call.clone() };
        let hosts = self.0.hosts.hosts();
        let reports = hosts.iter().map(|host| async {
            // Where the manager does not say what runs, each process is asked, and those that do not answer are told.
            let servers = host.manager.server_list(&call).await.unwrap_or_default();
            let asked = running(host, &servers).map(|process| process.process_report(&call));
            HostReport { host: host.name.clone(), processes: join_all(asked).await }
        });
        let hosts = join_all(reports).await;
        let (version, checksum) = known.first().cloned().unwrap_or_default();
        Ok(Drift { version, checksum, known, hosts })
    }
}

fn ill(host: &str, why: String) -> RolloutError {
    RolloutError::Host { host: host.to_owned(), why }
}

fn in_range(trial: &Trial) -> Result<(), RolloutError> {
    let hosts = trial.hosts.len();
    match (hosts, WATCHES.contains(&trial.watch)) {
        (0, _) => Err(RolloutError::OutOfRange("no host is named".into())),
        (_, false) => Err(RolloutError::OutOfRange("a change is tried for 1 second to 1 day".into())),
        _ if hosts > MAX_HOSTS => {
            Err(RolloutError::OutOfRange(format!("a change is tried on at most {MAX_HOSTS} hosts")))
        }
        _ => Ok(()),
    }
}

impl Rollout for RolloutServer {
    fn trial_begin<'a>(
        &'a self,
        _call: &'a Call,
        proposal: Proposal,
        trial: Trial,
    ) -> Answer<'a, Assessed, RolloutError> {
        Box::pin(self.begin(proposal, trial))
    }

    fn trial_wait<'a>(&'a self, call: &'a Call, version: Version) -> Answer<'a, State, RolloutError> {
        Box::pin(self.wait(call, version))
    }

    fn trial_show<'a>(&'a self, _call: &'a Call) -> Answer<'a, Option<UnderWay>, RolloutError> {
        Box::pin(self.show())
    }

    fn trial_end<'a>(&'a self, _call: &'a Call, end: End, who: String) -> Answer<'a, Ended, RolloutError> {
        Box::pin(self.end_by(end, who))
    }

    fn drift_report<'a>(&'a self, call: &'a Call) -> Answer<'a, Drift, RolloutError> {
        Box::pin(self.drift(call))
    }
}

#[cfg(test)]
mod tests;
