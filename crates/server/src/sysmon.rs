//! The summary of log, disks and servers that the daemon mails by itself.
//!
//! Due at whole multiples of its interval, so that a restart neither repeats nor shifts it; one that fell into a time when
//! the daemon was down is not made up for. What a summary is and how it is sent is `admin::sysmon`'s.

use admin::context::Roles;
use admin::site::Site;
use admin::sysmon::{self, Wanted};
use catalog::events::run::{RunSummaryFailed, RunSummarySent};
use catalog::keys::sysadmin::IMSYSMON_INTERVAL;
use env::Env;
use mail::time::Timestamp;
use std::sync::Arc;
use std::time::Duration;

/// Longest sleep: a key that is changed holds after that.
const LOOK: Duration = Duration::from_secs(60);

/// Starts it.
pub(crate) fn start(env: Env, site: Arc<Site>, roles: Roles) {
    let (tasks, mut stopping) = (env.tasks.clone(), env.tasks.stopping());
    tasks.spawn(async move {
        tokio::select! {
            () = stopping.wait() => {}
            () = run(&env, &site, &roles) => {}
        }
    });
}

async fn run(env: &Env, site: &Site, roles: &Roles) {
    let mut looked = env.clock.now();
    loop {
        env.clock.sleep(LOOK).await;
        let (before, interval) =
            (looked, Duration::from_secs(env.settings.get(IMSYSMON_INTERVAL).saturating_mul(3600)));
        looked = env.clock.now();
        if let Some(until) = due(before, looked, interval) {
            match send(env, site, roles, until, interval).await {
                Ok(alarms) => env.log.emit(&RunSummarySent { alarms }),
                Err(reason) => env.log.emit(&RunSummaryFailed { reason: format!("{reason:#}") }),
            }
        }
    }
}

/// Sends the summary; says how many alarms it has.
async fn send(
    env: &Env,
    site: &Site,
    roles: &Roles,
    until: Timestamp,
    period: Duration,
) -> anyhow::Result<usize> {
    let ini = sysmon::wishes(site)?;
    let (settings, random) = (&env.settings, &env.random);
    let wanted = Wanted { site, settings, roles: Some(roles), random, until, period };
    let report = sysmon::summarize(&wanted, &ini).await?;
    sysmon::send(&wanted, roles, &ini, &report.subject(), &report.text()).await?;
    Ok(report.alarms().len())
}

/// The multiple of `interval` that lies between two looks, the later included.
fn due(before: Timestamp, now: Timestamp, interval: Duration) -> Option<Timestamp> {
    let seconds = i64::try_from(interval.as_secs()).ok().filter(|seconds| *seconds > 0)?;
    let last = Timestamp::from_secs(now.as_secs().div_euclid(seconds) * seconds);
    (before < last && last <= now).then_some(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_summary_is_due_once_at_each_multiple() {
        let at = Timestamp::from_secs;
        let hour = Duration::from_secs(3600);
        assert_eq!(due(at(3599), at(3600), hour), Some(at(3600)));
        assert_eq!(due(at(3600), at(3660), hour), None, "it was due before");
        assert_eq!(due(at(3700), at(3760), hour), None);
        assert_eq!(due(at(3700), at(9000), hour), Some(at(7200)), "the host slept");
        assert_eq!(due(at(9000), at(3700), hour), None, "the clock was put back");
        assert_eq!(due(at(0), at(3600), Duration::ZERO), None, "none is wanted");
    }
}
