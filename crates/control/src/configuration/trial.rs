//! A change that some hosts have before all: what stands in the files while it is tried, and how that ends.
//!
//! Beginning makes the entries of `narrow` for the hosts of the trial, ending takes them away again and, where the
//! change is spread, makes those that were wished for. Each is one change like any other: one record, one replacement of
//! the file. So a crash leaves a trial either under way, which whoever starts the configuration server then ends, or
//! ended. The records say which: a trial is under way from the record that begins it to the one that names it as ended.
//! When to end it is `rollout`'s.

use super::change::{Plan, author, commit, noted, plan, take, unreadable, unwritable};
use super::history::{Entry, History, Mark};
use super::load::{Files, text};
use super::narrow::narrow;
use super::reload::needs_restart;
use catalog::tree::{Path, Tree};
use mail::time::Timestamp;
use roles::configuration::{
    Assessed, Change, ConfigurationError, Difference, Proposal, Refusal, Version, Wish,
};
use roles::rollout::{End, Ended, Restarts, Trial, UnderWay};
use std::collections::BTreeMap;
use std::time::Duration;

/// A trial that is under way, with what it has changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Open {
    /// What is told of it.
    pub under_way: UnderWay,
    /// What becomes of servers that need a restart.
    pub restarts: Restarts,
    /// What it did to the entries of its hosts.
    pub tried: Vec<Difference>,
    /// What is to hold on every host at its end.
    pub wide: Vec<Difference>,
}

/// Makes the change on the hosts of the trial: durable when it returns.
///
/// # Errors
/// Why nothing was changed: the change would be refused for the whole site or for these hosts, another trial is under
/// way, or these hosts would notice nothing of it.
pub fn begin(
    files: &Files,
    proposal: &Proposal,
    trial: &Trial,
    at: Timestamp,
) -> Result<Assessed, ConfigurationError> {
    let _held = take(files)?;
    let before = noted(files)?;
    if let Some(open) = in_text(files, &before)? {
        return Err(busy(&open));
    }
    let wide = plan(files, &before, proposal)?;
    let narrowed = narrowed(files, &before, &wide, trial)?;
    let wide = wide.assessed.differences.iter().map(Entry::of).collect();
    let (hosts, seconds) = (trial.hosts.clone(), trial.watch.as_secs());
    let restarts = trial.restarts == Restarts::Done;
    let mut author = author(&proposal.who, &proposal.why, at);
    author.trial = Some(Mark::Begun { hosts, seconds, restarts, wide });
    commit(files, &before, narrowed, &author)
}

/// What is done to the entries of the trial's hosts.
fn narrowed(files: &Files, before: &str, wide: &Plan, trial: &Trial) -> Result<Plan, ConfigurationError> {
    let parse = |text: &str| Tree::parse(text).map_err(unreadable);
    let trees = (parse(before)?, parse(&wide.after)?);
    let changes = narrow(&trees.0, &trees.1, &wide.assessed.differences, &trial.hosts);
    let changes = changes.map_err(|refused| ConfigurationError::Refused(vec![refused]))?;
    let narrowed = plan(files, before, &entries(changes))?;
    let refuse = |path: &Path, rule: &str| {
        let value = String::new();
        ConfigurationError::Refused(vec![Refusal { path: path.clone(), value, rule: rule.into() }])
    };
    if let (Restarts::None, [path, ..]) = (trial.restarts, narrowed.assessed.restart.as_slice()) {
        return Err(refuse(path, "it holds only after a restart of its server, which was not asked for"));
    }
    match (&wide.assessed.differences[..], &narrowed.assessed.differences[..]) {
        ([first, ..], []) => Err(refuse(&first.path, "the hosts of the trial would notice nothing of it")),
        ([], _) => Err(ConfigurationError::BadLine("the change makes no difference".into())),
        _ => Ok(narrowed),
    }
}

fn entries(changes: Vec<Change>) -> Proposal {
    Proposal { from: None, wish: Wish::Entries(changes), who: String::new(), why: String::new() }
}

/// The trial that is under way.
///
/// # Errors
/// Where the configuration or its history cannot be read.
pub fn open(files: &Files) -> Result<Option<Open>, ConfigurationError> {
    in_text(files, &text(&files.current).map_err(unreadable)?)
}

fn in_text(files: &Files, text: &str) -> Result<Option<Open>, ConfigurationError> {
    let history = History::read(files).map_err(unwritable)?;
    let mut open = None;
    for (accepted, mark) in history.marks(text) {
        let Mark::Begun { hosts, seconds, restarts, wide } = mark else {
            open = None;
            continue;
        };
        let under_way = UnderWay {
            version: accepted.version,
            hosts: hosts.clone(),
            since: accepted.at,
            watch: Duration::from_secs(*seconds),
        };
        let wide = wide.iter().filter_map(Entry::difference).collect();
        let restarts = if *restarts { Restarts::Done } else { Restarts::None };
        open = Some(Open { under_way, restarts, tried: accepted.differences.unwrap_or_default(), wide });
    }
    Ok(open)
}

/// How the trial that this version began has ended; `None`: it has not, or the history does not know it.
///
/// # Errors
/// Where the configuration or its history cannot be read.
pub fn ended(files: &Files, trial: Version) -> Result<Option<Ended>, ConfigurationError> {
    let text = text(&files.current).map_err(unreadable)?;
    let history = History::read(files).map_err(unwritable)?;
    let mut ended = history.marks(&text).filter_map(|(accepted, mark)| match mark {
        Mark::Ended { trial: of, spread } if *of == trial.0 => {
            let end = if *spread { End::Spread } else { End::TakenBack };
            Some(Ended { trial, version: accepted.version, end, why: accepted.why })
        }
        _ => None,
    });
    Ok(ended.next())
}

/// Ends the trial that this version began: durable when it returns. One whose entries were changed by hand meanwhile, or
/// whose change the site would no longer take, is taken back whatever was asked for; entries that were changed by hand
/// stay as they are.
///
/// # Errors
/// [`ConfigurationError::NoVersion`] where this trial is not under way; else why nothing was changed.
pub fn end(
    files: &Files,
    trial: Version,
    end: End,
    (who, why): (&str, &str),
    at: Timestamp,
) -> Result<Ended, ConfigurationError> {
    let _held = take(files)?;
    let before = noted(files)?;
    let open = in_text(files, &before)?.filter(|open| open.under_way.version == trial);
    let open = open.ok_or(ConfigurationError::NoVersion(trial))?;
    let tree = Tree::parse(&before).map_err(unreadable)?;
    let spread = match end {
        End::TakenBack => Err(why.to_owned()),
        End::Spread => spread(files, &before, &tree, &open),
    };
    let (end, plan, why) = match spread {
        Ok(plan) => (End::Spread, plan, why.to_owned()),
        Err(why) => (End::TakenBack, plan_back(files, &before, &tree, &open)?, why),
    };
    let mut author = author(who, &why, at);
    author.trial = Some(Mark::Ended { trial: trial.0, spread: end == End::Spread });
    let assessed = commit(files, &before, plan, &author)?;
    Ok(Ended { trial, version: assessed.version, end, why: author.why })
}

/// What spreads the change; else why that cannot be.
fn spread(files: &Files, before: &str, tree: &Tree, open: &Open) -> Result<Plan, String> {
    let mut now: BTreeMap<&Path, _> = open.wide.iter().map(|d| (&d.path, &d.before)).collect();
    now.extend(open.tried.iter().map(|d| (&d.path, &d.after)));
    let other = now.iter().find(|(path, values)| tree.get(path) != values.as_deref());
    if let Some((path, _)) = other {
        return Err(format!("{path} was changed by hand meanwhile"));
    }
    let mut then: BTreeMap<&Path, _> = open.tried.iter().map(|d| (&d.path, &d.before)).collect();
    then.extend(open.wide.iter().map(|d| (&d.path, &d.after)));
    plan(files, before, &entries(changes(tree, then))).map_err(|error| error.to_string())
}

/// What takes the change back, but for what was changed by hand.
fn plan_back(files: &Files, before: &str, tree: &Tree, open: &Open) -> Result<Plan, ConfigurationError> {
    let tried = open.tried.iter().filter(|d| tree.get(&d.path) == d.after.as_deref());
    let then = tried.map(|d| (&d.path, &d.before)).collect();
    plan(files, before, &entries(changes(tree, then)))
}

/// The changes that make these entries what they are to be.
fn changes(tree: &Tree, then: BTreeMap<&Path, &Option<Vec<String>>>) -> Vec<Change> {
    let differ = then.into_iter().filter(|(path, values)| tree.get(path) != values.as_deref());
    differ
        .map(|(path, values)| match values {
            Some(values) => Change::Set(path.clone(), values.clone()),
            None => Change::Remove(path.clone()),
        })
        .collect()
}

/// Whether a change lets the trial that is under way be.
///
/// # Errors
/// [`ConfigurationError::Busy`] where it does not.
pub(super) fn leaves_alone(
    files: &Files,
    before: &str,
    differences: &[Difference],
) -> Result<(), ConfigurationError> {
    let Some(open) = in_text(files, before)? else { return Ok(()) };
    let of_it = |path: &Path| open.tried.iter().chain(&open.wide).any(|d| d.path == *path);
    match differences.iter().any(|difference| of_it(&difference.path)) {
        true => Err(busy(&open)),
        false => Ok(()),
    }
}

fn busy(open: &Open) -> ConfigurationError {
    let UnderWay { version, hosts, .. } = &open.under_way;
    ConfigurationError::Busy(format!("version {version} is tried on {}", hosts.join(", ")))
}

/// The servers that a trial's hosts must restart to read what it changed.
pub fn to_restart(open: &Open) -> Vec<String> {
    let tried = open.tried.iter().filter(|difference| needs_restart(&difference.path));
    super::change::affected(&tried.cloned().collect::<Vec<_>>())
}

#[cfg(test)]
mod tests;
