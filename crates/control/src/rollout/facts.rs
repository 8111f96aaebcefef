//! Asks a host how it is.

use super::health::{Facts, ServerFacts};
use env::Env;
use futures_util::future::join_all;
use mail::id::TraceId;
use roles::Call;
use roles::manager::{ServerState, ServerStatus};
use roles::probe::{Host, Probe};
use std::time::Duration;

/// How long a host or a server of it may take to answer.
const ANSWER_WITHIN: Duration = Duration::from_secs(2);

pub(super) fn call(env: &Env, deadline: Duration) -> Call {
    Call { deadline, ..Call::new(env.random.request_id(), TraceId::new("rollout")) }
}

/// What is seen of a host now.
///
/// # Errors
/// Why it cannot be seen.
pub(super) async fn facts(env: &Env, host: &Host) -> Result<Facts, String> {
    let asked = ask(env, host);
    let all = tokio::time::timeout(2 * ANSWER_WITHIN, asked).await;
    all.map_err(|_| "no answer in time".to_owned())?
}

async fn ask(env: &Env, host: &Host) -> Result<Facts, String> {
    let quick = call(env, ANSWER_WITHIN);
    let servers = host.manager.server_list(&quick).await.map_err(|error| error.to_string())?;
    let reports = join_all(running(host, &servers).map(|process| process.process_report(&quick))).await;
    let servers = join_all(servers.into_iter().map(|status| server(env, host, status))).await;
    let reports: Result<Vec<_>, _> = reports.into_iter().collect();
    let reports = reports.map_err(|error| error.to_string())?;
    Ok(Facts {
        in_force: reports.iter().map(|report| report.configuration.in_force.clone()).collect(),
        servers,
        errors: reports.iter().map(|report| report.errors).sum(),
        refused: reports.iter().map(|report| report.refused).sum(),
        up: reports.iter().map(|report| report.up).min().unwrap_or_default(),
    })
}

/// The processes of a host that are there: a server that was stopped has none.
pub(super) fn running<'a>(
    host: &'a Host,
    servers: &'a [ServerStatus],
) -> impl Iterator<Item = &'a dyn Probe> + 'a {
    let stopped = |name: &str| {
        servers.iter().any(|server| server.name == *name && server.state == ServerState::Stopped)
    };
    let there = move |of: &Option<String>| !of.as_deref().is_some_and(stopped);
    host.processes.iter().filter(move |process| there(&process.server)).map(|process| &*process.probe)
}

/// One server, with its sign of life where it runs.
async fn server(env: &Env, host: &Host, status: ServerStatus) -> ServerFacts {
    let ServerStatus { name, state, pid, since, .. } = status;
    let failure = match state {
        ServerState::Running => {
            let quick = call(env, ANSWER_WITHIN);
            host.manager.server_probe(&quick, name.clone()).await.err().map(|error| error.to_string())
        }
        _ => None,
    };
    ServerFacts { name, state, pid, since, failure }
}
