//! An account with all that hangs on it, as one value: what caches hold and dumps carry.

use super::rows::{AccountRow, AddressRow, ForwardPlace, ForwardRow, NameKey, Rank};
use super::statements::{
    ACCOUNTS_AFTER, ADDRESSES_BETWEEN, FORWARDS_BETWEEN, LOGIN_ALIASES_BETWEEN, OVERRIDES_BETWEEN,
};
use super::{MAX_PAGE, Rows, Values, accounts};
use crate::sql::{Row, SqlError, params};
use mail::id::AccountId;

/// An account with its names, its forwards and its own values of attributes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccountRecord {
    /// The account.
    pub row: AccountRow,
    /// Its SMTP addresses, the primary one first.
    pub addresses: Vec<AddressRow>,
    /// Its login aliases.
    pub aliases: Vec<NameKey>,
    /// Its forwards.
    pub forwards: Vec<ForwardRow>,
    /// Its own values.
    pub overrides: Values,
}

impl AccountRecord {
    fn bare(row: AccountRow) -> Self {
        let (addresses, aliases) = (Vec::new(), Vec::new());
        Self { row, addresses, aliases, forwards: Vec::new(), overrides: Values::new() }
    }
}

impl Rows<'_> {
    /// An account with all that hangs on it.
    ///
    /// # Errors
    /// Where the database fails.
    pub fn record(&self, id: AccountId) -> Result<Option<AccountRecord>, SqlError> {
        let Some(row) = self.account(id)? else { return Ok(None) };
        Ok(Some(AccountRecord {
            addresses: self.addresses(id)?,
            aliases: self.login_aliases(id)?,
            forwards: self.forwards(id)?,
            overrides: self.overrides(id)?,
            row,
        }))
    }

    /// Accounts with all that hangs on them, by their ids after this one, at most `limit` and [`MAX_PAGE`]; none:
    /// that was all. Costs five statements a page (ITS 17836).
    ///
    /// # Errors
    /// Where the database fails.
    pub fn records_after(&self, after: AccountId, limit: u32) -> Result<Vec<AccountRecord>, SqlError> {
        let page = self.many(ACCOUNTS_AFTER, params![after.0, limit.min(MAX_PAGE)], accounts::account)?;
        let mut page: Vec<_> = page.into_iter().map(AccountRecord::bare).collect();
        let (Some(first), Some(last)) = (page.first(), page.last()) else { return Ok(page) };
        let (first, last) = (first.row.id.0, last.row.id.0);
        let between = params![first, last];
        let owned = |row: &Row<'_>| row.get(0).map(AccountId);
        for (id, address) in self.many(ADDRESSES_BETWEEN, between, |row| {
            let rank = if row.get::<i64>(3)? == 1 { Rank::Primary } else { Rank::Alias };
            Ok((owned(row)?, AddressRow { local_part: row.get(1)?, domain: row.get(2)?, rank }))
        })? {
            of(&mut page, id, |record| record.addresses.push(address));
        }
        for (id, alias) in self.many(LOGIN_ALIASES_BETWEEN, between, |row| {
            Ok((owned(row)?, NameKey { name: row.get(1)?, domain: row.get(2)? }))
        })? {
            of(&mut page, id, |record| record.aliases.push(alias));
        }
        for (id, forward) in self.many(FORWARDS_BETWEEN, between, |row| {
            let place = ForwardPlace::of_word(&row.get::<String>(2)?);
            Ok((owned(row)?, ForwardRow { address: row.get(1)?, place }))
        })? {
            of(&mut page, id, |record| record.forwards.push(forward));
        }
        for (id, value) in
            self.many(OVERRIDES_BETWEEN, between, |row| Ok((owned(row)?, (row.get(1)?, row.get(2)?))))?
        {
            of(&mut page, id, |record| record.overrides.push(value));
        }
        Ok(page)
    }
}

/// Adds to the record of that account; the page is in order of ids.
fn of(page: &mut [AccountRecord], id: AccountId, add: impl FnOnce(&mut AccountRecord)) {
    if let Ok(at) = page.binary_search_by_key(&id, |r| r.row.id) {
        add(&mut page[at]);
    }
}
