//! Whole accounts: made, or made like a record of them, in one transaction; and listed.
//!
//! Each step is the change that administrators ask for one by one, with its checks: what they may not, a record may not.

use super::{Outcome, Site, Stored, accounts, addresses, check, classes, conflict, find};
use crate::fault::Fault;
use mail::address::Address;
use mail::id::{AccountId, HostName};
use mail::password::StoredPassword;
use mail::secret::Secret;
use roles::directory::DirectoryError;
use roles::directory::provision::{
    AccountChange, Existing, Forwarding, Hashes, NewAccount, NewPassword, Place, Proofs, Reply, User,
    WHOLE_PAGE, WholeAccount,
};
use std::collections::BTreeSet;
use storage::directory::{self as tables, AccountRecord, AccountRow, AddressRow, Edit, NameKey, Rank, Rows};

pub(super) fn load(
    e: &Edit<'_>,
    site: &Site,
    whole: &WholeAccount,
    stored: Stored,
    (existing, request): (Existing, &str),
) -> Outcome {
    let Some(first) = whole.addresses.first() else {
        return Err(DirectoryError::Invalid("an account needs an address".into()).into());
    };
    let key = NameKey::new(whole.user.name.trim(), whole.user.domain.as_str());
    let Some(row) = e.account_of_name(&key)? else { return make(e, site, whole, first, stored, request) };
    let mut steps = Steps { e, user: &whole.user, changed: 0 };
    steps.account(&row, whole, existing, stored)?;
    steps.hung(&row, whole)?;
    match (steps.changed, existing) {
        (0, _) => Ok(Reply::Already(format!("{key} is so already"))),
        (_, Existing::Update) => Ok(Reply::Done),
        // What was tried goes with the transaction.
        (_, Existing::Refuse) => {
            Err(conflict(format!("there is an account {key} already, and it is not so")))
        }
    }
}

fn make(
    e: &Edit<'_>,
    site: &Site,
    whole: &WholeAccount,
    first: &Address,
    stored: Stored,
    request: &str,
) -> Outcome {
    if *first.domain() != whole.user.domain {
        let reason =
            format!("the first address of an account is in the domain of its login name, not {first}");
        return Err(DirectoryError::Invalid(reason).into());
    }
    // An account of which no password is known has an empty one, which nothing is equal to.
    let new = NewAccount {
        user: whole.user.clone(),
        local_part: first.local().to_owned(),
        mailbox: whole.mailbox,
        home: whole.home.clone(),
        password: NewPassword::Clear(Secret::new("")),
        status: whole.status,
        cos: Some(whole.cos.clone()),
    };
    let reply = accounts::create(e, site, &new, stored, request)?;
    let names = whole.addresses.len() + whole.login_aliases.len();
    if names == 1
        && whole.forwards.is_empty()
        && whole.values.is_empty()
        && whole.forwarding == Forwarding::On
    {
        return Ok(reply);
    }
    let row = find(e, &whole.user)?;
    let mut steps = Steps { e, user: &whole.user, changed: 0 };
    steps.hung(&row, whole)?;
    Ok(reply)
}

/// What brings an account to what its record says, and how much that was.
struct Steps<'a> {
    e: &'a Edit<'a>,
    user: &'a User,
    changed: usize,
}

impl Steps<'_> {
    fn did(&mut self, outcome: Outcome) -> Result<(), Fault> {
        self.changed += usize::from(!matches!(outcome?, Reply::Already(_)));
        Ok(())
    }

    fn change(&mut self, change: &AccountChange, stored: Stored) -> Result<(), Fault> {
        self.did(accounts::change(self.e, self.user, change, stored))
    }

    /// The row of the account. Its mailbox stays. Whether a password in the clear is its own is not looked at: that would take
    /// as long as a login; one that is to be so is set.
    fn account(
        &mut self,
        row: &AccountRow,
        whole: &WholeAccount,
        existing: Existing,
        stored: Stored,
    ) -> Result<(), Fault> {
        if let Some(mailbox) = whole.mailbox.filter(|mailbox| *mailbox != row.mailbox) {
            let reason = format!("{} has the mailbox {}, not {mailbox}: it stays", row.key(), row.mailbox);
            return Err(conflict(reason));
        }
        self.change(&AccountChange::Status(whole.status), Stored::default())?;
        self.change(&AccountChange::Cos(whole.cos.clone()), Stored::default())?;
        if let Some(home) = &whole.home {
            self.change(&AccountChange::Home(home.clone()), Stored::default())?;
        }
        let compares = |proofs: &&Proofs| matches!(proofs.password, NewPassword::Hashed(_));
        let update = existing == Existing::Update;
        if let Some(proofs) = whole.proofs.as_ref().filter(|proofs| update || compares(proofs)) {
            // Keys that do not come with it are made at the next login.
            let scram = if proofs.scram.is_none() && stored.password == row.password {
                row.scram.clone()
            } else {
                stored.scram
            };
            let stored = Stored { scram, ..stored };
            self.change(&AccountChange::Password(proofs.password.clone()), stored)?;
        }
        Ok(())
    }

    /// Values first: how many names and forwards there may be is one of them.
    fn hung(&mut self, row: &AccountRow, whole: &WholeAccount) -> Result<(), Fault> {
        self.values(row.id, &whole.values)?;
        self.addresses(row.id, &whole.addresses)?;
        self.aliases(row.id, &whole.login_aliases)?;
        self.forwards(row.id, &whole.forwards)?;
        self.change(&AccountChange::Forwarding(whole.forwarding), Stored::default())
    }

    fn values(&mut self, id: AccountId, wanted: &[(String, String)]) -> Result<(), Fault> {
        let there = self.e.overrides(id)?;
        let set = |steps: &mut Self, name: &str, value: Option<String>| {
            steps.did(classes::set_own(steps.e, steps.user, name, value))
        };
        let is =
            |name: &str, among: &[(String, String)]| among.iter().any(|(n, _)| n.eq_ignore_ascii_case(name));
        for (name, _) in there.iter().filter(|(name, _)| !is(name, wanted)) {
            set(self, name, None)?;
        }
        for (name, value) in wanted {
            if !there.iter().any(|(n, v)| n.eq_ignore_ascii_case(name) && v == value) {
                set(self, name, Some(value.clone()))?;
            }
        }
        Ok(())
    }

    fn addresses(&mut self, id: AccountId, wanted: &[Address]) -> Result<(), Fault> {
        let key = |address: &Address| NameKey::new(address.local(), address.domain().as_str());
        let there = self.e.addresses(id)?;
        let keys: BTreeSet<_> = wanted.iter().map(key).collect();
        for address in &there {
            let key = NameKey::new(&address.local_part, &address.domain);
            if !keys.contains(&key) && address.rank == Rank::Alias {
                self.changed += usize::from(self.e.remove_address(id, &key)?);
            }
        }
        let Some((first, rest)) = wanted.split_first() else { return Ok(()) };
        let primary = there.iter().find(|a| a.rank == Rank::Primary);
        let primary = primary.map(|a| NameKey::new(&a.local_part, &a.domain));
        if primary.as_ref() != Some(&key(first)) {
            self.first_address(id, primary, first, &keys)?;
        }
        for address in rest {
            self.did(addresses::create_alias(self.e, self.user, address))?;
        }
        Ok(())
    }

    /// Another address becomes the first one; the one before stays as an alias where the record has it.
    fn first_address(
        &mut self,
        id: AccountId,
        before: Option<NameKey>,
        first: &Address,
        wanted: &BTreeSet<NameKey>,
    ) -> Result<(), Fault> {
        let key = addresses::own_address(self.e, first)?;
        if self.e.address(&key)? != Some(id) {
            accounts::free_address(self.e, &key)?;
        }
        let add = |key: &NameKey, local_part: &str, rank| {
            let (local_part, domain) = (local_part.to_owned(), key.domain.clone());
            self.e.add_address(id, &AddressRow { local_part, domain, rank })
        };
        self.e.remove_address(id, &key)?;
        add(&key, first.local(), Rank::Primary)?;
        if let Some(before) = before {
            self.e.remove_address(id, &before)?;
            if wanted.contains(&before) {
                add(&before, &before.name, Rank::Alias)?;
            }
        }
        self.changed += 1;
        Ok(())
    }

    fn aliases(&mut self, id: AccountId, wanted: &[User]) -> Result<(), Fault> {
        let keys: BTreeSet<_> =
            wanted.iter().map(|u| NameKey::new(u.name.trim(), u.domain.as_str())).collect();
        for alias in self.e.login_aliases(id)?.iter().filter(|alias| !keys.contains(alias)) {
            self.changed += usize::from(self.e.remove_login_alias(id, alias)?);
        }
        for alias in wanted {
            self.did(addresses::create_login_alias(self.e, self.user, alias))?;
        }
        Ok(())
    }

    fn forwards(&mut self, id: AccountId, wanted: &[Address]) -> Result<(), Fault> {
        let keys: BTreeSet<_> = wanted.iter().map(Address::key).collect();
        for forward in self.e.forwards(id)? {
            let key = Address::parse(&forward.address).map_or_else(|_| forward.address.clone(), |a| a.key());
            if !keys.contains(&key) {
                self.changed += usize::from(self.e.remove_forward(id, &key, forward.place)?);
            }
        }
        for to in wanted {
            let here = self.e.domain(to.domain().as_str())?.is_some();
            let place = if here { Place::Local } else { Place::Remote };
            self.did(addresses::create_forward(self.e, self.user, place, to))?;
        }
        Ok(())
    }
}

/// A page of whole accounts. What cannot be read as what it is, such as a damaged password, is left out of its account.
pub(super) fn list(rows: &Rows<'_>, after: AccountId, hashes: Hashes) -> Outcome {
    let mut names = std::collections::BTreeMap::new();
    let mut page = Vec::new();
    for record in rows.records_after(after, WHOLE_PAGE)? {
        let key = record.row.class.clone();
        let cos = match names.get(&key) {
            Some(name) => String::clone(name),
            None => {
                let name = rows.class(&key)?.map_or_else(|| key.clone(), |class| class.name);
                names.insert(key, name.clone());
                name
            }
        };
        page.push((record.row.id, whole(record, cos, hashes)?));
    }
    Ok(Reply::Whole(page))
}

fn whole(record: AccountRecord, cos: String, hashes: Hashes) -> Result<WholeAccount, Fault> {
    let AccountRecord { row, addresses, aliases, forwards, overrides } = record;
    let stored = StoredPassword::parse(&row.password).ok().filter(|_| hashes == Hashes::With);
    let scram = Some(row.scram.as_str()).filter(|text| !text.is_empty()).map(Secret::new);
    let user =
        |name: String, domain: &str| Ok::<_, Fault>(User { name, domain: check::stored_domain(domain)? });
    let address =
        |a: AddressRow| Ok::<_, Fault>(Address::new(&a.local_part, check::stored_domain(&a.domain)?).ok());
    Ok(WholeAccount {
        mailbox: Some(row.mailbox),
        home: Some(HostName::new(&row.home)),
        proofs: stored.map(|password| Proofs { password: NewPassword::Hashed(password), scram }),
        status: row.status,
        cos,
        addresses: addresses.into_iter().filter_map(|a| address(a).transpose()).collect::<Result<_, _>>()?,
        login_aliases: aliases.into_iter().map(|a| user(a.name, &a.domain)).collect::<Result<_, _>>()?,
        forwarding: match row.forwarding {
            tables::Forwarding::On => Forwarding::On,
            tables::Forwarding::Off => Forwarding::Off,
        },
        forwards: forwards.iter().filter_map(|f| Address::parse(&f.address).ok()).collect(),
        values: overrides,
        user: user(row.name, &row.domain)?,
    })
}
