//! Every test there is: builds the program once, then runs the tests of all crates, among them those of
//! `tests/site`, which start that program and let real clients talk to it.

use crate::workspace::{Workspace, must};
use crate::{corpus, debian, site, torture};
use anyhow::{Context, Result, bail};
use std::path::PathBuf;

/// Tells `tests/site` where the program is.
pub(crate) const PROGRAM: &str = "INTERMAIL_PROGRAM";
/// Tells `tests/site` where the messages of the corpus are.
const CORPUS: &str = "INTERMAIL_CORPUS";
/// Tells `tests/site` that clients which are not installed are passed over.
const SKIP_MISSING: &str = "INTERMAIL_SKIP_MISSING_CLIENTS";

/// What to do where a client is not installed and cannot be.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Clients {
    /// Fail: a machine of the project has them all.
    AllNeeded,
    /// Name them and test the rest.
    AsInstalled,
}

pub(crate) fn run(workspace: &Workspace, words: &[String]) -> Result<()> {
    if !words.is_empty() {
        bail!("test takes no words");
    }
    everything(workspace, Clients::AsInstalled)
}

/// Runs all tests.
///
/// # Errors
/// The first thing that failed, and under [`Clients::AllNeeded`] a client that is missing.
pub(crate) fn everything(workspace: &Workspace, clients: Clients) -> Result<()> {
    let missing = debian::install(workspace)?;
    if !missing.is_empty() {
        println!("test: not installed: apt-get install {}", missing.join(" "));
        if clients == Clients::AllNeeded {
            bail!("clients are missing");
        }
    }
    let program = build(workspace, "intermail", "dev")?;
    let messages = corpus::fetch(workspace, clients)?;
    let mut tests = workspace.cargo();
    tests.args(["test", "--workspace"]).env(PROGRAM, program);
    if let Some(messages) = messages {
        tests.env(CORPUS, messages);
    }
    if !missing.is_empty() {
        tests.env(SKIP_MISSING, "1");
    }
    must(&mut tests)?;
    torture::slice(workspace)?;
    site::slice(workspace)?;
    if !missing.is_empty() {
        println!("test: green, but for the clients that are not installed: {}", missing.join(" "));
    }
    Ok(())
}

/// Builds a program of the workspace and says where it is. The whole workspace is named, so that its crates are built with
/// the features that the tests build them with, and only once.
pub(crate) fn build(workspace: &Workspace, program: &str, profile: &str) -> Result<PathBuf> {
    must(workspace.cargo().args(["build", "--workspace", "--bin", program, "--profile", profile]))?;
    let folder = if profile == "dev" { "debug" } else { profile };
    Ok(target(workspace)?.join(folder).join(program))
}

/// Cargo's target folder.
pub(crate) fn target(workspace: &Workspace) -> Result<PathBuf> {
    let text = workspace.output("cargo", &["metadata", "--format-version", "1", "--no-deps", "--offline"])?;
    let metadata: serde_json::Value = serde_json::from_str(&text)?;
    metadata["target_directory"].as_str().map(PathBuf::from).context("cargo metadata names no target folder")
}

/// Runs one test of `tests/site` against a program.
///
/// # Errors
/// Where it fails.
pub(crate) fn site(workspace: &Workspace, program: PathBuf, messages: PathBuf, words: &[&str]) -> Result<()> {
    let mut tests = workspace.cargo();
    tests.args(["test", "--package", "site"]).args(words).env(PROGRAM, program).env(CORPUS, messages);
    must(&mut tests)
}
