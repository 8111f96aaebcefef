//! Domains: created, changed, removed, listed.

use super::{Outcome, check, conflict};
use catalog::account::DomainKind;
use mail::address::Domain;
use roles::directory::DirectoryError;
use roles::directory::provision::{DomainView, PAGE, Reply};
use storage::directory::{DomainRow, Edit, Rows};

fn row(name: &Domain, kind: DomainKind, target: Option<String>) -> Result<DomainRow, crate::fault::Fault> {
    let target = check::target(kind, target.as_deref())?;
    Ok(DomainRow { name: check::domain(name)?.to_owned(), kind, target })
}

pub(super) fn create(e: &Edit<'_>, name: &Domain, kind: DomainKind, target: Option<String>) -> Outcome {
    let new = row(name, kind, target)?;
    match e.domain(&new.name)? {
        None => {
            e.add_domain(&new)?;
            Ok(Reply::Done)
        }
        Some(old) if old == new => Ok(Reply::Already(format!("the domain {name} is there already"))),
        Some(old) => Err(conflict(format!(
            "the domain {name} is there already, as a {} domain: to change it, use ChangeDomain",
            old.kind
        ))),
    }
}

pub(super) fn change(e: &Edit<'_>, name: &Domain, kind: DomainKind, target: Option<String>) -> Outcome {
    let new = row(name, kind, target)?;
    let Some(old) = e.domain(&new.name)? else { return Err(missing(name).into()) };
    if old == new {
        return Ok(Reply::Already(format!("the domain {name} is so already")));
    }
    let keeps = matches!(kind, DomainKind::Local | DomainKind::NonAuthoritative);
    if let Some(user) = e.domain_in_use(&new.name)?.filter(|_| !keeps) {
        let reason = format!("{user} and perhaps others have names in {name}: they would get no more mail");
        return Err(conflict(reason));
    }
    e.change_domain(&new)?;
    Ok(Reply::Done)
}

pub(super) fn delete(e: &Edit<'_>, name: &Domain) -> Outcome {
    if e.domain(name.as_str())?.is_none() {
        return Err(missing(name).into());
    }
    if let Some(user) = e.domain_in_use(name.as_str())? {
        let reason = format!(
            "{user} and perhaps others have names in {name}: delete them first (ListAccounts {name})"
        );
        return Err(conflict(reason));
    }
    e.remove_domain(name.as_str())?;
    Ok(Reply::Done)
}

pub(super) fn list(rows: &Rows<'_>, after: &str) -> Outcome {
    let page = rows.domains_after(&after.to_lowercase(), PAGE)?.into_iter();
    Ok(Reply::Domains(page.map(|d| DomainView { name: d.name, kind: d.kind, target: d.target }).collect()))
}

fn missing(name: &Domain) -> DirectoryError {
    DirectoryError::Missing(format!("there is no domain {name}: see ListDomains"))
}
