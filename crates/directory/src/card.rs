//! What is known of one account, read in one snapshot: its rights, where its mail goes, and, unless it was read for mail alone,
//! its row and its names.

use crate::classes::{Class, Rights};
use catalog::account::Status;
use mail::address::Address;
use mail::id::{AccountId, HostName, MailboxId};
use mail::password::{BadPassword, ScramKeys, StoredPassword};
use roles::directory::Account;
use roles::store::Quota;
use std::sync::Arc;
use storage::directory::{AccountRecord, AccountRow, ForwardRow, Forwarding, NameKey, Rows};
use storage::replica;
use storage::sql::SqlError;

/// An account with what decisions about it need.
#[derive(Debug)]
pub(crate) struct Card {
    pub(crate) id: AccountId,
    pub(crate) version: i64,
    mailbox: MailboxId,
    pub(crate) home: HostName,
    pub(crate) status: Status,
    /// Its login name with domain, as shown.
    pub(crate) login: String,
    pub(crate) rights: Arc<Rights>,
    /// How much its mailbox may hold.
    quota: Quota,
    /// Forwards that are to be followed, if its rights allow.
    pub(crate) forwards: Vec<Address>,
    /// Forwards that are no addresses: they are skipped.
    pub(crate) bad_forwards: Vec<String>,
    whole: Option<Whole>,
}

/// What only logins and questions about senders need.
#[derive(Debug)]
struct Whole {
    row: AccountRow,
    /// The keys of its SMTP addresses.
    addresses: Vec<NameKey>,
}

impl Card {
    /// Reads an account; `None` where there is none.
    pub(crate) fn read(rows: &Rows<'_>, id: AccountId) -> Result<Option<Self>, SqlError> {
        let Some(record) = rows.record(id)? else { return Ok(None) };
        let class = Class::new(rows.class_values(&record.row.class)?);
        Ok(Some(Self::of(record, &class)))
    }

    /// Of an account and its class.
    pub(crate) fn of(record: AccountRecord, class: &Class) -> Self {
        let AccountRecord { row, addresses, forwards, overrides, .. } = record;
        let rights = class.rights(&overrides);
        let login = format!("{}@{}", row.name, row.domain);
        let (forwards, bad_forwards) = followed(row.forwarding, forwards);
        let addresses = addresses.iter().map(|a| NameKey::new(&a.local_part, &a.domain)).collect();
        Self {
            id: row.id,
            version: row.version,
            mailbox: row.mailbox,
            home: HostName::new(&row.home),
            status: row.status,
            quota: rights.limits.quota(&login, &row.domain),
            login,
            rights,
            forwards,
            bad_forwards,
            whole: Some(Whole { row, addresses }),
        }
    }

    /// Of an account of the copy, all that is needed for mail; `None`: its bytes are of no account.
    pub(crate) fn for_mail(account: &replica::Account<'_>, class: &Class) -> Option<Self> {
        let rights = class.rights(&account.overrides()?);
        let mut login = String::with_capacity(account.name.len() + 1 + account.domain.len());
        [account.name, "@", account.domain].iter().for_each(|part| login.push_str(part));
        let (forwards, bad_forwards) = followed(account.forwarding, account.forwards()?);
        Some(Self {
            id: account.id,
            version: account.version,
            mailbox: account.mailbox,
            home: HostName::new(account.home),
            status: account.status,
            quota: rights.limits.quota(&login, account.domain),
            login,
            rights,
            forwards,
            bad_forwards,
            whole: None,
        })
    }

    /// The account as the role shows it.
    pub(crate) fn account(&self) -> Account {
        Account {
            id: self.id,
            login: self.login.clone(),
            mailbox: self.mailbox,
            home: self.home.clone(),
            quota: self.quota.clone(),
            max_message: self.rights.max_message,
        }
    }

    /// Its row; not where it was read for mail alone.
    pub(crate) fn row(&self) -> Option<&AccountRow> {
        self.whole.as_ref().map(|whole| &whole.row)
    }

    /// Its password; an empty one, which nothing is equal to, where it was read for mail alone.
    pub(crate) fn password(&self) -> Result<StoredPassword, BadPassword> {
        StoredPassword::parse(self.row().map_or("", |row| &row.password))
    }

    /// Its SCRAM keys, where they are known.
    pub(crate) fn scram(&self) -> Option<ScramKeys> {
        ScramKeys::parse(&self.row()?.scram).ok()
    }

    /// Whether this is one of its SMTP addresses.
    pub(crate) fn has_address(&self, key: &NameKey) -> bool {
        self.whole.as_ref().is_some_and(|whole| whole.addresses.contains(key))
    }

    /// Whether anything is known by which its owner could prove who they are.
    pub(crate) fn can_be_proven(&self) -> bool {
        self.row().is_some_and(|row| !(row.password.is_empty() && row.scram.is_empty()))
    }

    /// Whether the account is there for anybody but administrators.
    pub(crate) fn is_visible(&self) -> bool {
        self.status != Status::Deleted
    }
}

/// The forwards that are to be followed, and those that are no addresses.
fn followed(forwarding: Forwarding, forwards: Vec<ForwardRow>) -> (Vec<Address>, Vec<String>) {
    let (mut good, mut bad) = (Vec::new(), Vec::new());
    if forwarding == Forwarding::On {
        for forward in forwards {
            match Address::parse(&forward.address) {
                Ok(address) => good.push(address),
                Err(_) => bad.push(forward.address),
            }
        }
    }
    (good, bad)
}
