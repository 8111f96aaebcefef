//! Accounts, their login names, addresses and forwards.

use super::rows::{
    AccountRow, AddressRow, Changed, ForwardPlace, ForwardRow, Forwarding, InTheWay, NameKey, NewAccount,
    Rank,
};
use super::statements::{
    ACCOUNT_BY_ID, ACCOUNT_BY_LOGIN, ACCOUNT_BY_MAILBOX, ACCOUNT_DELETE, ACCOUNT_ID_BY_ADDRESS,
    ACCOUNT_ID_BY_LOGIN, ACCOUNT_IDS_BY_NAME, ACCOUNT_INSERT, ACCOUNT_TOUCH, ACCOUNT_UPDATE, ACCOUNTS_PAGE,
    ADDRESS_DELETE, ADDRESS_INSERT, ADDRESSES, FORWARD_DELETE, FORWARD_INSERT, FORWARDS, LOGIN_ALIAS_DELETE,
    LOGIN_ALIAS_INSERT, LOGIN_ALIASES, NEW_ACCOUNT,
};
use super::{Edit, MAX_PAGE, Rows, word};
use crate::sql::{Row, SqlError, params};
use catalog::account::{DomainKind, Status};
use mail::id::{AccountId, MailboxId};

/// Mailbox ids that are given by hand lie within this range on both sides of zero: the counter goes on above them.
pub const MAX_GIVEN_MAILBOX: i64 = 1 << 52;

impl Rows<'_> {
    /// An account by its id.
    ///
    /// # Errors
    /// Where the database fails or the row is damaged.
    pub fn account(&self, id: AccountId) -> Result<Option<AccountRow>, SqlError> {
        self.one(ACCOUNT_BY_ID, params![id.0], account)
    }

    /// The account of this very login name; aliases are not looked at.
    ///
    /// # Errors
    /// Where the database fails or the row is damaged.
    pub fn account_of_name(&self, key: &NameKey) -> Result<Option<AccountRow>, SqlError> {
        self.one(ACCOUNT_BY_LOGIN, params![key.domain, key.name], account)
    }

    /// The account of a mailbox.
    ///
    /// # Errors
    /// Where the database fails or the row is damaged.
    pub fn account_of_mailbox(&self, mailbox: MailboxId) -> Result<Option<AccountRow>, SqlError> {
        self.one(ACCOUNT_BY_MAILBOX, params![mailbox.0], account)
    }

    /// The accounts of a domain after that name key, in order, at most `limit` and [`MAX_PAGE`].
    ///
    /// # Errors
    /// Where the database fails or a row is damaged.
    pub fn accounts_after(&self, after: &NameKey, limit: u32) -> Result<Vec<AccountRow>, SqlError> {
        let limit = limit.min(MAX_PAGE);
        self.many(ACCOUNTS_PAGE, params![after.domain, after.name, limit], account)
    }

    /// Who has this login name or login alias.
    ///
    /// # Errors
    /// Where the database fails.
    pub fn login(&self, key: &NameKey) -> Result<Option<AccountId>, SqlError> {
        self.one(ACCOUNT_ID_BY_LOGIN, params![key.domain, key.name], id)
    }

    /// Accounts with this login name in any domain, at most two: enough to know whether it is only one.
    ///
    /// # Errors
    /// Where the database fails.
    pub fn logins_in_any_domain(&self, name_key: &str) -> Result<Vec<AccountId>, SqlError> {
        self.many(ACCOUNT_IDS_BY_NAME, params![name_key], id)
    }

    /// Who has this SMTP address.
    ///
    /// # Errors
    /// Where the database fails.
    pub fn address(&self, key: &NameKey) -> Result<Option<AccountId>, SqlError> {
        self.one(ACCOUNT_ID_BY_ADDRESS, params![key.domain, key.name], id)
    }

    /// What stands in the way of an account to be made by a request: of this class, with this login name and this local part of its
    /// address, both as keys of one domain. One round trip.
    ///
    /// # Errors
    /// Where the database fails.
    pub fn in_the_way(
        &self,
        request: &str,
        class: &str,
        login: &NameKey,
        local_key: &str,
        mailbox: Option<MailboxId>,
    ) -> Result<InTheWay, SqlError> {
        let mailbox = mailbox.map(|id| id.0);
        let values = params![request, class, login.domain, login.name, local_key, mailbox];
        let found = self.one(NEW_ACCOUNT, values, |row| {
            let account = |at| Ok::<_, SqlError>(row.get::<Option<i64>>(at)?.map(AccountId));
            let kind: Option<String> = row.get(2)?;
            let kind = kind.map(|kind| {
                DomainKind::parse(&kind)
                    .ok_or_else(|| SqlError::Broken(format!("the kind {kind:?} is not known")))
            });
            Ok(InTheWay {
                done: !request.is_empty() && row.get::<Option<i64>>(0)?.is_some(),
                class: row.get(1)?,
                domain: kind.transpose()?,
                login: account(3)?.or(account(4)?),
                address: account(5)?,
                mailbox: account(6)?,
            })
        })?;
        found.ok_or_else(|| SqlError::Broken("a statement that always finds a row has found none".into()))
    }

    /// The SMTP addresses of an account, the primary one first.
    ///
    /// # Errors
    /// Where the database fails.
    pub fn addresses(&self, account: AccountId) -> Result<Vec<AddressRow>, SqlError> {
        self.many(ADDRESSES, params![account.0], |row| {
            let rank = if row.get::<i64>(2)? == 1 { Rank::Primary } else { Rank::Alias };
            Ok(AddressRow { local_part: row.get(0)?, domain: row.get(1)?, rank })
        })
    }

    /// The login aliases of an account.
    ///
    /// # Errors
    /// Where the database fails.
    pub fn login_aliases(&self, account: AccountId) -> Result<Vec<NameKey>, SqlError> {
        self.many(LOGIN_ALIASES, params![account.0], |row| {
            Ok(NameKey { name: row.get(0)?, domain: row.get(1)? })
        })
    }

    /// The forwards of an account.
    ///
    /// # Errors
    /// Where the database fails.
    pub fn forwards(&self, account: AccountId) -> Result<Vec<ForwardRow>, SqlError> {
        self.many(FORWARDS, params![account.0], |row| {
            let place = ForwardPlace::of_word(&row.get::<String>(1)?);
            Ok(ForwardRow { address: row.get(0)?, place })
        })
    }
}

impl Edit<'_> {
    /// Adds an account with its first address. Its names and its mailbox are free, its domain and its class exist.
    ///
    /// # Errors
    /// Where the database fails, also because one of these does not hold.
    pub fn add_account(&self, new: &NewAccount) -> Result<(AccountId, MailboxId), SqlError> {
        let (id, mailbox) = self.insert_account(new)?;
        self.count_users(&new.class, 1)?;
        let (login, account) = (Changed::Login(NameKey::new(&new.name, &new.domain)), Changed::Account(id));
        match &new.address {
            None => {
                self.log(&login)?;
                self.log(&account)?;
            }
            Some(local_part) => {
                let key = NameKey::new(local_part, &new.domain);
                self.put(ADDRESS_INSERT, params![key.domain, key.name, local_part, id.0, 1_i64])?;
                self.log_three([&login, &Changed::Address(key), &account])?;
            }
        }
        Ok((id, mailbox))
    }

    fn insert_account(&self, new: &NewAccount) -> Result<(AccountId, MailboxId), SqlError> {
        let id = AccountId(self.session.next_numbers("account", 1)?);
        let mailbox = match new.mailbox {
            Some(given) => {
                self.session.raise_number("mailbox", given.0)?;
                given
            }
            None => MailboxId(self.session.next_numbers("mailbox", 1)?),
        };
        let key = NameKey::new(&new.name, &new.domain);
        self.put(
            ACCOUNT_INSERT,
            params![
                id.0,
                key.domain,
                key.name,
                new.name,
                mailbox.0,
                new.home,
                new.password,
                new.scram,
                new.status.to_string(),
                new.class,
                self.at.as_micros(),
            ],
        )?;
        Ok((id, mailbox))
    }

    /// Writes back an account that has been changed; name and domain stay.
    ///
    /// # Errors
    /// Where the database fails.
    pub fn change_account(&self, old: &AccountRow, new: &AccountRow) -> Result<(), SqlError> {
        let status = new.status.to_string();
        let forwarding = i64::from(new.forwarding == Forwarding::On);
        self.put(
            ACCOUNT_UPDATE,
            params![
                old.id.0,
                new.home,
                new.password,
                new.scram,
                status,
                new.class,
                forwarding,
                new.mailbox.0
            ],
        )?;
        if old.class != new.class {
            self.count_users(&old.class, -1)?;
            self.count_users(&new.class, 1)?;
        }
        if old.mailbox != new.mailbox {
            self.session.raise_number("mailbox", new.mailbox.0)?;
        }
        self.log(&Changed::Account(old.id))
    }

    /// Removes an account with all its names.
    ///
    /// # Errors
    /// Where the database fails.
    pub fn remove_account(&self, account: &AccountRow) -> Result<(), SqlError> {
        for address in self.addresses(account.id)? {
            self.log(&Changed::Address(NameKey::new(&address.local_part, &address.domain)))?;
        }
        for alias in self.login_aliases(account.id)? {
            self.log(&Changed::Login(alias))?;
        }
        self.put(ACCOUNT_DELETE, params![account.id.0])?;
        self.count_users(&account.class, -1)?;
        self.log(&Changed::Login(account.key()))?;
        self.log(&Changed::Account(account.id))
    }

    /// Gives an account an SMTP address that is free.
    ///
    /// # Errors
    /// Where the database fails, also because the address is taken.
    pub fn add_address(&self, id: AccountId, address: &AddressRow) -> Result<(), SqlError> {
        let key = NameKey::new(&address.local_part, &address.domain);
        let rank = i64::from(address.rank == Rank::Primary);
        self.put(ADDRESS_INSERT, params![key.domain, key.name, address.local_part, id.0, rank])?;
        self.log(&Changed::Address(key))?;
        self.touch(id)
    }

    /// Takes an SMTP address from an account; `false` where it has none such.
    ///
    /// # Errors
    /// Where the database fails.
    pub fn remove_address(&self, id: AccountId, key: &NameKey) -> Result<bool, SqlError> {
        if self.change(ADDRESS_DELETE, params![key.domain, key.name, id.0])? == 0 {
            return Ok(false);
        }
        self.log(&Changed::Address(key.clone()))?;
        self.touch(id).map(|()| true)
    }

    /// Gives an account a login alias that is free.
    ///
    /// # Errors
    /// Where the database fails, also because the alias is taken.
    pub fn add_login_alias(&self, id: AccountId, key: &NameKey) -> Result<(), SqlError> {
        self.put(LOGIN_ALIAS_INSERT, params![key.domain, key.name, id.0])?;
        self.log(&Changed::Login(key.clone()))?;
        self.touch(id)
    }

    /// Takes a login alias from an account; `false` where it has none such.
    ///
    /// # Errors
    /// Where the database fails.
    pub fn remove_login_alias(&self, id: AccountId, key: &NameKey) -> Result<bool, SqlError> {
        if self.change(LOGIN_ALIAS_DELETE, params![key.domain, key.name, id.0])? == 0 {
            return Ok(false);
        }
        self.log(&Changed::Login(key.clone()))?;
        self.touch(id).map(|()| true)
    }

    /// Adds a forward; `false` where the account has it already.
    ///
    /// # Errors
    /// Where the database fails.
    pub fn add_forward(&self, id: AccountId, key: &str, forward: &ForwardRow) -> Result<bool, SqlError> {
        let place = forward.place.word();
        if self.change(FORWARD_INSERT, params![id.0, key, forward.address, place])? == 0 {
            return Ok(false);
        }
        self.touch(id).map(|()| true)
    }

    /// Removes a forward; `false` where the account has none such.
    ///
    /// # Errors
    /// Where the database fails.
    pub fn remove_forward(&self, id: AccountId, key: &str, place: ForwardPlace) -> Result<bool, SqlError> {
        if self.change(FORWARD_DELETE, params![id.0, key, place.word()])? == 0 {
            return Ok(false);
        }
        self.touch(id).map(|()| true)
    }

    /// Makes copies of the account stale.
    pub(super) fn touch(&self, id: AccountId) -> Result<(), SqlError> {
        self.put(ACCOUNT_TOUCH, params![id.0])?;
        self.log(&Changed::Account(id))
    }
}

fn id(row: &Row<'_>) -> Result<AccountId, SqlError> {
    row.get(0).map(AccountId)
}

pub(super) fn account(row: &Row<'_>) -> Result<AccountRow, SqlError> {
    Ok(AccountRow {
        id: AccountId(row.get(0)?),
        name: row.get(1)?,
        domain: row.get(2)?,
        mailbox: MailboxId(row.get(3)?),
        home: row.get(4)?,
        password: row.get(5)?,
        scram: row.get(6)?,
        status: word(row, 7, Status::parse)?,
        class: row.get(8)?,
        forwarding: if row.get::<i64>(9)? == 1 { Forwarding::On } else { Forwarding::Off },
        version: row.get(10)?,
    })
}
