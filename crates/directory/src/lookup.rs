//! Finding accounts and domains: in the copy on this host, else in memory, else with whoever has the whole directory.
//!
//! What is here is taken from here, for all names that somebody may go by, before anybody else is asked for the first of them:
//! who is in the copy logs in and gets mail also while the database is out of reach. What is not here is asked for as far
//! as the keys allow (`cacheDisableReadThrus` and the others). A damaged entry of the copy counts as one that it has not.

use crate::card::Card;
use crate::classes::Class;
use crate::fault::Fault;
use crate::names::Name;
use crate::server::{Shared, Through};
use crate::source::Source;
use catalog::events::acct::AcctForwardInfoInvalid;
use catalog::events::cache::CacheGenericMsg;
use mail::id::AccountId;
use roles::directory::{Directory, DirectoryError};
use std::sync::Arc;
use storage::directory::{DomainRow, Rows};
use storage::replica::{Account, Entry, Key, KeyRef, Reader, ReplicaError};
use storage::sql::SqlError;

/// What for somebody is looked up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// A login: the password is needed.
    Login,
    /// A question of an administrator.
    Account,
    /// A question about a sender: all addresses are needed.
    Sender,
    /// Mail.
    Mail,
}

/// What came of looking for something.
pub(crate) enum Found<T> {
    /// It is here.
    Here(T),
    /// There is no such thing.
    Nobody,
    /// It is not here, and this server knows whether there is such a thing.
    Elsewhere(Arc<dyn Directory>),
}

/// An account, and by which of the names that were looked up.
pub(crate) struct ByName {
    pub(crate) at: usize,
    pub(crate) card: Arc<Card>,
}

/// That the copy was of no help: there is none, or it cannot be read.
struct NoCopy;

impl Shared {
    /// The account of the first of these names that is somebody's.
    pub(crate) async fn find(&self, names: &[Name], purpose: Purpose) -> Result<Found<ByName>, Fault> {
        if let Some(server) = self.other_realm(names, purpose) {
            return Ok(Found::Elsewhere(server));
        }
        let through = self.keys.get().through;
        let tables_first = through == Through::Always && matches!(self.source, Source::Tables(_));
        let here = if tables_first { Err(NoCopy) } else { self.find_here(names, purpose) };
        if let Ok(Some(found)) = here {
            return Ok(Found::Here(found));
        }
        let (now, read_at) = (self.env.clock.moment(), self.cache.epoch());
        if names.iter().all(|name| self.cache.is_absent(&name.text(), now)) {
            return Ok(Found::Nobody);
        }
        let ends_here = match through {
            Through::Never => true,
            Through::OnMissButForMail => purpose == Purpose::Mail,
            Through::Always | Through::OnMiss => false,
        };
        let found = match &self.source {
            _ if ends_here && here.is_ok() && self.copy_is_complete() => None,
            Source::Server(server) => return Ok(Found::Elsewhere(Arc::clone(server))),
            Source::Tables(_) => match self.find_in_tables(names).await {
                Err(Fault(DirectoryError::Unavailable)) if tables_first && self.has_copy() => {
                    return Ok(self
                        .find_here(names, purpose)
                        .ok()
                        .flatten()
                        .map_or(Found::Nobody, Found::Here));
                }
                done => self.noted(done)?,
            },
        };
        let Some((at, card)) = found else {
            self.nobody_has(names, read_at);
            return Ok(Found::Nobody);
        };
        let card = Arc::new(card);
        self.keep(&names[at], &card, read_at);
        Ok(Found::Here(ByName { at, card }))
    }

    /// Notes that these names were nobody's just now.
    pub(crate) fn nobody_has(&self, names: &[Name], read_at: crate::cache::Epoch) {
        let now = self.env.clock.moment();
        names.iter().for_each(|name| self.cache.put_absent(read_at, &name.text(), now));
    }

    /// The first of the names that the copy or memory has.
    fn find_here(&self, names: &[Name], purpose: Purpose) -> Result<Option<ByName>, NoCopy> {
        // An account of another realm may be here without its password.
        let serves = |card: &Card| purpose != Purpose::Login || card.can_be_proven();
        let mut copy = Ok(());
        for (at, name) in names.iter().enumerate() {
            let key = match name {
                Name::Login(key) => Some(KeyRef::Login(&key.name, &key.domain)),
                Name::Address(key) => Some(KeyRef::Address(&key.name, &key.domain)),
                // In whatever domain: the copy does not know that.
                Name::Bare(_) => None,
            };
            match key.map(|key| self.card_of(key, purpose)) {
                Some(Ok(Some(card))) if serves(&card) => {
                    return Ok(Some(ByName { at, card: Arc::new(card) }));
                }
                Some(Err(NoCopy)) => copy = Err(NoCopy),
                _ => {}
            }
            if let Some(card) = self.kept_card(name).filter(|card| serves(card)) {
                return Ok(Some(ByName { at, card }));
            }
        }
        copy.map(|()| None)
    }

    fn kept_card(&self, name: &Name) -> Option<Arc<Card>> {
        self.cache.name(&name.text()).and_then(|id| self.cache.card(id))
    }

    /// An account of the copy; not more of it is read than is needed.
    fn card_of(&self, key: KeyRef<'_>, purpose: Purpose) -> Result<Option<Card>, NoCopy> {
        let card = self.copied(|copy| {
            let class = |account: &Account<'_>| self.class_of(copy, account.class);
            let made = copy.look(key, |account| match purpose {
                Purpose::Mail | Purpose::Account => Ok(Card::for_mail(account, &*class(account)?)),
                Purpose::Login | Purpose::Sender => {
                    let Some(record) = account.record() else { return Ok(None) };
                    Ok(Some(Card::of(record, &*class(account)?)))
                }
            })?;
            let damaged = || ReplicaError::Damaged("an account is not of this format".into());
            made.map(|card: Result<_, ReplicaError>| card?.ok_or_else(damaged)).transpose()
        })?;
        if let Some(card) = &card {
            self.log_bad_forwards(card);
        }
        Ok(card)
    }

    /// A class of the copy; one that it has not sets no values (ITS 20488).
    fn class_of(&self, copy: &Reader, key: &str) -> Result<Arc<Class>, ReplicaError> {
        if let Some(class) = self.cache.class(key) {
            return Ok(class);
        }
        let read_at = self.cache.epoch();
        let values = match copy.get(&Key::Class(key.to_owned()))? {
            Some(Entry::Class(_, values)) => values,
            _ => Vec::new(),
        };
        let class = Arc::new(Class::new(values));
        self.cache.put_class(read_at, key, Arc::clone(&class));
        Ok(class)
    }

    fn keep(&self, name: &Name, card: &Arc<Card>, read_at: crate::cache::Epoch) {
        self.log_bad_forwards(card);
        self.cache.put_name(read_at, &name.text(), card.id);
        self.cache.put_card(read_at, Arc::clone(card));
    }

    async fn find_in_tables(&self, names: &[Name]) -> Result<Option<(usize, Card)>, Fault> {
        let names = names.to_vec();
        let read = self.read(move |rows| {
            for (at, name) in names.iter().enumerate() {
                if let Some(card) = id_of(rows, name)?.map(|id| Card::read(rows, id)).transpose()?.flatten() {
                    return Ok(Some((at, card)));
                }
            }
            Ok(None)
        });
        read.await
    }

    /// An account by its id.
    pub(crate) async fn card(&self, id: AccountId) -> Result<Found<Arc<Card>>, Fault> {
        let through = self.keys.get().through;
        let read_at = self.cache.epoch();
        let here = |shared: &Self| match (
            shared.card_of(KeyRef::Account(id), Purpose::Sender),
            shared.cache.card(id),
        ) {
            (Ok(Some(card)), _) => Ok(Some(Arc::new(card))),
            (_, Some(card)) => Ok(Some(card)),
            (copied, None) => copied.map(|_| None),
        };
        let in_tables = self.read(move |rows| Ok(Card::read(rows, id)?));
        let found = match (through, here(self), &self.source) {
            (Through::Always, _, Source::Tables(_)) => match in_tables.await {
                Err(Fault(DirectoryError::Unavailable)) if self.has_copy() => here(self).ok().flatten(),
                done => self.noted(done)?.map(Arc::new),
            },
            (_, Ok(Some(card)), _) => return Ok(Found::Here(card)),
            (Through::Never, Ok(None), _) => None,
            (_, _, Source::Server(server)) => return Ok(Found::Elsewhere(Arc::clone(server))),
            (_, _, Source::Tables(_)) => self.noted(in_tables.await)?.map(Arc::new),
        };
        let Some(card) = found else { return Ok(Found::Nobody) };
        self.cache.put_card(read_at, Arc::clone(&card));
        Ok(Found::Here(card))
    }

    /// A domain of the site by its name in lower case.
    pub(crate) async fn domain(&self, name: &str) -> Result<Found<Arc<DomainRow>>, Fault> {
        let known = |found: Option<Arc<DomainRow>>| found.map_or(Found::Nobody, Found::Here);
        let always = self.keys.get().through == Through::Always;
        if !always && let Some(domain) = self.cache.domain(name) {
            return Ok(Found::Here(domain));
        }
        let text = format!("d:{name}");
        if self.cache.is_absent(&text, self.env.clock.moment()) {
            return Ok(Found::Nobody);
        }
        let (read_at, wanted) = (self.cache.epoch(), name.to_owned());
        let copied = || {
            self.copied(|copy| match copy.get(&Key::Domain(name.to_owned()))? {
                Some(Entry::Domain(row)) => Ok(Some(row)),
                _ => Ok(None),
            })
        };
        // The copy has all domains: one that it has not is elsewhere, and asking about every such one would hand the
        // load of the whole world to the database.
        let domain = match (copied(), &self.source) {
            (Ok(found), Source::Server(_)) => found,
            (Ok(found), _) if !always => found,
            (Err(NoCopy), Source::Server(server)) => return Ok(Found::Elsewhere(Arc::clone(server))),
            (copied, Source::Tables(_)) => {
                match (self.read(move |rows| Ok(rows.domain(&wanted)?)).await, copied) {
                    (Err(Fault(DirectoryError::Unavailable)), Ok(found)) => found,
                    (done, _) => self.noted(done)?,
                }
            }
        };
        let domain = domain.map(Arc::new);
        match &domain {
            Some(domain) => self.cache.put_domain(read_at, Arc::clone(domain)),
            None => self.cache.put_absent(read_at, &text, self.env.clock.moment()),
        }
        Ok(known(domain))
    }

    /// What the copy says.
    fn copied<T>(&self, look: impl Fn(&Reader) -> Result<T, ReplicaError>) -> Result<T, NoCopy> {
        let reader = self.copy.get().and_then(|copy| copy.reader()).ok_or(NoCopy)?;
        look(&reader).map_err(|reason| {
            self.env.log.emit(&CacheGenericMsg { path: reader.folder().display(), reason });
            NoCopy
        })
    }

    /// Whether the copy has all that it should: not while it is of another division of the realms.
    fn copy_is_complete(&self) -> bool {
        let reader = self.copy.get().and_then(|copy| copy.reader());
        reader.is_some_and(|reader| self.other_division(&reader).is_none())
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

/// Whose a name is, in the tables.
fn id_of(rows: &Rows<'_>, name: &Name) -> Result<Option<AccountId>, SqlError> {
    match name {
        Name::Login(key) => rows.login(key),
        Name::Address(key) => rows.address(key),
        Name::Bare(name) => Ok(match rows.logins_in_any_domain(name)?.as_slice() {
            [only] => Some(*only),
            _ => None,
        }),
    }
}
