//! The role Manager.

use super::{GRACE, Remote, done, garbled};
use crate::convert::manager::{millis, statuses};
use crate::convert::proto as p;
use crate::pool::Asks as _;
use crate::pool::Safe::{Once, Repeat};
use roles::manager::{Manager, ManagerError, Reloaded, ServerStatus};
use roles::{Answer, Call};

impl Remote {
    /// Asks for a server to be started or stopped; what is done already is left alone, so it may be asked again.
    async fn server(&self, call: &Call, path: &'static str, name: String) -> Result<(), ManagerError> {
        done(self.peer.ask(call, Repeat, path, p::ServerRequest { name }).await)
    }
}

impl Manager for Remote {
    fn server_list<'a>(&'a self, call: &'a Call) -> Answer<'a, Vec<ServerStatus>, ManagerError> {
        Box::pin(async move {
            let path = "/intermail.v1.Manager/ServerList";
            let list: p::ServerStatuses = self.peer.ask(call, Repeat, path, p::Empty {}).await?;
            statuses(list).map_err(garbled)
        })
    }

    fn server_probe<'a>(&'a self, call: &'a Call, name: String) -> Answer<'a, (), ManagerError> {
        Box::pin(async move {
            let message = p::ServerProbeRequest { name, at_most_ms: millis(call.deadline) };
            let call = Call { deadline: call.deadline + GRACE, ..call.clone() };
            let path = "/intermail.v1.Manager/ServerProbe";
            done(self.peer.ask(&call, Repeat, path, message).await)
        })
    }

    fn server_start<'a>(&'a self, call: &'a Call, name: String) -> Answer<'a, (), ManagerError> {
        Box::pin(self.server(call, "/intermail.v1.Manager/ServerStart", name))
    }

    fn server_stop<'a>(&'a self, call: &'a Call, name: String) -> Answer<'a, (), ManagerError> {
        Box::pin(self.server(call, "/intermail.v1.Manager/ServerStop", name))
    }

    fn server_restart<'a>(&'a self, call: &'a Call, name: String) -> Answer<'a, (), ManagerError> {
        Box::pin(async move {
            let path = "/intermail.v1.Manager/ServerRestart";
            done(self.peer.ask(call, Once, path, p::ServerRequest { name }).await)
        })
    }

    fn configuration_reload<'a>(&'a self, call: &'a Call) -> Answer<'a, Reloaded, ManagerError> {
        Box::pin(async move {
            let path = "/intermail.v1.Manager/ConfigurationReload";
            let reloaded: p::Reloaded = self.peer.ask(call, Once, path, p::Empty {}).await?;
            Ok(reloaded.into())
        })
    }
}
