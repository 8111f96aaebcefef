//! The copy of the directory on a host.

use super::Bad;
use super::manager::millis;
use super::proto as p;
use roles::directory::cache as r;
use std::time::Duration;

impl From<r::CacheStatus> for p::CacheState {
    fn from(status: r::CacheStatus) -> Self {
        let work = match status.doing.map(|doing| doing.work) {
            None => p::CacheWork::WorkNone,
            Some(r::Work::Build) => p::CacheWork::WorkBuild,
            Some(r::Work::Compare) => p::CacheWork::WorkCompare,
        };
        Self {
            folder: status.folder,
            bytes: status.bytes,
            entries: status.entries,
            above: status.above,
            tables: status.tables,
            files: status.files,
            position: status.position,
            directory: status.directory,
            paused: status.paused,
            work: work.into(),
            done: status.doing.map_or(0, |doing| doing.done),
            total: status.doing.map_or(0, |doing| doing.total),
        }
    }
}

impl From<p::CacheState> for r::CacheStatus {
    /// Work of a later version is not shown.
    fn from(state: p::CacheState) -> Self {
        let work = match state.work() {
            p::CacheWork::WorkNone => None,
            p::CacheWork::WorkBuild => Some(r::Work::Build),
            p::CacheWork::WorkCompare => Some(r::Work::Compare),
        };
        Self {
            folder: state.folder,
            bytes: state.bytes,
            entries: state.entries,
            above: state.above,
            tables: state.tables,
            files: state.files,
            position: state.position,
            directory: state.directory,
            paused: state.paused,
            doing: work.map(|work| r::Doing { work, done: state.done, total: state.total }),
        }
    }
}

impl From<r::Built> for p::CacheBuilt {
    fn from(built: r::Built) -> Self {
        Self { accounts: built.accounts, took_ms: millis(built.took), position: built.position }
    }
}

impl From<p::CacheBuilt> for r::Built {
    fn from(built: p::CacheBuilt) -> Self {
        let took = Duration::from_millis(built.took_ms);
        Self { accounts: built.accounts, took, position: built.position }
    }
}

impl From<r::Compared> for p::CacheCompared {
    fn from(compared: r::Compared) -> Self {
        Self {
            accounts: compared.accounts,
            copied: compared.copied,
            sum: compared.sum,
            copied_sum: compared.copied_sum,
            different: compared.different,
            differences: compared.differences,
        }
    }
}

impl TryFrom<p::CacheCompared> for r::Compared {
    type Error = Bad;

    fn try_from(compared: p::CacheCompared) -> Result<Self, Bad> {
        if compared.differences.len() > r::MAX_DIFFERENCES {
            return Err(Bad("differences"));
        }
        Ok(Self {
            accounts: compared.accounts,
            copied: compared.copied,
            sum: compared.sum,
            copied_sum: compared.copied_sum,
            different: compared.different,
            differences: compared.differences,
        })
    }
}

/// Fields with their values.
pub(crate) fn fields(fields: r::Fields) -> p::CacheFields {
    let field = |(name, value)| p::CacheField { name, value };
    p::CacheFields { fields: fields.into_iter().map(field).collect() }
}

impl From<r::Control> for p::CacheOrder {
    fn from(control: r::Control) -> Self {
        match control {
            r::Control::Update => Self::CacheUpdate,
            r::Control::Pause => Self::CachePause,
            r::Control::Resume => Self::CacheResume,
            r::Control::Fold => Self::CacheFold,
        }
    }
}

impl TryFrom<p::CacheOrder> for r::Control {
    type Error = Bad;

    fn try_from(order: p::CacheOrder) -> Result<Self, Bad> {
        match order {
            p::CacheOrder::CacheNothing => Err(Bad("order")),
            p::CacheOrder::CacheUpdate => Ok(Self::Update),
            p::CacheOrder::CachePause => Ok(Self::Pause),
            p::CacheOrder::CacheResume => Ok(Self::Resume),
            p::CacheOrder::CacheFold => Ok(Self::Fold),
        }
    }
}

impl From<r::Probed> for p::DirectoryProbed {
    fn from(probed: r::Probed) -> Self {
        let latency_us = u64::try_from(probed.latency.as_micros()).unwrap_or(u64::MAX);
        Self { latency_us, accounts: probed.accounts, last_change: probed.last_change }
    }
}

impl From<p::DirectoryProbed> for r::Probed {
    fn from(probed: p::DirectoryProbed) -> Self {
        let latency = Duration::from_micros(probed.latency_us);
        Self { latency, accounts: probed.accounts, last_change: probed.last_change }
    }
}
