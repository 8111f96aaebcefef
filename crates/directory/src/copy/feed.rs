//! What changes of the directory mean for the copy.

use storage::directory::{ChangeRow, Changed, Rows};
use storage::replica::{Entry, Key};
use storage::sql::SqlError;

/// The entries of the copy that these changes touch, as the directory has them now; each once.
pub(super) fn entries(rows: &Rows<'_>, changes: &[ChangeRow]) -> Result<Vec<(Key, Entry)>, SqlError> {
    let mut touched: Vec<&Changed> = Vec::with_capacity(changes.len());
    let mut seen = std::collections::HashSet::with_capacity(changes.len());
    touched.extend(changes.iter().map(|change| &change.what).filter(|what| seen.insert(what.to_string())));
    touched.into_iter().map(|what| entry(rows, what)).collect()
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
