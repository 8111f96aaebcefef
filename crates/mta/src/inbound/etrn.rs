//! ETRN: a host asks for the mail that waits for its domain. RFC 1985.

use super::replies;
use super::session::Session;
use crate::policy::relay::Relay;
use mail::address::Domain;
use wire::smtp::reply::Reply;

impl Session<'_> {
    /// Only for those who may relay: starting deliveries costs work.
    pub(super) async fn etrn(&mut self, domain: Domain) {
        if self.relay() == Relay::Denied {
            return self.reply(&replies::NO_ETRN);
        }
        let call = self.question();
        let answer = match self.mta.queue.domain_start(&call, domain).await {
            Ok(0) => Reply::new(251, (2, 0, 0), "No messages wait for this domain"),
            Ok(n) => Reply::new(253, (2, 0, 0), "").text(format!("{n} messages are being sent")),
            Err(_) => replies::TROUBLE,
        };
        self.reply(&answer);
    }
}
