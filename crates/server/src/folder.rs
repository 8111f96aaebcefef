//! A site folder: what lies where, and making what is missing.
//!
//! Nothing that exists is changed. Folders are private to the user of the site.

use admin::site::Site;
use anyhow::Context as _;
use control::lock_file::{LockFile, TakeError, owner};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Folders of a site, below it.
const FOLDERS: [&str; 9] =
    ["config", "log", "run", "tmp", "lib/certs", "lib/rme", "directory", "mss", "imqueueserv"];

/// How often a server whose manager is gone is looked for; they drain in less than that.
const ORPHAN_TRIES: u32 = 300;
/// See [`ORPHAN_TRIES`].
const ORPHAN_PAUSE: Duration = Duration::from_millis(50);

/// Makes the folders and the files that a site must have, and opens it.
///
/// # Errors
/// Where something cannot be made: names it.
pub(crate) fn create(folder: &Path, host: &str) -> anyhow::Result<Site> {
    check_restored(folder)?;
    for part in FOLDERS {
        make(&folder.join(part))?;
    }
    for server in catalog::servers::SERVERS {
        make(&folder.join("tmp").join(server.name))?;
    }
    write_new(&folder.join("config/hostname"), &format!("{host}\n"))?;
    write_new(&folder.join("config/config.db"), "# /<host>/<server>/<key>: [value]\n")?;
    Site::open(folder)
}

/// A site that was only restored in part must not be taken for one that has lost its mail.
fn check_restored(folder: &Path) -> anyhow::Result<()> {
    let mark = folder.join(storage::backup::UNFINISHED);
    anyhow::ensure!(
        !mark.exists(),
        "the restore into {} has not come to its end: empty the folder and restore again",
        folder.display()
    );
    Ok(())
}

fn make(folder: &Path) -> anyhow::Result<()> {
    let made = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder);
    made.with_context(|| format!("cannot make the folder {}", folder.display()))
}

fn write_new(file: &Path, text: &str) -> anyhow::Result<()> {
    if file.exists() {
        return Ok(());
    }
    std::fs::write(file, text).with_context(|| format!("cannot write {}", file.display()))
}

/// Who this host is towards the others of its site: certificates and keys.
pub(crate) fn identity_folder(site: &Site) -> PathBuf {
    site.folder().join("lib/rme")
}

/// Where the directory's database is.
pub(crate) fn directory_file(site: &Site) -> PathBuf {
    site.folder().join("directory/isd.db")
}

/// What was last known of who has which store.
pub(crate) fn owners_file(site: &Site) -> PathBuf {
    site.folder().join("run/stores")
}

/// Where the shard of the queue is.
pub(crate) fn queue_folder(site: &Site) -> PathBuf {
    site.folder().join("imqueueserv")
}

/// The certificate that the site makes for itself where the operator has named none.
pub(crate) fn own_certificate(site: &Site) -> PathBuf {
    site.folder().join("lib/certs/im_default_certs.txt")
}

/// The run directory of a server: `runDir`, else `tmp/<server>`.
pub(crate) fn run_folder(site: &Site, server: &str, configured: &str) -> PathBuf {
    match configured {
        "" => site.folder().join("tmp").join(server),
        path => site.folder().join(path),
    }
}

/// Takes the site for this process, until the returned lock is dropped.
///
/// # Errors
/// Where another process has it: says which. Where it was only restored in part.
pub(crate) fn lock(site: &Site) -> anyhow::Result<LockFile> {
    check_restored(site.folder())?;
    let lock = LockFile::take(&site.pid_file()).map_err(|error| match error {
        TakeError::Held(_) => anyhow::anyhow!(
            "the site {} is {error}: stop it with `imservctrl stop`, or wait until it has ended",
            site.folder().display()
        ),
        TakeError::File(error) => {
            anyhow::Error::new(error).context(format!("cannot open {}", site.pid_file().display()))
        }
    })?;
    wait_for_orphans(site)?;
    Ok(lock)
}

/// Servers whose manager was killed drain and end by themselves.
fn wait_for_orphans(site: &Site) -> anyhow::Result<()> {
    for name in catalog::servers::SERVERS.iter().map(|server| server.name) {
        let path = site.server_pid_file(name);
        let mut tries = 0;
        while let Some(pid) = owner(&path).with_context(|| format!("cannot read {}", path.display()))? {
            anyhow::ensure!(tries < ORPHAN_TRIES, "{name} (process {pid}) of this site still runs");
            tries += 1;
            std::thread::sleep(ORPHAN_PAUSE);
        }
    }
    Ok(())
}

/// Takes the pid file of a server that is a process of its own.
///
/// # Errors
/// [`TakeError`].
pub(crate) fn lock_server(site: &Site, server: &str) -> Result<LockFile, TakeError> {
    LockFile::take(&site.server_pid_file(server))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_site_is_made_once_and_then_kept() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a/site");
        assert_eq!(create(&path, "venus").unwrap().host().as_str(), "venus");
        std::fs::write(path.join("config/config.db"), "# mine\n").unwrap();
        assert_eq!(create(&path, "mars").unwrap().host().as_str(), "venus");
        assert_eq!(std::fs::read_to_string(path.join("config/config.db")).unwrap(), "# mine\n");
    }

    #[test]
    fn a_site_that_was_restored_in_part_is_not_opened() {
        let folder = tempfile::tempdir().unwrap();
        let site = create(folder.path(), "venus").unwrap();
        std::fs::write(folder.path().join(storage::backup::UNFINISHED), "").unwrap();
        assert!(create(folder.path(), "venus").is_err() && lock(&site).is_err());
    }

    #[test]
    fn a_site_is_held_by_one() {
        let folder = tempfile::tempdir().unwrap();
        let site = create(folder.path(), "venus").unwrap();
        let held = lock(&site).unwrap();
        assert!(lock(&site).is_err());
        drop(held);
        assert!(lock(&site).is_ok());
    }
}
