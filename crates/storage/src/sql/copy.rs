//! All rows of a server's database into a new file, in one snapshot: a copy that needs no server to be read.
//!
//! The file is what a new SQLite database of the same plan is, with the rows of the server in place of its own; its tables
//! and their columns say what is asked of the server, so that no table can be forgotten.

use super::migrate;
use super::value::{Row, Value};
use super::{Access, Session, Source, SqlError, sqlite};
use env::Env;
use std::path::Path;

/// A transaction of the file holds so many rows: it is of no use before the last one, and small ones are slow.
const ROWS: u64 = 50_000;

/// What a column holds, by the word that declares it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Type {
    Integer,
    Text,
    Bytes,
}

struct Table {
    name: String,
    columns: Vec<(String, Type)>,
}

pub(super) fn to_file(source: &Source, env: &Env, path: &Path) -> Result<(), SqlError> {
    let from = source.connect_checked(Access::Read, env)?;
    let into = Session::sqlite(sqlite::connect(path, Access::Write)?);
    migrate::run(&into, source.plan, env.clock.now())?;
    // A table of millions takes longer than a statement otherwise may.
    from.make("SET statement_timeout = 0")?;
    from.begin(Access::Read)?;
    into.begin(Access::Write)?;
    let tables = tables(&into)?;
    for table in tables.iter().rev() {
        into.change(&format!("DELETE FROM {}", table.name), &[])?;
    }
    for table in &tables {
        copy(&from, &into, table)?;
    }
    from.end_reading()?;
    into.commit()?;
    // One file, without a log beside it.
    into.each("PRAGMA journal_mode = delete", &[], |_| Ok(())).map(|_| ())
}

/// The tables in the order in which they were made: what is referred to comes first.
fn tables(file: &Session) -> Result<Vec<Table>, SqlError> {
    let names = "SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY rowid";
    let names: Vec<String> = file.many(names, &[], |row| row.get(0))?;
    let table = |name: String| {
        let columns = file.many(&format!("PRAGMA table_info({name})"), &[], |row| {
            Ok((row.get(1)?, Type::of(&row.get::<String>(2)?)))
        })?;
        Ok(Table { name, columns })
    };
    names.into_iter().map(table).collect()
}

fn copy(from: &Session, into: &Session, table: &Table) -> Result<(), SqlError> {
    let columns: Vec<&str> = table.columns.iter().map(|(name, _)| name.as_str()).collect();
    let numbers: Vec<String> = (1..=columns.len()).map(|n| format!("?{n}")).collect();
    let (name, columns) = (&table.name, columns.join(", "));
    let insert = format!("INSERT INTO {name} ({columns}) VALUES ({})", numbers.join(", "));
    let mut rows = 0;
    from.each(&format!("SELECT {columns} FROM {name}"), &[], |row| {
        let owned: Vec<Owned> = read(row, table)?;
        let values: Vec<Value<'_>> = owned.iter().map(Owned::value).collect();
        into.change(&insert, &values)?;
        rows += 1;
        if rows % ROWS == 0 {
            into.commit().and_then(|()| into.begin(Access::Write))?;
        }
        Ok(())
    })
    .map(|_| ())
}

enum Owned {
    Null,
    Integer(i64),
    Text(String),
    Bytes(Vec<u8>),
}

impl Owned {
    fn value(&self) -> Value<'_> {
        match self {
            Self::Null => Value::Null,
            Self::Integer(i) => Value::Integer(*i),
            Self::Text(t) => Value::Text(t),
            Self::Bytes(b) => Value::Bytes(b),
        }
    }
}

fn read(row: &Row<'_>, table: &Table) -> Result<Vec<Owned>, SqlError> {
    let of = |(at, (_, kind)): (usize, &(String, Type))| {
        Ok(match kind {
            Type::Integer => row.get::<Option<i64>>(at)?.map_or(Owned::Null, Owned::Integer),
            Type::Text => row.get::<Option<String>>(at)?.map_or(Owned::Null, Owned::Text),
            Type::Bytes => row.get::<Option<Vec<u8>>>(at)?.map_or(Owned::Null, Owned::Bytes),
        })
    };
    table.columns.iter().enumerate().map(of).collect()
}

impl Type {
    fn of(declared: &str) -> Self {
        match declared {
            "TEXT" => Self::Text,
            "BLOB" => Self::Bytes,
            _ => Self::Integer,
        }
    }
}
