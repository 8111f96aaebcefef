//! The numbers in the text format of Prometheus, version 0.0.4: `# HELP`, `# TYPE`, then a line a series.
//!
//! Written here and not by a library: the names and labels are rows of the catalog, and the format is three lines.

use super::{Metrics, Times};
use catalog::metrics::{BOUNDS, BUCKETS, Kind, OFFSETS, OPERATION_SECONDS, OPERATIONS, ROWS, Row};
use std::fmt::Write as _;
use std::sync::atomic::Ordering;

impl Metrics {
    /// All numbers as a page. An operation that was never done has no lines.
    pub fn page(&self) -> String {
        let mut page = String::with_capacity(32 << 10);
        for (row, begin) in ROWS.iter().zip(OFFSETS) {
            head(&mut page, row.name, row.kind, row.doc);
            for series in 0..row.series() {
                self.series(&mut page, row, begin + series * row.width(), &labels(row, series));
            }
        }
        head(
            &mut page,
            OPERATION_SECONDS,
            Kind::Histogram,
            "Time that operations took, by server and operation.",
        );
        for (row, times) in OPERATIONS.iter().zip(&self.0.operations) {
            let (buckets, sum) = times.read();
            if buckets.iter().any(|n| *n > 0) {
                let labels = format!("server=\"{}\",operation=\"{}\"", row.server, row.name);
                histogram(&mut page, OPERATION_SECONDS, &labels, &buckets, sum);
            }
        }
        page
    }

    fn series(&self, page: &mut String, row: &Row, begin: usize, labels: &str) {
        if row.kind == Kind::Histogram {
            let buckets = std::array::from_fn(|bucket| self.cell(begin + bucket));
            return histogram(page, row.name, labels, &buckets, self.cell(begin + BUCKETS));
        }
        let value = self.cell(begin);
        let _ = match labels {
            "" => writeln!(page, "{} {value}", row.name),
            labels => writeln!(page, "{}{{{labels}}} {value}", row.name),
        };
    }
}

impl Times {
    /// Counts of the buckets, and the sum in microseconds.
    pub(super) fn read(&self) -> ([u64; BUCKETS], u64) {
        let buckets = std::array::from_fn(|bucket| self.buckets[bucket].load(Ordering::Relaxed));
        (buckets, self.sum.load(Ordering::Relaxed))
    }
}

fn head(page: &mut String, name: &str, kind: Kind, doc: &str) {
    let kind = match kind {
        Kind::Counter => "counter",
        Kind::Gauge => "gauge",
        Kind::Histogram => "histogram",
    };
    let _ = writeln!(page, "# HELP {name} {doc}\n# TYPE {name} {kind}");
}

/// `protocol="imap",outcome="ok"`: the values are rows, and none needs an escape.
fn labels(row: &Row, series: usize) -> String {
    let mut rest = series;
    let mut parts = Vec::with_capacity(row.labels.len());
    for label in row.labels.iter().rev() {
        let value = label.values[rest % label.values.len()];
        rest /= label.values.len();
        parts.push(format!("{}=\"{value}\"", label.name));
    }
    parts.reverse();
    parts.join(",")
}

/// Buckets of Prometheus are cumulative; times are seconds there.
fn histogram(page: &mut String, name: &str, labels: &str, buckets: &[u64; BUCKETS], sum: u64) {
    let comma = if labels.is_empty() { "" } else { "," };
    let mut count = 0;
    for (bucket, n) in buckets.iter().enumerate() {
        count += n;
        let bound = BOUNDS.get(bucket).map_or_else(|| "+Inf".to_owned(), |bound| seconds(*bound));
        let _ = writeln!(page, "{name}_bucket{{{labels}{comma}le=\"{bound}\"}} {count}");
    }
    let braced = if labels.is_empty() { String::new() } else { format!("{{{labels}}}") };
    let _ = writeln!(page, "{name}_sum{braced} {}\n{name}_count{braced} {count}", seconds(sum));
}

/// Exactly, without the doubts of binary fractions: 2500 is `0.0025`.
fn seconds(micros: u64) -> String {
    let text = format!("{}.{:06}", micros / 1_000_000, micros % 1_000_000);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use catalog::metrics::{LOGINS_TOTAL, Operation, SHARD_SYNC};
    use std::time::Duration;

    #[test]
    fn the_page_is_what_prometheus_reads() {
        let metrics = Metrics::default();
        metrics.add_as(LOGINS_TOTAL, &["imap", "ok"], 3);
        metrics.record(SHARD_SYNC, Duration::from_micros(2500));
        metrics.record(SHARD_SYNC, Duration::from_micros(300));
        metrics.took(Operation::PopRetr, Duration::from_secs(61));
        let page = metrics.page();
        let has = |line: &str| page.lines().any(|l| l == line);
        assert!(has("# TYPE intermail_logins_total counter"), "{page}");
        assert!(has("intermail_logins_total{protocol=\"imap\",outcome=\"ok\"} 3"), "{page}");
        assert!(has("intermail_logins_total{protocol=\"web\",outcome=\"busy\"} 0"), "{page}");
        for line in [
            "intermail_shard_sync_seconds_bucket{le=\"0.00025\"} 0",
            "intermail_shard_sync_seconds_bucket{le=\"0.0005\"} 1",
            "intermail_shard_sync_seconds_bucket{le=\"0.0025\"} 2",
            "intermail_shard_sync_seconds_bucket{le=\"+Inf\"} 2",
            "intermail_shard_sync_seconds_sum 0.0028",
            "intermail_shard_sync_seconds_count 2",
            "intermail_operation_seconds_bucket{server=\"popserv\",operation=\"RETR\",le=\"10\"} 0",
            "intermail_operation_seconds_count{server=\"popserv\",operation=\"RETR\"} 1",
            "intermail_operation_seconds_sum{server=\"popserv\",operation=\"RETR\"} 61",
        ] {
            assert!(has(line), "{line}\n{page}");
        }
        assert!(!page.contains("operation=\"TOP\""));
        assert_eq!(page.matches("# HELP ").count(), ROWS.len() + 1);
    }
}
