//! The role DirectoryCache: of one host, so it is asked of that host alone.

use super::{Remote, done, garbled};
use crate::convert::proto as p;
use crate::pool::Asks as _;
use crate::pool::Safe::{Once, Repeat};
use roles::directory::DirectoryError;
use roles::directory::cache::{Built, CacheStatus, Compared, Control, DirectoryCache, Fields, Probed};
use roles::{Answer, Call};

impl DirectoryCache for Remote {
    fn cache_status<'a>(&'a self, call: &'a Call) -> Answer<'a, CacheStatus, DirectoryError> {
        Box::pin(async move {
            let path = "/intermail.v1.DirectoryCache/CacheStatus";
            let state: p::CacheState = self.peer.ask(call, Repeat, path, p::Empty {}).await?;
            Ok(state.into())
        })
    }

    fn cache_build<'a>(&'a self, call: &'a Call) -> Answer<'a, Built, DirectoryError> {
        Box::pin(async move {
            let path = "/intermail.v1.DirectoryCache/CacheBuild";
            let built: p::CacheBuilt = self.peer.ask(call, Once, path, p::Empty {}).await?;
            Ok(built.into())
        })
    }

    fn cache_compare<'a>(&'a self, call: &'a Call) -> Answer<'a, Compared, DirectoryError> {
        Box::pin(async move {
            let path = "/intermail.v1.DirectoryCache/CacheCompare";
            let compared: p::CacheCompared = self.peer.ask(call, Once, path, p::Empty {}).await?;
            compared.try_into().map_err(garbled)
        })
    }

    fn cache_read<'a>(&'a self, call: &'a Call, name: String) -> Answer<'a, Fields, DirectoryError> {
        Box::pin(async move {
            let path = "/intermail.v1.DirectoryCache/CacheRead";
            let read: p::CacheFields = self.peer.ask(call, Repeat, path, p::Name { name }).await?;
            Ok(read.fields.into_iter().map(|field| (field.name, field.value)).collect())
        })
    }

    fn cache_copy<'a>(&'a self, call: &'a Call, to: String) -> Answer<'a, u64, DirectoryError> {
        Box::pin(async move {
            let path = "/intermail.v1.DirectoryCache/CacheCopy";
            let copied: p::Count = self.peer.ask(call, Once, path, p::CacheCopyRequest { to }).await?;
            Ok(copied.count)
        })
    }

    fn cache_control<'a>(&'a self, call: &'a Call, control: Control) -> Answer<'a, (), DirectoryError> {
        Box::pin(async move {
            let path = "/intermail.v1.DirectoryCache/CacheControl";
            let message = p::CacheControlRequest { order: p::CacheOrder::from(control).into() };
            done(self.peer.ask(call, Repeat, path, message).await)
        })
    }

    fn cache_push<'a>(&'a self, call: &'a Call, name: String) -> Answer<'a, (), DirectoryError> {
        Box::pin(async move {
            let path = "/intermail.v1.DirectoryCache/CachePush";
            done(self.peer.ask(call, Repeat, path, p::Name { name }).await)
        })
    }

    fn directory_probe<'a>(&'a self, call: &'a Call) -> Answer<'a, Probed, DirectoryError> {
        Box::pin(async move {
            let path = "/intermail.v1.DirectoryCache/DirectoryProbe";
            let probed: p::DirectoryProbed = self.peer.ask(call, Repeat, path, p::Empty {}).await?;
            Ok(probed.into())
        })
    }
}
