//! What changes of the directory mean for the copy.

use mail::id::AccountId;
use std::collections::HashMap;
use storage::directory::{AccountRecord, AddressRow, ChangeRow, Changed, MAX_PAGE, NameKey, Rows};
use storage::replica::{Entry, Key};
use storage::sql::SqlError;

/// Accounts whose ids are at most this far apart are read together.
const APART: i64 = 16;

/// The entries of the copy that these changes touch, as the directory has them now; each once. Accounts that were made one after the other
/// are read together, and a name is asked for only where no account that was read has it: the changes of a
/// thousand creations cost a few questions.
pub(super) fn entries(rows: &Rows<'_>, changes: &[ChangeRow]) -> Result<Vec<(Key, Entry)>, SqlError> {
    let mut touched: Vec<&Changed> = Vec::with_capacity(changes.len());
    let mut seen = std::collections::HashSet::with_capacity(changes.len());
    touched.extend(changes.iter().map(|change| &change.what).filter(|what| seen.insert(what.to_string())));
    let mut known = Known::read(rows, &touched)?;
    let entry = |what: &Changed| match known.entry(what) {
        Some(found) => Ok(found),
        None => entry(rows, what),
    };
    touched.into_iter().map(entry).collect()
}

/// Accounts that were read together, and whose the names are that they have.
#[derive(Default)]
struct Known {
    records: HashMap<AccountId, AccountRecord>,
    names: HashMap<Key, AccountId>,
}

impl Known {
    fn read(rows: &Rows<'_>, touched: &[&Changed]) -> Result<Self, SqlError> {
        let id = |what: &&Changed| if let Changed::Account(id) = what { Some(*id) } else { None };
        let mut ids: Vec<AccountId> = touched.iter().filter_map(id).collect();
        ids.sort_unstable();
        let mut known = Self::default();
        for (first, last) in stretches(&ids) {
            let count = u32::try_from(last.0 - first.0 + 1).unwrap_or(MAX_PAGE);
            for record in rows.records_after(AccountId(first.0 - 1), count)? {
                if ids.binary_search(&record.row.id).is_ok() {
                    known.add(record);
                }
            }
        }
        Ok(known)
    }

    fn add(&mut self, record: AccountRecord) {
        let id = record.row.id;
        self.names.insert(Key::Login(record.row.key()), id);
        self.names.extend(record.aliases.iter().cloned().map(|alias| (Key::Login(alias), id)));
        let address = |a: &AddressRow| (Key::Address(NameKey::new(&a.local_part, &a.domain)), id);
        self.names.extend(record.addresses.iter().map(address));
        self.records.insert(id, record);
    }

    /// What stands for something that has changed, where it was read. An account is handed out once.
    fn entry(&mut self, what: &Changed) -> Option<(Key, Entry)> {
        let key = match what {
            Changed::Account(id) => {
                let record = self.records.remove(id)?;
                return Some((Key::Account(*id), Entry::Account(Box::new(record))));
            }
            Changed::Login(name) => Key::Login(name.clone()),
            Changed::Address(name) => Key::Address(name.clone()),
            Changed::Domain(_) | Changed::Class(_) | Changed::Attribute(_) => return None,
        };
        let id = *self.names.get(&key)?;
        Some((key, Entry::Name(id)))
    }
}

/// Ids in order as stretches of more than one that are worth reading at once: first and last, a page at most.
fn stretches(ids: &[AccountId]) -> Vec<(AccountId, AccountId)> {
    let mut all: Vec<(AccountId, AccountId)> = Vec::new();
    for &id in ids {
        match all.last_mut() {
            Some((first, last))
                if id.0.saturating_sub(last.0) <= APART
                    && id.0.saturating_sub(first.0) < i64::from(MAX_PAGE) =>
            {
                *last = id
            }
            _ => all.push((id, id)),
        }
    }
    all.retain(|(first, last)| first != last);
    all
}

/// What stands in the directory now for something that has changed.
pub(super) fn entry(rows: &Rows<'_>, what: &Changed) -> Result<(Key, Entry), SqlError> {
    let (key, entry) = match what {
        Changed::Account(id) => {
            (Key::Account(*id), rows.record(*id)?.map(|record| Entry::Account(Box::new(record))))
        }
        Changed::Login(name) => (Key::Login(name.clone()), rows.login(name)?.map(Entry::Name)),
        Changed::Address(name) => (Key::Address(name.clone()), rows.address(name)?.map(Entry::Name)),
        Changed::Domain(name) => (Key::Domain(name.clone()), rows.domain(name)?.map(Entry::Domain)),
        Changed::Class(key) => {
            let class = match rows.class(key)? {
                Some(row) => Some(Entry::Class(row.name, rows.class_values(key)?)),
                None => None,
            };
            (Key::Class(key.clone()), class)
        }
        Changed::Attribute(key) => (Key::Attribute(key.clone()), rows.attribute(key)?.map(Entry::Attribute)),
    };
    Ok((key, entry.unwrap_or(Entry::Gone)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accounts_that_stand_together_are_read_together() {
        let of = |ids: &[i64]| {
            let ids: Vec<_> = ids.iter().copied().map(AccountId).collect();
            stretches(&ids).into_iter().map(|(first, last)| (first.0, last.0)).collect::<Vec<_>>()
        };
        assert_eq!(of(&[]), []);
        assert_eq!(of(&[5, 100, 1000]), []);
        assert_eq!(of(&[1, 2, 3, 40, 50, 90]), [(1, 3), (40, 50)]);
        let many: Vec<i64> = (0..2500).collect();
        assert_eq!(of(&many), [(0, 999), (1000, 1999), (2000, 2499)]);
        assert_eq!(of(&[i64::MIN + 1, i64::MAX]), []);
    }
}
