//! Messages from inside the house: `sendmail`, reports, later WebMail and autoreplies. The same rules of
//! routing, size and loops as for mail that comes by SMTP (ITS 15315, 16151).
//!
//! What is wrong with a recipient is told before anything is taken, so that the caller can tell its user.

use crate::Mta;
use crate::accept::{Accepted, Answers, Fate, Incoming, take_responsibility};
use crate::headers::HeaderScan;
use crate::policy::recipient::{self, Refusal, Verify};
use crate::policy::relay::Relay;
use crate::rules::Rules;
use crate::stamp;
use mail::envelope::Recipient;
use mail::id::TraceId;
use mail::time::Timestamp;
use roles::directory::OverQuota;
use roles::submission::{Submission, Submit, SubmitError};
use roles::{Answer, Body, Call};
use std::net::{IpAddr, Ipv4Addr};

/// Octets of a message in which missing header fields are looked for.
const LOOKED_AT: usize = 64 << 10;

impl Submission for Mta {
    fn submit<'a>(&'a self, call: &'a Call, submit: Submit) -> Answer<'a, TraceId, SubmitError> {
        Box::pin(self.submit_now(call, submit))
    }
}

impl Mta {
    async fn submit_now(&self, call: &Call, submit: Submit) -> Result<TraceId, SubmitError> {
        let rules = self.rules.get();
        check_size(&rules, &submit)?;
        let mut to = Vec::with_capacity(submit.to.len());
        for recipient in submit.to {
            to.push(self.plan(call, recipient).await?);
        }
        let (trace, arrived) = (self.ids.trace(), self.env.clock.now());
        let only = match to.as_slice() {
            [only] => Some(&only.recipient.address),
            _ => None,
        };
        let return_path = stamp::return_path(&submit.origin.sender);
        let received = stamp::received_locally(&self.host, &trace, only, arrived);
        let return_path_len = return_path.len() as u64;
        let lines = Lines { return_path, received, trace: &trace, arrived };
        let body = self.stamped(submit.body, lines).await?;
        let incoming = Incoming {
            origin: submit.origin,
            to,
            body,
            return_path: return_path_len,
            trace: trace.clone(),
            arrived,
            peer: IpAddr::V4(Ipv4Addr::LOCALHOST),
            answers: Answers::Together,
        };
        judge(&take_responsibility(self, incoming).await).map(|()| trace)
    }

    async fn plan(&self, call: &Call, recipient: Recipient) -> Result<Accepted, SubmitError> {
        let route = self.directory.address_route(call, recipient.address.clone()).await;
        let route = route.map_err(|e| SubmitError::TryLater(e.to_string()))?;
        match recipient::judge(route, Relay::Allowed, Verify::AtRcpt) {
            Ok(plan) => Ok(Accepted { recipient, plan }),
            Err(why) => Err(refuse(&recipient, why)),
        }
    }

    /// The message behind the lines of this hop and the fields it lacks (RFC 6409 8).
    async fn stamped(&self, body: Body, lines: Lines<'_>) -> Result<Body, SubmitError> {
        let head = body.read(0, LOOKED_AT).await.map_err(|e| SubmitError::TryLater(e.to_string()))?;
        let mut scan = HeaderScan::new();
        scan.push(&head);
        if let Some(fault) = scan.fault() {
            return Err(SubmitError::Refused(fault.to_string()));
        }
        let missing = stamp::missing_fields(&scan, &self.host, lines.trace, lines.arrived);
        let front = [lines.return_path, lines.received, missing].concat();
        Ok(Body::joined(vec![Body::from_bytes(front), body]))
    }
}

/// What goes in front of a message.
struct Lines<'a> {
    return_path: String,
    received: String,
    trace: &'a TraceId,
    arrived: Timestamp,
}

fn check_size(rules: &Rules, submit: &Submit) -> Result<(), SubmitError> {
    if submit.to.is_empty() {
        return Err(SubmitError::Refused("there is no recipient".into()));
    }
    if submit.to.len() > rules.max_recipients {
        return Err(SubmitError::Refused(format!("more than {} recipients", rules.max_recipients)));
    }
    if submit.body.len() > rules.max_message {
        return Err(SubmitError::Refused("the message is larger than allowed".into()));
    }
    Ok(())
}

fn refuse(recipient: &Recipient, why: Refusal) -> SubmitError {
    let address = &recipient.address;
    match why {
        Refusal::Unknown => SubmitError::NoUser(address.clone()),
        Refusal::Relaying => SubmitError::Refused(format!("{address}: relaying denied")),
        Refusal::Disabled => SubmitError::Refused(format!("{address}: the mailbox takes no mail")),
        Refusal::Full(_) => SubmitError::Refused(format!("{address}: the mailbox is full")),
        Refusal::Deferred => SubmitError::TryLater(format!("{address}: the mailbox takes no mail now")),
    }
}

/// What the fates of all recipients mean for the caller.
fn judge(fates: &[Fate]) -> Result<(), SubmitError> {
    for fate in fates {
        match fate {
            Fate::Taken => {}
            Fate::NoSpace => return Err(SubmitError::TryLater("there is no space left".into())),
            Fate::Trouble => return Err(SubmitError::TryLater("neither store nor queue took it".into())),
            Fate::Full(OverQuota::Defer) => return Err(SubmitError::TryLater("the mailbox is full".into())),
            Fate::Full(OverQuota::Refuse) => return Err(SubmitError::Refused("the mailbox is full".into())),
            Fate::Loop => return Err(SubmitError::Refused("the forwards lead in a circle".into())),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Site;
    use mail::address::Address;
    use mail::envelope::Origin;

    fn submit(to: &str, text: &'static str) -> Submit {
        let to = vec![Address::parse(to).unwrap().into()];
        Submit { origin: Origin::default(), to, body: Body::from_bytes(text) }
    }

    async fn hand_in(site: &Site, submit: Submit) -> Result<TraceId, SubmitError> {
        let call = Call::new(site.env.random.request_id(), TraceId::new("caller"));
        site.mta.submit(&call, submit).await
    }

    #[tokio::test]
    async fn a_message_is_completed_and_delivered() {
        let site = Site::new();
        let account = site.directory.account("joe@example.org", "pw");
        let trace = hand_in(&site, submit("joe@example.org", "Subject: x\r\n\r\nHello\r\n")).await.unwrap();
        let drops = site.store.drops();
        assert_eq!(drops[0].to, [(account.mailbox, None)]);
        let text = String::from_utf8(drops[0].text.clone()).unwrap();
        assert!(text.starts_with("Return-Path: <>\r\nReceived: by localhost\r\n\tid "), "{text}");
        assert!(
            text.contains(&format!("Message-ID: <{trace}@localhost>\r\nSubject: x\r\n\r\nHello\r\n")),
            "{text}"
        );
    }

    #[tokio::test]
    async fn what_is_wrong_is_told_before_anything_is_taken() {
        let site = Site::new();
        site.directory.account("joe@example.org", "pw");
        let mut two = submit("joe@example.org", "\r\n");
        two.to.push(Address::parse("nobody@example.org").unwrap().into());
        let refused = hand_in(&site, two).await;
        assert_eq!(refused, Err(SubmitError::NoUser(Address::parse("nobody@example.org").unwrap())));
        assert!(site.store.drops().is_empty());
        let nobody = Submit { to: vec![], ..submit("a@b", "") };
        assert!(matches!(hand_in(&site, nobody).await, Err(SubmitError::Refused(_))));
    }

    #[tokio::test]
    async fn mail_for_elsewhere_goes_to_the_queue_without_a_return_path() {
        let site = Site::new();
        hand_in(&site, submit("far@away.example", "Date: x\r\nMessage-ID: <y>\r\n\r\nHello\r\n"))
            .await
            .unwrap();
        let items = site.queue.items();
        let text = items[0].body.read_blocking(0, 1000).unwrap();
        assert!(text.starts_with(b"Received: by localhost"), "{text:?}");
    }
}
