//! How far the processes of a site are from the configuration that they are to have: a verdict over their reports.

use mail::time::Timestamp;
use roles::configuration::Version;
use roles::probe::{ProbeError, ProcessReport, WaitingKey};
use roles::rollout::Drift;

/// What is to be said of a process or of a host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Remark {
    /// It does not answer; says why.
    Silent(String),
    /// Another version is in force than the one that every host is to have.
    Version(Option<Version>),
    /// Its host's file says something else than what is in force: the file cannot be used, or is being taken over.
    File,
    /// Its host's file was changed by hand.
    ByHand(Timestamp),
    /// Keys hold only after a restart of their server.
    Waiting(Vec<WaitingKey>),
}

/// One process, judged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// Its host.
    pub host: String,
    /// The process, where it answers.
    pub pid: Option<u32>,
    /// The version of its program, where it answers.
    pub program: Option<String>,
    /// The version in force in it, where it is known.
    pub version: Option<Version>,
    /// What is to be said; nothing where it is as it is to be.
    pub remarks: Vec<Remark>,
}

/// A line for each process, in the order of the reports; one for a host without any.
pub fn judge(drift: &Drift) -> Vec<Line> {
    let lines = drift.hosts.iter().flat_map(|report| {
        let none = report.processes.is_empty().then(|| silent(&report.host, "no process of it is known"));
        let all = report.processes.iter().map(|process| match process {
            Ok(process) => line(drift, process),
            Err(ProbeError::Unavailable(why)) => silent(&report.host, why),
        });
        none.into_iter().chain(all)
    });
    lines.collect()
}

fn silent(host: &str, why: &str) -> Line {
    let remarks = vec![Remark::Silent(why.to_owned())];
    Line { host: host.to_owned(), pid: None, program: None, version: None, remarks }
}

fn line(drift: &Drift, process: &ProcessReport) -> Line {
    let configuration = &process.configuration;
    let known = |sum: &str| drift.known.iter().find(|(_, known)| known == sum).map(|(version, _)| *version);
    let right = configuration.in_force == drift.checksum;
    let version = if right { Some(drift.version) } else { known(&configuration.in_force) };
    let mut remarks = Vec::new();
    if !right {
        remarks.push(Remark::Version(version));
    }
    if configuration.file != configuration.in_force {
        remarks.push(Remark::File);
    }
    remarks.extend(configuration.by_hand.map(Remark::ByHand));
    if !configuration.waiting.is_empty() {
        remarks.push(Remark::Waiting(configuration.waiting.clone()));
    }
    let (pid, program) = (Some(process.pid), Some(process.version.clone()));
    Line { host: process.host.clone(), pid, program, version, remarks }
}

#[cfg(test)]
mod tests {
    use super::*;
    use roles::probe::ConfigurationReport;
    use roles::rollout::HostReport;
    use std::time::Duration;

    fn process(host: &str, in_force: &str, file: &str) -> ProcessReport {
        let configuration =
            ConfigurationReport { in_force: in_force.into(), file: file.into(), ..Default::default() };
        let (version, up) = ("1.0".into(), Duration::from_secs(9));
        ProcessReport { host: host.into(), pid: 7, version, up, configuration, errors: 0, refused: 0 }
    }

    fn remarks(process: Result<ProcessReport, ProbeError>) -> (Option<Version>, Vec<Remark>) {
        let hosts = vec![HostReport { host: "venus".into(), processes: vec![process] }];
        let known = vec![(Version(8), "eight".into()), (Version(7), "seven".into())];
        let drift = Drift { version: Version(8), checksum: "eight".into(), known, hosts };
        let line = judge(&drift).remove(0);
        assert_eq!(line.host, "venus");
        (line.version, line.remarks)
    }

    #[test]
    fn each_way_of_being_apart_is_told() {
        let of = |in_force, file| remarks(Ok(process("venus", in_force, file)));
        assert_eq!(of("eight", "eight"), (Some(Version(8)), vec![]));
        assert_eq!(of("seven", "seven"), (Some(Version(7)), vec![Remark::Version(Some(Version(7)))]));
        assert_eq!(of("other", "other"), (None, vec![Remark::Version(None)]));
        assert_eq!(of("eight", "other"), (Some(Version(8)), vec![Remark::File]));
        let mut by_hand = process("venus", "other", "other");
        by_hand.configuration.by_hand = Some(Timestamp::from_secs(5));
        let waits = vec![WaitingKey { server: "mss".into(), key: "numMssPorts".into() }];
        by_hand.configuration.waiting.clone_from(&waits);
        let said =
            vec![Remark::Version(None), Remark::ByHand(Timestamp::from_secs(5)), Remark::Waiting(waits)];
        assert_eq!(remarks(Ok(by_hand)).1, said);
        let silent = remarks(Err(ProbeError::Unavailable("down".into())));
        assert_eq!(silent, (None, vec![Remark::Silent("down".into())]));
    }
}
