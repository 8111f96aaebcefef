//! The `.stat` files, and the keys of log and statistics, which hold from the moment of their change.

use catalog::events::conf::ConfParmError;
use catalog::keys::common::{PERF_STAT_THRESHOLDS, REPORT_PARAMS_INTERVAL, ROLLOVER_TIME_ZERO};
use env::Env;
use env::log::Options;
use env::metrics::{Statistics, thresholds};
use std::time::Duration;

/// Longest sleep where no reports are wanted; a change of the keys ends it.
const NEVER: Duration = Duration::from_secs(86_400);

/// Reports until the process ends, and then once more, so that the last minutes are there too.
pub(super) async fn run(env: Env) {
    let (mut stopping, mut changed) = (env.tasks.stopping(), env.settings.watch());
    let mut statistics = Statistics::default();
    adopt(&env, &mut statistics);
    let mut last = env.clock.moment();
    loop {
        let interval = env.settings.get(REPORT_PARAMS_INTERVAL);
        let wanted = !interval.is_zero();
        let left =
            if wanted { (last + interval).saturating_duration_since(env.clock.moment()) } else { NEVER };
        tokio::select! {
            biased;
            () = stopping.wait() => {
                if wanted {
                    report(&env, &mut statistics);
                }
                return;
            }
            // A sender that is gone changes nothing any more: the process is ending.
            Ok(()) = changed.changed() => adopt(&env, &mut statistics),
            () = env.clock.sleep(left) => {
                if wanted {
                    report(&env, &mut statistics);
                }
                last = env.clock.moment();
            }
        }
    }
}

fn report(env: &Env, statistics: &mut Statistics) {
    statistics.report(&env.metrics, &mut |server, event| env.log.for_server(server).statistic(event));
}

/// Puts the keys in force as they are now; a value that cannot be read is logged, and what was in force stays.
fn adopt(env: &Env, statistics: &mut Statistics) {
    env.log.configure(Options::read(&env.settings));
    if let Some(value) = Options::bad_time(&env.settings) {
        let (key, reason) = (ROLLOVER_TIME_ZERO.row.name, "it is no time of day: HH:MM");
        env.log.emit(&ConfParmError { key, value, reason });
    }
    let values = env.settings.get(PERF_STAT_THRESHOLDS);
    match thresholds(&values) {
        Ok(ms) => statistics.set_thresholds(&env.metrics, &ms),
        Err(value) => {
            let (key, reason) = (PERF_STAT_THRESHOLDS.row.name, "at most six numbers from 1 to 3600000");
            env.log.emit(&ConfParmError { key, value, reason });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use catalog::metrics::Operation;
    use catalog::tree::Tree;

    fn stat_lines(env: &Env) -> Vec<String> {
        env.log.lines().into_iter().filter(|line| line.contains(" RunOperationStat ")).collect()
    }

    #[tokio::test(start_paused = true)]
    async fn reports_come_every_interval_follow_the_keys_and_one_comes_at_the_end() {
        let env = Env::for_test("imapserv");
        let set = |text: &str| env.settings.replace(Tree::parse(text).unwrap());
        set("/*/common/reportParamsInterval: [60]\n/*/common/perfStatThresholds: [5][x]");
        env.tasks.spawn(run(env.clone()));
        let did = || env.metrics.took(Operation::ImapFetch, Duration::from_millis(20));
        env.clock.sleep(Duration::from_secs(1)).await;
        let bad = env.log.lines();
        assert!(bad.iter().any(|l| l.contains("ConfParmError key=perfStatThresholds value=x")), "{bad:?}");
        did();
        env.clock.sleep(Duration::from_secs(58)).await;
        assert!(stat_lines(&env).is_empty());
        env.clock.sleep(Duration::from_secs(2)).await;
        let lines = stat_lines(&env);
        assert_eq!(lines.len(), 1);
        assert!(
            lines[0].ends_with("operation=FETCH count=1 mean_ms=20.000 max_ms=20.000 over=\"\""),
            "{lines:?}"
        );
        set("/*/common/reportParamsInterval: [5]\n/*/common/perfStatThresholds: [5][50]");
        // The thresholds hold once the reports have heard of them.
        env.clock.sleep(Duration::from_secs(1)).await;
        did();
        env.clock.sleep(Duration::from_secs(6)).await;
        assert!(stat_lines(&env)[1].ends_with(" over=5:1,50:0"), "{:?}", stat_lines(&env));
        did();
        assert_eq!(env.tasks.drain(Duration::from_secs(1)).await, 0);
        assert_eq!(stat_lines(&env).len(), 3);
    }

    #[tokio::test(start_paused = true)]
    async fn an_interval_of_nothing_is_no_report() {
        let env = Env::for_test("imapserv");
        env.settings.replace(Tree::parse("/*/common/reportParamsInterval: [0]").unwrap());
        env.tasks.spawn(run(env.clone()));
        env.metrics.took(Operation::ImapFetch, Duration::from_millis(20));
        env.clock.sleep(Duration::from_secs(200_000)).await;
        assert_eq!(env.tasks.drain(Duration::from_secs(1)).await, 0);
        assert!(stat_lines(&env).is_empty());
    }
}
