//! The numbers of the wire: what was released keeps its meaning.
//!
//! `crates/rpc/proto.lock` has a line for every field, value and method that was ever released. A line may be added, by
//! `cargo xtask proto --write`; one that is missing from the schema, or stands there with another type or name, fails.
//! A field that is given up keeps its line and is declared `reserved`.

use crate::workspace::{Workspace, verdict};
use anyhow::{Context, Result};
use std::collections::BTreeSet;
use std::path::Path;

const FOLDER: &str = "crates/rpc/proto";
const LOCK: &str = "crates/rpc/proto.lock";

/// Compares the schema with the lock; with `--write` adds what is new.
pub(crate) fn run(workspace: &Workspace, words: &[String]) -> Result<()> {
    let lock = workspace.root.join(LOCK);
    let now = schema(&workspace.root.join(FOLDER))?;
    let text = std::fs::read_to_string(&lock).unwrap_or_default();
    let released: BTreeSet<String> =
        text.lines().filter(|l| !l.starts_with('#')).map(ToOwned::to_owned).collect();
    let mut findings: Vec<String> = released
        .difference(&now)
        .map(|line| format!("{LOCK}: released, and not so any more: {line}"))
        .collect();
    let new: Vec<_> = now.difference(&released).cloned().collect();
    if words.iter().any(|w| w == "--write") {
        let all: Vec<_> = released.union(&now).map(String::as_str).collect();
        let head = "# Numbers of the wire that were released. Written by `cargo xtask proto --write`; lines are never removed.";
        std::fs::write(&lock, format!("{head}\n{}\n", all.join("\n"))).context("cannot write the lock")?;
    } else {
        findings.extend(new.iter().map(|line| format!("{LOCK}: new, add it with --write: {line}")));
    }
    verdict("proto", &findings, "every released number means what it meant")
}

/// Every numbered line of every schema file.
fn schema(folder: &Path) -> Result<BTreeSet<String>> {
    let mut all = BTreeSet::new();
    for entry in std::fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))? {
        let path = entry?.path();
        if path.extension().is_some_and(|e| e == "proto") {
            all.extend(numbered(&std::fs::read_to_string(&path)?));
        }
    }
    Ok(all)
}

/// `Message 3 optional string name`, `Enum 2 NAME`, `Service Method(Request) returns (Answer)`. A field of a oneof
/// belongs to its message: which oneof it is in does not change what is on the wire.
fn numbered(text: &str) -> Vec<String> {
    let (mut found, mut owner) = (Vec::new(), String::new());
    for line in text.lines().map(|line| line.split("//").next().unwrap_or("").trim()) {
        let words: Vec<&str> = line.split_whitespace().collect();
        match words.as_slice() {
            ["message" | "enum" | "service", name, ..] => owner = (*name).to_owned(),
            ["rpc", ..] => {
                found.push(format!("{owner} {}", line.trim_start_matches("rpc ").trim_end_matches(';')))
            }
            [what @ .., "=", number] if !owner.is_empty() => {
                found.push(format!("{owner} {} {}", number.trim_end_matches(';'), what.join(" ")));
            }
            _ => {}
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_changed_meaning_is_another_line() {
        let before = "syntax = \"proto3\";\nmessage A {\n  // Words.\n  string a = 1;\n  oneof b { \n  int32 c = 2; }\n}\n\
                      enum E {\n  X = 0;\n}\nservice S {\n  rpc Do(A) returns (stream A);\n}\n";
        let lines = numbered(before);
        assert_eq!(lines, ["A 1 string a", "E 0 X", "S Do(A) returns (stream A)"]);
        assert_ne!(numbered(&before.replace("string a", "bytes a")), lines);
    }
}
