//! Changes `config.db`: all of a batch or none, and never a value that its key does not take (ITS 21794).
//!
//! [`assess`] says what a batch would do, [`install`] does it. Both judge the same plan: the text that would be, its
//! differences from the text that is, each changed entry against its row, and what the entries come to on each host
//! (`rules`). An accepted batch stands in the history before the file takes the old one's place.

use super::history::{Author, History, differences, note_by_hand};
use super::load::{Files, changed_at, keep, last_good_text, parse, text, write};
use super::reload::needs_restart;
use super::{rules, trial};
use crate::lock_file::{LockFile, TakeError};
use catalog::event::Severity;
use catalog::key::Kind;
use catalog::keys;
use catalog::servers::SERVERS;
use catalog::tree::check::{self, Finding};
use catalog::tree::{Path, Tree, edit, write_values};
use mail::time::Timestamp;
use roles::configuration::{
    Assessed, Change, ConfigurationError, Difference, Proposal, Refusal, Version, Wish,
};
use std::io;

/// Most changes in one go.
pub const MAX_CHANGES: usize = 10_000;
/// Most refused entries that are named.
const MAX_REFUSALS: usize = 100;
/// Longest text of who and why in bytes; more is cut off.
const MAX_REMARK: usize = 1000;

/// The text is not of the form `/host/server/key=value`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0} is not of the form /host/server/key=value")]
pub struct BadForm(pub String);

/// A change from `/host/server/key=value`; several values are parted by line ends, and no text after `=` means no
/// value where the key takes a list, else the empty one (ITS 14094).
///
/// # Errors
/// [`BadForm`].
pub fn parse_change(text: &str) -> Result<Change, BadForm> {
    let form = || BadForm(text.to_owned());
    let (path, value) = text.split_once('=').ok_or_else(form)?;
    let path = Path::parse(path).ok_or_else(form)?;
    let list = keys::set_by(&path.server, &path.key).any(|row| matches!(row.kind, Kind::List(_)));
    let values = match value.trim_end_matches('\n') {
        "" if list => Vec::new(),
        value => value.split('\n').map(|line| line.trim_end_matches('\r').to_owned()).collect(),
    };
    Ok(Change::Set(path, values))
}

/// What this proposal would do, without doing it.
///
/// # Errors
/// Why [`install`] would refuse it.
pub fn assess(files: &Files, proposal: &Proposal) -> Result<Assessed, ConfigurationError> {
    let before = text(&files.current).map_err(unreadable)?;
    plan(files, &before, proposal).map(|plan| plan.assessed)
}

/// Makes the change: durable when it returns. A change without a difference makes no version.
///
/// # Errors
/// Why nothing was changed.
pub fn install(files: &Files, proposal: &Proposal, at: Timestamp) -> Result<Assessed, ConfigurationError> {
    let _held = take(files)?;
    let before = noted(files)?;
    let plan = plan(files, &before, proposal)?;
    trial::leaves_alone(files, &before, &plan.assessed.differences)?;
    if plan.after == before {
        return Ok(plan.assessed);
    }
    commit(files, &before, plan, &author(&proposal.who, &proposal.why, at))
}

/// The text that holds; what was changed by hand is in the history. Needs the right to change it.
pub(super) fn noted(files: &Files) -> Result<String, ConfigurationError> {
    let before = text(&files.current).map_err(unreadable)?;
    let kept = last_good_text(files);
    note_by_hand(files, (kept.as_deref(), &before), changed_at(files)).map_err(unwritable)?;
    Ok(before)
}

pub(super) fn author(who: &str, why: &str, at: Timestamp) -> Author {
    Author { who: cut(who), why: cut(why), at, trial: None }
}

/// Makes the change: first its record, then the file. Needs the right to change it.
pub(super) fn commit(
    files: &Files,
    before: &str,
    plan: Plan,
    author: &Author,
) -> Result<Assessed, ConfigurationError> {
    let Plan { after, mut assessed } = plan;
    let history = History::read(files).map_err(unwritable)?;
    let made = history.append(files, (before, &after), Some(&assessed.differences), author);
    assessed.version = made.map_err(unwritable)?;
    write(&files.current, &after).map_err(unwritable)?;
    keep(files, &after);
    Ok(assessed)
}

/// The right to change the configuration.
pub(super) fn take(files: &Files) -> Result<LockFile, ConfigurationError> {
    LockFile::take(&files.lock()).map_err(|error| match error {
        held @ TakeError::Held(_) => ConfigurationError::Busy(held.to_string()),
        TakeError::File(error) => unwritable(error),
    })
}

pub(super) fn unreadable(error: impl std::fmt::Display) -> ConfigurationError {
    ConfigurationError::Unreadable(error.to_string())
}

pub(super) fn unwritable(error: io::Error) -> ConfigurationError {
    ConfigurationError::Write(error.to_string())
}

fn cut(remark: &str) -> String {
    let end = (0..=remark.len().min(MAX_REMARK)).rev().find(|at| remark.is_char_boundary(*at));
    remark[..end.unwrap_or(0)].to_owned()
}

/// What a proposal comes to.
pub(super) struct Plan {
    /// The text that would be.
    pub(super) after: String,
    /// What it does.
    pub(super) assessed: Assessed,
}

/// Judges a proposal.
pub(super) fn plan(files: &Files, before: &str, proposal: &Proposal) -> Result<Plan, ConfigurationError> {
    let history = History::read(files).map_err(unwritable)?;
    let now = history.version(before);
    if let Some(from) = proposal.from.filter(|from| *from != now) {
        return Err(ConfigurationError::Stale { from, now });
    }
    // A text that replaces all of a file may also replace one that is broken.
    let tree_before = match (parse(&files.current, before), &proposal.wish) {
        (Err(error), Wish::Entries(_) | Wish::Version(_)) => return Err(unreadable(error)),
        (tree, _) => tree.unwrap_or_default(),
    };
    let after = wished(&history, before, &proposal.wish)?;
    let tree_after =
        Tree::parse(&after).map_err(|line| ConfigurationError::BadLine(format!("config.db: {line}")))?;
    let assessed = judge(now, &tree_before, &tree_after)?;
    Ok(Plan { after, assessed })
}

/// The text that is wished for.
fn wished(history: &History, before: &str, wish: &Wish) -> Result<String, ConfigurationError> {
    let changes = match wish {
        Wish::Text(text) => return Ok(text.clone()),
        Wish::Entries(changes) => changes.clone(),
        Wish::Version(version) => back(history, before, *version)?,
    };
    if changes.len() > MAX_CHANGES {
        return Err(ConfigurationError::TooMany(MAX_CHANGES));
    }
    let mut after = before.to_owned();
    for change in &changes {
        after = match change {
            Change::Set(path, values) => edit::set(&after, path, values),
            Change::Remove(path) => {
                edit::remove(&after, path).ok_or_else(|| ConfigurationError::NotSet(path.clone()))?
            }
        };
    }
    Ok(after)
}

fn back(history: &History, before: &str, to: Version) -> Result<Vec<Change>, ConfigurationError> {
    let differences = history.back_to(before, to).ok_or(ConfigurationError::NoVersion(to))?;
    let differ = differences.into_iter().filter(|difference| difference.before != difference.after);
    Ok(differ
        .map(|difference| match difference.after {
            Some(values) => Change::Set(difference.path, values),
            None => Change::Remove(difference.path),
        })
        .collect())
}

/// Judges what differs between two trees, and nothing else.
fn judge(version: Version, before: &Tree, after: &Tree) -> Result<Assessed, ConfigurationError> {
    let differences = differences(before, after);
    let mut assessed = Assessed { version, ..Assessed::default() };
    let mut refused = Vec::new();
    let differs = |path: &Path| differences.binary_search_by(|difference| difference.path.cmp(path)).is_ok();
    for Finding { path, severity, reason, .. } in check::check(after) {
        if !differs(&path) {
            continue;
        }
        match severity >= Severity::Erro {
            true => {
                let value = after.get(&path).map(write_values).unwrap_or_default();
                refused.push(Refusal { path, value, rule: reason });
            }
            false => assessed.warnings.push(format!("{path}: {reason}")),
        }
    }
    let broken = rules::newly_broken(before, after).into_iter();
    refused.extend(broken.map(|b| Refusal { path: b.path, value: b.value, rule: b.rule }));
    if !refused.is_empty() {
        refused.truncate(MAX_REFUSALS);
        return Err(ConfigurationError::Refused(refused));
    }
    let paths = differences.iter().map(|difference| difference.path.clone());
    (assessed.restart, assessed.live) = paths.partition(needs_restart);
    assessed.servers = affected(&differences);
    assessed.differences = differences;
    Ok(assessed)
}

/// The servers that read one of these entries.
pub(super) fn affected(differences: &[Difference]) -> Vec<String> {
    let reads = |server: &str, path: &Path| {
        keys::set_by(&path.server, &path.key).any(|row| {
            let reads = row.servers.contains(&server) || row.servers.contains(&"common");
            let run = row.servers.contains(&"sysadmin") && path.key == format!("{server}_run");
            (reads && (path.server == "common" || path.server == server)) || run
        })
    };
    let concerned = |server: &str| differences.iter().any(|difference| reads(server, &difference.path));
    SERVERS.iter().map(|s| s.name).filter(|name| concerned(name)).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests;
