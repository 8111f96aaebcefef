//! Writes `docs/reference/` from the rows of the catalog and of the commands. With `--check` it writes nothing and fails where
//! a page differs from its rows.

use crate::workspace::{Workspace, verdict};
use anyhow::{Context, Result, bail};
use std::fs;

const FOLDER: &str = "docs/reference";

pub(crate) fn run(workspace: &Workspace, words: &[String]) -> Result<()> {
    match words {
        [] => write(workspace),
        [word] if word == "--check" => check(workspace),
        _ => bail!("docs [--check]"),
    }
}

fn pages() -> Vec<(&'static str, String)> {
    let mut pages = Vec::from(catalog::render::pages());
    let commands = admin::render::by_group(admin::commands::ALL);
    pages.push(("commands.md", admin::render::markdown(&commands)));
    pages.into_iter().map(|(name, text)| (name, format!("{}\n", text.trim_end()))).collect()
}

fn write(workspace: &Workspace) -> Result<()> {
    let folder = workspace.root.join(FOLDER);
    fs::create_dir_all(&folder).with_context(|| format!("cannot create {FOLDER}"))?;
    for (name, text) in pages() {
        fs::write(folder.join(name), text).with_context(|| format!("cannot write {FOLDER}/{name}"))?;
        println!("docs: {FOLDER}/{name}");
    }
    Ok(())
}

fn check(workspace: &Workspace) -> Result<()> {
    let stale = pages().into_iter().filter(|(name, text)| {
        fs::read_to_string(workspace.root.join(FOLDER).join(name)).ok().as_ref() != Some(text)
    });
    let findings: Vec<_> =
        stale.map(|(name, _)| format!("{FOLDER}/{name} is stale: run cargo xtask docs")).collect();
    verdict("docs", &findings, "the reference is what the rows say")
}
