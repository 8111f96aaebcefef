//! Which host has which store.
//!
//! Not in the log of changes: caches have no copy of it, whoever needs it reads all of it, and a renewal every few seconds
//! would fill the log.

use super::rows::StoreRow;
use super::statements::{STORE, STORE_DELETE, STORE_PUT, STORES};
use super::{Edit, Rows};
use crate::sql::{Row, SqlError, params};
use mail::time::Timestamp;

impl Rows<'_> {
    /// All stores in the order of their names, at most `limit`.
    ///
    /// # Errors
    /// Where the database fails.
    pub fn stores(&self, limit: u32) -> Result<Vec<StoreRow>, SqlError> {
        self.many(STORES, params!["", limit], store)
    }

    /// A store by its name in lower case.
    ///
    /// # Errors
    /// Where the database fails.
    pub fn store(&self, name: &str) -> Result<Option<StoreRow>, SqlError> {
        self.one(STORE, params![name], store)
    }
}

impl Edit<'_> {
    /// Makes this true of a store, whether it is known or not.
    ///
    /// # Errors
    /// Where the database fails.
    pub fn put_store(&self, row: &StoreRow) -> Result<(), SqlError> {
        let StoreRow { name, owner, incarnation, epoch, expires, folder, successor } = row;
        let (host, place) = successor.as_ref().map_or(("", ""), |(host, place)| (host, place));
        let expires = expires.as_micros();
        self.put(STORE_PUT, params![name, owner, incarnation, *epoch, expires, folder, host, place])
    }

    /// Forgets a store.
    ///
    /// # Errors
    /// Where the database fails.
    pub fn forget_store(&self, name: &str) -> Result<(), SqlError> {
        self.put(STORE_DELETE, params![name])
    }
}

fn store(row: &Row<'_>) -> Result<StoreRow, SqlError> {
    let (host, place): (String, String) = (row.get(6)?, row.get(7)?);
    Ok(StoreRow {
        name: row.get(0)?,
        owner: row.get(1)?,
        incarnation: row.get(2)?,
        epoch: row.get(3)?,
        expires: Timestamp::from_micros(row.get(4)?),
        folder: row.get(5)?,
        successor: (!host.is_empty()).then_some((host, place)),
    })
}
