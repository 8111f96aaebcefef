//! When a file of the log is put aside under another name, and which of those are removed.
//!
//! Rules only; `writer` renames and removes.

use mail::time::Timestamp;
use std::time::Duration;

/// When files are put aside, and how many of them stay.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rotation {
    /// The time of day, UTC, from which the spans of `every` are counted.
    pub time_zero: Duration,
    /// A file is put aside at the end of each such span; zero: never for its age.
    pub every: Duration,
    /// A file is put aside before it grows past this many bytes; 0: never for its size.
    pub max_bytes: u64,
    /// How many of a file's predecessors stay; 0: all.
    pub kept: usize,
}

impl Default for Rotation {
    /// Never.
    fn default() -> Self {
        Self { time_zero: Duration::ZERO, every: Duration::ZERO, max_bytes: 0, kept: 0 }
    }
}

impl Rotation {
    /// Whether a file that holds `size` bytes, the last of them written at `written`, is put aside before `more` are added.
    pub(super) fn is_due(&self, size: u64, more: u64, written: Timestamp, now: Timestamp) -> bool {
        let too_large = self.max_bytes > 0 && size.saturating_add(more) > self.max_bytes;
        size > 0 && (too_large || self.span_of(written) < self.span_of(now))
    }

    /// The number of the span that a time lies in.
    fn span_of(&self, at: Timestamp) -> i64 {
        let micros = |span: Duration| i64::try_from(span.as_micros()).unwrap_or(i64::MAX);
        match micros(self.every) {
            0 => 0,
            every => at.as_micros().saturating_sub(micros(self.time_zero)).div_euclid(every),
        }
    }
}

/// Reads a time of day, `HH:MM`.
pub(super) fn time_of_day(text: &str) -> Option<Duration> {
    let (hours, minutes) = text.trim().split_once(':')?;
    let two = |part: &str, below: u64| {
        let digits = part.len() == 2 && part.bytes().all(|b| b.is_ascii_digit());
        part.parse::<u64>().ok().filter(|n| digits && *n < below)
    };
    Some(Duration::from_secs(two(hours, 24)? * 3600 + two(minutes, 60)? * 60))
}

/// What is added to the name of a file that is put aside: `.20261123T123525Z`.
pub(super) fn suffix(now: Timestamp) -> String {
    let text = now.rfc3339().to_string();
    let digits: String = text.chars().take(19).filter(|c| *c != '-' && *c != ':').collect();
    format!(".{digits}Z")
}

/// The names, of those in the folder, that are removed after `file` was put aside.
pub(super) fn surplus(file: &str, mut names: Vec<String>, kept: usize) -> Vec<String> {
    names.retain(|name| name.strip_prefix(file).is_some_and(is_suffix));
    names.sort_unstable();
    let most = if kept == 0 { names.len() } else { kept };
    names.truncate(names.len().saturating_sub(most));
    names
}

/// Whether this is a [`suffix`], perhaps with a number behind it. What others have named is not ours to remove.
fn is_suffix(text: &str) -> bool {
    let bytes = text.as_bytes();
    let digits =
        |part: Option<&[u8]>| part.is_some_and(|p| !p.is_empty() && p.iter().all(u8::is_ascii_digit));
    let ours = bytes.first() == Some(&b'.')
        && digits(bytes.get(1..9))
        && bytes.get(9) == Some(&b'T')
        && digits(bytes.get(10..16))
        && bytes.get(16) == Some(&b'Z');
    ours && (bytes.len() == 17 || bytes.get(17) == Some(&b'-') && digits(bytes.get(18..)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);

    fn at(text: &str) -> Timestamp {
        Timestamp::parse_rfc3339(text).unwrap()
    }

    #[test]
    fn its_17591_the_spans_begin_at_the_time_that_rollover_time_zero_names() {
        let daily = Rotation { time_zero: 3 * HOUR, every: 24 * HOUR, ..Rotation::default() };
        let due = |written: &str, now: &str| daily.is_due(1, 1, at(written), at(now));
        assert!(!due("2026-11-23T03:00:00Z", "2026-11-24T02:59:59Z"));
        assert!(due("2026-11-24T02:59:59Z", "2026-11-24T03:00:00Z"));
        assert!(due("2026-11-20T12:00:00Z", "2026-11-24T02:00:00Z"), "also where the server was down");
        assert!(!due("2026-11-24T03:00:01Z", "2026-11-24T03:00:00Z"), "a clock that was put back");
        let often = Rotation { every: 6 * HOUR, ..daily };
        assert!(often.is_due(1, 1, at("2026-11-24T08:59:59Z"), at("2026-11-24T09:00:00Z")));
        assert!(!often.is_due(0, 1, at("2026-11-24T08:59:59Z"), at("2026-11-24T09:00:00Z")), "it is empty");
        assert!(!Rotation::default().is_due(1, 1, at("2001-01-01T00:00:00Z"), at("2026-11-24T09:00:00Z")));
    }

    #[test]
    fn a_file_does_not_grow_past_its_size() {
        let small = Rotation { max_bytes: 100, ..Rotation::default() };
        let now = at("2026-11-24T09:00:00Z");
        assert!(!small.is_due(90, 10, now, now) && small.is_due(90, 11, now, now));
        assert!(!small.is_due(0, 1000, now, now), "one line may be larger than all of it");
    }

    #[test]
    fn a_time_of_day_is_read_strictly() {
        assert_eq!(time_of_day("03:30"), Some(Duration::from_secs(12_600)));
        for bad in ["24:00", "00:60", "3:30", "0330", "", "00:00:00", "+1:00"] {
            assert_eq!(time_of_day(bad), None, "{bad}");
        }
    }

    #[test]
    fn the_oldest_of_its_own_are_removed() {
        assert_eq!(suffix(at("2026-11-23T12:35:25.617Z")), ".20261123T123525Z");
        let names = [
            "mta.log",
            "mta.log.20261123T000000Z",
            "mta.log.20261121T000000Z",
            "mta.log.1",
            "mta.log.old",
            "mta.log.20261122T000000Z-1",
            "mta.log.20261122T000000Z",
            "mta.stat.20200101T000000Z",
        ];
        let names: Vec<String> = names.iter().map(ToString::to_string).collect();
        assert_eq!(
            surplus("mta.log", names.clone(), 2),
            ["mta.log.20261121T000000Z", "mta.log.20261122T000000Z"]
        );
        assert!(surplus("mta.log", names.clone(), 0).is_empty());
        assert!(surplus("mta.log", names, 9).is_empty());
    }
}
