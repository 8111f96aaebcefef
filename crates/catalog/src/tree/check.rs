//! Judges a whole tree against the rows of the catalog: what is unknown, obsolete, or has a bad value.
//!
//! Nothing here refuses a tree: who loads one decides by the severity. A finding of severity `Erro` means
//! that the entry has no effect.

use super::{Path, Tree};
use crate::event::Severity;
use crate::keys::{self, obsolete};
use crate::servers;
use std::collections::BTreeSet;
use std::fmt;

/// One thing to say about an entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The line of the entry, from 1; 0 where it did not come from a file.
    pub line: usize,
    /// The entry.
    pub path: Path,
    /// `Erro`: it has no effect. `Warn`: it has one, perhaps another than meant.
    pub severity: Severity,
    /// What is wrong and, where it is known, what to write instead.
    pub reason: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}: {}: {}", self.line, self.severity, self.path, self.reason)
    }
}

/// All findings, in the order of the lines.
pub fn check(tree: &Tree) -> Vec<Finding> {
    let mut findings: Vec<_> = tree
        .entries()
        .filter_map(|(path, line, values)| {
            let (severity, reason) = judge(path, values)?;
            Some(Finding { line, path: path.clone(), severity, reason })
        })
        .collect();
    findings.extend(tree.repeated().iter().map(|(path, line)| Finding {
        line: *line,
        path: path.clone(),
        severity: Severity::Warn,
        reason: "a later line says it again, and that one holds".into(),
    }));
    findings.sort_by_key(|f| f.line);
    findings
}

/// The hosts that the tree names, without `*`: a logical host name that is not among them has no entries of
/// its own (`ConfNotAConfiguredHost`, ITS 16835).
pub fn hosts(tree: &Tree) -> BTreeSet<&str> {
    tree.entries().map(|(path, _, _)| path.host.as_str()).filter(|h| *h != "*").collect()
}

/// Puts the successors of obsolete keys into the tree, where it does not hold them already. Values that
/// cannot be translated are left alone; `check` names them.
pub fn translate(tree: &mut Tree) {
    let new: Vec<_> = tree
        .entries()
        .filter_map(|(path, _, values)| {
            let (key, values) = obsolete::find(&path.server, &path.key)?.translate(values)?;
            Some((Path { key: key.to_owned(), ..path.clone() }, values))
        })
        .collect();
    for (path, values) in new {
        if tree.get(&path).is_none() {
            tree.set(path, values);
        }
    }
}

fn judge(path: &Path, values: &[String]) -> Option<(Severity, String)> {
    if let Some(old) = obsolete::find(&path.server, &path.key) {
        return Some(judge_obsolete(old, values));
    }
    let known = servers::PATH_ONLY.contains(&path.server.as_str())
        || servers::SERVERS.iter().any(|s| s.name == path.server);
    if !known {
        return Some((Severity::Erro, format!("no server is called {}", path.server)));
    }
    let rows: Vec<_> = keys::set_by(&path.server, &path.key).collect();
    if rows.is_empty() {
        return Some((Severity::Erro, unknown(path)));
    }
    // Under `common` one value may serve several rows: it is good if any of them takes it.
    let verdicts: Result<Vec<_>, _> = rows.iter().map(|r| r.kind.check(values).err().ok_or(())).collect();
    let bad = verdicts.ok()?.into_iter().next()?;
    Some((Severity::Erro, bad.to_string()))
}

fn judge_obsolete(old: &obsolete::Obsolete, values: &[String]) -> (Severity, String) {
    let said = match (old.disposition, old.translate(values)) {
        (obsolete::Disposition::Ignore, _) => "it is ignored".to_owned(),
        (obsolete::Disposition::Translate { to, .. }, None) => {
            format!("{to} took its place and the value cannot be translated")
        }
        (obsolete::Disposition::Translate { .. }, Some((to, new))) => {
            return (
                Severity::Warn,
                format!("obsolete since {}: read as {to}: [{}]. {}", old.since, new.join("]["), old.why),
            );
        }
    };
    (Severity::Erro, format!("obsolete since {}: {said}. {}", old.since, old.why))
}

/// Says where the key would have an effect, if it exists at all.
fn unknown(path: &Path) -> String {
    let named: Vec<_> = keys::rows().filter(|r| r.name.eq_ignore_ascii_case(&path.key)).collect();
    match named.first() {
        None => "unknown key".into(),
        Some(row) if row.name != path.key => format!("unknown key; is {} meant?", row.name),
        Some(_) => {
            let servers: BTreeSet<_> = named.iter().flat_map(|r| r.servers).copied().collect();
            let servers: Vec<_> = servers.into_iter().collect();
            format!("{} does not read this key; {} does", path.server, servers.join(", "))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::mta::MAX_QUEUE_TIME_IN_HOURS;

    fn findings(text: &str) -> Vec<String> {
        check(&Tree::parse(text).unwrap()).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_good_tree_has_no_findings() {
        let text = "/*/mta/SMTPPort: [2525]\n/*/common/maxSessions: [7]\n/venus/mta/idleTimeout: [60]\n/venus/sysadmin/mta_run: [off]\n";
        assert_eq!(findings(text), Vec::<String>::new());
    }

    #[test]
    fn what_has_no_effect_is_named_with_its_line_and_a_way_out() {
        let text = "# a comment\n/*/mta/smtpPort: [25]\n/*/mss/SMTPPort: [25]\n/*/mta/SMTPPort: [99999]\n/*/mtaa/SMTPPort: [25]\n/*/mta/colour: [red]\n";
        assert_eq!(
            findings(text),
            [
                "line 2: Erro: /*/mta/smtpPort: unknown key; is SMTPPort meant?",
                "line 3: Erro: /*/mss/SMTPPort: mss does not read this key; mta does",
                "line 4: Erro: /*/mta/SMTPPort: expected 0 to 65535",
                "line 5: Erro: /*/mtaa/SMTPPort: no server is called mtaa",
                "line 6: Erro: /*/mta/colour: unknown key",
            ]
        );
    }

    #[test]
    fn the_line_that_a_later_one_replaces_is_named() {
        let found = findings("/Venus/mta/SMTPPort: [1]\n\n/venus/mta/SMTPPort: [2]\n");
        assert_eq!(
            found,
            ["line 1: Warn: /venus/mta/SMTPPort: a later line says it again, and that one holds"]
        );
    }

    #[test]
    fn obsolete_keys_are_reported_and_translated_unless_the_new_key_stands_there() {
        let text = "/*/mta/maxQueueTimeInDays: [5]\n/venus/mta/maxQueueTimeInDays: [2]\n/venus/mta/maxQueueTimeInHours: [30]\n/*/mta/radiusLogDir: [x]\n";
        let mut tree = Tree::parse(text).unwrap();
        let found = check(&tree);
        assert_eq!(found.len(), 3);
        assert_eq!((found[0].line, found[0].severity), (1, Severity::Warn));
        assert!(found[0].reason.contains("maxQueueTimeInHours: [120]"), "{}", found[0]);
        assert_eq!((found[2].line, found[2].severity), (4, Severity::Erro));
        translate(&mut tree);
        assert_eq!(tree.value("mars", "mta", MAX_QUEUE_TIME_IN_HOURS), 120);
        assert_eq!(tree.value("venus", "mta", MAX_QUEUE_TIME_IN_HOURS), 30);
    }

    #[test]
    fn hosts_are_those_with_entries_of_their_own() {
        let tree = Tree::parse("/*/mta/SMTPPort: [1]\n/Venus/mta/SMTPPort: [2]\n").unwrap();
        assert_eq!(hosts(&tree).into_iter().collect::<Vec<_>>(), ["venus"]);
    }
}
