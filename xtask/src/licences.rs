//! The fence around outside crates that `deny.toml` draws: licences, banned crates, sources.
//!
//! `cargo deny` checks it where it is installed. Where it is not, the three checks here read the same
//! file, so the fence stands on every machine.

use crate::workspace::{Workspace, must, verdict};
use anyhow::{Context, Result};
use std::collections::BTreeSet;
use toml::{Table, Value};

/// The only source of crates, as the lock file names it.
const REGISTRY: &str = "registry+https://github.com/rust-lang/crates.io-index";

pub(crate) fn run(workspace: &Workspace, _words: &[String]) -> Result<()> {
    if workspace.output("cargo", &["deny", "--version"]).is_ok() {
        return must(workspace.cargo().args(["deny", "--offline", "check", "licenses", "bans", "sources"]));
    }
    let fence = Fence::parse(&workspace.read("deny.toml")?)?;
    let words = ["tree", "--locked", "--workspace", "--prefix", "none", "--format", "{p}|{l}"];
    let tree = workspace.output("cargo", &words)?;
    let crates: BTreeSet<&str> = tree.lines().map(|l| l.trim_end_matches(" (*)")).collect();
    let mut findings: Vec<_> = crates.iter().filter_map(|line| fence.objection(line)).collect();
    findings.extend(foreign(&workspace.read("Cargo.lock")?)?);
    verdict("licences", &findings, &format!("{} crates stand inside the fence", crates.len()))
}

/// Crates of the lock file that come from elsewhere than the registry.
fn foreign(lock: &str) -> Result<Vec<String>> {
    let lock: Table = lock.parse()?;
    let packages = lock.get("package").and_then(Value::as_array).context("Cargo.lock names no packages")?;
    let source = |p: &Value| Some((p.get("name")?.to_string(), p.get("source")?.as_str()?.to_owned()));
    let foreign = packages.iter().filter_map(source).filter(|(_, source)| source != REGISTRY);
    Ok(foreign.map(|(name, source)| format!("{name} comes from {source}")).collect())
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

    /// What is against a line of `cargo tree`: `name v1.2.3|LICENCE`.
    fn objection(&self, line: &str) -> Option<String> {
        let (package, licence) = line.split_once('|')?;
        let name = package.split(' ').next()?;
        if self.banned.contains(name) {
            return Some(format!("{package} is banned"));
        }
        let licence = if licence.is_empty() { "no licence at all" } else { licence };
        (!self.permits(licence)).then(|| format!("{package} is under {licence}"))
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
    fn bans_licences_and_foreign_sources_are_named() {
        assert_eq!(fence().objection("fine v1.0.0|MIT"), None);
        assert_eq!(fence().objection("ring v0.17.14|MIT").as_deref(), Some("ring v0.17.14 is banned"));
        assert_eq!(fence().objection("x v1.0.0|").as_deref(), Some("x v1.0.0 is under no licence at all"));
        let lock =
            format!("[[package]]\nname = \"own\"\n[[package]]\nname = \"a\"\nsource = \"{REGISTRY}\"\n");
        assert_eq!(foreign(&lock).unwrap(), [""; 0]);
        assert_eq!(foreign(&lock.replace("registry+", "git+")).unwrap().len(), 1);
    }
}
