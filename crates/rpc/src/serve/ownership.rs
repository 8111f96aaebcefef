//! The role Ownership.

use super::{Asked, Inner, Response, bad, failed, unknown};
use crate::convert::ownership::order;
use crate::convert::proto as p;
use roles::Call;
use roles::ownership::Ownership;

pub(super) async fn serve(
    inner: &Inner,
    ownership: &dyn Ownership,
    method: &str,
    request: Asked,
) -> Response {
    match method {
        "StoreList" => {
            let ask = |call: Call, _: p::Empty| async move {
                let stores = ownership.store_list(&call).await.map_err(failed)?;
                Ok(p::OwnedStores { stores: stores.into_iter().map(Into::into).collect() })
            };
            inner.unary(request, ask).await
        }
        "StoreClaim" => {
            let ask = |call: Call, m: p::StoreClaimRequest| async move {
                let claim = m.try_into().map_err(bad)?;
                ownership.store_claim(&call, claim).await.map(p::OwnedStore::from).map_err(failed)
            };
            inner.unary(request, ask).await
        }
        "StoreRelease" => {
            let ask = |call: Call, m: p::StoreClaimRequest| async move {
                let claim = m.try_into().map_err(bad)?;
                ownership.store_release(&call, claim).await.map(p::OwnedStore::from).map_err(failed)
            };
            inner.unary(request, ask).await
        }
        "StoreOrder" => {
            let ask = |call: Call, m: p::StoreOrderRequest| async move {
                let (store, order) = order(m).map_err(bad)?;
                ownership.store_order(&call, store, order).await.map(p::OwnedStore::from).map_err(failed)
            };
            inner.unary(request, ask).await
        }
        _ => unknown(),
    }
}
