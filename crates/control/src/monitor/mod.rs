//! What an operator sees of a process while it runs: metrics over HTTP, the `.stat` files, events for a receiver of
//! OpenTelemetry; and the log's own keys, put in force when they change.
//! The page of a process is [`Pages`]; where the servers of a host are processes of their own, their manager shows the
//! pages of all as one ([`Gathered`]).
//!
//! Counting is `env::Metrics`'s business and costs the servers one instruction; everything here happens beside them, and
//! nobody waits for it. A port that cannot be opened and a receiver that does not answer are logged and hold up nothing.

mod endpoint;
mod gather;
mod otlp;
mod pages;
mod reports;

pub use gather::{Gathered, Parts};
pub use pages::{Page, Pages, Sources};

use catalog::events::nio::NioListenFail;
use catalog::keys::common::{METRICS_ADDRESS, METRICS_PORT};
use catalog::metrics::{BUILD_INFO, PROCESS_START};
use env::Env;
use env::tasks::Stopping;
use std::future::Future;
use std::sync::Arc;

/// Starts what every process does for itself. `env` is that of the process: its keys are those of the server that it is,
/// or of `common`.
pub fn start(env: &Env) {
    env.metrics.set(BUILD_INFO, &[], 1);
    env.metrics.set(PROCESS_START, &[], u64::try_from(env.clock.now().as_secs()).unwrap_or_default());
    env.tasks.spawn(reports::run(env.clone()));
    env.tasks.spawn(otlp::run(env.clone()));
}

/// Shows the metrics where a port for them is configured.
pub async fn show(env: &Env, page: Arc<dyn Page>) {
    let port = u16::try_from(env.settings.get(METRICS_PORT)).unwrap_or_default();
    if port == 0 {
        return;
    }
    let address = env.settings.get(METRICS_ADDRESS);
    match tokio::net::TcpListener::bind((address.trim(), port)).await {
        Ok(listener) => until_the_end(env, endpoint::serve(listener, env.clone(), page)),
        Err(error) => env.log.emit(&NioListenFail { address: format!("{address}:{port}"), error }),
    }
}

/// Runs a task until the process ends; it may be dropped anywhere.
fn until_the_end(env: &Env, task: impl Future<Output = ()> + Send + 'static) {
    let mut stopping: Stopping = env.tasks.stopping();
    env.tasks.spawn(async move {
        tokio::select! {
            () = stopping.wait() => {}
            () = task => {}
        }
    });
}
