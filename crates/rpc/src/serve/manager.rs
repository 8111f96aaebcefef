//! The role Manager.

use super::{Asked, Inner, Response, failed, unknown};
use crate::convert::proto as p;
use roles::Call;
use roles::manager::Manager;
use std::time::Duration;

pub(super) async fn serve(inner: &Inner, manager: &dyn Manager, method: &str, request: Asked) -> Response {
    match method {
        "ServerList" => {
            let ask = |call: Call, _: p::Empty| async move {
                let servers = manager.server_list(&call).await.map_err(failed)?;
                Ok(p::ServerStatuses { servers: servers.into_iter().map(Into::into).collect() })
            };
            inner.unary(request, ask).await
        }
        "ServerProbe" => {
            let ask = |mut call: Call, m: p::ServerProbeRequest| async move {
                call.deadline = call.deadline.min(Duration::from_millis(m.at_most_ms));
                manager.server_probe(&call, m.name).await.map(|()| p::Empty {}).map_err(failed)
            };
            inner.unary(request, ask).await
        }
        "ServerStart" => {
            let ask = |call: Call, m: p::ServerRequest| async move {
                manager.server_start(&call, m.name).await.map(|()| p::Empty {}).map_err(failed)
            };
            inner.unary(request, ask).await
        }
        "ServerStop" => {
            let ask = |call: Call, m: p::ServerRequest| async move {
                manager.server_stop(&call, m.name).await.map(|()| p::Empty {}).map_err(failed)
            };
            inner.unary(request, ask).await
        }
        "ServerRestart" => {
            let ask = |call: Call, m: p::ServerRequest| async move {
                manager.server_restart(&call, m.name).await.map(|()| p::Empty {}).map_err(failed)
            };
            inner.unary(request, ask).await
        }
        "ConfigurationReload" => {
            let ask = |call: Call, _: p::Empty| async move {
                manager.configuration_reload(&call).await.map(p::Reloaded::from).map_err(failed)
            };
            inner.unary(request, ask).await
        }
        _ => unknown(),
    }
}
