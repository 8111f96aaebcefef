//! What a run took: time, processor, memory, and sectors written to the device below a folder.
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Bytes of a sector in the counters of the system, whatever the device's are.
const SECTOR: u64 = 512;

/// Runs from [`Meter::start`] on.
pub(crate) struct Meter {
    folder: PathBuf,
    begun: Instant,
    cpu_micros: u64,
    written: u64,
}

/// What it has counted.
pub(crate) struct Took {
    pub(crate) time: Duration,
    pub(crate) cpu_micros: u64,
    /// Bytes written to the device, by whomever.
    pub(crate) written: u64,
}

impl Meter {
    pub(crate) fn start(folder: &Path) -> Self {
        let written = written(folder);
        Self { folder: folder.to_owned(), begun: Instant::now(), cpu_micros: cpu_micros(), written }
    }

    /// Time and processor up to now; what is still in memory is then written and counted.
    pub(crate) fn stop(&self) -> Took {
        let (time, cpu_micros) = (self.begun.elapsed(), cpu_micros() - self.cpu_micros);
        Took { time, cpu_micros, written: written(&self.folder) - self.written }
    }
}

/// Sectors that were written to the device of a folder, after everything was written out.
fn written(folder: &Path) -> u64 {
    let Ok(file) = std::fs::File::open(folder) else { return 0 };
    let _ = rustix::fs::syncfs(&file);
    let Ok(stat) = rustix::fs::fstat(&file) else { return 0 };
    let (major, minor) = (rustix::fs::major(stat.st_dev), rustix::fs::minor(stat.st_dev));
    let all = std::fs::read_to_string("/proc/diskstats").unwrap_or_default();
    let of_device = |line: &str| {
        let words: Vec<&str> = line.split_whitespace().collect();
        let is_it = words.first()?.parse() == Ok(major) && words.get(1)?.parse() == Ok(minor);
        words.get(9)?.parse::<u64>().ok().filter(|_| is_it)
    };
    all.lines().find_map(of_device).unwrap_or(0) * SECTOR
}

fn cpu_micros() -> u64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let ticks = |n: usize| fields.get(n).and_then(|f| f.parse::<u64>().ok()).unwrap_or(0);
    (ticks(11) + ticks(12)) * 10_000
}

/// Anonymous memory of this process.
pub(crate) fn memory_mb() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|l| l.starts_with("RssAnon:")).unwrap_or_default();
    line.split_whitespace().nth(1).and_then(|kb| kb.parse::<u64>().ok()).unwrap_or(0) / 1024
}

/// Bytes of blocks below a folder.
pub(crate) fn disk_use(folder: &Path) -> u64 {
    use std::os::unix::fs::MetadataExt as _;
    let mut sum = 0;
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let Ok(data) = entry.metadata() else { continue };
        sum += if data.is_dir() { disk_use(&entry.path()) } else { data.blocks() * SECTOR };
    }
    sum
}
