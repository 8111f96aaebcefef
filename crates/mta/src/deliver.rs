//! Into mailboxes: one call for each home, with all of its mailboxes, so that a store keeps one body for them.
//!
//! All homes are asked at once, each with the same deadline: a store that does not answer costs the others
//! nothing. A mailbox that is named twice gets one copy.

use crate::Mta;
use crate::ids::delivery_request;
use catalog::events::mta::MtaMessageDelivered;
use catalog::metrics::Operation;
use futures_util::future::join_all;
use mail::address::Address;
use mail::envelope::Sender;
use mail::flags::Flags;
use mail::id::{HostName, TraceId};
use mail::time::Timestamp;
use roles::directory::Account;
use roles::store::{Deliver, DeliverTo, Delivered, MessageStore, Repeatable, StoreError};
use roles::{Body, Call};
use std::collections::HashMap;
use std::time::Duration;

/// How long a store may take: less than the ten minutes for which a client waits (RFC 5321 4.5.3.2.6), with
/// time left for the queue.
const STORE_DEADLINE: Duration = Duration::from_secs(60);

/// What is delivered.
pub struct Letter<'a> {
    /// Who sends.
    pub sender: &'a Sender,
    /// With Return-Path and Received.
    pub body: &'a Body,
    /// Its name.
    pub trace: &'a TraceId,
    /// When it came in.
    pub arrived: Timestamp,
}

/// One copy.
pub struct Copy<'a> {
    /// The address that it was sent to, for the log.
    pub address: &'a Address,
    /// Whose mailbox.
    pub account: &'a Account,
    /// Which folder.
    pub folder: Option<&'a str>,
}

/// Delivers; one result for each copy, in their order.
pub async fn deliver(mta: &Mta, letter: &Letter<'_>, copies: &[Copy<'_>]) -> Vec<Result<(), StoreError>> {
    let _timed = mta.env.metrics.time(Operation::MtaDeliver);
    let (parcels, place) = pack(copies);
    let mut call = Call::new(delivery_request(letter.trace), letter.trace.clone());
    call.deadline = STORE_DEADLINE;
    let call = &call;
    let asked = parcels.into_iter().map(|Parcel { home, to }| {
        let (body, received, store) = (letter.body.clone(), letter.arrived, mta.stores.of(home));
        let deliver = Deliver { to, body, received, repeatable: Repeatable::Yes };
        async move { ask(&*store, call, deliver).await }
    });
    let answers = join_all(asked).await;
    let mut results = Vec::with_capacity(copies.len());
    for (copy, (parcel, position)) in copies.iter().zip(place) {
        let result = match answers.get(parcel) {
            Some(Ok(delivered)) => {
                delivered.get(position).cloned().map_or(Err(StoreError::Unavailable), |r| r.map(drop))
            }
            Some(Err(error)) => Err(error.clone()),
            None => Err(StoreError::Unavailable),
        };
        if result.is_ok() {
            mta.env.log.emit(&MtaMessageDelivered {
                id: letter.trace,
                from: letter.sender,
                to: copy.address,
                mailbox: copy.account.mailbox,
                bytes: letter.body.len(),
            });
        }
        results.push(result);
    }
    results
}

/// A store's answer, or that it did not come in time: it may have happened all the same, and a repeat with the
/// same request will find out.
async fn ask(store: &dyn MessageStore, call: &Call, deliver: Deliver) -> Result<Delivered, StoreError> {
    let answer = store.message_deliver(call, deliver);
    tokio::time::timeout(call.deadline, answer).await.unwrap_or(Err(StoreError::Unavailable))
}

/// What goes to one home.
struct Parcel<'a> {
    home: &'a HostName,
    to: Vec<DeliverTo>,
}

/// A parcel for each home, and where each copy went: the parcel and its place there.
fn pack<'a>(copies: &[Copy<'a>]) -> (Vec<Parcel<'a>>, Vec<(usize, usize)>) {
    let mut parcels: Vec<Parcel<'a>> = Vec::new();
    let mut packed = HashMap::with_capacity(copies.len());
    let mut place = Vec::with_capacity(copies.len());
    for copy in copies {
        let home = &copy.account.home;
        let parcel = parcels.iter().position(|parcel| parcel.home == home).unwrap_or_else(|| {
            parcels.push(Parcel { home, to: Vec::new() });
            parcels.len() - 1
        });
        let Some(Parcel { to, .. }) = parcels.get_mut(parcel) else { continue };
        let at = *packed.entry((parcel, copy.account.mailbox, copy.folder)).or_insert_with(|| {
            to.push(DeliverTo {
                mailbox: copy.account.mailbox,
                folder: copy.folder.map(ToOwned::to_owned),
                quota: copy.account.quota.clone(),
                flags: Flags::default(),
            });
            to.len() - 1
        });
        place.push((parcel, at));
    }
    (parcels, place)
}
