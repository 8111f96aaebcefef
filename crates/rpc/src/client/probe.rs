//! The role Probe.

use super::{Remote, garbled};
use crate::convert::proto as p;
use crate::pool::Asks as _;
use crate::pool::Safe::Repeat;
use roles::probe::{Probe, ProbeError, ProcessReport};
use roles::{Answer, Call};

impl Probe for Remote {
    fn process_report<'a>(&'a self, call: &'a Call) -> Answer<'a, ProcessReport, ProbeError> {
        Box::pin(async move {
            let path = "/intermail.v1.Probe/ProcessReport";
            let report: p::ProcessReported = self.peer.ask(call, Repeat, path, p::Empty {}).await?;
            report.try_into().map_err(garbled)
        })
    }

    fn process_metrics<'a>(&'a self, call: &'a Call) -> Answer<'a, String, ProbeError> {
        Box::pin(async move {
            let path = "/intermail.v1.Probe/ProcessMetrics";
            let page: p::MetricsPage = self.peer.ask(call, Repeat, path, p::Empty {}).await?;
            page.try_into().map_err(garbled)
        })
    }
}
