//! The event log: one line an event, in the form of the reference manual.
//!
//! Emitting formats the line and appends it to a buffer under a short lock; one thread writes the buffer
//! out many times a second (`writer`). No caller waits for the disk. Past [`MAX_HELD`] bytes of unwritten lines, and
//! where the disk of the log is nearly full, lines are dropped and counted, and the count is logged when there is room.

mod room;
mod writer;

pub use writer::Writer;

use crate::clock::Clock;
use catalog::event::{Event, Severity, write_fields};
use room::Room;
use std::collections::BTreeMap;
use std::fmt::Write as _;
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
    held: Mutex<Held>,
    wake: Condvar,
}

#[derive(Default)]
struct Held {
    /// Unwritten lines by server: there are a handful of servers.
    lines: Vec<(&'static str, String)>,
    bytes: usize,
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
        Self {
            server,
            sink: Arc::new(Sink { host: host.to_owned(), clock, pid: std::process::id(), held, wake }),
        }
    }

    /// The same log under another server's name.
    #[must_use]
    pub fn for_server(&self, server: &'static str) -> Self {
        Self { server, sink: Arc::clone(&self.sink) }
    }

    /// Logs the event. Never waits for the disk.
    pub fn emit(&self, event: &dyn Event) {
        let row = event.row();
        let sink = &self.sink;
        let now = sink.clock.now();
        let mut held = sink.lock();
        held.counts.entry(row.name).or_insert((row.severity, 0)).1 += 1;
        if !held.takes(row.severity) {
            held.dropped += 1;
            return;
        }
        let (host, server, pid) = (&sink.host, self.server, sink.pid);
        let line = held.buffer(server);
        let before = line.len();
        let _ = write!(line, "{} {host} {server}[{pid}] {} {}", now.rfc3339(), row.severity, row.name);
        write_fields(event, line);
        line.push('\n');
        let added = line.len() - before;
        held.bytes += added;
        if held.bytes >= FLUSH_AT || row.severity >= Severity::Urgt {
            sink.wake.notify_one();
        }
    }

    /// How many events there were since the start, of all servers of the process, whose name and severity are asked for.
    pub fn count(&self, asked: impl Fn(&str, Severity) -> bool) -> u64 {
        let held = self.sink.lock();
        let counted = held.counts.iter().filter(|(name, (severity, _))| asked(name, *severity));
        counted.map(|(_, (_, count))| count).sum()
    }

    /// The lines that wait or, in memory, all lines: for tests.
    pub fn lines(&self) -> Vec<String> {
        let held = self.sink.lock();
        held.lines.iter().flat_map(|(_, text)| text.lines().map(ToOwned::to_owned)).collect()
    }
}

impl Sink {
    fn lock(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Held {
    fn takes(&self, severity: Severity) -> bool {
        self.in_memory || (self.bytes <= MAX_HELD && self.room.takes(severity))
    }

    fn buffer(&mut self, server: &'static str) -> &mut String {
        let at = self.lines.iter().position(|(s, _)| *s == server).unwrap_or_else(|| {
            self.lines.push((server, String::new()));
            self.lines.len() - 1
        });
        &mut self.lines[at].1
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
