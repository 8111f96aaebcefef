//! The role Probe.

use super::{Asked, Inner, Response, failed, unknown};
use crate::convert::proto as p;
use roles::Call;
use roles::probe::Probe;

pub(super) async fn serve(inner: &Inner, probe: &dyn Probe, method: &str, request: Asked) -> Response {
    match method {
        "ProcessReport" => {
            let ask = |call: Call, _: p::Empty| async move {
                probe.process_report(&call).await.map(p::ProcessReported::from).map_err(failed)
            };
            inner.unary(request, ask).await
        }
        "ProcessMetrics" => {
            let ask = |call: Call, _: p::Empty| async move {
                probe.process_metrics(&call).await.map(|text| p::MetricsPage { text }).map_err(failed)
            };
            inner.unary(request, ask).await
        }
        _ => unknown(),
    }
}
