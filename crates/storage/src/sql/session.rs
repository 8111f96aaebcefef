//! A connection to either engine: what closures run statements on, and what the threads put around them.

use super::numbers::{self, Counted, Numbers};
use super::postgres::{self, State};
use super::value::{Columns, Row, Value, params};
use super::{Access, SqlError, sqlite};
use rusqlite::params_from_iter;
use std::cell::{RefCell, RefMut};

/// A transaction as a closure sees it. Statements are of the common subset, with `?1` for the first value.
pub struct Session {
    engine: Engine,
    /// `None` outside of transactions that write.
    counted: RefCell<Option<Counted>>,
    /// As it was before the write that runs.
    before: RefCell<Option<Counted>>,
}

enum Engine {
    Sqlite(rusqlite::Connection),
    Postgres(Box<RefCell<postgres::Connection>>),
}

/// Every writer of a database takes this lock of PostgreSQL's for its transaction, so that writers of several processes
/// take turns as they do in SQLite: what one decides by, no other changes, and numbers come in the order of commits.
const WRITER: &str = "BEGIN; SELECT pg_advisory_xact_lock(5283915147526824301)";
/// What a reader sees does not change while it looks.
const SNAPSHOT: &str = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";

impl Session {
    pub(super) fn sqlite(connection: rusqlite::Connection) -> Self {
        Self::new(Engine::Sqlite(connection))
    }

    pub(super) fn postgres(connection: postgres::Connection) -> Self {
        Self::new(Engine::Postgres(Box::new(RefCell::new(connection))))
    }

    fn new(engine: Engine) -> Self {
        Self { engine, counted: RefCell::new(None), before: RefCell::new(None) }
    }

    /// Runs a statement and hands over each row that it finds; how many it has found or changed.
    ///
    /// # Errors
    /// What the engine says, or the closure.
    pub fn each(
        &self,
        sql: &str,
        values: &[Value<'_>],
        mut each: impl FnMut(&Row<'_>) -> Result<(), SqlError>,
    ) -> Result<u64, SqlError> {
        match &self.engine {
            Engine::Sqlite(connection) => {
                let mut statement = connection.prepare_cached(sql)?;
                let mut rows = statement.query(params_from_iter(values))?;
                let mut count = 0;
                while let Some(row) = rows.next()? {
                    each(&Row(Columns::Sqlite(row)))?;
                    count += 1;
                }
                Ok(count)
            }
            Engine::Postgres(connection) => borrow(connection)?.run(sql, values, &mut each),
        }
    }

    /// The first row that a statement finds.
    ///
    /// # Errors
    /// What the engine says, or the closure.
    pub fn one<T>(
        &self,
        sql: &str,
        values: &[Value<'_>],
        mut make: impl FnMut(&Row<'_>) -> Result<T, SqlError>,
    ) -> Result<Option<T>, SqlError> {
        let mut found = None;
        self.each(sql, values, |row| {
            if found.is_none() {
                found = Some(make(row)?);
            }
            Ok(())
        })?;
        Ok(found)
    }

    /// All rows that a statement finds: it has a LIMIT, or finds few by its nature.
    ///
    /// # Errors
    /// What the engine says, or the closure.
    pub fn many<T>(
        &self,
        sql: &str,
        values: &[Value<'_>],
        mut make: impl FnMut(&Row<'_>) -> Result<T, SqlError>,
    ) -> Result<Vec<T>, SqlError> {
        let mut found = Vec::new();
        self.each(sql, values, |row| {
            found.push(make(row)?);
            Ok(())
        })?;
        Ok(found)
    }

    /// Runs a statement that changes rows; how many.
    ///
    /// # Errors
    /// What the engine says.
    pub fn change(&self, sql: &str, values: &[Value<'_>]) -> Result<u64, SqlError> {
        match &self.engine {
            Engine::Sqlite(connection) => {
                let changed = connection.prepare_cached(sql)?.execute(params_from_iter(values))?;
                Ok(u64::try_from(changed).unwrap_or(u64::MAX))
            }
            Engine::Postgres(connection) => borrow(connection)?.run(sql, values, &mut |_| Ok(())),
        }
    }

    /// Runs a statement that changes rows before anything else is read, without waiting for it: where it fails, so does
    /// the transaction. This is what makes a change of many statements cost few round trips.
    ///
    /// # Errors
    /// What the engine says already.
    pub fn change_later(&self, sql: &str, values: &[Value<'_>]) -> Result<(), SqlError> {
        match &self.engine {
            Engine::Sqlite(_) => self.change(sql, values).map(|_| ()),
            Engine::Postgres(connection) => borrow(connection)?.later(sql, values),
        }
    }

    /// Runs a text of statements that make or change tables.
    ///
    /// # Errors
    /// What the engine says.
    pub fn make(&self, statements: &str) -> Result<(), SqlError> {
        match &self.engine {
            Engine::Sqlite(connection) => Ok(connection.execute_batch(statements)?),
            Engine::Postgres(connection) => borrow(connection)?.batch(&postgres::schema(statements)),
        }
    }

    /// The last number that was given out under that name.
    ///
    /// # Errors
    /// Where there is none, or the database fails.
    pub fn number(&self, name: &str) -> Result<i64, SqlError> {
        if self.counted.borrow().is_some() {
            return self.with_number(name, |n| *n);
        }
        self.one(numbers::ONE, params![name], |row| row.get(0))?.ok_or_else(|| numbers::missing(name))
    }

    /// Gives out the next `count` numbers; the first of them.
    ///
    /// # Errors
    /// As [`Session::number`]; outside of a transaction that writes.
    pub fn next_numbers(&self, name: &str, count: u32) -> Result<i64, SqlError> {
        self.with_number(name, |n| {
            *n += i64::from(count);
            *n - i64::from(count) + 1
        })
    }

    /// Numbers up to this one are not given out any more.
    ///
    /// # Errors
    /// As [`Session::next_numbers`].
    pub fn raise_number(&self, name: &str, to: i64) -> Result<(), SqlError> {
        self.with_number(name, |n| *n = to.max(*n))
    }

    fn with_number<T>(&self, name: &str, work: impl FnOnce(&mut i64) -> T) -> Result<T, SqlError> {
        let unread = self.counted.borrow().as_ref().is_some_and(|counted| counted.numbers.is_none());
        if unread {
            let rows = self.many(numbers::ALL, &[], |row| Ok((row.get(0)?, row.get(1)?)))?;
            if let Some(counted) = &mut *self.counted.borrow_mut() {
                counted.numbers = Some(Numbers::new(rows));
            }
        }
        match &mut *self.counted.borrow_mut() {
            Some(Counted { numbers: Some(numbers), .. }) => numbers.get(name).map(work),
            _ => Err(SqlError::Broken("a number was taken outside of a change".into())),
        }
    }

    /// Adds to a count that stands in a row: the statement adds `?2` where `?1` is the row's key. It runs once for all
    /// that is added in a transaction; whoever reads the count calls [`Session::settle`] before.
    ///
    /// # Errors
    /// Outside of a transaction that writes.
    pub fn add_to(&self, sql: &'static str, key: &str, by: i64) -> Result<(), SqlError> {
        let mut counted = self.counted.borrow_mut();
        let outside = || SqlError::Broken("a count was changed outside of a change".into());
        counted.as_mut().ok_or_else(outside)?.sums.add(sql, key, by);
        Ok(())
    }

    /// Writes what was added to counts, so that they can be read.
    ///
    /// # Errors
    /// What the engine says already.
    pub fn settle(&self) -> Result<(), SqlError> {
        let open: Vec<_> = match &mut *self.counted.borrow_mut() {
            Some(counted) => counted.sums.take().collect(),
            None => return Ok(()),
        };
        open.into_iter().try_for_each(|(sql, key, by)| self.change_later(sql, params![key, by]))
    }
}

/// How this program's connections call themselves, before the newest step of the schema that it knows.
pub(super) const PROGRAM: &str = "intermail schema ";
const PROGRAMS: &str = "SELECT COALESCE(application_name, '') FROM pg_stat_activity
    WHERE datname = current_database() AND pid <> pg_backend_pid()";

/// What the threads and the steps of the schema do.
impl Session {
    /// Where it leads, for the log.
    pub(super) fn place(&self) -> String {
        match &self.engine {
            Engine::Sqlite(connection) => connection.path().unwrap_or_default().to_owned(),
            Engine::Postgres(connection) => {
                connection.try_borrow().map_or_else(|_| String::new(), |c| c.place().to_owned())
            }
        }
    }

    /// How many connections programs have that do not know this step. A file is used by one program at a time.
    pub(super) fn programs_older_than(&self, version: i64) -> Result<usize, SqlError> {
        if matches!(self.engine, Engine::Sqlite(_)) {
            return Ok(0);
        }
        let names = self.many(PROGRAMS, &[], |row| row.get::<String>(0))?;
        let known = names.iter().filter_map(|n| n.strip_prefix(PROGRAM)?.parse::<i64>().ok());
        Ok(known.filter(|known| *known < version).count())
    }

    /// Begins a transaction.
    pub(super) fn begin(&self, access: Access) -> Result<(), SqlError> {
        match (&self.engine, access) {
            (Engine::Sqlite(connection), Access::Read) => sqlite::execute(connection, "BEGIN")?,
            (Engine::Sqlite(connection), Access::Write) => sqlite::execute(connection, "BEGIN IMMEDIATE")?,
            (Engine::Postgres(connection), access) => {
                let mut connection = borrow(connection)?;
                if !connection.is_alive() {
                    return Err(SqlError::Unavailable("the server has ended the connection".into()));
                }
                match access {
                    Access::Read => connection.later(SNAPSHOT, &[])?,
                    Access::Write => connection.batch(WRITER)?,
                }
            }
        }
        *self.counted.borrow_mut() = (access == Access::Write).then(Counted::default);
        Ok(())
    }

    /// Ends a transaction that has only read.
    pub(super) fn end_reading(&self) -> Result<(), SqlError> {
        match &self.engine {
            Engine::Sqlite(connection) => sqlite::execute(connection, "COMMIT"),
            Engine::Postgres(connection) => {
                let mut connection = borrow(connection)?;
                connection.end_with("COMMIT")
            }
        }
    }

    /// Makes a transaction last.
    pub(super) fn commit(&self) -> Result<(), SqlError> {
        self.settle()?;
        if let Some(Counted { numbers: Some(numbers), .. }) = self.counted.take() {
            for (name, value) in numbers.changed() {
                self.change_later(numbers::STORE, params![name, value])?;
            }
        }
        match &self.engine {
            Engine::Sqlite(connection) => sqlite::execute(connection, "COMMIT"),
            Engine::Postgres(connection) => {
                let mut connection = borrow(connection)?;
                if connection.state() != State::Within {
                    // The server would answer a COMMIT without an error, and take everything back.
                    return Err(SqlError::Unavailable("the transaction was taken back by the server".into()));
                }
                connection.later("COMMIT", &[])?;
                connection.wait()
            }
        }
    }

    /// Takes a transaction back, where there is one.
    pub(super) fn roll_back(&self) -> Result<(), SqlError> {
        self.counted.take();
        match &self.engine {
            Engine::Sqlite(connection) if connection.is_autocommit() => Ok(()),
            Engine::Sqlite(connection) => sqlite::execute(connection, "ROLLBACK"),
            Engine::Postgres(connection) => {
                let mut connection = borrow(connection)?;
                // What went wrong with statements that nobody waited for goes with them.
                let _ = connection.wait();
                match connection.state() {
                    State::Within | State::Failed => connection.batch("ROLLBACK"),
                    State::Idle | State::Lost => Ok(()),
                }
            }
        }
    }

    /// Begins a write within a transaction.
    pub(super) fn begin_write(&self) -> Result<(), SqlError> {
        self.before.replace(self.counted.borrow().clone());
        self.control("SAVEPOINT one")
    }

    /// Keeps what the write has done.
    pub(super) fn keep_write(&self) -> Result<(), SqlError> {
        self.control("RELEASE SAVEPOINT one")?;
        match &self.engine {
            Engine::Sqlite(_) => Ok(()),
            Engine::Postgres(connection) => borrow(connection)?.wait(),
        }
    }

    /// Takes back what the write has done.
    pub(super) fn undo_write(&self) -> Result<(), SqlError> {
        self.counted.replace(self.before.take());
        match &self.engine {
            Engine::Sqlite(connection) => {
                sqlite::execute(connection, "ROLLBACK TO SAVEPOINT one")?;
                sqlite::execute(connection, "RELEASE SAVEPOINT one")
            }
            Engine::Postgres(connection) => {
                let mut connection = borrow(connection)?;
                // What went wrong with statements that nobody waited for goes with them.
                let _ = connection.wait();
                connection.batch("ROLLBACK TO SAVEPOINT one; RELEASE SAVEPOINT one")
            }
        }
    }

    pub(super) fn state(&self) -> State {
        match &self.engine {
            Engine::Sqlite(connection) if connection.is_autocommit() => State::Idle,
            Engine::Sqlite(_) => State::Within,
            Engine::Postgres(connection) => connection.try_borrow().map_or(State::Lost, |c| c.state()),
        }
    }

    fn control(&self, statement: &'static str) -> Result<(), SqlError> {
        match &self.engine {
            Engine::Sqlite(connection) => sqlite::execute(connection, statement),
            Engine::Postgres(connection) => borrow(connection)?.later(statement, &[]),
        }
    }
}

fn borrow(connection: &RefCell<postgres::Connection>) -> Result<RefMut<'_, postgres::Connection>, SqlError> {
    let within = |_| SqlError::Broken("a statement was run while the rows of another were read".into());
    connection.try_borrow_mut().map_err(within)
}
