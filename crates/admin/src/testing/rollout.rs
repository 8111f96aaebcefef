//! A roll-out that ends as it is told to, and three hosts that are apart.

use super::roles::Double;
use catalog::tree::Path;
use roles::configuration::{Assessed, Proposal, Version};
use roles::probe::{ConfigurationReport, ProbeError, ProcessReport, WaitingKey};
use roles::rollout::{Drift, End, Ended, HostReport, Rollout, RolloutError, State, Trial, UnderWay};
use roles::{Answer, Call};
use std::future::ready;
use std::time::Duration;

impl Double {
    /// How every trial ends; without it they are spread.
    pub(crate) fn with_trial_end(self, end: End) -> Self {
        self.0.trial_end.lock().unwrap().replace(end);
        self
    }

    /// What was last tried.
    pub(crate) fn tried(&self) -> (Proposal, Trial) {
        self.0.tried.lock().unwrap().clone().unwrap()
    }
}

fn ended(end: End) -> Ended {
    Ended { trial: Version(1), version: Version(2), end, why: "it was seen".into() }
}

fn process(host: &str, checksum: &str, waiting: Vec<WaitingKey>) -> HostReport {
    let (in_force, file) = (checksum.to_owned(), checksum.to_owned());
    let configuration = ConfigurationReport { in_force, file, by_hand: None, waiting };
    let (name, version, up) = (host.to_owned(), "1.0".to_owned(), Duration::from_secs(9));
    let report = ProcessReport { host: name, pid: 7, version, up, configuration, errors: 0, refused: 0 };
    HostReport { host: host.into(), processes: vec![Ok(report)] }
}

impl Rollout for Double {
    fn trial_begin<'a>(
        &'a self,
        _: &'a Call,
        proposal: Proposal,
        trial: Trial,
    ) -> Answer<'a, Assessed, RolloutError> {
        self.0.tried.lock().unwrap().replace((proposal, trial));
        let live = Path::parse("/venus/mta/maxMessageSize").into_iter().collect();
        Box::pin(ready(Ok(Assessed { version: Version(1), live, ..Assessed::default() })))
    }

    fn trial_wait<'a>(&'a self, _: &'a Call, _: Version) -> Answer<'a, State, RolloutError> {
        let end = self.0.trial_end.lock().unwrap().unwrap_or(End::Spread);
        Box::pin(ready(Ok(State::Ended(ended(end)))))
    }

    fn trial_show<'a>(&'a self, _: &'a Call) -> Answer<'a, Option<UnderWay>, RolloutError> {
        Box::pin(ready(Ok(None)))
    }

    fn trial_end<'a>(&'a self, _: &'a Call, end: End, _: String) -> Answer<'a, Ended, RolloutError> {
        Box::pin(ready(Ok(ended(end))))
    }

    fn drift_report<'a>(&'a self, _: &'a Call) -> Answer<'a, Drift, RolloutError> {
        let waits = vec![WaitingKey { server: "mss".into(), key: "numMssPorts".into() }];
        let silent = vec![Err(ProbeError::Unavailable("no route".into()))];
        let hosts = vec![
            process("mars", "eight", Vec::new()),
            process("venus", "seven", waits),
            HostReport { host: "pluto".into(), processes: silent },
        ];
        let known = vec![(Version(8), "eight".into()), (Version(7), "seven".into())];
        Box::pin(ready(Ok(Drift { version: Version(8), checksum: "eight".into(), known, hosts })))
    }
}
