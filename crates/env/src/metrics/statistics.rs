//! What stands in the `.stat` files: for each operation how often, how long on average and at most, and how often longer
//! than the thresholds of `perfStatThresholds`, since the last time.

use super::{Metrics, Times};
use catalog::event::Event;
use catalog::events::run::RunOperationStat;
use catalog::metrics::OPERATIONS;
use std::fmt::Write as _;
use std::sync::atomic::Ordering;

/// Most thresholds.
pub const MAX_THRESHOLDS: usize = 6;

/// Reads the thresholds, in milliseconds.
///
/// # Errors
/// The first value that is no number from 1 to 3,600,000, or the one that is too many.
pub fn thresholds(values: &[String]) -> Result<Vec<u64>, &str> {
    if let Some(extra) = values.get(MAX_THRESHOLDS) {
        return Err(extra);
    }
    let read = |value: &String| value.trim().parse().ok().filter(|ms| (1..=3_600_000).contains(ms));
    values.iter().map(|value| read(value).ok_or(value.as_str())).collect()
}

/// What was reported last; tells what has come since then.
#[derive(Default)]
pub struct Statistics {
    last: Vec<Seen>,
    thresholds: Vec<u64>,
}

/// Totals of an operation.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
struct Seen {
    count: u64,
    sum: u64,
    over: [u64; MAX_THRESHOLDS],
}

impl Statistics {
    /// Puts thresholds in force, in milliseconds; what was counted until then by others is left out of the next report.
    pub fn set_thresholds(&mut self, metrics: &Metrics, ms: &[u64]) {
        if self.thresholds == ms {
            return;
        }
        for (at, threshold) in metrics.0.thresholds.iter().enumerate() {
            let micros = ms.get(at).map_or(u64::MAX, |ms| ms.saturating_mul(1000));
            threshold.store(micros, Ordering::Relaxed);
        }
        self.thresholds = ms.to_vec();
        let now = metrics.0.operations.iter().map(Seen::of);
        self.last.resize_with(OPERATIONS.len(), Seen::default);
        for (last, now) in self.last.iter_mut().zip(now) {
            last.over = now.over;
        }
    }

    /// Calls back with the server and the event of each operation that was done since the last time.
    pub fn report(&mut self, metrics: &Metrics, each: &mut dyn FnMut(&'static str, &dyn Event)) {
        self.last.resize_with(OPERATIONS.len(), Seen::default);
        for ((row, times), last) in OPERATIONS.iter().zip(&metrics.0.operations).zip(&mut self.last) {
            let now = Seen::of(times);
            let since = now.since(*last);
            *last = now;
            if since.count == 0 {
                continue;
            }
            let mut over = String::new();
            for (ms, n) in self.thresholds.iter().zip(since.over) {
                let comma = if over.is_empty() { "" } else { "," };
                let _ = write!(over, "{comma}{ms}:{n}");
            }
            let max_ms = ms(times.max.swap(0, Ordering::Relaxed));
            let mean_ms = ms(since.sum / since.count);
            each(
                row.server,
                &RunOperationStat { operation: row.name, count: since.count, mean_ms, max_ms, over },
            );
        }
    }
}

impl Seen {
    fn of(times: &Times) -> Self {
        let (buckets, sum) = times.read();
        let over = std::array::from_fn(|at| times.over[at].load(Ordering::Relaxed));
        Self { count: buckets.iter().sum(), sum, over }
    }

    fn since(self, earlier: Self) -> Self {
        let over = std::array::from_fn(|at| self.over[at].saturating_sub(earlier.over[at]));
        let count = self.count.saturating_sub(earlier.count);
        Self { count, sum: self.sum.saturating_sub(earlier.sum), over }
    }
}

fn ms(micros: u64) -> String {
    format!("{}.{:03}", micros / 1000, micros % 1000)
}

#[cfg(test)]
mod tests {
    use super::*;
    use catalog::event::write_fields;
    use catalog::metrics::Operation;
    use std::time::Duration;

    fn lines(statistics: &mut Statistics, metrics: &Metrics) -> Vec<String> {
        let mut lines = Vec::new();
        statistics.report(metrics, &mut |server, event| {
            let mut line = server.to_owned();
            write_fields(event, &mut line);
            lines.push(line);
        });
        lines
    }

    #[test]
    fn each_report_says_what_came_since_the_last() {
        let (metrics, mut statistics) = (Metrics::default(), Statistics::default());
        statistics.set_thresholds(&metrics, &[10, 100]);
        for ms in [5, 10, 11, 200] {
            metrics.took(Operation::ImapFetch, Duration::from_millis(ms));
        }
        metrics.took(Operation::StoreRead, Duration::from_micros(1));
        assert_eq!(
            lines(&mut statistics, &metrics),
            [
                "imapserv operation=FETCH count=4 mean_ms=56.500 max_ms=200.000 over=10:2,100:1",
                "mss operation=message_read count=1 mean_ms=0.001 max_ms=0.001 over=10:0,100:0",
            ]
        );
        assert!(lines(&mut statistics, &metrics).is_empty(), "nothing was done");
        statistics.set_thresholds(&metrics, &[2]);
        metrics.took(Operation::ImapFetch, Duration::from_millis(3));
        let text = "imapserv operation=FETCH count=1 mean_ms=3.000 max_ms=3.000 over=2:1";
        assert_eq!(lines(&mut statistics, &metrics), [text]);
    }

    #[test]
    fn thresholds_are_read_or_named() {
        let read = |values: &[&str]| {
            let values: Vec<String> = values.iter().map(ToString::to_string).collect();
            thresholds(&values).map_err(ToOwned::to_owned)
        };
        assert_eq!(read(&["100", " 1000 "]), Ok(vec![100, 1000]));
        assert_eq!(read(&["100", "0"]), Err("0".to_owned()));
        assert_eq!(read(&["1", "2", "3", "4", "5", "6", "7"]), Err("7".to_owned()));
    }
}
