//! To a mailbox of this site, for mail that was accepted when its store, or the directory, was not there.
//!
//! The request id of the delivery is that of the first attempt, so a store that took the message without being
//! heard does not get it twice. Forwards are followed only once the mailbox before them has its copy.

use super::remote::Parcel;
use super::verdict::{Verdict, What, of_store};
use crate::Mta;
use crate::accept::{Accepted, Answers, Fate, Incoming, take_responsibility};
use crate::deliver::{Copy, Letter, deliver};
use crate::policy::recipient::Plan;
use crate::stamp::return_path;
use mail::envelope::Recipient;
use mail::report::Status;
use mail::time::Timestamp;
use roles::Body;
use roles::directory::Local;
use std::net::{IpAddr, Ipv4Addr};

/// Delivers to local recipients; a verdict for each, in their order.
pub(crate) async fn deliver_locally(
    mta: &Mta,
    parcel: &Parcel<'_>,
    arrived: Timestamp,
    to: Vec<(Recipient, Box<Local>)>,
) -> Vec<Verdict> {
    let line = return_path(&parcel.origin.sender);
    let return_path = line.len() as u64;
    let body = Body::joined(vec![Body::from_bytes(line), parcel.body.clone()]);
    let letter = Letter { sender: &parcel.origin.sender, body: &body, trace: parcel.trace, arrived };
    let mut verdicts = to_mailboxes(mta, &letter, &to).await;
    for ((recipient, local), verdict) in to.into_iter().zip(&mut verdicts) {
        if verdict.what == What::Delivered && !local.forwards.is_empty() {
            let incoming = Incoming {
                origin: parcel.origin.clone(),
                to: vec![only_forwards(recipient, &local)],
                body: body.clone(),
                return_path,
                trace: parcel.trace.clone(),
                arrived,
                peer: IpAddr::V4(Ipv4Addr::LOCALHOST),
                answers: Answers::Each,
            };
            let fate = take_responsibility(mta, incoming).await.first().copied();
            *verdict = after_forwards(fate, &local);
        }
    }
    verdicts
}

/// One call for all mailboxes; who has none is done here.
async fn to_mailboxes(mta: &Mta, letter: &Letter<'_>, to: &[(Recipient, Box<Local>)]) -> Vec<Verdict> {
    let copy = |(recipient, local): &'_ (Recipient, Box<Local>)| {
        local.account.as_ref().map(|_| recipient.address.clone())
    };
    let addresses: Vec<_> = to.iter().filter_map(copy).collect();
    let accounts =
        to.iter().filter_map(|(_, local)| local.account.as_ref().map(|a| (a, local.detail.as_deref())));
    let copies: Vec<_> = addresses
        .iter()
        .zip(accounts)
        .map(|(address, (account, folder))| Copy { address, account, folder })
        .collect();
    let results = if copies.is_empty() { Vec::new() } else { deliver(mta, letter, &copies).await };
    let mut results = results.into_iter();
    let verdict = |(_, local): &(Recipient, Box<Local>)| match local.account {
        None => done(),
        Some(_) => match results.next() {
            Some(Ok(())) => done(),
            Some(Err(error)) => of_store(&error, local.over_quota),
            None => Verdict::ours(What::Deferred, Status::SYSTEM, "the store gave no answer"),
        },
    };
    to.iter().map(verdict).collect()
}

fn done() -> Verdict {
    let status = Status::new(mail::report::Class::Success, 0, 0);
    Verdict::ours(What::Delivered, status, "delivered")
}

/// The recipient without its mailbox, which has its copy.
fn only_forwards(recipient: Recipient, local: &Local) -> Accepted {
    let rest = Local { account: None, ..local.clone() };
    Accepted { recipient, plan: Plan::Local(Box::new(rest)) }
}

/// A loop is the recipient's end only where no mailbox has the message.
fn after_forwards(fate: Option<Fate>, local: &Local) -> Verdict {
    match fate {
        Some(Fate::Taken) => done(),
        Some(Fate::Loop | Fate::Full(_)) if local.account.is_some() => done(),
        Some(Fate::Loop) => Verdict::ours(What::Failed, Status::LOOP, "its forwards lead in a circle"),
        Some(Fate::Full(over)) => of_store(&roles::store::StoreError::OverQuota, over),
        Some(Fate::NoSpace | Fate::Trouble) | None => {
            Verdict::ours(What::Deferred, Status::SYSTEM, "its forwards cannot be followed now")
        }
    }
}
