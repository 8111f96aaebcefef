//! The moment of responsibility: after it, the message is in a store or in the queue for every recipient.
//!
//! Local mail goes straight into the stores. What a store does not take for the moment goes to the queue, as
//! does what is for other hosts. A forward is followed only once the mailbox before it has its copy, so that a
//! later attempt from the queue does not repeat the forward. Where neither store nor queue takes a recipient, the
//! caller hears so and must not say 250.
//!
//! Which reply follows is the session's business; what happens to the queue's items, the queue's.

use crate::Mta;
use crate::deliver::{Copy, Letter, deliver};
use crate::policy::recipient::{self, Plan, Verify};
use crate::policy::relay::Relay;
use catalog::events::acct::{AcctForwardInfoInvalid, AcctForwardTo};
use catalog::events::mta::{MtaMessageDeferred, MtaMessageReceived};
use catalog::metrics::{MESSAGE_BYTES, Operation};
use mail::address::Address;
use mail::envelope::{Origin, Recipient};
use mail::id::TraceId;
use mail::time::Timestamp;
use roles::directory::{Account, Local, OverQuota};
use roles::queue::{NewItem, QueueError};
use roles::store::StoreError;
use roles::{Body, Call};
use std::collections::HashSet;
use std::net::IpAddr;

/// Forwards of forwards that are followed.
const MAX_ROUNDS: usize = 10;
/// Recipients that one message can grow to.
const MAX_TARGETS: usize = 10_000;

/// A recipient that was accepted, and what is to be done for it.
#[derive(Debug, Clone)]
pub struct Accepted {
    /// Who.
    pub recipient: Recipient,
    /// What.
    pub plan: Plan,
}

/// A message that has been received and found good.
pub struct Incoming {
    /// Sender and options.
    pub origin: Origin,
    /// At least one.
    pub to: Vec<Accepted>,
    /// The message with Return-Path and Received in front.
    pub body: Body,
    /// Octets of the Return-Path line.
    pub return_path: u64,
    /// Its name.
    pub trace: TraceId,
    /// When it came in.
    pub arrived: Timestamp,
    /// Who handed it in.
    pub peer: IpAddr,
    /// Whether the client can be told of each recipient.
    pub answers: Answers,
}

/// What the client can be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answers {
    /// One reply for all recipients: what is refused for some must be reported to the sender by mail.
    Together,
    /// A reply for each recipient.
    Each,
}

/// What became of a recipient.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// It is our responsibility now.
    Taken,
    /// The mailbox is full.
    Full(OverQuota),
    /// Its forwards lead in a circle, and to no mailbox.
    Loop,
    /// There is no space on the disk.
    NoSpace,
    /// Neither store nor queue can take it.
    Trouble,
}

/// Takes the message for as many recipients as can be; a fate for each, in their order.
pub async fn take_responsibility(mta: &Mta, mut incoming: Incoming) -> Vec<Fate> {
    let began = mta.env.clock.moment();
    let _timed = mta.env.metrics.time(Operation::MtaAccept);
    let to = std::mem::take(&mut incoming.to);
    let recipients = to.len();
    let mut work = Work::new(mta, &incoming, to);
    work.rounds().await;
    work.settle().await;
    let fates = work.fates();
    if fates.contains(&Fate::Taken) {
        mta.env.metrics.add(MESSAGE_BYTES, incoming.body.len());
        mta.env.log.emit(&MtaMessageReceived {
            id: &incoming.trace,
            from: &incoming.origin.sender,
            recipients,
            peer: incoming.peer,
            bytes: incoming.body.len(),
            ms: began.elapsed().as_millis(),
        });
    }
    fates
}

/// One address that is to get the message, because of one of the recipients.
struct Target {
    recipient: Recipient,
    plan: Plan,
    /// The recipient's place in the envelope.
    of: usize,
}

/// What is known of one recipient of the envelope.
#[derive(Default, Clone)]
struct Tally {
    /// Somebody has it: a mailbox, or the queue.
    taken: bool,
    /// The first thing that went wrong.
    wrong: Option<Fate>,
}

struct Work<'a> {
    mta: &'a Mta,
    incoming: &'a Incoming,
    /// 0: the recipients of the envelope; then their forwards.
    round: usize,
    /// To be done in the next round.
    targets: Vec<Target>,
    /// For the queue, with the recipient they belong to.
    queued: Vec<(usize, Recipient)>,
    /// Recipients of the envelope that may turn out to be refused after all.
    doubtful: Vec<(usize, Recipient)>,
    tallies: Vec<Tally>,
    /// Addresses that have been followed, for each recipient.
    seen: HashSet<(usize, String)>,
}

impl<'a> Work<'a> {
    fn new(mta: &'a Mta, incoming: &'a Incoming, to: Vec<Accepted>) -> Self {
        let tallies = vec![Tally::default(); to.len()];
        let target = |(of, accepted): (usize, Accepted)| Target {
            recipient: accepted.recipient,
            plan: accepted.plan,
            of,
        };
        Self {
            mta,
            incoming,
            round: 0,
            targets: to.into_iter().enumerate().map(target).collect(),
            queued: Vec::new(),
            doubtful: Vec::new(),
            tallies,
            seen: HashSet::new(),
        }
    }

    /// Delivers, and follows the forwards of what was delivered.
    async fn rounds(&mut self) {
        for round in 0..MAX_ROUNDS {
            self.round = round;
            if self.targets.is_empty() {
                return;
            }
            let round = std::mem::take(&mut self.targets);
            let mut locals = Vec::with_capacity(round.len());
            for target in round {
                match target.plan {
                    Plan::Queue => self.queued.push((target.of, target.recipient)),
                    Plan::Local(local) => locals.push((target.of, target.recipient, local)),
                }
            }
            self.deliver_round(&locals).await;
        }
        for target in std::mem::take(&mut self.targets) {
            let (account, value) = (&target.recipient.address, "too many forwards one after the other");
            self.mta.env.log.emit(&AcctForwardInfoInvalid { account, value });
        }
    }

    async fn deliver_round(&mut self, locals: &[(usize, Recipient, Box<Local>)]) {
        let with_mailbox = locals.iter().filter_map(|(of, recipient, local)| {
            let account: &Account = local.account.as_ref()?;
            Some((*of, recipient, local, account))
        });
        let with_mailbox: Vec<_> = with_mailbox.collect();
        let copies: Vec<Copy<'_>> = with_mailbox
            .iter()
            .map(|(_, recipient, local, account)| Copy {
                address: &recipient.address,
                account,
                folder: local.detail.as_deref(),
            })
            .collect();
        let letter = Letter {
            sender: &self.incoming.origin.sender,
            body: &self.incoming.body,
            trace: &self.incoming.trace,
            arrived: self.incoming.arrived,
        };
        let results = if copies.is_empty() { Vec::new() } else { deliver(self.mta, &letter, &copies).await };
        for ((of, recipient, local, _), result) in with_mailbox.into_iter().zip(results) {
            if self.record(of, recipient, local, result) {
                self.follow(of, recipient, local).await;
            }
        }
        for (of, recipient, local) in locals.iter().filter(|(_, _, local)| local.account.is_none()) {
            self.follow(*of, recipient, local).await;
        }
    }

    /// Notes what the store said; whether the recipient's forwards are to be followed.
    fn record(
        &mut self,
        of: usize,
        recipient: &Recipient,
        local: &Local,
        result: Result<(), StoreError>,
    ) -> bool {
        match result {
            Ok(()) => {
                self.note(of, Fate::Taken);
                return true;
            }
            Err(StoreError::OverQuota) if self.round == 0 && local.forwards.is_empty() => {
                self.note(of, Fate::Full(local.over_quota));
                self.doubtful.push((of, recipient.clone()));
            }
            Err(reason) => {
                self.mta.env.log.emit(&MtaMessageDeferred {
                    id: &self.incoming.trace,
                    from: &self.incoming.origin.sender,
                    to: &recipient.address,
                    reason,
                    retry: "from the queue",
                });
                self.queued.push((of, recipient.clone()));
            }
        }
        false
    }

    /// Adds the forwards of an address to the next round.
    async fn follow(&mut self, of: usize, recipient: &Recipient, local: &Local) {
        if local.forwards.is_empty() {
            return;
        }
        if self.seen.insert((of, recipient.address.key())) && self.round == 0 {
            self.doubtful.push((of, recipient.clone()));
        }
        for target in &local.forwards {
            let (account, id) = (&recipient.address, &self.incoming.trace);
            if self.targets.len() >= MAX_TARGETS {
                self.mta.env.log.emit(&AcctForwardInfoInvalid { account, value: "too many forwards" });
                return self.note(of, Fate::Loop);
            }
            if !self.seen.insert((of, target.key())) {
                continue;
            }
            self.mta.env.log.emit(&AcctForwardTo { account, target, id });
            let plan = self.plan(target.clone()).await;
            let recipient = Recipient { address: target.clone(), ..recipient.clone() };
            self.targets.push(Target { recipient, plan, of });
        }
    }

    /// What to do for a forward's address: what cannot be said now, the queue will ask again; what is refused,
    /// the queue will report.
    async fn plan(&self, address: Address) -> Plan {
        let call = self.call();
        match self.mta.directory.address_route(&call, address).await {
            Ok(route) => recipient::judge(route, Relay::Allowed, Verify::Later).unwrap_or(Plan::Queue),
            Err(_) => Plan::Queue,
        }
    }

    /// Hands to the queue what is for it. Where one reply must do for all and some have been taken, those that
    /// are refused go there too, so that the sender is told of them.
    async fn settle(&mut self) {
        let some_taken = !self.queued.is_empty() || self.tallies.iter().any(|t| t.taken);
        if self.incoming.answers == Answers::Together && some_taken {
            for (of, recipient) in std::mem::take(&mut self.doubtful) {
                let is_taken = self.tallies.get(of).is_some_and(|t| t.taken);
                if !is_taken && !self.queued.iter().any(|(other, _)| *other == of) {
                    self.queued.push((of, recipient));
                }
            }
        }
        if self.queued.is_empty() {
            return;
        }
        let queued = std::mem::take(&mut self.queued);
        let (of, mut to): (Vec<usize>, Vec<Recipient>) = queued.into_iter().unzip();
        let mut addresses = HashSet::with_capacity(to.len());
        to.retain(|recipient| addresses.insert(recipient.address.key()));
        let fate = match self.store_item(to).await {
            Ok(_) => Fate::Taken,
            Err(QueueError::NoSpace) => Fate::NoSpace,
            Err(_) => Fate::Trouble,
        };
        of.into_iter().for_each(|of| self.note(of, fate));
    }

    async fn store_item(&self, to: Vec<Recipient>) -> Result<mail::id::QueueId, QueueError> {
        let item = NewItem {
            origin: self.incoming.origin.clone(),
            to,
            body: self.incoming.body.slice(self.incoming.return_path, u64::MAX),
            trace: self.incoming.trace.clone(),
            arrived: self.incoming.arrived,
            not_before: self.incoming.arrived,
        };
        let call = self.call();
        let stored = tokio::time::timeout(call.deadline, self.mta.queue.item_store(&call, item)).await;
        stored.unwrap_or(Err(QueueError::Unavailable))
    }

    fn call(&self) -> Call {
        Call::new(self.mta.env.random.request_id(), self.incoming.trace.clone())
    }

    fn note(&mut self, of: usize, fate: Fate) {
        match (self.tallies.get_mut(of), fate) {
            (None, _) => {}
            (Some(tally), Fate::Taken) => tally.taken = true,
            (Some(tally), wrong) => tally.wrong = tally.wrong.or(Some(wrong)),
        }
    }

    /// A recipient is taken if somebody has it and nothing that had to be kept was lost on the way.
    fn fates(&self) -> Vec<Fate> {
        let fate = |tally: &Tally| match (tally.taken, tally.wrong) {
            (true, None | Some(Fate::Full(_) | Fate::Loop)) => Fate::Taken,
            (_, Some(wrong)) => wrong,
            (false, None) => Fate::Loop,
        };
        self.tallies.iter().map(fate).collect()
    }
}

#[cfg(test)]
mod tests;
