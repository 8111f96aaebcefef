//! Asking the hosts of another realm: in their order, one that has just failed not again for a moment.

use catalog::events::cache::{CacheRealmDataFetchFailed, CacheRealmServerDown, CacheRealmServerUp};
use env::Env;
use env::clock::Moment;
use mail::address::Address;
use mail::id::{AccountId, RequestId};
use roles::directory::{Account, Directory, DirectoryError, Login, Origin, Route, ScramKeys};
use roles::{Answer, Call};
use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// How long a host that did not answer is left alone.
const LEFT_ALONE: Duration = Duration::from_secs(2);
/// Most requests that are on their way to other realms at once.
const MOST: usize = 16_384;

/// The directory server of another host.
#[derive(Clone)]
pub struct Peer {
    /// The host, as it stands in the key `realms`.
    pub host: String,
    /// Its directory.
    pub directory: Arc<dyn Directory>,
}

/// The hosts of a realm as one directory.
pub(crate) struct Peers {
    env: Env,
    realm: String,
    hosts: Vec<Host>,
    on_the_way: Mutex<HashSet<(RequestId, String)>>,
}

struct Host {
    name: String,
    port: u16,
    directory: Arc<dyn Directory>,
    /// Since when it has not answered, and when it was last tried.
    down: Mutex<Option<(Moment, Moment)>>,
}

impl Peers {
    /// Of a realm, in the order of the hosts; 0 stands for a port that is not named.
    pub(crate) fn new(env: Env, realm: String, hosts: Vec<(u16, Peer)>) -> Self {
        let host =
            |(port, Peer { host, directory })| Host { name: host, port, directory, down: Mutex::default() };
        let hosts = hosts.into_iter().map(host).collect();
        Self { env, realm, hosts, on_the_way: Mutex::default() }
    }

    /// Asks one host after the other. Where hosts disagree about the realms a question could go round in a circle: one that
    /// comes back while it is on its way is not sent again.
    async fn ask<'a, T: Send>(
        &'a self,
        call: &'a Call,
        key: String,
        ask: impl Fn(&'a Arc<dyn Directory>) -> Answer<'a, T, DirectoryError> + Send,
    ) -> Result<T, DirectoryError> {
        let Some(_way) = OnTheWay::begin(&self.on_the_way, (call.request, key.clone())) else {
            return Err(DirectoryError::Unavailable);
        };
        for host in &self.hosts {
            let now = self.env.clock.moment();
            if host.is_left_alone(now) {
                continue;
            }
            match ask(&host.directory).await {
                Err(error @ DirectoryError::Unavailable) => self.failed(host, &key, &error, now),
                answer => {
                    self.answered(host, now);
                    return answer;
                }
            }
        }
        Err(DirectoryError::Unavailable)
    }

    fn failed(&self, host: &Host, key: &str, reason: &DirectoryError, now: Moment) {
        let (realm, name, port) = (&self.realm, &host.name, host.port);
        self.env.log.emit(&CacheRealmDataFetchFailed { realm, host: name, key, reason });
        let mut down = lock(&host.down);
        let since = down.map_or(now, |(since, _)| since);
        if down.replace((since, now)).is_none() {
            self.env.log.emit(&CacheRealmServerDown { realm, host: name, port });
        }
    }

    fn answered(&self, host: &Host, now: Moment) {
        if let Some((since, _)) = lock(&host.down).take() {
            let seconds = now.saturating_duration_since(since).as_secs();
            self.env.log.emit(&CacheRealmServerUp { realm: &self.realm, host: &host.name, seconds });
        }
    }
}

impl Host {
    fn is_left_alone(&self, now: Moment) -> bool {
        lock(&self.down).is_some_and(|(_, tried)| now.saturating_duration_since(tried) < LEFT_ALONE)
    }
}

/// A question that is being asked; it may be asked again once this is dropped.
struct OnTheWay<'a> {
    all: &'a Mutex<HashSet<(RequestId, String)>>,
    one: (RequestId, String),
}

impl<'a> OnTheWay<'a> {
    fn begin(all: &'a Mutex<HashSet<(RequestId, String)>>, one: (RequestId, String)) -> Option<Self> {
        let is_new = {
            let mut held = lock(all);
            held.len() < MOST && held.insert(one.clone())
        };
        is_new.then(|| Self { all, one })
    }
}

impl Drop for OnTheWay<'_> {
    fn drop(&mut self) {
        lock(self.all).remove(&self.one);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Directory for Peers {
    fn authenticate<'a>(&'a self, call: &'a Call, login: Login) -> Answer<'a, Account, DirectoryError> {
        let key = format!("login {}", login.name);
        Box::pin(self.ask(call, key, move |d| d.authenticate(call, login.clone())))
    }

    fn scram_keys<'a>(
        &'a self,
        call: &'a Call,
        name: String,
        origin: Origin,
    ) -> Answer<'a, ScramKeys, DirectoryError> {
        let key = format!("keys {name}");
        Box::pin(self.ask(call, key, move |d| d.scram_keys(call, name.clone(), origin)))
    }

    fn address_route<'a>(&'a self, call: &'a Call, address: Address) -> Answer<'a, Route, DirectoryError> {
        let key = format!("address {address}");
        Box::pin(self.ask(call, key, move |d| d.address_route(call, address.clone())))
    }

    fn account_find<'a>(&'a self, call: &'a Call, name: String) -> Answer<'a, Account, DirectoryError> {
        let key = format!("account {name}");
        Box::pin(self.ask(call, key, move |d| d.account_find(call, name.clone())))
    }

    fn sender_allowed<'a>(
        &'a self,
        call: &'a Call,
        account: AccountId,
        sender: Address,
    ) -> Answer<'a, bool, DirectoryError> {
        let key = format!("sender {sender}");
        Box::pin(self.ask(call, key, move |d| d.sender_allowed(call, account, sender.clone())))
    }
}
