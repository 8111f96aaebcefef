//! Bringing a schema up to date, step by step, and refusing a file that this program does not understand.
//!
//! A step is an embedded file of statements that runs once, in one transaction together with its row in
//! `schema_steps`. Steps expand first and contract later: each says which is the oldest program that still works with a
//! database that has it, so that programs of neighbouring releases can share one database during an upgrade.

use super::SqlError;
use mail::time::Timestamp;
use rusqlite::{Connection, TransactionBehavior, params};

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
}

/// All steps of a schema in order; the last is the newest that this program knows.
pub type Plan = [Step];

const MAKE_TABLE: &str = "CREATE TABLE IF NOT EXISTS schema_steps (
    version BIGINT PRIMARY KEY, name TEXT NOT NULL, compatible BIGINT NOT NULL, applied BIGINT NOT NULL)";
const FOUND: &str = "SELECT COALESCE(MAX(version), 0), COALESCE(MAX(compatible), 0) FROM schema_steps";
const APPLIED: &str = "INSERT INTO schema_steps (version, name, compatible, applied) VALUES (?1, ?2, ?3, ?4)";

/// Applies the steps that are missing. Two processes that open the same file at the same time do it once.
///
/// # Errors
/// [`SqlError::Version`] where the file is newer than this program can work with; a step that fails leaves
/// the schema as it was before the step.
pub fn run(connection: &mut Connection, plan: &Plan, now: Timestamp) -> Result<(), SqlError> {
    connection.execute_batch(MAKE_TABLE)?;
    loop {
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let (found, compatible): (i64, i64) =
            transaction.query_row(FOUND, [], |row| Ok((row.get(0)?, row.get(1)?)))?;
        let newest = plan.last().map_or(0, |s| s.version);
        if found > newest {
            let works = compatible <= newest;
            return if works { Ok(()) } else { Err(SqlError::Version { found, oldest: 0, newest }) };
        }
        let Some(step) = plan.iter().find(|s| s.version > found) else { return Ok(()) };
        transaction.execute_batch(step.statements)?;
        transaction.execute(APPLIED, params![step.version, step.name, step.compatible, now.as_micros()])?;
        transaction.commit()?;
    }
}
