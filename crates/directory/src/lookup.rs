//! Finding accounts and domains: in memory, else in the copy on this host, else in the directory's database.
//!
//! What the copy has is taken from it, also while the database is out of reach; what it has not is asked of the database
//! as far as the keys allow (`cacheDisableReadThrus` and the others). A damaged entry of the copy counts as one it has not.

use crate::card::Card;
use crate::fault::Fault;
use crate::names::{LoginRules, Name};
use crate::server::{Shared, Through};
use catalog::events::acct::AcctForwardInfoInvalid;
use catalog::events::cache::CacheGenericMsg;
use mail::id::AccountId;
use roles::directory::DirectoryError;
use std::net::IpAddr;
use std::sync::Arc;
use storage::directory::{AccountRecord, DomainRow};
use storage::replica::{Entry, Key, Reader, ReplicaError};

/// What for somebody is looked up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// A login, or a question of an administrator.
    Account,
    /// Mail.
    Mail,
}

impl Shared {
    /// The account of what somebody typed as a login.
    pub(crate) async fn find_login(
        &self,
        rules: &LoginRules,
        typed: &str,
        interface: IpAddr,
    ) -> Result<Option<Arc<Card>>, Fault> {
        for name in rules.names(typed, interface) {
            if let Some(card) = self.find(&name, Purpose::Account).await? {
                return Ok(Some(card));
            }
        }
        Ok(None)
    }

    /// The account of a name.
    pub(crate) async fn find(&self, name: &Name, purpose: Purpose) -> Result<Option<Arc<Card>>, Fault> {
        let text = name.text();
        if let Some(id) = self.cache.name(&text) {
            return self.card(id).await;
        }
        if self.cache.is_absent(&text, self.env.clock.moment()) {
            return Ok(None);
        }
        let read_at = self.cache.epoch();
        let key = match name {
            Name::Login(key) => Some(Key::Login(key.clone())),
            Name::Address(key) => Some(Key::Address(key.clone())),
            // In whatever domain: the copy does not know that.
            Name::Bare(_) => None,
        };
        let in_copy = |copy: &Reader| match &key {
            Some(key) => copy.account_of(key)?.map(|record| card_of(copy, record)).transpose(),
            None => Ok(None),
        };
        let Some(card) = self.look_up(purpose, in_copy, self.in_tables(name)).await?.map(Arc::new) else {
            self.cache.put_absent(read_at, &text, self.env.clock.moment());
            return Ok(None);
        };
        self.log_bad_forwards(&card);
        self.cache.put_name(read_at, &text, card.row.id);
        self.cache.put_card(read_at, Arc::clone(&card));
        Ok(Some(card))
    }

    /// An account by its id.
    pub(crate) async fn card(&self, id: AccountId) -> Result<Option<Arc<Card>>, Fault> {
        if let Some(card) = self.cache.card(id) {
            return Ok(Some(card));
        }
        let read_at = self.cache.epoch();
        let in_copy = |copy: &Reader| copy.account(id)?.map(|record| card_of(copy, record)).transpose();
        let in_tables = self.tables.read(move |rows| Ok::<_, Fault>(Card::read(rows, id)?));
        let card = self.look_up(Purpose::Account, in_copy, in_tables).await?.map(Arc::new);
        if let Some(card) = &card {
            self.log_bad_forwards(card);
            self.cache.put_card(read_at, Arc::clone(card));
        }
        Ok(card)
    }

    /// A domain of the site by its name in lower case.
    pub(crate) async fn domain(&self, name: &str) -> Result<Option<Arc<DomainRow>>, Fault> {
        if let Some(domain) = self.cache.domain(name) {
            return Ok(Some(domain));
        }
        let text = format!("d:{name}");
        if self.cache.is_absent(&text, self.env.clock.moment()) {
            return Ok(None);
        }
        let (read_at, wanted) = (self.cache.epoch(), name.to_owned());
        // The copy has all domains: one that it has not is elsewhere, and asking about every such one would hand the
        // load of the whole world to the database.
        let domain = match self.copied(|copy| match copy.get(&Key::Domain(name.to_owned()))? {
            Some(Entry::Domain(row)) => Ok(Some(row)),
            _ => Ok(None),
        }) {
            Some(found) if self.keys.get().through != Through::Always => found,
            _ => {
                let read = self.tables.read(move |rows| Ok::<_, Fault>(rows.domain(&wanted)?)).await;
                self.noted(read)?
            }
        };
        let domain = domain.map(Arc::new);
        match &domain {
            Some(domain) => self.cache.put_domain(read_at, Arc::clone(domain)),
            None => self.cache.put_absent(read_at, &text, self.env.clock.moment()),
        }
        Ok(domain)
    }

    async fn in_tables(&self, name: &Name) -> Result<Option<Card>, Fault> {
        let name = name.clone();
        let read = self.tables.read(move |rows| {
            let id = match &name {
                Name::Login(key) => rows.login(key)?,
                Name::Address(key) => rows.address(key)?,
                Name::Bare(name) => match rows.logins_in_any_domain(name)?.as_slice() {
                    [only] => Some(*only),
                    _ => None,
                },
            };
            Ok::<_, Fault>(id.map(|id| Card::read(rows, id)).transpose()?.flatten())
        });
        read.await
    }

    /// Asks the copy and the database in the order that the keys say.
    async fn look_up<T>(
        &self,
        purpose: Purpose,
        in_copy: impl Fn(&Reader) -> Result<Option<T>, ReplicaError>,
        in_tables: impl Future<Output = Result<Option<T>, Fault>>,
    ) -> Result<Option<T>, Fault> {
        let through = self.keys.get().through;
        if through == Through::Always {
            return match in_tables.await {
                Err(Fault(DirectoryError::Unavailable)) if self.has_copy() => {
                    Ok(self.copied(in_copy).flatten())
                }
                done => self.noted(done),
            };
        }
        match (self.copied(in_copy), through) {
            (Some(Some(found)), _) => Ok(Some(found)),
            (Some(None), Through::Never) => Ok(None),
            (Some(None), Through::OnMissButForMail) if purpose == Purpose::Mail => Ok(None),
            _ => self.noted(in_tables.await),
        }
    }

    /// What the copy says; `None` where there is none, or it cannot be read.
    fn copied<T>(&self, look: impl Fn(&Reader) -> Result<T, ReplicaError>) -> Option<T> {
        let reader = self.copy.get()?.reader()?;
        match look(&reader) {
            Ok(found) => Some(found),
            Err(reason) => {
                self.env.log.emit(&CacheGenericMsg { path: reader.folder().display(), reason });
                None
            }
        }
    }

    fn has_copy(&self) -> bool {
        self.copy.get().is_some_and(|copy| copy.reader().is_some())
    }

    fn log_bad_forwards(&self, card: &Card) {
        for value in &card.bad_forwards {
            self.env.log.emit(&AcctForwardInfoInvalid { account: &card.login, value });
        }
    }
}

/// An account of the copy with the values of its class; a class that the copy has not sets none (ITS 20488).
fn card_of(copy: &Reader, record: AccountRecord) -> Result<Card, ReplicaError> {
    let class = match copy.get(&Key::Class(record.row.class.clone()))? {
        Some(Entry::Class(_, values)) => values,
        _ => Vec::new(),
    };
    Ok(Card::of(record, &class))
}
