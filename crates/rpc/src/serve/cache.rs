//! The role DirectoryCache.

use super::{Asked, Inner, Response, bad, failed, unknown};
use crate::convert::cache::fields;
use crate::convert::directory::name;
use crate::convert::proto as p;
use roles::Call;
use roles::directory::cache::DirectoryCache;

pub(super) async fn serve(
    inner: &Inner,
    cache: &dyn DirectoryCache,
    method: &str,
    request: Asked,
) -> Response {
    match method {
        "CacheStatus" => {
            let ask = |call: Call, _: p::Empty| async move {
                cache.cache_status(&call).await.map(p::CacheState::from).map_err(failed)
            };
            inner.unary(request, ask).await
        }
        "CacheBuild" => {
            let ask = |call: Call, _: p::Empty| async move {
                cache.cache_build(&call).await.map(p::CacheBuilt::from).map_err(failed)
            };
            inner.unary(request, ask).await
        }
        "CacheCompare" => {
            let ask = |call: Call, _: p::Empty| async move {
                cache.cache_compare(&call).await.map(p::CacheCompared::from).map_err(failed)
            };
            inner.unary(request, ask).await
        }
        "CacheRead" => {
            let ask = |call: Call, m: p::Name| async move {
                let name = name(m.name).map_err(bad)?;
                cache.cache_read(&call, name).await.map(fields).map_err(failed)
            };
            inner.unary(request, ask).await
        }
        "CacheCopy" => {
            let ask = |call: Call, m: p::CacheCopyRequest| async move {
                cache.cache_copy(&call, m.to).await.map(|count| p::Count { count }).map_err(failed)
            };
            inner.unary(request, ask).await
        }
        "CacheControl" => {
            let ask = |call: Call, m: p::CacheControlRequest| async move {
                let control = m.order().try_into().map_err(bad)?;
                cache.cache_control(&call, control).await.map(|()| p::Empty {}).map_err(failed)
            };
            inner.unary(request, ask).await
        }
        "CachePush" => {
            let ask = |call: Call, m: p::Name| async move {
                let name = name(m.name).map_err(bad)?;
                cache.cache_push(&call, name).await.map(|()| p::Empty {}).map_err(failed)
            };
            inner.unary(request, ask).await
        }
        "DirectoryProbe" => {
            let ask = |call: Call, _: p::Empty| async move {
                cache.directory_probe(&call).await.map(p::DirectoryProbed::from).map_err(failed)
            };
            inner.unary(request, ask).await
        }
        _ => unknown(),
    }
}
