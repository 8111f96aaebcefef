//! A full disk: mail is refused for now, what is there can be read, and when there is space again all goes on by
//! itself. The site lies on a small file system in memory; making one takes root.

use super::Rack;
use crate::bench::contender::Contender;
use crate::workspace::must;
use anyhow::{Context, Result, ensure};
use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Size of the file system, and of the file that is removed to make space.
const SIZE_MB: u64 = 400;
const BALLAST_MB: usize = 150;

pub(super) fn run(rack: &Rack) -> Result<String> {
    let small = Mount::new(&rack.folder.path().join("small"))?;
    let mut site = rack.site_in(&small.0.join("site"))?;
    let ledger = rack.ledger("disk");
    let ballast = small.0.join("ballast");
    let mut file = File::create(&ballast)?;
    for _ in 0..BALLAST_MB {
        file.write_all(&[0; 1 << 20])?;
    }
    // Open it would keep its space after its removal.
    drop(file);
    site.start()?;
    let (smtp, acked) = (site.ports().smtp, ledger.display().to_string());
    let send = |run: &str, messages: &str| {
        let words =
            ["--conns", "16", "--messages", messages, "--limit", "120", "--run", run, "--acked", &acked];
        rack.step("smtp", smtp, &words)
    };
    let full = send("full", "60000")?;
    let kinds = full["error_kinds"].as_str().unwrap_or_default();
    ensure!(full["acked"].as_u64() < Some(60_000), "the disk was never full");
    ensure!(
        kinds.contains("refused: 4") && !kinds.contains("refused: 5"),
        "not refused for now only: {kinds}"
    );
    let before = rack.compare(&site, &ledger).context("while the disk was full")?;
    std::fs::remove_file(&ballast)?;
    let after = send("after", "500")?;
    ensure!(after["acked"].as_u64() == Some(500), "it did not recover by itself: {after}");
    rack.compare(&site, &ledger).context("after there was space again")?;
    site.stop()?;
    site.start()?;
    rack.verify_drained(&site, &ledger).context("after a restart")?;
    site.stop()?;
    Ok(format!(
        "{} messages until the disk was full, then 4xx; all could be read; 500 more once there was space, none lost",
        before["expected"]
    ))
}

/// A small file system in memory.
struct Mount(PathBuf);

impl Mount {
    fn new(at: &Path) -> Result<Self> {
        std::fs::create_dir_all(at)?;
        let size = format!("size={SIZE_MB}m");
        must(Command::new("mount").args(["-t", "tmpfs", "-o", &size, "tmpfs"]).arg(at))
            .context("this takes root")?;
        Ok(Self(at.to_owned()))
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}
