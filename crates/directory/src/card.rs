//! What is known of one account, read in one snapshot and kept in the cache: its row, its rights, its names.

use crate::classes::Rights;
use catalog::account::Status;
use mail::address::Address;
use mail::id::{AccountId, HostName};
use mail::password::{BadPassword, ScramKeys, StoredPassword};
use roles::directory::Account;
use roles::store::Quota;
use storage::directory::{AccountRecord, AccountRow, Forwarding, NameKey, Rows, Values};
use storage::sql::SqlError;

/// An account with all that decisions about it need.
#[derive(Debug)]
pub(crate) struct Card {
    pub(crate) row: AccountRow,
    /// Its login name with domain, as shown.
    pub(crate) login: String,
    pub(crate) password: Result<StoredPassword, BadPassword>,
    pub(crate) scram: Option<ScramKeys>,
    pub(crate) rights: Rights,
    /// How much its mailbox may hold.
    pub(crate) quota: Quota,
    /// Forwards that are to be followed, if its rights allow.
    pub(crate) forwards: Vec<Address>,
    /// Forwards that are no addresses: they are skipped.
    pub(crate) bad_forwards: Vec<String>,
    /// The keys of its SMTP addresses.
    pub(crate) addresses: Vec<NameKey>,
}

impl Card {
    /// Reads an account; `None` where there is none.
    pub(crate) fn read(rows: &Rows<'_>, id: AccountId) -> Result<Option<Self>, SqlError> {
        let Some(record) = rows.record(id)? else { return Ok(None) };
        let class = rows.class_values(&record.row.class)?;
        Ok(Some(Self::of(record, &class)))
    }

    /// Of an account and the values of its class.
    pub(crate) fn of(record: AccountRecord, class: &Values) -> Self {
        let AccountRecord { row, addresses, forwards, overrides, .. } = record;
        let rights = Rights::of(&overrides, class);
        let forwards = if row.forwarding == Forwarding::On { forwards } else { Vec::new() };
        let (mut good, mut bad) = (Vec::new(), Vec::new());
        for forward in forwards {
            match Address::parse(&forward.address) {
                Ok(address) => good.push(address),
                Err(_) => bad.push(forward.address),
            }
        }
        let login = format!("{}@{}", row.name, row.domain);
        Self {
            quota: rights.limits.quota(&login, &row.domain),
            login,
            password: StoredPassword::parse(&row.password),
            scram: ScramKeys::parse(&row.scram).ok(),
            forwards: good,
            bad_forwards: bad,
            addresses: addresses.iter().map(|a| NameKey::new(&a.local_part, &a.domain)).collect(),
            rights,
            row,
        }
    }

    /// The account as the role shows it.
    pub(crate) fn account(&self) -> Account {
        Account {
            id: self.row.id,
            login: self.login.clone(),
            mailbox: self.row.mailbox,
            home: HostName::new(&self.row.home),
            quota: self.quota.clone(),
            max_message: self.rights.max_message,
        }
    }

    /// Whether anything is known by which its owner could prove who they are.
    pub(crate) fn can_be_proven(&self) -> bool {
        !(self.row.password.is_empty() && self.row.scram.is_empty())
    }

    /// Whether the account is there for anybody but administrators.
    pub(crate) fn is_visible(&self) -> bool {
        self.row.status != Status::Deleted
    }
}
