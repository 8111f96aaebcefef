//! The role Provisioning.

use super::{Remote, garbled};
use crate::convert::proto as p;
use crate::convert::provision::replies_of;
use crate::pool::Asks;
use crate::pool::Safe::Repeat;
use roles::directory::DirectoryError;
use roles::directory::provision::{Provisioning, Reply, Request};
use roles::{Answer, Call};

impl<A: Asks> Provisioning for Remote<A> {
    /// The directory's database knows a call by its request id, whichever host it came by: it may be asked again.
    fn provision<'a>(
        &'a self,
        call: &'a Call,
        requests: Vec<Request>,
    ) -> Answer<'a, Vec<Result<Reply, DirectoryError>>, DirectoryError> {
        Box::pin(async move {
            let path = "/intermail.v1.Provisioning/Provision";
            let count = requests.len();
            let message = p::ProvisionRequests { requests: requests.into_iter().map(Into::into).collect() };
            let replies: p::ProvisionReplies = self.peer.ask(call, Repeat, path, message).await?;
            replies_of(replies, count).map_err(garbled)
        })
    }
}
