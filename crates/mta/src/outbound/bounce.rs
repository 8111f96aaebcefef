//! Handing in reports: bounces, delays, confirmations. RFC 3461, RFC 3464.
//!
//! `mail::report` says who is told what; here the report gets its body, of which the original's part is a range of
//! the stored message, and goes the way of every message of the house, from nobody.

use super::Outbound;
use super::verdict::Verdict;
use catalog::events::mta::MtaReportFailed;
use mail::address::Address;
use mail::envelope::{Notify, Origin, Recipient, Return, Sender};
use mail::report::{self, Action, Fate, MAX_FATES, MAX_RETURNED_HEADER, Original, Report, Reporter};
use mail::time::Timestamp;
use roles::queue::{Claimed, Pending};
use roles::submission::{Submit, SubmitError};
use roles::{Body, Call};

/// Longest message that comes back whole.
const MAX_RETURNED: u64 = 1 << 20;
/// Bytes of the original that are read at a time, to find the end of its header.
const PIECE: usize = 16 << 10;

/// What is reported of a recipient.
pub(super) fn fate<'a>(
    pending: &'a Pending,
    verdict: &'a Verdict,
    action: Action,
    now: Timestamp,
) -> Fate<'a> {
    Fate {
        recipient: &pending.recipient,
        action,
        status: verdict.status,
        reason: &verdict.reply,
        remote: verdict.remote.as_deref(),
        last_attempt: Some(now),
        retry_until: None,
    }
}

/// Hands in what is to be reported of these recipients, if anybody wants to hear it.
///
/// # Errors
/// Where it cannot be handed in now. A sender that is refused for good cannot be told, ever: that is logged, and
/// no error.
pub(super) async fn report(outbound: &Outbound, claimed: &Claimed, fates: &[Fate<'_>]) -> Result<(), String> {
    let header = match &claimed.origin.sender {
        Sender(Some(_)) if !fates.is_empty() => header_len(&claimed.body).await,
        _ => return Ok(()),
    };
    for some in fates.chunks(MAX_FATES) {
        let Some(report) = compose(outbound, claimed, &claimed.origin, header, some) else { continue };
        hand_in(outbound, claimed, report).await?;
        copy_to_operator(outbound, claimed, header, some).await;
    }
    Ok(())
}

fn compose(
    outbound: &Outbound,
    claimed: &Claimed,
    origin: &Origin,
    header: u64,
    fates: &[Fate<'_>],
) -> Option<Report> {
    let env = &outbound.mta.env;
    let token = env.random.request_id().0;
    let reporter =
        Reporter { host: &outbound.mta.host, now: env.clock.now(), token, max_returned: MAX_RETURNED };
    let original = Original { origin, arrived: claimed.arrived, header, total: claimed.body.len() };
    report::compose(&reporter, &original, fates)
}

async fn hand_in(outbound: &Outbound, claimed: &Claimed, report: Report) -> Result<(), String> {
    let env = &outbound.mta.env;
    let original = claimed.body.slice(report.original.start, report.original.end - report.original.start);
    let body = Body::joined(vec![Body::from_bytes(report.head), original, Body::from_bytes(report.tail)]);
    let origin = Origin { body: report.body, utf8: report.utf8, ..Origin::default() };
    // RFC 3461 5.2.1: nobody wants to hear what became of a report.
    let to = Recipient { notify: Notify::NEVER, ..Recipient::from(report.to.clone()) };
    let call = Call::new(env.random.request_id(), claimed.trace.clone());
    let submitting = outbound.submission.submit(&call, Submit { origin, to: vec![to], body });
    let failure = match tokio::time::timeout(call.deadline, submitting).await {
        Ok(Ok(_)) => return Ok(()),
        Ok(Err(error)) => error,
        Err(_) => SubmitError::TryLater("no answer in time".into()),
    };
    env.log.emit(&MtaReportFailed { id: &claimed.trace, to: &report.to, reason: &failure });
    match failure {
        SubmitError::NoUser(_) | SubmitError::Refused(_) => Ok(()),
        SubmitError::TryLater(reason) => Err(reason),
    }
}

/// `bounceNotify`: a copy of each bounce, with the header of the message only. That it could not be handed in is
/// logged, and changes nothing.
async fn copy_to_operator(outbound: &Outbound, claimed: &Claimed, header: u64, fates: &[Fate<'_>]) {
    let operator: Option<Address> = outbound.rules.get().bounce_notify.clone();
    let Some(operator) = operator else { return };
    let failures: Vec<_> = fates.iter().filter(|f| f.action == Action::Failed).cloned().collect();
    let origin = Origin { sender: operator.into(), ret: Return::Headers, ..claimed.origin.clone() };
    if let Some(copy) = compose(outbound, claimed, &origin, header, &failures) {
        let _ = hand_in(outbound, claimed, copy).await;
    }
}

/// Bytes of the header with its empty line, at most [`MAX_RETURNED_HEADER`]. Where it cannot be read, nothing of it
/// comes back.
async fn header_len(body: &Body) -> u64 {
    let limit = body.len().min(MAX_RETURNED_HEADER);
    let mut seen: Vec<u8> = Vec::new();
    while (seen.len() as u64) < limit {
        let Ok(piece) = body.read(seen.len() as u64, PIECE).await else { return 0 };
        if piece.is_empty() {
            break;
        }
        let from = seen.len().saturating_sub(3);
        seen.extend_from_slice(&piece);
        if let Some(end) = memchr::memmem::find(&seen[from..], b"\r\n\r\n") {
            return (from + end + 4) as u64;
        }
    }
    limit
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_header_ends_at_the_empty_line() {
        let of = |text: Vec<u8>| async { header_len(&Body::from_bytes(text)).await };
        assert_eq!(of(b"A: b\r\n\r\nbody\r\n\r\n".to_vec()).await, 8);
        assert_eq!(of(b"A: b\r\n".to_vec()).await, 6);
        let long = [b"A: b\r\n".repeat(5000), b"\r\nbody".to_vec()].concat();
        assert_eq!(of(long).await, 30_002);
        assert_eq!(of(b"A: b\r\n".repeat(50_000)).await, MAX_RETURNED_HEADER);
    }
}
