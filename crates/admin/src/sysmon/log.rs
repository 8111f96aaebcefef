//! Counts the lines of the log, those that are text and those that are JSON, of the files in use and of those put aside.

use super::ini::Filter;
use catalog::event::Severity;
use mail::time::Timestamp;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufRead as _, BufReader, Read as _};
use std::path::Path;

/// Severities in the order of columns.
pub(super) const SEVERITIES: [Severity; 5] =
    [Severity::Note, Severity::Warn, Severity::Erro, Severity::Urgt, Severity::Fatl];
/// Longest line that is looked at; the rest of a longer one counts as lines that cannot be read.
const MAX_LINE: u64 = 1 << 20;
/// Most names of events and servers that are told apart: more than there are, were the files not damaged.
const MAX_NAMES: usize = 2000;

/// What was logged.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// By server, in the order of [`SEVERITIES`].
    pub servers: BTreeMap<String, [u64; 5]>,
    /// The events that a filter takes, worst first.
    pub events: BTreeMap<(Worst, String), Seen>,
    /// Lines that are none of ours.
    pub unreadable: u64,
}

/// A severity, the worst first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Worst(pub std::cmp::Reverse<Severity>);

/// How often an event was logged, and when last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seen {
    /// How often.
    pub count: u64,
    /// When last.
    pub last: Timestamp,
}

/// A line, as far as it is of interest.
#[derive(Debug, PartialEq, Eq, Deserialize)]
struct Line<'a> {
    time: &'a str,
    server: &'a str,
    severity: &'a str,
    event: &'a str,
}

impl Counts {
    /// Counts what lies between two times, the first included.
    ///
    /// # Errors
    /// Where the folder cannot be read; a file that vanishes meanwhile is passed over.
    pub fn read(folder: &Path, since: Timestamp, until: Timestamp, filters: &[Filter]) -> io::Result<Self> {
        let mut counts = Self::default();
        for entry in std::fs::read_dir(folder)?.flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            if !is_log(&name) {
                continue;
            }
            let Ok(file) = File::open(entry.path()) else { continue };
            let written = file.metadata().map(|m| std::os::unix::fs::MetadataExt::mtime(&m));
            if written.is_ok_and(|secs| secs >= since.as_secs()) {
                counts.file(file, since, until, filters);
            }
        }
        Ok(counts)
    }

    fn file(&mut self, file: File, since: Timestamp, until: Timestamp, filters: &[Filter]) {
        let (mut reader, mut line) = (BufReader::with_capacity(256 << 10, file), Vec::new());
        loop {
            line.clear();
            match (&mut reader).take(MAX_LINE).read_until(b'\n', &mut line) {
                Ok(0) | Err(_) => return,
                Ok(_) => {}
            }
            let text = std::str::from_utf8(&line).map(str::trim_end).unwrap_or_default();
            if !self.line(text, since, until, filters) {
                self.unreadable += 1;
            }
        }
    }

    /// Counts a line; `false` where it is none of ours.
    fn line(&mut self, text: &str, since: Timestamp, until: Timestamp, filters: &[Filter]) -> bool {
        let Some(line) = parse(text) else { return false };
        let (Some(time), Some(column)) = (
            Timestamp::parse_rfc3339(line.time),
            SEVERITIES.iter().position(|s| s.to_string() == line.severity),
        ) else {
            return false;
        };
        if time < since || time >= until {
            return true;
        }
        if !self.servers.contains_key(line.server) && self.servers.len() >= MAX_NAMES {
            return false;
        }
        self.servers.entry(line.server.to_owned()).or_default()[column] += 1;
        let severity = SEVERITIES[column];
        let by_default = filters.is_empty() && severity >= Severity::Erro;
        if by_default || filters.iter().any(|f| f.takes(severity, line.event)) {
            let key = (Worst(std::cmp::Reverse(severity)), line.event.to_owned());
            if self.events.len() < MAX_NAMES || self.events.contains_key(&key) {
                let seen = self.events.entry(key).or_insert(Seen { count: 0, last: time });
                seen.count += 1;
                seen.last = seen.last.max(time);
            }
        }
        true
    }
}

/// `mta.log`, and `mta.log.` with whatever it was put aside under, unless that was packed.
fn is_log(name: &str) -> bool {
    let packed = [".gz", ".bz2", ".xz", ".zst"].iter().any(|end| name.ends_with(end));
    !packed && (name.ends_with(".log") || name.contains(".log."))
}

fn parse(text: &str) -> Option<Line<'_>> {
    if text.starts_with('{') {
        return serde_json::from_str(text).ok();
    }
    let mut words = text.split(' ');
    let (time, _host, server) = (words.next()?, words.next()?, words.next()?);
    let (server, _pid) = server.strip_suffix(']')?.split_once('[')?;
    Some(Line { time, server, severity: words.next()?, event: words.next()? })
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "2026-11-23T12:00:00.000Z mta1 mta[7] Note MtaMessageDelivered id=1\n\
        2026-11-23T12:00:01.000Z mta1 mta[7] Urgt DbWritesBlocked database=x\n\
        2026-11-23T13:00:00.000Z mta1 mta[7] Urgt DbWritesBlocked database=x\n\
        2026-11-22T12:00:00.000Z mta1 mta[7] Fatl TooOld\n\
        2026-11-24T12:00:00.000Z mta1 mta[7] Fatl TooYoung\n\
        not a line of ours\n";
    const JSON: &str = r#"{"time":"2026-11-23T12:00:00.000Z","host":"h","server":"mss","pid":1,"severity":"Warn","event":"MsIndexSlow","fields":{"a":"b\"c"}}"#;

    fn at(text: &str) -> Timestamp {
        Timestamp::parse_rfc3339(text).unwrap()
    }

    #[test]
    fn lines_of_both_forms_are_counted_in_their_time() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("mta.log"), TEXT).unwrap();
        std::fs::write(dir.path().join("mss.log.20261123T130000Z"), format!("{JSON}\n")).unwrap();
        std::fs::write(dir.path().join("mta.stat"), TEXT).unwrap();
        std::fs::write(dir.path().join("mta.log.1.gz"), TEXT).unwrap();
        let (since, until) = (at("2026-11-23T00:00:00Z"), at("2026-11-24T00:00:00Z"));
        let counts = Counts::read(dir.path(), since, until, &[]).unwrap();
        assert_eq!(counts.servers["mta"], [1, 0, 0, 2, 0]);
        assert_eq!(counts.servers["mss"], [0, 1, 0, 0, 0]);
        assert_eq!(counts.unreadable, 1);
        let named: Vec<_> =
            counts.events.iter().map(|((_, name), seen)| (name.as_str(), seen.count)).collect();
        assert_eq!(named, [("DbWritesBlocked", 2)], "without a filter all from Erro on");
        let slow = Counts::read(dir.path(), since, until, &[Filter::Family("MsIndex".into())]).unwrap();
        assert_eq!(slow.events.keys().next().unwrap().1, "MsIndexSlow");
        assert!(Counts::read(&dir.path().join("none"), since, until, &[]).is_err());
    }

    #[test]
    fn a_line_without_end_is_not_held_in_memory() {
        let dir = tempfile::tempdir().unwrap();
        let mut text = vec![b'x'; (MAX_LINE * 2 + 5) as usize];
        text.extend_from_slice(b"\n");
        text.extend_from_slice(TEXT.as_bytes());
        std::fs::write(dir.path().join("mta.log"), text).unwrap();
        let counts =
            Counts::read(dir.path(), Timestamp::default(), Timestamp::from_secs(i64::MAX / 2_000_000), &[]);
        assert_eq!(counts.unwrap().unreadable, 4, "three pieces, and one line");
    }
}
