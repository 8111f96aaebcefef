//! One trial from its first look to its end.

use super::facts::{call, facts};
use super::health::{Facts, Verdict, judge};
use super::{RolloutServer, WATCHER};
use crate::configuration::{checksum, snapshot, trial};
use env::Env;
use env::tasks::Stopping;
use futures_util::future::join_all;
use roles::configuration::Version;
use roles::manager::ServerState;
use roles::probe::Host;
use roles::rollout::{End, Ended, Restarts, RolloutError};
use std::collections::BTreeMap;
use std::time::Duration;

/// How long a host may be in doubt before it counts as ill.
const PATIENCE: Duration = Duration::from_secs(3);
/// How long a host may take until it has a change that its servers are to be restarted with.
const TAKE_OVER_WITHIN: Duration = Duration::from_secs(10);
/// How long the restart of one server may take.
const RESTART_WITHIN: Duration = Duration::from_secs(30);
/// Shortest and longest pause between two looks.
const LOOKS: [Duration; 2] = [Duration::from_millis(200), Duration::from_secs(1)];
/// Looks that a trial has at least, where the pauses between them allow it.
const MANY: u32 = 10;

/// A trial that is watched.
pub(super) struct Watch {
    /// Who ends it.
    pub(super) server: RolloutServer,
    /// The surroundings of the configuration server while it serves.
    pub(super) env: Env,
    /// The trial.
    pub(super) open: trial::Open,
    /// Its hosts, with what was seen of them before.
    pub(super) hosts: Vec<(Host, Facts)>,
}

/// What the watching came to.
enum Seen {
    /// All hosts stayed well.
    Well,
    /// One is ill; says which and why.
    Ill(String),
    /// Nobody can watch any longer.
    Stopping,
    /// An operator has ended the trial.
    Over,
}

impl Watch {
    /// Watches the hosts to the end of the trial, and ends it.
    pub(super) async fn run(mut self) {
        let stopping = self.env.tasks.stopping();
        let seen = match self.restart_before().await {
            Ok(()) => self.look(stopping.clone()).await,
            Err(why) => Seen::Ill(why),
        };
        let trial = &self.open.under_way;
        let version = trial.version;
        let ended = match seen {
            Seen::Over => self.server.how_ended(&self.env, version).await,
            Seen::Well => {
                let (hosts, seconds) = (trial.hosts.join(", "), trial.watch.as_secs());
                let why = format!("version {version} spread: {hosts} stayed well for {seconds} s");
                self.server.end(&self.env, version, (End::Spread, WATCHER, &why)).await
            }
            Seen::Ill(why) => self.take_back(&why).await,
            Seen::Stopping => self.take_back("the configuration server was stopped while it was tried").await,
        };
        // Servers that end with this process read what holds when they begin again.
        if ended.is_ok_and(|ended| ended.end == End::TakenBack) && !stopping.is_set() {
            let hosts: Vec<_> = self.hosts.iter().map(|(host, _)| host.clone()).collect();
            // What a restart that fails leaves is told by the drift report.
            let _ = restart(&self.server, &self.env, &self.open, &hosts).await;
        }
    }

    async fn take_back(&self, why: &str) -> Result<Ended, RolloutError> {
        take_back(&self.server, &self.env, self.open.under_way.version, why).await
    }

    /// Restarts what must be to read the change; what is seen of the servers afterwards is what they are held to.
    async fn restart_before(&mut self) -> Result<(), String> {
        let hosts: Vec<_> = self.hosts.iter().map(|(host, _)| host.clone()).collect();
        if restart(&self.server, &self.env, &self.open, &hosts).await? == Done::Nothing {
            return Ok(());
        }
        for (host, before) in &mut self.hosts {
            let now = facts(&self.env, host).await.map_err(|why| format!("{}: {why}", host.name))?;
            before.servers = now.servers;
        }
        Ok(())
    }

    async fn look(&self, mut stopping: Stopping) -> Seen {
        let (begun, watch) = (self.env.clock.moment(), self.open.under_way.watch);
        let pause = (watch / MANY).clamp(LOOKS[0], LOOKS[1]);
        let mut doubts = BTreeMap::new();
        loop {
            tokio::select! {
                () = stopping.wait() => return Seen::Stopping,
                () = self.env.clock.sleep(pause) => {}
            }
            match self.server.is_under_way(&self.env, self.open.under_way.version).await {
                Ok(true) => {}
                Ok(false) => return Seen::Over,
                Err(error) => return Seen::Ill(error.to_string()),
            }
            let looked = self.env.clock.moment();
            let verdicts = match self.verdicts(looked.saturating_duration_since(begun)).await {
                Ok(verdicts) => verdicts,
                Err(error) => return Seen::Ill(error),
            };
            let elapsed = begun.elapsed();
            if let Some(why) = weigh(&verdicts, &mut doubts, elapsed) {
                return Seen::Ill(why);
            }
            if elapsed >= watch && doubts.is_empty() {
                return Seen::Well;
            }
        }
    }

    async fn verdicts(&self, elapsed: Duration) -> Result<Vec<(&str, Verdict)>, String> {
        let wanted = wanted(&self.server, &self.env).await?;
        let looks = self.hosts.iter().map(|(host, before)| {
            let wanted = &wanted;
            async move {
                let now = facts(&self.env, host).await;
                (host.name.as_str(), judge(before, &now, wanted, elapsed))
            }
        });
        Ok(join_all(looks).await)
    }
}

/// Why the trial has failed, where it has. `doubts` holds since when each host is in doubt.
fn weigh(
    verdicts: &[(&str, Verdict)],
    doubts: &mut BTreeMap<String, Duration>,
    elapsed: Duration,
) -> Option<String> {
    for (host, verdict) in verdicts {
        match verdict {
            Verdict::Well => drop(doubts.remove(*host)),
            Verdict::Ill(why) => return Some(format!("{host}: {why}")),
            Verdict::Doubtful(why) => {
                let since = *doubts.entry((*host).to_owned()).or_insert(elapsed);
                if elapsed.saturating_sub(since) >= PATIENCE {
                    return Some(format!("{host}: {why}"));
                }
            }
        }
    }
    None
}

/// The checksum of the configuration that holds.
async fn wanted(server: &RolloutServer, env: &Env) -> Result<String, String> {
    let snapshot = server.run(env, |files| Ok(snapshot(files)?)).await;
    snapshot.map(|snapshot| checksum(&snapshot.text)).map_err(|error| error.to_string())
}

/// Whether servers were restarted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Done {
    Nothing,
    Restarted,
}

/// Restarts the running servers of these hosts that read what the trial changed only when they start.
async fn restart(
    server: &RolloutServer,
    env: &Env,
    open: &trial::Open,
    hosts: &[Host],
) -> Result<Done, String> {
    let names = trial::to_restart(open);
    if open.restarts == Restarts::None || names.is_empty() {
        return Ok(Done::Nothing);
    }
    let wanted = wanted(server, env).await?;
    for host in hosts {
        let of_host = |why: String| format!("{}: {why}", host.name);
        has(env, host, &wanted).await.map_err(of_host)?;
        for name in &names {
            let call = call(env, RESTART_WITHIN);
            let all = host.manager.server_list(&call).await.map_err(|error| of_host(error.to_string()))?;
            if all.iter().any(|status| status.name == *name && status.state == ServerState::Running) {
                let restarted = host.manager.server_restart(&call, name.clone()).await;
                restarted.map_err(|error| of_host(format!("{name} was not restarted: {error}")))?;
            }
        }
    }
    Ok(Done::Restarted)
}

/// Waits until a host has this configuration.
async fn has(env: &Env, host: &Host, wanted: &str) -> Result<(), String> {
    let until = env.clock.moment() + TAKE_OVER_WITHIN;
    loop {
        let now = facts(env, host).await?;
        if now.in_force.iter().all(|sum| sum == wanted) {
            return Ok(());
        }
        if until.saturating_duration_since(env.clock.moment()).is_zero() {
            return Err("it has not taken the change over".into());
        }
        env.clock.sleep(LOOKS[0]).await;
    }
}

async fn take_back(
    server: &RolloutServer,
    env: &Env,
    version: Version,
    why: &str,
) -> Result<Ended, RolloutError> {
    let why = format!("version {version} taken back: {why}");
    server.end(env, version, (End::TakenBack, WATCHER, &why)).await
}

/// Ends a trial that nobody has watched to its end: it began before the configuration server did.
pub(super) async fn take_back_unwatched(server: &RolloutServer, env: &Env, open: &trial::Open) {
    let why = "the configuration server began anew while it was tried";
    let ended = take_back(server, env, open.under_way.version, why).await;
    let hosts: Vec<_> = server.named(&open.under_way.hosts).into_iter().flatten().collect();
    if ended.is_ok() {
        let _ = restart(server, env, open, &hosts).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_doubt_is_not_enough_and_one_that_stays_is() {
        let s = Duration::from_secs;
        let doubtful = [("venus", Verdict::Doubtful("busy".into())), ("mars", Verdict::Well)];
        let well = [("venus", Verdict::Well), ("mars", Verdict::Well)];
        let mut doubts = BTreeMap::new();
        assert_eq!(weigh(&doubtful, &mut doubts, s(1)), None);
        assert_eq!(weigh(&well, &mut doubts, s(3)), None);
        assert!(doubts.is_empty());
        assert_eq!(weigh(&doubtful, &mut doubts, s(5)), None);
        assert_eq!(weigh(&doubtful, &mut doubts, s(7)), None);
        assert_eq!(weigh(&doubtful, &mut doubts, s(8)), Some("venus: busy".into()));
        let ill = [("mars", Verdict::Ill("mta has stopped".into()))];
        assert_eq!(weigh(&ill, &mut doubts, s(8)), Some("mars: mta has stopped".into()));
    }
}
