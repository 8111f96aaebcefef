//! The roles MailQueue and Submission.

use super::{GRACE, Remote, done, garbled};
use crate::body::{Fetch, RemoteBody, parts};
use crate::convert::manager::millis;
use crate::convert::proto as p;
use crate::convert::queue::claimed;
use crate::pool::Safe::{Once, Repeat, Wait};
use crate::pool::{Asks as _, Peer, Unanswered};
use bytes::Bytes;
use mail::address::{Address, Domain};
use mail::id::{QueueId, TraceId};
use roles::queue::{
    Claimed, Handling, Listed, MailQueue, NewItem, Outcome, QueueCounts, QueueError, Settled,
};
use roles::submission::{Submission, Submit, SubmitError};
use roles::{Answer, Call};
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

impl Remote {
    /// Stores an item, and says how certain it is that it was not.
    pub(super) async fn store_item(&self, call: &Call, item: NewItem) -> Result<QueueId, Unanswered> {
        let head = p::NewItem::from(&item);
        let parts = parts::<p::ItemPart>(head, item.body).await.map_err(|_| Unanswered::NotSent)?;
        let stored: p::ItemId = self.peer.send(call, "/intermail.v1.MailQueue/ItemStore", parts).await?;
        Ok(QueueId(stored.id))
    }
}

impl MailQueue for Remote {
    fn item_store<'a>(&'a self, call: &'a Call, item: NewItem) -> Answer<'a, QueueId, QueueError> {
        Box::pin(async move { Ok(self.store_item(call, item).await?) })
    }

    fn item_claim<'a>(
        &'a self,
        call: &'a Call,
        limit: usize,
        lease: Duration,
    ) -> Answer<'a, Vec<Claimed>, QueueError> {
        Box::pin(async move {
            let message =
                p::ClaimRequest { limit: u32::try_from(limit).unwrap_or(u32::MAX), lease_ms: millis(lease) };
            let path = "/intermail.v1.MailQueue/ItemClaim";
            let items: p::ClaimedItems = self.peer.ask(call, Once, path, message).await?;
            let one = |mut item: p::ClaimedItem| {
                let fetch = ItemBody {
                    peer: Arc::clone(&self.peer),
                    call: call.clone(),
                    id: item.id,
                    claim: item.claim,
                };
                let begin = item.body.take().unwrap_or_default();
                claimed(item, RemoteBody::body(self.peer.env(), begin, fetch)).map_err(garbled)
            };
            items.items.into_iter().map(one).collect()
        })
    }

    fn item_settle<'a>(
        &'a self,
        call: &'a Call,
        id: QueueId,
        claim: u64,
        outcomes: Vec<(Address, Outcome)>,
    ) -> Answer<'a, Settled, QueueError> {
        Box::pin(async move {
            let outcomes = outcomes.into_iter().map(Into::into).collect();
            let message = p::SettleRequest { id: id.0, claim, outcomes };
            let path = "/intermail.v1.MailQueue/ItemSettle";
            let settled: p::Settled = self.peer.ask(call, Once, path, message).await?;
            settled.try_into().map_err(garbled)
        })
    }

    fn item_list<'a>(
        &'a self,
        call: &'a Call,
        after: Option<QueueId>,
        limit: usize,
    ) -> Answer<'a, Vec<Listed>, QueueError> {
        Box::pin(async move {
            let limit = u32::try_from(limit).unwrap_or(u32::MAX);
            let message = p::ItemListRequest { after: after.map(|id| id.0), limit };
            let path = "/intermail.v1.MailQueue/ItemList";
            let listing: p::Listing = self.peer.ask(call, Repeat, path, message).await?;
            listing.items.into_iter().map(|item| item.try_into().map_err(garbled)).collect()
        })
    }

    fn item_handle<'a>(
        &'a self,
        call: &'a Call,
        id: QueueId,
        handling: Handling,
    ) -> Answer<'a, (), QueueError> {
        Box::pin(async move {
            let message = p::HandleRequest { id: id.0, handling: p::Handling::from(handling).into() };
            let path = "/intermail.v1.MailQueue/ItemHandle";
            done(self.peer.ask(call, Once, path, message).await)
        })
    }

    fn domain_start<'a>(&'a self, call: &'a Call, domain: Domain) -> Answer<'a, u64, QueueError> {
        Box::pin(async move {
            let message = p::DomainRequest { domain: domain.to_string() };
            let path = "/intermail.v1.MailQueue/DomainStart";
            let count: p::Count = self.peer.ask(call, Repeat, path, message).await?;
            Ok(count.count)
        })
    }

    fn counts<'a>(&'a self, call: &'a Call) -> Answer<'a, QueueCounts, QueueError> {
        Box::pin(async move {
            let path = "/intermail.v1.MailQueue/Counts";
            let c: p::QueueCounts = self.peer.ask(call, Repeat, path, p::Empty {}).await?;
            Ok(QueueCounts { items: c.items, claimed: c.claimed, due: c.due })
        })
    }

    fn wait_due<'a>(&'a self, call: &'a Call, at_most: Duration) -> Answer<'a, (), QueueError> {
        Box::pin(async move {
            let call = Call { deadline: at_most + GRACE, ..call.clone() };
            let message = p::WaitRequest { at_most_ms: millis(at_most) };
            let path = "/intermail.v1.MailQueue/WaitDue";
            done(self.peer.ask(&call, Wait, path, message).await)
        })
    }
}

impl Submission for Remote {
    fn submit<'a>(&'a self, call: &'a Call, submit: Submit) -> Answer<'a, TraceId, SubmitError> {
        Box::pin(async move {
            let head = p::Submit::from(&submit);
            let parts = parts::<p::SubmitPart>(head, submit.body).await;
            let parts = parts.map_err(|error| SubmitError::TryLater(error.to_string()))?;
            let path = "/intermail.v1.Submission/Submit";
            let submitted: p::Submitted = self.peer.send(call, path, parts).await?;
            Ok(TraceId::new(&submitted.trace))
        })
    }
}

/// The body of an item that this worker has claimed.
struct ItemBody {
    peer: Arc<Peer>,
    call: Call,
    id: u64,
    claim: u64,
}

impl Fetch for ItemBody {
    fn fetch<'a>(
        &'a self,
        offset: u64,
        at_most: usize,
    ) -> Pin<Box<dyn Future<Output = io::Result<Bytes>> + Send + 'a>> {
        Box::pin(async move {
            let at_most = u32::try_from(at_most).unwrap_or(u32::MAX);
            let message = p::ItemBodyRequest { id: self.id, claim: self.claim, offset, at_most };
            let path = "/intermail.v1.MailQueue/ItemBody";
            let piece: Result<p::Piece, _> = self.peer.ask(&self.call, Repeat, path, message).await;
            let piece = piece.map_err(QueueError::from);
            match piece {
                Ok(piece) => Ok(piece.bytes),
                Err(error @ (QueueError::NotClaimed | QueueError::NoItem)) => {
                    Err(io::Error::new(io::ErrorKind::NotFound, error))
                }
                Err(error) => Err(io::Error::other(error)),
            }
        })
    }
}
