//! Bringing a schema up to date, step by step, and refusing a database that this program does not understand.
//!
//! A step is an embedded file of statements that runs once, in one transaction together with its row in
//! `schema_steps`. Steps expand first and contract later: each says which is the oldest program that still works with a
//! database that has it, so that programs of neighbouring releases can share one database during an upgrade.
//!
//! [`Work::Expand`] runs when a database is opened: programs that run do not notice. [`Work::Backfill`] fills rows in
//! batches, each a short transaction that takes its turn among other writes; where it stands is kept in the database, so that
//! it goes on after whatever ends it. [`Work::Contract`] takes away what only older programs need, and waits until none is
//! connected. The last two run when an operator asks for them ([`Database::patch`]).

use super::value::params;
use super::{Access, Database, Session, SqlError};
use mail::time::Timestamp;

/// One step of a schema.
#[derive(Debug)]
pub struct Step {
    /// Counts from 1 without gaps.
    pub version: i64,
    /// What it brings, in a few words.
    pub name: &'static str,
    /// Its statements.
    pub statements: &'static str,
    /// The newest step that the oldest program knew which still works after this one.
    pub compatible: i64,
    /// What kind it is.
    pub work: Work,
}

/// What a step does, and when.
#[derive(Debug, Clone, Copy)]
pub enum Work {
    /// Adds; when the database is opened.
    Expand,
    /// Adds, then fills what was added; when asked.
    Backfill(Backfill),
    /// Takes away; when asked, and no older program is connected.
    Contract,
}

/// How rows are filled.
#[derive(Debug, Clone, Copy)]
pub struct Backfill {
    /// Fills at most so many rows behind a position, which is empty at first. May be asked twice for the same rows.
    pub batch: fn(&Session, &str, u32) -> Result<Batch, SqlError>,
    /// A statement that counts the rows that there are.
    pub count: &'static str,
}

/// What one batch has done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Batch {
    /// How many rows it has looked at.
    pub rows: i64,
    /// Where the next one begins; `None`: there is none.
    pub next: Option<String>,
}

/// All steps of a schema in order; the last is the newest that this program knows.
pub type Plan = [Step];

/// How far [`Database::patch`] goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Until {
    /// Everything that programs of the release before do not notice.
    Contraction,
    /// Everything.
    End,
}

/// Where a backfill stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Progress {
    /// The name of the step.
    pub step: &'static str,
    /// Rows that are filled, since the step was first begun.
    pub rows: i64,
    /// Rows that there were when it was first begun.
    pub of: i64,
}

/// What [`Database::patch`] has come to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Patched {
    /// Nothing is left, as far as was asked.
    Done,
    /// A step waits until older programs are gone: its name, and how many connections they have.
    InUse(&'static str, usize),
}

const MAKE_TABLES: &str = "CREATE TABLE IF NOT EXISTS schema_steps (
    version BIGINT PRIMARY KEY, name TEXT NOT NULL, compatible BIGINT NOT NULL, applied BIGINT NOT NULL);
CREATE TABLE IF NOT EXISTS schema_progress (
    version BIGINT PRIMARY KEY, position TEXT NOT NULL, done BIGINT NOT NULL, total BIGINT NOT NULL)";
const FOUND: &str = "SELECT COALESCE(MAX(version), 0), COALESCE(MAX(compatible), 0) FROM schema_steps";
const APPLIED: &str = "INSERT INTO schema_steps (version, name, compatible, applied) VALUES (?1, ?2, ?3, ?4)";
const PROGRESS: &str = "SELECT position, done, total FROM schema_progress WHERE version = ?1";
const PROGRESS_SET: &str =
    "INSERT INTO schema_progress (version, position, done, total) VALUES (?1, ?2, ?3, ?4)
    ON CONFLICT (version) DO UPDATE SET position = excluded.position, done = excluded.done";
const PROGRESS_END: &str = "DELETE FROM schema_progress WHERE version = ?1";
/// Rows of one batch: a few milliseconds, for which other writes wait.
const BATCH: u32 = 500;

/// The newest step that a plan has.
pub(super) fn newest(plan: &Plan) -> i64 {
    plan.last().map_or(0, |s| s.version)
}

/// Applies the steps that are missing, as far as nobody has to ask for them; returns the first that somebody has to ask
/// for. Two processes that open the same database at the same time do it once.
///
/// # Errors
/// [`SqlError::Version`] where the database is newer than this program can work with, [`SqlError::Pending`] where this
/// program needs more than may be done unasked; a step that fails leaves the schema as it was before the step.
pub(super) fn run(
    session: &Session,
    plan: &'static Plan,
    now: Timestamp,
) -> Result<Option<&'static Step>, SqlError> {
    loop {
        session.begin(Access::Write)?;
        let applied = next_expansion(session, plan, now).and_then(|next| session.commit().map(|()| next));
        match applied {
            Ok(Next::Applied) => {}
            Ok(Next::Asked(step)) => return Ok(step),
            Err(error) => {
                let _ = session.roll_back();
                return Err(error);
            }
        }
    }
}

enum Next {
    Applied,
    Asked(Option<&'static Step>),
}

fn next_expansion(session: &Session, plan: &'static Plan, now: Timestamp) -> Result<Next, SqlError> {
    session.make(MAKE_TABLES)?;
    let Some(step) = next(session, plan)? else { return Ok(Next::Asked(None)) };
    match step.work {
        Work::Expand => {
            session.make(step.statements)?;
            note(session, step, now)?;
            Ok(Next::Applied)
        }
        Work::Backfill(_) | Work::Contract => {
            let needs_more = plan.iter().any(|s| s.version > step.version && matches!(s.work, Work::Expand));
            if needs_more { Err(SqlError::Pending(step.name)) } else { Ok(Next::Asked(Some(step))) }
        }
    }
}

/// Whether a program that knows steps up to this one may use the database.
///
/// # Errors
/// [`SqlError::Version`] where it may not.
pub(super) fn check(session: &Session, newest: i64) -> Result<i64, SqlError> {
    let found = session.one(FOUND, &[], |row| Ok((row.get::<i64>(0)?, row.get::<i64>(1)?)))?;
    let (found, compatible) = found.unwrap_or_default();
    if found > newest && compatible > newest {
        return Err(SqlError::Version { found, oldest: 0, newest });
    }
    Ok(found)
}

fn next(session: &Session, plan: &'static Plan) -> Result<Option<&'static Step>, SqlError> {
    let found = check(session, newest(plan))?;
    Ok(plan.iter().find(|s| s.version > found))
}

fn note(session: &Session, step: &Step, now: Timestamp) -> Result<(), SqlError> {
    let now = now.as_micros();
    session.change(APPLIED, params![step.version, step.name, step.compatible, now]).map(|_| ())
}

/// What one transaction of [`Database::patch`] has done.
enum Round {
    Ended(Patched),
    Applied,
    Filled(Progress),
}

impl Database {
    /// Carries out the steps of the plan that are asked for, in transactions that take their turn among other writes;
    /// `tell` hears of every batch. May be broken off at any point, and goes on there when it is called again.
    ///
    /// # Errors
    /// Where the database fails: what is done so far stands.
    pub async fn patch(
        &self,
        plan: &'static Plan,
        until: Until,
        now: Timestamp,
        mut tell: impl FnMut(&Progress),
    ) -> Result<Patched, SqlError> {
        loop {
            match self.write(move |session| round(session, plan, until, now)).await? {
                Round::Ended(patched) => return Ok(patched),
                Round::Applied => {}
                Round::Filled(progress) => tell(&progress),
            }
        }
    }
}

fn round(session: &Session, plan: &'static Plan, until: Until, now: Timestamp) -> Result<Round, SqlError> {
    let Some(step) = next(session, plan)? else { return Ok(Round::Ended(Patched::Done)) };
    match step.work {
        Work::Backfill(backfill) => fill(session, step, backfill, now),
        Work::Contract if until == Until::Contraction => Ok(Round::Ended(Patched::Done)),
        Work::Expand | Work::Contract => {
            let older = session.programs_older_than(step.version)?;
            if older > 0 && matches!(step.work, Work::Contract) {
                return Ok(Round::Ended(Patched::InUse(step.name, older)));
            }
            session.make(step.statements)?;
            note(session, step, now)?;
            Ok(Round::Applied)
        }
    }
}

fn fill(
    session: &Session,
    step: &'static Step,
    backfill: Backfill,
    now: Timestamp,
) -> Result<Round, SqlError> {
    let begun = session.one(PROGRESS, params![step.version], |row| {
        Ok((row.get::<String>(0)?, row.get::<i64>(1)?, row.get::<i64>(2)?))
    })?;
    let (position, done, of) = match begun {
        Some(begun) => begun,
        None => {
            session.make(step.statements)?;
            let count = session.one(backfill.count, &[], |row| row.get(0))?;
            (String::new(), 0, count.unwrap_or(0))
        }
    };
    let batch = (backfill.batch)(session, &position, BATCH)?;
    let rows = done + batch.rows;
    match batch.next {
        Some(next) => session.change(PROGRESS_SET, params![step.version, next, rows, of])?,
        None => {
            note(session, step, now)?;
            session.change(PROGRESS_END, params![step.version])?
        }
    };
    Ok(Round::Filled(Progress { step: step.name, rows, of }))
}
