//! The role Provisioning.

use super::{Asked, Inner, Response, bad, failed, unknown};
use crate::convert::proto as p;
use crate::convert::provision::{replies, requests};
use roles::Call;
use roles::directory::provision::Provisioning;

pub(super) async fn serve(
    inner: &Inner,
    provisioning: &dyn Provisioning,
    method: &str,
    request: Asked,
) -> Response {
    if method != "Provision" {
        return unknown();
    }
    let ask = |call: Call, m: p::ProvisionRequests| async move {
        let requests = requests(m).map_err(bad)?;
        provisioning.provision(&call, requests).await.map(replies).map_err(failed)
    };
    inner.unary(request, ask).await
}
