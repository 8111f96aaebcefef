//! Numbers that only grow, given out in the order of commits and without gaps.
//!
//! They stand in a table `counters (name TEXT PRIMARY KEY, value BIGINT)`. A transaction that writes is alone, so it
//! reads them once, counts in memory, and writes back what has changed before it commits: a savepoint that is
//! taken back gives its numbers back, and a row that many would change is changed once. The same holds of counts that stand in
//! rows of their own ([`Sums`]): what is added to them is added up, and written before the transaction ends or somebody
//! reads them.

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

/// What is to be added to counts.
#[derive(Debug, Clone, Default)]
pub(super) struct Sums(Vec<Sum>);

#[derive(Debug, Clone)]
struct Sum {
    sql: &'static str,
    key: String,
    by: i64,
}

impl Sums {
    /// Adds to the count that this statement changes: `?1` is the key of its row, `?2` what is added.
    pub(super) fn add(&mut self, sql: &'static str, key: &str, by: i64) {
        match self.0.iter_mut().find(|sum| sum.sql == sql && sum.key == key) {
            Some(sum) => sum.by += by,
            None => self.0.push(Sum { sql, key: key.to_owned(), by }),
        }
    }

    /// What is to be written, each once.
    pub(super) fn take(&mut self) -> impl Iterator<Item = (&'static str, String, i64)> {
        std::mem::take(&mut self.0).into_iter().filter(|sum| sum.by != 0).map(|s| (s.sql, s.key, s.by))
    }
}

/// What a transaction that writes has in memory. A write that is taken back takes back its share.
#[derive(Debug, Clone, Default)]
pub(super) struct Counted {
    /// `None` until they are needed.
    pub(super) numbers: Option<Numbers>,
    pub(super) sums: Sums,
}

pub(super) fn missing(name: &str) -> SqlError {
    SqlError::Broken(format!("the counter {name} is missing"))
}
