//! Accounts: created, changed, removed, shown.

use super::{Outcome, Site, Stored, check, conflict, find, line};
use crate::classes;
use crate::fault::Fault;
use crate::server::MissingDomains;
use catalog::account::DomainKind;
use catalog::cos::MAX_NAME;
use mail::address::{Address, Domain};
use mail::id::AccountId;
use mail::password::StoredPassword;
use roles::directory::DirectoryError;
use roles::directory::provision::{
    AccountChange, AccountLine, AccountView, Forwarding, NewAccount, PAGE, Place, Reply, User,
};
use storage::directory::{self as tables, AccountRow, DomainRow, Edit, ForwardPlace, NameKey, Rows};

/// The class that an account gets where none is named (ITS 21672).
const DEFAULT_CLASS: &str = "default";

/// Makes an account, unless the request of this id has done so before. One question and one bundle of changes, so that a
/// creation costs two round trips to the database, and one more where the domain is made for it.
pub(super) fn create(e: &Edit<'_>, site: &Site, new: &NewAccount, stored: Stored, request: &str) -> Outcome {
    let name = check::login_name(&new.user.name)?;
    let local_part = check::local_part(&new.local_part)?;
    let domain = check::domain(&new.user.domain)?;
    let (class, written) = class_words(new.cos.as_deref().unwrap_or(DEFAULT_CLASS));
    let mailbox = new.mailbox.map(check::mailbox).transpose()?;
    let login = NameKey::new(name, domain);
    let address = NameKey::new(local_part, domain);
    let found = e.in_the_way(request, &class, &login, &address.name, mailbox)?;
    if found.done {
        return Ok(Reply::Created(line(e, &find(e, &new.user)?)?, None));
    }
    let cos = found.class.ok_or_else(|| no_class(written))?;
    let made = ensure_domain(e, site, &new.user.domain, found.domain)?;
    login_is_free(e, &login, found.login)?;
    address_is_free(e, &address, found.address)?;
    if let (Some(id), Some(other)) = (mailbox, found.mailbox) {
        let reason = format!(
            "the mailbox {id} belongs to {}: choose another, or - for the next free one",
            owner(e, other)?
        );
        return Err(conflict(reason));
    }
    let home = new.home.as_ref().unwrap_or(&site.home);
    let account = tables::NewAccount {
        name: name.to_owned(),
        domain: domain.to_owned(),
        mailbox,
        home: home.as_str().to_owned(),
        password: stored.password,
        scram: stored.scram,
        status: new.status,
        class,
        address: Some(local_part.to_owned()),
    };
    let (id, mailbox) = e.add_account(&account)?;
    let user = User { name: name.to_owned(), domain: new.user.domain.clone() };
    let line = AccountLine { id, user, mailbox, home: home.clone(), status: new.status, cos };
    Ok(Reply::Created(line, made))
}

/// Makes the domain where it is not there and that is allowed; returns it if so.
fn ensure_domain(
    e: &Edit<'_>,
    site: &Site,
    domain: &Domain,
    found: Option<DomainKind>,
) -> Result<Option<Domain>, Fault> {
    let name = domain.as_str();
    match found {
        Some(DomainKind::Local | DomainKind::NonAuthoritative) => Ok(None),
        Some(kind) => Err(conflict(format!(
            "the domain {name} is a {kind} domain, its mail is not kept here: make it local first (ChangeDomain {name} local)"
        ))),
        None if site.missing_domains == MissingDomains::Create => {
            let row = DomainRow { name: name.to_owned(), kind: DomainKind::Local, target: String::new() };
            e.add_domain(&row)?;
            Ok(Some(domain.clone()))
        }
        None => Err(DirectoryError::Missing(format!(
            "there is no domain {name}: create it first (CreateDomain {name} local)"
        ))
        .into()),
    }
}

/// The key of a class by its name, and the name without blanks around it.
fn class_words(name: &str) -> (String, &str) {
    let name = name.trim();
    (name.to_lowercase(), name)
}

/// The key of a class that exists.
fn class_key(rows: &Rows<'_>, name: &str) -> Result<String, Fault> {
    let (key, written) = class_words(name);
    let known = key.len() <= MAX_NAME && rows.class(&key)?.is_some();
    if known { Ok(key) } else { Err(no_class(written)) }
}

/// An unknown class is named (ITS 14144).
fn no_class(written: &str) -> Fault {
    let reason = format!("there is no class of service {written:?}: create it first (CreateCos)");
    DirectoryError::Missing(reason).into()
}

/// Refuses a login name that somebody has, in whatever case (ITS 25760).
pub(super) fn free_login(rows: &Rows<'_>, key: &NameKey) -> Result<(), Fault> {
    login_is_free(rows, key, rows.login(key)?)
}

/// Refuses an address that somebody has.
pub(super) fn free_address(rows: &Rows<'_>, key: &NameKey) -> Result<(), Fault> {
    address_is_free(rows, key, rows.address(key)?)
}

fn login_is_free(rows: &Rows<'_>, key: &NameKey, by: Option<AccountId>) -> Result<(), Fault> {
    let Some(id) = by else { return Ok(()) };
    Err(conflict(format!("the login name {key} is taken by {}", owner(rows, id)?)))
}

fn address_is_free(rows: &Rows<'_>, key: &NameKey, by: Option<AccountId>) -> Result<(), Fault> {
    let Some(id) = by else { return Ok(()) };
    Err(conflict(format!("the address {key} belongs to {} already", owner(rows, id)?)))
}

fn owner(rows: &Rows<'_>, id: AccountId) -> Result<String, Fault> {
    Ok(rows.account(id)?.map_or_else(|| format!("account {id}"), |a| a.key().to_string()))
}

pub(super) fn delete(e: &Edit<'_>, user: &User) -> Outcome {
    let account = find(e, user)?;
    e.remove_account(&account)?;
    Ok(Reply::Done)
}

pub(super) fn change_name(change: &AccountChange) -> &'static str {
    match change {
        AccountChange::Status(_) => "SetAccountStatus",
        AccountChange::Password(_) => "SetPassword",
        AccountChange::Cos(_) | AccountChange::Home(_) => "ModifyAccount",
        AccountChange::Forwarding(_) => "EnableForward",
    }
}

pub(super) fn change(e: &Edit<'_>, user: &User, change: &AccountChange, stored: Stored) -> Outcome {
    let old = find(e, user)?;
    let new = old.clone();
    let new = match change {
        AccountChange::Status(status) => AccountRow { status: *status, ..new },
        AccountChange::Password(_) => AccountRow { password: stored.password, scram: stored.scram, ..new },
        AccountChange::Cos(name) => AccountRow { class: class_key(e, name)?, ..new },
        AccountChange::Home(host) => AccountRow { home: host.as_str().to_owned(), ..new },
        AccountChange::Forwarding(forwarding) => {
            let forwarding = match forwarding {
                Forwarding::On => tables::Forwarding::On,
                Forwarding::Off => tables::Forwarding::Off,
            };
            AccountRow { forwarding, ..new }
        }
    };
    if new == old {
        return Ok(Reply::Already(format!("{} is so already", old.key())));
    }
    e.change_account(&old, &new)?;
    Ok(Reply::Done)
}

pub(super) fn list(rows: &Rows<'_>, domain: &Domain, after: &str) -> Outcome {
    let name = domain.as_str();
    if rows.domain(name)?.is_none() {
        return Err(DirectoryError::Missing(format!("there is no domain {name}: see ListDomains")).into());
    }
    let page = rows.accounts_after(&NameKey::new(after, name), PAGE)?;
    let lines = page.iter().map(|row| line(rows, row));
    Ok(Reply::Accounts(lines.collect::<Result<_, _>>()?))
}

pub(super) fn show(rows: &Rows<'_>, user: &User) -> Outcome {
    let row = find(rows, user)?;
    let addresses = rows.addresses(row.id)?;
    let addresses = addresses.iter().map(|a| address(&a.local_part, &a.domain));
    let aliases = rows.login_aliases(row.id)?;
    let aliases =
        aliases.into_iter().map(|k| Ok(User { domain: check::stored_domain(&k.domain)?, name: k.name }));
    let forwards = rows.forwards(row.id)?.into_iter().map(|f| {
        let place = if f.place == ForwardPlace::Local { Place::Local } else { Place::Remote };
        let parsed = Address::parse(&f.address).map_err(|_| damaged(&f.address))?;
        Ok::<_, Fault>((place, parsed))
    });
    let forwarding = if row.forwarding == tables::Forwarding::On { Forwarding::On } else { Forwarding::Off };
    let site = rows.attributes_after("", PAGE)?;
    Ok(Reply::Account(Box::new(AccountView {
        password: StoredPassword::parse(&row.password).ok().map(|p| p.kind()),
        addresses: addresses.collect::<Result<_, _>>()?,
        login_aliases: aliases.collect::<Result<_, Fault>>()?,
        forwarding,
        forwards: forwards.collect::<Result<_, _>>()?,
        attributes: classes::view(&site, &rows.overrides(row.id)?, &rows.class_values(&row.class)?),
        line: line(rows, &row)?,
    })))
}

fn address(local_part: &str, domain: &str) -> Result<Address, Fault> {
    Address::new(local_part, check::stored_domain(domain)?).map_err(|_| damaged(local_part))
}

fn damaged(address: &str) -> Fault {
    Fault(DirectoryError::Broken(format!("the stored address {address:?} is none")))
}
