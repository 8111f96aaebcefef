//! A queue that takes items, keeps them for the test to look at, and gives none out.

use mail::address::{Address, Domain};
use mail::id::QueueId;
use roles::queue::{
    Claimed, Handling, Listed, MailQueue, NewItem, Outcome, QueueCounts, QueueError, Settled,
};
use roles::{Answer, Call};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// What was handed in, in order.
#[derive(Default)]
pub struct ScriptedQueue(Mutex<Script>);

#[derive(Default)]
struct Script {
    items: Vec<NewItem>,
    fails: Option<QueueError>,
    started: Vec<Domain>,
}

impl ScriptedQueue {
    /// An empty one.
    pub fn new() -> Self {
        Self::default()
    }

    /// From now on it takes nothing, or takes items again.
    pub fn fail(&self, error: Option<QueueError>) {
        self.lock().fails = error;
    }

    /// What it has.
    pub fn items(&self) -> Vec<NewItem> {
        self.lock().items.clone()
    }

    /// Domains whose mail was asked for.
    pub fn started(&self) -> Vec<Domain> {
        self.lock().started.clone()
    }

    fn lock(&self) -> MutexGuard<'_, Script> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take(&self, item: NewItem) -> Result<QueueId, QueueError> {
        let mut script = self.lock();
        if let Some(error) = &script.fails {
            return Err(error.clone());
        }
        script.items.push(item);
        Ok(QueueId(script.items.len() as u64))
    }
}

fn now<'a, T: Send + 'a>(result: Result<T, QueueError>) -> Answer<'a, T, QueueError> {
    Box::pin(std::future::ready(result))
}

impl MailQueue for ScriptedQueue {
    fn item_store<'a>(&'a self, _call: &'a Call, item: NewItem) -> Answer<'a, QueueId, QueueError> {
        now(self.take(item))
    }

    fn item_claim<'a>(
        &'a self,
        _call: &'a Call,
        _limit: usize,
        _lease: Duration,
    ) -> Answer<'a, Vec<Claimed>, QueueError> {
        now(Ok(Vec::new()))
    }

    fn item_settle<'a>(
        &'a self,
        _call: &'a Call,
        _id: QueueId,
        _claim: u64,
        _outcomes: Vec<(Address, Outcome)>,
    ) -> Answer<'a, Settled, QueueError> {
        now(Err(QueueError::NotClaimed))
    }

    fn item_list<'a>(
        &'a self,
        _call: &'a Call,
        _after: Option<QueueId>,
        _limit: usize,
    ) -> Answer<'a, Vec<Listed>, QueueError> {
        now(Ok(Vec::new()))
    }

    fn item_handle<'a>(
        &'a self,
        _call: &'a Call,
        _id: QueueId,
        _handling: Handling,
    ) -> Answer<'a, (), QueueError> {
        now(Err(QueueError::NoItem))
    }

    fn domain_start<'a>(&'a self, _call: &'a Call, domain: Domain) -> Answer<'a, u64, QueueError> {
        let mut script = self.lock();
        let waiting =
            script.items.iter().filter(|i| i.to.iter().any(|r| *r.address.domain() == domain)).count();
        script.started.push(domain);
        now(Ok(waiting as u64))
    }

    fn counts<'a>(&'a self, _call: &'a Call) -> Answer<'a, QueueCounts, QueueError> {
        let items = self.lock().items.len() as u64;
        now(Ok(QueueCounts { items, ..QueueCounts::default() }))
    }

    fn wait_due<'a>(&'a self, _call: &'a Call, at_most: Duration) -> Answer<'a, (), QueueError> {
        Box::pin(async move {
            tokio::time::sleep(at_most).await;
            Ok(())
        })
    }
}
