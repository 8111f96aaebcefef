//! How much of a nearly full disk the log may still take.
//!
//! Mail that is refused for want of space leaves lines, too, and tens of thousands of refusals would fill what the
//! store keeps free to empty itself.

use catalog::event::Severity;
use std::path::Path;

/// Below this many free bytes only what needs the operator is logged. On a small file system a thirty-second of it.
const SHORT: u64 = 32 << 20;
/// Below this part of [`SHORT`] nothing is logged.
const NONE_PART: u64 = 4;

/// What the disk has room for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Room {
    /// For every line.
    #[default]
    Enough,
    /// For failures only.
    Short,
    /// For nothing.
    None,
}

impl Room {
    /// What the file system of this folder has room for; one that does not say has enough.
    pub(super) fn of(folder: &Path) -> Self {
        let Ok(fs) = rustix::fs::statvfs(folder) else { return Self::Enough };
        Self::with(fs.f_bavail.saturating_mul(fs.f_frsize), fs.f_blocks.saturating_mul(fs.f_frsize))
    }

    fn with(free: u64, total: u64) -> Self {
        let short = SHORT.min(total / 32);
        match free {
            free if free >= short => Self::Enough,
            free if free >= short / NONE_PART => Self::Short,
            _ => Self::None,
        }
    }

    /// Whether a line of this severity may be written.
    pub(super) fn takes(self, severity: Severity) -> bool {
        match self {
            Self::Enough => true,
            Self::Short => severity >= Severity::Erro,
            Self::None => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn its_22353_a_nearly_full_disk_is_not_filled_with_notes() {
        const MB: u64 = 1 << 20;
        for (free, total, room) in [
            (32 * MB, 100_000 * MB, Room::Enough),
            (31 * MB, 100_000 * MB, Room::Short),
            (8 * MB, 100_000 * MB, Room::Short),
            (7 * MB, 100_000 * MB, Room::None),
            (13 * MB, 400 * MB, Room::Enough),
            (12 * MB, 400 * MB, Room::Short),
            (MB, 400 * MB, Room::None),
            (0, 0, Room::Enough),
        ] {
            assert_eq!(Room::with(free, total), room, "{free} of {total}");
        }
        assert!(Room::Short.takes(Severity::Erro) && !Room::Short.takes(Severity::Warn));
        assert!(!Room::None.takes(Severity::Fatl));
    }
}
