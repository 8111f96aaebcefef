//! Who may depend on whom: every manifest against `layers.toml`.
//!
//! - Normal and build dependencies: exactly what the crate's row allows.
//! - Dev-dependencies: also every crate of a lower layer, and from the machinery up `testkit`; so
//!   a server's tests may run on the real storage, but never with another server.
//! - `[only]`: outside crates that stand in the named manifests and nowhere else.
//! - `[never]`: outside crates that must not stand in a manifest, because the room is free of I/O, of a
//!   clock and of chance.

use crate::workspace::{Member, Workspace, verdict};
use anyhow::{Context, Result};
use std::collections::{BTreeMap, BTreeSet};
use toml::{Table, Value};

/// The sections of `layers.toml`, lowest first.
const LAYERS: &[&str] = &["knowledge", "contracts", "machinery", "servers", "programs", "tests"];
/// From this layer on, tests may use `testkit`.
const DOUBLES_FROM: usize = 2;

/// What the file says.
struct Rules {
    crates: BTreeMap<String, Room>,
    only: BTreeMap<String, Vec<String>>,
    never: BTreeMap<String, Vec<String>>,
}

/// One row: the layer and who may be used; `None` is everybody.
struct Room {
    layer: usize,
    uses: Option<Vec<String>>,
}

/// Whether a dependency is there for the tests alone.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Purpose {
    Product,
    Tests,
}

pub(crate) fn run(workspace: &Workspace, _words: &[String]) -> Result<()> {
    let rules = Rules::parse(&workspace.read("layers.toml")?)?;
    let members = workspace.members()?;
    let findings = check(&rules, &members);
    verdict("layers", &findings, &format!("{} crates keep to layers.toml", members.len()))
}

fn check(rules: &Rules, members: &[Member]) -> Vec<String> {
    let names: BTreeSet<&str> = members.iter().map(|m| m.name.as_str()).collect();
    let mut findings = Vec::new();
    for member in members {
        let (name, folder) = (member.name.as_str(), &member.folder);
        if folder.file_name().is_none_or(|f| f != name) {
            findings.push(format!("{}: the crate is called {name}", folder.display()));
        }
        let Some(room) = rules.crates.get(name) else {
            findings.push(format!("{name} has no row in layers.toml"));
            continue;
        };
        for (used, purpose) in dependencies(&member.manifest) {
            let allowed = match names.contains(used.as_str()) {
                true => rules.allows(room, &used, purpose),
                false => rules.allows_outside(name, &used),
            };
            if !allowed {
                let section = if purpose == Purpose::Tests { "dev-dependencies" } else { "dependencies" };
                findings.push(format!("{name} must not have {used} among its {section}"));
            }
        }
    }
    findings
}

impl Rules {
    fn parse(text: &str) -> Result<Self> {
        let table: Table = text.parse()?;
        let mut crates = BTreeMap::new();
        for (layer, section) in LAYERS.iter().enumerate() {
            let rows =
                table.get(*section).and_then(Value::as_table).with_context(|| format!("no [{section}]"))?;
            for (name, value) in rows {
                let uses = value.as_array().map(|_| words(value));
                crates.insert(name.clone(), Room { layer, uses });
            }
        }
        Ok(Self { crates, only: lists(&table, "only"), never: lists(&table, "never") })
    }

    fn allows(&self, room: &Room, used: &str, purpose: Purpose) -> bool {
        let by_row = room.uses.as_ref().is_none_or(|list| list.iter().any(|n| n == used));
        let lower = self.crates.get(used).is_some_and(|r| r.layer < room.layer);
        let double = used == "testkit" && room.layer >= DOUBLES_FROM;
        by_row || (purpose == Purpose::Tests && (lower || double))
    }

    fn allows_outside(&self, name: &str, used: &str) -> bool {
        let elsewhere = self.only.get(used).is_some_and(|list| !list.iter().any(|n| n == name));
        let banned = self.never.get(name).is_some_and(|list| list.iter().any(|n| n == used));
        !elsewhere && !banned
    }
}

fn words(value: &Value) -> Vec<String> {
    value.as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
}

fn lists(table: &Table, section: &str) -> BTreeMap<String, Vec<String>> {
    let rows = table.get(section).and_then(Value::as_table);
    rows.into_iter().flatten().map(|(name, value)| (name.clone(), words(value))).collect()
}

/// Every crate that a manifest names, by its real name.
fn dependencies(manifest: &Table) -> Vec<(String, Purpose)> {
    let mut found = Vec::new();
    let mut tables = vec![manifest];
    if let Some(targets) = manifest.get("target").and_then(Value::as_table) {
        tables.extend(targets.values().filter_map(Value::as_table));
    }
    let sections = [
        ("dependencies", Purpose::Product),
        ("build-dependencies", Purpose::Product),
        ("dev-dependencies", Purpose::Tests),
    ];
    for table in tables {
        for (section, purpose) in sections {
            let rows = table.get(section).and_then(Value::as_table);
            for (name, value) in rows.into_iter().flatten() {
                let renamed = value.get("package").and_then(Value::as_str);
                found.push((renamed.unwrap_or(name).to_owned(), purpose));
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULES: &str = "[knowledge]\nmail = []\n[contracts]\nroles = [\"mail\"]\n[machinery]\nstorage = [\"mail\"]\nnet = [\"mail\"]\n[servers]\npop = [\"mail\", \"net\"]\nqueue = [\"storage\"]\n[programs]\nserver = \"*\"\n[tests]\ntestkit = [\"mail\"]\n[only]\nfjall = [\"storage\"]\n[never]\nmail = [\"tokio\"]\n";

    fn findings(name: &str, manifest: &str) -> Vec<String> {
        let rules = Rules::parse(RULES).unwrap();
        let member = |n: &str, text: &str| Member {
            name: n.into(),
            folder: ["crates", n].iter().collect(),
            manifest: text.parse().unwrap(),
        };
        let others = rules.crates.keys().filter(|n| *n != name).map(|n| member(n, ""));
        let mut members: Vec<_> = others.collect();
        members.push(member(name, manifest));
        check(&rules, &members)
    }

    #[test]
    fn a_server_may_use_its_row_and_for_tests_what_lies_below() {
        assert_eq!(
            findings("pop", "[dependencies]\nnet = {}\n[dev-dependencies]\nstorage = {}\ntestkit = {}"),
            [""; 0]
        );
        assert_eq!(
            findings("pop", "[dependencies]\nstorage = {}\n[dev-dependencies]\nqueue = {}"),
            [
                "pop must not have storage among its dependencies",
                "pop must not have queue among its dev-dependencies"
            ]
        );
        assert_eq!(findings("server", "[dependencies]\npop = {}\nqueue = {}"), [""; 0]);
    }

    #[test]
    fn outside_crates_stay_in_their_rooms_whatever_name_they_are_given() {
        assert_eq!(findings("storage", "[dependencies]\nfjall = {}"), [""; 0]);
        assert_eq!(
            findings("queue", "[target.'cfg(unix)'.dependencies]\nlsm = { package = \"fjall\" }"),
            ["queue must not have fjall among its dependencies"]
        );
        assert_eq!(
            findings("mail", "[dev-dependencies]\ntokio = {}"),
            ["mail must not have tokio among its dev-dependencies"]
        );
    }

    #[test]
    fn a_crate_without_row_is_found() {
        assert_eq!(findings("web", ""), ["web has no row in layers.toml"]);
    }
}
