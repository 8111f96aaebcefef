//! Recorded items against tests: every id of `tests/site/its.txt` that belongs to an area in the works has a
//! test named `its_<id>_…`, or stands in `tests/site/its-uncovered.txt` under the reason why it has none.
//! With `--tidy`, ids that have a test meanwhile are taken off that list.

use crate::source::Source;
use crate::workspace::{Workspace, verdict};
use anyhow::{Context, Result, bail};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;

const ITEMS: &str = "tests/site/its.txt";
const UNCOVERED: &str = "tests/site/its-uncovered.txt";
/// Areas that have begun. An area that is added here must be listed or tested in full.
const BEGUN: &[&str] = &[
    "MTA", "QS", "MSS", "MBX", "POP", "IMAP", "SEC", "DIR", "CACHE", "COS", "CFG", "CTL", "LOG", "MON", "RME",
];

pub(crate) fn run(workspace: &Workspace, words: &[String]) -> Result<()> {
    let tidy = match words {
        [] => false,
        [word] if word == "--tidy" => true,
        _ => bail!("its [--tidy]"),
    };
    let areas = items(&workspace.read(ITEMS)?)?;
    let mut tested = BTreeSet::new();
    for file in workspace.text_files()?.iter().filter(|f| f.path.ends_with(".rs")) {
        tested.extend(Source::read(&file.text).functions().iter().flat_map(|f| ids_of(&f.name)));
    }
    if tidy {
        let text = without(&workspace.read(UNCOVERED)?, &tested);
        fs::write(workspace.root.join(UNCOVERED), text)
            .with_context(|| format!("cannot write {UNCOVERED}"))?;
    }
    let excused = excused(&workspace.read(UNCOVERED)?)?;
    let findings = findings(&areas, &excused, &tested);
    let mut counts: BTreeMap<&str, (usize, usize)> = BTreeMap::new();
    for (id, area) in &areas {
        let (all, covered) = counts.entry(area).or_default();
        *all += 1;
        *covered += usize::from(tested.contains(id));
    }
    for (area, (all, covered)) in counts.iter().filter(|(area, _)| BEGUN.contains(area)) {
        println!("its: {area:5} {covered:3} of {all:3} have a test");
    }
    let total = areas.keys().filter(|id| tested.contains(id)).count();
    verdict("its", &findings, &format!("{total} of {} items have a test", areas.len()))
}

fn findings(areas: &BTreeMap<u32, String>, excused: &BTreeSet<u32>, tested: &BTreeSet<u32>) -> Vec<String> {
    let mut findings = Vec::new();
    for (id, area) in areas.iter().filter(|(_, area)| BEGUN.contains(&area.as_str())) {
        match (tested.contains(id), excused.contains(id)) {
            (false, false) => findings.push(format!("{area} {id} has neither a test nor a reason")),
            (true, true) => {
                findings.push(format!("{area} {id} has a test: cargo xtask its --tidy takes it off"))
            }
            _ => {}
        }
    }
    let unknown = excused.union(tested).filter(|id| !areas.contains_key(id));
    findings.extend(unknown.map(|id| format!("{id} is not in {ITEMS}")));
    findings
}

/// Lines `<id> <area>`; `#` begins a comment.
fn items(text: &str) -> Result<BTreeMap<u32, String>> {
    let lines = text.lines().filter(|l| !l.starts_with('#') && !l.trim().is_empty());
    lines
        .map(|line| {
            let (id, area) = line.split_once(' ').with_context(|| format!("{ITEMS}: {line}"))?;
            Ok((id.parse().with_context(|| format!("{ITEMS}: {line}"))?, area.trim().to_owned()))
        })
        .collect()
}

/// Ids between blanks; a line that begins with `#` is the reason for those below it.
fn excused(text: &str) -> Result<BTreeSet<u32>> {
    let ids = text.lines().filter(|l| !l.starts_with('#')).flat_map(str::split_whitespace);
    ids.map(|id| id.parse().with_context(|| format!("{UNCOVERED}: {id}"))).collect()
}

/// The list without the ids that have a test; comments and order stay.
fn without(text: &str, tested: &BTreeSet<u32>) -> String {
    let is_tested = |word: &str| word.parse().is_ok_and(|id| tested.contains(&id));
    let kept = |line: &str| match line.starts_with('#') || line.is_empty() {
        true => Some(line.to_owned()),
        false => Some(line.split(' ').filter(|w| !is_tested(w)).collect::<Vec<_>>().join(" "))
            .filter(|l| !l.is_empty()),
    };
    text.lines().filter_map(kept).map(|line| line + "\n").collect()
}

/// `its_15790_keeps_bytes` is a test of 15790, `its_1_its_2_words` one of both.
fn ids_of(name: &str) -> Vec<u32> {
    let mut rest = name;
    let mut ids = Vec::new();
    while let Some((id, after)) = rest.strip_prefix("its_").and_then(|named| named.split_once('_')) {
        let Ok(id) = id.parse() else { break };
        ids.push(id);
        rest = after;
    }
    ids
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_item_is_tested_or_excused_but_not_both() {
        let areas = items("# ids\n1 POP\n2 POP\n3 POP\n4 WEB\n").unwrap();
        let excused = excused("# not yet\n2 3\n").unwrap();
        let tested = ["its_3_its_own", "its_9_y", "other"].into_iter().flat_map(ids_of).collect();
        assert_eq!(
            findings(&areas, &excused, &tested),
            [
                "POP 1 has neither a test nor a reason".to_owned(),
                "POP 3 has a test: cargo xtask its --tidy takes it off".to_owned(),
                format!("9 is not in {ITEMS}"),
            ]
        );
        assert_eq!(ids_of("its_8_its_9_a_list_of_its_own"), [8, 9]);
        assert!(items("x POP").is_err());
        assert_eq!(without("# why\n2 3\n3\n\n5\n", &BTreeSet::from([3])), "# why\n2\n\n5\n");
    }
}
