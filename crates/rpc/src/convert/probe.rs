//! What a process says of itself.

use super::manager::millis;
use super::proto as p;
use super::{Bad, at_most};
use mail::time::Timestamp;
use roles::probe as r;
use std::time::Duration;

impl From<r::ProcessReport> for p::ProcessReported {
    fn from(report: r::ProcessReport) -> Self {
        let r::ConfigurationReport { in_force, file, by_hand, waiting } = report.configuration;
        let waiting = waiting.into_iter().map(|key| p::WaitingKey { server: key.server, key: key.key });
        Self {
            host: report.host,
            pid: report.pid,
            version: report.version,
            up_ms: millis(report.up),
            in_force,
            file,
            by_hand: by_hand.map(Timestamp::as_micros),
            waiting: waiting.collect(),
            errors: report.errors,
            refused: report.refused,
        }
    }
}

impl TryFrom<p::WaitingKey> for r::WaitingKey {
    type Error = Bad;

    fn try_from(key: p::WaitingKey) -> Result<Self, Bad> {
        Ok(Self { server: key.server, key: key.key })
    }
}

impl TryFrom<p::ProcessReported> for r::ProcessReport {
    type Error = Bad;

    fn try_from(report: p::ProcessReported) -> Result<Self, Bad> {
        let configuration = r::ConfigurationReport {
            in_force: report.in_force,
            file: report.file,
            by_hand: report.by_hand.map(Timestamp::from_micros),
            waiting: at_most(report.waiting, r::MAX_WAITING, "waiting keys")?,
        };
        Ok(Self {
            host: report.host,
            pid: report.pid,
            version: report.version,
            up: Duration::from_millis(report.up_ms),
            configuration,
            errors: report.errors,
            refused: report.refused,
        })
    }
}

impl TryFrom<p::MetricsPage> for String {
    type Error = Bad;

    fn try_from(page: p::MetricsPage) -> Result<Self, Bad> {
        if page.text.len() > r::MAX_PAGE { Err(Bad("page")) } else { Ok(page.text) }
    }
}
