//! Mail that waits, and new mail of the house itself.

use super::proto as p;
use super::{Bad, MAX_RECIPIENTS, at_most, common, each, need};
use mail::address::Address;
use mail::id::{QueueId, TraceId};
use mail::time::Timestamp;
use roles::Body;
use roles::queue as r;
use roles::submission::Submit;

impl From<&r::NewItem> for p::NewItem {
    /// Without the body.
    fn from(item: &r::NewItem) -> Self {
        Self {
            origin: Some((&item.origin).into()),
            to: item.to.iter().map(Into::into).collect(),
            body: None,
            trace: item.trace.as_str().to_owned(),
            arrived: item.arrived.as_micros(),
            not_before: item.not_before.as_micros(),
        }
    }
}

/// An item with its body, which has been collected.
pub(crate) fn new_item(item: p::NewItem, body: Body) -> Result<r::NewItem, Bad> {
    Ok(r::NewItem {
        origin: need(item.origin, "origin")?.try_into()?,
        to: at_most(item.to, MAX_RECIPIENTS, "to")?,
        body,
        trace: TraceId::new(&item.trace),
        arrived: Timestamp::from_micros(item.arrived),
        not_before: Timestamp::from_micros(item.not_before),
    })
}

impl From<&Submit> for p::Submit {
    /// Without the body.
    fn from(submit: &Submit) -> Self {
        Self {
            origin: Some((&submit.origin).into()),
            to: submit.to.iter().map(Into::into).collect(),
            body: None,
        }
    }
}

/// A new message with its body, which has been collected.
pub(crate) fn submit(submit: p::Submit, body: Body) -> Result<Submit, Bad> {
    let origin = need(submit.origin, "origin")?.try_into()?;
    Ok(Submit { origin, to: at_most(submit.to, MAX_RECIPIENTS, "to")?, body })
}

impl From<&r::Pending> for p::Pending {
    fn from(pending: &r::Pending) -> Self {
        Self {
            recipient: Some((&pending.recipient).into()),
            attempts: pending.attempts,
            last_reply: pending.last_reply.clone(),
        }
    }
}

impl TryFrom<p::Pending> for r::Pending {
    type Error = Bad;

    fn try_from(pending: p::Pending) -> Result<Self, Bad> {
        Ok(Self {
            recipient: need(pending.recipient, "recipient")?.try_into()?,
            attempts: pending.attempts,
            last_reply: pending.last_reply,
        })
    }
}

fn pendings(list: &[r::Pending]) -> Vec<p::Pending> {
    list.iter().map(Into::into).collect()
}

impl From<&r::Claimed> for p::ClaimedItem {
    /// Without the body.
    fn from(item: &r::Claimed) -> Self {
        Self {
            id: item.id.0,
            claim: item.claim,
            origin: Some((&item.origin).into()),
            to: pendings(&item.to),
            body: None,
            trace: item.trace.as_str().to_owned(),
            arrived: item.arrived.as_micros(),
        }
    }
}

/// A claimed item with the body that was made for it.
pub(crate) fn claimed(item: p::ClaimedItem, body: Body) -> Result<r::Claimed, Bad> {
    Ok(r::Claimed {
        id: QueueId(item.id),
        claim: item.claim,
        origin: need(item.origin, "origin")?.try_into()?,
        to: each(item.to)?,
        body,
        trace: TraceId::new(&item.trace),
        arrived: Timestamp::from_micros(item.arrived),
    })
}

impl From<(Address, r::Outcome)> for p::Outcome {
    fn from((address, outcome): (Address, r::Outcome)) -> Self {
        let (kind, reply) = match outcome {
            r::Outcome::Delivered { reply } => (p::OutcomeKind::OutcomeDelivered, reply),
            r::Outcome::Deferred { reply } => (p::OutcomeKind::OutcomeDeferred, reply),
            r::Outcome::Failed { reply } => (p::OutcomeKind::OutcomeFailed, reply),
        };
        Self { address: address.to_string(), kind: kind.into(), reply }
    }
}

/// What became of recipients. An outcome of a later version is "not now": the recipient stays.
pub(crate) fn outcomes(list: Vec<p::Outcome>) -> Result<Vec<(Address, r::Outcome)>, Bad> {
    if list.len() > MAX_RECIPIENTS {
        return Err(Bad("outcomes"));
    }
    let one = |outcome: p::Outcome| {
        let (address, kind, reply) = (common::address(&outcome.address)?, outcome.kind(), outcome.reply);
        Ok((
            address,
            match kind {
                p::OutcomeKind::OutcomeDelivered => r::Outcome::Delivered { reply },
                p::OutcomeKind::OutcomeDeferred => r::Outcome::Deferred { reply },
                p::OutcomeKind::OutcomeFailed => r::Outcome::Failed { reply },
            },
        ))
    };
    list.into_iter().map(one).collect()
}

impl From<r::Settled> for p::Settled {
    fn from(settled: r::Settled) -> Self {
        Self {
            expired: pendings(&settled.expired),
            warn: pendings(&settled.warn),
            left: settled.left,
            next: settled.next.map(Timestamp::as_micros),
        }
    }
}

impl TryFrom<p::Settled> for r::Settled {
    type Error = Bad;

    fn try_from(settled: p::Settled) -> Result<Self, Bad> {
        Ok(Self {
            expired: each(settled.expired)?,
            warn: each(settled.warn)?,
            left: settled.left,
            next: settled.next.map(Timestamp::from_micros),
        })
    }
}

impl From<&r::Listed> for p::ListedItem {
    fn from(listed: &r::Listed) -> Self {
        Self {
            id: listed.id.0,
            origin: Some((&listed.origin).into()),
            to: pendings(&listed.to),
            size: listed.size,
            arrived: listed.arrived.as_micros(),
            next: listed.next.as_micros(),
            held: listed.held,
        }
    }
}

impl TryFrom<p::ListedItem> for r::Listed {
    type Error = Bad;

    fn try_from(listed: p::ListedItem) -> Result<Self, Bad> {
        Ok(Self {
            id: QueueId(listed.id),
            origin: need(listed.origin, "origin")?.try_into()?,
            to: each(listed.to)?,
            size: listed.size,
            arrived: Timestamp::from_micros(listed.arrived),
            next: Timestamp::from_micros(listed.next),
            held: listed.held,
        })
    }
}

impl From<r::Handling> for p::Handling {
    fn from(handling: r::Handling) -> Self {
        match handling {
            r::Handling::RetryNow => Self::HandleRetryNow,
            r::Handling::Hold => Self::HandleHold,
            r::Handling::Release => Self::HandleRelease,
            r::Handling::Remove => Self::HandleRemove,
        }
    }
}

impl TryFrom<p::Handling> for r::Handling {
    type Error = Bad;

    fn try_from(handling: p::Handling) -> Result<Self, Bad> {
        match handling {
            p::Handling::HandleNothing => Err(Bad("handling")),
            p::Handling::HandleRetryNow => Ok(Self::RetryNow),
            p::Handling::HandleHold => Ok(Self::Hold),
            p::Handling::HandleRelease => Ok(Self::Release),
            p::Handling::HandleRemove => Ok(Self::Remove),
        }
    }
}
