//! The queues of several hosts as one: where mail is stored, and whence it is claimed.
//!
//! An item stays with the host that has it. Its id here has that host in its upper bits, so that it is unambiguous wherever
//! it goes, and every later call about it goes to that host. Mail is handed to the next host only when the one before
//! certainly has not got it: an item in doubt is not stored twice, whoever sent it is told to come again.

use super::Remote;
use crate::pool::Unanswered;
use env::Env;
use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use mail::address::{Address, Domain};
use mail::id::{HostName, QueueId};
use roles::queue::{
    Claimed, Handling, Listed, MailQueue, NewItem, Outcome, QueueCounts, QueueError, Settled,
};
use roles::{Answer, Call};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

/// Bits of an id that are the host's own: a queue counts its items in microseconds since 1970, which takes 51 of them until 2041 and
/// these until 2255.
const OWN: u32 = 53;
/// The largest mark: marks have the bits above.
const LAST_MARK: u16 = 0x7ff;
/// Most hosts: their marks have to fit beside each other.
const MAX_HOSTS: usize = 1000;

/// The queue of a host.
pub enum QueueHost {
    /// In this process.
    Here(Arc<dyn MailQueue>),
    /// At a peer.
    There(Remote),
}

impl QueueHost {
    fn queue(&self) -> &dyn MailQueue {
        match self {
            Self::Here(queue) => &**queue,
            Self::There(remote) => remote,
        }
    }

    /// Hands an item over; says whether another host may be given it.
    async fn store(&self, call: &Call, item: NewItem) -> Result<QueueId, (QueueError, Next)> {
        match self {
            Self::Here(queue) => {
                queue.item_store(call, item).await.map_err(|error| (error.clone(), after(&error)))
            }
            Self::There(remote) => {
                remote.store_item(call, item).await.map_err(|unanswered| match unanswered {
                    Unanswered::NotSent | Unanswered::Busy => (unanswered.error(), Next::Host),
                    Unanswered::InDoubt => (unanswered.error(), Next::None),
                    Unanswered::Ended(_) => {
                        let error = unanswered.error();
                        let next = after(&error);
                        (error, next)
                    }
                })
            }
        }
    }
}

/// What may be done with an item that a host did not take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Next {
    /// Give it to the next host.
    Host,
    /// Nothing: this one may have it.
    None,
}

/// By what a queue itself has said.
fn after(error: &QueueError) -> Next {
    match error {
        QueueError::Busy | QueueError::NoSpace => Next::Host,
        QueueError::NoItem | QueueError::NotClaimed | QueueError::Unavailable | QueueError::Broken(_) => {
            Next::None
        }
    }
}

/// The queues of a site.
pub struct Queues {
    env: Env,
    /// By mark.
    hosts: BTreeMap<u16, QueueHost>,
    /// Marks, in the order in which mail is offered.
    store: Vec<u16>,
    /// Marks of the hosts from which mail is claimed.
    retrieve: Vec<u16>,
    turn: AtomicUsize,
}

/// A list names a host that has no queue, or there are too many hosts.
#[derive(Debug, thiserror::Error)]
#[error("{0}: not one of the queues, which are 1 to 1000")]
pub struct NoQueue(HostName);

impl Queues {
    /// The queues of these hosts: mail is offered to those of `store` in that order, and claimed from those of `retrieve`.
    ///
    /// # Errors
    /// A name without a queue.
    pub fn new(
        env: Env,
        hosts: BTreeMap<HostName, QueueHost>,
        store: &[HostName],
        retrieve: &[HostName],
    ) -> Result<Self, NoQueue> {
        let names: Vec<HostName> = hosts.keys().cloned().collect();
        if names.len() > MAX_HOSTS {
            return Err(NoQueue(names[MAX_HOSTS].clone()));
        }
        let marks = marks(&names);
        let mark = |name: &HostName| {
            let found = names.iter().zip(&marks).find(|(of, _)| *of == name);
            found.map(|(_, mark)| *mark).ok_or_else(|| NoQueue(name.clone()))
        };
        Ok(Self {
            env,
            store: store.iter().map(mark).collect::<Result<_, _>>()?,
            retrieve: retrieve.iter().map(mark).collect::<Result<_, _>>()?,
            hosts: marks.iter().copied().zip(hosts.into_values()).collect(),
            turn: AtomicUsize::new(0),
        })
    }

    fn host(&self, mark: u16) -> Result<&dyn MailQueue, QueueError> {
        self.hosts.get(&mark).map(QueueHost::queue).ok_or(QueueError::NoItem)
    }

    async fn offer(&self, call: &Call, item: NewItem) -> Result<QueueId, QueueError> {
        let until = self.env.clock.moment() + call.deadline;
        let mut last = QueueError::Unavailable;
        for mark in &self.store {
            let Some(host) = self.hosts.get(mark) else { continue };
            let deadline = until.saturating_duration_since(self.env.clock.moment());
            let call = Call { deadline, ..call.clone() };
            match host.store(&call, item.clone()).await {
                Ok(id) => return marked(*mark, id),
                Err((error, Next::Host)) => last = error,
                Err((error, Next::None)) => return Err(error),
            }
        }
        Err(last)
    }

    /// From all hosts in turn; another one is the first each time.
    async fn claim(&self, call: &Call, limit: usize, lease: Duration) -> Result<Vec<Claimed>, QueueError> {
        let until = self.env.clock.moment() + call.deadline;
        let count = self.retrieve.len();
        let first = self.turn.fetch_add(1, Ordering::Relaxed) % count.max(1);
        let (mut all, mut failed, mut answered) = (Vec::new(), QueueError::Unavailable, false);
        for (at, mark) in self.retrieve.iter().cycle().skip(first).take(count).enumerate() {
            if all.len() >= limit {
                break;
            }
            // One that has fallen silent leaves time for the others; what it may have given out comes back by its lease.
            let left = until.saturating_duration_since(self.env.clock.moment());
            let deadline = left / u32::try_from(count - at).unwrap_or(u32::MAX);
            let call = Call { deadline, ..call.clone() };
            match self.host(*mark)?.item_claim(&call, limit - all.len(), lease).await {
                Ok(items) => {
                    answered = true;
                    for item in items {
                        all.push(Claimed { id: marked(*mark, item.id)?, ..item });
                    }
                }
                Err(error) => failed = error,
            }
        }
        if answered { Ok(all) } else { Err(failed) }
    }

    /// A page over all hosts in the order of their marks, which is that of the ids.
    async fn list(
        &self,
        call: &Call,
        after: Option<QueueId>,
        limit: usize,
    ) -> Result<Vec<Listed>, QueueError> {
        let (first, own) = after.map_or((0, None), |id| (mark_of(id), Some(own(id))));
        let mut all = Vec::new();
        for (mark, host) in self.hosts.range(first..) {
            let after = own.filter(|_| *mark == first);
            let page = host.queue().item_list(call, after, limit - all.len()).await?;
            for item in page {
                all.push(Listed { id: marked(*mark, item.id)?, ..item });
            }
            if all.len() >= limit {
                break;
            }
        }
        Ok(all)
    }

    /// At the first host where something may be due. One that is away is not waited for, unless all are.
    async fn wait(&self, call: &Call, at_most: Duration) -> Result<(), QueueError> {
        let mut waiting = FuturesUnordered::new();
        for mark in &self.retrieve {
            waiting.push(self.host(*mark)?.wait_due(call, at_most));
        }
        let mut failed = QueueError::Unavailable;
        while let Some(due) = waiting.next().await {
            match due {
                Ok(()) => return Ok(()),
                Err(error) => failed = error,
            }
        }
        Err(failed)
    }
}

/// A mark from 1 on for each name, whatever the order of a list: by the name itself, and the next free one where two
/// names would have the same.
fn marks(names: &[HostName]) -> Vec<u16> {
    let mut taken: Vec<u16> = Vec::new();
    for name in names {
        // FNV-1a, folded.
        let hash =
            name.as_str().bytes().fold(0x811c_9dc5_u32, |h, b| (h ^ u32::from(b)).wrapping_mul(0x0100_0193));
        let mut mark =
            u16::try_from((hash ^ (hash >> 11) ^ (hash >> 22)) & u32::from(LAST_MARK)).unwrap_or(0).max(1);
        while taken.contains(&mark) {
            mark = mark % LAST_MARK + 1;
        }
        taken.push(mark);
    }
    taken
}

fn marked(mark: u16, id: QueueId) -> Result<QueueId, QueueError> {
    match id.0 >> OWN {
        0 => Ok(QueueId(u64::from(mark) << OWN | id.0)),
        _ => Err(QueueError::Broken(format!("the id {id} is too long"))),
    }
}

fn mark_of(id: QueueId) -> u16 {
    u16::try_from(id.0 >> OWN).unwrap_or(0)
}

fn own(id: QueueId) -> QueueId {
    QueueId(id.0 & ((1 << OWN) - 1))
}

impl MailQueue for Queues {
    fn item_store<'a>(&'a self, call: &'a Call, item: NewItem) -> Answer<'a, QueueId, QueueError> {
        Box::pin(self.offer(call, item))
    }

    fn item_claim<'a>(
        &'a self,
        call: &'a Call,
        limit: usize,
        lease: Duration,
    ) -> Answer<'a, Vec<Claimed>, QueueError> {
        Box::pin(self.claim(call, limit, lease))
    }

    fn item_settle<'a>(
        &'a self,
        call: &'a Call,
        id: QueueId,
        claim: u64,
        outcomes: Vec<(Address, Outcome)>,
    ) -> Answer<'a, Settled, QueueError> {
        Box::pin(async move { self.host(mark_of(id))?.item_settle(call, own(id), claim, outcomes).await })
    }

    fn item_list<'a>(
        &'a self,
        call: &'a Call,
        after: Option<QueueId>,
        limit: usize,
    ) -> Answer<'a, Vec<Listed>, QueueError> {
        Box::pin(self.list(call, after, limit))
    }

    fn item_handle<'a>(
        &'a self,
        call: &'a Call,
        id: QueueId,
        handling: Handling,
    ) -> Answer<'a, (), QueueError> {
        Box::pin(async move { self.host(mark_of(id))?.item_handle(call, own(id), handling).await })
    }

    /// At every host that can be reached; an error where none can.
    fn domain_start<'a>(&'a self, call: &'a Call, domain: Domain) -> Answer<'a, u64, QueueError> {
        Box::pin(async move {
            let (mut started, mut failed) = (None, QueueError::Unavailable);
            for host in self.hosts.values() {
                match host.queue().domain_start(call, domain.clone()).await {
                    Ok(count) => started = Some(started.unwrap_or(0) + count),
                    Err(error) => failed = error,
                }
            }
            started.ok_or(failed)
        })
    }

    /// Of all hosts together: an error where one cannot be asked.
    fn counts<'a>(&'a self, call: &'a Call) -> Answer<'a, QueueCounts, QueueError> {
        Box::pin(async move {
            let mut sum = QueueCounts::default();
            for host in self.hosts.values() {
                let counts = host.queue().counts(call).await?;
                sum.items += counts.items;
                sum.claimed += counts.claimed;
                sum.due += counts.due;
            }
            Ok(sum)
        })
    }

    fn wait_due<'a>(&'a self, call: &'a Call, at_most: Duration) -> Answer<'a, (), QueueError> {
        Box::pin(self.wait(call, at_most))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mail::time::Timestamp;

    #[test]
    fn marks_are_those_of_the_names_and_never_the_same() {
        let names: Vec<HostName> = (0..MAX_HOSTS).map(|n| HostName::new(&format!("queue{n}"))).collect();
        let all = marks(&names);
        let mut distinct = all.clone();
        distinct.sort_unstable();
        distinct.dedup();
        assert_eq!((distinct.len(), distinct[0] > 0), (MAX_HOSTS, true));
        let few = marks(&names[..2]);
        assert_eq!(few, all[..2], "another host changes nothing for those before it");
    }

    #[test]
    fn ids_go_there_and_back_and_too_long_ones_are_refused() {
        let id = marked(LAST_MARK, QueueId((1 << OWN) - 1)).expect("it fits");
        assert_eq!((mark_of(id), own(id)), (LAST_MARK, QueueId((1 << OWN) - 1)));
        let of_a_queue =
            QueueId(Timestamp::from_secs(4_000_000_000).as_micros().try_into().expect("after 1970"));
        assert!(marked(1, of_a_queue).is_ok(), "the id of a real queue fits until long after 2096");
        assert_eq!(mark_of(QueueId(17)), 0, "an id without a mark is nobody's");
        assert!(marked(1, QueueId(1 << OWN)).is_err());
    }

    #[test]
    fn only_what_certainly_was_not_stored_goes_to_the_next_host() {
        for error in [QueueError::Busy, QueueError::NoSpace] {
            assert_eq!(after(&error), Next::Host);
        }
        for error in [QueueError::Unavailable, QueueError::Broken("x".into())] {
            assert_eq!(after(&error), Next::None);
        }
    }
}
