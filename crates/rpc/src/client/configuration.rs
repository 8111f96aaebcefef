//! The role Configuration.

use super::{GRACE, Remote, garbled};
use crate::convert::configuration::judged;
use crate::convert::manager::millis;
use crate::convert::{each, proto as p};
use crate::pool::Asks;
use crate::pool::Safe::{self, Once, Repeat, Wait};
use roles::configuration::{
    Accepted, Assessed, Configuration, ConfigurationError, Proposal, Snapshot, Version,
};
use roles::{Answer, Call};

async fn judge<A: Asks>(
    peer: &A,
    call: &Call,
    safe: Safe,
    path: &'static str,
    proposal: Proposal,
) -> Result<Assessed, ConfigurationError> {
    let message: p::Proposal = proposal.into();
    let judgement: p::Judgement = peer.ask(call, safe, path, message).await?;
    judged(judgement).unwrap_or_else(|bad| Err(garbled(bad)))
}

impl<A: Asks> Configuration for Remote<A> {
    fn configuration_get<'a>(&'a self, call: &'a Call) -> Answer<'a, Snapshot, ConfigurationError> {
        Box::pin(async move {
            let path = "/intermail.v1.Configuration/ConfigurationGet";
            let snapshot: p::Snapshot = self.peer.ask(call, Repeat, path, p::Empty {}).await?;
            Ok(snapshot.into())
        })
    }

    fn configuration_assess<'a>(
        &'a self,
        call: &'a Call,
        proposal: Proposal,
    ) -> Answer<'a, Assessed, ConfigurationError> {
        let path = "/intermail.v1.Configuration/ConfigurationAssess";
        Box::pin(judge(&*self.peer, call, Repeat, path, proposal))
    }

    fn configuration_apply<'a>(
        &'a self,
        call: &'a Call,
        proposal: Proposal,
    ) -> Answer<'a, Assessed, ConfigurationError> {
        let path = "/intermail.v1.Configuration/ConfigurationApply";
        Box::pin(judge(&*self.peer, call, Once, path, proposal))
    }

    fn configuration_history<'a>(
        &'a self,
        call: &'a Call,
        most: usize,
    ) -> Answer<'a, Vec<Accepted>, ConfigurationError> {
        Box::pin(async move {
            let path = "/intermail.v1.Configuration/ConfigurationHistory";
            let message = p::HistoryRequest { most: u64::try_from(most).unwrap_or(u64::MAX) };
            let history: p::History = self.peer.ask(call, Repeat, path, message).await?;
            each(history.changes).map_err(garbled)
        })
    }

    fn configuration_watch<'a>(
        &'a self,
        call: &'a Call,
        known: Version,
    ) -> Answer<'a, Snapshot, ConfigurationError> {
        Box::pin(async move {
            let path = "/intermail.v1.Configuration/ConfigurationWatch";
            let at_most_ms = millis(call.deadline);
            let message = p::ConfigurationWatchRequest { known: known.0, at_most_ms };
            let call = Call { deadline: call.deadline + GRACE, ..call.clone() };
            let snapshot: p::Snapshot = self.peer.ask(&call, Wait, path, message).await?;
            Ok(snapshot.into())
        })
    }
}
