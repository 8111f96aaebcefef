//! The workspace as the other commands see it: its root, its crates, its files, its cargo.

use anyhow::{Context, Result, bail};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The root folder and how to run things in it.
pub(crate) struct Workspace {
    /// The folder of the virtual manifest.
    pub(crate) root: PathBuf,
}

/// One crate of the workspace.
pub(crate) struct Member {
    /// The name in its manifest.
    pub(crate) name: String,
    /// Its folder, relative to the root.
    pub(crate) folder: PathBuf,
    /// The whole manifest.
    pub(crate) manifest: toml::Table,
}

/// One tracked text file.
pub(crate) struct TextFile {
    /// Relative to the root, with slashes.
    pub(crate) path: String,
    /// What is in it.
    pub(crate) text: String,
}

impl Workspace {
    /// From the place of this crate, so that it does not matter where one stands.
    pub(crate) fn find() -> Result<Self> {
        let here = Path::new(env!("CARGO_MANIFEST_DIR"));
        let root = here.parent().context("xtask has no folder above it")?.to_owned();
        Ok(Self { root })
    }

    /// The text of a file below the root.
    pub(crate) fn read(&self, path: &str) -> Result<String> {
        fs::read_to_string(self.root.join(path)).with_context(|| format!("cannot read {path}"))
    }

    /// Every crate, in the order of their folders.
    pub(crate) fn members(&self) -> Result<Vec<Member>> {
        let manifest: toml::Table = self.read("Cargo.toml")?.parse()?;
        let patterns = manifest["workspace"]["members"].as_array().context("no members")?;
        let mut folders = Vec::new();
        for pattern in patterns.iter().filter_map(toml::Value::as_str) {
            match pattern.strip_suffix("/*") {
                Some(parent) => folders.extend(self.crates_below(parent)?),
                None => folders.push(PathBuf::from(pattern)),
            }
        }
        folders.sort();
        folders.into_iter().map(|folder| self.member(folder)).collect()
    }

    fn crates_below(&self, parent: &str) -> Result<Vec<PathBuf>> {
        let entries = fs::read_dir(self.root.join(parent)).with_context(|| format!("no folder {parent}"))?;
        let folders =
            entries.map(|e| Ok(Path::new(parent).join(e?.file_name()))).collect::<Result<Vec<_>>>()?;
        Ok(folders.into_iter().filter(|f| self.root.join(f).join("Cargo.toml").is_file()).collect())
    }

    fn member(&self, folder: PathBuf) -> Result<Member> {
        let path = folder.join("Cargo.toml");
        let manifest: toml::Table = self.read(&path.to_string_lossy())?.parse()?;
        let name = manifest["package"]["name"].as_str().context("a package without name")?.to_owned();
        Ok(Member { name, folder, manifest })
    }

    /// Every text file that git tracks or would track.
    pub(crate) fn text_files(&self) -> Result<Vec<TextFile>> {
        let listed = self.output(
            "git",
            &["-c", "safe.directory=*", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        )?;
        let paths = listed.split('\0').filter(|p| !p.is_empty());
        let read = |p: &str| fs::read(self.root.join(p)).ok().and_then(|bytes| String::from_utf8(bytes).ok());
        Ok(paths.filter_map(|p| Some(TextFile { path: p.to_owned(), text: read(p)? })).collect())
    }

    /// A program that will run in the root.
    pub(crate) fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command.current_dir(&self.root);
        command
    }

    /// The cargo that runs this program.
    pub(crate) fn cargo(&self) -> Command {
        self.command(&std::env::var("CARGO").unwrap_or_else(|_| "cargo".into()))
    }

    /// What a program prints; an error where it fails.
    pub(crate) fn output(&self, program: &str, words: &[&str]) -> Result<String> {
        let output =
            self.command(program).args(words).output().with_context(|| format!("cannot run {program}"))?;
        if !output.status.success() {
            bail!("{program} {}: {}", words.join(" "), String::from_utf8_lossy(&output.stderr).trim());
        }
        Ok(String::from_utf8(output.stdout)?)
    }
}

/// Runs it to its end; an error names it where it fails.
pub(crate) fn must(command: &mut Command) -> Result<()> {
    let status = command.status().with_context(|| format!("cannot run {command:?}"))?;
    if !status.success() {
        bail!("{command:?}: {status}");
    }
    Ok(())
}

/// Ends a check: says what was found, or that all is well.
pub(crate) fn verdict(check: &str, findings: &[String], well: &str) -> Result<()> {
    if findings.is_empty() {
        println!("{check}: {well}");
        return Ok(());
    }
    for finding in findings {
        println!("{check}: {finding}");
    }
    bail!("{check}: {} finding(s)", findings.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_command_of_the_readme_names_no_binary_and_runs_intermail() {
        let workspace = Workspace::find().unwrap();
        assert!(workspace.read("README.md").unwrap().contains("cargo run --release -- try"));
        let manifest: toml::Table = workspace.read("Cargo.toml").unwrap().parse().unwrap();
        let of_run = manifest["workspace"]["default-members"].as_array().unwrap();
        assert_eq!(of_run.iter().filter_map(toml::Value::as_str).collect::<Vec<_>>(), ["crates/intermail"]);
    }
}
