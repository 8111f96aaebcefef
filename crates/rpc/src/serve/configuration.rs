//! The role Configuration.

use super::{Asked, Inner, Response, bad, failed, unknown};
use crate::convert::configuration::judgement;
use crate::convert::proto as p;
use roles::Call;
use roles::configuration::{Configuration, ConfigurationError, Version};
use std::time::Duration;

pub(super) async fn serve(
    inner: &Inner,
    configuration: &dyn Configuration,
    method: &str,
    request: Asked,
) -> Response {
    match method {
        "ConfigurationGet" => {
            let ask = |call: Call, _: p::Empty| async move {
                configuration.configuration_get(&call).await.map(p::Snapshot::from).map_err(failed)
            };
            inner.unary(request, ask).await
        }
        "ConfigurationAssess" => {
            let ask = |call: Call, m: p::Proposal| async move {
                let proposal = m.try_into().map_err(bad)?;
                judgement(configuration.configuration_assess(&call, proposal).await).map_err(failed)
            };
            inner.unary(request, ask).await
        }
        "ConfigurationApply" => {
            let ask = |call: Call, m: p::Proposal| async move {
                let proposal = m.try_into().map_err(bad)?;
                judgement(configuration.configuration_apply(&call, proposal).await).map_err(failed)
            };
            inner.unary(request, ask).await
        }
        "ConfigurationHistory" => {
            let ask = |call: Call, m: p::HistoryRequest| async move {
                let most = usize::try_from(m.most).unwrap_or(usize::MAX);
                let changes = configuration.configuration_history(&call, most).await.map_err(failed)?;
                Ok(p::History { changes: changes.into_iter().map(Into::into).collect() })
            };
            inner.unary(request, ask).await
        }
        "ConfigurationWatch" => {
            let ask = |mut call: Call, m: p::ConfigurationWatchRequest| async move {
                call.deadline = call.deadline.min(Duration::from_millis(m.at_most_ms));
                let mut stopping = inner.env.tasks.stopping();
                let held = tokio::select! {
                    held = configuration.configuration_watch(&call, Version(m.known)) => held,
                    () = stopping.wait() => Err(ConfigurationError::Unavailable("it is going down".into())),
                };
                held.map(p::Snapshot::from).map_err(failed)
            };
            inner.unary(request, ask).await
        }
        _ => unknown(),
    }
}
