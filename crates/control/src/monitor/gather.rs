//! The pages of all processes of a host as one: each series says which process it is of.
//!
//! Series of several processes are not added up: a process that begins anew counts from 0 again, which a sum would show as
//! a count that is wrong. Whoever wants the sum asks for it (`sum without (process)`).

use super::pages::Page;
use env::Env;
use futures_util::future::join_all;
use mail::id::TraceId;
use roles::Call;
use roles::probe::Probe;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

/// How long a process may take to show its page; one that does not is left out.
const WITHIN: Duration = Duration::from_secs(3);

/// The processes of a host that run now, by name.
pub type Parts = Arc<dyn Fn() -> Vec<(String, Arc<dyn Probe>)> + Send + Sync>;

/// The page of a host.
pub struct Gathered {
    env: Env,
    /// The name of this process, and its own page.
    own: (&'static str, Arc<dyn Page>),
    parts: Parts,
}

impl Gathered {
    /// Of this process and the others.
    pub fn new(env: Env, own: (&'static str, Arc<dyn Page>), parts: Parts) -> Self {
        Self { env, own, parts }
    }

    async fn pages(&self) -> Vec<(String, String)> {
        let call = Call::new(self.env.random.request_id(), TraceId::new("metrics"));
        let call = &Call { deadline: WITHIN, ..call };
        let ask = |(name, probe): (String, Arc<dyn Probe>)| async move {
            Some((name, probe.process_metrics(call).await.ok()?))
        };
        let asked = join_all((self.parts)().into_iter().map(ask)).await;
        let own = (self.own.0.to_owned(), self.own.1.text().await);
        asked.into_iter().flatten().chain([own]).collect()
    }
}

impl Page for Gathered {
    fn text(&self) -> Pin<Box<dyn Future<Output = String> + Send + '_>> {
        Box::pin(async { merge(&self.pages().await) })
    }
}

/// One page of many: the families in the order of the first page that has them, and in each the series of all.
fn merge(pages: &[(String, String)]) -> String {
    let mut families: Vec<(&str, String)> = Vec::new();
    for (process, page) in pages {
        let mut family = None;
        for line in page.lines() {
            if let Some(rest) = line.strip_prefix("# HELP ") {
                let name = rest.split(' ').next().unwrap_or_default();
                let at = families.iter().position(|(known, _)| *known == name);
                let at = at.unwrap_or_else(|| {
                    families.push((name, format!("{line}\n")));
                    families.len() - 1
                });
                family = Some(at);
            } else if let Some((_, text)) = family.and_then(|at| families.get_mut(at)) {
                add(text, line, process);
            }
        }
    }
    families.into_iter().map(|(_, text)| text).collect()
}

/// Adds a line of a family: the kind once, a series with its process.
fn add(text: &mut String, line: &str, process: &str) {
    if line.starts_with('#') {
        if !text.contains("\n# TYPE ") {
            text.extend([line, "\n"]);
        }
        return;
    }
    let Some((series, value)) = line.rsplit_once(' ') else { return };
    let (name, labels) = match series.split_once('{') {
        Some((name, labels)) => (name, labels.trim_end_matches('}')),
        None => (series, ""),
    };
    let comma = if labels.is_empty() { "" } else { "," };
    text.extend([name, "{process=\"", process, "\"", comma, labels, "} ", value, "\n"]);
}

#[cfg(test)]
mod tests {
    use super::*;
    use roles::Answer;
    use roles::probe::{ProbeError, ProcessReport};
    use std::future::ready;

    struct Fixed(Option<&'static str>);

    impl Page for Fixed {
        fn text(&self) -> Pin<Box<dyn Future<Output = String> + Send + '_>> {
            Box::pin(ready(self.0.unwrap_or_default().to_owned()))
        }
    }

    impl Probe for Fixed {
        fn process_report<'a>(&'a self, _: &'a Call) -> Answer<'a, ProcessReport, ProbeError> {
            Box::pin(ready(Err(ProbeError::Unavailable(String::new()))))
        }

        fn process_metrics<'a>(&'a self, _: &'a Call) -> Answer<'a, String, ProbeError> {
            let page = self.0.map(str::to_owned);
            Box::pin(ready(page.ok_or_else(|| ProbeError::Unavailable("away".into()))))
        }
    }

    #[tokio::test]
    async fn every_series_says_its_process_and_every_family_stands_once() {
        const MSS: &str = "# HELP a What a is.\n# TYPE a counter\na 1\n# HELP h H.\n# TYPE h histogram\n\
                           h_bucket{op=\"x y\",le=\"+Inf\"} 3\nh_sum{op=\"x y\"} 0.5\n";
        const MTA: &str =
            "# HELP a What a is.\n# TYPE a counter\na{k=\"v\"} 2\n# HELP b B.\n# TYPE b gauge\nb 7\n";
        let parts: Parts = Arc::new(|| {
            let part = |name: &str, page| (name.to_owned(), Arc::new(Fixed(page)) as Arc<dyn Probe>);
            vec![part("mss", Some(MSS)), part("popserv", None), part("mta", Some(MTA))]
        });
        let own = ("immgrserv", Arc::new(Fixed(Some("# HELP b B.\n# TYPE b gauge\nb 0\n"))) as Arc<dyn Page>);
        let page = Gathered::new(Env::for_test("immgrserv"), own, parts).text().await;
        let expected = "# HELP a What a is.\n# TYPE a counter\na{process=\"mss\"} 1\n\
                        a{process=\"mta\",k=\"v\"} 2\n# HELP h H.\n# TYPE h histogram\n\
                        h_bucket{process=\"mss\",op=\"x y\",le=\"+Inf\"} 3\nh_sum{process=\"mss\",op=\"x y\"} 0.5\n\
                        # HELP b B.\n# TYPE b gauge\nb{process=\"mta\"} 7\nb{process=\"immgrserv\"} 0\n";
        assert_eq!(page, expected);
    }
}
