//! Counting: every metric and every operation of the catalog as plain numbers that any thread adds to.
//!
//! Adding is one atomic instruction: no lock, no allocation, no look-up by name for what has no label. A process has
//! one set of numbers that all its servers share. How they look to Prometheus is in `text`; what stands in the `.stat`
//! files is in `statistics`. Who serves and writes them is `control::monitor`.

mod statistics;
mod text;

pub use statistics::{MAX_THRESHOLDS, Statistics, thresholds};

use crate::clock::Moment;
use catalog::event::{Event, LabelFrom};
use catalog::metrics::{
    BUCKETS, Counter, Gauge, Histogram, LOG_EVENTS, OFFSETS, OPERATIONS, Operation, ROWS, bucket_of,
};
use std::fmt::{self, Write as _};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// The numbers of a process. Cloning shares them.
#[derive(Clone)]
pub struct Metrics(Arc<Numbers>);

struct Numbers {
    /// All series of all rows, in their order.
    cells: Box<[AtomicU64]>,
    operations: Box<[Times]>,
    /// The limits of the operations' `over`, in microseconds; [`u64::MAX`] where there is none.
    thresholds: [AtomicU64; MAX_THRESHOLDS],
}

/// The times of one operation, on cache lines of its own.
#[derive(Default)]
#[repr(align(128))]
struct Times {
    buckets: [AtomicU64; BUCKETS],
    sum: AtomicU64,
    /// Since it was last asked for.
    max: AtomicU64,
    over: [AtomicU64; MAX_THRESHOLDS],
}

impl Default for Metrics {
    fn default() -> Self {
        let cells = (0..OFFSETS[ROWS.len()]).map(|_| AtomicU64::new(0)).collect();
        let operations = OPERATIONS.iter().map(|_| Times::default()).collect();
        Self(Arc::new(Numbers { cells, operations, thresholds: [const { AtomicU64::new(u64::MAX) }; _] }))
    }
}

impl Metrics {
    /// Counts up a counter without labels.
    pub fn add(&self, counter: Counter, n: u64) {
        self.add_to(OFFSETS[counter.0], n);
    }

    /// Counts up the series with these values of its labels.
    pub fn add_as(&self, counter: Counter, labels: &[&str], n: u64) {
        self.add_to(OFFSETS[counter.0] + ROWS[counter.0].place(labels), n);
    }

    /// Sets a gauge; the values of its labels, where it has any.
    pub fn set(&self, gauge: Gauge, labels: &[&str], value: u64) {
        self.0.cells[OFFSETS[gauge.0] + ROWS[gauge.0].place(labels)].store(value, Ordering::Relaxed);
    }

    /// One more, until the guard is dropped.
    pub fn enter(&self, gauge: Gauge, labels: &[&str]) -> Inside {
        let cell = OFFSETS[gauge.0] + ROWS[gauge.0].place(labels);
        self.add_to(cell, 1);
        Inside { metrics: self.clone(), cell }
    }

    /// One time of a histogram without labels.
    pub fn record(&self, histogram: Histogram, took: Duration) {
        let (begin, micros) = (OFFSETS[histogram.0], micros(took));
        self.add_to(begin + bucket_of(micros), 1);
        self.add_to(begin + BUCKETS, micros);
    }

    /// Takes the time of an operation from here until the guard is dropped.
    pub fn time(&self, operation: Operation) -> Timer<'_> {
        Timer { metrics: self, operation, begun: Moment::now() }
    }

    /// The time that an operation took.
    pub fn took(&self, operation: Operation, took: Duration) {
        let (times, micros) = (&self.0.operations[operation as usize], micros(took));
        times.buckets[bucket_of(micros)].fetch_add(1, Ordering::Relaxed);
        times.sum.fetch_add(micros, Ordering::Relaxed);
        // Nearly always it is not the longest: then reading is all.
        if times.max.load(Ordering::Relaxed) < micros {
            times.max.fetch_max(micros, Ordering::Relaxed);
        }
        for (over, threshold) in times.over.iter().zip(&self.0.thresholds) {
            if micros > threshold.load(Ordering::Relaxed) {
                over.fetch_add(1, Ordering::Relaxed);
            }
        }
    }

    /// Counts an event: by its severity, and what its row says.
    pub fn event(&self, event: &dyn Event) {
        let row = event.row();
        self.add_to(OFFSETS[LOG_EVENTS.0] + row.severity as usize, 1);
        let Some(counts) = row.counts else { return };
        let mut place = 0;
        for (from, label) in counts.labels.iter().zip(ROWS[counts.counter.0].labels) {
            let position = |value: &str| label.values.iter().position(|v| *v == value);
            let number = match from {
                LabelFrom::Text(text) => position(text),
                LabelFrom::Field(field) => position(Short::of(event, field).text()),
            };
            place = place * label.values.len() + number.unwrap_or(label.values.len() - 1);
        }
        self.add_to(OFFSETS[counts.counter.0] + place, 1);
    }

    /// The value of a series now: of a counter or a gauge; of a histogram the first bucket.
    pub fn value(&self, row: usize, labels: &[&str]) -> u64 {
        self.cell(OFFSETS[row] + ROWS[row].place(labels) * ROWS[row].width())
    }

    fn add_to(&self, cell: usize, n: u64) {
        self.0.cells[cell].fetch_add(n, Ordering::Relaxed);
    }

    fn cell(&self, cell: usize) -> u64 {
        self.0.cells[cell].load(Ordering::Relaxed)
    }
}

fn micros(span: Duration) -> u64 {
    u64::try_from(span.as_micros()).unwrap_or(u64::MAX)
}

/// See [`Metrics::time`].
#[must_use = "the time ends when it is dropped"]
pub struct Timer<'a> {
    metrics: &'a Metrics,
    operation: Operation,
    begun: Moment,
}

impl Drop for Timer<'_> {
    fn drop(&mut self) {
        self.metrics.took(self.operation, self.begun.elapsed());
    }
}

/// See [`Metrics::enter`].
#[must_use = "it is counted out when it is dropped"]
pub struct Inside {
    metrics: Metrics,
    cell: usize,
}

impl Drop for Inside {
    fn drop(&mut self) {
        self.metrics.0.cells[self.cell].fetch_sub(1, Ordering::Relaxed);
    }
}

/// The value of a label, without allocation. What is longer than any value that is listed is none of them.
struct Short {
    bytes: [u8; 24],
    len: usize,
}

impl Short {
    fn of(event: &dyn Event, field: &str) -> Self {
        let mut short = Self { bytes: [0; 24], len: 0 };
        event.fields(&mut |name, value| {
            if name == field {
                let _ = write!(short, "{value}");
            }
        });
        short
    }

    fn text(&self) -> &str {
        self.bytes.get(..self.len).and_then(|b| std::str::from_utf8(b).ok()).unwrap_or_default()
    }
}

impl fmt::Write for Short {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let end = self.len + text.len();
        let room = self.bytes.get_mut(self.len..end).ok_or(fmt::Error)?;
        room.copy_from_slice(text.as_bytes());
        self.len = end;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use catalog::events::acct::{AcctBadPassword, AcctImapNotAllowed};
    use catalog::events::mta::MtaMessageReceived;
    use catalog::metrics::{LOGINS_TOTAL, MESSAGES_RECEIVED, SESSIONS, SHARD_SYNC};

    #[test]
    fn an_event_counts_what_its_row_says() {
        let metrics = Metrics::default();
        metrics.event(&AcctBadPassword { user: "a", protocol: "imap", peer: "::1" });
        metrics.event(&AcctBadPassword {
            user: "a",
            protocol: "something that is longer than any",
            peer: "::1",
        });
        metrics.event(&AcctImapNotAllowed { user: "a", peer: "::1" });
        metrics.event(&MtaMessageReceived { id: 1, from: 2, recipients: 3, peer: 4, bytes: 5, ms: 6 });
        let logins = |protocol, outcome| metrics.value(LOGINS_TOTAL.0, &[protocol, outcome]);
        assert_eq!((logins("imap", "badPassword"), logins("imap", "refused")), (1, 1));
        assert_eq!((logins("web", "badPassword"), logins("pop", "badPassword")), (1, 0));
        assert_eq!(metrics.value(MESSAGES_RECEIVED.0, &[]), 1);
        let events = |severity| metrics.value(LOG_EVENTS.0, &[severity]);
        assert_eq!((events("Note"), events("Warn"), events("Erro")), (2, 2, 0));
    }

    #[test]
    fn who_is_inside_is_counted_out_again_and_times_find_their_bucket() {
        let metrics = Metrics::default();
        let inside = metrics.enter(SESSIONS, &["popserv"]);
        let sessions = || metrics.value(SESSIONS.0, &["popserv"]);
        assert_eq!(sessions(), 1);
        drop(inside);
        assert_eq!(sessions(), 0);
        metrics.record(SHARD_SYNC, Duration::from_micros(99));
        metrics.record(SHARD_SYNC, Duration::from_secs(60));
        let begin = OFFSETS[SHARD_SYNC.0];
        assert_eq!((metrics.cell(begin), metrics.cell(begin + BUCKETS - 1)), (1, 1));
        assert_eq!(metrics.cell(begin + BUCKETS), 60_000_099);
    }

    /// Not a test of speed: says what counting costs, where it is asked for.
    #[test]
    #[ignore = "a measurement: cargo test --release -p env -- --ignored --nocapture costs"]
    fn costs() {
        const ROUNDS: u32 = 5_000_000;
        let metrics = Metrics::default();
        let measure = |what: &str, work: &dyn Fn()| {
            let begun = Moment::now();
            (0..ROUNDS).for_each(|_| work());
            println!("{what}: {:.1} ns", begun.elapsed().as_nanos() as f64 / f64::from(ROUNDS));
        };
        measure("add", &|| metrics.add(MESSAGES_RECEIVED, 1));
        measure("event with two labels", &|| {
            metrics.event(&AcctBadPassword { user: "a", protocol: "imap", peer: "::1" });
        });
        measure("time of an operation", &|| drop(metrics.time(Operation::ImapFetch)));
        measure("two readings of the clock", &|| {
            std::hint::black_box(Moment::now().elapsed());
        });
    }
}
