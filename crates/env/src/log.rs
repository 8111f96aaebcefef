//! The event log: one line an event, in the form of the reference manual.
//!
//! Emitting counts the event, formats the line and appends it to a buffer under a short lock; one thread writes the buffer
//! out many times a second (`writer`) and puts files aside (`rotation`). No caller waits for the disk. Past [`MAX_HELD`]
//! bytes of unwritten lines, and where the disk of the log is nearly full, lines are dropped and counted, and the count is
//! logged when there is room. Where it is wanted, events also wait here for a receiver of OpenTelemetry (`export`).

mod export;
mod line;
mod options;
mod room;
mod rotation;
mod writer;

pub use export::Batch;
pub use line::Form;
pub use options::Options;
pub use rotation::Rotation;
pub use writer::Writer;

use crate::clock::Clock;
use crate::metrics::Metrics;
use catalog::event::{Event, Severity};
use catalog::metrics::LOG_DROPPED;
use export::Waiting;
use line::Head;
use room::Room;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Most bytes of lines that wait to be written.
pub const MAX_HELD: usize = 8 << 20;
/// How long a line may wait before it is written.
const FLUSH_EVERY: Duration = Duration::from_millis(100);
/// Waiting bytes that wake the writer before its time.
const FLUSH_AT: usize = 64 << 10;

/// The log as one server writes to it.
#[derive(Clone)]
pub struct Log {
    server: &'static str,
    sink: Arc<Sink>,
}

struct Sink {
    host: String,
    clock: Clock,
    pid: u32,
    metrics: Metrics,
    held: Mutex<Held>,
    wake: Condvar,
}

/// The files of a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// `<server>.log`.
    Events,
    /// `<server>.stat`.
    Statistics,
}

/// Lines of one file that are not written yet.
struct Lines {
    server: &'static str,
    kind: Kind,
    text: String,
}

#[derive(Default)]
struct Held {
    /// Unwritten lines: there are a handful of files.
    lines: Vec<Lines>,
    bytes: usize,
    options: Options,
    /// Records for a receiver of OpenTelemetry.
    waiting: Waiting,
    dropped: u64,
    /// Events so far by their name, those that were dropped included: there are a few hundred names.
    counts: BTreeMap<&'static str, (Severity, u64)>,
    /// What the disk has room for, as the writer last saw it.
    room: Room,
    closed: bool,
    /// Set where nobody writes: the lines are kept for the test that reads them.
    in_memory: bool,
}

impl Log {
    /// Lines go to `<folder>/<server>.log`, each server its own file. Files are reopened when they are gone
    /// (rotated by rename). Ends with [`Log::close`].
    ///
    /// # Errors
    /// Where the folder cannot be made or the thread not be started.
    pub fn to_folder(
        folder: &Path,
        host: &str,
        clock: Clock,
        server: &'static str,
    ) -> std::io::Result<(Self, Writer)> {
        let log = Self::new(host, clock, server);
        let writer = Writer::start(&log, folder)?;
        Ok((log, writer))
    }

    /// Lines are kept; [`Log::lines`] gives them.
    pub fn in_memory(server: &'static str) -> Self {
        let log = Self::new("localhost", Clock::system(), server);
        log.sink.lock().in_memory = true;
        log
    }

    fn new(host: &str, clock: Clock, server: &'static str) -> Self {
        let (held, wake) = (Mutex::default(), Condvar::new());
        let (host, pid, metrics) = (host.to_owned(), std::process::id(), Metrics::default());
        Self { server, sink: Arc::new(Sink { host, clock, pid, metrics, held, wake }) }
    }

    /// The same log under another server's name.
    #[must_use]
    pub fn for_server(&self, server: &'static str) -> Self {
        Self { server, sink: Arc::clone(&self.sink) }
    }

    /// Where its events are counted, and everything else of the process.
    pub fn metrics(&self) -> &Metrics {
        &self.sink.metrics
    }

    /// Puts these options in force, from the next event on.
    pub fn configure(&self, options: Options) {
        self.sink.lock().options = options;
    }

    /// Counts the event and logs it. Never waits for the disk.
    pub fn emit(&self, event: &dyn Event) {
        self.sink.metrics.event(event);
        self.write(Kind::Events, event);
    }

    /// Writes the event to the `.stat` file. It is not counted as an event.
    pub fn statistic(&self, event: &dyn Event) {
        self.write(Kind::Statistics, event);
    }

    fn write(&self, kind: Kind, event: &dyn Event) {
        let (sink, server, severity) = (&self.sink, self.server, event.row().severity);
        let head = Head { time: sink.clock.now(), host: &sink.host, server, pid: sink.pid };
        let mut held = sink.lock();
        held.counts.entry(event.row().name).or_insert((severity, 0)).1 += 1;
        if kind == Kind::Events && held.options.export && !held.waiting.add(server, &head, event) {
            sink.metrics.add_as(LOG_DROPPED, &["otlp"], 1);
        }
        if !held.takes(severity) {
            held.dropped += 1;
            return;
        }
        let form = held.options.form;
        let text = held.buffer(server, kind);
        let before = text.len();
        line::write(form, &head, event, text);
        let added = text.len() - before;
        held.bytes += added;
        if held.bytes >= FLUSH_AT || severity >= Severity::Urgt {
            sink.wake.notify_one();
        }
    }

    /// How many events there were since the start, of all servers of the process, whose name and severity are asked for.
    pub fn count(&self, asked: impl Fn(&str, Severity) -> bool) -> u64 {
        let held = self.sink.lock();
        let counted = held.counts.iter().filter(|(name, (severity, _))| asked(name, *severity));
        counted.map(|(_, (_, count))| count).sum()
    }

    /// What waits for a receiver of OpenTelemetry, all of it; `None` where there is nothing.
    pub fn take_batch(&self) -> Option<Batch> {
        self.sink.lock().waiting.take(&self.sink.host, env!("CARGO_PKG_VERSION"))
    }

    /// The lines that wait or, in memory, all lines: for tests.
    pub fn lines(&self) -> Vec<String> {
        let held = self.sink.lock();
        held.lines.iter().flat_map(|lines| lines.text.lines().map(ToOwned::to_owned)).collect()
    }
}

impl Sink {
    fn lock(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Kind {
    fn extension(self) -> &'static str {
        match self {
            Self::Events => "log",
            Self::Statistics => "stat",
        }
    }
}

impl Held {
    fn takes(&self, severity: Severity) -> bool {
        self.in_memory || (self.bytes <= MAX_HELD && self.room.takes(severity))
    }

    fn buffer(&mut self, server: &'static str, kind: Kind) -> &mut String {
        let of_file = |lines: &Lines| lines.server == server && lines.kind == kind;
        let at = self.lines.iter().position(of_file).unwrap_or_else(|| {
            self.lines.push(Lines { server, kind, text: String::new() });
            self.lines.len() - 1
        });
        &mut self.lines[at].text
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use catalog::events::proc::ProcServerStarted;
    use mail::time::Timestamp;

    #[test]
    fn a_line_has_time_host_server_severity_name_and_fields() {
        let folder = std::env::temp_dir().join(format!("env-log-{}", std::process::id()));
        let clock = Clock::fixed(Timestamp::from_micros(1_795_437_325_617_000));
        let (log, writer) = Log::to_folder(&folder, "mta1", clock, "mta").unwrap();
        log.emit(&ProcServerStarted { server: "mta", version: "0.1 x" });
        drop(writer);
        let text = std::fs::read_to_string(folder.join("mta.log")).unwrap();
        std::fs::remove_dir_all(folder).unwrap();
        let pid = std::process::id();
        let fields = "server=mta version=\"0.1 x\"";
        assert_eq!(
            text,
            format!("2026-11-23T12:35:25.617Z mta1 mta[{pid}] Note ProcServerStarted {fields}\n")
        );
    }

    #[test]
    fn events_are_counted_by_name_and_severity() {
        let log = Log::in_memory("mta");
        for _ in 0..3 {
            log.for_server("mss").emit(&ProcServerStarted { server: "mss", version: "1" });
        }
        assert_eq!(log.count(|name, severity| name == "ProcServerStarted" && severity == Severity::Note), 3);
        assert_eq!(log.count(|_, severity| severity > Severity::Note), 0);
    }

    #[test]
    fn how_many_lines_are_missing_is_said_also_at_the_end() {
        let folder = std::env::temp_dir().join(format!("env-log-dropped-{}", std::process::id()));
        let (log, writer) = Log::to_folder(&folder, "mta1", Clock::system(), "mta").unwrap();
        log.sink.lock().dropped = 3;
        drop(writer);
        let text = std::fs::read_to_string(folder.join("mta.log")).unwrap();
        std::fs::remove_dir_all(folder).unwrap();
        assert!(text.contains("Urgt RunLogLinesDropped lines=3"), "{text}");
    }
}
