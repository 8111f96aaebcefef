//! The roles MailQueue and Submission.

use super::{Asked, Inner, Response, bad, begin, failed, piece, unknown};
use crate::convert::proto as p;
use crate::convert::queue::{new_item, outcomes, submit};
use mail::address::Domain;
use mail::id::QueueId;
use roles::Call;
use roles::queue::{MailQueue, QueueError};
use roles::submission::Submission;
use std::time::Duration;
use tonic::Status;

/// Bytes of a body that come with its item: most mail is smaller.
const BEGIN: usize = 64 << 10;
/// Most items of one claim: with their beginnings they are one answer.
const MAX_CLAIM: usize = 64;
/// Most items of one page of a list.
const MAX_LIST: usize = 1000;
/// Longest lease that is given over the wire.
const MAX_LEASE: Duration = Duration::from_secs(3600);

pub(super) async fn serve(inner: &Inner, queue: &dyn MailQueue, method: &str, request: Asked) -> Response {
    match method {
        "ItemStore" => {
            let ask = |call: Call, head: p::NewItem, body| async move {
                let item = new_item(head, body).map_err(bad)?;
                queue.item_store(&call, item).await.map(|id| p::ItemId { id: id.0 }).map_err(failed)
            };
            inner.with_body::<p::ItemPart, _, _>(request, ask).await
        }
        "ItemClaim" => inner.unary(request, |call, m| item_claim(inner, queue, call, m)).await,
        "ItemBody" => {
            let ask = |_: Call, m: p::ItemBodyRequest| async move {
                let body = inner.claimed.get(&inner.env.clock, &(m.id, m.claim));
                let body = body.ok_or_else(|| failed(QueueError::NotClaimed))?;
                piece(&body, m.offset, m.at_most).await
            };
            inner.unary(request, ask).await
        }
        "ItemSettle" => inner.unary(request, |call, m| item_settle(inner, queue, call, m)).await,
        "ItemList" => {
            let ask = |call: Call, m: p::ItemListRequest| async move {
                let limit = usize::try_from(m.limit).unwrap_or(MAX_LIST).min(MAX_LIST);
                let items = queue.item_list(&call, m.after.map(QueueId), limit).await.map_err(failed)?;
                Ok(p::Listing { items: items.iter().map(Into::into).collect() })
            };
            inner.unary(request, ask).await
        }
        "ItemHandle" => {
            let ask = |call: Call, m: p::HandleRequest| async move {
                let handling = m.handling().try_into().map_err(bad)?;
                let handled = queue.item_handle(&call, QueueId(m.id), handling).await;
                handled.map(|()| p::Empty {}).map_err(failed)
            };
            inner.unary(request, ask).await
        }
        "DomainStart" => {
            let ask = |call: Call, m: p::DomainRequest| async move {
                let domain = Domain::parse(&m.domain).map_err(|_| Status::invalid_argument("domain"))?;
                queue.domain_start(&call, domain).await.map(|count| p::Count { count }).map_err(failed)
            };
            inner.unary(request, ask).await
        }
        "Counts" => {
            let ask = |call: Call, _: p::Empty| async move {
                let c = queue.counts(&call).await.map_err(failed)?;
                Ok(p::QueueCounts { items: c.items, claimed: c.claimed, due: c.due })
            };
            inner.unary(request, ask).await
        }
        "WaitDue" => {
            let ask = |call: Call, m: p::WaitRequest| async move {
                let at_most = Duration::from_millis(m.at_most_ms).min(call.deadline);
                let mut stopping = inner.env.tasks.stopping();
                let due = tokio::select! {
                    due = queue.wait_due(&call, at_most) => due,
                    () = stopping.wait() => Err(QueueError::Unavailable),
                };
                due.map(|()| p::Empty {}).map_err(failed)
            };
            inner.unary(request, ask).await
        }
        _ => unknown(),
    }
}

async fn item_claim(
    inner: &Inner,
    queue: &dyn MailQueue,
    call: Call,
    m: p::ClaimRequest,
) -> Result<p::ClaimedItems, Status> {
    let lease = Duration::from_millis(m.lease_ms).min(MAX_LEASE);
    let limit = usize::try_from(m.limit).unwrap_or(MAX_CLAIM).min(MAX_CLAIM);
    let items = queue.item_claim(&call, limit, lease).await.map_err(failed)?;
    inner.claimed.tidy(&inner.env.clock);
    let mut answer = p::ClaimedItems { items: Vec::with_capacity(items.len()) };
    for item in items {
        let mut out = p::ClaimedItem::from(&item);
        let begun = begin(&item.body, BEGIN).await;
        if (begun.begin.len() as u64) < begun.length {
            inner.claimed.keep(&inner.env.clock, (item.id.0, item.claim), item.body, lease);
        }
        out.body = Some(begun);
        answer.items.push(out);
    }
    Ok(answer)
}

/// After it nobody reads the item's body.
async fn item_settle(
    inner: &Inner,
    queue: &dyn MailQueue,
    call: Call,
    m: p::SettleRequest,
) -> Result<p::Settled, Status> {
    let outcomes = outcomes(m.outcomes).map_err(bad)?;
    let settled = queue.item_settle(&call, QueueId(m.id), m.claim, outcomes).await.map_err(failed)?;
    inner.claimed.forget(&(m.id, m.claim));
    Ok(settled.into())
}

pub(super) async fn serve_submission(
    inner: &Inner,
    submission: &dyn Submission,
    method: &str,
    request: Asked,
) -> Response {
    if method != "Submit" {
        return unknown();
    }
    let ask = |call: Call, head: p::Submit, body| async move {
        let submit = submit(head, body).map_err(bad)?;
        let trace = submission.submit(&call, submit).await.map_err(failed)?;
        Ok(p::Submitted { trace: trace.as_str().to_owned() })
    };
    inner.with_body::<p::SubmitPart, _, _>(request, ask).await
}
