//! What was done and what was found, added up over all seeds, as a table.

use crate::finding::{Finding, Kind};
use crate::tape::Fault;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// When a crash came, or what else went wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Point {
    /// Killed with everything written and nothing synced.
    BeforeSync,
    /// The power went: of what was not synced, some sectors are there.
    DuringSync,
    /// The power went as the sync was done.
    AfterSync,
    /// The power went somewhere between.
    Between,
    /// The power went once more, while the store recovered.
    DuringRecovery,
    /// The power went once more, some time after a recovery.
    InUseAgain,
    /// It was ended in order after a crash.
    OrderlyEnd,
    /// Reads failed.
    ReadErrors,
    /// A bit of a message changed on the disk.
    BitFlip,
}

impl Point {
    const ALL: [Self; 9] = [
        Self::BeforeSync,
        Self::DuringSync,
        Self::AfterSync,
        Self::Between,
        Self::DuringRecovery,
        Self::InUseAgain,
        Self::OrderlyEnd,
        Self::ReadErrors,
        Self::BitFlip,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::BeforeSync => "killed before a sync",
            Self::DuringSync => "power lost during a sync, writes torn",
            Self::AfterSync => "power lost after a sync",
            Self::Between => "power lost between syncs",
            Self::DuringRecovery => "power lost again during recovery",
            Self::InUseAgain => "power lost again some time later",
            Self::OrderlyEnd => "ended in order after a crash",
            Self::ReadErrors => "reads fail (EIO)",
            Self::BitFlip => "a bit of a message flips",
        }
    }
}

#[derive(Default)]
struct Counts {
    histories: BTreeMap<&'static str, u64>,
    requests: u64,
    actions: u64,
    syncs: u64,
    points: BTreeMap<Point, u64>,
    findings: BTreeMap<Kind, u64>,
    seeds: BTreeMap<u64, Vec<String>>,
}

/// Adds up. Shared by all threads.
#[derive(Default)]
pub(crate) struct Tally(Mutex<Counts>);

impl Tally {
    /// A history has ended, with so many requests, and actions and syncs of the disks.
    pub(crate) fn history(&self, fault: Option<Fault>, requests: usize, actions: usize, syncs: usize) {
        let mut counts = self.counts();
        *counts.histories.entry(name_of(fault)).or_default() += 1;
        counts.requests += requests as u64;
        counts.actions += actions as u64;
        counts.syncs += syncs as u64;
    }

    pub(crate) fn crash(&self, point: Point) {
        *self.counts().points.entry(point).or_default() += 1;
    }

    /// Something is wrong with the history of a seed. The first few are printed at once.
    pub(crate) fn report(&self, seed: u64, when: &str, finding: Finding) {
        let mut counts = self.counts();
        *counts.findings.entry(finding.kind).or_default() += 1;
        let of_seed = counts.seeds.entry(seed).or_default();
        if of_seed.len() < SHOWN {
            let text = format!("seed {seed}, {when}: {finding}");
            println!("{text}");
            of_seed.push(text);
        }
    }

    /// All crashes and faults.
    pub(crate) fn crashes(&self) -> u64 {
        self.counts().points.values().sum()
    }

    /// How often something of this kind was found.
    #[cfg(test)]
    pub(crate) fn found(&self, kind: Kind) -> u64 {
        self.counts().findings.get(&kind).copied().unwrap_or(0)
    }

    /// Whether nothing is wrong.
    pub(crate) fn is_clean(&self) -> bool {
        self.counts().findings.is_empty()
    }

    /// The table.
    pub(crate) fn table(&self) -> String {
        let counts = self.counts();
        let mut text = String::new();
        let mut line = |what: &str, n: u64| {
            let _ = writeln!(text, "{what:42} {n:>10}");
        };
        for (what, n) in &counts.histories {
            line(&format!("histories, {what}"), *n);
        }
        line("requests", counts.requests);
        line("writes, syncs and other actions of disks", counts.actions);
        line("of these syncs", counts.syncs);
        for point in Point::ALL {
            line(point.name(), counts.points.get(&point).copied().unwrap_or(0));
        }
        line("crash points and faults together", counts.points.values().sum());
        for kind in Kind::ALL {
            line(kind.name(), counts.findings.get(&kind).copied().unwrap_or(0));
        }
        if !counts.seeds.is_empty() {
            let seeds: Vec<String> = counts.seeds.keys().map(u64::to_string).collect();
            let _ = writeln!(text, "seeds with findings: {}", seeds.join(" "));
        }
        text
    }

    fn counts(&self) -> MutexGuard<'_, Counts> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn name_of(fault: Option<Fault>) -> &'static str {
    match fault {
        None => "without a fault",
        Some(Fault::SyncFails) => "a sync fails",
        Some(Fault::WriteFails) => "a write fails (EIO)",
        Some(Fault::Full(_)) => "the disk is full (ENOSPC)",
    }
}

/// Findings that are printed for one seed.
const SHOWN: usize = 5;
