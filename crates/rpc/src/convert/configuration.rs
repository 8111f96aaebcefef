//! The tree of a site, its changes and its history.

use super::proto as p;
use super::{Bad, at_most, each, need};
use catalog::tree::Path;
use mail::time::Timestamp;
use p::proposal::Wish;
use roles::configuration as r;
use roles::configuration::{ConfigurationError, Version};

/// Most changes of one proposal, and most entries of one answer: the tree has no more.
const MAX_ENTRIES: usize = catalog::tree::MAX_ENTRIES;

fn path(text: &str) -> Result<Path, Bad> {
    Path::parse(text).ok_or(Bad("path"))
}

fn paths(list: Vec<String>) -> Result<Vec<Path>, Bad> {
    list.iter().map(|text| path(text)).collect()
}

fn texts(list: &[Path]) -> Vec<String> {
    list.iter().map(ToString::to_string).collect()
}

impl From<r::Snapshot> for p::Snapshot {
    fn from(snapshot: r::Snapshot) -> Self {
        Self { version: snapshot.version.0, text: snapshot.text }
    }
}

impl From<p::Snapshot> for r::Snapshot {
    fn from(snapshot: p::Snapshot) -> Self {
        Self { version: Version(snapshot.version), text: snapshot.text }
    }
}

impl From<r::Change> for p::EntryChange {
    fn from(change: r::Change) -> Self {
        match change {
            r::Change::Set(path, values) => {
                Self { path: path.to_string(), set: Some(p::EntryValues { values }) }
            }
            r::Change::Remove(path) => Self { path: path.to_string(), set: None },
        }
    }
}

impl TryFrom<p::EntryChange> for r::Change {
    type Error = Bad;

    fn try_from(change: p::EntryChange) -> Result<Self, Bad> {
        let path = path(&change.path)?;
        Ok(match change.set {
            Some(set) => Self::Set(path, set.values),
            None => Self::Remove(path),
        })
    }
}

impl From<r::Proposal> for p::Proposal {
    fn from(proposal: r::Proposal) -> Self {
        let wish = match proposal.wish {
            r::Wish::Entries(changes) => {
                Wish::Entries(p::EntryChanges { changes: changes.into_iter().map(Into::into).collect() })
            }
            r::Wish::Text(text) => Wish::Text(text),
            r::Wish::Version(version) => Wish::Version(version.0),
        };
        let from = proposal.from.map(|version| version.0);
        Self { from, wish: Some(wish), who: proposal.who, why: proposal.why }
    }
}

impl TryFrom<p::Proposal> for r::Proposal {
    type Error = Bad;

    fn try_from(proposal: p::Proposal) -> Result<Self, Bad> {
        let wish = match need(proposal.wish, "wish")? {
            Wish::Entries(entries) => r::Wish::Entries(at_most(entries.changes, MAX_ENTRIES, "entries")?),
            Wish::Text(text) => r::Wish::Text(text),
            Wish::Version(version) => r::Wish::Version(Version(version)),
        };
        Ok(Self { from: proposal.from.map(Version), wish, who: proposal.who, why: proposal.why })
    }
}

impl From<r::Difference> for p::EntryDifference {
    fn from(difference: r::Difference) -> Self {
        let values = |values: Option<Vec<String>>| values.map(|values| p::EntryValues { values });
        Self {
            path: difference.path.to_string(),
            before: values(difference.before),
            after: values(difference.after),
        }
    }
}

impl TryFrom<p::EntryDifference> for r::Difference {
    type Error = Bad;

    fn try_from(difference: p::EntryDifference) -> Result<Self, Bad> {
        Ok(Self {
            path: path(&difference.path)?,
            before: difference.before.map(|set| set.values),
            after: difference.after.map(|set| set.values),
        })
    }
}

fn differences(list: Vec<r::Difference>) -> p::EntryDifferences {
    p::EntryDifferences { each: list.into_iter().map(Into::into).collect() }
}

impl From<r::Assessed> for p::Assessed {
    fn from(assessed: r::Assessed) -> Self {
        Self {
            version: assessed.version.0,
            differences: Some(differences(assessed.differences)),
            warnings: assessed.warnings,
            live: texts(&assessed.live),
            restart: texts(&assessed.restart),
            servers: assessed.servers,
        }
    }
}

impl TryFrom<p::Assessed> for r::Assessed {
    type Error = Bad;

    fn try_from(assessed: p::Assessed) -> Result<Self, Bad> {
        Ok(Self {
            version: Version(assessed.version),
            differences: each(assessed.differences.unwrap_or_default().each)?,
            warnings: assessed.warnings,
            live: paths(assessed.live)?,
            restart: paths(assessed.restart)?,
            servers: assessed.servers,
        })
    }
}

impl From<r::Refusal> for p::Refusal {
    fn from(refusal: r::Refusal) -> Self {
        Self { path: refusal.path.to_string(), value: refusal.value, rule: refusal.rule }
    }
}

impl TryFrom<p::Refusal> for r::Refusal {
    type Error = Bad;

    fn try_from(refusal: p::Refusal) -> Result<Self, Bad> {
        Ok(Self { path: path(&refusal.path)?, value: refusal.value, rule: refusal.rule })
    }
}

/// What a proposal comes to, as an answer; every other error ends the call.
///
/// # Errors
/// What is no refusal of entries.
pub(crate) fn judgement(
    judged: Result<r::Assessed, ConfigurationError>,
) -> Result<p::Judgement, ConfigurationError> {
    match judged {
        Ok(assessed) => Ok(p::Judgement { assessed: Some(assessed.into()), refused: Vec::new() }),
        Err(ConfigurationError::Refused(list)) if !list.is_empty() => {
            Ok(p::Judgement { assessed: None, refused: list.into_iter().map(Into::into).collect() })
        }
        Err(error) => Err(error),
    }
}

/// What was answered to a proposal.
pub(crate) fn judged(judgement: p::Judgement) -> Result<Result<r::Assessed, ConfigurationError>, Bad> {
    match judgement.assessed {
        Some(assessed) => assessed.try_into().map(Ok),
        None if judgement.refused.is_empty() => Err(Bad("judgement")),
        None => Ok(Err(ConfigurationError::Refused(each(judgement.refused)?))),
    }
}

impl From<r::Accepted> for p::AcceptedChange {
    fn from(accepted: r::Accepted) -> Self {
        Self {
            version: accepted.version.0,
            at: accepted.at.as_micros(),
            who: accepted.who,
            why: accepted.why,
            differences: accepted.differences.map(differences),
        }
    }
}

impl TryFrom<p::AcceptedChange> for r::Accepted {
    type Error = Bad;

    fn try_from(accepted: p::AcceptedChange) -> Result<Self, Bad> {
        Ok(Self {
            version: Version(accepted.version),
            at: Timestamp::from_micros(accepted.at),
            who: accepted.who,
            why: accepted.why,
            differences: accepted.differences.map(|list| each(list.each)).transpose()?,
        })
    }
}

/// The errors that say more than a text, as their name and a text that [`error`] reads.
pub(super) fn error_parts(error: &ConfigurationError) -> (&'static str, String) {
    use ConfigurationError as E;
    match error {
        E::Unreadable(text) => ("Unreadable", text.clone()),
        E::BadLine(text) => ("BadLine", text.clone()),
        E::TooMany(most) => ("TooMany", most.to_string()),
        E::NotSet(path) => ("NotSet", path.to_string()),
        E::Refused(_) => ("Refused", error.to_string()),
        E::Stale { from, now } => ("Stale", format!("{from} {now}")),
        E::NoVersion(version) => ("NoVersion", version.to_string()),
        E::Busy(text) => ("Busy", text.clone()),
        E::Write(text) => ("Write", text.clone()),
        E::Unavailable(text) => ("Unavailable", text.clone()),
    }
}

/// The error of this name; `None`: there is none, or its text is not in its form.
pub(super) fn error(name: &str, text: &str) -> Option<ConfigurationError> {
    use ConfigurationError as E;
    let owned = || text.to_owned();
    let version = |text: &str| text.parse().ok().map(Version);
    Some(match name {
        "Unreadable" => E::Unreadable(owned()),
        "BadLine" => E::BadLine(owned()),
        "TooMany" => E::TooMany(text.parse().ok()?),
        "NotSet" => E::NotSet(Path::parse(text)?),
        "Stale" => {
            let (from, now) = text.split_once(' ')?;
            E::Stale { from: version(from)?, now: version(now)? }
        }
        "NoVersion" => E::NoVersion(version(text)?),
        "Busy" => E::Busy(owned()),
        "Write" => E::Write(owned()),
        "Unavailable" => E::Unavailable(owned()),
        _ => return None,
    })
}
