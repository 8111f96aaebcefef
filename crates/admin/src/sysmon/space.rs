//! How full file systems are, and when they will be: from samples that each look leaves in a file of the site (ITS 10532).

use mail::time::Timestamp;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Where the samples are, below the site folder. Losing it loses the forecast only.
pub(super) const FILE: &str = "run/imsysmon.space";
/// Samples are at least this far apart.
const APART: Duration = Duration::from_secs(3600);
/// Older samples say nothing of what is to come.
const OLDEST: Duration = Duration::from_secs(30 * 86_400);
/// A shorter time says nothing either.
const SHORTEST: Duration = Duration::from_secs(6 * 3600);
/// Largest file of samples that is read.
const MAX_FILE: u64 = 8 << 20;

/// One file system.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Space {
    /// The folder by which it was named.
    pub folder: PathBuf,
    /// What was found; `None` where the folder is not there.
    pub usage: Option<Usage>,
    /// How long its space lasts, if it goes on being used as since the oldest sample; `None`: it does not shrink, or there
    /// are too few samples to say.
    pub lasts: Option<Duration>,
}

/// Bytes of a file system.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Usage {
    /// In all.
    pub total: u64,
    /// For us.
    pub free: u64,
}

impl Usage {
    /// Percent in use, rounded up: full is 100 and nothing less is.
    pub fn percent(self) -> u64 {
        let used = u128::from(self.total.saturating_sub(self.free)) * 100;
        if self.total == 0 { 100 } else { used.div_ceil(u128::from(self.total)).try_into().unwrap_or(100) }
    }
}

/// What was free at a time.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Sample {
    at: Timestamp,
    free: u64,
    folder: String,
}

/// Looks at these folders and adds what it finds to the samples.
pub(super) fn look(folders: &[PathBuf], file: &Path, now: Timestamp) -> Vec<Space> {
    let small = std::fs::metadata(file).is_ok_and(|m| m.len() <= MAX_FILE);
    let text = if small { std::fs::read_to_string(file).unwrap_or_default() } else { String::new() };
    let mut samples = parse(&text, now);
    let spaces = folders.iter().map(|folder| {
        let usage = usage(folder);
        let name = folder.display().to_string();
        let lasts = usage.and_then(|usage| lasts(&samples, &name, usage.free, now));
        if let Some(usage) = usage
            && samples.iter().rev().find(|s| s.folder == name).is_none_or(|last| now.since(last.at) >= APART)
        {
            samples.push(Sample { at: now, free: usage.free, folder: name });
        }
        Space { folder: folder.clone(), usage, lasts }
    });
    let spaces = spaces.collect();
    // Without the samples there is no forecast; the summary is worth more than that.
    let _ = std::fs::write(file, write(&samples));
    spaces
}

fn usage(folder: &Path) -> Option<Usage> {
    let fs = rustix::fs::statvfs(folder).ok()?;
    let size = |blocks: u64| blocks.saturating_mul(fs.f_frsize);
    // As df has it: what is kept for root is neither used nor ours.
    let used = size(fs.f_blocks.saturating_sub(fs.f_bfree));
    let free = size(fs.f_bavail);
    Some(Usage { total: used.saturating_add(free), free })
}

/// Lines `time free folder`; what is too old or from the future is left out.
fn parse(text: &str, now: Timestamp) -> Vec<Sample> {
    let sample = |line: &str| {
        let (at, rest) = line.split_once(' ')?;
        let (free, folder) = rest.split_once(' ')?;
        let at = Timestamp::parse_rfc3339(at)?;
        let sample = Sample { at, free: free.parse().ok()?, folder: folder.to_owned() };
        (at <= now && now.since(at) <= OLDEST).then_some(sample)
    };
    text.lines().filter_map(sample).collect()
}

fn write(samples: &[Sample]) -> String {
    let mut text = String::new();
    for Sample { at, free, folder } in samples {
        let _ = writeln!(text, "{} {free} {folder}", at.rfc3339());
    }
    text
}

/// From the oldest sample and now, along a straight line.
fn lasts(samples: &[Sample], folder: &str, free: u64, now: Timestamp) -> Option<Duration> {
    let oldest = samples.iter().find(|s| s.folder == folder)?;
    let (span, shrunk) = (now.since(oldest.at), oldest.free.checked_sub(free).filter(|bytes| *bytes > 0)?);
    let seconds = u128::from(free) * u128::from(span.as_secs()) / u128::from(shrunk);
    (span >= SHORTEST).then(|| Duration::from_secs(seconds.try_into().unwrap_or(u64::MAX)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: i64 = 86_400;

    #[test]
    fn its_10532_a_disk_that_fills_has_a_day_on_which_it_is_full() {
        let now = Timestamp::from_secs(100 * DAY);
        let sample =
            |day: i64, free| Sample { at: Timestamp::from_secs(day * DAY), free, folder: "/a b".into() };
        let text = write(&[sample(60, 5000), sample(90, 2000), sample(98, 1100), sample(101, 7)]);
        let samples = parse(&text, now);
        assert_eq!(samples, [sample(90, 2000), sample(98, 1100)], "neither too old nor from the future");
        let days = |free| lasts(&samples, "/a b", free, now).map(|span| span.as_secs() / DAY as u64);
        assert_eq!((days(1000), days(0), days(2000), days(3000)), (Some(10), Some(0), None, None));
        assert_eq!(lasts(&samples, "/b", 1, now), None);
        let young = [sample(100, 2000)];
        assert_eq!(
            lasts(&young, "/a b", 1000, now.plus(Duration::from_secs(3600))),
            None,
            "too short a time"
        );
    }

    #[test]
    fn its_22559_each_folder_is_looked_at_and_one_that_is_not_there_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let folders = [dir.path().to_owned(), dir.path().join("none"), PathBuf::from("/")];
        let (file, now) = (dir.path().join("samples"), Timestamp::from_secs(100 * DAY));
        let spaces = look(&folders, &file, now);
        assert!(spaces[0].usage.is_some_and(|u| u.total >= u.free && u.percent() <= 100));
        assert!(spaces[1].usage.is_none() && spaces[2].usage.is_some());
        look(&folders, &file, now.plus(Duration::from_secs(60)));
        let kept = std::fs::read_to_string(&file).unwrap();
        assert_eq!(kept.lines().count(), 2, "an hour apart: {kept}");
        assert_eq!(Usage { total: 1000, free: 999 }.percent(), 1);
        assert_eq!(
            (Usage { total: 0, free: 0 }.percent(), Usage { total: 3, free: 0 }.percent()),
            (100, 100)
        );
    }
}
