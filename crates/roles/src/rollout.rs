//! Trying a change of the configuration on some hosts before it holds on all, and how far the hosts are apart.
//!
//! A trial ends by itself: the change is spread to every host, or taken back where the hosts that have it lose their
//! health. At most one is under way.

use crate::configuration::{Assessed, ConfigurationError, Proposal, Version};
use crate::probe::{ProbeError, ProcessReport};
use crate::{Answer, Call, Kind};
use mail::time::Timestamp;
use std::time::Duration;

/// Most hosts on which a change is tried.
pub const MAX_HOSTS: usize = 1000;

/// What becomes of servers that read a changed key only when they start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Restarts {
    /// They are left alone: a change that would need a restart is not tried.
    None,
    /// They are restarted where it is tried, and again where it is taken back.
    Done,
}

/// Where and for how long a change is tried.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trial {
    /// The hosts that have it first: logical names.
    pub hosts: Vec<String>,
    /// How long they are watched before all others get it.
    pub watch: Duration,
    /// What becomes of servers that would need a restart.
    pub restarts: Restarts,
}

/// How a trial ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// The change holds on every host.
    Spread,
    /// The entries are what they were before it.
    TakenBack,
}

/// A trial that is under way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnderWay {
    /// The version that began it.
    pub version: Version,
    /// Where it is tried.
    pub hosts: Vec<String>,
    /// When it began.
    pub since: Timestamp,
    /// How long it is watched.
    pub watch: Duration,
}

/// A trial that has ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ended {
    /// The version that began it.
    pub trial: Version,
    /// The version that ended it.
    pub version: Version,
    /// How.
    pub end: End,
    /// Why, as the history has it.
    pub why: String,
}

/// What is known of a trial.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    /// It goes on.
    UnderWay(UnderWay),
    /// It has ended.
    Ended(Ended),
}

/// Why a trial was not begun or ended.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RolloutError {
    /// The configuration was not changed; says why.
    #[error(transparent)]
    Configuration(#[from] ConfigurationError),
    /// A host that is named is not there, or not well enough to tell whether a change does it harm.
    #[error("{host}: {why}")]
    Host {
        /// Its name.
        host: String,
        /// What is wrong.
        why: String,
    },
    /// More or fewer hosts, or a longer or shorter time, than a trial can have.
    #[error("{0}")]
    OutOfRange(String),
    /// There is no trial of that number, or none at all.
    #[error("no change is being tried")]
    NoTrial,
}

impl RolloutError {
    /// What it means for the caller.
    pub fn kind(&self) -> Kind {
        match self {
            Self::Configuration(error) => error.kind(),
            Self::Host { .. } => Kind::Unavailable,
            Self::OutOfRange(_) => Kind::Refused,
            Self::NoTrial => Kind::Missing,
        }
    }
}

/// One host and what its processes say of themselves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostReport {
    /// Its logical name.
    pub host: String,
    /// A line for each of its processes.
    pub processes: Vec<Result<ProcessReport, ProbeError>>,
}

/// How far the hosts are apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Drift {
    /// The version that every host is to have.
    pub version: Version,
    /// The checksum of its text.
    pub checksum: String,
    /// Versions that the history knows by the checksum of their text, the newest first.
    pub known: Vec<(Version, String)>,
    /// The hosts.
    pub hosts: Vec<HostReport>,
}

/// Brings changes to hosts, some first.
pub trait Rollout: Send + Sync {
    /// Makes the change on these hosts. It is durable there when this answers, and ends by itself whether or not
    /// anybody waits for it.
    fn trial_begin<'a>(
        &'a self,
        call: &'a Call,
        proposal: Proposal,
        trial: Trial,
    ) -> Answer<'a, Assessed, RolloutError>;

    /// How the trial that this version began has ended; at the end of `call.deadline`, that it goes on.
    fn trial_wait<'a>(&'a self, call: &'a Call, version: Version) -> Answer<'a, State, RolloutError>;

    /// The trial that is under way.
    fn trial_show<'a>(&'a self, call: &'a Call) -> Answer<'a, Option<UnderWay>, RolloutError>;

    /// Ends the trial that is under way before its time.
    fn trial_end<'a>(&'a self, call: &'a Call, end: End, who: String) -> Answer<'a, Ended, RolloutError>;

    /// Which processes have which configuration.
    fn drift_report<'a>(&'a self, call: &'a Call) -> Answer<'a, Drift, RolloutError>;
}
