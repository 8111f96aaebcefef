//! What hangs on an account: addresses, login aliases, forwards.

use super::accounts::{free_address, free_login};
use super::{Outcome, check, conflict, find};
use crate::classes::Rights;
use crate::fault::Fault;
use catalog::account::DomainKind;
use mail::address::Address;
use roles::directory::DirectoryError;
use roles::directory::provision::{Place, Reply, User};
use storage::directory::{AccountRow, AddressRow, Edit, ForwardPlace, ForwardRow, NameKey, Rank, Rows};

fn missing(reason: String) -> Fault {
    Fault(DirectoryError::Missing(reason))
}

fn rights(rows: &Rows<'_>, account: &AccountRow) -> Result<Rights, Fault> {
    Ok(Rights::of(&rows.overrides(account.id)?, &rows.class_values(&account.class)?))
}

/// The key of an address whose domain keeps its mail here.
pub(super) fn own_address(rows: &Rows<'_>, address: &Address) -> Result<NameKey, Fault> {
    let domain = check::domain(address.domain())?;
    match rows.domain(domain)?.map(|d| d.kind) {
        Some(DomainKind::Local | DomainKind::NonAuthoritative) => Ok(NameKey::new(address.local(), domain)),
        Some(kind) => Err(conflict(format!("{domain} is a {kind} domain: its addresses are not kept here"))),
        None => Err(missing(format!(
            "there is no domain {domain}: create it first (CreateDomain {domain} local)"
        ))),
    }
}

pub(super) fn create_alias(e: &Edit<'_>, user: &User, address: &Address) -> Outcome {
    let account = find(e, user)?;
    let key = own_address(e, address)?;
    if e.address(&key)? == Some(account.id) {
        return Ok(Reply::Already(format!("{} has the address {key} already", account.key())));
    }
    free_address(e, &key)?;
    let most = rights(e, &account)?.max_aliases;
    if e.addresses(account.id)?.len() > most {
        let reason = format!("{} has {most} aliases, the most that maxAliases allows", account.key());
        return Err(conflict(reason));
    }
    let row = AddressRow { local_part: address.local().to_owned(), domain: key.domain, rank: Rank::Alias };
    e.add_address(account.id, &row)?;
    Ok(Reply::Done)
}

pub(super) fn delete_alias(e: &Edit<'_>, user: &User, address: &Address) -> Outcome {
    let account = find(e, user)?;
    let key = NameKey::new(address.local(), address.domain().as_str());
    let first = e.addresses(account.id)?.into_iter().find(|a| a.rank == Rank::Primary);
    if first.is_some_and(|a| NameKey::new(&a.local_part, &a.domain) == key) {
        let reason =
            format!("{key} is the first address of {}: it goes only with the account", account.key());
        return Err(conflict(reason));
    }
    match e.remove_address(account.id, &key)? {
        true => Ok(Reply::Done),
        false => Err(missing(format!("{} has no address {key}", account.key()))),
    }
}

pub(super) fn create_login_alias(e: &Edit<'_>, user: &User, alias: &User) -> Outcome {
    let account = find(e, user)?;
    let name = check::login_name(&alias.name)?;
    let domain = check::domain(&alias.domain)?;
    if e.domain(domain)?.is_none() {
        return Err(missing(format!(
            "there is no domain {domain}: create it first (CreateDomain {domain} local)"
        )));
    }
    let key = NameKey::new(name, domain);
    if e.login(&key)? == Some(account.id) {
        return Ok(Reply::Already(format!("{} has the login name {key} already", account.key())));
    }
    free_login(e, &key)?;
    e.add_login_alias(account.id, &key)?;
    Ok(Reply::Done)
}

pub(super) fn delete_login_alias(e: &Edit<'_>, user: &User, alias: &User) -> Outcome {
    let account = find(e, user)?;
    let key = NameKey::new(alias.name.trim(), alias.domain.as_str());
    match e.remove_login_alias(account.id, &key)? {
        true => Ok(Reply::Done),
        false => Err(missing(format!("{} has no login alias {key}", account.key()))),
    }
}

pub(super) fn create_forward(e: &Edit<'_>, user: &User, place: Place, to: &Address) -> Outcome {
    let account = find(e, user)?;
    let here = e.domain(to.domain().as_str())?.is_some();
    match (place, here) {
        (Place::Local, false) => {
            return Err(missing(format!(
                "{} is no domain of this site: use CreateRemoteForward",
                to.domain()
            )));
        }
        (Place::Remote, true) => {
            return Err(conflict(format!(
                "{} is a domain of this site: use CreateLocalForward",
                to.domain()
            )));
        }
        _ => {}
    }
    if e.address(&NameKey::new(to.local(), to.domain().as_str()))? == Some(account.id) {
        return Err(conflict(format!(
            "{to} is {} itself: the mail would go round in a circle",
            account.key()
        )));
    }
    let most = rights(e, &account)?.max_forwards;
    let row = ForwardRow { address: to.to_string(), place: stored(place) };
    if !e.add_forward(account.id, &to.key(), &row)? {
        return Ok(Reply::Already(format!("{} forwards to {to} already", account.key())));
    }
    if e.forwards(account.id)?.len() > most {
        let reason = format!("{} has {most} forwards, the most that maxForwards allows", account.key());
        return Err(conflict(reason));
    }
    Ok(Reply::Done)
}

pub(super) fn delete_forward(e: &Edit<'_>, user: &User, place: Place, to: &Address) -> Outcome {
    let account = find(e, user)?;
    match e.remove_forward(account.id, &to.key(), stored(place))? {
        true => Ok(Reply::Done),
        false => Err(missing(format!("{} has no such forward to {to}", account.key()))),
    }
}

fn stored(place: Place) -> ForwardPlace {
    match place {
        Place::Local => ForwardPlace::Local,
        Place::Remote => ForwardPlace::Remote,
    }
}
