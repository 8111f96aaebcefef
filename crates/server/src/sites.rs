//! The stores of all hosts, and their managers: who asks for a home gets the store wherever it is.

use crate::keeper::Keeper;
use crate::owners::Owners;
use crate::partners::Partners;
use crate::pointed::{Point, Pointed, Target};
use admin::context::Hosts;
use env::Env;
use env::clock::Moment;
use mail::id::HostName;
use roles::Call;
use roles::maintenance::Maintenance;
use roles::manager::Manager;
use roles::store::{MessageStore, StoreError, Stores};
use std::sync::Arc;
use std::time::Duration;
use store::Store;

/// Between two looks for a store that is on its way.
const PAUSE: Duration = Duration::from_millis(100);

/// See the module. Cloning shares the connections.
#[derive(Clone)]
pub(crate) struct SiteHosts {
    own: HostName,
    /// The stores that are open in this process, where it has any.
    here: Option<Arc<Keeper>>,
    owners: Arc<Owners>,
    partners: Arc<Partners>,
    /// The surroundings of the server that asks.
    asking: Env,
}

impl SiteHosts {
    /// As the host `own` sees them.
    pub(crate) fn new(
        own: HostName,
        here: Option<Arc<Keeper>>,
        owners: &Arc<Owners>,
        partners: &Arc<Partners>,
        asking: &Env,
    ) -> Self {
        let (owners, partners) = (Arc::clone(owners), Arc::clone(partners));
        Self { own, here, owners, partners, asking: asking.clone() }
    }

    /// The same, asked by this server: its limits hold.
    pub(crate) fn asked_by(&self, env: &Env) -> Self {
        Self { asking: env.clone(), ..self.clone() }
    }

    /// The stores of this process, for others to ask.
    pub(crate) fn served(&self) -> Arc<Pointed<Here>> {
        Arc::new(Pointed(Here(self.clone())))
    }

    fn at(&self, home: &HostName) -> Pointed<Home> {
        Pointed(Home { home: home.clone(), hosts: self.clone() })
    }

    /// Whether this host has the only store of the site: then it has every mailbox, whatever host an account names.
    fn is_only(&self, home: &HostName) -> bool {
        let topology = self.partners.topology();
        let has_one = self.here.is_some() || topology.own().runs("mss");
        has_one && self.owners.of(home).is_none() && topology.running("mss").all(|host| host.name == self.own)
    }

    /// The host that has the store of a home. Until somebody says otherwise it is the one that the home is called by.
    fn owner(&self, home: &HostName) -> HostName {
        match self.owners.of(home) {
            Some(place) => place.owner,
            None if self.is_only(home) => self.own.clone(),
            None => home.clone(),
        }
    }

    /// The store of a home, where it is open in this process.
    fn open_here(&self, home: &HostName) -> Option<Arc<Store>> {
        let here = self.here.as_ref()?;
        here.find(home).or_else(|| self.is_only(home).then(|| here.own()).flatten())
    }
}

impl Stores for SiteHosts {
    fn of(&self, home: &HostName) -> Arc<dyn MessageStore> {
        Arc::new(self.at(home))
    }
}

impl Hosts for SiteHosts {
    fn names(&self) -> Vec<HostName> {
        self.partners.topology().hosts().iter().map(|host| host.name.clone()).collect()
    }

    fn is_here(&self, home: &HostName) -> bool {
        *home == self.own || self.is_only(home)
    }

    fn has_open(&self, home: &HostName) -> bool {
        self.open_here(home).is_some()
    }

    fn store(&self, host: &HostName) -> Arc<dyn MessageStore> {
        self.of(host)
    }

    fn maintenance(&self, host: &HostName) -> Arc<dyn Maintenance> {
        Arc::new(self.at(host))
    }

    fn manager(&self, host: &HostName) -> Option<Arc<dyn Manager>> {
        let topology = self.partners.topology();
        let manager = self.partners.manager(topology.host(host.as_str())?)?;
        Some(Arc::new(manager))
    }
}

fn target(store: Arc<Store>, call: &Call) -> Target {
    Target { maintenance: store.clone(), store, call: call.clone(), host: None }
}

/// The store of a home, for a server of this process.
#[derive(Clone)]
pub(crate) struct Home {
    home: HostName,
    hosts: SiteHosts,
}

impl Point for Home {
    fn to(&self, call: &Call) -> Result<Target, StoreError> {
        let hosts = &self.hosts;
        if let Some(store) = hosts.open_here(&self.home) {
            return Ok(target(store, call));
        }
        let owner = hosts.owner(&self.home);
        if owner == hosts.own && hosts.here.is_some() {
            return Err(StoreError::Elsewhere);
        }
        let far = hosts.partners.of_host(&hosts.asking, &owner, "mss");
        let call = Call { store: Some(self.home.clone()), ..call.clone() };
        Ok(Target { store: Arc::new(far.clone()), maintenance: Arc::new(far), call, host: Some(owner) })
    }

    async fn again(&self, since: Moment) -> bool {
        let worth_it = self.hosts.owners.again(&self.home, since).await;
        if worth_it {
            self.hosts.asking.clock.sleep(PAUSE).await;
        }
        worth_it
    }

    async fn is_replaced(&self, host: &HostName) -> bool {
        self.hosts.owners.look().await;
        self.hosts.owner(&self.home) != *host
    }

    fn moment(&self) -> Moment {
        self.hosts.asking.clock.moment()
    }
}

/// The stores of this process, for those who ask over the wire: what is not open here is elsewhere.
#[derive(Clone)]
pub(crate) struct Here(SiteHosts);

impl Point for Here {
    fn to(&self, call: &Call) -> Result<Target, StoreError> {
        let home = call.store.as_ref().unwrap_or(&self.0.own);
        let store = self.0.open_here(home).ok_or(StoreError::Elsewhere)?;
        Ok(target(store, call))
    }

    /// Whoever asks looks where it is.
    async fn again(&self, _: Moment) -> bool {
        false
    }

    async fn is_replaced(&self, _: &HostName) -> bool {
        false
    }

    fn moment(&self) -> Moment {
        self.0.asking.clock.moment()
    }
}
