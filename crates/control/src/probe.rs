//! What this process says of itself.

use crate::configuration::InForce;
use crate::monitor::Page;
use catalog::event::Severity;
use env::Env;
use env::clock::Moment;
use roles::probe::{Probe, ProbeError, ProcessReport};
use roles::{Answer, Call};
use std::sync::Arc;

/// Events of a connection that was refused.
const REFUSALS: [&str; 2] = ["NioConnNotAllowed", "NioConnectionLimit"];
/// Events of the configuration itself: what is to be said of its entries is said again whenever any of them changes, and
/// is no sign of ill health.
const OF_CONFIGURATION: &str = "Conf";

/// The process that it is made in.
pub struct ProcessProbe {
    env: Env,
    configuration: Arc<InForce>,
    page: Arc<dyn Page>,
    version: &'static str,
    begun: Moment,
}

impl ProcessProbe {
    /// Counts its time from now on.
    pub fn new(env: Env, configuration: Arc<InForce>, page: Arc<dyn Page>, version: &'static str) -> Self {
        let begun = env.clock.moment();
        Self { env, configuration, page, version, begun }
    }

    async fn report(&self) -> Result<ProcessReport, ProbeError> {
        let configuration = Arc::clone(&self.configuration);
        let report = self.env.compute.run(move || configuration.report()).await;
        let log = &self.env.log;
        let error = |name: &str, severity| severity >= Severity::Erro && !name.starts_with(OF_CONFIGURATION);
        Ok(ProcessReport {
            host: self.env.settings.host().to_owned(),
            pid: std::process::id(),
            version: self.version.to_owned(),
            up: self.begun.elapsed(),
            configuration: report.map_err(|_| ProbeError::Unavailable("too much to do".into()))?,
            errors: log.count(error),
            refused: log.count(|name, _| REFUSALS.contains(&name)),
        })
    }
}

impl Probe for ProcessProbe {
    fn process_report<'a>(&'a self, _call: &'a Call) -> Answer<'a, ProcessReport, ProbeError> {
        Box::pin(self.report())
    }

    fn process_metrics<'a>(&'a self, _call: &'a Call) -> Answer<'a, String, ProbeError> {
        Box::pin(async { Ok(self.page.text().await) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::configuration::{Files, load};
    use crate::monitor::{Pages, Sources};
    use catalog::events::conf::ConfParmError;
    use catalog::events::nio::{NioAcceptFail, NioConnNotAllowed};
    use mail::id::TraceId;

    #[test]
    fn refusals_are_events_that_there_are() {
        let names: Vec<_> = catalog::events::nio::ROWS.iter().map(|row| row.name).collect();
        assert!(REFUSALS.iter().all(|name| names.contains(name)));
    }

    #[tokio::test]
    async fn errors_and_refusals_are_counted_and_what_the_configuration_says_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let files = Files::in_folder(folder.path());
        let env = Env::for_test("immgrserv");
        let checksum = load(&files).unwrap().checksum;
        let in_force = InForce::new(files, env.settings.clone(), env.log.clone(), checksum);
        let page = Arc::new(Pages::new(env.clone(), Sources::default()));
        let probe = ProcessProbe::new(env.clone(), Arc::new(in_force), page, "1.0");
        env.log.emit(&ConfParmError { key: "x", value: "", reason: "" });
        env.log.emit(&NioAcceptFail { error: "none left" });
        for _ in 0..2 {
            env.log.emit(&NioConnNotAllowed { peer: "192.0.2.1", port: 25, key: "allowedIPs" });
        }
        let call = Call::new(env.random.request_id(), TraceId::new("test"));
        let report = probe.process_report(&call).await.unwrap();
        assert_eq!((report.errors, report.refused, report.host.as_str()), (1, 2, "localhost"));
        assert_eq!(report.configuration.in_force, report.configuration.file);
        let page = probe.process_metrics(&call).await.unwrap();
        assert!(page.contains("intermail_log_events_total{severity=\"Warn\"} 2"), "{page}");
    }
}
