//! Domains.

use super::rows::{Changed, DomainRow};
use super::statements::{DOMAIN, DOMAIN_DELETE, DOMAIN_IN_USE, DOMAIN_INSERT, DOMAIN_UPDATE, DOMAINS_PAGE};
use super::{Edit, MAX_PAGE, Rows, word};
use crate::sql::{Row, SqlError, params};
use catalog::account::DomainKind;

impl Rows<'_> {
    /// A domain by its name in lower case.
    ///
    /// # Errors
    /// Where the database fails or the row is damaged.
    pub fn domain(&self, name: &str) -> Result<Option<DomainRow>, SqlError> {
        self.one(DOMAIN, params![name], domain)
    }

    /// The domains after that name, in order, at most `limit` and [`MAX_PAGE`].
    ///
    /// # Errors
    /// Where the database fails or a row is damaged.
    pub fn domains_after(&self, name: &str, limit: u32) -> Result<Vec<DomainRow>, SqlError> {
        self.many(DOMAINS_PAGE, params![name, limit.min(MAX_PAGE)], domain)
    }

    /// A name within the domain that is in use, of an account, an address or a login alias.
    ///
    /// # Errors
    /// Where the database fails.
    pub fn domain_in_use(&self, name: &str) -> Result<Option<String>, SqlError> {
        let found = self.one(DOMAIN_IN_USE, params![name], |row| {
            let user: Option<String> = row.get(0)?;
            Ok(user.or(row.get(1)?).or(row.get(2)?))
        })?;
        Ok(found.flatten())
    }
}

impl Edit<'_> {
    /// Adds a domain that is not there yet.
    ///
    /// # Errors
    /// Where the database fails.
    pub fn add_domain(&self, domain: &DomainRow) -> Result<(), SqlError> {
        let DomainRow { name, kind, target } = domain;
        self.put(DOMAIN_INSERT, params![name, kind.word(), target, self.at.as_micros()])?;
        self.log(&Changed::Domain(name.clone()))
    }

    /// Changes what the site does for a domain.
    ///
    /// # Errors
    /// Where the database fails.
    pub fn change_domain(&self, domain: &DomainRow) -> Result<(), SqlError> {
        self.put(DOMAIN_UPDATE, params![domain.name, domain.kind.word(), domain.target])?;
        self.log(&Changed::Domain(domain.name.clone()))
    }

    /// Removes a domain that is not in use.
    ///
    /// # Errors
    /// Where the database fails, also because the domain is in use.
    pub fn remove_domain(&self, name: &str) -> Result<(), SqlError> {
        self.put(DOMAIN_DELETE, params![name])?;
        self.log(&Changed::Domain(name.to_owned()))
    }
}

fn domain(row: &Row<'_>) -> Result<DomainRow, SqlError> {
    Ok(DomainRow { name: row.get(0)?, kind: word(row, 1, DomainKind::parse)?, target: row.get(2)? })
}
