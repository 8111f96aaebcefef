//! Numbers that only grow, given out in the order of commits and without gaps.
//!
//! They stand in a table `counters (name TEXT PRIMARY KEY, value BIGINT)`. A transaction that writes is alone, so it
//! reads them once, counts in memory, and writes back what has changed before it commits: a savepoint that is
//! taken back gives its numbers back, and a row that many would change is changed once.

use super::SqlError;

/// Reads all of them.
pub(super) const ALL: &str = "SELECT name, value FROM counters";
/// Reads one.
pub(super) const ONE: &str = "SELECT value FROM counters WHERE name = ?1";
/// Writes one.
pub(super) const STORE: &str = "UPDATE counters SET value = ?2 WHERE name = ?1";

/// The numbers as a transaction sees them.
#[derive(Debug, Clone, Default)]
pub(super) struct Numbers(Vec<Number>);

#[derive(Debug, Clone)]
struct Number {
    name: String,
    stored: i64,
    value: i64,
}

impl Numbers {
    pub(super) fn new(rows: Vec<(String, i64)>) -> Self {
        Self(rows.into_iter().map(|(name, value)| Number { name, stored: value, value }).collect())
    }

    pub(super) fn get(&mut self, name: &str) -> Result<&mut i64, SqlError> {
        let number = self.0.iter_mut().find(|n| n.name == name);
        number.map(|n| &mut n.value).ok_or_else(|| missing(name))
    }

    /// What is to be written back.
    pub(super) fn changed(&self) -> impl Iterator<Item = (&str, i64)> {
        self.0.iter().filter(|n| n.value != n.stored).map(|n| (n.name.as_str(), n.value))
    }
}

pub(super) fn missing(name: &str) -> SqlError {
    SqlError::Broken(format!("the counter {name} is missing"))
}
