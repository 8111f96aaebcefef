//! The fence around outside crates that `deny.toml` draws: licences, banned crates, sources.
//!
//! `cargo deny` checks it where it is installed. Where it is not, the three checks here read the same
//! file, so the fence stands on every machine.

use crate::workspace::{Workspace, must, verdict};
use anyhow::{Context, Result, ensure};
use serde_json::Value as Json;
use std::collections::{BTreeMap, BTreeSet};
use toml::{Table, Value};

/// The only source of crates, as `cargo metadata` and the lock file name it.
const REGISTRY: &str = "registry+https://github.com/rust-lang/crates.io-index";

pub(crate) fn run(workspace: &Workspace, _words: &[String]) -> Result<()> {
    if workspace.output("cargo", &["deny", "--version"]).is_ok() {
        return must(workspace.cargo().args(["deny", "--offline", "check", "licenses", "bans", "sources"]));
    }
    let fence = Fence::parse(&workspace.read("deny.toml")?)?;
    let metadata = workspace.output(
        "cargo",
        &["metadata", "--format-version", "1", "--locked", "--filter-platform", &host(workspace)?],
    )?;
    let metadata: Json = serde_json::from_str(&metadata)?;
    let built = built(&metadata);
    let packages = metadata["packages"].as_array().context("cargo metadata names no packages")?;
    let is_built = |p: &&Json| p["id"].as_str().is_some_and(|id| built.contains(id));
    let outside: Vec<_> = packages.iter().filter(is_built).filter(|p| !p["source"].is_null()).collect();
    ensure!(!outside.is_empty(), "cargo metadata names no outside crates");
    let findings: Vec<_> = outside.iter().filter_map(|p| fence.objection(p)).collect();
    verdict("licences", &findings, &format!("{} outside crates stand inside the fence", outside.len()))
}

/// The ids that the workspace's own crates reach: the lock file also holds crates that no feature asks for.
fn built(metadata: &Json) -> BTreeSet<&str> {
    let nodes = metadata["resolve"]["nodes"].as_array().into_iter().flatten();
    let edges: BTreeMap<&str, &Json> = nodes.filter_map(|n| Some((n["id"].as_str()?, &n["deps"]))).collect();
    let mut reached = BTreeSet::new();
    let members = metadata["workspace_members"].as_array().into_iter().flatten();
    let mut next: Vec<&str> = members.filter_map(Json::as_str).collect();
    while let Some(id) = next.pop() {
        if reached.insert(id) {
            let deps = edges.get(id).and_then(|d| d.as_array()).into_iter().flatten();
            next.extend(deps.filter_map(|d| d["pkg"].as_str()));
        }
    }
    reached
}

fn host(workspace: &Workspace) -> Result<String> {
    let version = workspace.output("rustc", &["-vV"])?;
    let line = version.lines().find_map(|l| l.strip_prefix("host: "));
    line.map(str::to_owned).context("rustc does not name its host")
}

/// What `deny.toml` says.
struct Fence {
    allowed: BTreeSet<String>,
    banned: BTreeSet<String>,
}

impl Fence {
    fn parse(text: &str) -> Result<Self> {
        let table: Table = text.parse()?;
        let names = |value: &Value| value.as_array().into_iter().flatten().filter_map(name).collect();
        let name_list = |section: &str, key: &str| table.get(section).and_then(|s| s.get(key)).map(names);
        Ok(Self {
            allowed: name_list("licenses", "allow").context("no [licenses] allow")?,
            banned: name_list("bans", "deny").context("no [bans] deny")?,
        })
    }

    fn objection(&self, package: &Json) -> Option<String> {
        let (name, version) = (package["name"].as_str()?, package["version"].as_str()?);
        let reason = if self.banned.contains(name) {
            "is banned".to_owned()
        } else if package["source"] != REGISTRY {
            format!("comes from {}", package["source"])
        } else {
            let licence = package["license"].as_str().unwrap_or("no licence at all");
            if self.permits(licence) {
                return None;
            }
            format!("is under {licence}")
        };
        Some(format!("{name} {version} {reason}"))
    }

    /// Whether an SPDX expression can be met by allowed licences alone. `/` is the old way to write OR.
    fn permits(&self, expression: &str) -> bool {
        let spaced = expression.replace('/', " OR ").replace('(', " ( ").replace(')', " ) ");
        let words: Vec<&str> = spaced.split_whitespace().collect();
        let mut at = 0;
        self.any(&words, &mut at) && at == words.len()
    }

    fn any(&self, words: &[&str], at: &mut usize) -> bool {
        let mut fine = self.all(words, at);
        while words.get(*at) == Some(&"OR") {
            *at += 1;
            fine |= self.all(words, at);
        }
        fine
    }

    fn all(&self, words: &[&str], at: &mut usize) -> bool {
        let mut fine = self.one(words, at);
        while words.get(*at) == Some(&"AND") {
            *at += 1;
            fine &= self.one(words, at);
        }
        fine
    }

    /// A licence, one with an exception, or an expression in parentheses. Cargo limits the length of the
    /// field, and with it the depth.
    fn one(&self, words: &[&str], at: &mut usize) -> bool {
        let Some(word) = words.get(*at) else { return false };
        *at += 1;
        if *word == "(" {
            let fine = self.any(words, at);
            *at += 1;
            return fine;
        }
        if words.get(*at) == Some(&"WITH") {
            let with = format!("{word} WITH {}", words.get(*at + 1).unwrap_or(&""));
            *at += 2;
            return self.allowed.contains(&with) || self.allowed.contains(*word);
        }
        self.allowed.contains(*word)
    }
}

/// An entry of a list: a word, or a table with a name.
fn name(value: &Value) -> Option<String> {
    let name =
        value.as_str().or_else(|| value.get("crate")?.as_str()).or_else(|| value.get("name")?.as_str());
    name.map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fence() -> Fence {
        Fence::parse(
            "[licenses]\nallow = [\"MIT\", \"Apache-2.0\"]\n[bans]\ndeny = [{ crate = \"ring\" }, \"bad\"]\n",
        )
        .unwrap()
    }

    #[test]
    fn an_expression_must_be_met_by_allowed_licences() {
        for good in
            ["MIT", "MIT OR GPL-3.0-only", "GPL-2.0/MIT", "(MIT OR X) AND Apache-2.0 WITH LLVM-exception"]
        {
            assert!(fence().permits(good), "{good}");
        }
        for bad in
            ["GPL-3.0-only", "MIT AND GPL-3.0-only", "(MIT OR X) AND X", "", "MIT MIT", "no licence at all"]
        {
            assert!(!fence().permits(bad), "{bad}");
        }
    }

    #[test]
    fn a_crate_that_nobody_reaches_is_not_judged() {
        let node = |id: &str, deps: &[&str]| serde_json::json!({ "id": id, "deps": deps.iter().map(|d| serde_json::json!({ "pkg": d })).collect::<Vec<_>>() });
        let metadata = serde_json::json!({
            "workspace_members": ["own"],
            "resolve": { "nodes": [node("own", &["a"]), node("a", &["b", "own"]), node("b", &[]), node("c", &["b"])] },
        });
        assert_eq!(built(&metadata).into_iter().collect::<Vec<_>>(), ["a", "b", "own"]);
    }

    #[test]
    fn bans_and_foreign_sources_are_named() {
        let package = |name: &str, source: &str| serde_json::json!({ "name": name, "version": "1.0.0", "source": source, "license": "MIT" });
        assert_eq!(fence().objection(&package("fine", REGISTRY)), None);
        assert_eq!(fence().objection(&package("ring", REGISTRY)).as_deref(), Some("ring 1.0.0 is banned"));
        assert!(fence().objection(&package("x", "git+https://example.org/x")).is_some());
    }
}
