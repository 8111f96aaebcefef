//! The role Directory.

use super::{Asked, Inner, Response, bad, failed, unknown};
use crate::convert::directory::{name, origin};
use crate::convert::{address, proto as p};
use mail::id::AccountId;
use roles::Call;
use roles::directory::Directory;

pub(super) async fn serve(
    inner: &Inner,
    directory: &dyn Directory,
    method: &str,
    request: Asked,
) -> Response {
    match method {
        "Authenticate" => {
            let ask = |call: Call, m: p::Login| async move {
                let login = m.try_into().map_err(bad)?;
                directory.authenticate(&call, login).await.map(p::Account::from).map_err(failed)
            };
            inner.unary(request, ask).await
        }
        "ScramKeys" => {
            let ask = |call: Call, m: p::Login| async move {
                let from = origin(&m).map_err(bad)?;
                let name = name(m.name).map_err(bad)?;
                let keys = directory.scram_keys(&call, name, from).await;
                keys.map(p::ScramKeySet::from).map_err(failed)
            };
            inner.unary(request, ask).await
        }
        "AddressRoute" => {
            let ask = |call: Call, m: p::Address| async move {
                let address = address(&m.address).map_err(bad)?;
                directory.address_route(&call, address).await.map(p::Route::from).map_err(failed)
            };
            inner.unary(request, ask).await
        }
        "AccountFind" => {
            let ask = |call: Call, m: p::Name| async move {
                let name = name(m.name).map_err(bad)?;
                directory.account_find(&call, name).await.map(p::Account::from).map_err(failed)
            };
            inner.unary(request, ask).await
        }
        "SenderAllowed" => {
            let ask = |call: Call, m: p::SenderAllowedRequest| async move {
                let sender = address(&m.sender).map_err(bad)?;
                let allowed = directory.sender_allowed(&call, AccountId(m.account), sender).await;
                allowed.map(|allowed| p::Allowed { allowed }).map_err(failed)
            };
            inner.unary(request, ask).await
        }
        _ => unknown(),
    }
}
